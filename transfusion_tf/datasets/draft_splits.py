"""What a first dataset card can say of the splits that data come in."""

import dataclasses
from collections.abc import Iterable

from transfusion_tf.datasets.card import SPLITS
from transfusion_tf.datasets.readers.options import SPLIT_ALIASES

SPLIT_NAMES = {*SPLITS, *SPLIT_ALIASES}
_STARTS = {"train": "train", "val": "validation", "test": "test"}


@dataclasses.dataclass(frozen=True)
class DataSplits:
    """What the data call their splits.

    Attributes:
      values: what each name means, for the card; empty where that goes without saying.
      missing: the split that is drawn of the training patients.
    """

    values: dict[str, str]
    missing: str = ""

    def shares(self) -> dict[str, float]:
        """For the card's table, where a split is drawn."""
        shares = {"train": 0.85, "validation": 0.0, "test": 0.0}
        return shares | {self.missing: 0.15}


def data_splits(names: Iterable[str]) -> DataSplits | None:
    """What names of splits mean; None where they are none, or only one split's."""
    meant = {}
    for name in sorted(set(names)):
        lower = name.lower()
        starts = (s for word, s in _STARTS.items() if lower.startswith(word))
        split = SPLIT_ALIASES.get(lower, next(starts, ""))
        if not split:
            return None
        meant[name] = split
    missing = [split for split in SPLITS if split not in meant.values()]
    if "train" in missing or len(missing) > 1:
        return None
    if missing:
        drawn = {n: "draw" if split == "train" else split for n, split in meant.items()}
        return DataSplits(drawn, missing[0])
    plain = all(name.lower() in SPLIT_NAMES for name in meant)
    return DataSplits({} if plain else meant)
