"""When what stands in the data and what stands in a card are the same name."""

import decimal
import functools
import re
import unicodedata
from collections.abc import Iterable

# Also as spreadsheets of other countries write them, "1,0", and as NumPy does,
# "1.000e+00".
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\d+\.\d+[eE][+-]\d\d|\d+,0{1,2})", re.ASCII)


def normalized(text: str) -> str:
    """The text with composed accents: "é" may be one character or two (Unicode NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def as_number(text: str) -> decimal.Decimal | None:
    """What plain digits stand for, exactly; None for any other text."""
    if not _NUMBER.fullmatch(text):
        return None
    return decimal.Decimal(text.replace(",", "."))


def without_decimals(text: str) -> str:
    """A whole number as it is counted: pandas writes "12.0" where a cell is blank."""
    return re.sub(r"^(\d+)\.0+$", r"\1", text)


def is_blank(text: str) -> bool:
    """Whether a cell is empty; pandas may write such a one as "nan"."""
    return text in ("", "nan", "NaN")


def find_name(text: str, names: Iterable[str]) -> str | None:
    """The one of the names that the text is, or None.

    Accents count in either of their Unicode forms, and numbers by their value: "1.0"
    is "1", unless it could be "01" just as well.
    """
    names = tuple(names)
    text = normalized(text)
    if text in names:
        return text
    number = as_number(text)
    same = _by_text(names).get(text) or _by_value(names).get(number, ())
    return same[0] if len(same) == 1 else None


# Asked with each row of a table. What is kept are the few lists of names of the cards
# that were read last.
@functools.lru_cache(maxsize=16)
def _by_text(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return _grouped((normalized(name), name) for name in names)


@functools.lru_cache(maxsize=16)
def _by_value(names: tuple[str, ...]) -> dict[object, tuple[str, ...]]:
    pairs = ((as_number(name), name) for name in names)
    return _grouped((number, name) for number, name in pairs if number is not None)


def _grouped(pairs: Iterable[tuple[object, str]]) -> dict:
    found: dict[object, tuple[str, ...]] = {}
    for key, name in pairs:
        found[key] = (*found.get(key, ()), name)
    return found
