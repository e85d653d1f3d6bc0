"""How well the features of each part of a network tell the classes apart, by k-NN.

Feature reuse, figure 6 and appendix B. One forward pass over the training images and
one over the test images serve all parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.evaluation import compute_metrics
from transfusion_tf.input_pipeline import kept_eval_batches
from transfusion_tf.representations.knn import Neighbours, at_most, check_k
from transfusion_tf.representations.parts import KINDS, Part, model_parts
from transfusion_tf.representations.run_data import (
    labelled,
    run_dataset,
    run_labels,
)
from transfusion_tf.representations.run_models import run_snapshot
from transfusion_tf.representations.snapshots import Graph, Model, Snapshot
from transfusion_tf.representations.tokens import (
    TOKENS,
    class_tokens_of,
    pooled_tokens,
    token_kinds,
)
from transfusion_tf.representations.votes import TEMPERATURE, check_vote
from transfusion_tf.training import RunDirectory

# A part, and which of its tokens.
_Key = tuple[str, str]


@dataclass(frozen=True)
class KNNSettings:
    """How neighbours are found and vote; the defaults are the paper's.

    Attributes:
        kind: Whose features: of each `layer`, `unit` or `stage`. A convolutional
            part's are averaged over space.
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

    def __post_init__(self):
        if self.kind not in KINDS:
            raise one_of("kind of part", self.kind, KINDS)
        check_k(self.k)
        check_vote(self.vote, self.temperature)
        for tokens in self.tokens:
            if tokens not in TOKENS:
                raise one_of("kind of tokens", tokens, TOKENS)


def knn_by_part(
    model: Model,
    prepared: PreparedDataset,
    metric: str,
    *,
    split: str = "test",
    train_examples: int | None = None,
    settings: KNNSettings = KNNSettings(),
) -> pd.DataFrame:
    """A data set's metric from the nearest training images, part by part.

    Training images are seen as in evaluation, without augmentation; those without any
    label are left out. Training features are never kept: memory is 4 bytes a test
    image and channel of all parts together, 12 k bytes a test image and part, and
    about 100 MB.

    Args:
        model: A model with known stages, for images of the data set's size.
        prepared: The data set.
        metric: One of `transfusion_tf.evaluation.METRICS`.
        split: Whose images are classified: `test` or `validation`.
        train_examples: Size of the nested subset of training images; None is all.
        settings: How neighbours are found and vote.

    Returns:
        One row a part and kind of tokens, from the input up, the head's logits last:
        `kind`, `part`, `stage`, `position` (from 0 at the input), `tokens` (`spatial`
        throughout for convolutional networks), `channels`, `value` (of the metric;
        missing where undefined), `k`, `vote`, `metric`, `train_images`, `images`.

    Raises:
        UserError: If the split is empty, the training split has fewer examples than
            asked for, the stages are not known, or a feature is NaN or infinite.

    Warns:
        RepresentationWarning: If there are fewer than k training images.
    """
    reader = _FeatureReader(model, settings)
    queries, rows = _all_features(reader, prepared, split, settings)
    labels = prepared.labels(prepared.examples(split))[rows]
    train_labels = prepared.labels(prepared.examples("train", train_examples))
    with_label = ~np.isnan(train_labels).all(axis=1)
    k = at_most(settings.k, int(with_label.sum()))
    neighbours = {key: Neighbours(values, k) for key, values in queries.items()}
    order = []
    for read, features in _batches(reader, prepared, "train", settings, train_examples):
        kept = np.flatnonzero(with_label[read])
        order.append(read[kept])
        for key, values in features.items():
            neighbours[key].update(tf.gather(values, kept))
    train_labels = train_labels[np.concatenate(order)]
    card = prepared.card.labels
    table = []
    for key, part, position in reader.keys:
        shares = neighbours[key].vote(train_labels, settings.vote, settings.temperature)
        metrics = compute_metrics(
            labels, shares, card.classes, card.kind, card.referable_from
        )
        table.append(
            {
                "kind": settings.kind,
                "part": part.name,
                "stage": part.stage,
                "position": position,
                "tokens": key[1],
                "channels": int(queries[key].shape[1]),
                "value": metrics.get(metric, np.nan),
            }
        )
    return pd.DataFrame(table).assign(
        k=k,
        vote=settings.vote,
        metric=metric,
        train_images=len(train_labels),
        images=len(labels),
    )


def run_knn(
    run: str | Path,
    data_root: str | Path,
    *,
    weights: str = "best",
    split: str = "test",
    settings: KNNSettings = KNNSettings(),
) -> pd.DataFrame:
    """`knn_by_part` of a run, with the run's metric and training images.

    Args:
        run: A run directory.
        data_root: Where prepared data lie.
        weights: `initial` or `best`.
        split: `test` or `validation`.
        settings: How neighbours are found and vote.

    Returns:
        `run`, `model`, `initialization`, `weights`, `split`, and the columns of
        `knn_by_part`.

    Raises:
        UserError: As `knn_by_part`, `load_run_model` and `run_dataset`.
    """
    config = RunDirectory(run).config()
    table = knn_by_part(
        run_snapshot(run, weights),
        run_dataset(run, data_root),
        str(config.metric),
        split=split,
        train_examples=config.train_examples,
        settings=settings,
    )
    return labelled(table, run_labels(run) | {"weights": weights, "split": split})


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


def _batches(
    reader: _FeatureReader,
    prepared: PreparedDataset,
    split: str,
    settings: KNNSettings,
    limit: int | None = None,
) -> Iterator[tuple[np.ndarray, dict[_Key, tf.Tensor]]]:
    """Rows of the split and their features, batch by batch."""
    batches = kept_eval_batches(prepared, split, settings.batch_size, limit=limit)
    for batch in tqdm(
        batches,
        desc=f"reading {split} features",
        unit="batch",
        disable=not settings.progress,
    ):
        kept = np.flatnonzero(batch["mask"].numpy() > 0)
        features = {
            key: tf.gather(values, kept)
            for (key, *_), values in zip(
                reader.keys, reader.read(batch["image"]), strict=True
            )
        }
        yield batch["index"].numpy()[kept], features


def _all_features(
    reader: _FeatureReader,
    prepared: PreparedDataset,
    split: str,
    settings: KNNSettings,
) -> tuple[dict[_Key, tf.Tensor], np.ndarray]:
    """Features of the whole split, [images, channels] each, and the images' rows."""
    if prepared.examples(split).empty:
        raise UserError(
            f"data set {prepared.card.name!r} has no {split} examples: its "
            "card's [splits] leave none"
        )
    rows: list[np.ndarray] = []
    parts: dict[_Key, list[tf.Tensor]] = {key: [] for key, *_ in reader.keys}
    for batch_rows, features in _batches(reader, prepared, split, settings):
        rows.append(batch_rows)
        for key, values in features.items():
            parts[key].append(values)
    together = {key: tf.concat(values, axis=0) for key, values in parts.items()}
    return together, np.concatenate(rows)
