"""Profiles: a number of each part of a network, by start; means over seeds.

What the views of travel, robustness and k-NN share: a panel a model, its parts from the
input up, a line a start.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.evaluation import seed_interval
from transfusion_tf.report import wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import Sheet, measured
from transfusion_tf.report.views.reuse_cells import (
    LEVELS,
    Cell,
    cells,
    has_levels,
    start_marks,
    start_name,
)

_HEAD = "head"
_MOST_NAMES = 9


@dataclasses.dataclass(frozen=True, eq=False)
class Profile:
    """Of one cell.

    Attributes:
      cell: its runs.
      parts: names from the input up.
      values: [seeds, parts].
      body: places of the parts below the head.
    """

    cell: Cell
    parts: tuple[str, ...]
    values: np.ndarray
    body: tuple[int, ...]

    @property
    def means(self) -> np.ndarray:
        """[parts], over seeds."""
        return self.values.mean(axis=0)


def profiles(
    material: Material, analysis: str, column: str, *, part: str = "part"
) -> list[Profile]:
    """The profiles of all cells that were analysed.

    Args:
      material: of the chapter.
      analysis: whose rows have `run`, `position`, `stage`, and the columns below.
      column: with the numbers.
      part: with the parts' names.
    """
    table = material.analysis(analysis)
    if table.empty:
        return []
    found = []
    for cell in cells(material):
        names = {run.run_id for run in cell.runs.values()}
        own = table[table["run"].isin(names)]
        if own.empty:
            continue
        square = own.pivot_table(index="run", columns="position", values=column)
        order = own.drop_duplicates("position").set_index("position")
        order = order.loc[square.columns]
        # A head's layers have names of their own.
        body = np.flatnonzero(order["stage"] != _HEAD)
        parts = tuple(order[part].astype(str))
        found.append(Profile(cell, parts, square.to_numpy(float), tuple(body)))
    return found


def profile_rows(found: Sequence[Profile], quantity: str) -> list[dict[str, Any]]:
    """Rows of a long table: a part each, as `stage`."""
    return [
        {
            **{**profile.cell.keys, "stage": part, "quantity": quantity},
            **measured(seed_interval(list(profile.values[:, index]))),
        }
        for profile in found
        for index, part in enumerate(profile.parts)
    ]


def over_data(found: Sequence[Profile]) -> dict[str, dict[str, Profile]]:
    """Model -> start -> profile; of several data sets their mean, run by run."""
    together: dict[str, dict[str, Profile]] = {}
    for profile in found:
        starts = together.setdefault(profile.cell.model, {})
        start = profile.cell.initialization
        if start in starts:
            values = np.concatenate([starts[start].values, profile.values])
            profile = dataclasses.replace(profile, values=values)
        starts[start] = profile
    return together


@styled
def figure(
    found: Sequence[Profile],
    label: str,
    *,
    log: bool = False,
    extra: Callable[[Axes], None] | None = None,
) -> Figure:
    """A panel a model; with `extra` one panel more, which it draws.

    Args:
      found: the profiles.
      label: of the vertical axis.
      log: whether that axis is logarithmic.
      extra: draws the last panel.
    """
    together = over_data(found)
    marks = start_marks([profile.cell for profile in found])
    figure, panels = plots.small_panels(len(together) + bool(extra), 2.15)
    for axes, (model, starts) in zip(panels, together.items(), strict=False):
        _draw_model(axes, starts, marks)
        axes.set_title(model, pad=4)
        if log:
            axes.set_yscale("log")
        plots.grid(axes, "y")
    for axes in panels[::2]:
        axes.set_ylabel(label)
    if extra:
        extra(panels[-1])
    if has_levels([profile.cell for profile in found]):
        _share_bar(figure, panels)
    else:
        plots.legend_below(figure, panels[: len(together)])
    return figure


def _share_bar(figure: Figure, panels: Sequence[Axes]) -> None:
    """What the colours of WT-ST mean."""
    bar = figure.colorbar(
        matplotlib.cm.ScalarMappable(cmap=LEVELS), ax=list(panels), location="bottom",
        aspect=45, pad=0.03, ticks=[0, 0.25, 0.5, 0.75, 1],
    )  # fmt: skip
    bar.ax.set_xticklabels(["ST", "¼", "½", "¾", "WT"])
    bar.set_label("share of stages that began with the donor's weights")
    bar.outline.set_visible(False)


def _draw_model(
    axes: Axes, starts: Mapping[str, Profile], marks: Mapping[str, Mark]
) -> None:
    for start, profile in starts.items():
        places, mark = np.arange(len(profile.parts)), marks[start]
        if len(profile.values) > 1:
            axes.fill_between(
                places, profile.values.min(axis=0), profile.values.max(axis=0),
                color=mark.colour, alpha=0.12, linewidth=0,
            )  # fmt: skip
        axes.plot(
            places, profile.means, color=mark.colour, marker=mark.marker,
            markersize=3.2, linewidth=1.5, markeredgewidth=0,
            label=start_name(profile.cell),
        )  # fmt: skip
    parts = next(iter(starts.values())).parts
    step = -(-len(parts) // _MOST_NAMES)
    axes.set_xticks(
        range(0, len(parts), step), parts[::step], rotation=45, ha="right",
        rotation_mode="anchor", fontsize=6.5,
    )  # fmt: skip


def sheet(found: Sequence[Profile], caption: str, digits: int = 3) -> Sheet:
    """A row a model and start: mean over the parts but the head, and where it peaks."""
    rows = []
    together = over_data(found)
    for model, starts in together.items():
        for index, profile in enumerate(starts.values()):
            means = profile.means[list(profile.body)]
            top = int(np.nanargmax(means)) if np.isfinite(means).any() else 0
            rows.append(
                (
                    model if index == 0 else "",
                    start_name(profile.cell),
                    wording.number(float(np.nanmean(means)), digits),
                    wording.number(float(means[top]), digits),
                    profile.parts[profile.body[top]],
                )
            )
    return Sheet(
        ("Model", "Start", "Mean over parts", "Highest", "at"),
        tuple(rows),
        caption=caption,
    )


def mean_over_parts(profile: Profile) -> float:
    """Mean over the parts but the head."""
    return float(np.nanmean(profile.means[list(profile.body)]))


def ends(
    together: Mapping[str, Mapping[str, Profile]], model: str
) -> tuple[Profile | None, Profile | None]:
    """The profiles of a model from statistics and from weights."""
    found = {profile.cell.fraction: profile for profile in together[model].values()}
    return found.get(0.0), found.get(1.0)
