"""How well the features of each part of a network tell the classes apart, by k-NN.

Feature reuse, figure 6 and appendix B. One forward pass over the training images and
one over the test images serve all parts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import one_of
from transfusion_tf.representations.knn import Neighbours, at_most, check_k
from transfusion_tf.representations.parts import KINDS, Part, model_parts
from transfusion_tf.representations.snapshots import Graph, Model, Snapshot
from transfusion_tf.representations.tokens import (
    TOKENS,
    class_tokens_of,
    pooled_tokens,
    token_kinds,
)
from transfusion_tf.representations.votes import TEMPERATURE, check_vote

# Rows of the images, int [n], and the images, [n or more, height, width, 3]: those
# after the rows' fill up the batch, so that one graph serves all batches.
Batch = tuple[np.ndarray, tf.Tensor]
# A part, and which of its tokens.
_Key = tuple[str, str]


@dataclass(frozen=True)
class KNNSettings:
    """How neighbours are found and vote; the defaults are the paper's.

    Attributes:
      kind: Whose features: of each `layer`, `unit`, `branch` (the paper's) or
        `stage`. A convolutional part's are averaged over space.
      k: Neighbours.
      vote: `majority`, or `softmax` (see `knn_predict`).
      temperature: Of the softmax vote.
      tokens: Of transformers: any of `class`, `spatial` (mean) and `both`, one
        after the other.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.
    """

    kind: str = "stage"
    k: int = 200
    vote: str = "majority"
    temperature: float = TEMPERATURE
    tokens: tuple[str, ...] = TOKENS
    batch_size: int = 32
    progress: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise one_of("kind of part", self.kind, KINDS)
        check_k(self.k)
        check_vote(self.vote, self.temperature)
        for tokens in self.tokens:
            if tokens not in TOKENS:
                raise one_of("kind of tokens", tokens, TOKENS)


def knn_by_part(
    model: Model,
    train: Iterable[Batch],
    train_labels: np.ndarray,
    images: Iterable[Batch],
    score: Callable[[np.ndarray], float],
    settings: KNNSettings = KNNSettings(),
) -> pd.DataFrame:
    """What the nearest training images say of other images, part by part.

    Training images without any label are left out. Training features are never kept:
    memory is 4 bytes per image and channel of all parts together, 12 k bytes per image
    and part, and about 100 MB.

    Args:
      model: A model with known stages.
      train: Batches of the training images, each image once.
      train_labels: Of their rows, [rows, classes]; NaN where unlabelled.
      images: Batches of the images to be classified, whose rows are 0, 1, 2, …
      score: Evaluates the votes' shares, [images, classes] in the order of the rows.
      settings: How neighbours are found and vote.

    Returns:
      One row per part and kind of tokens, from the input up, the head's logits last:
      `kind`, `part`, `stage`, `position` (from 0 at the input), `tokens` (`spatial`
      throughout for convolutional networks), `channels`, `value` (the score), `k`,
      `vote`, `train_images`, `images`.

    Raises:
      UserError: If the stages are not known, or a feature is NaN or infinite.

    Warns:
      RepresentationWarning: If there are fewer than k training images.
    """
    reader = _FeatureReader(model, settings)
    queries = _all_features(reader, images, settings)
    with_label = ~np.isnan(train_labels).all(axis=1)
    k = at_most(settings.k, int(with_label.sum()))
    neighbours = {key: Neighbours(values, k) for key, values in queries.items()}
    seen = _find_neighbours(reader, neighbours, train, with_label, settings)
    seen_labels = train_labels[seen]
    table = []
    for key, part, position in reader.keys:
        shares = neighbours[key].vote(seen_labels, settings.vote, settings.temperature)
        table.append(
            {
                "kind": settings.kind,
                "part": part.name,
                "stage": part.stage,
                "position": position,
                "tokens": key[1],
                "channels": int(queries[key].shape[1]),
                "value": score(shares),
                "k": k,
                "vote": settings.vote,
                "train_images": len(seen_labels),
                "images": len(shares),
            }
        )
    return pd.DataFrame(table)


def _find_neighbours(
    reader: "_FeatureReader",
    neighbours: Mapping[_Key, Neighbours],
    train: Iterable[Batch],
    with_label: np.ndarray,
    settings: KNNSettings,
) -> np.ndarray:
    """Shows all labelled training images to the neighbours; the rows, as shown."""
    order = []
    for rows, features in _features(
        reader, train, "reading training features", settings
    ):
        kept = np.flatnonzero(with_label[rows])
        order.append(rows[kept])
        for key, values in features.items():
            neighbours[key].update(tf.gather(values, kept))
    return np.concatenate(order)


class _FeatureReader:
    """Pooled features of all parts in one forward pass.

    Attributes:
      keys: Each with its part and the part's position.
    """

    def __init__(self, model: Model, settings: KNNSettings):
        snapshot = Snapshot.of(model)
        self._graph = snapshot.graph.once(
            ("features", settings.kind, settings.tokens),
            lambda: _FeatureGraph(snapshot.graph, settings),
        )
        self._weights = snapshot.weights
        self.keys = self._graph.keys

    def read(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Images [n, height, width, 3] to [n, channels], one a key."""
        return self._graph.read(self._weights, images)


class _FeatureGraph:
    """A function from weights and images to the features of all parts."""

    def __init__(self, graph: Graph, settings: KNNSettings):
        model = graph.model
        parts = [p for p in model_parts(model, settings.kind) if p.output is not None]
        outputs: list[Any] = [part.output for part in parts]
        self._class_tokens = class_tokens_of(model)
        self.keys: list[tuple[_Key, Part, int]] = []
        for position, (part, output) in enumerate(zip(parts, outputs, strict=True)):
            kinds = token_kinds(output.shape, self._class_tokens)
            # What has no class token stands beside every kind of tokens.
            wanted = settings.tokens if len(kinds) > 1 else kinds
            self.keys += [((part.name, kind), part, position) for kind in wanted]
        self._outputs = keras.Model(model.inputs, outputs)
        self._parts = [part.name for part in parts]
        self.read = graph.function(self._forward)

    def _forward(self, images: tf.Tensor) -> list[tf.Tensor]:
        outputs = self._outputs(tf.cast(images, tf.float32), training=False)
        found = dict(zip(self._parts, outputs, strict=True))
        return [
            pooled_tokens(found[name], tokens, self._class_tokens)
            for (name, tokens), *_ in self.keys
        ]


def _features(
    reader: _FeatureReader, batches: Iterable[Batch], what: str, settings: KNNSettings
) -> Iterator[tuple[np.ndarray, dict[_Key, tf.Tensor]]]:
    """Rows and their features, batch by batch."""
    for rows, images in tqdm(
        batches,
        desc=what,
        unit="batch",
        disable=not settings.progress,
    ):
        found = zip(reader.keys, reader.read(images), strict=True)
        yield rows, {key: values[: len(rows)] for (key, *_), values in found}


def _all_features(
    reader: _FeatureReader, batches: Iterable[Batch], settings: KNNSettings
) -> dict[_Key, tf.Tensor]:
    """Features of all images, [images, channels] each, in the order of their rows."""
    read: list[np.ndarray] = []
    parts: dict[_Key, list[tf.Tensor]] = {key: [] for key, *_ in reader.keys}
    for rows, features in _features(reader, batches, "reading features", settings):
        read.append(rows)
        for key, values in features.items():
            parts[key].append(values)
    order = np.argsort(np.concatenate(read))
    return {
        key: tf.gather(tf.concat(values, axis=0), order)
        for key, values in parts.items()
    }
