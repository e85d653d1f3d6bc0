"""Copies that were mirrored, or cut by a few per cent at their edges.

Two steps. What is coarse in thumbnails finds candidates: an image cropped by 3 % at
each side is compared with all others, so that a copy cropped by 0 to 6 % is at most 3 %
off. Then each candidate is laid onto the crop of the other image that it fits best, and
what is fine in both must correlate.

Measured on 1 000 chest radiographs of 256 pixels, 100 of them copied as JPEG of quality
75: laid onto each other, copies cropped by up to 6 % a side correlate by at least 0.92,
and the most alike of other patients by 0.90 (0.84 for 99 of 100). Of the copies,
mirrored or not, all are found that were cropped by up to 3 %, 98 by up to 6 %, 64 by up
to 10 %; no other pair is. 2 500 photographs and 2 000 radiographs of 28 pixels raise no
false alarm. Where the edge of a disc is what all images share, as in drawn fundi,
mirrored copies are found, but few that are cropped.
"""

import itertools

import numpy as np
from scipy import ndimage

from transfusion_tf.datasets.near_duplicates import (
    THUMBNAIL,
    NearPair,
    blocks,
    details,
    most_alike,
    perceptual_hashes,
)

MIN_CORRELATION = 0.91

# Of what is coarse; and how many of the most alike are looked at for each image.
_MIN_COARSE, _MOST = 0.65, 2
_SIGMA = 1.5
_MIDDLE = 0.03
_PAIRS = 64


def _resampling(before: float, after: float) -> np.ndarray:
    """float32 [32, 32]: rows of a thumbnail without a share at each end, linearly."""
    places = np.linspace(0, 1, THUMBNAIL, endpoint=False) + 0.5 / THUMBNAIL
    places = THUMBNAIL * (before + (1 - before - after) * places) - 0.5
    weights = 1 - np.abs(places[:, None] - np.arange(THUMBNAIL))
    return np.maximum(weights, 0).astype(np.float32)


# Shares cut off at the two ends of an axis; from the second all start.
_CUTS = tuple(itertools.product((0.0, 0.02, 0.04, 0.06, 0.08), repeat=2))
_START = (0.02, 0.02)
_TRIED = np.stack([_resampling(*cut) for cut in _CUTS])
# What fits no better with the best rows will not fit with the best columns.
_MIN_HALFWAY = 0.65


def altered_pairs(thumbnails: np.ndarray) -> list[NearPair]:
    """Pairs of images of which one is the other, mirrored or slightly cropped.

    All pairs are compared coarsely; 1 000 radiographs take 3 s of CPU.

    Args:
      thumbnails: uint8 [images, 32, 32], grey.

    Returns:
      The pairs, the most alike first.
    """
    if len(thumbnails) < 2:
        return []
    found: list[NearPair] = []
    hashes = perceptual_hashes(thumbnails)
    fine_mean = details(thumbnails)[1]
    for mirrored in (False, True):
        seen = thumbnails[:, :, ::-1] if mirrored else thumbnails
        others = perceptual_hashes(seen) if mirrored else hashes
        pairs = _candidates(thumbnails, seen)
        for part in blocks(len(pairs), _PAIRS):
            whole, cut = pairs[part].T
            alike = _laid_on(thumbnails[whole], seen[cut], fine_mean)
            for one, other, value in zip(whole, cut, alike, strict=True):
                if value < MIN_CORRELATION:
                    continue
                pair = NearPair(
                    int(min(one, other)),
                    int(max(one, other)),
                    int(np.bitwise_count(hashes[one] ^ others[other])),
                    float(value),
                    "mirrored" if mirrored else "cropped",
                )
                found.append(pair)
    return most_alike(found)


def _candidates(whole: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """int64 [pairs, 2]: of each whole image, the parts that are coarsely alike."""
    middle = _resampling(_MIDDLE, _MIDDLE)
    firsts = _coarse(middle @ whole.astype(np.float32) @ middle.T)
    seconds = _coarse(parts.astype(np.float32))
    found = []
    for rows in blocks(len(firsts)):
        alike = firsts[rows] @ seconds.T
        own = np.arange(rows.start, rows.start + len(alike))
        alike[np.arange(len(alike)), own] = 0
        most = min(_MOST, alike.shape[1] - 1)
        likely = np.argpartition(-alike, most, axis=1)[:, :most]
        one, place = np.nonzero(
            np.take_along_axis(alike, likely, axis=1) >= _MIN_COARSE
        )
        found.append(np.stack([own[one], likely[one, place]], axis=1))
    return np.concatenate(found)


def _coarse(pictures: np.ndarray) -> np.ndarray:
    """float32 [images, 256], unit length."""
    smooth = ndimage.gaussian_filter(pictures, (0, _SIGMA, _SIGMA), mode="nearest")
    half = smooth.reshape(len(smooth), 16, 2, 16, 2).mean(axis=(2, 4))
    return details(half, size=5)[0]


def _laid_on(whole: np.ndarray, parts: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Correlations of parts with what they fit best in the whole images.

    Args:
      whole: [pairs, 32, 32].
      parts: [pairs, 32, 32], what may be cut from them.
      mean: of what is fine in all images, which no pair has for itself.
    """
    target = details(parts, mean=mean)[0]
    whole = whole.astype(np.float32)
    columns = np.full(len(whole), _CUTS.index(_START))
    best = np.zeros(len(whole))
    going = np.arange(len(whole))
    for _ in range(2):
        # The rows of all cuts with the columns of the best, and the other way round.
        narrow = whole[going] @ _TRIED[columns[going]].transpose(0, 2, 1)
        rows, best[going] = _best_cut(narrow, target[going], mean, turned=False)
        hopeful = best[going] >= _MIN_HALFWAY
        going, rows = going[hopeful], rows[hopeful]
        if not len(going):
            break
        low = (_TRIED[rows] @ whole[going]).transpose(0, 2, 1)
        columns[going], best[going] = _best_cut(low, target[going], mean, turned=True)
    return best


def _best_cut(
    pictures: np.ndarray,
    target: np.ndarray,
    mean: np.ndarray,
    *,
    turned: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Which cut of the rows fits the target best, and how well."""
    tried = _TRIED[None] @ pictures[:, None]
    if turned:
        tried = tried.transpose(0, 1, 3, 2)
    flat = tried.reshape(-1, THUMBNAIL, THUMBNAIL)
    found = details(flat, mean=mean)[0].reshape(len(pictures), len(_TRIED), -1)
    alike = np.einsum("pcd,pd->pc", found, target)
    return alike.argmax(axis=1), alike.max(axis=1)
