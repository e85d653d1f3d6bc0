"""What readers ask of a card's options, and where the data that they name lie."""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import WithJsonSchema

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.folder_files import has_helper, on_disk
from transfusion_tf.datasets.names import normalized
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import Text, Texts, checked, rule

# `draw` in place of a split's name: the card's shares draw it, patient by patient.
SplitName = Literal["train", "validation", "test", "draw"]

SPLIT_ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}

# A path, or places to look for it, in that order.
Places = Annotated[
    Text | Texts, WithJsonSchema({"expected": "a path, or a list of paths to try"})
]


def _groups(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except re.error:
        return -1


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)  # Some codecs are not of text.
        return True
    except (LookupError, ValueError):
        return False


AnyPattern = Annotated[str, rule("a regular expression", lambda p: _groups(p) >= 0)]
Pattern = Annotated[
    str, rule("a regular expression with a group", lambda p: _groups(p) > 0)
]

Encoding = Annotated[
    Text,
    rule("the name of an encoding, such as 'latin-1' or 'utf-16'", _is_encoding),
]

T = TypeVar("T")


def reader_options(card: DatasetCard, kind: type[T]) -> T:
    """What the card says to its reader, as that reader's options.

    Raises:
      UserError: an option is missing, unknown or not what it should be.
    """
    values = {key: value for key, value in card.reader.items() if key != "kind"}
    return checked(kind, values, card.path, "reader")


def split_name(value: str, key: str) -> str:
    """`train`, `validation` or `test` from what data sets call them.

    Args:
      value: what it is called.
      key: of the reader, which may say what other names mean.

    Raises:
      UserError: it is none of them.
    """
    name = normalized(value).strip().lower()
    name = SPLIT_ALIASES.get(name, name)
    if name not in SPLITS:
        raise UserError(
            f"split {value!r} is none of {', '.join(SPLITS)}; reader.{key} in the card "
            "says what others mean"
        )
    return name


def fixed_split(value: str | None) -> str | None:
    """None where the card's shares are to draw the split."""
    return None if value == "draw" else value


def find(folder: Path, places: str | tuple[str, ...]) -> Path | None:
    """The first of the places below `folder` that exists; `*` stands for any name."""
    return next(iter(find_all(folder, places)), None)


def find_all(folder: Path, places: str | tuple[str, ...]) -> list[Path]:
    """As `find`, but all that the place with a `*` in it stands for."""
    for place in [places] if isinstance(places, str) else places:
        if "*" in place:
            found = sorted(
                path
                for path in folder.glob(place)
                if not has_helper(path.relative_to(folder))
            )
            if found:
                return found
        elif found_there := on_disk(folder / place):
            return [found_there]
    return []


def require(
    card: DatasetCard, key: str, folder: Path, places: str | tuple[str, ...]
) -> Path:
    """`find`, or an error that lists where it was looked for.

    Raises:
      UserError: none of the places exists.
    """
    found = find(folder, places)
    if found is not None:
        return found
    tried = [places] if isinstance(places, str) else places
    paths = " or ".join(str(folder / place) for place in tried)
    raise UserError(
        f"{card.path}: key 'reader.{key}': no file or folder {paths}"
        + (f"\n\n{card.layout()}" if card.layout() else "")
    )


def root_folder(card: DatasetCard, root: str | tuple[str, ...]) -> Path:
    """The first of a reader's option `root` that exists in the data's folder."""
    return require(card, "root", card.data_folder(), root)


def first_group(pattern: str, text: str, key: str) -> str:
    """The first group that took part in the match.

    Raises:
      UserError: no match.
    """
    match = re.search(pattern, normalized(text))
    found = next((group for group in match.groups() if group), None) if match else None
    if found is None:
        raise UserError(f"no match for reader.{key} '{pattern}' in {text!r}")
    return found
