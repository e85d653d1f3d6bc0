"""Fréchet distance between two sets of features, with what so few images leave open.

Heusel et al. (NeurIPS 2017): |μx - μy|² + tr(Σx + Σy - 2 (Σx Σy)^½), the squared
Wasserstein distance of two normal distributions. The feature-reuse paper (section 2,
table 1) measures by it how far a medical data set is from ImageNet.

The distance of finite samples is biased up, by about a constant over the number of
images, and a smaller data set looks more distant for no other reason. So beside the
plain value stands one corrected by the jackknife over blocks of images, which removes
that term as the extrapolation of Chong and Forsyth (CVPR 2020) does, and an interval.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy import stats

from transfusion_tf.errors import UserError
from transfusion_tf.representations.decompositions import eigh, singular_values
from transfusion_tf.representations.moments import Moments, RepresentationWarning

# Where nobody says how many.
_BLOCKS = 10
# A covariance needs two.
_BLOCK_IMAGES = 2


@dataclass(frozen=True)
class FrechetDistance:
    """A squared distance between two distributions of features.

    Attributes:
      value: The plain distance of the two samples, 0 or more; biased up.
      corrected: The same without the bias that falls with the number of images; an
        estimate of the distance of the populations that may fall below 0. NaN
        without blocks. With fewer images than features some bias is left.
      standard_error: Of `corrected`, by the jackknife over blocks; NaN without them.
      low: Lower end of the interval around `corrected` (Student, blocks - 1 degrees).
      high: Upper end. Both are NaN without blocks.
      level: Intended coverage of the interval.
      images_x: Images on one side.
      images_y: Images on the other.
      features: Their number.
    """

    value: float
    corrected: float
    standard_error: float
    low: float
    high: float
    level: float
    images_x: int
    images_y: int
    features: int


@dataclass(frozen=True)
class Gaussian:
    """What a set of features is reduced to.

    Attributes:
      count: Images.
      mean: [features] float64.
      covariance: [features, features] float64, divided by count - 1.
    """

    count: int
    mean: np.ndarray
    covariance: np.ndarray


class FeatureMoments:
    """Mean and covariance of features, streamed in float64.

    Memory: features² float64 numbers, and about 100 MB.

    Args:
      name: Whose features they are, for error messages.
    """

    def __init__(self, name: str = "the images"):
        self._name = name
        self._moments = Moments()

    def update(self, features: Any) -> None:
        """Adds [images, features], array or tensor.

        Raises:
          UserError: If the shape does not fit, or a feature is NaN or infinite.
        """
        _check_features(features, self._name)
        # Moments are of two sets: the first is what is wanted here.
        self._moments.update(features, features[:, :1])

    def gaussian(self) -> Gaussian:
        """What has been seen so far.

        Raises:
          UserError: If that is fewer than two images.
        """
        found = self._moments.covariances()
        return Gaussian(found.count, found.mean_x, found.xx)


def frechet_distance(
    x: Any,
    y: Any,
    *,
    blocks: int | None = None,
    groups_x: Sequence | None = None,
    groups_y: Sequence | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> FrechetDistance:
    """Fréchet distance of two sets of features.

    Args:
      x: [images_x, features], array or tensor; 2 images or more.
      y: [images_y, features]; other images.
      blocks: Into how many blocks each side is cut for the jackknife; 0 for none.
        None takes 10, or as many as there are images for, see `fitting_blocks`.
        Each costs a decomposition a side (seconds for 2048 features).
      groups_x: What the images belong to, such as their patients: images of one
        stay in one block. None takes each image for itself.
      groups_y: The same for y.
      level: Of the interval.
      seed: Which images make up a block.

    Raises:
      UserError: If shapes do not fit, there are too few images or groups for the
        blocks asked for, or a feature is NaN or infinite; the message names the
        set, and counts features from 0.

    Warns:
      RepresentationWarning: If a side has no more images than there are features.
    """
    given = [("x", np.asarray(x), groups_x), ("y", np.asarray(y), groups_y)]
    for name, features, _ in given:
        _check_features(features, name)
        warn_if_few(name, *features.shape)
    if blocks is None:
        counts = [(len(features), groups) for _, features, groups in given]
        blocks = fitting_blocks(counts, seed)
    sides = []
    for name, features, groups in given:
        parts = block_rows(len(features), blocks, groups, seed)
        moments = [FeatureMoments(name) for _ in parts]
        for part, rows in zip(moments, parts, strict=True):
            part.update(features[rows])
        sides.append([part.gaussian() for part in moments])
    return frechet_from_blocks(sides[0], sides[1], level=level)


def warn_if_few(described: str, images: int, features: int) -> None:
    """Warns, of the caller's caller, where a covariance has not its full rank."""
    if images <= features:
        warnings.warn(
            f"{described}: {images} images for {features} features leave a covariance "
            "of deficient rank, and the distance is biased up; compare distances of "
            "equally many images only",
            RepresentationWarning,
            stacklevel=3,
        )


def frechet_from_blocks(
    x: Sequence[Gaussian], y: Sequence[Gaussian], *, level: float = 0.95
) -> FrechetDistance:
    """Fréchet distance of two sets of features that came in blocks.

    Exact for covariances of any rank: null directions, which fewer images than
    features leave, are dropped before roots are taken.

    Args:
      x: One a block of images, of one side; one block alone gives no interval.
      y: The same of the other side.
      level: Of the interval.

    Raises:
      UserError: If there are no blocks, or the numbers of features differ.
    """
    if not x or not y or len(x[0].mean) != len(y[0].mean):
        raise UserError(
            "a Fréchet distance needs features of one network on both sides, got "
            + " and ".join(f"{len(s[0].mean) if s else 0} features" for s in (x, y))
        )
    if not 0 < level < 1:
        raise UserError(f"level should lie between 0 and 1, got {level}")
    whole_x, whole_y = _Side.of(pooled(x)), _Side.of(pooled(y))
    value = _distance(whole_x, whole_y)
    without_x = [_distance(_Side.of(pooled(rest)), whole_y) for rest in _rests(x)]
    without_y = [_distance(whole_x, _Side.of(pooled(rest))) for rest in _rests(y)]
    corrected, error = _jackknifed(value, [without_x, without_y])
    degrees = min(len(x), len(y)) - 1
    reach = stats.t.ppf((1 + level) / 2, degrees) * error if degrees else np.nan
    return FrechetDistance(
        value=value,
        corrected=corrected,
        standard_error=error,
        low=corrected - reach,
        high=corrected + reach,
        level=level,
        images_x=whole_x.gaussian.count,
        images_y=whole_y.gaussian.count,
        features=len(whole_x.gaussian.mean),
    )


def pooled(parts: Sequence[Gaussian]) -> Gaussian:
    """Mean and covariance of all images of several blocks together."""
    count = sum(part.count for part in parts)
    mean = np.average(
        [part.mean for part in parts], axis=0, weights=[part.count for part in parts]
    )
    scatter = np.zeros_like(parts[0].covariance)
    for part in parts:
        apart = part.mean - mean
        scatter += (part.count - 1) * part.covariance
        scatter += part.count * np.outer(apart, apart)
    return Gaussian(count, mean, scatter / (count - 1))


def block_rows(
    images: int, blocks: int, groups: Sequence | None = None, seed: int = 0
) -> list[np.ndarray]:
    """Cuts images into blocks at random, whole groups at a time.

    Args:
      images: How many there are.
      blocks: How many blocks; 0 or 1 is one of all.
      groups: [images], what they belong to; None is each to itself.
      seed: Of the cut.

    Returns:
      A block's rows, ascending; the blocks hold equally many groups, or one more.

    Raises:
      UserError: If a block would hold fewer than 2 images, the groups are not as
        many as the images, or the number of blocks is none.
    """
    if not isinstance(blocks, Integral) or blocks < 0:
        raise UserError(f"blocks must be a whole number from 0 up, got {blocks!r}")
    if images < _BLOCK_IMAGES:
        raise UserError(f"a Fréchet distance needs 2 images a side, got {images}")
    parts = _cut(images, max(blocks, 1), groups, seed)
    if min(map(len, parts)) < _BLOCK_IMAGES:
        of_groups = "" if groups is None else f" of {len(np.unique(groups))} groups"
        raise UserError(
            f"{images} images{of_groups} are too few for {blocks} blocks of "
            f"{_BLOCK_IMAGES} images or more: take fewer blocks, or 0 for no interval"
        )
    return parts


def fitting_blocks(
    sides: Sequence[tuple[int, Sequence | None]], seed: int = 0, most: int = _BLOCKS
) -> int:
    """The most blocks that every side's images can be cut into by `block_rows`.

    Args:
      sides: Images of each side, and what they belong to.
      seed: Of the cut.
      most: No more than so many.

    Returns:
      2 to `most`, or 0 where a side has too few images or groups for 2 blocks.

    Raises:
      UserError: If the groups are not as many as the images.
    """
    for blocks in range(most, 1, -1):
        cuts = [_cut(images, blocks, groups, seed) for images, groups in sides]
        if min(len(part) for parts in cuts for part in parts) >= _BLOCK_IMAGES:
            return blocks
    return 0


def _cut(
    images: int, blocks: int, groups: Sequence | None, seed: int
) -> list[np.ndarray]:
    own = np.arange(images) if groups is None else np.asarray(groups)
    if len(own) != images:
        raise UserError(f"{len(own)} groups for {images} images")
    names, member = np.unique(own, return_inverse=True)
    number = np.random.default_rng(seed).permutation(len(names)) % blocks
    return [np.flatnonzero(number[member] == block) for block in range(blocks)]


def _check_features(features: Any, name: str) -> None:
    """Raises UserError unless these are [images, features] of finite numbers."""
    if len(features.shape) != 2 or not features.shape[1]:
        raise UserError(
            f"features of {name} have shape {tuple(features.shape)}; expected [images, "
            "features]"
        )
    bad = np.flatnonzero(~np.isfinite(np.asarray(features)).all(axis=0))
    if len(bad):
        raise UserError(f"feature {bad[0]} of {name} is NaN or infinite")


@dataclass(frozen=True)
class _Side:
    """A Gaussian and a root of its covariance: `root @ root.T`, [features, rank]."""

    gaussian: Gaussian
    root: np.ndarray

    @staticmethod
    def of(gaussian: Gaussian) -> "_Side":
        values, vectors = eigh(gaussian.covariance)
        # Rounding gives null directions about this much; its root would be 1e-8.
        noise = len(values) * np.finfo(np.float64).eps * values.max(initial=0)
        kept = values > noise
        return _Side(gaussian, vectors[:, kept] * np.sqrt(values[kept]))


def _distance(x: _Side, y: _Side) -> float:
    # tr (Σx Σy)^½ is the sum of the singular values of rootxᵀ rooty, for any ranks.
    common = singular_values(x.root.T @ y.root).sum()
    spreads = np.trace(x.gaussian.covariance) + np.trace(y.gaussian.covariance)
    apart = np.sum((x.gaussian.mean - y.gaussian.mean) ** 2)
    return float(max(apart + spreads - 2 * common, 0.0))


def _rests(parts: Sequence[Gaussian]) -> list[list[Gaussian]]:
    """The blocks without each of them in turn; nothing for one block."""
    if len(parts) < 2:
        return []
    return [[p for p in parts if p is not left_out] for left_out in parts]


def _jackknifed(
    value: float, without: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """The value without its first-order bias, and its standard error.

    Args:
      value: Of all images.
      without: For each side, the values without each of its blocks.
    """
    if not all(without):
        return np.nan, np.nan
    corrected, variance = value, 0.0
    for values in without:
        others = len(values) - 1
        corrected += others * (value - float(np.mean(values)))
        variance += others * float(np.var(values))
    return corrected, float(np.sqrt(variance))
