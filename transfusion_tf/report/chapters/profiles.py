"""Chapters on what is where in a network: a number of each part, by start."""

from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report import style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, Panel, legend_below
from transfusion_tf.report.charts_layers import Lines, Strip
from transfusion_tf.report.long_table import LongTable, Row, Rows, finite
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.profiles_rows import (
    attention_rows,
    knn_rows,
    robustness_rows,
    travel_rows,
)
from transfusion_tf.report.rows.transfer_runs import block_rows
from transfusion_tf.report.sentences import one_seed_note
from transfusion_tf.report.sheets import (
    Column,
    SheetPlan,
    number,
    percent,
    with_interval,
)
from transfusion_tf.report.start_marks import LEVELS, has_levels, start_marks
from transfusion_tf.report.style import Mark

_MOST_NAMES = 9


def _name_parts(axes: Axes, own: LongTable) -> None:
    """Names where they fit; of many parts, every so many."""
    parts = own.where(quantity="profile").values("stage")
    step = -(-len(parts) // _MOST_NAMES)
    axes.set_xticks(
        range(0, len(parts), step),
        parts[::step],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        fontsize=6.5,
    )


def _name_parts_log(axes: Axes, own: LongTable) -> None:
    _name_parts(axes, own)
    axes.set_yscale("log")


def _explain_starts(figure: Figure, axes: Sequence[Axes], own: LongTable) -> None:
    """What the colours mean: names of starts, or a bar of the share transferred."""
    if not has_levels(own):
        models = own.where(quantity="profile").values("model")
        legend_below(figure, axes[: len(models)])
        return
    bar = figure.colorbar(
        matplotlib.cm.ScalarMappable(cmap=LEVELS),
        ax=list(axes),
        location="bottom",
        aspect=45,
        pad=0.03,
        ticks=[0, 0.25, 0.5, 0.75, 1],
    )
    bar.ax.set_xticklabels(["ST", "¼", "½", "¾", "WT"])
    bar.set_label("share of stages that began with the donor's weights")
    bar.outline.set_visible(False)


def _profile_kind(
    name: str,
    rows: Callable[[Material], Rows],
    quantity: str,
    *,
    text: str,
    y: str,
    caption: str,
    say: Callable[[LongTable], list[str]],
    digits: int = 3,
    adjust: Callable[[Axes, LongTable], None] = _name_parts,
    extra: tuple[Panel, ...] = (),
) -> ChapterKind:
    """A panel for each model, a line for each start, parts from the input up."""
    profile = Panel(
        Lines("profile", "place", label="label", gap=0, ends="band", size=3.2),
        title="{model}",
        y=y,
        where={"quantity": "profile"},
        adjust=adjust,
    )
    return ChapterKind(
        name=name,
        rows=rows,
        charts=Chart(
            (profile, *extra),
            text=text,
            facet="model",
            small=2.15,
            legend=False,
            where={"hidden": True},
            marks=_start_and_model_marks,
            finish=_explain_starts,
        ),
        sheet=SheetPlan(
            (
                Column("Model", word="model", once=True),
                Column("Start", word="label"),
                Column("Mean over parts", "mean_over_parts", number(digits)),
                Column("Highest", "highest", number(digits)),
                Column("at", word="at"),
            ),
            lines=("model", "initialization"),
            where={"quantity": "mean_over_parts"},
            words=2,
            caption=caption,
            show_empty=False,
        ),
        sentences=(say, one_seed_note(quantity)),
        marks=start_marks,
    )


def _start_and_model_marks(table: LongTable) -> dict[str, Mark]:
    return start_marks(table) | style.marks(table.values("model"))


def _say_travel(table: LongTable) -> list[str]:
    return [
        f"{row['model']}: from transferred weights layers travel "
        f"{wording.number(row['value'], 2)} times as far as from their statistics."
        if finite(row)
        else f"{row['model']}: from statistics the best weights are the first."
        for row in table.where(quantity="weights_to_statistics").rows
    ]


TRAVEL = _profile_kind(
    "travel",
    travel_rows,
    "distance",
    text="Distance that weights travel in training, by layer and start",
    y="distance per weight",
    caption="ℓ2 distance over the number of weights, mean over a layer's tensors but "
    "its normalizations; the head is left out.",
    say=_say_travel,
    digits=6,
    adjust=_name_parts_log,
)


def _say_robustness(table: LongTable) -> list[str]:
    said = []
    for own in table.where(quantity="highest").split("model"):
        worst = [
            f"{row['label']} {wording.number(row['value'])} ({row['at']})"
            for row in own.rows
        ]
        said.append(
            f"{own.first['model']}: the part below the head that costs most to set "
            f"back costs, from {wording.listed(worst)}."
        )
    return said


ROBUSTNESS = _profile_kind(
    "robustness",
    robustness_rows,
    "drop",
    text="Loss of the test metric by the layer that is set back, by start",
    y="loss of the test metric",
    caption="Test metric of the trained model, minus that with one part at the weights "
    "it began from. A part that loses little has reused what it was given.",
    say=_say_robustness,
)


def _explain_models(axes: Axes, own: LongTable) -> None:
    axes.set_xticks([0, 0.5, 1], ["ST", "½", "WT"])
    axes.legend(fontsize=6.5, handlelength=1.4)


def _say_knn(table: LongTable) -> list[str]:
    said = []
    for row in table.where(quantity="highest", fraction=(0.0, 1.0)).rows:
        last = table.find(
            quantity="last", model=row["model"], initialization=row["initialization"]
        )
        assert last is not None
        said.append(
            f"{row['model']} from {row['label']}: features are best at {row['at']} "
            f"({wording.number(row['value'])}); the last stage has "
            f"{wording.number(last['value'])}."
        )
    return said


KNN_BY_DEPTH = _profile_kind(
    "knn_by_depth",
    knn_rows,
    "best_knn",
    text="k-NN score of the features at each depth, by start",
    y="k-NN, test metric",
    caption="Of transformers, class token and mean of the spatial tokens side by side; "
    "the table in the folder has each alone. The head's logits are left out.",
    say=_say_knn,
    extra=(
        Panel(
            Lines("mean_best", "fraction", series="model", gap=0, ends="", size=4.0),
            title="best at any depth",
            adjust=_explain_models,
        ),
    ),
)


def _limit_attention(axes: Axes, own: LongTable) -> None:
    heads = own.whole.where(quantity="head").frame
    axes.set_xticks(range(1, int(heads["place"].max()) + 1))
    axes.set_ylim(0, 1.08 * float(heads["value"].max()))


def _say_attention(table: LongTable) -> list[str]:
    said = []
    for own in table.where(quantity=("nearest", "farthest"), place=1.0).split("group"):
        low, high = (wording.number(row["value"], 1) for row in own.rows)
        first = own.first
        said.append(
            f"{first['model']} from {first['label']}: in its first block the heads "
            f"look {low} to {high} px far."
        )
    return said


ATTENTION = ChapterKind(
    name="attention",
    rows=attention_rows,
    charts=Chart(
        Panel(
            (
                Strip("head", "place", faint=0.6),
                Lines("mean_head", "place", gap=0, ends="", size=0),
            ),
            title="{title}",
            y="attended distance, px",
            adjust=_limit_attention,
        ),
        text="Mean attended distance of every head by block, a panel a start",
        where={"hidden": True},
        facet="group",
        small=2.2,
        x="block",
        share="xy",
        legend=False,
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="task", once=True),
            Column("Block", word="stage"),
            Column("Nearest head, px", "nearest", number(1)),
            Column("Mean", "mean", number(1)),
            Column("Farthest head", "farthest", number(1)),
            Column("looks at class tokens", "class_token_share", percent),
        ),
        lines=("group", "stage"),
        where={"quantity": "nearest"},
        caption="Distance between a patch and those it attends to, averaged with the "
        "attention weights, over patches, images and seeds; class tokens left out.",
        show_empty=False,
    ),
    sentences=(_say_attention, one_seed_note("attended_distance")),
    marks=start_marks,
)


def _name_metric(axes: Axes, own: LongTable) -> None:
    axes.set_xticks(sorted(own.values("blocks")))
    units = own.values("unit")
    axes.set_ylabel(f"test {units[0] if len(units) == 1 else 'metric'}")


def _say_blocks(table: LongTable) -> list[str]:
    said = []
    for own in table.split("data"):
        gaps = [
            f"{row['blocks']:g} blocks end {wording.signed(row['value'])}"
            for row in own.where(quantity="difference_to_whole").rows
        ]
        if gaps:
            said.append(f"{own.first['data']}: {wording.listed(gaps)} from the whole.")
    return said


def _blocks(row: Row | None) -> str:
    return "" if row is None else f"{row['blocks']:g}"


TRUNCATED = ChapterKind(
    name="truncated",
    rows=block_rows,
    charts=Chart(
        Panel(
            Lines("test", "blocks", series="data", gap=0),
            x="blocks kept, from the input up",
            height=2.7,
            adjust=_name_metric,
        ),
        text="Test metric by number of blocks",
    ),
    sheet=SheetPlan(
        (
            Column("Data", word="data", once=True),
            Column("Blocks", "test", _blocks),
            Column("Test metric", "test"),
            Column("minus the whole", "difference_to_whole", with_interval),
        ),
        lines=("data", "model", "initialization"),
        caption="± is over seeds; small: 95 % interval over seeds and test patients.",
    ),
    sentences=(_say_blocks, one_seed_note()),
    marks=marks_of("data"),
    coloured="",
)

KINDS = (TRAVEL, ROBUSTNESS, KNN_BY_DEPTH, ATTENTION, TRUNCATED)
