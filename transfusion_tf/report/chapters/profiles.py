"""Chapters on what is where in a network: a number of each part, by start."""

from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from transfusion_tf.report import style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, Panel, legend_below
from transfusion_tf.report.charts_layers import Lines, Strip
from transfusion_tf.report.long_table import LongTable, Rows, finite
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.profiles_rows import (
    attention_rows,
    knn_rows,
    robustness_rows,
    travel_rows,
)
from transfusion_tf.report.rows.transfer_runs import block_rows
from transfusion_tf.report.sentences import (
    Sentences,
    one_seed_note,
    say_each,
    say_listed,
)
from transfusion_tf.report.sheets import EFFECT, PERCENT, Column, SheetPlan
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


class _PlainNumbers(LogFormatter):
    """Labels where a log scale has them, but not as mathematics: 0.01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def _name_parts_log(axes: Axes, own: LongTable) -> None:
    _name_parts(axes, own)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_PlainNumbers())
    axes.yaxis.set_minor_formatter(_PlainNumbers())


def _explain_starts(figure: Figure, axes: Sequence[Axes], own: LongTable) -> None:
    """What the colours mean: names of starts, or a bar of the share transferred."""
    if not has_levels(own):
        panels = own.where(quantity="profile").values("panel")
        legend_below(figure, axes[: len(panels)])
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
    say: Sentences,
    digits: int = 3,
    adjust: Callable[[Axes, LongTable], None] = _name_parts,
    extra: tuple[Panel, ...] = (),
    more: tuple[Chart, ...] = (),
) -> ChapterKind:
    """A panel for each model and data set, a line for each start, parts in order."""
    profile = Panel(
        Lines("profile", "place", label="label", gap=0, ends="band", size=3.2),
        title="{panel}",
        y=y,
        where={"quantity": "profile"},
        adjust=adjust,
    )
    return ChapterKind(
        name=name,
        rows=rows,
        charts=(
            Chart(
                (profile, *extra),
                text=text,
                facet="panel",
                small=2.15,
                legend=False,
                where={"hidden": True},
                marks=_start_and_model_marks,
                finish=_explain_starts,
            ),
            *more,
        ),
        sheet=SheetPlan(
            (
                Column("Model", word="panel", once=True),
                Column("Start", word="label"),
                Column("Mean over parts", "mean_over_parts", f"{{value:.{digits}f}}"),
                Column("Highest", "highest", f"{{value:.{digits}f}}"),
                Column("at", word="at"),
            ),
            lines=("panel", "initialization"),
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
        f"{row['panel']}: from transferred weights layers travel "
        f"{wording.number(row['value'], 2)} times as far as from their statistics."
        if finite(row)
        else f"{row['panel']}: weights from statistics did not move."
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


ROBUSTNESS = _profile_kind(
    "robustness",
    robustness_rows,
    "drop",
    text="Loss of the test metric by the layer that is set back, by start",
    y="loss of the test metric",
    caption="Test metric of the trained model, minus that with one part at the weights "
    "it began from. A part that loses little has reused what it was given.",
    say=say_listed(
        "{panel}: the part below the head that costs most to set back costs, from "
        "{listed}.",
        "{label} {value:.3f} ({at})",
        "highest",
        by=("panel",),
    ),
)


def _explain_models(axes: Axes, own: LongTable) -> None:
    axes.set_xticks([0, 0.5, 1], ["ST", "½", "WT"])
    # Below its own panel: its colours are not those of the figure's legend.
    axes.legend(
        fontsize=6.5,
        handlelength=1.4,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.14),
        borderaxespad=0,
        ncols=2,
    )


KNN_BY_DEPTH = _profile_kind(
    "knn_by_depth",
    knn_rows,
    "best_knn",
    text="k-NN score of the features at each depth, by start",
    y="k-NN, test metric",
    caption="Of transformers, class token and mean of the spatial tokens side by side; "
    "the table in the folder has each alone. The head's logits are left out.",
    say=say_each(
        "{panel} from {label}: features are best at {at} ({value:.3f}); the last stage "
        "has {at_last:.3f}.",
        "highest",
        fraction=(0.0, 1.0),
    ),
    extra=(
        Panel(
            Lines("mean_best", "fraction", series="model", gap=0, ends="", size=4.0),
            title="best at any depth",
            where={"quantity": "mean_best"},
            adjust=_explain_models,
        ),
    ),
    more=(
        Chart(
            Panel(
                Lines("best_of_data", "fraction", series="model", gap=0, ends=""),
                title="{data}",
                y="best k-NN at any depth",
                where={"quantity": "best_of_data"},
                adjust=_explain_models,
            ),
            text="Best k-NN score at any depth by share transferred, by data set",
            suffix="best",
            facet="data",
            small=2.0,
            where={"quantity": "best_of_data"},
            legend=False,
            marks=marks_of("model"),
        ),
    ),
)


def _limit_attention(axes: Axes, own: LongTable) -> None:
    heads = own.whole.where(quantity="head").frame
    axes.set_xticks(range(1, int(heads["place"].max()) + 1))
    axes.set_ylim(0, 1.08 * float(heads["value"].max()))


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
            Column("Nearest head, px", "nearest", "{value:.1f}"),
            Column("Mean", "mean", "{value:.1f}"),
            Column("Farthest head", "farthest", "{value:.1f}"),
            Column("looks at class tokens", "class_token_share", PERCENT),
        ),
        lines=("group", "stage"),
        where={"quantity": "nearest"},
        caption="Distance between a patch and those it attends to, averaged with the "
        "attention weights, over patches, images and seeds; class tokens left out.",
        show_empty=False,
    ),
    sentences=(
        say_each(
            "{model} from {label}: in its first block the heads look {value:.1f} to "
            "{farthest:.1f} px far.",
            "nearest",
            place=1.0,
        ),
        one_seed_note("attended_distance"),
    ),
    marks=start_marks,
)


def _name_metric(axes: Axes, own: LongTable) -> None:
    axes.set_xticks(sorted(own.values("blocks")))
    units = own.values("unit")
    axes.set_ylabel(f"test {units[0] if len(units) == 1 else 'metric'}")


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
            Column("Blocks", "test", "{blocks:g}", missing=""),
            Column("Test metric", "test"),
            Column("minus the whole", "difference_to_whole", EFFECT),
        ),
        lines=("data", "model", "initialization"),
        caption="± is over seeds; small: 95 % interval over seeds and test patients.",
    ),
    sentences=(
        say_listed(
            "{data}: {listed} from the whole.",
            "{blocks:g} blocks end {value:+.3f}",
            "difference_to_whole",
            by=("data",),
        ),
        one_seed_note(),
    ),
    marks=marks_of("data"),
    coloured="",
)

KINDS = (TRAVEL, ROBUSTNESS, KNN_BY_DEPTH, ATTENTION, TRUNCATED)
