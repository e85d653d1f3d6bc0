"""A built data set: where its examples are stored, what they are, which split is whose.

A cross-validation changes the splits alone: the stored examples stay as they are.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.problems import counts_by_kind, problem_table
from transfusion_tf.datasets.readers import Remark
from transfusion_tf.datasets.splits import fold_examples, subset_order
from transfusion_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A built data set.

    Attributes:
      card: what it was built from.
      path: the TFDS folder.
      fingerprint: of card and rows.
      index: a row a stored example: `split`, `file`, `offset` (bytes), `crc32` (of the
        record), `example_id`, `patient_id`, and `label/<class>`.
      left_out: a row for each row of the data set that could not be used: `file`,
        `row`, `image`, `kind` (what `problems.counts_by_kind` counts by) and
        `reason`; empty unless `max_bad_fraction` allowed some.
      excluded: rows that rules of the card leave out although nothing is wrong with
        them, by rule.
      remarks: what the reader says of the data beside its rows.
      whole: where the index is that of a fold, the data set with the card's splits.
    """

    card: DatasetCard
    path: Path
    fingerprint: str
    index: pd.DataFrame
    left_out: pd.DataFrame = dataclasses.field(
        default_factory=lambda: problem_table([])
    )
    excluded: Mapping[str, int] = dataclasses.field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    whole: "PreparedDataset | None" = dataclasses.field(
        default=None, repr=False, compare=False
    )

    def examples(self, split: str, limit: int | None = None) -> pd.DataFrame:
        """The index rows of a split, or of its nested subset of `limit` examples.

        Raises:
          UserError: the split holds fewer examples than `limit`.
        """
        rows = self.index[self.index["split"] == split]
        if limit is not None:
            if limit > len(rows):
                raise UserError(
                    f"--train_examples={limit}, but {self.card.name} has only "
                    f"{len(rows)} {split} examples"
                )
            order = subset_order(list(rows["example_id"]), self.card.splits.seed)
            rows = rows.iloc[order[:limit]]
        return rows.reset_index(drop=True)

    def labels(self, rows: pd.DataFrame) -> np.ndarray:
        """float32 [rows, classes]; NaN where a label is not known."""
        columns = [f"label/{name}" for name in self.card.labels.classes]
        return rows[columns].to_numpy(np.float32)

    def left_out_counts(self) -> dict[str, int]:
        """Rows that were left out, by reason, the most frequent first."""
        return counts_by_kind(self.left_out)

    def counts(self) -> dict[str, dict[str, Any]]:
        """By split: images, patients, and both of each class."""
        result = {}
        for split in SPLITS:
            rows = self.examples(split)
            labels, patients = self.labels(rows), rows["patient_id"]
            totals = np.nansum(labels, axis=0) if len(rows) else []
            result[split] = {
                "images": len(rows),
                "patients": int(patients.nunique()),
                "classes": dict(
                    zip(self.card.labels.classes, map(int, totals), strict=False)
                ),
                "class_patients": {
                    name: int(patients[labels[:, index] == 1].nunique())
                    for index, name in enumerate(self.card.labels.classes)
                },
            }
        return result

    def in_fold(
        self, fold: int | None, folds: int = 5, protocol: str = "separate"
    ) -> "PreparedDataset":
        """The same examples, with the splits of one fold of a cross-validation.

        All examples are dealt anew, whatever split the card puts them in, with the
        seed of the card's splits; `limit`ed subsets of a fold's training examples are
        nested as before.

        Args:
          fold: from 0 to folds - 1; None gives the card's splits back.
          folds: how many there are.
          protocol: see `fold_examples`. With `paper` the fold's examples are in the
            index twice, as validation and as test.

        Raises:
          UserError: no such fold or protocol, too few patients, or auxiliary classes,
            whose labels hang on the card's splits.
        """
        whole = self.whole or self
        if fold is None:
            return whole
        if self.card.labels.auxiliary:
            raise UserError(
                f"{self.card.name} can't be dealt into folds with uncertain = "
                "'multiclass': the rows of its test split have no label for uncertain; "
                "choose another way with labels.uncertain"
            )
        rows = whole.index
        dealt = fold_examples(
            list(rows["example_id"]),
            list(rows["patient_id"]),
            whole.labels(rows),
            fold,
            folds,
            protocol,
            self.card.splits.seed,
        )
        by_id = rows.set_index("example_id", drop=False)
        tables = [
            by_id.loc[list(getattr(dealt, split))].assign(split=split)
            for split in SPLITS
        ]
        index = pd.concat(tables, ignore_index=True)
        return dataclasses.replace(whole, index=index, whole=whole)
