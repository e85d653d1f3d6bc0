"""The chapter on the errors that a model is surest of, and what it saw there."""

from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.rows.error_rows import error_rows, images_of_errors
from transfusion_tf.report.sentences import say_each
from transfusion_tf.report.sheets import Column, SheetPlan
from transfusion_tf.report.wording import fill


def _say_which(table: LongTable) -> list[str]:
    """Where there is nothing to show, and where classes are left out."""
    said = []
    for run in table.where(quantity="chosen_run").rows:
        if not run["learned"]:
            said.append(
                "Its start has learned nothing that can be compared: what its pixels "
                "speak for means as little."
            )
        if not run["missed"]:
            said.append("It misses no test image.")
        elif not run["show_images"]:
            said.append("Images were left out of this report on request.")
        elif run["cut"]:
            said.append(
                fill("Shown are the {shown:count} classes with most errors.", run)
            )
    return said


def _caption(table: LongTable) -> str:
    run = table.find(quantity="chosen_run")
    return "" if run is None else fill(_CAPTION, run)


_CAPTION = (
    "Integrated gradients (Sundararajan et al., 2017) of the logit of the prediction "
    "less that of the truth (of a finding, its own), from an image of the same mean "
    "colour without structure. They add up to what this changes by[, here to within "
    "{gap:.2f}]; they are blurred by 1/64 of the width, and the strongest pixel of an "
    "image has full colour."
)

CONFIDENT_ERRORS = ChapterKind(
    name="confident_errors",
    rows=error_rows,
    charts=(),
    images=images_of_errors,
    sheet=SheetPlan(
        (
            Column("Class", word="true_class"),
            Column("Test images", "missed_images", "{of:count}"),
            Column("Missed", "missed_images", "{value:count}"),
            Column("Share", "missed_images", "{share:%}"),
        ),
        lines=("true_class",),
        where={"quantity": "missed_images"},
        caption=_caption,
        show_empty=False,
    ),
    sentences=(
        say_each(
            "The run: {model} from {initialization}, seed {seed}, with {value:.3f} "
            "{unit} on validation.",
            "chosen_run",
        ),
        _say_which,
    ),
    columns=(
        "dataset",
        "model",
        "initialization",
        "true_class",
        "quantity",
        "value",
        "of",
    ),
)

KINDS = (CONFIDENT_ERRORS,)
