"""Start and end: do models that start alike end alike?"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import MUTED, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    has_paper,
    long_table,
)
from transfusion_tf.report.views.similarity_by_start import MARKS
from transfusion_tf.studies.measurements.similarity import (
    join_start_and_end,
    regress_end_on_start,
)

HIGHER = "higher stages"
_MEASURE = "cca"
_FEWEST = 3


def draw(material: Material, folder: Path) -> View:
    """A picture a model: the lowest stage, and the mean of the higher ones."""
    points = _points(material)
    lines = pd.DataFrame()
    rows: list[dict[str, Any]] = []
    if not points.empty:
        lines = regress_end_on_start(points)
        rows = _line_rows(lines, points) + _point_rows(points)
    table = long_table(rows, material)
    pictures = []
    if not points.empty:
        for model, own in points.groupby("model", sort=False):
            pictures.append(
                gallery.keep(
                    _figure(own, lines[lines["model"] == model], str(model)),
                    folder,
                    f"{material.chapter.name}-{gallery.slug(str(model))}",
                    "Similarity of pairs at initialization against after training, "
                    f"{model}",
                )
            )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(lines)),
        sheet=_sheet(lines, table),
        colours={pair: mark.colour for pair, mark in MARKS.items()},
    )


def _points(material: Material) -> pd.DataFrame:
    """A row a pair at the lowest stage, and one at the mean of the others."""
    initial = material.analysis("population_initial")
    best = material.analysis("population_best")
    if initial.empty or best.empty:
        return pd.DataFrame()
    joined = join_start_and_end(*(t[t["measure"] == _MEASURE] for t in (initial, best)))
    if joined.empty:
        return joined
    keys = ["run_a", "run_b", "model", "pair", "measure"]
    values = ["value_at_start", "value_at_end"]
    lowest = joined.groupby("model", sort=False)["stage"].transform("first")
    higher = joined[joined["stage"] != lowest]
    means = higher.groupby(keys, sort=False)[values].mean().reset_index()
    means["stage"] = HIGHER
    columns = [*keys, "stage", *values]
    return pd.concat(
        [joined.loc[joined["stage"] == lowest, columns], means[columns]],
        ignore_index=True,
    ).assign(dataset=best["dataset"].iloc[0])


def _line_rows(lines: pd.DataFrame, points: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "dataset": points["dataset"].iloc[0],
            **{name: line[name] for name in ("model", "stage", "pair")},
            **{"quantity": quantity, "value": line[quantity]},
        }
        for line in lines.to_dict("records")
        for quantity in ("r_squared", "slope", "intercept", "pairs")
    ]


def _point_rows(points: pd.DataFrame) -> list[dict[str, Any]]:
    names = ("dataset", "model", "stage", "pair", "run_a", "run_b")
    return [
        {
            **{name: point[name] for name in names},
            **{"quantity": f"cca_{when}", "value": point[f"value_{when}"]},
        }
        for point in points.to_dict("records")
        for when in ("at_start", "at_end")
    ]


@styled
def _figure(points: pd.DataFrame, lines: pd.DataFrame, model: str) -> Figure:
    stages = list(dict.fromkeys(points["stage"]))
    figure, panels = plots.small_panels(len(stages), 2.6)
    for axes, stage in zip(panels, stages, strict=True):
        own = points[points["stage"] == stage]
        fitted = []
        for pair, part in own.groupby("pair", sort=False):
            if np.ptp(part["value_at_start"]) < 1e-9:
                continue  # Of one donor: all start alike, so there is nothing to see.
            mark = MARKS[pair] if pair in MARKS else MARKS["random – random"]
            axes.plot(
                part["value_at_start"], part["value_at_end"], mark.marker,
                color=mark.colour, markersize=5, markeredgecolor="white",
                markeredgewidth=0.6, alpha=0.9, label=str(pair),
            )  # fmt: skip
            line = find(lines, stage=stage, pair=pair)
            assert line is not None
            if np.isfinite(line["slope"]):
                ends = np.array([part["value_at_start"].min(),
                                 part["value_at_start"].max()])  # fmt: skip
                axes.plot(
                    ends, line["intercept"] + line["slope"] * ends, color=mark.colour,
                    linewidth=1.2,
                )  # fmt: skip
                fitted.append(f"{wording.number(line['r_squared'], 2)}")
            else:
                fitted.append("–")
        axes.set_title(
            f"{stage}\nR² {' | '.join(fitted)}" if fitted else str(stage), pad=4
        )
        axes.set_xlabel("CCA at initialization")
        axes.margins(0.12)
        plots.grid(axes, "both")
        if not fitted:
            axes.text(
                0.5, 0.5, "all start alike", transform=axes.transAxes, ha="center",
                color=MUTED,
            )  # fmt: skip
    panels[0].set_ylabel("CCA after training")
    figure.suptitle(model, x=0.02, ha="left", fontsize=9.5, fontweight="bold")
    plots.legend_below(figure, panels)
    return figure


def _sheet(lines: pd.DataFrame, table: pd.DataFrame) -> Sheet:
    paper = has_paper(table, "r_squared")
    rows = []
    for line in _by_model(lines):
        keys = {name: line[name] for name in ("model", "stage", "pair")}
        row = find(table, **keys, quantity="r_squared")
        known = np.isfinite(line["r_squared"])
        few = "too few pairs" if line["pairs"] < _FEWEST else "all start alike"
        rows.append(
            (
                line["model"],
                line["stage"],
                line["pair"],
                str(line["pairs"]),
                wording.number(line["r_squared"], 2) if known else few,
                wording.number(line["slope"], 2),
                *([wording.number(row["paper"], 2) if row else ""] if paper else []),
            )
        )
    heads = ("Model", "Stage", "Pair", "Pairs", "R²", "Slope",
             *(["Paper: R²"] if paper else []))  # fmt: skip
    return Sheet(
        heads,
        tuple(rows),
        words=3,
        caption="Pairs that share a run are not independent: R² describes, and tests "
        "nothing.",
    )


def _by_model(lines: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines, those of one model together."""
    if lines.empty:
        return []
    parts = [part for _, part in lines.groupby("model", sort=False)]
    return [
        {str(name): value for name, value in line.items()}
        for line in pd.concat(parts).to_dict("records")
    ]


def _sentences(lines: pd.DataFrame) -> list[str]:
    said: list[str] = []
    if lines.empty:
        return said
    for (model, pair), part in lines.groupby(["model", "pair"], sort=False):
        known = part[part["r_squared"].notna()]
        if known.empty:
            if part["pairs"].max() < _FEWEST and len(set(str(pair).split(" – "))) > 1:
                count = wording.plural(int(part["pairs"].max()), "pair")
                said.append(f"{model}, {pair}: {count}, too few for a line.")
            continue
        values = [
            f"{stage} {wording.number(value, 2)}"
            for stage, value in zip(known["stage"], known["r_squared"], strict=True)
        ]
        said.append(f"R² of {model}, {pair}: {wording.listed(values)}.")
    few = lines[(lines["pairs"] < _FEWEST)]
    if not said and len(few):
        said.append(
            "Fewer than 3 pairs of each kind: no line can be drawn through them."
        )
    return said
