"""`measurements.parquet`: all that was measured in a study, one row per number.

`docs/measurements.md` describes the columns. Beside it lies `bootstrap.parquet`: the
main metric of every run in every bootstrap sample of its test patients. Runs on one
test set are drawn alike, so differences between them are paired.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from transfusion_tf import files

TABLE, BOOTSTRAP = "measurements.parquet", "bootstrap.parquet"

# What is measured, and where in the training, the network, and the data.
_WHAT = ("quantity", "unit", "value")
_WHERE = ("split", "step", "stage", "position", "stage_b", "position_b")
_WHERE_TEXT = ("class", "item")
# Which run, or pair of runs, or of states of one run.
RUN_COLUMNS = (
    "dataset",
    "model",
    "initialization",
    "donor",
    "donor_run",
    "frozen",
    "head_first",
    "train_examples",
    "seed",
    "fold",
    "donor_seed",
)
_PAIR = ("run", "weights", "run_b", "weights_b", "initialization_b", "donor_b")
COLUMNS = (
    *_WHAT,
    *_PAIR[:2],
    *RUN_COLUMNS,
    *_PAIR[2:],
    "seed_b",
    *_WHERE,
    *_WHERE_TEXT,
    "repeat",
)
_INTEGERS = (
    "train_examples",
    "seed",
    "fold",
    "donor_seed",
    "seed_b",
    "step",
    "position",
    "position_b",
    "repeat",
)
_BOOTSTRAP = ("run", "split", "examples", "patients", "rarer_patients", "draws")
_CONTENT = b"transfusion_tf.content"


@dataclasses.dataclass(frozen=True)
class PatientDraws:
    """The main metric of one run on the patients of one split.

    Attributes:
      draws: float64 [samples], the metric in every bootstrap sample of the patients.
      patients: how many there are.
      fingerprint: of examples and patients; runs of equal ones are drawn alike.
      rarer: how many are on the rarer side of the metric.
    """

    draws: np.ndarray = dataclasses.field(repr=False, compare=False)
    patients: int
    fingerprint: str
    rarer: int


@dataclasses.dataclass(frozen=True, eq=False)
class Measurements:
    """A study's table.

    Attributes:
      rows: one row per number, with `COLUMNS`; missing is empty text, or NA.
      patient_draws: run -> its bootstrap draws, of runs with a test split.
      validation_draws: the same on validation, by the weights that were kept.
      test_to_train: run -> test images over training images, of runs that are a fold.
    """

    rows: pd.DataFrame
    patient_draws: Mapping[str, PatientDraws] = dataclasses.field(default_factory=dict)
    validation_draws: Mapping[str, PatientDraws] = dataclasses.field(
        default_factory=dict
    )
    test_to_train: Mapping[str, float] = dataclasses.field(default_factory=dict)
    _known: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False)

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """What is computed from the table once for a key, however often it is asked."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    @functools.cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run, by its id, with `RUN_COLUMNS`."""
        own = self.rows[self.rows["run"] != ""].drop_duplicates("run")
        return own.set_index("run")[list(RUN_COLUMNS)]

    @functools.cached_property
    def _by_quantity(self) -> Mapping[str, pd.DataFrame]:
        groups = self.rows.groupby("quantity", sort=False)
        return {str(name): part for name, part in groups}

    def of(self, quantity: str, **wanted: Any) -> pd.DataFrame:
        """The rows of one quantity whose columns have these values.

        Chapters and claims ask for the same rows, over and over: three of four calls
        are answered from what was found before.

        Args:
          quantity: its name; nothing is measured of an unknown one.
          **wanted: column -> value, or a list, set or tuple of values.
        """
        key = (
            quantity,
            *((name, _hashable(value)) for name, value in sorted(wanted.items())),
        )
        found = self.once(key, lambda: self._find(quantity, wanted))
        # Columns that a caller adds are its own.
        return found.copy(deep=False)

    def _find(self, quantity: str, wanted: Mapping[str, Any]) -> pd.DataFrame:
        found = self._by_quantity.get(quantity, self.rows.iloc[:0])
        chosen = np.ones(len(found), bool)
        for name, value in wanted.items():
            column = found["class" if name == "class_" else name]
            several = isinstance(value, (list, tuple, set, frozenset))
            same = column.isin(list(value)) if several else column == value
            chosen &= same.to_numpy(bool, na_value=False)
        return found[chosen]

    def write(self, folder: Path, content: str = "") -> None:
        """Writes both files.

        Args:
          folder: the study's.
          content: what it was made of, for `read` to compare.
        """
        table = pyarrow.Table.from_pandas(self.rows, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), _CONTENT: content.encode()}
        table = table.replace_schema_metadata(metadata)
        with files.replacing(folder / TABLE) as temporary:
            pyarrow.parquet.write_table(table, temporary)
        splits = {"test": self.patient_draws, "validation": self.validation_draws}
        rows = [
            {
                "run": run,
                "split": split,
                "examples": own.fingerprint,
                "patients": own.patients,
                "rarer_patients": own.rarer,
                "draws": own.draws,
            }
            for split, draws in splits.items()
            for run, own in sorted(draws.items())
        ]
        bootstrap = pd.DataFrame(rows, columns=list(_BOOTSTRAP))
        bootstrap["test_to_train"] = bootstrap["run"].map(dict(self.test_to_train))
        with files.replacing(folder / BOOTSTRAP) as temporary:
            bootstrap.to_parquet(temporary, index=False)


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, (list, set, frozenset)) else value


NOTHING = Measurements(pd.DataFrame(columns=list(COLUMNS)))


def read_measurements(folder: Path, content: str | None = None) -> Measurements | None:
    """What `Measurements.write` left there; None where it was made of something else.

    Args:
      folder: the study's.
      content: what it should have been made of; None takes it as it is.
    """
    if not (folder / TABLE).exists() or not (folder / BOOTSTRAP).exists():
        return None
    metadata = pyarrow.parquet.read_schema(folder / TABLE).metadata or {}
    if content is not None and metadata.get(_CONTENT, b"").decode() != content:
        return None
    bootstrap = pd.read_parquet(folder / BOOTSTRAP)
    by_split: dict[str, dict[str, PatientDraws]] = {"test": {}, "validation": {}}
    for row in bootstrap.to_dict("records"):
        by_split[row["split"]][row["run"]] = PatientDraws(
            np.asarray(row["draws"]),
            row["patients"],
            row["examples"],
            row["rarer_patients"],
        )
    ratios = bootstrap.dropna(subset="test_to_train").set_index("run")["test_to_train"]
    return Measurements(
        rows=pd.read_parquet(folder / TABLE),
        patient_draws=by_split["test"],
        validation_draws=by_split["validation"],
        test_to_train={str(run): float(value) for run, value in ratios.items()},
    )


def as_rows(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Frames with some of the columns, as one table with all of them.

    Raises:
      ValueError: a column that the table does not have.
    """
    kept = [part for part in parts if len(part)]
    table = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
    unknown = set(table.columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"not a column of measurements: {', '.join(sorted(unknown))}")
    table = table.reindex(columns=list(COLUMNS))
    for name in COLUMNS:
        if name == "value":
            table[name] = table[name].astype("float64")
        elif name == "head_first":
            table[name] = table[name].astype("boolean")
        elif name in _INTEGERS:
            table[name] = table[name].astype("Int64")
        else:
            table[name] = table[name].fillna("").astype(str)
    return table
