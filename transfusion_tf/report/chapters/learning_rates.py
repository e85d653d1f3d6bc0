"""The chapter on a search for learning rates: the metric by the rate, and the best."""

from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Lines
from transfusion_tf.report.rows.rate_rows import rate_rows
from transfusion_tf.report.sentences import one_seed_note, say_listed
from transfusion_tf.report.sheets import Column, SheetPlan
from transfusion_tf.report.start_marks import start_marks

LEARNING_RATES = ChapterKind(
    name="learning_rates",
    rows=rate_rows,
    charts=Chart(
        Panel(
            Lines("validation", "rate", label="label", gap=0, ends=""),
            title="{panel}",
            y="validation {unit}",
            where={"quantity": "validation"},
            axes={"xscale": "log"},
        ),
        text="Validation metric by learning rate, a panel a model and data set",
        facet="panel",
        small=2.1,
        x="learning rate",
        all_y=True,
    ),
    sheet=SheetPlan(
        (
            Column("Model", word="panel", once=True),
            Column("Start", word="label"),
            Column("Best rate", "best_rate", "{value:.2g}"),
            Column("its metric", "best_validation", "{value:.3f}"),
        ),
        lines=("panel", "initialization"),
        where={"quantity": "best_rate"},
        words=2,
        caption="Validation metric at the end of each training; of one seed, and of a "
        "grid, so that a neighbouring rate may be as good.",
    ),
    sentences=(
        say_listed(
            "{panel}: the best rate is {listed}.",
            "{value:.2g} from {label}",
            "best_rate",
            by=("panel",),
        ),
        one_seed_note("validation"),
    ),
    marks=start_marks,
)

KINDS = (LEARNING_RATES,)
