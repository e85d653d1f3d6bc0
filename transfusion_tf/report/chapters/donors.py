"""Chapters that compare donors over the folds of several targets."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from transfusion_tf.report import images, style, wording
from transfusion_tf.report.calibration import reliability_diagram
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, DrawnFigure, Panel
from transfusion_tf.report.charts_layers import Dots, Floor, Level, Lines, Scatter
from transfusion_tf.report.long_table import LongTable, finite
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.donors import (
    BALANCED,
    CALIBRATION,
    EXCESS,
    INDEPENDENT,
    RANDOM,
    SIMILARITY,
    STEP,
    by_target,
    donor_accuracy_rows,
    donor_cells,
    donor_similarity_rows,
    gain_and_similarity_rows,
    mistake_rows,
    reliabilities,
    target_rows,
    target_title,
)
from transfusion_tf.report.sentences import settled
from transfusion_tf.report.sheets import (
    Column,
    SheetPlan,
    beside_paper,
    count,
    interval,
    number,
    share,
    signed,
    signed_interval,
    with_interval,
    with_spread,
)
from transfusion_tf.report.style import MUTED, Mark

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b08a00")
# Apart from the colours of donors, which stand in the panel above.
_BEFORE = ("#cc79a7", "#b08a00", "#a5463a")
_AFTER = ("#4b7f1b", "#56b4e9", "#2f4b7c")
_RANDOM_COLOUR = style.marks([BASELINE])[BASELINE].colour
_MOST_IMAGES = 6
# Of the bars of class shares, inches.
_TITLE_HEIGHT, _BAR_HEIGHT, _LINE_HEIGHT = 0.26, 0.3, 0.14
_BAR_COLOUR = style.marks(["transfer"])["transfer"].colour


def _donor_colours(table: LongTable) -> dict[str, str]:
    names = [name for name in table.values("donor") if name not in ("", BASELINE)]
    return dict(zip(names, _COLOURS, strict=False)) | {BASELINE: _RANDOM_COLOUR}


def donor_marks(table: LongTable) -> dict[str, Mark]:
    """A colour for each donor, a marker for each way of fine-tuning."""
    colours = _donor_colours(table)
    marks = {}
    for own in table.split("initialization"):
        row = own.first
        marker = "D" if row["head_first"] else "s"
        marks[row["initialization"]] = Mark(
            colours.get(row["donor"], MUTED),
            "o" if row["donor"] == BASELINE else marker,
        )
    return marks


def _say_once(table: LongTable) -> list[str]:
    """What a chapter says that has one fold, or one seed, alone."""
    runs = table.where(quantity="runs").rows
    if not runs or max(row["seeds"] for row in runs) > 1:
        return []
    over = runs[0]["over"]
    return [f"One {over} each: nothing here says how much another would change."]


@dataclasses.dataclass(frozen=True)
class ClassShares:
    """Shares of the classes of every target: of one bar, or of one for each finding."""

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        top = 0.0
        for own in table.split("dataset"):
            total = own.find(quantity="images")
            assert total is not None
            title = f"{total['target']}: {wording.count(total['value'])} images"
            axes.text(0, top - 0.6 * _TITLE_HEIGHT, title, fontsize=8)
            shares = {row["class"]: row["share"] for row in _class_rows(own)}
            bars = _side_by_side if total["kind"] == "findings" else _in_one
            bars(axes, top - _TITLE_HEIGHT, shares)
            top -= _shares_height(own)
        axes.set_ylim(top - 0.03, 0)
        axes.set_xlim(0, 1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _class_rows(own: LongTable) -> list:
    return [row for row in own.rows if row["quantity"].startswith("images/")]


def _shares_height(own: LongTable) -> float:
    """Inches: one bar for classes that exclude one another, one each for findings."""
    if own.first["kind"] == "findings":
        return _LINE_HEIGHT * len(_class_rows(own)) + _TITLE_HEIGHT
    return _BAR_HEIGHT + _TITLE_HEIGHT


def _in_one(axes: Axes, top: float, shares: dict[str, float]) -> None:
    """Classes as parts of one bar, named where there is room."""
    left, middle = 0.0, top - 0.4 * _BAR_HEIGHT
    for index, (name, share_) in enumerate(shares.items()):
        alpha = _alpha(index, len(shares))
        axes.barh(
            middle, share_, 0.8 * _BAR_HEIGHT, left=left, color=_BAR_COLOUR, alpha=alpha
        )
        if share_ > 0.013 * len(name) + 0.01:
            axes.text(
                left + share_ / 2,
                middle,
                name,
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if alpha > 0.5 else style.INK,
            )
        left += share_


def _side_by_side(axes: Axes, top: float, shares: dict[str, float]) -> None:
    """A bar for each finding: an image may have several, so they may exceed one."""
    for index, (name, share_) in enumerate(shares.items()):
        middle = top - _LINE_HEIGHT * (index + 0.5)
        alpha = _alpha(index, len(shares))
        axes.barh(middle, share_, 0.75 * _LINE_HEIGHT, color=_BAR_COLOUR, alpha=alpha)
        axes.text(share_ + 0.01, middle, name, va="center", fontsize=6.5)


def _alpha(index: int, most: int) -> float:
    return 0.35 + 0.5 * index / max(1, most - 1)


@dataclasses.dataclass(frozen=True)
class SampleImages:
    """Example images of every target, one of each class before a second of any."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """One figure, a row for each target that kept samples."""
        shown = {}
        for cells in by_target(donor_cells(material)).values():
            run = cells[0].first
            if (run.directory.path / "samples.npz").exists():
                found = images.samples_by_class(
                    *run.directory.samples(), run.dataset["classes"]
                )
                mixed = [
                    pictures[turn]
                    for turn in range(_MOST_IMAGES)
                    for pictures in found.values()
                    if turn < len(pictures)
                ]
                shown[target_title(cells[0])] = mixed[:_MOST_IMAGES]
        if shown:
            figure = _draw_samples(shown)
            yield DrawnFigure(figure, "", "Example images of every target")


def _draw_samples(shown: dict[str, list[np.ndarray]]) -> Figure:
    side = style.WIDTH / _MOST_IMAGES
    height = (side + 0.24) * len(shown)
    figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
    panels = figure.subplots(len(shown), _MOST_IMAGES, squeeze=False)
    for (title, pictures), row in zip(shown.items(), panels, strict=True):
        row[0].set_title(title, pad=3, fontsize=8)
        for axes in row:
            axes.axis("off")
        for axes, picture in zip(row, pictures, strict=False):
            axes.imshow(picture)
    return figure


def _say_targets(table: LongTable) -> list[str]:
    said = []
    protocols = set(table.values("protocol"))
    if protocols == {"paper"}:
        said.append(
            "As in the paper, weights are chosen on the fold that they are then tested "
            "on: the test values are optimistic."
        )
    elif protocols:
        said.append(
            "A validation part is held out of the training folds: the test fold is "
            "read once, at the end. The paper chose weights on the fold it reports."
        )
    totals = table.where(quantity="images").rows
    if len(totals) > 1:
        least = min(totals, key=lambda row: row["value"])
        said.append(
            f"{least['target']} is the smallest target, with "
            f"{wording.count(least['value'])} images."
        )
    return said


def _targets_caption(table: LongTable) -> str:
    paper = "small: the paper’s. " if table.has_paper() else ""
    return f"{paper}Images that could be used, over all splits."


TARGETS = ChapterKind(
    name="targets",
    rows=target_rows,
    charts=Chart(
        Panel(ClassShares(), x="share of the images", grid=""),
        text="Class shares by target",
        height=lambda table: (
            0.55 + sum(_shares_height(own) for own in table.split("dataset"))
        ),
        legend=False,
    ),
    sheet=SheetPlan(
        (
            Column("Target", word="target"),
            Column("Images", "images", count),
            Column("Classes", "classes", count),
            Column("Pixels", "image_size", count),
            Column("Images are", word="gray"),
            Column("Folds", word="folds"),
        ),
        lines=("dataset",),
        words=1,
        caption=_targets_caption,
    ),
    sentences=(_say_targets,),
    marks=lambda table: {},
)
TARGETS = dataclasses.replace(
    TARGETS, variants={"samples": dataclasses.replace(TARGETS, charts=SampleImages())}
)


@dataclasses.dataclass(frozen=True)
class ReliabilityDiagrams:
    """Whether outputs can be read as probabilities: a diagram for each target."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """Of the targets that have predictions."""
        for name, cells in by_target(donor_cells(material)).items():
            curves, errors = reliabilities(cells)
            if curves:
                title, kind = target_title(cells[0]), cells[0].first.dataset["kind"]
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
    return [
        f"{part.first['initialization']}: "
        f"{wording.signed(part.frame['value'].mean())} AUC against random weights on "
        f"average; the interval leaves out zero on {settled(part)} of "
        f"{wording.plural(len(part), 'target')}."
        for part in table.where(quantity="difference_to_random").split("initialization")
    ]


def _say_calibration(table: LongTable) -> list[str]:
    errors = table.where(quantity=CALIBRATION).frame
    means = errors.groupby("initialization", sort=False)["value"].mean()
    if len(means) < 2:
        return []
    return [
        f"Best calibrated on average is {means.idxmin()} (calibration error "
        f"{wording.number(means.min())}), worst {means.idxmax()} "
        f"({wording.number(means.max())})."
    ]


DONOR_ACCURACY = ChapterKind(
    name="donor_accuracy",
    rows=donor_accuracy_rows,
    charts=(
        Chart(
            Panel(Dots("test", rows="target", gap=0.16), grid="x", adjust=_name_units),
            text="Test AUC by target and donor, mean over folds with 95 % intervals",
            height=lambda own: 1.0 + 0.8 * len(own.values("target")),
        ),
        ReliabilityDiagrams(),
    ),
    sheet=SheetPlan(
        (
            Column("Target", word="target", once=True),
            Column("Donor", word="initialization"),
            Column("Test AUC", "test", beside_paper(with_spread)),
            Column("95 % interval", "test", interval),
            Column("minus random weights", "difference_to_random", with_interval),
            Column("Balanced accuracy", BALANCED),
            Column("Calibration error", CALIBRATION),
        ),
        lines=("dataset", "initialization"),
        caption="Mean ± standard deviation over folds; intervals count that folds "
        "share training images. Calibration error: expected calibration error, 15 "
        "bins; 0 is calibrated.",
    ),
    sentences=(_say_highest, _say_mean_gains, _say_calibration),
    marks=donor_marks,
)


def _line_marks(table: LongTable) -> dict[str, Mark]:
    colours = _donor_colours(table)
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
    return marks | {RANDOM: Mark(_RANDOM_COLOUR, "o")}


def _tick_quarters(axes: Axes, own: LongTable) -> None:
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _similarity_panel(title: str, x: str, height: float, *, itself: bool) -> Panel:
    return Panel(
        (Floor("stage", missing="not compared"), Lines("cca", "stage", series="pair")),
        title=title,
        x=x,
        y="mean CCA",
        where={"itself": itself},
        height=height,
        adjust=_tick_quarters,
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
    for own in table.where(quantity="mean_cca").split("dataset"):
        means = {row["pair"]: wording.number(row["value"]) for row in own.rows}
        for pair in [name for name in means if name.endswith(", before")]:
            donors = pair.removesuffix(", before")
            after = means.get(f"{donors}, after")
            if after is None:
                continue
            text = (
                f"{own.first['target']}: {donors} have a mean CCA of {means[pair]} "
                f"before fine-tuning and {after} after it"
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
        text="Mean CCA by stage on {target}: donors before and after fine-tuning",
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
        caption="Mean CCA, ± over folds, on images of the fold's validation part; "
        "random starts are compared untrained. 1: the same up to a linear map.",
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
    return [
        "Models from two donors are both right or both wrong on "
        f"{wording.signed(100 * low, 1)} to {wording.signed(100 * high, 1)} % of the "
        "images more than with independent mistakes; the interval lies above zero for "
        f"{len(above)} of {len(rows)}."
    ]


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
            Column("Excess", EXCESS, with_interval),
            Column("Folds above", "folds_above", share),
            Column("Accuracies", word="accuracies"),
        ),
        lines=("dataset", "pair"),
        words=2,
        caption="± over folds; small: 95 % interval over folds. Folds above: those "
        "whose own interval, over patients, lies above zero.",
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
                    hollow_where="head_first",
                    fit="fit",
                ),
                Level(colour=MUTED, width=0.8),
            ),
            title="{title}",
            where={"quantity": ("cca", "gain", "fit")},
            grid="both",
            adjust=_scale_gain,
        ),
        text="AUC gain over random weights against CCA before and after "
        "fine-tuning, donor {initialization}, by stage",
        suffix="{initialization}",
        by=("initialization",),
        facet="stage",
        small=1.85,
        title="{initialization}",
        x="CCA before and after",
        y="AUC gain over random weights",
        share="y",
    ),
    sheet=SheetPlan(
        (
            Column("Donor", word="initialization", once=True),
            Column("Stage", word="stage"),
            Column("Points", "points", number(0)),
            Column(f"Gain per {STEP:g} CCA", "slope", signed("too few points")),
            Column("95 % interval", "slope", signed_interval),
            Column("R²", "r_squared", number(2, missing="")),
        ),
        lines=("initialization", "stage"),
        where={"quantity": "points"},
        caption="A point is a fold. Folds of one target are not independent, so the "
        "intervals are too narrow: they describe.",
    ),
    sentences=(_say_slopes,),
    marks=marks_of("target"),
    coloured="",
)

KINDS = (TARGETS, DONOR_ACCURACY, DONOR_SIMILARITY, MISTAKES, GAIN_AND_SIMILARITY)
