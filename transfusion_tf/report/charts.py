"""Charts are declarations: which panels, what is drawn in each, how they are laid out.

A chart reads a `LongTable` only. What is drawn in a panel is a list of layers, see
`transfusion_tf.report.charts_layers`. Titles, names of files and texts are templates
that the first row of what they stand for fills: `"test {unit}"`.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transfusion_tf.report import wording
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import MUTED, RULE, WIDTH, Mark, styled

_LEGEND_WIDTH = 74  # characters that fit one line of a legend
_SUPTITLE: dict[str, Any] = {
    "x": 0.02,
    "ha": "left",
    "fontsize": 9.5,
    "fontweight": "bold",
}


# Draws into a panel's axes from its rows; `table.whole` has those of the figure.
Layer = Callable[[Axes, LongTable], None]


@dataclasses.dataclass(frozen=True)
class DrawnFigure:
    """A figure, and what the page needs to know of it.

    Attributes:
      figure: as drawn.
      suffix: of its files' names, after the chapter's.
      text: what it shows, for those who cannot see it.
    """

    figure: Figure
    suffix: str
    text: str


# A chart, or what draws figures unlike any other: its figures, in order.
Drawing = Callable[[Material, LongTable], Iterator[DrawnFigure]]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
      layers: one, or several, drawn in order.
      title: template.
      x: template, below the axes.
      y: template, left of the axes.
      where: values that its rows have; all rows of the figure by default.
      grid: lines behind: `x`, `y` or `both`.
      height: inches, where panels stand one above the other.
      pad: between title and axes, points.
      legend: whether the figure's legend names what is drawn here.
      axes: properties of them, as `Axes.set` takes them: scales, ticks and limits.
      adjust: called last with axes and rows, for those that depend on the rows.
    """

    layers: Layer | tuple[Layer, ...]
    title: str = ""
    x: str = ""
    y: str = ""
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    grid: str = "y"
    height: float = 3.1
    pad: float = 4
    legend: bool = True
    axes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    adjust: Callable[[Axes, LongTable], None] | None = None


@dataclasses.dataclass(frozen=True)
class Chart:
    """One figure, or one for every data set, model, ...

    Attributes:
      panels: one, or several, of each figure.
      text: template: what it shows, for those who cannot see it.
      suffix: template: of the files' names.
      by: columns; every combination of their values is a figure of its own.
      where: values that the chart's rows have.
      facet: a column; the first panel is drawn once for each of its values, and those
        panels stand first.
      small: height of panels, inches, that stand two a row; 0 for a stack. A function
        of the figure's rows where it depends on how much there is.
      title: template, of the figure.
      x: template, below the lowest panels.
      y: template, left of all panels.
      share: axes that panels share: `x`, `y`, `xy`.
      all_y: whether every small panel has its label at the left, not the leftmost only.
      suffix_if_one: whether a lone figure's files have the suffix too.
      legend: whether there is one.
      height: of a stack's panels in place of their own.
      marks: how labels are drawn, in place of the chapter's marks.
      finish: called last with figure, axes and rows.
    """

    panels: Panel | tuple[Panel, ...]
    text: str
    suffix: str = ""
    by: tuple[str, ...] = ()
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facet: str = ""
    small: float | Callable[[LongTable], float] = 0.0
    title: str = ""
    x: str = ""
    y: str = ""
    share: str = ""
    all_y: bool = False
    suffix_if_one: bool = True
    legend: bool = True
    height: Callable[[LongTable], float] | None = None
    marks: Callable[[LongTable], Mapping[str, Mark]] | None = None
    finish: Callable[[Figure, Sequence[Axes], LongTable], None] | None = None

    def __call__(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """Its figures, in order."""
        parts = list(table.where(**self.where).split(*self.by))
        for part in parts:
            if not len(part):
                continue
            shown = self.suffix_if_one or len(parts) > 1
            suffix = fill(self.suffix, part) if shown else ""
            yield DrawnFigure(self.draw(part), suffix, fill(self.text, part))

    @styled
    def draw(self, part: LongTable) -> Figure:
        """One figure of all rows."""
        marks = self.marks(part) if self.marks else part.marks
        whole = dataclasses.replace(part, figure=None, marks=marks)
        whole = dataclasses.replace(whole, figure=whole)
        drawn = list(self._panels(whole))
        figure, axes = self._lay_out(drawn, whole)
        for each, (panel, own) in zip(axes, drawn, strict=True):
            for layer in several(panel.layers):
                layer(each, own)
            each.set(**panel.axes)
            self._name(each, panel, own, axes.index(each))
            if panel.adjust:
                panel.adjust(each, own)
        if self.title:
            figure.suptitle(fill(self.title, whole), **_SUPTITLE)
        if self.y:
            figure.supylabel(fill(self.y, whole), fontsize=8.5)
        if self.finish:
            self.finish(figure, axes, whole)
        if self.legend:
            named = zip(axes, drawn, strict=True)
            legend_below(
                figure,
                [each for each, (panel, _) in named if panel.legend],
                [_paper_key(whole.paper_label)] if _shows_paper(drawn) else [],
            )
        return figure

    def _panels(self, whole: LongTable) -> Iterator[tuple[Panel, LongTable]]:
        first, *rest = several(self.panels)
        others = rest if self.facet else (first, *rest)
        if self.facet:
            own = whole.where(**first.where)
            for value in own.values(self.facet):
                yield first, own.where(**{self.facet: value})
        for panel in others:
            yield panel, whole.where(**panel.where)

    def _lay_out(
        self, drawn: Sequence[tuple[Panel, LongTable]], whole: LongTable
    ) -> tuple[Figure, list[Axes]]:
        """Small panels two a row, the last of them invisible if odd; or a stack."""
        count, columns, room = len(drawn), 1, 0.0
        if self.small:
            small = self.small(whole) if callable(self.small) else self.small
            columns, room = 2, 0.3
            heights = [small] * -(-count // columns)
        else:
            heights = [
                self.height(own) if self.height else panel.height
                for panel, own in drawn
            ]
        figure = Figure(figsize=(WIDTH, sum(heights) + room), layout="constrained")
        panels = figure.subplots(
            len(heights),
            columns,
            squeeze=False,
            height_ratios=heights,
            sharex="x" in self.share,
            sharey="y" in self.share,
        )
        axes = list(panels.flat)
        for each in axes[count:]:
            each.set_visible(False)
        for each in axes[max(0, count - columns) : count]:
            each.set_xlabel(fill(self.x, whole))
        return figure, axes[:count]

    def _name(self, axes: Axes, panel: Panel, own: LongTable, index: int) -> None:
        if panel.title:
            axes.set_title(short(fill(panel.title, own)), pad=panel.pad)
        if panel.x:
            axes.set_xlabel(fill(panel.x, own))
        if panel.y and (not self.small or self.all_y or index % 2 == 0):
            axes.set_ylabel(fill(panel.y, own))
        if panel.grid:
            axes.grid(axis=panel.grid, color=RULE, linewidth=0.5)  # type: ignore[arg-type]
            axes.set_axisbelow(True)


@dataclasses.dataclass(frozen=True)
class ForEach:
    """Several figures for every combination of the values of some columns."""

    by: tuple[str, ...]
    charts: tuple[Drawing, ...]

    def __call__(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """All of the first combination, then all of the second, ..."""
        for part in table.split(*self.by):
            for chart in self.charts:
                yield from chart(material, part)


def several(parts: Any) -> tuple[Any, ...]:
    """One part as a tuple; a tuple as it is."""
    return parts if isinstance(parts, tuple) else (parts,)


def fill(template: str, table: LongTable) -> str:
    """The template with the table's words and the values of its first row.

    Without rows, one that names anything but words stays as it is.
    """
    known = table if len(table) else table.whole
    asked = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    if not asked or not (len(known) or asked <= table.words.keys()):
        return template
    row = known.first if len(known) else {}
    return wording.fill(template, {**table.words, **row})


def legend_below(
    figure: Figure, axes: Sequence[Axes], extra: Sequence[Line2D] = ()
) -> None:
    """One legend for all panels, below them, so that it covers nothing."""
    handles: dict[str, Artist] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    for line in extra:
        handles.setdefault(str(line.get_label()), line)
    if not handles:
        return
    longest = max(len(label) for label in handles) + 7
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower left",
        ncols=max(1, min(4, _LEGEND_WIDTH // longest, len(handles))),
        handlelength=1.7,
        labelspacing=0.3,
        columnspacing=1.4,
    )


def _paper_key(text: str) -> Line2D:
    """What the legend says of hollow marks."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=5.5,
        color=MUTED,
        fillstyle="none",
        label=text,
    )


def short(text: str) -> str:
    """The text, broken before its options where it is long."""
    if len(text) <= 30 or "[" not in text:
        return text
    return text.replace("[", "\n[", 1)


def _shows_paper(drawn: Sequence[tuple[Panel, LongTable]]) -> bool:
    """Whether a layer draws a value of the paper."""
    return any(
        getattr(layer, "shows_paper", False) and own.has_paper(layer.quantity)
        for panel, own in drawn
        for layer in several(panel.layers)
    )
