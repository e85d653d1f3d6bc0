"""Donor cards: a weight file from anywhere, and what its weights expect, in TOML.

    title = "ResNet50 of our scanner's radiographs"
    file = "radiographs_notop.h5"
    input_scaling = "caffe"
    color = "gray"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

`--donor=my/donor.toml` names it; `--donor=radimagenet` one that comes with the package.
"""

import dataclasses
import functools
import hashlib
import importlib.resources
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.initialization.donor_errors import DonorUnavailableError
from transfusion_tf.models import INPUT_SCALINGS

COLORS = ("color", "gray")

_REQUIRED = ("title", "file", "input_scaling")
_OPTIONAL = ("color", "sha256", "note")


@dataclasses.dataclass(frozen=True)
class DonorCard:
    """What a `donor.toml` says.

    Attributes:
      name: of its folder, as flags and reports call it.
      title: the same for people.
      path: of the card.
      file: the weights, `.weights.h5`, `.h5` or `.keras`; below the card's folder
        where it is relative, with environment variables filled in.
      input_scaling: the pixels that the weights expect, one of
        `transfusion_tf.models.INPUT_SCALINGS`.
      color: `gray` where the donor saw grey images alone, else `color`.
      sha256: of the file, hexadecimal; None checks nothing.
      note: what else the report says of it.
    """

    name: str
    title: str
    path: Path
    file: str
    input_scaling: str
    color: str = "color"
    sha256: str | None = None
    note: str = ""

    def weights(self) -> Path:
        """The weight file, which is there and is the one that the card means.

        Raises:
          DonorUnavailableError: there is no such file, or a variable in its path is
            not set.
          UserError: its SHA-256 is another.
        """
        text = os.path.expanduser(os.path.expandvars(self.file))
        if unset := re.search(r"\$\{?(\w+)", text):
            raise DonorUnavailableError(
                f"{self.path}: the file {self.file} needs the environment variable "
                f"{unset[1]}, which is not set{self._hint()}"
            )
        file = (self.path.parent / text).absolute()
        if not file.is_file():
            raise DonorUnavailableError(
                f"{self.path}: there is no file {file}{self._hint()}"
            )
        found = _sha256(file, file.stat().st_mtime_ns) if self.sha256 else None
        if found != self.sha256:
            raise UserError(
                f"{file} has SHA-256 {found}, but {self.path} says {self.sha256}: it "
                "is another file, or damaged"
            )
        return file

    def described(self) -> dict[str, str]:
        """What reports say of it, as plain values."""
        return {
            "name": self.name,
            "title": self.title,
            "input_scaling": self.input_scaling,
            "color": self.color,
            "note": self.note,
        }

    def _hint(self) -> str:
        readme = self.path.parent / "README.md"
        return f"; how to obtain it: {readme}" if readme.is_file() else ""


def load_donor_card(name_or_path: str | Path) -> DonorCard:
    """Loads and checks a donor card; the weights need not be there yet.

    Args:
      name_or_path: the name of a card that comes with the package, or a TOML file.

    Raises:
      UserError: no such card, not valid TOML, or a key that is missing, unknown, or
        has a value that cannot be; the message names file and key.
    """
    path = _find(str(name_or_path))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from error
    _check(path, values)
    named_by_folder = path.name == "donor.toml"
    return DonorCard(
        name=path.absolute().parent.name if named_by_folder else path.stem,
        path=path.absolute(),
        **values | ({"sha256": values["sha256"].lower()} if "sha256" in values else {}),
    )


def donor_card_names() -> tuple[str, ...]:
    """Names of the cards that come with the package."""
    return tuple(sorted(path.parent.name for path in _packaged().glob("*/donor.toml")))


def is_donor_card(donor: str | None) -> bool:
    """Whether a `--donor` names a donor card: one of the package's, or a TOML file.

    A data set's card is a TOML file too: it has a `reader`, a donor's a `file`.
    """
    if donor is None:
        return False
    if donor in donor_card_names():
        return True
    path = Path(donor).expanduser()
    if path.suffix != ".toml" or not path.is_file():
        return False
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    return "file" in values and "reader" not in values


def _check(path: Path, values: Mapping[str, Any]) -> None:
    for key in _REQUIRED:
        if key not in values:
            raise UserError(
                f"{path}: key {key!r} is missing; a donor card has "
                f"{', '.join(_REQUIRED)} and may have {', '.join(_OPTIONAL)}"
            )
    for key, value in values.items():
        if key not in (*_REQUIRED, *_OPTIONAL):
            raise one_of(f"key in {path}:", key, (*_REQUIRED, *_OPTIONAL))
        if not isinstance(value, str):
            raise UserError(f"{path}: key {key!r} should be a text, got {value!r}")
    if values["input_scaling"] not in INPUT_SCALINGS:
        raise one_of(
            f"input_scaling in {path}:", values["input_scaling"], INPUT_SCALINGS
        )
    if values.get("color", "color") not in COLORS:
        raise one_of(f"color in {path}:", values["color"], COLORS)
    if not re.fullmatch("[0-9a-fA-F]{64}", values.get("sha256", "0" * 64)):
        raise UserError(
            f"{path}: key 'sha256' should be 64 hexadecimal digits, got "
            f"{values['sha256']!r}"
        )


def _find(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if name in donor_card_names():
        return _packaged() / name / "donor.toml"
    raise one_of("donor card", name, (*donor_card_names(), "the path of a donor.toml"))


def _packaged() -> Path:
    return Path(str(importlib.resources.files("transfusion_tf_data")))


@functools.lru_cache(maxsize=16)
def _sha256(file: Path, changed: int) -> str:
    """Of a file as it was when it was last changed: a study asks for every run."""
    del changed
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
