"""Two pipelines: training repeats for ever, evaluation counts each example once."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from transfusion_tf.datasets import Augmentation, PreparedDataset
from transfusion_tf.datasets.splits import stable_hash
from transfusion_tf.input_pipeline.augmentation import color_draws
from transfusion_tf.input_pipeline.decoding import decode_center, decode_random
from transfusion_tf.input_pipeline.record_reader import record_reader
from transfusion_tf.recent import Recent

# Added to an image's seed, so that crop and colour do not share their draws.
_COLOR_STREAM = (1, 0)

_FEW_FILES = 32
_MOST_KEPT_BYTES = 1 << 28
_recent: Recent["_Traced"] = Recent(8)
_kept: Recent[list[dict[str, tf.Tensor]]] = Recent(
    _MOST_KEPT_BYTES,
    lambda batches: sum(batch["image"].shape.num_elements() for batch in batches),
)


def train_batches(
    prepared: PreparedDataset,
    batch_size: int,
    *,
    seed: int = 0,
    train_examples: int | None = None,
    augmentation: Augmentation | None = None,
    start_step: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless shuffled batches, a pure function of (seed, step).

    Every epoch is a permutation of the examples, computed index by index
    (`index_shuffle`), so no buffer is filled and `start_step` costs nothing.
    An image's random numbers come from (seed, epoch, example id): neither the
    parallelism nor the other rows change them.

    Args:
      prepared: a built data set.
      batch_size: examples a batch, over all devices together.
      seed: of order and augmentation.
      train_examples: size of the nested subset to use; None is all.
      augmentation: the card's by default.
      start_step: the step whose batch comes first.
      part: which of how many equal parts of each batch, for one of several workers;
        (0, 1) is the whole. Nothing else is read.

    Returns:
      Dataset of dicts: `image` uint8 [batch, size, size, 3]; `label` float32
      [batch, classes], NaN where unknown; `color` float32 [batch, 5] and `seed`
      int64 [batch, 2] for `Augmenter`; `index` int64 [batch], the row within the
      split's (sub)set.
    """
    augmentation = augmentation or prepared.card.augmentation
    rows = prepared.examples("train", train_examples)
    number, parts = part
    size = batch_size // parts
    key = (*_content(prepared, rows), batch_size, size, repr(augmentation))

    def trace() -> _Traced:
        return _Traced(
            _training_pipeline(prepared, rows, batch_size, size, augmentation)
        )

    # A reader holds the files open that it reads.
    few = rows["file"].nunique() <= _FEW_FILES
    traced = _recent.get(key, trace) if few else trace()
    return traced(tf.constant(seed), start_step * batch_size + number * size)


def _training_pipeline(
    prepared: PreparedDataset,
    rows: pd.DataFrame,
    batch_size: int,
    size: int,
    augmentation: Augmentation,
) -> Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset]:
    """From a run's seed and its first position in the data to its batches of `size`.

    Batches start `batch_size` positions apart: other workers read what is between.
    """
    card = prepared.card
    count = len(rows)
    read = record_reader(prepared, rows)
    labels = tf.constant(prepared.labels(rows))
    keys = tf.constant(_keys(rows))

    def pipeline(seed: tf.Tensor, first: tf.Tensor) -> tf.data.Dataset:
        def locate(start: tf.Tensor) -> tuple[tf.Tensor, ...]:
            positions = start + tf.range(size, dtype=tf.int64)
            epochs = positions // count
            run_seed = tf.fill(tf.shape(epochs), tf.cast(seed, tf.int64))
            # tf.random.experimental.index_shuffle pads a matrix of seeds wrongly.
            indices = tf.raw_ops.RandomIndexShuffle(
                index=positions % count,
                seed=tf.stack([run_seed, epochs, tf.zeros_like(epochs)], axis=1),
                max_index=tf.constant(count - 1, tf.int64),
            )
            return read(indices), indices, epochs

        def load(jpeg: tf.Tensor, index: tf.Tensor, epoch: tf.Tensor) -> dict:
            own_seed = _fold(seed, epoch, keys[index])
            return {
                "image": decode_random(
                    jpeg, own_seed, card.stored_size, card.image_size, augmentation
                ),
                "label": labels[index],
                "color": color_draws(own_seed + _COLOR_STREAM, augmentation),
                "seed": own_seed,
                "index": index,
            }

        # Where the batches begin; then all positions of each.
        last = np.iinfo(np.int64).max - size
        dataset = tf.data.Dataset.range(first, last, batch_size)
        dataset = _mapped(dataset, locate, 2)
        dataset = _mapped(dataset.unbatch(), load)
        return _untuned(dataset.batch(size, drop_remainder=True).prefetch(2))

    return pipeline


class _Traced:
    """A pipeline that is traced once; each call makes a dataset in milliseconds.

    Tracing takes 0.2 s, as long as a step or two.
    """

    def __init__(self, pipeline: Callable[..., tf.data.Dataset]):
        self._element_spec: Any = None

        @tf.function(autograph=False)
        def make(seed: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
            dataset = pipeline(seed, first)
            self._element_spec = dataset.element_spec
            return tf.data.experimental.to_variant(dataset)

        self._make = make

    def __call__(self, seed: tf.Tensor, first: int) -> tf.data.Dataset:
        """The dataset of a seed, from a position in the data on."""
        variant = self._make(seed, tf.constant(first, tf.int64))
        return tf.data.experimental.from_variant(variant, self._element_spec)


def eval_batches(
    prepared: PreparedDataset, split: str, batch_size: int, *, limit: int | None = None
) -> tf.data.Dataset:
    """Every example of a split once, in the order of the index; the last batch padded.

    Returns:
      Dataset of dicts: `image` uint8 [batch, size, size, 3], the centre; `label`
      float32 [batch, classes]; `mask` float32 [batch], 0 where an example only
      fills up the last batch; `index` int64 [batch].
    """
    card = prepared.card
    rows = prepared.examples(split, limit)
    count = len(rows)
    read = record_reader(prepared, rows)
    labels = tf.constant(prepared.labels(rows))
    padded = -(-count // batch_size) * batch_size

    def load(jpeg: tf.Tensor, index: tf.Tensor, mask: tf.Tensor) -> dict:
        return {
            "image": decode_center(jpeg, card.stored_size, card.image_size),
            "label": labels[index],
            "mask": mask,
            "index": index,
        }

    def locate(positions: tf.Tensor) -> tuple[tf.Tensor, ...]:
        indices = tf.minimum(positions, count - 1)
        return read(indices), indices, tf.cast(positions < count, tf.float32)

    dataset = tf.data.Dataset.range(padded).batch(batch_size, drop_remainder=True)
    dataset = _mapped(dataset, locate, 2)
    dataset = _mapped(dataset.unbatch(), load)
    return _untuned(dataset.batch(batch_size, drop_remainder=True).prefetch(2))


def kept_eval_batches(
    prepared: PreparedDataset, split: str, batch_size: int, *, limit: int | None = None
) -> Iterable[dict[str, tf.Tensor]]:
    """As `eval_batches`, decoded once in a process where they are few enough to keep.

    Short runs evaluate the same images again and again.
    """
    rows = prepared.examples(split, limit)
    image_bytes = 3 * prepared.card.image_size**2
    if len(rows) * image_bytes > _MOST_KEPT_BYTES // 2:
        return eval_batches(prepared, split, batch_size, limit=limit)
    key = (*_content(prepared, rows), batch_size)
    return _kept.get(
        key, lambda: list(eval_batches(prepared, split, batch_size, limit=limit))
    )


def _mapped(
    dataset: tf.data.Dataset,
    function: Callable[..., Any],
    calls: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """What the function makes of each element, in order, so many at once.

    It must not branch on a tensor in Python: converting it would take half a second.
    """
    plain = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(plain, num_parallel_calls=calls, deterministic=True)


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset with one call a core, and no thread that looks for a better number.

    An iterator at its end waits for that thread, which sleeps: 0.3 s after a second,
    1.2 s after 1.5, 4 s after 10.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _content(prepared: PreparedDataset, rows: pd.DataFrame) -> tuple:
    """What tells these rows of prepared data from any others."""
    digest = hashlib.sha256()
    for column in ("split", "file", "offset", "example_id"):
        digest.update("\n".join(map(str, rows[column])).encode())
    digest.update(prepared.labels(rows).tobytes())
    card = prepared.card
    sizes = (card.stored_size, card.image_size)
    return str(prepared.path), prepared.fingerprint, digest.hexdigest(), *sizes


def _keys(rows: pd.DataFrame) -> np.ndarray:
    """One int64 an example that depends on its id alone."""
    keys = [stable_hash("example", name) for name in rows["example_id"]]
    return np.array(keys, np.uint64).astype(np.int64)


def _fold(seed: int, epoch: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """int32 [2] seed from run seed, epoch and example."""
    own = tf.stack([tf.bitwise.right_shift(key, 32), key])
    own = tf.bitwise.bitwise_and(own, 0x7FFFFFFF)
    base = tf.cast(own, tf.int32)
    base = tf.random.experimental.stateless_fold_in(base, seed)
    return tf.random.experimental.stateless_fold_in(base, epoch)
