"""Rows of pairs of runs, before and after training, and lines through them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.regression import RegressionLine, regression_line
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.similarity_rows import started

FEWEST = 3  # pairs that a line is drawn through


def start_and_end_rows(material: Material) -> Rows:
    """CCA of pairs at initialization and after training, and lines through them.

    At the lowest stage, and at the mean of the others. Pairs that share a run are not
    independent: R² describes, and tests nothing.
    """
    points = _points(material)
    rows: Rows = []
    fitted: dict[tuple[Any, ...], Rows] = {}
    for (model, pair, stage), own in points.groupby(
        ["model", "pair", "stage"], sort=False
    ):
        keys = {"model": model, "stage": stage, "pair": pair}
        keys["dataset"] = own["dataset"].iloc[0]
        line = regression_line(own["at_start"], own["at_end"])
        for quantity in ("r_squared", "slope", "intercept"):
            value = np.nan if line is None else getattr(line, quantity)
            row = {"quantity": quantity, "value": value, "count": len(own)}
            rows.append({**keys, **row, "fitted": _in_words(line, len(own))})
        count = {"quantity": "pairs", "value": len(own), "count": len(own)}
        rows.append({**keys, **count})
        fitted.setdefault((model, stage), []).extend(_point_rows(keys, own, line))
    return rows + [row for own in fitted.values() for row in _titled(own)]


def _points(material: Material) -> pd.DataFrame:
    """A row per pair at the lowest stage, and one at the mean of the others."""
    found = material.of("cca")
    found = found[found["run"] != found["run_b"]]
    found = found.assign(higher=found["position"] > 0)
    for _, own in found.groupby("model"):
        above = own[own["higher"]].sort_values("position")["stage"]
        found.loc[above.index, "stage"] = f"{above.iloc[0]} to {above.iloc[-1]}"
    keys = ["dataset", "model", "run", "run_b", "stage", "higher"]
    sides = {}
    for weights, column in (("initial", "at_start"), ("trained", "at_end")):
        own = found[(found[["weights", "weights_b"]] == weights).all(axis=1)]
        stages = own.groupby([*keys, "position"], sort=False)["value"].mean()
        sides[column] = stages.groupby(keys, sort=False).mean()
    points = (
        sides["at_start"]
        .to_frame("at_start")
        .join(sides["at_end"].rename("at_end"), how="inner")
    )
    points = points.dropna().reset_index()
    names = {run.run_id: start for run, start in started(material)}
    points["pair"] = [
        " – ".join(sorted(names[run] for run in pair))
        for pair in zip(points["run"], points["run_b"], strict=True)
    ]
    higher = points["higher"]
    return pd.concat([points[~higher], points[higher]], ignore_index=True)


def _point_rows(
    keys: Mapping[str, Any], points: pd.DataFrame, line: RegressionLine | None
) -> Rows:
    """The pairs, and the ends of the line through them."""
    starts = points["at_start"]
    # Of one donor: all start alike, so there is nothing to see.
    keys = {**keys, "varies": bool(np.ptp(starts) >= 1e-9)}
    rows: Rows = [
        {**keys, "run_a": point["run"], "run_b": point["run_b"]}
        | {"quantity": f"cca_{when}", "value": point[when]}
        for point in points.to_dict("records")
        for when in ("at_start", "at_end")
    ]
    ends = [] if line is None else [starts.min(), starts.max()]
    fit = {**keys, "hidden": True, "quantity": "fit"}
    return rows + [
        {**fit, "place": place, "value": float(line.at(place)), "of": line.r_squared}
        for place in ends
        if line is not None
    ]


def _in_words(line: RegressionLine | None, pairs: int) -> str:
    if line is None:
        return "too few pairs" if pairs < FEWEST else "all start alike"
    return wording.number(line.r_squared, 2)


def _titled(rows: Rows) -> Rows:
    """The rows of one stage, with its name and the R² of its lines."""
    known = {row["pair"]: row["of"] for row in rows if row["quantity"] == "fit"}
    varying = dict.fromkeys(row["pair"] for row in rows if row["varies"])
    shown = [wording.number(known.get(pair), 2) for pair in varying]
    title = rows[0]["stage"] + (f"\nR² {' | '.join(shown)}" if shown else "")
    return [{**row, "title": title} for row in rows]
