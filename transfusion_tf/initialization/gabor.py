"""The bank of synthetic Gabor filters (Transfusion, appendix F.3).

The paper's printed snippet resizes kernels larger than 10 pixels and crops only
the others, which at sigma 2 (kernels of 11 and 13 pixels) would leave all filters
at 10x10 where the network wants 7x7. Its bookkeeping after the resize suggests that
the crop was meant to follow. Here both are done, in that order.
"""

import math

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gabor_kernel
from skimage.transform import resize

_FREQUENCIES = (0.08, 0.16, 0.25, 0.32)  # cycles a pixel
_SIGMA = 2.0  # pixels
_RESIZED = 10
_CROPPED = 7


def gabor_filter_bank(angles: int = 16) -> NDArray[np.float32]:
    """Real Gabor filters: each frequency at evenly spread angles.

    Args:
      angles: Orientations in half a turn. The paper has 16.

    Returns:
      `[4 * angles, 7, 7]` float32, by frequency (0.08, 0.16, 0.25 and 0.32
      cycles a pixel before resizing) and then by angle; not scaled.
    """
    return np.stack(
        [
            _gabor_filter(frequency, math.pi * index / angles)
            for frequency in _FREQUENCIES
            for index in range(angles)
        ]
    ).astype(np.float32)


def gabor_filters(count: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """As many filters as a layer has, at its kernel size.

    The four frequencies share the filters; the angles stay evenly spread: 64 filters
    are the paper's bank, 32 have every second of its angles, 128 twice as many. Sizes
    other than 7x7 are the same filters resized (smoothed first where smaller, so that
    fine stripes fade and do not alias).

    Args:
      count: Number of filters, at least 1.
      size: Height and width in pixels.

    Returns:
      `[count, height, width]` float32.
    """
    bank = gabor_filter_bank(math.ceil(count / len(_FREQUENCIES)))
    chosen = bank[np.arange(count) * len(bank) // count]
    if size == (_CROPPED, _CROPPED):
        return chosen
    return np.stack(
        [resize(kernel, size, anti_aliasing=True) for kernel in chosen]
    ).astype(np.float32)


def _gabor_filter(frequency: float, angle: float) -> NDArray[np.float64]:
    kernel = np.real(
        gabor_kernel(frequency, theta=angle, sigma_x=_SIGMA, sigma_y=_SIGMA)
    )
    if kernel.shape[0] > _RESIZED:
        kernel = resize(kernel, (_RESIZED, _RESIZED), anti_aliasing=True)
    start = (kernel.shape[0] - _CROPPED) // 2
    return kernel[start : start + _CROPPED, start : start + _CROPPED]
