"""What readers ask of a card's options, and where the data that they name lie."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.errors import UserError, one_of

# In place of a split's name: the card's shares draw it, patient by patient.
DRAW = "draw"


def is_text(value: Any) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and bool(value)


def are_texts(value: Any) -> bool:
    """A list of such texts, not empty."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def is_list(value: Any) -> bool:
    """A list of texts, which may be empty ones."""
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def is_path(value: Any) -> bool:
    """A path, or a list of places to look for it, in that order."""
    return is_text(value) or are_texts(value)


def is_flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """A whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """A whole number above 0."""
    return is_whole(value) and value > 0


def is_pattern(value: Any) -> bool:
    """A regular expression with at least one group."""
    try:
        return re.compile(value).groups >= 1
    except (re.error, TypeError):
        return False


def is_table(value: Any) -> bool:
    """A TOML table."""
    return isinstance(value, dict)


def are_tables(value: Any) -> bool:
    """A list of TOML tables, not empty."""
    return isinstance(value, list) and bool(value) and all(map(is_table, value))


def check_table(
    card: DatasetCard,
    key: str,
    table: Mapping[str, Any],
    options: Mapping[str, Callable[[Any], bool]],
    required: tuple[str, ...] = (),
) -> None:
    """Checks a table inside the reader's options.

    Raises:
      UserError: a key is missing, unknown or not valid.
    """
    for name in required:
        if name not in table:
            raise UserError(f"{card.path}: key 'reader.{key}.{name}' is missing")
    for name, value in table.items():
        if name not in options:
            raise UserError(
                f"{card.path}: {one_of(f'key in reader.{key}:', name, options)}"
            )
        if not options[name](value):
            raise UserError(
                f"{card.path}: key 'reader.{key}.{name}' is not valid: {value!r}"
            )


def split_name(value: str) -> str:
    """`train`, `validation` or `test` from what data sets call them.

    Raises:
      UserError: it is none of them.
    """
    aliases = {"val": "validation", "valid": "validation", "dev": "validation"}
    name = value.strip().lower()
    name = aliases.get(name, name)
    if name not in SPLITS:
        raise UserError(f"split {value!r} is none of {', '.join(SPLITS)}")
    return name


def is_split(value: Any) -> bool:
    """A split's name, or `draw`."""
    return value in (*SPLITS, DRAW)


def fixed_split(value: str | None) -> str | None:
    """None where the card's shares are to draw the split."""
    return None if value in (None, DRAW) else value


def find(folder: Path, places: str | list[str]) -> Path | None:
    """The first of the places below `folder` that exists; `*` stands for any name."""
    for place in [places] if isinstance(places, str) else places:
        if "*" in place:
            found = sorted(folder.glob(place))
            if found:
                return found[0]
        elif (folder / place).exists():
            return folder / place
    return None


def require(card: DatasetCard, key: str, folder: Path, places: str | list[str]) -> Path:
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


def root_folder(card: DatasetCard, options: Mapping[str, Any]) -> Path:
    """The data's folder, or the first of the option `root` that exists in it."""
    return require(card, "root", card.data_folder(), options.get("root", "."))


def first_group(pattern: str, text: str, key: str) -> str:
    """The first group that took part in the match.

    Raises:
      UserError: no match.
    """
    match = re.search(pattern, text)
    found = next((group for group in match.groups() if group), None) if match else None
    if found is None:
        raise UserError(f"no match for reader.{key} {pattern!r} in {text!r}")
    return found
