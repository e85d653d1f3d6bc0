"""The chapter on how well donors do: test AUC by target and donor; calibration."""

from collections.abc import Iterator

from matplotlib.axes import Axes

from transfusion_tf.report import style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, DrawnFigure, Panel
from transfusion_tf.report.charts_layers import Dots
from transfusion_tf.report.long_table import LongTable, finite
from transfusion_tf.report.material import Material
from transfusion_tf.report.reliability_diagram import reliability_diagram
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.decision_rows import reliabilities
from transfusion_tf.report.rows.donors_rows import (
    BALANCED,
    CALIBRATION,
    by_target,
    donor_accuracy_rows,
    donor_runs,
)
from transfusion_tf.report.sentences import say_extremes, settled
from transfusion_tf.report.sheets import (
    BESIDE_PAPER,
    EFFECT,
    ENDS,
    SPREAD,
    Column,
    SheetPlan,
)
from transfusion_tf.report.style import MUTED, Mark

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b08a00")
RANDOM_COLOUR = style.marks([BASELINE])[BASELINE].colour


def donor_colours(table: LongTable) -> dict[str, str]:
    """A colour for each donor; random weights are grey."""
    names = [name for name in table.values("donor") if name not in ("", BASELINE)]
    return dict(zip(names, _COLOURS, strict=False)) | {BASELINE: RANDOM_COLOUR}


def donor_marks(table: LongTable) -> dict[str, Mark]:
    """A colour for each donor, a marker for each way of fine-tuning."""
    colours = donor_colours(table)
    marks = {}
    for own in table.split("initialization"):
        row = own.first
        marker = "D" if row["head_first"] else "s"
        marks[row["initialization"]] = Mark(
            colours.get(row["donor"], MUTED),
            "o" if row["donor"] == BASELINE else marker,
        )
    return marks


def draw_reliability(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """Whether outputs can be read as probabilities: a diagram for each target."""
    for name, groups in by_target(donor_runs(material)).items():
        # Errors of the others are in the table; more curves than three tangle.
        whole = {group.label: group for group in groups if not group.head_first}
        curves, errors = reliabilities(whole)
        if curves:
            title = groups[0].columns["target"]
            kind = groups[0].first.dataset["kind"]
            yield DrawnFigure(
                reliability_diagram(curves, errors, table.marks, kind, title),
                f"calibration-{name}",
                f"Reliability diagram on {title}, by donor",
            )


def _name_units(axes: Axes, own: LongTable) -> None:
    axes.set_xlabel(f"test {wording.listed(sorted(own.values('unit')))}")


def _say_highest(table: LongTable) -> list[str]:
    best = []
    for own in table.where(quantity="test").split("dataset"):
        known = [row for row in own.rows if finite(row)]
        if known:
            top = max(known, key=lambda row: row["value"])
            best.append(
                f"{top['initialization']} on {top['target']} "
                f"({wording.number(top['value'])})"
            )
    return [f"Highest mean: {wording.listed(best)}."] if best else []


def _say_mean_gains(table: LongTable) -> list[str]:
    said = []
    for row in table.where(quantity="mean_difference_to_random").rows:
        label = row["initialization"]
        gains = table.where(quantity="difference_to_random", initialization=label)
        said.append(
            f"{label}: {wording.signed(row['value'])} AUC against random weights on "
            f"average; the interval leaves out zero on {settled(gains)} of "
            f"{wording.plural(len(gains), 'target')}."
        )
    return said


DONOR_ACCURACY = ChapterKind(
    name="donor_accuracy",
    rows=donor_accuracy_rows,
    charts=(
        Chart(
            Panel(Dots("test", rows="target", gap=0.16), grid="x", adjust=_name_units),
            text="Test AUC by target and donor, mean over folds with 95 % intervals",
            height=lambda own: 1.0 + 0.8 * len(own.values("target")),
        ),
        draw_reliability,
    ),
    sheet=SheetPlan(
        (
            Column("Target", word="target", once=True),
            Column("Donor", word="initialization"),
            Column("Test AUC", "test", SPREAD + BESIDE_PAPER),
            Column("95 % interval", "test", ENDS),
            Column("minus random weights", "difference_to_random", EFFECT),
            Column("Balanced accuracy", BALANCED),
            Column("Calibration error", CALIBRATION),
        ),
        lines=("dataset", "initialization"),
        caption="Mean ± standard deviation over folds; intervals count that folds "
        "share training images. Calibration error: expected calibration error, 15 "
        "bins; 0 is calibrated.",
    ),
    sentences=(
        _say_highest,
        _say_mean_gains,
        say_extremes(
            "Best calibrated on average is {least} (calibration error {low:.3f}), "
            "worst {most} ({high:.3f}).",
            "{initialization}",
            f"mean_{CALIBRATION}",
            fewest=2,
        ),
    ),
    marks=donor_marks,
)


KINDS = (DONOR_ACCURACY,)
