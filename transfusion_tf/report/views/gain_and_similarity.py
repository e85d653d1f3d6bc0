"""AUC gain against similarity before and after fine-tuning, stage by stage."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from transfusion_tf.evaluation.regression import RegressionLine, regression_line
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import INK, MUTED, Mark, styled
from transfusion_tf.report.views import pairs, plots
from transfusion_tf.report.views.donor_cells import (
    DonorCell,
    by_target,
    donor_cells,
    main_metric,
    target_title,
)
from transfusion_tf.report.views.parts import Sheet, View, find, long_table

# Slopes are printed for such a step in CCA.
STEP = 0.1

_POINTS = ["donor", "dataset", "target", "head_first", "run", "stage", "cca", "gain"]


def draw(material: Material, folder: Path) -> View:
    """A picture a donor, with a panel a stage."""
    points = gain_points(
        donor_cells(material), pairs.scores(material.analysis("before_after"))
    )
    lines = {
        (str(donor), str(stage)): regression_line(part["cca"], part["gain"])
        for (donor, stage), part in points.groupby(["donor", "stage"], sort=False)
    }
    table = long_table(_rows(points, lines), material)
    marks = _marks(points)
    pictures = [
        gallery.keep(
            _figure(str(donor), own, lines, marks),
            folder,
            f"{material.chapter.name}-{gallery.slug(str(donor))}",
            f"AUC gain over random weights against CCA before and after fine-tuning, "
            f"donor {donor}, by stage",
        )
        for donor, own in points.groupby("donor", sort=False)
    ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(lines)),
        sheet=_sheet(lines, table),
    )


def gain_points(cells: list[DonorCell], scores: pd.DataFrame) -> pd.DataFrame:
    """A row a fine-tuned run and stage.

    Args:
      cells: of all targets, random weights among them.
      scores: `run stage value`: CCA of each run with its own start.

    Returns:
      `donor dataset target head_first run stage cca gain`; the gain is relative, as
      in the paper's code: (AUC - AUC from random weights) / AUC from random weights,
      both of one fold.
    """
    rows = []
    for own in by_target(cells).values():
        baseline = next((cell for cell in own if cell.donor == BASELINE), None)
        if baseline is None or scores.empty:
            continue
        levels = baseline.values(main_metric)
        for cell in own:
            if cell.donor == BASELINE:
                continue
            for key, value in cell.values(main_metric).items():
                if key not in levels:
                    continue
                run = cell.runs[key].run_id
                gain = (value - levels[key]) / levels[key]
                for _, score in scores[scores["run"] == run].iterrows():
                    rows.append(
                        (
                            *(cell.donor, cell.dataset, target_title(cell)),
                            *(cell.head_first, run, score["stage"]),
                            *(float(score["value"]), gain),
                        )
                    )
    return pd.DataFrame(rows, columns=_POINTS)


def _rows(
    points: pd.DataFrame, lines: dict[tuple[str, str], RegressionLine | None]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for (donor, stage), line in lines.items():
        keys = {"initialization": donor, "stage": stage}
        count = int(((points["donor"] == donor) & (points["stage"] == stage)).sum())
        rows.append({**keys, "quantity": "points", "value": count})
        if line is not None:
            slope = {
                "value": STEP * line.slope,
                "low": STEP * line.low,
                "high": STEP * line.high,
            }
            rows.append({**keys, "quantity": "slope", **slope})
            rows.append({**keys, "quantity": "r_squared", "value": line.r_squared})
    for point in points.to_dict("records"):
        keys = {
            **{"dataset": point["dataset"], "initialization": point["donor"]},
            **{"stage": point["stage"], "run_a": point["run"]},
        }
        rows += [{**keys, "quantity": name, "value": point[name]}
                 for name in ("cca", "gain")]  # fmt: skip
    return rows


def _marks(points: pd.DataFrame) -> dict[str, Mark]:
    return style.marks(list(dict.fromkeys(points["target"])))


@styled
def _figure(
    donor: str,
    points: pd.DataFrame,
    lines: dict[tuple[str, str], RegressionLine | None],
    marks: dict[str, Mark],
) -> Figure:
    stages = list(dict.fromkeys(points["stage"]))
    figure, panels = plots.small_panels(
        len(stages), 1.85, "CCA before and after", sharey=True
    )
    for axes, stage in zip(panels, stages, strict=True):
        own = points[points["stage"] == stage]
        _draw_points(axes, own, marks)
        line = lines[(donor, stage)]
        title = stage
        if line is not None:
            _draw_line(axes, line, own["cca"].to_numpy())
            title += f"  R² {wording.number(line.r_squared, 2)}"
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_title(title, pad=4)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        plots.grid(axes, "both")
    # A band through three points may be a hundred times as high as the points.
    low, high = points["gain"].min(), points["gain"].max()
    room = 0.3 * max(high - low, 0.02)
    panels[0].set_ylim(low - room, high + room)
    figure.supylabel("AUC gain over random weights", fontsize=8.5)
    figure.suptitle(donor, x=0.02, ha="left", fontsize=9.5, fontweight="bold")
    plots.legend_below(figure, panels)
    return figure


def _draw_points(axes: Axes, points: pd.DataFrame, marks: dict[str, Mark]) -> None:
    """Hollow where the head was trained first."""
    for (target, head_first), part in points.groupby(
        ["target", "head_first"], sort=False
    ):
        mark = marks[str(target)]
        axes.plot(
            part["cca"], part["gain"], mark.marker, color=mark.colour, markersize=4.2,
            fillstyle="none" if head_first else "full", markeredgewidth=0.9,
            label=f"{target}, head first" if head_first else str(target), alpha=0.9,
        )  # fmt: skip
    axes.margins(0.1)


def _draw_line(axes: Axes, line: RegressionLine, x: np.ndarray) -> None:
    places = np.linspace(x.min(), x.max(), 60)
    axes.plot(places, line.at(places), color=INK, linewidth=1.3, zorder=1.5)
    axes.fill_between(
        places, *line.band(places), color=INK, alpha=0.1, linewidth=0, zorder=1
    )


def _sheet(
    lines: dict[tuple[str, str], RegressionLine | None], table: pd.DataFrame
) -> Sheet:
    rows = []
    before = None
    for (donor, stage), line in lines.items():
        count = find(table, initialization=donor, stage=stage, quantity="points")
        cells = ("too few points", "", "")
        if line is not None:
            cells = (
                wording.signed(STEP * line.slope),
                f"{wording.signed(STEP * line.low)} to "
                f"{wording.signed(STEP * line.high)}",
                wording.number(line.r_squared, 2),
            )
        shown = "" if donor == before else donor
        before = donor
        rows.append((shown, stage, str(int(count["value"])) if count else "", *cells))
    return Sheet(
        ("Donor", "Stage", "Points", f"Gain per {STEP:g} CCA", "95 % interval", "R²"),
        tuple(rows),
        caption="A point is a fold. Folds of one target are not independent, so the "
        "intervals are too narrow: they describe.",
    )


def _sentences(lines: dict[tuple[str, str], RegressionLine | None]) -> list[str]:
    said = []
    by_donor: dict[str, list[tuple[str, RegressionLine]]] = {}
    for (donor, stage), line in lines.items():
        if line is not None:
            by_donor.setdefault(donor, []).append((stage, line))
    for donor, found in by_donor.items():
        falling = [stage for stage, line in found if line.slope < 0]
        settled = [stage for stage, line in found if line.high < 0]
        text = f"{donor}: the line falls at {len(falling)} of {len(found)} stages"
        if settled:
            text += f", with its whole interval below zero at {wording.listed(settled)}"
        said.append(text + ".")
    if lines and not by_donor:
        said.append("Fewer than 3 folds: no line can be drawn through them.")
    return said
