"""How many test patients a metric stands on, and where they are too few."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.estimates import LEAST_PATIENTS
from transfusion_tf.studies.study_folder import Run


def class_patients(runs: Sequence[Run]) -> dict[str, int]:
    """Class -> patients with a test image of it, in all test sets of the runs."""
    first, tables = runs[0], _tables(runs)
    return {
        name: _patients(tables, tables[f"label/{name}"] == 1)
        for name in (first.dataset["classes"] if len(tables) else ())
    }


def too_few_for_metric(runs: Sequence[Run]) -> str:
    """Which of the two sides that the main metric tells apart is too small, if any.

    Means over several classes have no two sides.
    """
    sides = _sides(runs)
    if not sides:
        return ""
    name = min(sides, key=lambda side: sides[side])
    if sides[name] >= LEAST_PATIENTS:
        return ""
    return f"too few test patients: {sides[name]} of {name}"


def _sides(runs: Sequence[Run]) -> Mapping[str, int]:
    """Patients on each of a metric's two sides; none where it has not two."""
    run, tables = runs[0], _tables(runs)
    classes = run.dataset["classes"]
    if not len(tables):
        return {}
    if run.metric == "referable_auc":
        first = run.dataset["referable_from"]
        upper = tables[[f"label/{name}" for name in classes[first:]]].max(axis=1) == 1
        above, below = f"{classes[first]} and up", f"below {classes[first]}"
        return {above: _patients(tables, upper), below: _patients(tables, ~upper)}
    if len(classes) == 1:
        own = tables[f"label/{classes[0]}"]
        return {
            classes[0]: _patients(tables, own == 1),
            f"no {classes[0]}": _patients(tables, own == 0),
        }
    return class_patients(runs) if len(classes) == 2 else {}


def _tables(runs: Sequence[Run]) -> pd.DataFrame:
    """The test examples of all runs, each once."""
    by_test_set = {run.config.fold: run for run in runs}
    tables = [run.test_labels for run in by_test_set.values()]
    return pd.concat(tables).drop_duplicates("example_id")


def _patients(table: pd.DataFrame, rows: "pd.Series[bool]") -> int:
    return int(table.loc[np.asarray(rows, bool), "patient_id"].nunique())
