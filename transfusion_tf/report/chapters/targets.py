"""The chapter on targets: images, classes and pixels of every data set."""

import dataclasses
from collections.abc import Iterator

from matplotlib.axes import Axes

from transfusion_tf.report import sample_images, style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, DrawnFigure, Panel
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.donors_rows import (
    by_target,
    donor_runs,
    target_rows,
)
from transfusion_tf.report.sheets import COUNT, Column, SheetPlan

_MOST_IMAGES = 6
# Of the bars of class shares, inches.
_TITLE_HEIGHT, _BAR_HEIGHT, _LINE_HEIGHT = 0.26, 0.3, 0.14
_BAR_COLOUR = style.marks(["transfer"])["transfer"].colour


def draw_class_shares(axes: Axes, table: LongTable) -> None:
    """Shares of the classes of every target: of one bar, or of one for each finding."""
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


def draw_sample_images(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """Example images of every target, one of each class before a second of any."""
    shown = {}
    for groups in by_target(donor_runs(material)).values():
        run = groups[0].first
        if (run.directory.path / "samples.npz").exists():
            found = sample_images.samples_by_class(
                *run.directory.samples(), run.dataset["classes"]
            )
            mixed = [
                pictures[turn]
                for turn in range(_MOST_IMAGES)
                for pictures in found.values()
                if turn < len(pictures)
            ]
            shown[groups[0].columns["target"]] = mixed[:_MOST_IMAGES]
    if shown:
        figure = sample_images.samples_figure(shown)
        yield DrawnFigure(figure, "", "Example images of every target")


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
        Panel(draw_class_shares, x="share of the images", grid=""),
        text="Class shares by target",
        height=lambda table: (
            0.55 + sum(_shares_height(own) for own in table.split("dataset"))
        ),
        legend=False,
    ),
    sheet=SheetPlan(
        (
            Column("Target", word="target"),
            Column("Images", "images", COUNT),
            Column("Classes", "classes", COUNT),
            Column("Pixels", "image_size", COUNT),
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
    TARGETS,
    variants={"samples": dataclasses.replace(TARGETS, charts=draw_sample_images)},
)


KINDS = (TARGETS,)
