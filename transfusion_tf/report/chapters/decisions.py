"""The chapter on what outputs decide: ROC, operating points, confusion, reliability."""

import dataclasses
from collections.abc import Iterator

from matplotlib.axes import Axes

from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, DrawnFigure, ForEach, Panel
from transfusion_tf.report.charts_layers import Curves
from transfusion_tf.report.charts_references import HeatMap
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.reliability_diagram import reliability_diagram
from transfusion_tf.report.rows.accuracy_rows import model_results
from transfusion_tf.report.rows.decision_rows import (
    POINTS,
    decision_rows,
    reliabilities,
)
from transfusion_tf.report.sentences import say_listed, say_remarks
from transfusion_tf.report.sheets import PERCENT, Column, SheetPlan
from transfusion_tf.report.style import MUTED

_RATE = PERCENT + "[\n{low:%} to {high:%}]"
# More classes need the figure's width.
_MOST_SMALL = 5


@dataclasses.dataclass(frozen=True)
class _FewOrMany:
    """One of two charts, by how many names a column has."""

    column: str
    most: int
    few: Chart
    many: Chart

    def __call__(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        few = len(table.values(self.column)) <= self.most
        return (self.few if few else self.many)(material, table)


def _draw_reliability(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """Whether a model's outputs can be read as probabilities, by start."""
    name = table.first["panel"]
    for results, panel in model_results(material):
        dataset = results.record.runs[0].dataset
        if (dataset["name"], results.panel_name(panel)) != (
            table.first["dataset"],
            name,
        ):
            continue
        curves, errors = reliabilities(panel.starts)
        # Where too few images were tested for rates, no start has a mark.
        if curves and table.marks:
            yield DrawnFigure(
                reliability_diagram(curves, errors, table.marks, dataset["kind"], name),
                f"reliability-{name}",
                f"Reliability diagram of {name}, by start",
            )


def _square(axes: Axes, own: LongTable) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


_ROC = Chart(
    Panel(
        Curves("roc", width=1.5),
        title="{panel}: {question}",
        x="1 − specificity",
        y="sensitivity",
        grid="both",
        height=3.4,
        adjust=_square,
    ),
    text="ROC curves of {panel} by start, with 95 % bands over patients",
    suffix="roc-{panel}",
    where={"quantity": "roc"},
    facet="question",
)
_CONFUSION_PANEL = Panel(
    HeatMap(
        "confusion",
        down="true_class",
        across="predicted_class",
        written=True,
        text_size=6.5,
    ),
    title="{panel} from {initialization}",
    x="predicted class",
    y="true class",
    grid="",
    height=4.0,
)
_CONFUSION = Chart(
    _CONFUSION_PANEL,
    text="Confusion matrices of {panel} by start",
    suffix="confusion-{panel}",
    where={"quantity": "confusion"},
    facet="initialization",
    legend=False,
)
_SMALL_CONFUSION = dataclasses.replace(
    _CONFUSION,
    panels=dataclasses.replace(_CONFUSION_PANEL, title="{initialization}", x=""),
    small=2.4,
    x="predicted class",
    title="{panel}",
)


def _say_sensitivity(table: LongTable) -> list[str]:
    point = next(iter(POINTS))
    own = table.where(point=point)
    if len(own.values("question")) != 1:
        return []
    said = say_listed(
        "{panel}, {question}: at {point} on the validation set, sensitivity on the "
        "test set is {listed}.",
        "{value:%} from {initialization}",
        "sensitivity",
        by=("dataset", "panel"),
    )
    return said(own)


DECISIONS = ChapterKind(
    name="decisions",
    rows=decision_rows,
    charts=ForEach(
        ("dataset", "panel"),
        (
            _FewOrMany(
                "question", 1, _ROC, dataclasses.replace(_ROC, small=2.2, share="xy")
            ),
            _FewOrMany("true_class", _MOST_SMALL, _SMALL_CONFUSION, _CONFUSION),
            _draw_reliability,
        ),
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="panel", once=True),
            Column("Start", word="initialization"),
            Column("Question", word="question", if_several=True),
            Column("Threshold for", word="point"),
            Column("Sensitivity", "sensitivity", _RATE),
            Column("Specificity", "specificity", _RATE),
        ),
        lines=("dataset", "panel", "initialization", "question", "point"),
        group=("dataset", "panel"),
        where={"quantity": "sensitivity"},
        caption="Thresholds are chosen on the validation set, run by run; rates are of "
        "the test set, means over runs. Small: 95 % intervals over patients, without "
        "the spread between seeds.",
        show_empty=False,
    ),
    sentences=(_say_sensitivity, say_remarks),
    columns=(
        *("dataset", "model", "train_examples", "initialization", "question", "point"),
        *("true_class", "predicted_class", "quantity", "value", "low", "high"),
    ),
)


KINDS = (DECISIONS,)
