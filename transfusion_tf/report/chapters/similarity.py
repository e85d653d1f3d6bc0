"""Chapters on how alike representations are: of two runs, of one run in time."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import (
    Dots,
    Floor,
    HeatMap,
    Level,
    Lines,
    RowFloor,
    Scatter,
)
from transfusion_tf.report.long_table import LongTable, Row, finite
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.similarity import (
    DONOR,
    FEWEST,
    MIXED,
    RANDOM,
    TRANSFER,
    before_and_after_rows,
    by_start_rows,
    layer_rows,
    of_starts_rows,
    start_and_end_rows,
)
from transfusion_tf.report.sentences import one_seed_note, settled
from transfusion_tf.report.sheets import (
    Column,
    SheetPlan,
    beside_paper,
    number,
    with_interval,
    with_spread,
)
from transfusion_tf.report.style import Mark

_PAIRS = {
    RANDOM: Mark("#6b6f76", "o"),
    TRANSFER: Mark("#0072b2", "s"),
    MIXED: Mark("#cc79a7", "D"),
}


def _pair_marks(table: LongTable) -> dict[str, Mark]:
    others = {name: _PAIRS[RANDOM] for name in table.values("pair")}
    return _PAIRS | {k: v for k, v in others.items() if k not in _PAIRS}


def _to_one(axes: Axes, own: LongTable) -> None:
    axes.set_ylim(0, 1.04)


def _say_by_start(table: LongTable) -> list[str]:
    said = []
    for own in table.where(quantity="cca_difference").split("model"):
        known = [row for row in own.rows if finite(row)]
        if known:
            first, last = known[0], known[-1]
            said.append(
                f"{first['model']}: models from one donor are "
                f"{wording.signed(first['value'])} more alike than models from random "
                f"weights at {first['stage']}, and {wording.signed(last['value'])} at "
                f"{last['stage']}."
            )
    return said


BY_START = ChapterKind(
    name="similarity_by_start",
    rows=by_start_rows,
    charts=Chart(
        (
            Panel(
                (Floor("stage"), Lines("cca", "stage", series="pair")),
                title="{model}",
                y="mean CCA",
                height=2.7,
                pad=8,
                adjust=_to_one,
            ),
            Panel(
                (
                    Level(),
                    Lines(
                        "cca_difference",
                        "stage",
                        series="pair",
                        focus=True,
                        mark=Mark("#0072b2", "D"),
                    ),
                ),
                x="stage",
                y="difference",
                height=1.4,
                legend=False,
            ),
        ),
        text="Mean CCA by stage between models of one start, {model}",
        suffix="{dataset}-{model}",
        by=("dataset", "model"),
        share="x",
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model", once=True),
            Column("Stage", word="stage"),
            *(
                Column(
                    pair, "cca", where={"pair": pair}, show=beside_paper(with_spread)
                )
                for pair in (TRANSFER, RANDOM)
            ),
            Column("difference", "cca_difference", with_interval),
            Column("noise floor", "floor", number()),
        ),
        lines=("model", "stage"),
        caption="Mean CCA, ± between pairs; small: 95 % interval, runs left out one at "
        "a time. Noise floor: the same activations, their points matched at random.",
    ),
    sentences=(_say_by_start,),
    marks=_pair_marks,
    coloured="pair",
)


def _limit_cca(axes: Axes, own: LongTable) -> None:
    axes.set_xlim(0, min(1.02, axes.get_xlim()[1]))


def _say_of_starts(table: LongTable) -> list[str]:
    part = table.where(quantity="cca_difference")
    if not len(part):
        return []
    values = [f"{row['model']} {wording.signed(row['value'])}" for row in part.rows]
    text = (
        "CCA of two random starts minus that of a random and a pretrained one: "
        + wording.listed(values)
    )
    if part.frame["low"].notna().any():
        text += f"; the interval leaves out zero in {settled(part)} of {len(part)}"
    return [text + "."]


OF_STARTS = ChapterKind(
    name="similarity_of_starts",
    rows=of_starts_rows,
    charts=Chart(
        Panel(
            (RowFloor(), Dots("cca", rows="model", series="pair", gap=0.26)),
            x="mean CCA at {at}",
            grid="x",
            adjust=_limit_cca,
        ),
        text="Mean CCA of the top stages by model and kind of pair",
        height=lambda own: 1.0 + 0.42 * len(own.values("model")),
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model"),
            Column("Stages", word="stage"),
            *(Column(pair, "cca", where={"pair": pair}) for pair in (RANDOM, MIXED)),
            Column("difference", "cca_difference", with_interval),
            Column("noise floor", "floor", number()),
        ),
        lines=("model", "stage"),
        caption="Mean CCA, ± between pairs; small: 95 % interval, runs left out one at "
        "a time.",
    ),
    sentences=(_say_of_starts,),
    marks=_pair_marks,
    coloured="pair",
)


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
        y="mean CCA",
        where={"initialization": start},
        height=1.9,
        adjust=_to_one,
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
        text="Mean CCA of models before and after training, by stage and start",
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
            Column("difference", "difference_to_random", with_interval),
            Column("noise floor", "mean_floor", number()),
        ),
        lines=("model", "stage"),
        caption="Mean CCA of a model before and after training, ± over seeds; small: "
        "95 % interval over seeds. 1: nothing changed but for a linear map.",
    ),
    sentences=(_say_lowest, _say_gaps, one_seed_note("cca")),
    marks=marks_of("model"),
    coloured="model",
)


def _r_squared(row: Row | None) -> str:
    if row is None or finite(row):
        return wording.number(None if row is None else row["value"], 2)
    return "too few pairs" if row["count"] < FEWEST else "all start alike"


def _paper_r_squared(row: Row | None) -> str:
    return "" if row is None else wording.number(row["paper"], 2)


def _say_lines(table: LongTable) -> list[str]:
    lines = table.where(quantity="r_squared")
    said: list[str] = []
    for part in lines.split("model", "pair"):
        name = f"{part.first['model']}, {part.first['pair']}"
        known = [row for row in part.rows if finite(row)]
        most = int(part.frame["count"].max())
        if known:
            values = [f"{r['stage']} {wording.number(r['value'], 2)}" for r in known]
            said.append(f"R² of {name}: {wording.listed(values)}.")
        elif most < FEWEST and len(set(part.first["pair"].split(" – "))) > 1:
            count = wording.plural(most, "pair")
            said.append(f"{name}: {count}, too few for a line.")
    if not said and any(row["count"] < FEWEST for row in lines.rows):
        said.append(
            "Fewer than 3 pairs of each kind: no line can be drawn through them."
        )
    return said


START_AND_END = ChapterKind(
    name="start_and_end",
    rows=start_and_end_rows,
    charts=Chart(
        Panel(
            Scatter(
                "cca_at_start",
                "cca_at_end",
                keys=("run_a", "run_b"),
                series="pair",
                fit="fit",
                fit_series="pair",
                only="varies",
                missing="all start alike",
            ),
            title="{title}",
            x="CCA at initialization",
            y="CCA after training",
            where={"quantity": ("cca_at_start", "cca_at_end", "fit")},
            grid="both",
        ),
        text="Similarity of pairs at initialization against after training, {model}",
        suffix="{model}",
        by=("model",),
        facet="stage",
        small=2.6,
        title="{model}",
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model"),
            Column("Stage", word="stage"),
            Column("Pair", word="pair"),
            Column("Pairs", "pairs", number(0)),
            Column("R²", "r_squared", _r_squared),
            Column("Slope", "slope", number(2)),
            Column("Paper: R²", "r_squared", _paper_r_squared, if_paper=True),
        ),
        lines=("model", "stage", "pair"),
        where={"quantity": "r_squared"},
        caption="Pairs that share a run are not independent: R² describes, and tests "
        "nothing.",
    ),
    sentences=(_say_lines,),
    marks=_pair_marks,
    coloured="pair",
)


def _colour_bar(figure: Figure, axes: Sequence[Axes], own: LongTable) -> None:
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), "magma")
    bar = figure.colorbar(scale, ax=list(axes), location="right", shrink=0.62)
    bar.set_label("CKA")
    bar.outline.set_visible(False)


def _say_halves(table: LongTable) -> list[str]:
    said = []
    for own in table.where(quantity=("early_layers", "late_layers")).split(
        "dataset", "model", "pair"
    ):
        early, late = (row["value"] for row in own.rows)
        what = "before and after training from transferred weights"
        if own.first["pair"] != "cka_before_after":
            what = "after training from statistics and from weights"
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
        finish=_colour_bar,
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="task", once=True),
            Column("Layer", word="stage"),
            *(
                Column(head, name, where={"diagonal": True}, show=number())
                for head, name in (
                    ("Before and after, from WT", "cka_before_after"),
                    ("ST and WT, after", "cka_statistics_weights"),
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

KINDS = (BY_START, OF_STARTS, BEFORE_AND_AFTER, START_AND_END, LAYER_SIMILARITY)
