"""Rows of donors compared: their representations, mistakes, and what keeping gains."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.regression import RegressionLine, regression_line
from transfusion_tf.evaluation.units import unit
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, effect_rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.donors_rows import (
    DonorRuns,
    baseline_of,
    by_target,
    donor_runs,
    repetition_rows,
    tuned_whole,
)
from transfusion_tf.report.rows.similarity_rows import cca_rows, mean_floor
from transfusion_tf.studies.contrasts import Average, Mean, PairAverage
from transfusion_tf.studies.measurements.table import Measurements

SIMILARITY, INDEPENDENT, EXCESS = "similarity", "independent", "excess"
CONTROL = "excess_of_one_donor"
# What is shown -> how its quantity ends, after `prediction_similarity`.
_AGREEMENT = {
    SIMILARITY: "",
    "similarity_low": "_low",
    "similarity_high": "_high",
    INDEPENDENT: "_independent",
    EXCESS: "_excess",
    "excess_low": "_excess_low",
    "excess_high": "_excess_high",
}
_WORDS = {SIMILARITY: "predictions", INDEPENDENT: "if mistakes were independent"}
RANDOM = f"{BASELINE} – {BASELINE}"
STEP = 0.1  # in CCA: slopes are of such a step
_CURVE_POINTS = 60


def donor_similarity_rows(material: Material) -> Rows:
    """CCA of each donor before and after fine-tuning, of donors with one another, and
    of two random starts.
    """
    groups = donor_runs(material)
    rows: Rows = []
    for own in by_target(groups).values():
        stages = _stages(tuned_whole(own))
        found = [
            row
            for keys, contrast in _compared(own)
            for row in _by_stage(contrast, material.measurements, stages, keys)
        ]
        for itself, stage in itertools.product((True, False), stages):
            panel = [
                r for r in found if (r["itself"], r.get("stage")) == (itself, stage)
            ]
            found += mean_floor(panel, "floor", itself=itself, stage=stage)
        rows += [{**own[0].columns, **row} for row in found]
    return rows + repetition_rows(groups)


def _compared(
    groups: list[DonorRuns],
) -> Iterator[tuple[dict[str, Any], Average | PairAverage]]:
    """What is compared with what: the columns that name it, and its CCA."""
    donors = tuned_whole(groups)
    for group in donors:
        name = {"pair": f"{group.donor}, before – after", "donor": group.donor}
        yield {**name, "itself": True}, Average("cca", group.ids)
    for left, right in itertools.combinations(donors, 2):
        for when, weights in (("before", "initial"), ("after", "trained")):
            name = {"pair": f"{left.donor} – {right.donor}, {when}", "donor": ""}
            yield (
                {**name, "itself": False},
                PairAverage("cca", left.ids, right.ids, "same", weights),
            )
    random = [c for c in groups if c.donor == BASELINE and not c.head_first]
    for group in random[:1]:
        # All pairs of random starts, whatever their folds.
        contrast = PairAverage("cca", group.ids, weights="initial")
        yield {"pair": RANDOM, "donor": "", "itself": False}, contrast


def _by_stage(
    contrast: Average | PairAverage,
    measurements: Measurements,
    stages: Sequence[str],
    keys: dict[str, Any],
) -> Rows:
    """CCA and noise floor of every stage, and the mean over stages."""
    rows: Rows = []
    for place, stage in enumerate(stages):
        rows += cca_rows(contrast, measurements, (place,), **keys, stage=stage)
    values = [row["value"] for row in rows if row["quantity"] == "cca"]
    if not values:
        return []
    mean = {"quantity": "mean_cca", "value": float(np.mean(values))}
    return [*rows, {**keys, **mean, "hidden": True}]


def _stages(groups: Iterable[DonorRuns]) -> list[str]:
    """Stages in which representations were compared, from the input up."""
    for group in groups:
        rows = group.measurements.of("cca", run=group.ids).sort_values("position")
        if len(rows):
            return list(dict.fromkeys(rows["stage"]))
    return []


def mistake_rows(material: Material) -> Rows:
    """Prediction similarity of models from two donors, on every target."""
    groups = donor_runs(material)
    pairs = [
        pair
        for own in by_target(groups).values()
        for pair in itertools.combinations(tuned_whole(own), 2)
    ]
    several = len({(left.donor, right.donor) for left, right in pairs}) > 1
    rows: Rows = []
    for left, right in pairs:
        title, pair = left.columns["target"], f"{left.donor} – {right.donor}"
        keys = {
            **left.columns,
            "pair": pair,
            "compared": True,
            "name": f"{title}\n{pair}" if several else title,
        }
        rows += [{**keys, **row} for row in _mistakes_of_pair(left, right)]
    return rows + repetition_rows(groups)


def _mistakes_of_pair(left: DonorRuns, right: DonorRuns) -> Rows:
    contrasts = {
        quantity: PairAverage(
            f"prediction_similarity{ending}",
            left.ids,
            right.ids,
            match="same",
            weights="best",
        )
        for quantity, ending in _AGREEMENT.items()
    }
    if left.effect(contrasts[SIMILARITY]) is None:
        return []
    by_run = {
        quantity: {
            pair[0]: value
            for pair, value in contrast.by_pair(left.measurements).items()
        }
        for quantity, contrast in contrasts.items()
    }
    rows: Rows = []
    for quantity, words in _WORDS.items():
        # Of a share: with two folds Student's interval is wider than all there is.
        found = left.effect(contrasts[quantity], unit("share of the images").limits)
        shown = {"shown": quantity, "words": words}
        rows.append({"quantity": quantity, **shown, **measured(found)})
        rows += [
            {"hidden": True, "quantity": "of_fold", **shown, "value": value}
            for value in by_run[quantity].values()
        ]
    rows.append({"quantity": EXCESS, **measured(left.effect(contrasts[EXCESS]))})
    rows += effect_rows(CONTROL, _control(left, right))
    for run in left.ids:
        rows += [
            {"run_a": run, "quantity": f"{quantity}_of_run"}
            | {"value": by_run[quantity][run]}
            | {end: by_run[f"{quantity}_{end}"][run] for end in ("low", "high")}
            for quantity in (SIMILARITY, EXCESS)
            if run in by_run[quantity]
        ]
    above = [low > 0 for low in by_run[f"{EXCESS}_low"].values()]
    count = {"value": sum(above), "seeds": len(above), "hidden": True}
    rows.append({"quantity": "folds_above", **count})
    accuracies = " and ".join(
        wording.number(
            left.measurements.of("prediction_accuracy", run=ours.ids, run_b=theirs.ids)[
                "value"
            ].mean()
        )
        for ours, theirs in ((left, right), (right, left))
    )
    return [{**row, "accuracies": accuracies} for row in rows]


def _control(left: DonorRuns, right: DonorRuns) -> Estimate | None:
    """The excess of two runs of one donor on one test set; None where none is repeated.

    What is hard is hard for all: two donors err alike beyond that only where they do so
    no less than one donor does with itself.
    """
    excess = [
        PairAverage("prediction_similarity_excess", group.ids, weights="best")
        for group in (left, right)
    ]
    repeated = [each for each in excess if left.effect(each) is not None]
    return left.effect(Mean(tuple(repeated))) if repeated else None


def gain_and_similarity_rows(material: Material) -> Rows:
    """AUC gain and CCA before and after fine-tuning of every run and stage; lines."""
    points = gain_points(donor_runs(material))
    rows: Rows = []
    drawn: Rows = []
    titles = {}
    for (donor, stage), own in points.groupby(["donor", "stage"], sort=False):
        line = regression_line(own["cca"], own["gain"])
        keys = {"initialization": donor, "stage": stage}
        rows.append({**keys, "quantity": "points", "value": len(own)})
        title = str(stage)
        if line is not None:
            title += f"  R² {wording.number(line.r_squared, 2)}"
            slope = {
                "value": STEP * line.slope,
                "low": STEP * line.low,
                "high": STEP * line.high,
            }
            rows.append({**keys, "quantity": "slope", **slope})
            own_height = own.groupby("dataset")[["cca", "gain"]].transform("mean")
            apart = regression_line(*(own[["cca", "gain"]] - own_height).to_numpy().T)
            if apart is not None and len(set(own["dataset"])) > 1:
                within = {"quantity": "slope_within", "value": STEP * apart.slope}
                rows.append({**keys, **within})
            rows.append({**keys, "quantity": "r_squared", "value": line.r_squared})
            drawn += [
                {**keys, "hidden": True, "quantity": "fit", **row}
                for row in _line_points(line, own["cca"])
            ]
        titles[str(donor), str(stage)] = title
    for point in points.to_dict("records"):
        keys = {
            "dataset": point["dataset"],
            "initialization": point["donor"],
            "stage": point["stage"],
            "run_a": point["run"],
            "target": point["target"],
            "label": point["target"],
            "title": titles[point["donor"], point["stage"]],
        }
        rows += [
            {**keys, "quantity": name, "value": point[name]} for name in ("cca", "gain")
        ]
    return rows + drawn


def gain_points(groups: list[DonorRuns]) -> pd.DataFrame:
    """A row per run and stage that was fine-tuned whole from the first step.

    Args:
      groups: of all targets, random weights among them.

    Returns:
      `donor dataset target run stage cca gain`; `cca` is that of the run with its own
      start; the gain is relative, as in the paper's code: (AUC - AUC from random
      weights) / AUC from random weights, both of one fold.
    """
    rows: Rows = []
    for own in by_target(groups).values():
        baseline = baseline_of(own)
        levels = {} if baseline is None else baseline.test_values
        tuned = tuned_whole(own)
        for group, (place, stage) in itertools.product(
            tuned, enumerate(_stages(tuned))
        ):
            kept = group.values("cca", stages=(place,))
            values = group.test_values
            rows += [
                {
                    **group.columns,
                    "donor": group.donor,
                    "run": group.runs[key].run_id,
                    "stage": stage,
                    "cca": kept[key],
                    "gain": (values[key] - levels[key]) / levels[key],
                }
                for key in kept
                if key in values and key in levels
            ]
    return pd.DataFrame(rows, columns=None if rows else ["donor", "stage"])


def _line_points(line: RegressionLine, x: pd.Series) -> Rows:
    places = np.linspace(x.min(), x.max(), _CURVE_POINTS)
    columns = zip(places, line.at(places), *line.band(places), strict=True)
    names = ("place", "value", "low", "high")
    return [dict(zip(names, map(float, point), strict=True)) for point in columns]
