"""Weight transfusion: what donor weights up to each stage give."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from transfusion_tf.evaluation import Difference
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import MUTED, Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.network_order import in_order, stage_order, through
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    long_table,
    measured,
    one_seed_note,
    with_interval,
    with_spread,
)
from transfusion_tf.report.views.races import (
    Race,
    all_races,
    paired,
    race_curves,
    race_rows,
    runner_keys,
)


def draw(material: Material, folder: Path) -> View:
    """Two pictures a model: curves, and speed against the last stage of the donor.

    Options: `threshold`, as in `convergence`.
    """
    found = all_races(material)
    pictures, rows = [], []
    colours: dict[str, str] = {}
    for race in found:
        labels = _order(race)
        marks = _marks(labels)
        name = f"{material.chapter.name}-{gallery.slug(race.name)}"
        pictures += [
            gallery.keep(
                _curves(race, labels, marks),
                folder,
                name,
                "Validation metric over training by the last stage transferred, "
                f"{race.name}",
            ),
            gallery.keep(
                _speed(race, labels, marks),
                folder,
                f"{name}-speed",
                f"Steps to the threshold and mean metric by stage, {race.name}",
            ),
        ]
        rows += race_rows(race) + _gain_rows(race, labels)
        colours |= {label: mark.colour for label, mark in marks.items()}
    table = long_table(rows, material)
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(found)),
        sheet=_sheet(found, table),
        colours=colours,
    )


def _order(race: Race) -> list[str]:
    """Random weights, then the donor up to each stage, then all of it."""
    runs = [run for each in race.runners.values() for run in each.runs.values()]
    stages = {
        stage: label for label in race.runners if (stage := through(label)) is not None
    }
    partial = [stages[name] for name in in_order(stages, stage_order(runs))]
    ends = [label for label in race.runners if label not in partial]
    first = [label for label in ends if label == BASELINE]
    return [*first, *partial, *(label for label in ends if label != BASELINE)]


def _marks(labels: list[str]) -> dict[str, Mark]:
    """A ramp over the stages; the two ends look as everywhere in the report."""
    ends = [label for label in labels if through(label) is None]
    partial = [label for label in labels if label not in ends]
    return style.marks(ends) | plots.ramp(partial)


def _tick(label: str) -> str:
    if label == BASELINE:
        return "none"
    return through(label) or ("all" if label == "transfer" else label)


def gains(race: Race, labels: list[str]) -> dict[str, Difference]:
    """What each stage adds to the mean metric while learning, by its label."""
    found = {}
    for previous, label in itertools.pairwise(labels):
        gain = race.lead(race.runners[label], race.runners[previous])
        if gain is not None:
            found[label] = gain
    return found


def _gain_rows(race: Race, labels: list[str]) -> list[dict[str, Any]]:
    rows = []
    added = gains(race, labels)
    for previous, label in itertools.pairwise(labels):
        runner = race.runners[label]
        keys = {**runner_keys(race, runner), "stage": _tick(label)}
        if label in added:
            name = "area_gain_over_previous"
            rows.append({**keys, "quantity": name, **measured(added[label])})
        saved = paired(race.steps(race.runners[previous]), race.steps(runner))
        if saved is not None:
            name = "steps_saved_over_previous"
            rows.append({**keys, "quantity": name, **measured(saved)})
    return rows


@styled
def _curves(race: Race, labels: list[str], marks: dict[str, Mark]) -> Figure:
    figure, (axes,) = plots.stacked([3.6])
    ends = [label for label in (labels[0], labels[-1]) if through(label) is None]
    curves = {curve.label: curve for curve in race_curves(race, marks, ends)}
    plots.draw_curves(axes, [curves[label] for label in labels if label in curves])
    plots.draw_threshold(
        axes, race.threshold, f"threshold\n{wording.number(race.threshold)}"
    )
    axes.set_title(race.name)
    axes.set_xlabel("training step")
    axes.set_ylabel(f"validation {wording.metric_unit(race.metric)}")
    plots.legend_below(figure, axes)
    return figure


@styled
def _speed(race: Race, labels: list[str], marks: dict[str, Mark]) -> Figure:
    figure, (upper, lower) = plots.stacked([1.9, 1.7], sharex=True)
    longest = race.longest
    for place, label in enumerate(labels):
        runner, mark = race.runners[label], marks[label]
        steps = list(race.steps(runner).values())
        reached = [value for value in steps if value is not None]
        if reached:
            upper.bar(place, float(np.mean(reached)), 0.6, color=mark.colour, alpha=0.3)
            upper.plot(
                [place] * len(reached), reached, mark.marker, color=mark.colour,
                markersize=4.5, markeredgecolor="white", markeredgewidth=0.6,
            )  # fmt: skip
        missed = len(steps) - len(reached)
        for index in range(missed):
            upper.plot(
                place + 0.14 * (index - (missed - 1) / 2), 1.09 * longest, mark.marker,
                color=mark.colour, fillstyle="none", markersize=4.5, clip_on=False,
            )  # fmt: skip
        areas = [value for value in race.areas(runner).values() if np.isfinite(value)]
        lower.plot(
            [place] * len(areas), areas, mark.marker, color=mark.colour, markersize=3.6,
            alpha=0.55, markeredgewidth=0,
        )  # fmt: skip
        if areas:
            lower.plot(
                [place - 0.28, place + 0.28], [float(np.mean(areas))] * 2,
                color=mark.colour, linewidth=2.4,
            )  # fmt: skip
    if any(value is None for each in race.runners.values()
           for value in race.steps(each).values()):  # fmt: skip
        upper.axhline(longest, color=MUTED, linewidth=0.7)
        upper.annotate(
            "never", (1, 1.09 * longest), xycoords=("axes fraction", "data"),
            xytext=(3, 0), textcoords="offset points", va="center", fontsize=7.5,
            color=MUTED, annotation_clip=False,
        )  # fmt: skip
        upper.set_ylim(0, 1.17 * longest)
    upper.set_title(
        f"Steps to {wording.number(race.threshold)}: fewer is faster", pad=5
    )
    unit = wording.metric_unit(race.metric)
    lower.set_title(f"Mean validation {unit} while learning: more is faster", pad=5)
    lower.set_xlabel("donor weights up to")
    plots.name_places(lower, [_tick(label) for label in labels])
    for axes in (upper, lower):
        plots.grid(axes, "y")
    return figure


def _sheet(found: list[Race], table) -> Sheet:
    rows = []
    for race in found:
        for label in _order(race):
            runner = race.runners[label]
            keys = runner_keys(race, runner)
            steps = find(table, **keys, quantity="steps")
            reached = find(table, **keys, quantity="reached")
            assert steps is not None
            assert reached is not None
            rows.append(
                (
                    runner.model,
                    runner.initialization,
                    wording.count(steps["value"])
                    if np.isfinite(steps["value"])
                    else "never",
                    f"{int(reached['value'])} of {int(reached['seeds'])}",
                    with_spread(find(table, **keys, quantity="area")),
                    with_interval(
                        find(table, **keys, quantity="area_difference_to_random")
                    ),
                    with_interval(
                        find(table, **keys, quantity="area_gain_over_previous")
                    ),
                )
            )
    unit = wording.metric_unit(found[0].metric) if found else ""
    heads = (
        *("Model", "Start", "Steps to threshold", "Seeds there"),
        *(
            f"Mean {unit} while learning",
            "minus random weights",
            "minus the line above",
        ),
    )
    return Sheet(
        heads,
        tuple(rows),
        caption="Small: 95 % intervals over seeds, paired. While learning: until the "
        "slowest seed of random weights is at the threshold.",
    )


def _sentences(found: list[Race]) -> list[str]:
    said = []
    for race in found:
        labels = _order(race)
        added = gains(race, labels)
        if not added:
            continue
        whole = race.lead(race.runners[labels[-1]], race.baseline)
        if whole is not None:
            said.append(
                f"{race.name}: all of the donor gives "
                f"{wording.signed(whole.estimate)} over random weights while learning."
            )
        most = max(added, key=lambda label: added[label].estimate)
        settled = [label for label in added if added[label].decided == "higher"]
        text = (
            f"The largest step is {_tick(most)} "
            f"({wording.signed(added[most].estimate)})"
        )
        if added[most].seeds > 1:
            names = wording.listed([_tick(label) for label in settled])
            text += f"; the interval lies above zero for {names or 'no stage'}"
        said.append(text + ".")
    seeds = [len(e.runs) for race in found for e in race.runners.values()]
    return said + one_seed_note(seeds)
