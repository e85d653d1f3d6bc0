"""Donor cards: a weight file from anywhere, and what its weights expect, in TOML.

    title = "ResNet50 of our scanner's radiographs"
    file = "radiographs_notop.h5"
    input_scaling = "caffe"
    color = "gray"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

`--donor=my/donor.toml` names it; `--donor=radimagenet` one that comes with the package.
"""

import functools
import importlib.resources
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from transfusion_tf import files
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.initialization.donor_errors import DonorUnavailableError
from transfusion_tf.models import INPUT_SCALINGS
from transfusion_tf.toml_tables import TABLE, Text, Texts, checked, read_toml, rule

_ONE_SCALING = rule(
    f"one of {', '.join(INPUT_SCALINGS)}", lambda name: name in INPUT_SCALINGS
)
_SHA256 = rule("64 hexadecimal digits", re.compile("[0-9a-fA-F]{64}").fullmatch)


@dataclass(frozen=True, kw_only=True, config=TABLE)
class DonorCard:
    """What a `donor.toml` says.

    Attributes:
      name: of its folder, as flags and reports call it.
      path: of the card.
    """

    name: str
    path: Path
    title: str
    """One line for people."""
    file: Text | Texts
    """The weights, `.weights.h5`, `.h5`, `.keras` or `.pth`, or places where they may
    lie, the first that exists being taken: below the card's folder where they are
    relative, with environment variables filled in."""
    input_scaling: Annotated[str, _ONE_SCALING]
    """The pixels that the weights expect."""
    color: Literal["color", "gray"] = "color"
    """Gray where the donor saw grey images alone."""
    sha256: Annotated[str, _SHA256, AfterValidator(str.lower)] | None = None
    """Of the file; without it nothing is checked."""
    note: str = ""
    """What else the report says of it."""

    def weights(self) -> Path:
        """The weight file, which is there and is the one that the card means.

        Raises:
          DonorUnavailableError: there is no such file, or a variable in its path is
            not set.
          UserError: its SHA-256 is another.
        """
        files_named = self._places()
        file = next((file for file in files_named if file.is_file()), None)
        if file is None:
            named = " or ".join(str(file) for file in files_named)
            raise DonorUnavailableError(
                f"{self.path}: there is no file {named}{self._hint()}"
            )
        found = _sha256(file, file.stat().st_mtime_ns) if self.sha256 else None
        if found != self.sha256:
            raise UserError(
                f"{file} has SHA-256 {found}, but {self.path} says {self.sha256}: it "
                "is another file, or damaged. A donor card of your own, without "
                "sha256, takes it as it is"
            )
        return file

    def _places(self) -> list[Path]:
        found = []
        for place in (self.file,) if isinstance(self.file, str) else self.file:
            text = os.path.expanduser(os.path.expandvars(place))
            if unset := re.search(r"\$\{?(\w+)", text):
                raise DonorUnavailableError(
                    f"{self.path}: the file {place} needs the environment variable "
                    f"{unset[1]}, which is not set{self._hint()}"
                )
            found.append((self.path.parent / text).absolute())
        return found

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
    named_by_folder = path.name == "donor.toml"
    name = path.absolute().parent.name if named_by_folder else path.stem
    given = {"name": name, "path": path.absolute()}
    return checked(DonorCard, read_toml(path), path, given=given)


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
        values = read_toml(path)
    except UserError:
        return False
    return "file" in values and "reader" not in values


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
    return files.sha256(file)
