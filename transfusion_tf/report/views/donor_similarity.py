"""Donors' representations: before against after fine-tuning, donor against donor."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.evaluation import Difference
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import MUTED, Mark, styled
from transfusion_tf.report.views import pairs, plots
from transfusion_tf.report.views.donor_cells import (
    DonorCell,
    by_target,
    cell_marks,
    donor_cells,
    once_note,
    over_repetitions,
    target_title,
)
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    long_table,
    measured,
    with_spread,
)

RANDOM = f"{BASELINE} – {BASELINE}"
# Apart from the colours of donors, which stand in the panel above.
_BEFORE = ("#cc79a7", "#b08a00", "#a5463a")
_AFTER = ("#4b7f1b", "#56b4e9", "#2f4b7c")


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """One line of a target's picture.

    Attributes:
      pair: what is compared with what.
      mark: how it is drawn.
      itself: whether it is a donor before and after, the left panel.
      values: stage -> its estimate over folds.
      floors: stage -> mean noise floor.
    """

    pair: str
    mark: Mark
    itself: bool
    values: dict[str, Difference | None]
    floors: dict[str, float]


def draw(material: Material, folder: Path) -> View:
    """A picture a target: each donor and itself; both donors, and two random starts."""
    cells = donor_cells(material)
    rows: list[dict[str, Any]] = []
    pictures = []
    drawn: dict[str, tuple[str, list[Line]]] = {}
    for name, own in by_target(cells).items():
        found = [line for line in _lines(material, own) if line.values]
        if not found:
            continue
        title = target_title(own[0])
        drawn[name] = (title, found)
        rows += [row for line in found for row in _rows(name, line)]
        several = len(by_target(cells)) > 1
        pictures.append(
            gallery.keep(
                _figure(title, found),
                folder,
                material.chapter.name + (f"-{gallery.slug(name)}" if several else ""),
                f"Mean CCA by stage on {title}: donors before and after fine-tuning",
            )
        )
    table = long_table(rows, material)
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(drawn) + once_note(cells)),
        sheet=_sheet(drawn, table),
    )


def _lines(material: Material, cells: list[DonorCell]) -> list[Line]:
    marks = cell_marks(cells)
    donors = [c for c in cells if c.donor != BASELINE and not c.head_first]
    moved = pairs.scores(material.analysis("before_after"))
    lines = [
        _itself(moved, cell, Mark(marks[cell.label].colour, "s")) for cell in donors
    ]
    for index, (left, right) in enumerate(itertools.combinations(donors, 2)):
        for when, kind, colours in (
            ("before", "fold_initial", _BEFORE),
            ("after", "fold_best", _AFTER),
        ):
            scores = pairs.scores(material.analysis(kind))
            mark = Mark(colours[index % len(colours)], "s" if when == "after" else "D")
            lines.append(_two(scores, left, right, when, mark))
    random = [c for c in cells if c.donor == BASELINE and not c.head_first]
    if random:
        scores = pairs.scores(material.analysis("random_initial"))
        lines.append(_random(scores, random[0]))
    return lines


def _itself(scores: pd.DataFrame, cell: DonorCell, mark: Mark) -> Line:
    chosen = {
        key: scores[scores["run"] == run.run_id] if len(scores) else scores
        for key, run in cell.runs.items()
    }
    return _line(f"{cell.donor}, before – after", mark, True, chosen, cell)


def _two(
    scores: pd.DataFrame, left: DonorCell, right: DonorCell, when: str, mark: Mark
) -> Line:
    chosen = {
        key: between(scores, left.runs[key].run_id, right.runs[key].run_id)
        for key in left.runs
        if key in right.runs
    }
    pair = f"{left.donor} – {right.donor}, {when}"
    return _line(pair, mark, False, chosen, left)


def between(scores: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """The rows of a population's table that compare these two runs."""
    if scores.empty:
        return scores
    sides = {a, b}
    return scores[scores["run_a"].isin(sides) & scores["run_b"].isin(sides)]


def _line(pair: str, mark: Mark, itself: bool, chosen: dict, cell: DonorCell) -> Line:
    by_stage: dict[str, dict] = {}
    floors: dict[str, list[float]] = {}
    for key, part in chosen.items():
        for _, row in part.iterrows():
            by_stage.setdefault(row["stage"], {})[key] = float(row["value"])
            floors.setdefault(row["stage"], []).append(float(row["noise_floor"]))
    return Line(
        pair,
        mark,
        itself,
        {stage: over_repetitions(own, cell) for stage, own in by_stage.items()},
        {stage: float(np.mean(own)) for stage, own in floors.items()},
    )


def _random(scores: pd.DataFrame, cell: DonorCell) -> Line:
    """All pairs of random starts; runs are left out one at a time for the interval."""
    mark = Mark(style.marks([BASELINE])[BASELINE].colour, "o")
    names = {run.run_id for run in cell.runs.values()}
    if scores.empty:
        return Line(RANDOM, mark, False, {}, {})
    own = scores[scores["run_a"].isin(names) & scores["run_b"].isin(names)]
    own = own.assign(pair=RANDOM)
    starts = dict.fromkeys(names, BASELINE)
    stages = own.groupby("stage", sort=False)
    return Line(
        RANDOM,
        mark,
        False,
        {
            str(stage): pairs.over_runs(part, pairs.mean_of(RANDOM), starts)
            for stage, part in stages
        },
        {str(stage): float(part["noise_floor"].mean()) for stage, part in stages},
    )


def _rows(name: str, line: Line) -> list[dict[str, Any]]:
    rows = []
    for stage, found in line.values.items():
        keys = {"dataset": name, "stage": stage, "pair": line.pair}
        rows.append({**keys, "quantity": "cca", **measured(found)})
        floor = {"quantity": "noise_floor", "value": line.floors[stage]}
        rows.append({**keys, **floor})
    return rows


@styled
def _figure(title: str, lines: list[Line]) -> Figure:
    figure, panels = plots.stacked([2.1, 2.3], sharex=True)
    stages = list(lines[0].values)
    for axes, itself in zip(panels, (True, False), strict=True):
        own = [line for line in lines if line.itself == itself]
        _draw_lines(axes, own, stages)
        axes.set_ylim(0, 1.04)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_ylabel("mean CCA")
    panels[0].set_title(f"{title}: each donor and itself, fine-tuned", pad=4)
    panels[1].set_title("One donor and the other; two random starts", pad=4)
    panels[1].set_xlabel("stage")
    plots.name_places(panels[1], stages)
    plots.legend_below(figure, panels)
    return figure


def _draw_lines(axes: Axes, lines: list[Line], stages: list[str]) -> None:
    floors = [line.floors for line in lines if set(stages) <= set(line.floors)]
    if floors:
        level = [float(np.mean([floor[stage] for floor in floors])) for stage in stages]
        plots.draw_floor(axes, range(len(stages)), level)
    else:
        axes.text(
            0.5, 0.5, "not compared", transform=axes.transAxes, ha="center",
            color=MUTED,
        )  # fmt: skip
    for index, line in enumerate(lines):
        shift = 0.06 * (index - (len(lines) - 1) / 2)
        rows = [
            {**measured(line.values.get(stage)), "paper": np.nan}
            if line.values.get(stage)
            else None
            for stage in stages
        ]
        places = [place + shift for place in range(len(stages))]
        plots.draw_line(axes, places, rows, line.mark, line.pair)
    plots.grid(axes, "y")


def _sheet(drawn: dict[str, tuple[str, list[Line]]], table: pd.DataFrame) -> Sheet:
    rows = []
    stages: list[str] = []
    for name, (title, lines) in drawn.items():
        stages = stages or list(lines[0].values)
        for line in lines:
            cells = [
                with_spread(
                    find(
                        table, dataset=name, pair=line.pair, stage=stage, quantity="cca"
                    )
                )
                for stage in stages
            ]
            rows.append((title if line is lines[0] else "", line.pair, *cells))
    return Sheet(
        ("Target", "Compared", *stages),
        tuple(rows),
        caption="Mean CCA, ± over folds, on images of the fold's validation part; "
        "random starts are compared untrained. 1: the same up to a linear map.",
    )


def _sentences(drawn: dict[str, tuple[str, list[Line]]]) -> list[str]:
    said = []
    for title, lines in drawn.values():
        means = {
            line.pair: float(
                np.mean([found.estimate for found in line.values.values() if found])
            )
            for line in lines
        }
        before = [pair for pair in means if pair.endswith(", before")]
        for pair in before:
            after = pair.removesuffix("before") + "after"
            if after not in means:
                continue
            text = (
                f"{title}: {pair.removesuffix(', before')} have a mean CCA of "
                f"{wording.number(means[pair])} before fine-tuning and "
                f"{wording.number(means[after])} after it"
            )
            if RANDOM in means:
                text += f"; two random starts have {wording.number(means[RANDOM])}"
            said.append(text + ".")
    return said
