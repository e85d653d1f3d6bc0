"""All points rotated into few rows, exactly, where second moments lose digits."""

from typing import Any

import numpy as np

from transfusion_tf.representations.decompositions import triangular_factor
from transfusion_tf.representations.products import chunk_rows


def triangle(
    x: Any, y: Any, mean: np.ndarray, scale: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Upper triangle of the QR decomposition of both sides' centred, scaled points.

    Its columns have the inner products of the channels' correlations, but no product
    was formed, so that it holds as many digits as the points do. Taken a chunk at a
    time: memory does not grow with the number of points.

    Args:
      x: [points, channels_x], array or tensor.
      y: [points, channels_y].
      mean: [channels_x + channels_y].
      scale: [kept]; what to divide each by.
      kept: [channels_x + channels_y] bool: the channels to take.

    Returns:
      [kept, kept] float64, divided by the root of points - 1.
    """
    count, split = int(x.shape[0]), int(x.shape[1])
    rows = max(chunk_rows(len(kept)), 2 * len(scale))
    # A column of ones takes up what is left of the means once they are subtracted.
    found = np.zeros((0, 1 + len(scale)))
    for start in range(0, count, rows):
        stop = start + rows
        both = np.empty((min(stop, count) - start, len(kept)))
        both[:, :split] = x[start:stop]
        both[:, split:] = y[start:stop]
        points = (both - mean)[:, kept] / scale
        ones = np.ones((len(points), 1))
        found = triangular_factor(np.vstack([found, np.hstack([ones, points])]))
    return found[1:, 1:] / np.sqrt(count - 1)
