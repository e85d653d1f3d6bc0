"""Rows of a cross-validation by target, donor and way of fine-tuning."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import (
    Estimate,
    PredictionSimilarity,
    Reliability,
    forecasts,
    labels_and_probabilities,
    reliability,
)
from transfusion_tf.evaluation.regression import RegressionLine, regression_line
from transfusion_tf.evaluation.units import unit
from transfusion_tf.report import wording
from transfusion_tf.report.donors import donor_facts, is_gray
from transfusion_tf.report.long_table import Rows, mean_rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.studies.contrasts import Average, Contrast, PairAverage
from transfusion_tf.studies.measurements.agreement import run_similarity
from transfusion_tf.studies.run_groups import RunGroup, RunKey, run_key
from transfusion_tf.studies.study_folder import Run

HEAD_FIRST = "head first"
CALIBRATION, BALANCED = "expected_calibration_error", "balanced_accuracy"
SIMILARITY, INDEPENDENT, EXCESS = "similarity", "independent", "excess"
_WORDS = {SIMILARITY: "predictions", INDEPENDENT: "if mistakes were independent"}
RANDOM = f"{BASELINE} – {BASELINE}"
STEP = 0.1  # in CCA: slopes are of such a step
# Fewer than the error is computed with: intervals must stay apart.
_BINS = 10
_CURVE_POINTS = 60


@dataclasses.dataclass(frozen=True, eq=False)
class DonorCell(RunGroup):
    """The runs of one target, donor and way of fine-tuning: one per fold or seed.

    Attributes:
      dataset: name of the target.
      donor: its name; `random` where there is none.
      head_first: whether the head was trained alone first, on frozen weights.
    """

    dataset: str
    donor: str
    head_first: bool

    @property
    def label(self) -> str:
        """`photographs`, or `photographs, head first`."""
        return f"{self.donor}, {HEAD_FIRST}" if self.head_first else self.donor

    @property
    def keys(self) -> dict[str, Any]:
        """The columns that say of which target a row is."""
        return {"dataset": self.dataset, "target": target_title(self)}


def donor_cells(material: Material) -> list[DonorCell]:
    """The chapter's cells: target by target, random weights first, then each donor."""
    runs: dict[tuple[str, str, bool], dict[RunKey, Run]] = {}
    for results in material.results:
        for run in results.record.runs:
            facts = donor_facts(results.record, run)
            donor = BASELINE if facts is None else facts.name
            key = (run.dataset["name"], donor, run.config.head_steps > 0)
            runs.setdefault(key, {})[run_key(run)] = run
    targets = list(dict.fromkeys(key[0] for key in runs))
    donors = [BASELINE, *dict.fromkeys(key[1] for key in runs if key[1] != BASELINE)]
    order = sorted(
        runs, key=lambda key: (targets.index(key[0]), donors.index(key[1]), key[2])
    )
    return [
        DonorCell(dict(sorted(runs[key].items())), material.measurements, *key)
        for key in order
    ]


def by_target(cells: Iterable[DonorCell]) -> dict[str, list[DonorCell]]:
    """The cells of every target."""
    found: dict[str, list[DonorCell]] = {}
    for cell in cells:
        found.setdefault(cell.dataset, []).append(cell)
    return found


def target_title(cell: DonorCell) -> str:
    """The target's title, without what follows its first comma or colon."""
    title = str(cell.first.dataset.get("title") or cell.dataset)
    return title.partition(":")[0].partition(",")[0]


def _baseline(cells: Iterable[DonorCell]) -> DonorCell | None:
    return next((cell for cell in cells if cell.donor == BASELINE), None)


def _whole(cells: Iterable[DonorCell]) -> list[DonorCell]:
    """Donors that were fine-tuned whole from the first step."""
    return [c for c in cells if c.donor != BASELINE and not c.head_first]


def _repetition_rows(cells: Iterable[DonorCell]) -> Rows:
    """How many runs every cell has, and what they differ in."""
    return [
        {"hidden": True, "quantity": "runs", "seeds": len(cell.runs)}
        | {"over": "seed" if cell.first.config.fold is None else "fold"}
        for cell in cells
    ]


def target_rows(material: Material) -> Rows:
    """How many images, classes and pixels every target has."""
    rows: Rows = []
    for own in by_target(donor_cells(material)).values():
        run = own[0].first
        config, total, counts = run.config, _count_images(run), _count_classes(run)
        keys = {
            **own[0].keys,
            "kind": run.dataset["kind"],
            "gray": {True: "grey", False: "colour", None: wording.MISSING}[
                is_gray(run)
            ],
            "protocol": None if config.fold is None else config.fold_protocol,
            "folds": wording.MISSING
            if config.fold is None
            else f"{config.folds}, {config.fold_protocol}",
        }
        for quantity, value in (
            ("images", total),
            ("classes", len(counts)),
            ("image_size", int(run.dataset["image_size"])),
        ):
            rows.append({**keys, "quantity": quantity, "value": value})
        rows += [
            {**keys, "quantity": f"images/{name}", "value": count}
            | {"class": name, "share": count / max(total, 1)}
            for name, count in counts.items()
        ]
    return rows


def _splits(run: Run) -> list[Mapping[str, Any]]:
    """Counts of the splits, each image once: a fold may be both validation and test."""
    counts = run.dataset["counts"]
    shared = run.config.fold is not None and run.config.fold_protocol == "paper"
    splits = ("train", "test") if shared else ("train", "validation", "test")
    return [counts[name] for name in splits if name in counts]


def _count_images(run: Run) -> int:
    return sum(int(split["images"]) for split in _splits(run))


def _count_classes(run: Run) -> dict[str, int]:
    return {
        name: sum(int(split.get("classes", {}).get(name, 0)) for split in _splits(run))
        for name in run.dataset["classes"]
    }


def donor_accuracy_rows(material: Material) -> Rows:
    """The test metric by target and donor; balanced accuracy, calibration error."""
    rows: Rows = []
    for own in by_target(donor_cells(material)).values():
        baseline = _baseline(own)
        for cell in own:
            keys = {
                **cell.keys,
                "initialization": cell.label,
                "train_examples": cell.first.train_examples,
                "donor": cell.donor,
                "head_first": cell.head_first,
                "unit": wording.metric_unit(cell.first.metric),
            }
            found = {"test": cell.test}
            gap = None if cell is baseline else cell.test_minus(baseline)
            if gap is not None:
                found["difference_to_random"] = gap
            for name in (BALANCED, CALIBRATION):
                mean = cell.average(name, split="test")
                if mean is not None:
                    found[name] = mean
            rows += [
                {**keys, "quantity": name, **measured(each)}
                for name, each in found.items()
            ]
    for quantity in ("difference_to_random", CALIBRATION):
        own_rows = [row for row in rows if row["quantity"] == quantity]
        rows += mean_rows(own_rows, "initialization", f"mean_{quantity}")
    return rows


def reliabilities(
    cells: Iterable[DonorCell],
) -> tuple[dict[str, Reliability], dict[str, float]]:
    """All folds' forecasts together by donor; and errors: means of the runs' own.

    Args:
      cells: of one target; those whose head was trained first are left out.
    """
    curves, errors = {}, {}
    for cell in cells:
        if cell.head_first:
            continue  # Its error is in the table; more curves than three tangle.
        found = [_forecasts(run) for run in cell.runs.values()]
        happened, forecast = (np.concatenate(side) for side in zip(*found, strict=True))
        if len(forecast):
            curves[cell.label] = reliability(happened, forecast, _BINS)
            values = list(cell.values(CALIBRATION, split="test").values())
            errors[cell.label] = float(np.mean(values)) if values else float("nan")
    return curves, errors


def _forecasts(run: Run) -> tuple[np.ndarray, np.ndarray]:
    return forecasts(
        *labels_and_probabilities(
            run.directory.predictions("test"), run.dataset["classes"]
        ),
        run.dataset["kind"],
    )


def donor_similarity_rows(material: Material) -> Rows:
    """CCA of each donor before and after fine-tuning, of donors with one another, and
    of two random starts.
    """
    cells = donor_cells(material)
    rows: Rows = []
    for own in by_target(cells).values():
        lines = [line for line in _similarity_lines(own) if line.values]
        if lines:
            stages = list(lines[0].values)
            rows += [
                {**own[0].keys, **row}
                for row in [r for line in lines for r in line.rows()]
                + _floor_rows(lines, stages)
            ]
    return rows + _repetition_rows(cells)


@dataclasses.dataclass(frozen=True, eq=False)
class _Line:
    """What is compared with what, stage by stage.

    Attributes:
      pair: its name.
      donor: that is compared with itself, before and after; empty otherwise.
      values: stage -> its estimate over folds.
      floors: stage -> mean noise floor.
    """

    pair: str
    donor: str
    values: Mapping[str, Estimate]
    floors: Mapping[str, float]

    def rows(self) -> Rows:
        """CCA and noise floor of every stage, and the mean over stages."""
        keys = {"pair": self.pair, "itself": bool(self.donor), "donor": self.donor}
        rows: Rows = []
        for stage, found in self.values.items():
            named = {**keys, "stage": stage}
            rows.append({**named, "quantity": "cca", **measured(found)})
            floor = {"quantity": "noise_floor", "value": self.floors[stage]}
            rows.append({**named, **floor})
        values = [found.estimate for found in self.values.values()]
        mean = {"quantity": "mean_cca", "value": float(np.mean(values))}
        return [*rows, {**keys, **mean, "hidden": True}]


def _floor_rows(lines: list[_Line], stages: list[str]) -> Rows:
    """Mean noise floors of what shares a panel."""
    rows: Rows = []
    for itself in (True, False):
        floors = [
            line.floors
            for line in lines
            if bool(line.donor) == itself and set(stages) <= set(line.floors)
        ]
        rows += [
            {"hidden": True, "itself": itself, "quantity": "floor", "stage": stage}
            | {"value": float(np.mean([floor[stage] for floor in floors]))}
            for stage in (stages if floors else [])
        ]
    return rows


def _similarity_lines(cells: list[DonorCell]) -> list[_Line]:
    donors = _whole(cells)
    stages = _stages(donors)
    lines = [
        _line(
            f"{cell.donor}, before – after",
            cell,
            stages,
            functools.partial(_kept, cell),
            donor=cell.donor,
        )
        for cell in donors
    ]
    for left, right in itertools.combinations(donors, 2):
        for when, weights in (("before", "initial"), ("after", "best")):
            lines.append(
                _line(
                    f"{left.donor} – {right.donor}, {when}",
                    left,
                    stages,
                    functools.partial(_between, left, right, weights),
                )
            )
    random = [c for c in cells if c.donor == BASELINE and not c.head_first]
    for cell in random[:1]:
        # All pairs of random starts, whatever their folds.
        among = functools.partial(_among, cell)
        lines.append(_line(RANDOM, cell, stages, among))
    return lines


def _stages(cells: Iterable[DonorCell]) -> list[str]:
    """Stages in which representations were compared, from the input up."""
    for cell in cells:
        rows = cell.measurements.of("cca", run=cell.ids).sort_values("position")
        if len(rows):
            return list(dict.fromkeys(rows["stage"]))
    return []


def _kept(cell: DonorCell, quantity: str, place: int) -> Contrast:
    return Average(quantity, cell.ids, stages=(place,))


def _between(
    left: DonorCell, right: DonorCell, weights: str, quantity: str, place: int
) -> Contrast:
    return PairAverage(
        quantity, left.ids, right.ids, match="same", weights=weights, stages=(place,)
    )


def _among(cell: DonorCell, quantity: str, place: int) -> Contrast:
    return PairAverage(quantity, cell.ids, weights="initial", stages=(place,))


def _line(
    pair: str,
    cell: DonorCell,
    stages: Sequence[str],
    similarity: Callable[[str, int], Contrast],
    donor: str = "",
) -> _Line:
    """A similarity and its noise floor at every stage at which it was measured."""
    values, floors = {}, {}
    for place, stage in enumerate(stages):
        found = cell.effect(similarity("cca", place), unit("CCA").limits)
        floor = cell.effect(similarity("cca_noise_floor", place))
        if found is not None and floor is not None:
            values[stage], floors[stage] = found, floor.estimate
    return _Line(pair, donor, values, floors)


def mistake_rows(material: Material) -> Rows:
    """Prediction similarity of models from two donors, on every target."""
    cells = donor_cells(material)
    found = [
        (left, f"{left.donor} – {right.donor}", _compare(left, right))
        for own in by_target(cells).values()
        for left, right in itertools.combinations(_whole(own), 2)
    ]
    several = len({pair for _, pair, _ in found}) > 1
    rows: Rows = []
    for cell, pair, values in found:
        title = target_title(cell)
        accuracies = np.mean([each.accuracies for each in values.values()], axis=0)
        keys = {
            **cell.keys,
            "pair": pair,
            "compared": True,
            "name": f"{title}\n{pair}" if several else title,
            "accuracies": " and ".join(wording.number(a) for a in accuracies),
        }
        rows += [{**keys, **row} for row in _mistakes_of_pair(cell, values)]
    return rows + _repetition_rows(cells)


def _compare(left: DonorCell, right: DonorCell) -> dict[RunKey, PredictionSimilarity]:
    """Prediction similarity on the test examples of every fold that both have."""
    return {
        key: run_similarity(left.runs[key], right.runs[key])
        for key in left.runs
        if key in right.runs
    }


def _mistakes_of_pair(
    cell: DonorCell, found: Mapping[RunKey, PredictionSimilarity]
) -> Rows:
    rows: Rows = []
    for quantity in (SIMILARITY, INDEPENDENT):
        own = {key: getattr(each, quantity) for key, each in found.items()}
        mean = measured(cell.mean_of(own))
        # Of a share: with two folds Student's interval is wider than all there is.
        mean |= dict(zip(("low", "high"), _clip(mean), strict=True))
        shown = {"shown": quantity, "words": _WORDS[quantity]}
        rows.append({"quantity": quantity, **shown, **mean})
        rows += [
            {"hidden": True, "quantity": "of_fold", **shown, "value": value}
            for value in own.values()
        ]
    excess = {key: each.excess.estimate for key, each in found.items()}
    rows.append({"quantity": EXCESS, **measured(cell.mean_of(excess))})
    for key, each in found.items():
        for quantity, span in (
            ("similarity_of_run", each.interval),
            ("excess_of_run", each.excess),
        ):
            ends = {"value": span.estimate, "low": span.low, "high": span.high}
            run = cell.runs[key].run_id
            rows.append({"run_a": run, "quantity": quantity, **ends})
    above = sum(each.excess.low > 0 for each in found.values())
    count = {"value": above, "seeds": len(found), "hidden": True}
    return [*rows, {"quantity": "folds_above", **count}]


def _clip(mean: Mapping[str, Any]) -> np.ndarray:
    return np.clip([mean.get("low", np.nan), mean.get("high", np.nan)], 0, 1)


def gain_and_similarity_rows(material: Material) -> Rows:
    """AUC gain and CCA before and after fine-tuning of every run and stage; lines."""
    points = gain_points(donor_cells(material))
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
            "head_first": point["head_first"],
            "title": titles[point["donor"], point["stage"]],
        }
        keys["label"] = (
            f"{point['target']}{', head first' if point['head_first'] else ''}"
        )
        rows += [
            {**keys, "quantity": name, "value": point[name]} for name in ("cca", "gain")
        ]
    return rows + drawn


def gain_points(cells: list[DonorCell]) -> pd.DataFrame:
    """A row per fine-tuned run and stage.

    Args:
      cells: of all targets, random weights among them.

    Returns:
      `donor dataset target head_first run stage cca gain`; `cca` is that of the run
      with its own start; the gain is relative, as in the paper's code: (AUC - AUC from
      random weights) / AUC from random weights, both of one fold.
    """
    rows: Rows = []
    for own in by_target(cells).values():
        baseline = _baseline(own)
        levels = {} if baseline is None else baseline.test_values
        tuned = [cell for cell in own if cell.donor != BASELINE]
        for cell, (place, stage) in itertools.product(tuned, enumerate(_stages(tuned))):
            kept = cell.values("cca", stages=(place,))
            values = cell.test_values
            rows += [
                {
                    **cell.keys,
                    "donor": cell.donor,
                    "head_first": cell.head_first,
                    "run": cell.runs[key].run_id,
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
