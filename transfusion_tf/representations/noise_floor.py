"""What a similarity scores when there is nothing to find.

CCA on few points is high for unrelated activations too: with 64 channels, about 0.50
at 200 points, 0.12 at 3136, 0.07 at 10 000. A score means what it exceeds that by.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import RepresentationWarning, check_points


@dataclass(frozen=True)
class NoiseFloor:
    """A measure's scores after its points were matched at random.

    Attributes:
      mean: Mean score over the repeats: the floor.
      std: Their standard deviation (divided by repeats - 1; 0 for one repeat).
      values: The score of each repeat.
    """

    mean: float
    std: float
    values: tuple[float, ...]


def noise_floor(
    measure: Callable[[Any, Any], Any],
    x: Any,
    y: Any,
    *,
    points_per_image: int = 1,
    repeats: int = 5,
    seed: int = 0,
) -> NoiseFloor:
    """Scores x against y with the points of y permuted.

    Args:
      measure: `cca`, `svcca`, `pwcca`, `cka`, `procrustes`, or any function of
        (x, y) that returns a number or something with a `value`.
      x: [points, channels_x], array or tensor.
      y: [points, channels_y].
      points_per_image: Permute blocks of so many consecutive points instead of
        single ones. Neighbouring positions are alike, so that single points
        understate the floor of spatial activations; whole images keep it.
      repeats: How many permutations.
      seed: Seed of the permutations.

    Raises:
      UserError: If the numbers of points differ, or the points are not a whole
        number of images, two or more.
    """
    check_points(x, y)
    points = int(y.shape[0])
    images, rest = divmod(points, points_per_image)
    if rest or images < 2:
        raise UserError(
            f"{points} points are not two or more images of {points_per_image} "
            "points: nothing can be permuted"
        )
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        order = np.arange(points).reshape(images, points_per_image)
        shuffled = rng.permutation(order, axis=0).ravel()
        permuted = tf.gather(y, shuffled) if tf.is_tensor(y) else y[shuffled]
        with warnings.catch_warnings():
            # Too few points: said of the score itself, and what the floor is for.
            warnings.simplefilter("ignore", RepresentationWarning)
            values.append(score(measure(x, permuted)))
    return NoiseFloor(
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if repeats > 1 else 0.0,
        values=tuple(values),
    )


def score(result: Any) -> float:
    """The one number of a measure's result."""
    return float(getattr(result, "value", result))
