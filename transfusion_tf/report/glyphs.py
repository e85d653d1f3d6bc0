"""Characters of names that the font of figures has not, such as Chinese ones."""

import contextlib
import functools
import sys
import warnings
from collections.abc import Iterator

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

FONT = "DejaVu Sans"


@contextlib.contextmanager
def text_where_glyphs_are_missing(figure: Figure) -> Iterator[None]:
    """A block in which the figure's SVG keeps its text as text if its font lacks some.

    The reader's browser then draws it, with whatever fonts are there; else text is
    outlines, which look the same everywhere. A PNG file has boxes in these places:
    said in one line, once, where matplotlib would for each glyph and figure.
    """
    with warnings.catch_warnings():
        if not missing_glyphs(figure):
            yield
            return
        _say()
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font")
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            yield


def missing_glyphs(figure: Figure) -> str:
    """The characters in the figure that its font cannot draw, sorted."""
    characters = {
        character for text in figure.findobj(Text) for character in text.get_text()
    }
    return "".join(sorted(c for c in characters if c.isprintable() and not _has(c)))


@functools.cache
def _has(character: str) -> bool:
    font = get_font(findfont(FontProperties(family=FONT)))
    return bool(font.get_char_index(ord(character)))


@functools.cache
def _say() -> None:
    print(
        f"note: {FONT} has no glyphs for some of the names: PNG files of figures have "
        "boxes there; the page and SVG files show them as the reader's browser can",
        file=sys.stderr,
        flush=True,
    )
