"""Chapters on how alike layers are: before and after training, one with another."""

from matplotlib.axes import Axes

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Lines
from transfusion_tf.report.charts_references import (
    TO_ONE,
    Floor,
    HeatMap,
    Level,
    colour_bar,
)
from transfusion_tf.report.long_table import LongTable, finite
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.layer_maps import layer_rows
from transfusion_tf.report.rows.similarity_rows import DONOR, before_and_after_rows
from transfusion_tf.report.sentences import one_seed_note
from transfusion_tf.report.sheets import EFFECT, Column, SheetPlan


def _count_stages(axes: Axes, own: LongTable) -> None:
    axes.set_xticks([int(depth) for depth in own.whole.values("depth")])


def _say_lowest(table: LongTable) -> list[str]:
    said = []
    first = table.where(quantity="cca", depth=1.0)
    for start, words in ((BASELINE, "random"), (DONOR, "pretrained")):
        rows = [row for row in first.where(initialization=start).rows if finite(row)]
        rows.sort(key=lambda row: -row["value"])
        if rows:
            values = [f"{r['model']} {wording.number(r['value'])}" for r in rows]
            said.append(
                f"At the lowest stage, from {words} weights, training leaves of the "
                f"start: {wording.listed(values)} (1 is all of it)."
            )
    return said


def _say_gaps(table: LongTable) -> list[str]:
    gaps = []
    for own in table.where(quantity="difference_to_random").split("model"):
        first, last = own.rows[0], own.rows[-1]
        gaps.append(
            f"{first['model']} {wording.signed(first['value'])} at its lowest and "
            f"{wording.signed(last['value'])} at its highest stage"
        )
    return [f"Pretrained minus random: {wording.listed(gaps[:3])}."] if gaps else []


def _moved_panel(title: str, start: str) -> Panel:
    return Panel(
        (Lines("cca", "depth", series="model", gap=0.07), Floor("depth")),
        title=title,
        y="mean {similarity}",
        where={"initialization": start},
        height=1.9,
        axes=TO_ONE,
    )


BEFORE_AND_AFTER = ChapterKind(
    name="before_and_after",
    rows=before_and_after_rows,
    charts=Chart(
        (
            _moved_panel("From random weights", BASELINE),
            _moved_panel("From pretrained weights", DONOR),
            Panel(
                (
                    Lines(
                        "difference_to_random",
                        "depth",
                        series="model",
                        gap=0.07,
                        focus=True,
                    ),
                    Level(),
                ),
                title="Pretrained minus random",
                x="stage, counted from the input",
                y="difference",
                height=1.75,
                adjust=_count_stages,
            ),
        ),
        text="Mean {similarity} of models before and after training, by stage and "
        "start",
        share="x",
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model", once=True),
            Column("Stage", word="stage"),
            *(
                Column(head, "cca", where={"initialization": start})
                for head, start in (
                    ("From random weights", BASELINE),
                    ("From pretrained weights", DONOR),
                )
            ),
            Column("difference", "difference_to_random", EFFECT),
            Column("noise floor", "mean_floor", "{value:.3f}"),
        ),
        lines=("model", "stage"),
        caption="Mean {similarity} of a model before and after training, ± over seeds; "
        "small: 95 % interval over seeds. 1: nothing changed but for a linear map.",
    ),
    sentences=(_say_lowest, _say_gaps, one_seed_note("cca")),
    marks=marks_of("model"),
    coloured="model",
)


_PAIRS = {
    "cka_before_after": "before and after training from transferred weights",
    "cka_statistics_weights": "after training from statistics and from weights",
    "cka_statistics_weights_before": "of statistics and of weights, untrained,",
}


def _say_halves(table: LongTable) -> list[str]:
    said = []
    for own in table.where(quantity=("early_layers", "late_layers")).split(
        "dataset", "model", "pair"
    ):
        early, late = (row["value"] for row in own.rows)
        what = _PAIRS[own.first["pair"]]
        said.append(
            f"{own.first['model']} on {own.first['dataset']}: layers {what} have a CKA "
            f"of {wording.number(early)} in the first half of the network and "
            f"{wording.number(late)} in the second."
        )
    return said


LAYER_SIMILARITY = ChapterKind(
    name="layer_similarity",
    rows=layer_rows,
    charts=Chart(
        Panel(HeatMap(), "{shown}", x="{across}", y="{down}", grid=""),
        text="CKA of every layer with every layer, {model} on {dataset}",
        suffix="{dataset}-{model}",
        by=("dataset", "model"),
        where={"hidden": False},
        facet="shown",
        small=2.3,
        title="{model} on {dataset}",
        all_y=True,
        legend=False,
        finish=colour_bar,
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="task", once=True),
            Column("Layer", word="stage"),
            *(
                Column(head, name, where={"diagonal": True}, show="{value:.3f}")
                for head, name in (
                    ("Before and after, from WT", "cka_before_after"),
                    ("ST and WT, after", "cka_statistics_weights"),
                    ("and untrained", "cka_statistics_weights_before"),
                )
            ),
        ),
        lines=("dataset", "model", "stage"),
        group=("dataset", "model"),
        where={"diagonal": True},
        caption="CKA of each layer with itself, mean over seeds. 1: the same features "
        "but for a rotation and a scale.",
    ),
    sentences=(
        _say_halves,
        one_seed_note(("cka_before_after", "cka_statistics_weights")),
    ),
)

KINDS = (BEFORE_AND_AFTER, LAYER_SIMILARITY)
