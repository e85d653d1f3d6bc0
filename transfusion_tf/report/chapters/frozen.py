"""The chapter on fixed features: the test metric when stages up to one are frozen."""

import dataclasses

from matplotlib.axes import Axes

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Lines
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.rows.frozen_rows import BELOW, RANDOM, WHOLE, frozen_rows
from transfusion_tf.report.sentences import one_seed_note
from transfusion_tf.report.sheets import EFFECT, Column, SheetPlan
from transfusion_tf.report.style import Mark

_MARKS = {
    WHOLE: Mark("#0072b2", "s"),
    BELOW: Mark("#d55e00", "D"),
    RANDOM: Mark("#6b6f76", "o"),
}
_PANEL = ("dataset", "model", "train_examples")


def _limit_stages(axes: Axes, own: LongTable) -> None:
    axes.set_xlim(-0.4, len(own.whole.values("frozen")) - 0.6)


def _say_frozen(table: LongTable) -> list[str]:
    said = []
    for own in table.split(*_PANEL):
        leads = own.where(quantity="difference_to_random", treatment=WHOLE).rows
        if leads:
            values = [row["value"] for row in leads]
            most = max(leads, key=lambda row: row["value"])
            said.append(
                f"{own.first['panel']}: frozen donor features are between "
                f"{wording.signed(min(values))} and {wording.signed(max(values))} from "
                f"random ones; the gap is largest with {most['frozen']} frozen."
            )
        both = [row["value"] for row in own.where(quantity="donor_above").rows]
        if both:
            said.append(
                "Donor weights instead of random ones above the frozen stages make "
                f"{wording.signed(min(both))} to {wording.signed(max(both))} "
                "of difference."
            )
    return said


_TEXT = "Test metric by the last frozen stage, {title}"

FROZEN = ChapterKind(
    name="frozen",
    rows=frozen_rows,
    charts=Chart(
        Panel(
            Lines("test", "frozen", series="treatment", gap=0.09),
            title="{title}",
            x="last frozen stage",
            y="test {unit}",
            height=3.3,
            pad=8,
            adjust=_limit_stages,
        ),
        text=_TEXT,
        suffix="{title}",
        by=_PANEL,
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="panel", once=True),
            Column("Frozen up to", word="frozen"),
            *(Column(name, "test", where={"treatment": name}) for name in _MARKS),
            Column(
                "all donor minus random",
                "difference_to_random",
                where={"treatment": WHOLE},
                show=EFFECT,
            ),
        ),
        lines=(*_PANEL, "frozen"),
        group=_PANEL,
        caption="Test metric, ± over seeds; small: 95 % interval.",
    ),
    sentences=(_say_frozen, one_seed_note()),
    marks=lambda table: _MARKS,
    coloured="treatment",
)

_BY_CLASS = dataclasses.replace(
    FROZEN,
    charts=Chart(
        Panel(
            Lines(None, "frozen", series="treatment", gap=0.09),
            title="{shown}",
            adjust=_limit_stages,
        ),
        text=_TEXT,
        suffix="{title}",
        by=_PANEL,
        facet="shown",
        small=1.7,
        title="{title}",
        x="last frozen stage",
        y="test {unit}",
    ),
)

KINDS = (dataclasses.replace(FROZEN, variants={"by_class": _BY_CLASS}),)
