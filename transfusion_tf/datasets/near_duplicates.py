"""Images that show the same picture in other bytes: saved again, resized, brightened.

Two steps. A 64-bit perceptual hash finds candidates: the signs of the lowest cosine
frequencies of a 32-pixel thumbnail. But photographs of one organ resemble each other
(two fundi can be as near as 4 bits), so what remains of the thumbnails without
their smooth part, and without what all images of the set share, must correlate.

Measured on drawn fundi of 64 and 160 pixels, 300 and 120 of them, and on crops of
photographs: different images correlate up to 0.77; copies saved as JPEG of quality
75 or 30, at half or one and a half times the size, brighter, or with another gamma,
at least 0.86, and 0.76 for photographs at quality 30. Crops of a copy are not found.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import fft, ndimage

THUMBNAIL = 32

# Of 64 bits. Copies differ in up to 12.
MAX_DISTANCE = 12
MIN_CORRELATION = 0.82

# Images count as alike in their fine structure relative to what all share; with few
# images, what they share is not yet known.
_FEW = 10
_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class NearPair:
    """Two images that show the same picture.

    Attributes:
      first, second: positions, the smaller first.
      distance: bits in which the hashes differ.
      correlation: of what sets the thumbnails apart, up to 1.
    """

    first: int
    second: int
    distance: int
    correlation: float


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """uint64 [images] of uint8 [images, 32, 32] grey thumbnails."""
    result = np.empty(len(thumbnails), np.uint64)
    for rows in _blocks(len(thumbnails)):
        waves = fft.dctn(thumbnails[rows].astype(np.float32), axes=(1, 2), norm="ortho")
        low = waves[:, :8, :8].reshape(-1, 64)
        # The first is the mean brightness: no bit of its own.
        bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
        bits[:, 0] = False
        result[rows] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return result


def near_pairs(thumbnails: np.ndarray) -> list[NearPair]:
    """All pairs of images that are near duplicates.

    Every pair's hashes are compared, in blocks: 10 000 images take about a second.

    Args:
      thumbnails: uint8 [images, 32, 32], grey.

    Returns:
      The pairs, the most alike first.
    """
    if len(thumbnails) < 2:
        return []
    hashes = perceptual_hashes(thumbnails)
    details = _details(thumbnails)
    found = []
    for rows in _blocks(len(hashes)):
        later = slice(rows.start, None)
        distances = np.bitwise_count(hashes[rows, None] ^ hashes[None, later])
        # Above the diagonal: the pairs that were not seen yet.
        candidates = np.triu(distances <= MAX_DISTANCE, k=1)
        alike = _correlations(details[rows], details[later], candidates)
        for one, other in zip(*np.nonzero(alike >= MIN_CORRELATION), strict=True):
            found.append(
                NearPair(
                    int(one) + rows.start,
                    int(other) + rows.start,
                    int(distances[one, other]),
                    float(alike[one, other]),
                )
            )
    return sorted(found, key=lambda pair: (-pair.correlation, pair.first, pair.second))


def _correlations(
    firsts: np.ndarray, seconds: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Of the candidates; 0 elsewhere."""
    if candidates.mean() > 0.01:
        # Where all images are alike, one product of all is faster than a choice.
        return np.where(candidates, firsts @ seconds.T, 0)
    result = np.zeros(candidates.shape, np.float32)
    one, other = np.nonzero(candidates)
    for part in _blocks(len(one), 65536):
        result[one[part], other[part]] = np.einsum(
            "ij,ij->i", firsts[one[part]], seconds[other[part]]
        )
    return result


def _details(thumbnails: np.ndarray) -> np.ndarray:
    """float32 [images, 1024], unit length: what sets each image apart."""
    smooth = ndimage.uniform_filter(
        thumbnails.astype(np.float32), size=(0, 9, 9), mode="nearest"
    )
    details = (thumbnails - smooth).reshape(len(thumbnails), -1)
    details = _unit_length(details)
    count = len(details)
    return _unit_length(details - details.mean(axis=0) * (count / (count + _FEW)))


def _unit_length(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    # Blank images have no detail to compare: they resemble nothing.
    return (rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-3)).astype(
        np.float32
    )


def _blocks(length: int, size: int = _BLOCK) -> Iterator[slice]:
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
