"""Whether two runs err on the same test examples."""

from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import labels_and_probabilities, prediction_similarity
from transfusion_tf.training import RunDirectory


def compare_mistakes(run: str | Path, run_b: str | Path) -> pd.DataFrame:
    """The agreement of two runs on the test examples of both, as one row.

    Returns:
      `run`, `run_b`, `similarity` and `excess` (above that of independent mistakes),
      each with `_low` and `_high`, 95 % over patients; `independent`; `accuracy`,
      `accuracy_b`.

    Raises:
      UserError: If they were tested on different examples, or on none.
    """
    left, right = RunDirectory(run), RunDirectory(run_b)
    ours, theirs = (
        side.predictions("test").sort_values("example_id") for side in (left, right)
    )
    if list(ours["example_id"]) != list(theirs["example_id"]):
        raise UserError(
            f"{left.path.name} and {right.path.name} were tested on different examples"
        )
    if ours.empty:
        raise UserError(f"{left.path.name} has no test examples")
    dataset = left.dataset()
    labels, probabilities = labels_and_probabilities(ours, dataset["classes"])
    found = prediction_similarity(
        labels,
        probabilities,
        labels_and_probabilities(theirs, dataset["classes"])[1],
        ours["patient_id"].to_numpy(),
        dataset["kind"],
    )
    row: dict[str, Any] = {"run": left.path.name, "run_b": right.path.name}
    for name, interval in (("similarity", found.interval), ("excess", found.excess)):
        row[name] = interval.estimate
        row[f"{name}_low"], row[f"{name}_high"] = interval.low, interval.high
    row["independent"] = found.independent
    row["accuracy"], row["accuracy_b"] = found.accuracies
    return pd.DataFrame([row])
