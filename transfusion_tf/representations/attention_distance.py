"""How far the heads of a transformer look: mean attended distance, in pixels.

Feature reuse, appendix E, as Dosovitskiy et al. (ICLR 2021, section 4.5, figure 7) and
Raghu et al. (NeurIPS 2021, section 4) measure it: the distance between a query's patch
and the patches that it attends to, averaged with the attention weights, then over
queries and images.

What is attended to outside of the grid, the class token, has no distance. None of the
papers says what becomes of its weight. Here it is left out and the other weights of a
row are made to sum to 1 again, so that the distance says where a head looks when it
looks at the image, and not how much it looks at the class token; that share stands
beside it. The usual code leaves it out and does not make up for it, which shortens the
distances of heads that look at the class token: `renormalize=False`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.tokens import class_token_count

# Half precision rows sum to 1 but for so much.
_ROW_SUM_TOLERANCE = 2e-2


@dataclass(frozen=True)
class AttendedDistance:
    """Where one batch's attention goes.

    Attributes:
      distance: Mean attended distance of each image and head, in pixels, float64
        [batch, heads]; missing where a head looks at class tokens alone.
      class_token_share: Mean share of the spatial queries' attention that goes to
        class tokens, float64 [batch, heads] in [0, 1].
    """

    distance: np.ndarray
    class_token_share: np.ndarray


def attended_distance(
    attention: Any,
    patch_size: float,
    *,
    grid: tuple[int, int] | None = None,
    renormalize: bool = True,
) -> AttendedDistance:
    """Mean attended distance of each image and head.

    A pure function of attention weights. Class tokens stand before the spatial tokens,
    which stand row by row; class tokens' own queries are left out. For windowed
    attention give each window as an image of its own, and the window as the grid.

    Args:
      attention: Weights after the softmax, [batch, heads, tokens, tokens]: a row for
        each query, over the keys.
      patch_size: Pixels from one patch to the next.
      grid: Rows and columns of patches; None is the largest square that fits, with
        at most two class tokens.
      renormalize: Whether a row's weights on the grid are made to sum to 1.

    Raises:
      UserError: If the shape does not fit, a weight is negative, or rows do not sum
        to 1.
    """
    attention = tf.cast(tf.convert_to_tensor(attention), tf.float64)
    shape = tuple(attention.shape)
    if len(shape) != 4 or shape[2] != shape[3]:
        raise UserError(
            f"attention weights have shape {shape}; expected [batch, heads, tokens, "
            "tokens]"
        )
    rows, columns, before = _layout(shape[2], grid)
    sums = tf.reduce_sum(attention, axis=3)
    if bool(tf.reduce_any(attention < 0)):
        raise UserError(
            "an attention weight is negative: give them after the softmax, each from 0 "
            "to 1"
        )
    if not bool(tf.reduce_all(tf.abs(sums - 1) <= _ROW_SUM_TOLERANCE)):
        raise UserError(
            "attention weights of a query do not sum to 1: give them after the "
            "softmax, queries on the axis before the last"
        )
    on_grid = attention[:, :, before:, before:]
    mass = tf.reduce_sum(on_grid, axis=3)
    distances = tf.constant(patch_distances(rows, columns) * patch_size)
    travelled = tf.einsum("bhqk,qk->bhq", on_grid, distances)
    if renormalize:
        # Before the mean over queries: each of them counts alike, if it looks at all.
        looks = tf.cast(mass > 0, tf.float64)
        travelled = tf.math.divide_no_nan(travelled, mass)
        distance = tf.reduce_sum(travelled, axis=2) / tf.reduce_sum(looks, axis=2)
    else:
        distance = tf.reduce_mean(travelled, axis=2)
    share = 1 - tf.reduce_mean(mass / sums[:, :, before:], axis=2)
    return AttendedDistance(distance.numpy(), np.clip(share.numpy(), 0, 1))


def patch_distances(rows: int, columns: int) -> np.ndarray:
    """Distances of all pairs of patches of a grid, in patches, [patches, patches]."""
    places = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
    between = places[:, None] - places[None, :]
    return np.sqrt(np.sum(np.float64(between) ** 2, axis=2))


class AttentionMeans:
    """Mean attended distance of every head of every block, streamed over images.

    An image in which a head looks at class tokens alone has no distance there, and is
    left out of that head's mean. Memory: five numbers a head.

    Example:
      >>> means = AttentionMeans(["block1", "block2"], patch_size=16)
      >>> for attention in batches:       # a list of [n, heads, tokens, tokens]
      ...     means.update(attention)
      >>> means.table()
    """

    def __init__(
        self,
        blocks: Sequence[str],
        patch_size: float,
        *,
        grid: tuple[int, int] | None = None,
        renormalize: bool = True,
    ):
        self.blocks = tuple(blocks)
        self._patch_size = patch_size
        self._grid = grid
        self._renormalize = renormalize
        self._found: list[_Sums | None] = [None] * len(self.blocks)

    def update(self, attention: Sequence) -> None:
        """Adds a batch of images.

        Args:
          attention: One array or tensor a block, as `attended_distance` takes them.

        Raises:
          UserError: As `attended_distance`; if the number of blocks or of a block's
            heads does not fit.
        """
        if len(attention) != len(self.blocks):
            raise UserError(
                f"got attention of {len(attention)} blocks, expected "
                f"{len(self.blocks)}: {', '.join(self.blocks)}"
            )
        batch = []
        for name, weights, sums in zip(
            self.blocks, attention, self._found, strict=True
        ):
            found = attended_distance(
                weights,
                self._patch_size,
                grid=self._grid,
                renormalize=self._renormalize,
            )
            if sums is not None and found.distance.shape[1] != len(sums.distance):
                raise UserError(
                    f"{name} has {found.distance.shape[1]} heads, and had "
                    f"{len(sums.distance)} in earlier batches"
                )
            batch.append(_Sums.of(found))
        self._found = [
            new if sums is None else sums + new
            for sums, new in zip(self._found, batch, strict=True)
        ]

    def table(self) -> pd.DataFrame:
        """What has been seen so far.

        Returns:
          One row a head: `block`, `position` (of the block, from 0), `head` (from
          0), `distance` (mean over images that have one, pixels; missing for none),
          `std` (between them, divided by their number less 1; missing for one),
          `class_token_share` (mean over all images, in [0, 1]), `images` (all),
          `images_without_distance`.

        Raises:
          UserError: If no batch was added.
        """
        rows = []
        for position, (block, sums) in enumerate(
            zip(self.blocks, self._found, strict=True)
        ):
            if sums is None:
                raise UserError("no batch was added: call update first")
            mean, spread, share = sums.summary()
            for head in range(len(mean)):
                rows.append(
                    {
                        "block": block,
                        "position": position,
                        "head": head,
                        "distance": mean[head],
                        "std": spread[head],
                        "class_token_share": share[head],
                        "images": sums.images,
                        "images_without_distance": sums.images - sums.counts[head],
                    }
                )
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Sums:
    """Sums over images, each [heads]; squares about the mean.

    `counts` images have a distance; `distance` and `squares` are theirs.
    """

    images: int
    counts: np.ndarray
    distance: np.ndarray
    squares: np.ndarray
    share: np.ndarray

    @staticmethod
    def of(found: AttendedDistance) -> "_Sums":
        known = ~np.isnan(found.distance)
        counts = known.sum(axis=0)
        distance = np.where(known, found.distance, 0).sum(axis=0)
        about = np.where(known, found.distance - _mean(distance, counts), 0)
        return _Sums(
            len(found.distance),
            counts,
            distance,
            (about**2).sum(axis=0),
            found.class_token_share.sum(axis=0),
        )

    def __add__(self, other: "_Sums") -> "_Sums":
        counts = self.counts + other.counts
        apart = _mean(self.distance, self.counts) - _mean(other.distance, other.counts)
        between = _mean(apart**2 * self.counts * other.counts, counts)
        # Where one side has no distances, nothing lies between the two.
        between = np.where((self.counts > 0) & (other.counts > 0), between, 0)
        return _Sums(
            self.images + other.images,
            counts,
            self.distance + other.distance,
            self.squares + other.squares + between,
            self.share + other.share,
        )

    def summary(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean distance, its standard deviation between images, mean share."""
        return (
            _mean(self.distance, self.counts),
            np.sqrt(_mean(self.squares, self.counts - 1)),
            self.share / self.images,
        )


def _mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """NaN where nothing was counted."""
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def _layout(tokens: int, grid: tuple[int, int] | None) -> tuple[int, int, int]:
    """Rows, columns, and how many class tokens stand before them."""
    if grid is None:
        before = class_token_count(tokens)
        side = round((tokens - before) ** 0.5)
        return side, side, before
    if len(grid) != 2 or not all(isinstance(n, Integral) and n > 0 for n in grid):
        raise UserError(
            f"the grid should be rows and columns of patches, 1 or more, got {grid}"
        )
    rows, columns = grid
    before = tokens - rows * columns
    if before < 0:
        raise UserError(
            f"a grid of {rows} × {columns} patches has more than the {tokens} tokens "
            "that there is attention for"
        )
    return rows, columns, before
