"""Pictures made of pixels: sample images by class, first-layer filters."""

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from transfusion_tf.report.pictures import keep
from transfusion_tf.report.style import INK, WIDTH, styled

if TYPE_CHECKING:  # It brings TensorFlow, which an audit can do without.
    from transfusion_tf.report.results import Results

_LARGEST_SAMPLE = 256  # pixels
_MOST_FILTERS = 64
_FILTER_PIXELS = 5  # per weight, when drawn
_FOR, _AGAINST = (213.0, 94.0, 0.0), (0.0, 114.0, 178.0)  # Okabe and Ito's, RGB


def samples_by_class(
    images: np.ndarray, labels: np.ndarray, classes: Sequence[str], most: int = 6
) -> dict[str, list[np.ndarray]]:
    """Up to `most` images of every class, in the order they come.

    Args:
      images: uint8 [n, h, w, 3].
      labels: float [n, classes], NaN where unlabelled.
      classes: names, in order.
      most: images a class.
    """
    return {
        name: list(images[np.flatnonzero(labels[:, column] == 1)[:most]])
        for column, name in enumerate(classes)
    }


def filter_mosaic(kernels: np.ndarray, scale: float, columns: int = 8) -> np.ndarray:
    """Filters side by side as they would colour an image.

    Args:
      kernels: float [h, w, in, out]; three input channels are shown as RGB, any
        other number by its mean.
      scale: the weight that is drawn at full brightness; 0 is mid-grey.
      columns: filters a row.

    Returns:
      uint8 [rows, columns, 3], white between the filters.
    """
    kernels = kernels[..., :_MOST_FILTERS]
    if kernels.shape[2] != 3:
        kernels = kernels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    shades = 0.5 + 0.5 * kernels / max(scale, 1e-12)
    pixels = (255 * shades.clip(0, 1)).round().astype(np.uint8)
    height, width, _, count = pixels.shape
    cell_h, cell_w = (size * _FILTER_PIXELS + 3 for size in (height, width))
    rows = -(-count // columns)
    mosaic = np.full((rows * cell_h - 3, columns * cell_w - 3, 3), 255, np.uint8)
    for index in range(count):
        top, left = (index // columns) * cell_h, (index % columns) * cell_w
        large = pixels[..., index].repeat(_FILTER_PIXELS, 0).repeat(_FILTER_PIXELS, 1)
        mosaic[top : top + large.shape[0], left : left + large.shape[1]] = large
    return mosaic


def filter_change(initial: np.ndarray, best: np.ndarray) -> float:
    """How far training moved the filters: Frobenius norm of the change over that of
    the start; NaN when the start is all zero.
    """
    start = float(np.linalg.norm(initial))
    return float(np.linalg.norm(best - initial)) / start if start else float("nan")


def overlay(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """A pale grey image, coloured by what its pixels speak for.

    Args:
      image: uint8 [h, w, 3].
      saliency: uint8 of any size; orange above 128, blue below, grey at it.

    Returns:
      uint8 [h, w, 3].
    """
    height, width = image.shape[:2]
    resized = Image.fromarray(saliency).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    sign = (np.asarray(resized, float) - 128) / 127
    grey = np.asarray(Image.fromarray(image).convert("L"), float)[..., None]
    share = np.sqrt(np.abs(sign))[..., None]
    colour = np.where(sign[..., None] > 0, _FOR, _AGAINST)
    mixed = (1 - share) * (100 + 0.45 * grey) + share * colour
    return mixed.round().clip(0, 255).astype(np.uint8)


def data_uri(pixels: np.ndarray, kind: str) -> str:
    """The image as text to put into a page; `jpeg` is scaled down where large."""
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    if kind == "jpeg":
        picture.thumbnail((_LARGEST_SAMPLE, _LARGEST_SAMPLE))
        picture.save(buffer, "JPEG", quality=88)
    else:
        picture.save(buffer, "PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind};base64,{text}"


@dataclasses.dataclass(frozen=True)
class ShownImage:
    """Pictures of one image, one above the other, and the words below them.

    Attributes:
      sources: data URIs.
      words: lines.
      text: what is seen, for those who cannot see it.
    """

    sources: tuple[str, ...]
    words: tuple[str, ...]
    text: str


@dataclasses.dataclass(frozen=True)
class ImageRow:
    """Images that belong together.

    Attributes:
      name: of the row.
      said: beside the name.
      images: in order.
    """

    name: str
    said: str
    images: tuple[ShownImage, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a grid: pixels, and the words above it."""

    pixels: np.ndarray
    words: str = ""
    colour: str = INK


@styled
def picture_grid(rows: Sequence[Sequence[Tile]], title: str = "") -> Figure:
    """Pictures in rows from the left, none of them empty; shorter ones end early."""
    columns = max(map(len, rows))
    tiles = [tile for row in rows for tile in row]
    ratio = max(tile.pixels.shape[0] / tile.pixels.shape[1] for tile in tiles)
    height = len(rows) * (WIDTH / columns * ratio + 0.25) + (0.3 if title else 0)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for row, own in zip(panels, rows, strict=True):
        for axes, tile in zip(row, own, strict=False):
            axes.imshow(tile.pixels, interpolation="nearest")
            axes.set_title(tile.words, color=tile.colour, pad=4, fontsize=8.5)
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=9.5, fontweight="bold")
    return figure


def samples_figure(samples: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Sample images, a row of each name, which stands above its first image."""
    rows = [
        [Tile(image, "" if index else name) for index, image in enumerate(images)]
        for name, images in samples.items()
        if len(images)
    ]
    return picture_grid(rows)


def draw_samples(results: "Results", folder: Path) -> dict[str, list[str]]:
    """Sample images by class as data URIs; the figure of them into the folder."""
    run = results.record.runs[0]
    if not (run.directory.path / "samples.npz").exists():
        return {}
    samples = samples_by_class(*run.directory.samples(), run.dataset["classes"])
    if not any(samples.values()):
        return {}
    keep(samples_figure(samples), folder, "samples", "")
    return {
        name: [data_uri(image, "jpeg") for image in pictures]
        for name, pictures in samples.items()
    }


def class_counts(results: "Results") -> dict[str, int]:
    """Training images of every class, from the first run's data."""
    dataset = results.record.runs[0].dataset
    counts = dataset["counts"]["train"].get("classes", {})
    return {name: int(counts.get(name, 0)) for name in dataset["classes"]}
