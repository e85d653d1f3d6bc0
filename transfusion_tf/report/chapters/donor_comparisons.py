"""Chapters on what donors lead to: representations, mistakes, gains."""

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.chapters.donor_accuracy import RANDOM_COLOUR, donor_colours
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Dots, Lines, Scatter
from transfusion_tf.report.charts_references import TO_ONE, Floor, Level
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.rows.donor_comparisons_rows import (
    CONTROL,
    EXCESS,
    INDEPENDENT,
    RANDOM,
    SIMILARITY,
    STEP,
    donor_similarity_rows,
    gain_and_similarity_rows,
    mistake_rows,
)
from transfusion_tf.report.sheets import (
    EFFECT,
    OF_SEEDS,
    SIGNED_ENDS,
    Column,
    SheetPlan,
)
from transfusion_tf.report.style import MUTED, Mark

# Apart from the colours of donors, which stand in the panel above.
_BEFORE = ("#cc79a7", "#b08a00", "#a5463a")
_AFTER = ("#4b7f1b", "#56b4e9", "#2f4b7c")


def _say_once(table: LongTable) -> list[str]:
    """What a chapter says that has one fold, or one seed, alone."""
    runs = table.where(quantity="runs").rows
    if not runs or max(row["seeds"] for row in runs) > 1:
        return []
    over = runs[0]["over"]
    return [f"One {over} each: nothing here says how much another would change."]


def _line_marks(table: LongTable) -> dict[str, Mark]:
    colours = donor_colours(table)
    marks = {}
    turns = {", before": (_BEFORE, "D", 0), ", after": (_AFTER, "s", 0)}
    for own in table.where(quantity="cca").split("pair"):
        pair, donor = own.first["pair"], own.first["donor"]
        if donor:
            marks[pair] = Mark(colours.get(donor, MUTED), "s")
        for ending, (ramp, marker, turn) in turns.items():
            if pair.endswith(ending):
                marks[pair] = Mark(ramp[turn % len(ramp)], marker)
                turns[ending] = (ramp, marker, turn + 1)
    return marks | {RANDOM: Mark(RANDOM_COLOUR, "o")}


def _similarity_panel(title: str, x: str, height: float, *, itself: bool) -> Panel:
    return Panel(
        (Floor("stage", missing="not compared"), Lines("cca", "stage", series="pair")),
        title=title,
        x=x,
        y="mean {similarity}",
        where={"itself": itself},
        height=height,
        axes={**TO_ONE, "yticks": [0, 0.25, 0.5, 0.75, 1]},
    )


def _stage_columns(table: LongTable) -> list[Column]:
    first = next(table.where(quantity="cca").split("dataset", "pair"), table)
    return [
        Column("Target", word="target", once=True),
        Column("Compared", word="pair"),
        *(
            Column(stage, "cca", where={"stage": stage})
            for stage in first.values("stage")
        ),
    ]


def _say_donor_similarity(table: LongTable) -> list[str]:
    said = []
    measure = table.words["similarity"]
    for own in table.where(quantity="mean_cca").split("dataset"):
        means = {row["pair"]: wording.number(row["value"]) for row in own.rows}
        for pair in [name for name in means if name.endswith(", before")]:
            donors = pair.removesuffix(", before")
            after = means.get(f"{donors}, after")
            if after is None:
                continue
            text = (
                f"{own.first['target']}: {donors} have a mean {measure} of "
                f"{means[pair]} before fine-tuning and {after} after it"
            )
            if RANDOM in means:
                text += f"; two random starts have {means[RANDOM]}"
            said.append(text + ".")
    return said


DONOR_SIMILARITY = ChapterKind(
    name="donor_similarity",
    rows=donor_similarity_rows,
    charts=Chart(
        (
            _similarity_panel(
                "{target}: each donor and itself, fine-tuned", "", 2.1, itself=True
            ),
            _similarity_panel(
                "One donor and the other; two random starts", "stage", 2.3, itself=False
            ),
        ),
        text="Mean {similarity} by stage on {target}: donors before and after "
        "fine-tuning",
        suffix="{dataset}",
        suffix_if_one=False,
        by=("dataset",),
        share="x",
        marks=_line_marks,
    ),
    sheet=SheetPlan(
        _stage_columns,
        lines=("dataset", "pair"),
        where={"quantity": "cca"},
        caption="Mean {similarity}, ± over folds, on images of the fold's validation "
        "part; random starts are compared untrained. 1: the same up to a linear map.",
    ),
    sentences=(_say_donor_similarity, _say_once),
    marks=lambda table: {},
)

_MISTAKE_MARKS = {SIMILARITY: Mark("#0072b2", "s"), INDEPENDENT: Mark("#d55e00", "o")}


def _explain_faint(axes: Axes, own: LongTable) -> None:
    axes.text(
        1,
        1.02,
        "faint: folds",
        transform=axes.transAxes,
        ha="right",
        fontsize=7,
        color=MUTED,
    )


def _say_mistakes(table: LongTable) -> list[str]:
    rows = table.where(quantity=EXCESS).rows
    if not rows:
        return []
    low, *_, high = sorted([float(row["value"]) for row in rows] * 2)
    above = [row for row in rows if row["low"] > 0]
    said = [
        "Models from two donors are both right or both wrong on "
        f"{wording.signed(100 * low, 1)} to {wording.signed(100 * high, 1)} % of the "
        "images more than with independent mistakes; the interval lies above zero for "
        f"{len(above)} of {len(rows)}."
    ]
    if len(table.where(quantity=CONTROL)) < len(rows):
        said.append(
            "One donor with itself: empty where no two runs of a donor, of other "
            "seeds, were tested on the same images; --seeds=2 makes such runs."
        )
    return said


MISTAKES = ChapterKind(
    name="mistakes",
    rows=mistake_rows,
    charts=Chart(
        Panel(
            Dots(
                (SIMILARITY, INDEPENDENT),
                rows="name",
                series="shown",
                label="words",
                gap=0.32,
                repetitions="of_fold",
            ),
            x="share of test images on which both are right or both are wrong",
            grid="x",
            adjust=_explain_faint,
        ),
        text="Prediction similarity of models from two donors, by target, beside "
        "that of models whose mistakes are independent",
        where={"compared": True},
        height=lambda own: 1.1 + 0.6 * len(own.values("name")),
    ),
    sheet=SheetPlan(
        (
            Column("Target", word="target"),
            Column("Donors", word="pair"),
            Column("Similarity", SIMILARITY),
            Column("if independent", INDEPENDENT),
            Column("Excess", EXCESS, EFFECT),
            Column("of one donor with itself", CONTROL, EFFECT, missing=""),
            Column("Folds above", "folds_above", OF_SEEDS, missing=""),
            Column("Accuracies", word="accuracies"),
        ),
        lines=("dataset", "pair"),
        words=2,
        caption="± over folds; small: 95 % interval over folds. Folds above: those "
        "whose own interval, over patients, lies above zero. One donor with itself: "
        "the excess of two of its runs, of other seeds, on one test set: what is hard "
        "is hard for all.",
    ),
    sentences=(_say_mistakes, _say_once),
    marks=lambda table: _MISTAKE_MARKS,
    coloured="shown",
)


def _scale_gain(axes: Axes, own: LongTable) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    # A band through three points may be a hundred times as high as the points.
    gains = own.whole.where(quantity="gain").frame["value"]
    low, high = gains.min(), gains.max()
    room = 0.3 * max(high - low, 0.02)
    axes.set_ylim(low - room, high + room)


def _say_slopes(table: LongTable) -> list[str]:
    said = []
    for own in table.where(quantity="slope").split("initialization"):
        falling = [row for row in own.rows if row["value"] < 0]
        below = [row["stage"] for row in own.rows if row["high"] < 0]
        text = (
            f"{own.first['initialization']}: the line falls at {len(falling)} of "
            f"{len(own)} stages"
        )
        if below:
            text += f", with its whole interval below zero at {wording.listed(below)}"
        said.append(text + ".")
    if not said and len(table.where(quantity="points")):
        said.append("Fewer than 3 folds: no line can be drawn through them.")
    return said


GAIN_AND_SIMILARITY = ChapterKind(
    name="gain_and_similarity",
    rows=gain_and_similarity_rows,
    charts=Chart(
        Panel(
            (
                Scatter(
                    "cca",
                    "gain",
                    keys=("run_a",),
                    series="target",
                    label="label",
                    size=4.2,
                    fit="fit",
                ),
                Level(colour=MUTED, width=0.8),
            ),
            title="{title}",
            where={"quantity": ("cca", "gain", "fit")},
            grid="both",
            adjust=_scale_gain,
        ),
        text="AUC gain over random weights against {similarity} before and after "
        "fine-tuning, donor {initialization}, by stage",
        suffix="{initialization}",
        by=("initialization",),
        facet="stage",
        small=1.85,
        title="{initialization}",
        x="{similarity} before and after",
        y="AUC gain over random weights",
        share="y",
    ),
    sheet=SheetPlan(
        (
            Column("Donor", word="initialization", once=True),
            Column("Stage", word="stage"),
            Column("Points", "points", "{value:.0f}"),
            Column(
                f"Gain per {STEP:g} {{similarity}}",
                "slope",
                "{value:+.3f}",
                missing="too few points",
            ),
            Column("95 % interval", "slope", SIGNED_ENDS, missing=""),
            Column(
                "within targets",
                "slope_within",
                "{value:+.3f}",
                missing="one target",
            ),
            Column("R²", "r_squared", "{value:.2f}", missing=""),
        ),
        lines=("initialization", "stage"),
        where={"quantity": "points"},
        caption="A point is a fold. Folds of one target are not independent, so the "
        "intervals are too narrow: they describe. Within targets: where each target "
        "has a height of its own, so that what targets differ in does not count.",
    ),
    sentences=(_say_slopes,),
    marks=marks_of("target"),
    coloured="",
)

KINDS = (DONOR_SIMILARITY, MISTAKES, GAIN_AND_SIMILARITY)
