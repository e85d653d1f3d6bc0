"""The chapter on what donors are worth, before anything is transferred from them."""

from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.rows.donor_worth_rows import donor_worth_rows
from transfusion_tf.report.sheets import EFFECT, Column, SheetPlan
from transfusion_tf.studies.donor_quality import LEAST_GAIN
from transfusion_tf.studies.learned import LEAST_SKILL


def _say_worth(table: LongTable) -> list[str]:
    return list(table.values("said"))


DONOR_WORTH = ChapterKind(
    name="donor_worth",
    rows=donor_worth_rows,
    charts=(),
    sheet=SheetPlan(
        (
            Column("Donor", word="donor", once=True),
            Column("Model", word="model"),
            Column("Gates", word="called"),
            Column(
                "Own validation",
                "donor_validation",
                "{value:.3f}[\n{low:.3f} to {high:.3f}]",
            ),
            Column("Chance", "donor_chance", "{value:.3f}"),
            Column("Probe", "donor_probe", "{value:.3f}"),
            Column("of random weights", "donor_probe_random", "{value:.3f}"),
            Column("Gain", "donor_probe_gain", EFFECT),
            Column("Gabor share", "donor_gabor_share", "{value:.3f}"),
            Column("of shuffled filters", "donor_gabor_chance", "{value:.3f}"),
            Column("Kernels’ scale moved", "donor_kernel_scale", "{value:.3f}"),
        ),
        lines=("donor", "model"),
        caption="Own validation: the metric on the donor’s own data, 95 % interval "
        f"over its images; gate: {100 * LEAST_SKILL:.0f} % of the way from chance to "
        "perfect. Probe: accuracy of a linear probe that saw five images of each of 24 "
        "classes of drawn textures which no donor has seen (one of drawn textures has "
        "seen others of their kind), on the frozen features that the head is given "
        "(chance 0.042), beside the mean of five random starts; "
        "gate: the gain’s 95 % interval, over random starts and classes, above "
        f"{LEAST_GAIN:g}. Gabor share: of the energy of the first 16 filters of the "
        "first layer. Kernels’ scale: |log2| of their standard deviation over that at "
        "their start, mean over kernels. Gabors and scale have no gate.",
    ),
    sentences=(_say_worth,),
    coloured="donor",
)

KINDS = (DONOR_WORTH,)
