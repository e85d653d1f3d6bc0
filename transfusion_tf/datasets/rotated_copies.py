"""Copies that were rotated by a few degrees about their middle.

Thumbnails are rotated and compared within a disc, which the corners that a rotation
fills do not reach, as near copies are. Rotation smooths what is fine, so that what is
left of different images is more alike than without; copies are the more so.

Measured on 1 000 chest radiographs of 256 pixels, 150 of them rotated by up to 6
degrees and saved as JPEG of quality 75: with corners filled black, grey or by
reflection, copies correlate by at least 0.948, different patients' by 0.86. Most alike
of 5 030 radiographs of 28 pixels, beside their near copies: 0.938. What was enlarged as
well, or shrunk so that no corner is lost, is not found.
"""

import itertools

import numpy as np
from scipy import ndimage

from transfusion_tf.datasets.near_duplicates import (
    THUMBNAIL,
    NearPair,
    details,
    most_alike,
    pairs_of,
    perceptual_hashes,
)

MIN_CORRELATION = 0.94

# Hashes see the corners; of copies, one in 150 differs by more.
_MAX_DISTANCE = 16
# Degrees. One that lies between two of them is no more than half a pixel off.
_ANGLES = (-6.0, -4.5, -3.0, -1.5, 1.5, 3.0, 4.5, 6.0)
_RADIUS = 13


def rotated_pairs(thumbnails: np.ndarray) -> list[NearPair]:
    """Pairs of images of which one is the other, rotated by up to some 6 degrees.

    1 000 radiographs take a second of CPU.

    Args:
      thumbnails: uint8 [images, 32, 32], grey.

    Returns:
      The pairs, the most alike first.
    """
    if len(thumbnails) < 2:
        return []
    rows, columns = np.indices((THUMBNAIL, THUMBNAIL)) - (THUMBNAIL - 1) / 2
    disc = rows**2 + columns**2 <= _RADIUS**2
    hashes = perceptual_hashes(thumbnails)
    fine, mean = details(thumbnails, within=disc)
    found = itertools.chain.from_iterable(
        pairs_of(
            (hashes, fine),
            (perceptual_hashes(turned), details(turned, mean=mean, within=disc)[0]),
            "rotated",
            max_distance=_MAX_DISTANCE,
            min_correlation=MIN_CORRELATION,
        )
        for turned in (_rotated(thumbnails, angle) for angle in _ANGLES)
    )
    return most_alike(found)


def _rotated(thumbnails: np.ndarray, degrees: float) -> np.ndarray:
    return ndimage.rotate(
        thumbnails, degrees, axes=(1, 2), reshape=False, order=1, mode="nearest"
    )
