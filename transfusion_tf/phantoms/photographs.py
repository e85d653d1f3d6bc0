"""Crops of real photographs: the source domain of donors trained without a download.

The photographs are those that ship inside the scikit-image and scikit-learn
wheels; the label of a crop is the photograph that it comes from. Each photograph is
cut into three strips, for training, validation and test, and a crop only ever sees
its own strip.
"""

import dataclasses
import functools
import importlib.metadata
import importlib.resources
import math

import numpy as np
from PIL import Image

from transfusion_tf.phantoms.canvas import random_stream

# Name -> (package, distribution, file). Drawings, text, medical images and the
# second picture of the stereo pair are left out.
_SKIMAGE = ("skimage.data", "scikit-image")
_SKLEARN = ("sklearn.datasets.images", "scikit-learn")
_FILES = {
    "astronaut": (*_SKIMAGE, "astronaut.png"),
    "brick": (*_SKIMAGE, "brick.png"),
    "camera": (*_SKIMAGE, "camera.png"),
    "cat": (*_SKIMAGE, "chelsea.png"),
    "china": (*_SKLEARN, "china.jpg"),
    "coffee": (*_SKIMAGE, "coffee.png"),
    "coins": (*_SKIMAGE, "coins.png"),
    "flower": (*_SKLEARN, "flower.jpg"),
    "galaxies": (*_SKIMAGE, "hubble_deep_field.jpg"),
    "grass": (*_SKIMAGE, "grass.png"),
    "gravel": (*_SKIMAGE, "gravel.png"),
    "moon": (*_SKIMAGE, "moon.png"),
    "motorcycle": (*_SKIMAGE, "motorcycle_left.png"),
    "rocket": (*_SKIMAGE, "rocket.jpg"),
}
_SPLITS = ("train", "validation", "test")
# Where the strips end, as shares of the photograph's width: left, middle and right.
# Where the right shows nothing but backdrop, they lie on top of each other instead.
_STRIP_ENDS = (0.0, 0.70, 0.85, 1.0)
_STACKED = frozenset({"astronaut", "cat", "flower", "rocket"})
_SCALES = (0.15, 0.7)
_LARGEST_TILT = math.radians(20.0)
# A crop of bare sky or backdrop is drawn again: tries, and the standard deviation
# of grey (0 to 1) that will do.
_TRIES = 4
_ENOUGH_DETAIL = 0.04
_CHOICE, _CROP, _COLOR = range(3)


@dataclasses.dataclass(frozen=True)
class PhotographMetadata:
    """What is known of a crop without drawing it.

    Attributes:
      example_id: such as `crop000123`.
      patient_id: the same: each crop is a group of its own.
      label: index into `photograph_names()`.
      split: `train`, `validation` or `test`; says which strip the crop is from.
    """

    example_id: str
    patient_id: str
    label: int
    split: str


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Where in a photograph a crop lies, in pixels of the photograph.

    Attributes:
      center: (x, y) from the photograph's top left corner.
      sides: width and height of the crop before it is turned.
      angle: by which the crop is turned, radians.
    """

    center: tuple[float, float]
    sides: tuple[float, float]
    angle: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright box around the turned crop: left, top, right, bottom."""
        reach_x, reach_y = _reach(self.sides, self.angle)
        x, y = self.center
        return x - reach_x, y - reach_y, x + reach_x, y + reach_y


def photograph_names() -> tuple[str, ...]:
    """Names of the photographs, sorted; a label is an index into them."""
    return tuple(_FILES)


def load_photograph(name: str) -> np.ndarray:
    """A whole photograph, [height, width, 3] uint8 RGB, read-only.

    Raises:
      FileNotFoundError: if the installed wheel does not hold it.
      ValueError: if there is no photograph of that name.
    """
    if name not in _FILES:
        names = ", ".join(photograph_names())
        raise ValueError(f"no photograph is called {name!r}; there are {names}")
    return _load(name)


def photograph_strip(name: str, split: str) -> tuple[int, int, int, int]:
    """The part of a photograph that is a split's: left, top, right, bottom pixel."""
    height, width = load_photograph(name).shape[:2]
    part = _SPLITS.index(split)
    first, last = _STRIP_ENDS[part], _STRIP_ENDS[part + 1]
    if name in _STACKED:
        return 0, round(first * height), width, round(last * height)
    return round(first * width), 0, round(last * width), height


def photograph_metadata(
    index: int, *, seed: int = 0, validation_share: float = 0.15
) -> PhotographMetadata:
    """Identity, label and split of a crop; cheap, no photograph is opened.

    Args:
      index: 0, 1, 2, ...
      seed: of the whole data set.
      validation_share: share of the crops that go to validation, and again to test.

    Raises:
      ValueError: if the index or the seed is negative or the share is not in
        [0, 0.5).
    """
    if index < 0 or seed < 0:
        raise ValueError(f"index {index} and seed {seed} must not be negative")
    if not 0 <= validation_share < 0.5:
        raise ValueError(
            f"validation_share is {validation_share}; it must be at least 0 and "
            "less than 0.5, for validation and test each take that share"
        )
    label_draw, split_draw = random_stream(seed, _CHOICE, index).random(2)
    if split_draw < 1.0 - 2.0 * validation_share:
        split = "train"
    else:
        split = "validation" if split_draw < 1.0 - validation_share else "test"
    name = f"crop{index:06d}"
    return PhotographMetadata(name, name, int(label_draw * len(_FILES)), split)


def draw_photograph_crop(
    index: int, *, seed: int = 0, size: int, validation_share: float = 0.15
) -> np.ndarray:
    """Cut, turn and recolour a crop of a photograph.

    The crop's side is 0.15 to 0.7 of the photograph's shorter side, if its strip is
    wide enough; it may be turned, mirrored, and shifted in brightness, contrast and
    colour, so that texture and shape tell the photograph, not its palette.

    Args:
      index: 0, 1, 2, ...
      seed: of the whole data set.
      size: pixels along an axis.
      validation_share: as for `photograph_metadata`.

    Returns:
      [size, size, 3] uint8 RGB, a pure function of the arguments.

    Raises:
      FileNotFoundError: if an installed wheel does not hold its photographs.
      ValueError: if an argument is out of its range.
    """
    if size < 1:
        raise ValueError(f"size is {size}; it must be at least 1 pixel")
    metadata = photograph_metadata(index, seed=seed, validation_share=validation_share)
    footprint = _footprint(random_stream(seed, _CROP, index), metadata)
    name = photograph_names()[metadata.label]
    crop = _cut(_strip(name, metadata.split), footprint, size)
    rng = random_stream(seed, _COLOR, index)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return recolor(rng, crop)


def recolor(rng: np.random.Generator, crop: np.ndarray) -> np.ndarray:
    """Jitter brightness, contrast and colour; now and then take the colour away.

    Args:
      rng: source of the changes.
      crop: [height, width, 3] float32, RGB, about 0 to 1.

    Returns:
      [height, width, 3] uint8.
    """
    grey = crop.mean(axis=-1, keepdims=True)
    saturation = 0.0 if rng.random() < 0.2 else rng.uniform(0.3, 1.4)
    crop = grey + np.float32(saturation) * (crop - grey)
    if rng.random() < 0.3:
        crop = crop[..., rng.permutation(3)]
    gains = np.exp(rng.normal(0.0, 0.18, 3)).astype(np.float32)
    contrast = np.float32(rng.uniform(0.6, 1.5))
    brightness = np.float32(rng.uniform(-0.15, 0.15))
    middle = crop.mean()
    crop = ((crop - middle) * contrast + middle) * gains + brightness
    return (np.clip(crop, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(
        np.uint8
    )


@functools.lru_cache(maxsize=len(_FILES))
def _load(name: str) -> np.ndarray:
    package, distribution, file = _FILES[name]
    resource = importlib.resources.files(package).joinpath(file)
    if not resource.is_file():
        version = importlib.metadata.version(distribution)
        raise FileNotFoundError(
            f"{distribution} {version} has no {file} among its data; the crops need "
            f"a {distribution} wheel that ships it (0.26.0 of scikit-image and 1.9.1 "
            "of scikit-learn do)"
        )
    with resource.open("rb") as stream:
        pixels = np.array(Image.open(stream).convert("RGB"))
    pixels.setflags(write=False)
    return pixels


@functools.lru_cache(maxsize=len(_FILES) * len(_SPLITS))
def _strip(name: str, split: str) -> tuple[Image.Image, int, int]:
    """A split's strip by itself, and its left and top pixel in the photograph."""
    left, top, right, bottom = photograph_strip(name, split)
    pixels = np.ascontiguousarray(_load(name)[top:bottom, left:right])
    return Image.fromarray(pixels), left, top


def _footprint(rng: np.random.Generator, metadata: PhotographMetadata) -> Footprint:
    """Draw footprints until one shows something; the last one stands regardless."""
    name = photograph_names()[metadata.label]
    strip = _strip(name, metadata.split)
    shorter_side = min(load_photograph(name).shape[:2])
    for _ in range(_TRIES):
        footprint = _any_footprint(rng, strip, shorter_side)
        if _cut(strip, footprint, 12).mean(axis=-1).std() > _ENOUGH_DETAIL:
            break
    return footprint


def _any_footprint(
    rng: np.random.Generator, strip: tuple[Image.Image, int, int], shorter_side: int
) -> Footprint:
    image, left, top = strip
    side = shorter_side * math.exp(rng.uniform(*np.log(_SCALES)))
    stretch = math.exp(rng.uniform(-0.2, 0.2))
    angle = rng.uniform(-_LARGEST_TILT, _LARGEST_TILT) + math.pi / 2 * rng.integers(4)
    reach_x, reach_y = _reach((side * stretch, side / stretch), angle)
    # A crop too large for its strip shrinks to fit.
    shrink = min(1.0, image.width / (2 * reach_x), image.height / (2 * reach_y))
    margin_x = image.width / 2 - shrink * reach_x
    margin_y = image.height / 2 - shrink * reach_y
    x = left + image.width / 2 + margin_x * rng.uniform(-1.0, 1.0)
    y = top + image.height / 2 + margin_y * rng.uniform(-1.0, 1.0)
    side *= shrink
    return Footprint((x, y), (side * stretch, side / stretch), float(angle))


def _reach(sides: tuple[float, float], angle: float) -> tuple[float, float]:
    """How far a turned rectangle reaches from its centre, across and down."""
    cos, sin = abs(math.cos(angle)) / 2, abs(math.sin(angle)) / 2
    return cos * sides[0] + sin * sides[1], sin * sides[0] + cos * sides[1]


def _cut(
    strip: tuple[Image.Image, int, int], footprint: Footprint, size: int
) -> np.ndarray:
    """Resample the footprint to [size, size, 3] float32 in [0, 1]."""
    image, left, top = strip
    x, y = footprint.center[0] - left, footprint.center[1] - top
    # Shrink by whole pixels first: bilinear sampling alone would alias.
    factor = max(1, int(min(footprint.sides) // (2 * size)))
    if factor > 1:
        box = _padded_box(footprint, image, left, top, factor)
        image = image.reduce(factor, box)
        x, y = (x - box[0]) / factor, (y - box[1]) / factor
    twice = 2 if min(footprint.sides) / factor > size else 1
    drawn = size * twice
    step_x, step_y = (side / factor / drawn for side in footprint.sides)
    cos, sin = math.cos(footprint.angle), math.sin(footprint.angle)
    across, down = (cos * step_x, sin * step_x), (-sin * step_y, cos * step_y)
    corner_x = x - drawn / 2 * (across[0] + down[0])
    corner_y = y - drawn / 2 * (across[1] + down[1])
    cut = image.transform(
        (drawn, drawn),
        Image.Transform.AFFINE,
        (across[0], down[0], corner_x, across[1], down[1], corner_y),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(cut.reduce(twice), dtype=np.float32) / np.float32(255.0)


def _padded_box(
    footprint: Footprint, image: Image.Image, left: int, top: int, factor: int
) -> tuple[int, int, int, int]:
    """The strip's pixels that the footprint needs, and a few around them."""
    box = footprint.box
    return (
        max(0, int(box[0]) - left - 2 * factor),
        max(0, int(box[1]) - top - 2 * factor),
        min(image.width, math.ceil(box[2]) - left + 2 * factor),
        min(image.height, math.ceil(box[3]) - top + 2 * factor),
    )
