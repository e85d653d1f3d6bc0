"""The chapter on what each start gains over random weights, on test."""

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.chapters.accuracy import say_differences
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Dots
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.rows.accuracy_rows import difference_rows
from transfusion_tf.report.sentences import one_seed_note
from transfusion_tf.report.sheets import SIGNED_ENDS, Column, SheetPlan
from transfusion_tf.report.style import INK, RULE

_GAIN = "difference_to_random"


def _mark_zero(axes: Axes, own: LongTable) -> None:
    """Zero, and the band within which a difference would hardly change a choice."""
    margin = own.first["margin"]
    low, high = axes.get_xlim()
    axes.axvspan(-margin, margin, color=RULE, alpha=0.45, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_xlim(min(low, -1.4 * margin), max(high, 1.4 * margin))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(
        lambda value, _: wording.signed(value, 2) if abs(value) > 1e-9 else "0"
    )


DIFFERENCES = ChapterKind(
    name="differences",
    rows=difference_rows,
    charts=Chart(
        Panel(
            Dots(_GAIN, rows="panel"),
            x="test {unit} minus that of random weights",
            grid="x",
            adjust=_mark_zero,
        ),
        text="Difference in test metric to random weights with 95 % intervals",
        height=lambda own: 0.95 + 0.34 * len(own.values("panel")),
        where={"quantity": _GAIN},
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="panel", once=True),
            Column("Start", word="initialization"),
            Column("minus random weights", _GAIN, "{value:+.3f}"),
            Column("95 % interval", _GAIN, SIGNED_ENDS),
        ),
        lines=("dataset", "model", "train_examples", "initialization"),
        group=("dataset", "model", "train_examples"),
        where={"quantity": _GAIN},
        caption=lambda table: (
            "Runs of the same seed are paired. Grey: within "
            f"{wording.number(table.first['margin'], 2)} of zero, which "
            "would hardly change a choice."
        ),
    ),
    sentences=(say_differences, one_seed_note(_GAIN)),
)

KINDS = (DIFFERENCES,)
