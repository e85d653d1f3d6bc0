"""Chapters on what stages give: how fast each learns, how far a share of them goes."""

import dataclasses
from collections.abc import Mapping

from transfusion_tf.report import style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.chapters.learning_speed import (
    AREA,
    LEAD_COLUMN,
    LINES,
    SEEDS,
    STEPS,
    TIMES_AS_FAST,
    TIMES_COLUMN,
    WHILE_LEARNING,
    curves_chart,
    list_thresholds,
    steps_strip,
)
from transfusion_tf.report.charts import Chart, ForEach, Panel
from transfusion_tf.report.charts_layers import Lines, Strip
from transfusion_tf.report.charts_references import Level
from transfusion_tf.report.long_table import LongTable, Row, finite
from transfusion_tf.report.rows.learning_rows import (
    SAVED,
    TIMES,
    speed_up_rows,
    stage_rows,
)
from transfusion_tf.report.rows.network_order import through
from transfusion_tf.report.rows.transfer_runs import sweep_rows
from transfusion_tf.report.sentences import one_seed_note, say_listed
from transfusion_tf.report.sheets import EFFECT, Column, SheetPlan
from transfusion_tf.report.start_marks import start_marks
from transfusion_tf.report.style import MUTED, Mark

_COUNTS = "{value:count}[\n{low:count} to {high:count}]"


def _marks_of_stages(own: LongTable) -> dict[str, Mark]:
    """A ramp over the stages; the two ends look as everywhere in the report."""
    labels = own.where(quantity="steps_of_run").values("label")
    ends = [label for label in labels if through(label) is None]
    marks = style.marks(ends) | style.ramp(
        [label for label in labels if label not in ends]
    )
    return {
        label: dataclasses.replace(
            marks[label], dashed=label in ends and label in (labels[0], labels[-1])
        )
        for label in labels
    }


def _marks_of_all_stages(table: LongTable) -> dict[str, Mark]:
    marks: dict[str, Mark] = {}
    for own in table.split("curves"):
        marks |= _marks_of_stages(own)
    return marks


def _say_stages(table: LongTable) -> list[str]:
    said = []
    for own in table.split("curves"):
        saved = own.where(quantity=SAVED)
        if not len(saved):
            continue
        last = own.where(quantity="steps_of_run").values("label")[-1]
        whole = own.find(quantity=TIMES, label=last)
        if whole is not None:
            said.append(
                f"{own.first['curves']}: all of the donor learns "
                f"{wording.number(whole['value'], 2)} times as fast as random weights."
            )
        most = max(saved.rows, key=lambda row: row["value"])
        if most["value"] <= 0:
            said.append("No stage saves steps over the line above it.")
            continue
        text = (
            f"Most steps are saved by {most['stage']} ({wording.count(most['value'])})"
        )
        if most["seeds"] > 1:
            above = [row["stage"] for row in saved.rows if row["low"] > 0]
            names = wording.listed(above)
            text += f"; the interval lies above zero for {names or 'no stage'}"
        said.append(text + ".")
    return said


STAGES = ChapterKind(
    name="stages",
    rows=stage_rows,
    charts=ForEach(
        ("curves",),
        (
            dataclasses.replace(
                curves_chart(
                    "Validation metric over training by the last stage transferred, "
                    "{curves}",
                    height=3.6,
                ),
                marks=_marks_of_stages,
            ),
            Chart(
                (
                    Panel(
                        steps_strip("tick"),
                        title="Steps to {threshold}: fewer is faster",
                        height=1.9,
                        pad=5,
                    ),
                    Panel(
                        Strip(
                            "mean_of_run",
                            "tick",
                            series="label",
                            mean="mean_while_learning",
                            faint=0.55,
                            size=3.6,
                        ),
                        title="Mean {curve_of} {unit} while learning",
                        x="donor weights up to",
                        height=1.7,
                        pad=5,
                    ),
                ),
                text="Steps to the threshold and mean metric by stage, {curves}",
                suffix="{curves}-speed",
                share="x",
                marks=_marks_of_stages,
                legend=False,
            ),
        ),
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model"),
            Column("Start", word="initialization"),
            STEPS,
            SEEDS,
            TIMES_COLUMN,
            Column("Steps saved over the line above", SAVED, _COUNTS),
            AREA,
            LEAD_COLUMN,
            Column("minus the line above", "lead_over_previous", EFFECT),
        ),
        lines=LINES,
        where={"quantity": "steps_of_run"},
        caption=f"Small: 95 % intervals, seeds paired. {TIMES_AS_FAST}; steps saved "
        f"count it so too. {WHILE_LEARNING}.",
    ),
    sentences=(_say_stages, one_seed_note("reached")),
    marks=_marks_of_all_stages,
    coloured="label",
)


SPEED_UP = ChapterKind(
    name="speed_up",
    rows=speed_up_rows,
    charts=(
        curves_chart(
            "Validation metric over training by share transferred, {curves}",
            series="initialization",
        ),
        Chart(
            (
                Panel(
                    (
                        Lines(
                            "speed_up",
                            "fraction",
                            series="curves",
                            ends="",
                            gap=0,
                            missing="no model has all of its seeds there",
                        ),
                        Level(1.0, MUTED, 0.8),
                    ),
                    title="Times sooner at the threshold than ST",
                    height=2.0,
                    pad=5,
                ),
                Panel(
                    Lines(
                        "mean_while_learning",
                        "fraction",
                        series="curves",
                        ends="",
                        gap=0,
                    ),
                    title="Mean metric while random weights learn",
                    x="share of stages transferred",
                    height=2.0,
                    pad=5,
                    axes={
                        "xticks": [0, 0.25, 0.5, 0.75, 1],
                        "xticklabels": ["ST", "¼", "½", "¾", "WT"],
                    },
                ),
            ),
            text="Speed-up and mean validation metric by share transferred, by model",
            suffix="speed",
            share="x",
            marks=marks_of("curves"),
        ),
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="curves", once=True),
            Column("Start", word="label"),
            STEPS,
            SEEDS,
            Column("Times sooner than ST", "speed_up", "{value:.2f}"),
            Column("Mean while learning", "mean_while_learning"),
        ),
        lines=("curves", "initialization"),
        caption=lambda table: (
            "Threshold, nine tenths of the way from chance to the "
            f"best of random weights: {list_thresholds(table)}. Times sooner: of mean "
            "steps, missing where a seed never gets there."
        ),
    ),
    sentences=(
        say_listed(
            "{curves}: times sooner at the threshold than ST are {listed}.",
            "{label} {value:.2f}",
            "speed_up",
            by=("curves",),
        ),
        one_seed_note("reached"),
    ),
    marks=start_marks,
)


_STARTS = {
    "xlim": (-0.26, 1.08),
    "xticks": [-0.14, 0.0, 0.5, 1.0],
    "xticklabels": ["RI", "ST", "½", "WT"],
}


def _say_sweep(table: LongTable) -> list[str]:
    """How much of the way from ST to WT is gone at about half of the stages."""
    said = []
    for own in table.where(quantity="test").split("data", "model"):
        by_share: Mapping[float, Row] = {row["fraction"]: row for row in own.rows}
        between = [row for share_, row in by_share.items() if 0 < share_ < 1]
        low, high = by_share.get(0.0), by_share.get(1.0)
        if not between or low is None or high is None:
            continue
        if not finite(low) or not finite(high):
            continue
        middle = min(between, key=lambda row: abs(row["fraction"] - 0.5))
        said.append(
            f"{low['model']} on {low['data']}: from ST {wording.number(low['value'])} "
            f"to WT {wording.number(high['value'])}, and "
            f"{wording.number(middle['value'])} with "
            f"{100 * middle['fraction']:.0f} % of the stages transferred."
        )
    return said


SWEEP = ChapterKind(
    name="sweep",
    rows=sweep_rows,
    charts=Chart(
        (
            Panel(
                (
                    Lines("test", "fraction", series="model", gap=0),
                    Strip(
                        "test_of_random", "place", series="model", size=8, marker="*"
                    ),
                ),
                title="{data}",
                y="test {unit}",
                where={"swept": True},
                axes=_STARTS,
            ),
            Panel(
                (
                    Lines("mean_gain", "fraction", series="model", ends="", gap=0),
                    Level(1.0, MUTED, 0.8),
                ),
                title="gain over ST, mean",
                y="metric / ST",
                axes=_STARTS,
            ),
        ),
        text="Test metric by share of transferred stages, a line a model",
        facet="data",
        small=2.1,
        x="share of stages transferred",
        share="x",
        all_y=True,
    ),
    sheet=SheetPlan(
        (
            Column("Data", word="data", once=True),
            Column("Model", word="model", once=True),
            Column("Start", word="label"),
            Column("Share transferred", word="share"),
            Column("Test metric", "test"),
            Column("over ST", "statistics_gain", "{value:.3f}"),
        ),
        lines=("data", "model", "initialization"),
        group=("data", "model"),
        words=3,
        caption="± is over seeds. Share: of the stages that have the donor's weights.",
    ),
    sentences=(_say_sweep, one_seed_note()),
    marks=marks_of("model"),
    coloured="model",
)

KINDS = (STAGES, SPEED_UP, SWEEP)
