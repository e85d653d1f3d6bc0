"""The TFDS builder of a card. Imported only while building: it brings TensorFlow."""

import contextlib
import itertools
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers import Example


class StableSerializer(example_serializer.ExampleSerializer):
    """Writes the features of an example in one order.

    TFDS leaves the order to protobuf's hash table, which differs from process to
    process, and so would the bytes of a data set that is built twice.
    """

    def serialize_example(self, example: Any) -> bytes:
        """The example as a serialized `tf.train.Example`."""
        return self.get_tf_example(example).SerializeToString(deterministic=True)


@contextlib.contextmanager
def stable_bytes() -> Iterator[None]:
    """Has TFDS use `StableSerializer`, for which it has no option."""
    theirs = example_serializer.ExampleSerializer
    example_serializer.ExampleSerializer = StableSerializer
    try:
        yield
    finally:
        example_serializer.ExampleSerializer = theirs


class CardBuilder(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Writes records that were encoded elsewhere; use `make_builder`."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, *, card: DatasetCard, generators: Mapping[str, Any], **kwargs: Any
    ):
        self._card = card
        self._generators = generators
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        card = self._card
        side = card.stored_size
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{card.title}. {card.note}".strip(),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(side, side, 3), encoding_format="jpeg"
                    ),
                    "label": tfds.features.Tensor(
                        shape=(len(card.labels.classes),), dtype=np.float32
                    ),
                    "example_id": tfds.features.Text(),
                    "patient_id": tfds.features.Text(),
                }
            ),
            metadata=tfds.core.MetadataDict(
                classes=list(card.labels.classes), kind=card.labels.kind
            ),
            disable_shuffling=False,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # Nothing is downloaded: cards say where files must lie.
        return dict(self._generators)

    def _generate_examples(self, **kwargs: Any) -> Any:
        raise NotImplementedError("splits carry their generators")


def as_features(example: Example, jpeg: bytes) -> tuple[str, dict[str, Any]]:
    """An example and its image as TFDS takes them: key, features."""
    return (
        example.example_id,
        {
            "image": jpeg,
            "label": np.array(example.labels, np.float32),
            "example_id": example.example_id,
            "patient_id": example.patient_id,
        },
    )


class _BySplit:
    """Divides one stream of records, ordered by split, into a generator a split.

    They must be consumed in that order, as TFDS does.
    """

    def __init__(self, records: Iterable[tuple[str, Example, bytes]]):
        self._records = iter(records)
        # The first record of the next split, which ended the one before.
        self._held: list[tuple[str, Example, bytes]] = []

    def __call__(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        held, self._held = self._held, []
        for own_split, example, jpeg in itertools.chain(held, self._records):
            if own_split != split:
                self._held = [(own_split, example, jpeg)]
                return
            yield as_features(example, jpeg)


def make_builder(
    card: DatasetCard,
    version_dir: Path,
    splits: Sequence[str],
    records: Iterable[tuple[str, Example, bytes]],
) -> CardBuilder:
    """A builder whose files land in `version_dir` (`<root>/<name>/<config>/<version>`).

    Args:
      card: names the data set and its features.
      version_dir: must not exist yet; it appears whole or not at all.
      splits: the names that occur in `records`, in their order.
      records: (split, example, JPEG), ordered by split.
    """
    of_split = _BySplit(records)
    return _make(card, version_dir, {split: of_split(split) for split in splits})


def make_beam_builder(
    card: DatasetCard, version_dir: Path, transforms: Mapping[str, Any]
) -> CardBuilder:
    """The same for Apache Beam.

    Args:
      card: names the data set and its features.
      version_dir: as for `make_builder`.
      transforms: a Beam PTransform a split that makes what `as_features` makes.
    """
    return _make(card, version_dir, transforms)


def _make(
    card: DatasetCard, version_dir: Path, generators: Mapping[str, Any]
) -> CardBuilder:
    config = tfds.core.BuilderConfig(name=version_dir.parent.name)
    # TFDS names a data set after its builder's class.
    named = types.new_class(
        "NamedCardBuilder",
        (CardBuilder,),
        {"skip_registration": True},
        lambda namespace: namespace.update(name=card.name),
    )
    return named(
        card=card,
        generators=generators,
        data_dir=str(version_dir.parent.parent.parent),
        config=config,
    )
