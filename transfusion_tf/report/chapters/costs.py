"""The chapter on what accuracy costs: parameters, and seconds."""

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Lines, Scatter
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.rows.cost_rows import cost_rows
from transfusion_tf.report.sheets import COUNT, ENDS, Column, SheetPlan

_PANEL = ("dataset", "panel", "initialization")


def _by_parameters(axes: Axes, own: LongTable) -> None:
    places = sorted({row["place"] for row in own.where(quantity="test").rows})
    axes.set_xscale("log")
    axes.set_xticks(places, [wording.amount(place) for place in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.12)


COSTS = ChapterKind(
    name="costs",
    rows=cost_rows,
    charts=Chart(
        (
            Panel(
                Lines("test", "place", factor=0.03),
                x="parameters",
                y="test {unit}",
                adjust=_by_parameters,
            ),
            Panel(
                Scatter("seconds", "test", _PANEL, "initialization"),
                x="seconds per run",
                grid="both",
                legend=False,
            ),
        ),
        text="Test metric over parameters, and over the seconds of a run, by start",
        by=("dataset",),
        suffix="{dataset}",
        suffix_if_one=False,
        small=2.6,
        share="y",
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="panel", once=True),
            Column("Start", word="initialization"),
            Column("Test {unit}", "test"),
            Column("95 % interval", "test", ENDS),
            Column("Parameters", "parameters", COUNT),
            Column("Time per run", "seconds", "{took}"),
            Column("Donor’s training", "donor_seconds", "{took}"),
        ),
        lines=_PANEL,
        group=("dataset", "panel"),
        where={"quantity": "test"},
    ),
)


KINDS = (COSTS,)
