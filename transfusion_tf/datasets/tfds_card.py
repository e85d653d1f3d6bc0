"""The TFDS builder of a card. Imported only while building: it brings TensorFlow."""

import itertools
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers import Example


class CardBuilder(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Writes records that were encoded elsewhere; use `make_builder`."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        card: DatasetCard,
        splits: Sequence[str],
        records: Iterable[tuple[str, Example, bytes]],
        **kwargs: Any,
    ):
        self._card = card
        self._splits = splits
        self._records = iter(records)
        # The first record of the next split, which ended the one before.
        self._held: list[tuple[str, Example, bytes]] = []
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
        # Lazy: TFDS consumes one split after the other, as the records come.
        return {split: self._one_split(split) for split in self._splits}

    def _generate_examples(self, **kwargs: Any) -> Any:
        raise NotImplementedError("splits carry their generators")

    def _one_split(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for own_split, example, jpeg in itertools.chain(self._held, self._records):
            if own_split != split:
                self._held = [(own_split, example, jpeg)]
                return
            yield (
                example.example_id,
                {
                    "image": jpeg,
                    "label": np.array(example.labels, np.float32),
                    "example_id": example.example_id,
                    "patient_id": example.patient_id,
                },
            )


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
        splits=splits,
        records=records,
        data_dir=str(version_dir.parent.parent.parent),
        config=config,
    )
