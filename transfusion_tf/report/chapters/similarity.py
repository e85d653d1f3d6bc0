"""Chapters on how alike the representations of two runs are."""

from matplotlib.axes import Axes

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Dots, Lines, Scatter
from transfusion_tf.report.charts_references import (
    TO_ONE,
    Floor,
    Level,
    draw_row_floors,
)
from transfusion_tf.report.long_table import LongTable, finite
from transfusion_tf.report.rows.similarity_rows import (
    MIXED,
    RANDOM,
    TRANSFER,
    by_start_rows,
    of_starts_rows,
)
from transfusion_tf.report.rows.start_and_end_rows import FEWEST, start_and_end_rows
from transfusion_tf.report.sentences import say_settled
from transfusion_tf.report.sheets import BESIDE_PAPER, EFFECT, SPREAD, Column, SheetPlan
from transfusion_tf.report.style import Mark

_PAIRS = {
    RANDOM: Mark("#6b6f76", "o"),
    TRANSFER: Mark("#0072b2", "s"),
    MIXED: Mark("#cc79a7", "D"),
}


def _pair_marks(table: LongTable) -> dict[str, Mark]:
    others = {name: _PAIRS[RANDOM] for name in table.values("pair")}
    return _PAIRS | {k: v for k, v in others.items() if k not in _PAIRS}


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
                y="mean {similarity}",
                height=2.7,
                pad=8,
                axes=TO_ONE,
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
        text="Mean {similarity} by stage between models of one start, {model}",
        suffix="{dataset}-{model}",
        by=("dataset", "model"),
        share="x",
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model", once=True),
            Column("Stage", word="stage"),
            *(
                Column(pair, "cca", where={"pair": pair}, show=SPREAD + BESIDE_PAPER)
                for pair in (TRANSFER, RANDOM)
            ),
            Column("difference", "cca_difference", EFFECT),
            Column("noise floor", "floor", "{value:.3f}"),
        ),
        lines=("model", "stage"),
        caption="Mean {similarity}, ± between pairs; small: 95 % interval, runs left "
        "out one at a time. Noise floor: the same activations, their points matched at "
        "random.",
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
        f"{table.words['similarity']} of two random starts minus that of a random and "
        "a pretrained one: " + wording.listed(values)
    )
    if part.frame["low"].notna().any():
        text += f"; {say_settled(part)}"
    return [text + "."]


OF_STARTS = ChapterKind(
    name="similarity_of_starts",
    rows=of_starts_rows,
    charts=Chart(
        Panel(
            (draw_row_floors, Dots("cca", rows="model", series="pair", gap=0.26)),
            x="mean {similarity} at {at}",
            grid="x",
            adjust=_limit_cca,
        ),
        text="Mean {similarity} of the top stages by model and kind of pair",
        height=lambda own: 1.0 + 0.42 * len(own.values("model")),
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="model"),
            Column("Stages", word="stage"),
            *(Column(pair, "cca", where={"pair": pair}) for pair in (RANDOM, MIXED)),
            Column("difference", "cca_difference", EFFECT),
            Column("noise floor", "floor", "{value:.3f}"),
        ),
        lines=("model", "stage"),
        caption="Mean {similarity}, ± between pairs; small: 95 % interval, runs left "
        "out one at a time.",
    ),
    sentences=(_say_of_starts,),
    marks=_pair_marks,
    coloured="pair",
)


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
            x="{similarity} at initialization",
            y="{similarity} after training",
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
            Column("Pairs", "pairs", "{value:.0f}"),
            Column("R²", word="fitted"),
            Column("Slope", "slope", "{value:.2f}"),
            Column("Paper: R²", "r_squared", "{paper:.2f}", if_paper=True, missing=""),
        ),
        lines=("model", "stage", "pair"),
        words=3,
        where={"quantity": "r_squared"},
        caption="Pairs that share a run are not independent: R² describes, and tests "
        "nothing.",
    ),
    sentences=(_say_lines,),
    marks=_pair_marks,
    coloured="pair",
)


KINDS = (BY_START, OF_STARTS, START_AND_END)
