"""Chapters on the test metric: by model and start, by class, by number of images."""

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Dots, Lines
from transfusion_tf.report.long_table import LongTable, Row
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.accuracy_rows import (
    DONOR_METRICS,
    accuracy_rows,
    size_rows,
)
from transfusion_tf.report.rows.transfer_runs import start_rows
from transfusion_tf.report.sentences import (
    extremes,
    one_seed_note,
    say_extremes,
    say_listed,
    say_settled,
)
from transfusion_tf.report.sheets import (
    BESIDE_PAPER,
    COUNT,
    EFFECT,
    ENDS,
    PAPER,
    SPREAD,
    Column,
    SheetPlan,
)
from transfusion_tf.report.start_marks import start_marks

_PANEL = ("dataset", "model", "train_examples")
_GAIN = "difference_to_random"
_DONOR = "{value:.3f}[\npaper {paper:.3f}][ ± {paper_spread:.4f}]"


def _class_names(table: LongTable) -> list[str]:
    return [q for q in table.values("quantity") if q.startswith("auc/")]


def _donor_columns(table: LongTable) -> list[Column]:
    for name in DONOR_METRICS:
        if f"donor/{name}" in table.values("quantity"):
            head = f"Donor’s {wording.metric_title(name)}"
            return [_panel_column(head, f"donor/{name}", _DONOR)]
    return []


def _panel_column(head: str, quantity: str, show: str = COUNT) -> Column:
    return Column(head, quantity, show, of=_PANEL, once=True)


def _accuracy_columns(table: LongTable) -> list[Column]:
    return [
        Column("Model", word="panel", once=True),
        Column("Start", word="initialization"),
        Column("Test {unit}", "test"),
        Column("95 % interval", "test", ENDS),
        Column("minus random weights", _GAIN, EFFECT),
        Column("Paper", "test", PAPER, if_paper=True),
        _panel_column("Parameters", "parameters"),
        _panel_column("as the paper counts", "parameters_table1"),
        *_donor_columns(table),
    ]


def _class_columns(table: LongTable) -> list[Column]:
    return [
        Column("Model", word="panel", once=True),
        Column("Start", word="initialization"),
        *(
            Column(name, quantity, SPREAD + BESIDE_PAPER)
            for name, quantity in [
                ("Mean", "test"),
                *((q.removeprefix("auc/"), q) for q in _class_names(table)),
            ]
        ),
    ]


def say_differences(table: LongTable) -> list[str]:
    """How far each start ends from random weights, from the least to the most."""
    parts = table.where(quantity=_GAIN).split("initialization")
    return [_difference_sentence(part) for part in parts]


def _difference_sentence(part: LongTable) -> str:
    label, unit = part.first["initialization"], part.first["unit"]
    several = len(part.values("train_examples")) > 1
    values = {
        f"{row['model']} on {wording.count(row['train_examples'])}"
        if several
        else str(row["model"]): float(row["value"])
        for row in part.rows
    }
    found = extremes(values)
    if found is None:
        return f"From {label} nothing can be compared with random weights."
    (least, low), (most, high) = found
    if len(values) == 1:
        text = f"From {label}, {least} ends {wording.signed(low)} {unit} from random"
    else:
        text = (
            f"From {label}, models end {wording.signed(low)} ({least}) to "
            f"{wording.signed(high)} {unit} ({most}) from random weights"
        )
    if part.frame["seeds"].max() > 1:
        text += f"; {say_settled(part)}"
    return text + "."


_SAY_CLASSES = say_extremes(
    "Averaged over models, {most} gains most ({high:+.3f}) and {least} least "
    "({low:+.3f}).",
    "{gain_of}",
    "mean_gain_of_class",
)
_SAY_BEST = say_extremes(
    "Highest is {most} ({high:.3f}), lowest {least} ({low:.3f}).",
    "{model} from {initialization}",
    "test",
    fewest=3,
)

_BY_CLASS = ChapterKind(
    name="accuracy",
    rows=accuracy_rows,
    charts=Chart(
        Panel(Dots(None, rows="panel"), title="{shown}", grid="x"),
        text="Test metric by model and start, with 95 % intervals",
        suffix="{dataset}",
        suffix_if_one=False,
        by=("dataset",),
        facet="shown",
        share="y",
        small=lambda own: 0.62 + 0.24 * len(own.values("panel")),
        x="test AUC",
    ),
    sheet=SheetPlan(
        _class_columns,
        lines=(*_PANEL, "initialization"),
        group=_PANEL,
        caption="AUC on test, ± over seeds.",
    ),
    sentences=(say_differences, _SAY_CLASSES, _SAY_BEST, one_seed_note()),
)

ACCURACY = ChapterKind(
    name="accuracy",
    rows=accuracy_rows,
    charts=Chart(
        Panel(Dots("test", rows="panel"), x="test {unit}", grid="x"),
        text="Test metric by model and start, with 95 % intervals",
        suffix="{dataset}",
        suffix_if_one=False,
        by=("dataset",),
        height=lambda own: 0.95 + 0.34 * len(own.values("panel")),
    ),
    sheet=SheetPlan(_accuracy_columns, lines=(*_PANEL, "initialization"), group=_PANEL),
    sentences=(say_differences, _SAY_BEST, one_seed_note()),
    variants={"by_class": _BY_CLASS},
)


def _scale_sizes(axes: Axes, own: LongTable) -> None:
    sizes = sorted(own.whole.values("train_examples"))
    axes.set_xscale("log")
    axes.set_xticks(sizes, [wording.count(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = sizes[0], sizes[-1]
    room = (high / low) ** 0.12 if high > low else 1.3
    axes.set_xlim(low / room, high * room)


def _size_height(own: LongTable) -> float:
    return 2.3 if len(own.values("train_examples")) > 1 else 1.55


def _say_sizes(table: LongTable) -> list[str]:
    """What the least and the most data make of each start's lead."""
    said = []
    leads = table.where(quantity=_GAIN)
    for part in leads.split("model", "initialization"):
        rows = sorted(part.rows, key=lambda row: row["train_examples"])
        first, last = rows[0], rows[-1]
        if len(rows) > 1:
            said.append(
                f"{first['model']}, {first['initialization']} minus random weights: "
                f"{_with_images(first)} images, {_with_images(last)}."
            )
    return (
        said
        or [
            f"{row['model']}, {row['initialization']} minus {BASELINE} weights: "
            f"{_with_images(row)} images."
            for row in leads.rows
        ]
    )[:3]


def _with_images(row: Row) -> str:
    images = wording.count(row["train_examples"])
    return f"{wording.signed(row['value'])} with {images}"


DATA_SIZES = ChapterKind(
    name="data_sizes",
    rows=size_rows,
    charts=Chart(
        Panel(
            Lines("test", "train_examples", factor=0.035),
            title="{model}",
            y="test {unit}",
            adjust=_scale_sizes,
        ),
        text="Test metric against the number of training images, by model and start",
        suffix="{dataset}",
        by=("dataset",),
        facet="model",
        share="xy",
        height=_size_height,
        x="training images",
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model", once=True),
            Column("Start", word="initialization"),
            Column("Training images", word="images", once=True),
            Column("Test {unit}", "test"),
            Column("minus random weights", _GAIN, EFFECT),
            Column("Paper", "test", PAPER, if_paper=True),
        ),
        lines=(*_PANEL, "initialization"),
        group=_PANEL,
        words=2,
    ),
    sentences=(_say_sizes, one_seed_note()),
)


def _start_columns(table: LongTable) -> list[Column]:
    tests = table.where(quantity="test")
    return [
        Column("Model", word="sized_model", once=True),
        Column("Start", word="label"),
        *(
            Column(data, "test", SPREAD + BESIDE_PAPER, where={"data": data})
            for data in tests.values("data")
        ),
    ]


STARTS = ChapterKind(
    name="starts",
    rows=start_rows,
    charts=Chart(
        Panel(
            Dots("test", rows="model", label="label"),
            title="{data}",
            x="test {unit}",
            grid="x",
        ),
        text="Test metric by model, data set and start, with 95 % intervals",
        facet="data",
        share="y",
        small=lambda own: 0.75 + 0.27 * len(own.values("model")),
    ),
    sheet=SheetPlan(
        _start_columns,
        lines=("model", "initialization"),
        where={"quantity": "test"},
        caption="RI: random weights; ST: statistics of the donor's weights; WT: the "
        "weights. ± is over seeds; the metric is each data set's own.",
    ),
    sentences=(
        say_listed(
            "{model}: WT minus RI is {listed}.",
            "{value:+.3f} on {data}",
            "weights_minus_random",
            by=("model",),
        ),
        one_seed_note(),
    ),
    marks=start_marks,
)

KINDS = (ACCURACY, DATA_SIZES, STARTS)
