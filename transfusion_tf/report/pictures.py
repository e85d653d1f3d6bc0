"""Figures as the page shows them, kept as PNG and SVG."""

import base64
import dataclasses
import re
from pathlib import Path

from matplotlib.figure import Figure

from transfusion_tf import files
from transfusion_tf.report import style


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure as the page shows it.

    Attributes:
      name: of its files, without suffix.
      source: the figure as a data URI.
      text: what it shows, for those who cannot see it.
    """

    name: str
    source: str
    text: str


def keep(figure: Figure, folder: Path, name: str, text: str) -> Picture:
    """Writes `<name>.svg` and `<name>.png`; the picture for the page."""
    style.lay_out(figure)
    encoded = {kind: style.encode(figure, kind) for kind in ("svg", "png")}
    for kind, content in encoded.items():
        with files.replacing(folder / f"{name}.{kind}") as temporary:
            temporary.write_bytes(content)
    source = base64.b64encode(encoded["svg"]).decode()
    return Picture(name, f"data:image/svg+xml;base64,{source}", text)


def slug(text: str) -> str:
    """A file name made of it."""
    return re.sub(r"[^\w]+", "-", text).strip("-")
