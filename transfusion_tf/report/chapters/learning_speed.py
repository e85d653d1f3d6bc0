"""The chapter on convergence: validation metric over training, steps to a threshold."""

import dataclasses

from transfusion_tf.report import style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, ForEach, Panel
from transfusion_tf.report.charts_layers import Curves, Strip
from transfusion_tf.report.charts_references import Threshold
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.learning_rows import LEAD, TIMES, convergence_rows
from transfusion_tf.report.sentences import one_seed_note
from transfusion_tf.report.sheets import EFFECT, OF_SEEDS, Column, SheetPlan
from transfusion_tf.report.style import Mark

# They are drawn dashed where other starts are the subject.
_REFERENCES = (BASELINE, "transfer")
LINES = ("dataset", "model", "train_examples", "initialization")
STEPS = Column("Steps to threshold", "steps", "{value:count}", missing="never")
SEEDS = Column("Seeds there", "reached", OF_SEEDS, missing="")
RATIO = "{value:.2f}[\n{low:.2f} to {high:.2f}]"
TIMES_COLUMN = Column("Times as fast as random", TIMES, RATIO)
AREA = Column("Mean {unit} while learning", "mean_while_learning")
LEAD_COLUMN = Column("minus random weights", LEAD, EFFECT)
TIMES_AS_FAST = (
    "Times as fast: mean steps of random weights over those of the start, where a seed "
    "that never gets there counts with the last step"
)
WHILE_LEARNING = (
    "While learning: until the slowest seed of random weights is at the threshold"
)


def _convergence_marks(table: LongTable) -> dict[str, Mark]:
    marks = style.marks(table.values("label"))
    if len(set(marks) - set(_REFERENCES)) < 2:
        return marks
    return {
        label: dataclasses.replace(mark, dashed=label in _REFERENCES)
        for label, mark in marks.items()
    }


def list_thresholds(table: LongTable) -> str:
    """The threshold of every model, with its name."""
    rows = table.where(quantity="threshold").rows
    named = [f"{wording.number(row['value'])} ({row['curves']})" for row in rows]
    return wording.listed(list(dict.fromkeys(named)))


def _caption(table: LongTable) -> str:
    first = table.find(quantity="threshold")
    if first is None:
        return ""
    rule = (
        "Threshold, nine tenths of the way from chance to the best of random weights"
        if first["from"]
        else "Threshold, set by the study"
    )
    return (
        f"{rule}: {list_thresholds(table)}. Steps are means over the seeds that got "
        f"there. {TIMES_AS_FAST}. While learning: until the slowest seed of random "
        "weights is there."
    )


def _names_of(table: LongTable, quantity: str) -> list[str]:
    """The quantity itself, and that of each class."""
    return [name for name in table.values("quantity") if name.startswith(quantity)]


def _class_columns(table: LongTable) -> list[Column]:
    columns = [Column("Model", word="model"), Column("Start", word="initialization")]
    for quantity, show, what in (
        (TIMES, RATIO, "times as fast"),
        (LEAD, EFFECT, "AUC while learning"),
    ):
        for name in _names_of(table, quantity):
            of = "Mean" if name == quantity else name.removeprefix(f"{quantity}/auc/")
            columns.append(Column(f"{of}, {what}", quantity=name, show=show))
    return columns


def _say_curves(table: LongTable) -> list[str]:
    """Who was first, and how many times as fast as random weights."""
    return [_speed_sentence(own) for own in table.split("curves")][:4]


def _say_curves_and_classes(table: LongTable) -> list[str]:
    said = [_speed_sentence(own) for own in table.split("curves")]
    said += [text for own in table.split("curves") if (text := _class_sentence(own))]
    return said[:4]


def _speed_sentence(own: LongTable) -> str:
    name, threshold = own.first["curves"], own.first["threshold"]
    reached = own.where(quantity="reached").rows
    there = [row["label"] for row in reached if row["value"] == row["seeds"]]
    rows = own.where(quantity="steps").rows
    means = {row["label"]: row["value"] for row in rows if row["label"] in there}
    if not means:
        return f"{name}: no start takes all of its seeds to {threshold}."
    order = sorted(means, key=lambda label: means[label])
    text = f"Steps of {name} to {threshold}: " + (
        wording.listed([f"{label} {wording.count(means[label])}" for label in order])
    )
    never = [row["label"] for row in reached if row["label"] not in means]
    if never:
        text += f"; not all seeds get there from {wording.listed(never)}"
    baseline = own.find(quantity="reached", label=BASELINE)
    if baseline is not None and baseline["seeds"] > 1:
        open_above = baseline["value"] < baseline["seeds"]
        times = [
            f"{row['label']} {_bound(row['label'] in never, open_above)}"
            f"{wording.number(row['value'], 2)}"
            for row in own.where(quantity=TIMES).rows
            if row["low"] > 1 or row["high"] < 1
        ]
        text += (
            f"; times as fast as random weights are {wording.listed(times)} (intervals "
            "without 1)"
            if times
            else "; no start is faster or slower than random weights by its interval"
        )
    return text + "."


def _bound(never: bool, baseline_never: bool) -> str:
    """What a speed is where not all seeds of it, or of random weights, get there."""
    if never == baseline_never:
        return ""
    return "at least " if baseline_never else "at most "


def _class_sentence(own: LongTable) -> str:
    """For which classes a start is faster than random weights."""
    prefix = f"{TIMES}/auc/"
    said = []
    for part in own.split("label"):
        times = {
            row["quantity"].removeprefix(prefix): row["value"]
            for row in part.rows
            if row["quantity"].startswith(prefix)
        }
        if times:
            ahead = [name for name, value in times.items() if value > 1]
            some = f" ({wording.listed(ahead)})" if 0 < len(ahead) < len(times) else ""
            label = part.first["label"]
            said.append(f"{label} for {len(ahead)} of {len(times)} classes{some}")
    if not said:
        return ""
    name = own.first["curves"]
    return f"{name}: faster than random weights on average is {'; '.join(said)}."


def steps_strip(places: str) -> Strip:
    """Steps to the threshold, a mark per seed, the mean a bar."""
    return Strip(
        "steps_of_run",
        places,
        series="label",
        mean="steps",
        bars=True,
        size=4.5,
        never="never",
        top="longest",
    )


def curves_chart(text: str, series: str = "label", height: float = 3.1) -> Chart:
    """Curves and their threshold, a figure for each model."""
    return Chart(
        Panel(
            (Curves(series=series, label="label"), Threshold()),
            title="{curves}",
            x="training step",
            y="{curve_of} {unit}",
            height=height,
            pad=8,
        ),
        text=text,
        suffix="{curves}",
        by=("curves",),
    )


_BY_CLASS = ChapterKind(
    name="convergence",
    rows=convergence_rows,
    charts=Chart(
        Panel(Curves(label="label", series="label", width=1.4), "{shown}"),
        text="Validation metric over training steps by start, {curves}",
        suffix="{curves}",
        by=("curves",),
        where={"quantity": "curve"},
        facet="shown",
        small=1.7,
        x="training step",
        y="{curve_of} AUC",
    ),
    sheet=SheetPlan(
        _class_columns,
        lines=LINES,
        where=lambda table: {
            "quantity": (*_names_of(table, TIMES), *_names_of(table, LEAD))
        },
        caption=f"Small: 95 % intervals. {TIMES_AS_FAST}. AUC while learning is that "
        f"minus random weights’. {WHILE_LEARNING} of its class.",
    ),
    sentences=(_say_curves_and_classes, one_seed_note("reached")),
    marks=_convergence_marks,
    coloured="label",
)

CURVES = dataclasses.replace(
    curves_chart("Validation metric over training steps by start, {curves}"),
    height=lambda own: 3.1 + 0.16 * len(own.values("label")),
)

CONVERGENCE = ChapterKind(
    name="convergence",
    rows=convergence_rows,
    charts=CURVES,
    sheet=SheetPlan(
        (
            Column("Data", word="dataset", if_several=True),
            Column("Model", word="model"),
            Column("Start", word="initialization"),
            dataclasses.replace(STEPS, show="{value:count}[ ± {std:count}]"),
            SEEDS,
            TIMES_COLUMN,
            AREA,
            LEAD_COLUMN,
            Column("Paper: steps", "steps", "{paper:count}", if_paper=True),
        ),
        lines=LINES,
        where={"quantity": "steps"},
        caption=_caption,
    ),
    sentences=(_say_curves, one_seed_note("reached")),
    marks=_convergence_marks,
    coloured="label",
)

_WITH_STEPS = dataclasses.replace(
    CONVERGENCE,
    charts=ForEach(
        ("curves",),
        (
            CURVES,
            Chart(
                Panel(
                    steps_strip("label"),
                    title="Steps to {threshold}: fewer is faster",
                    height=3.1,
                ),
                text="Training steps to the threshold by start, a mark per seed, "
                "{curves}",
                suffix="{curves}-steps",
                legend=False,
            ),
        ),
    ),
    # All starts are the subject.
    marks=marks_of("label"),
)

KINDS = (
    dataclasses.replace(
        CONVERGENCE, variants={"by_class": _BY_CLASS, "steps": _WITH_STEPS}
    ),
)
