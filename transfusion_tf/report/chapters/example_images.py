"""The chapter that shows images of each data set beside one another."""

from collections.abc import Iterator

import numpy as np

from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import DrawnFigure
from transfusion_tf.report.long_table import LongTable, Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.sample_images import Tile, picture_grid
from transfusion_tf.report.sentences import say_each
from transfusion_tf.report.sheets import Column, SheetPlan

# Images of each data set.
_COUNT = 4


def _rows(material: Material) -> Rows:
    rows: Rows = []
    for results in material.results:
        run = results.record.runs[0]
        counts = run.dataset["counts"]["train"]
        numbers = {
            "image_size": run.config.image_size,
            "training_images": counts["images"],
            "classes": len(run.dataset["classes"]),
        }
        keys = {"dataset": run.dataset["name"], "title": run.dataset["title"]}
        rows += [{**keys, "quantity": q, "value": v} for q, v in numbers.items()]
    return rows


def _draw_examples(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """A row of images of each data set, where the report may show any."""
    if not material.show_images:
        return
    rows = []
    for results in material.results:
        run = results.record.runs[0]
        images, _ = run.directory.samples()
        # Of different classes, as far as there are.
        chosen = np.linspace(0, len(images) - 1, _COUNT).round().astype(int)
        names = [run.dataset["name"], *[""] * (_COUNT - 1)]
        pairs = zip(dict.fromkeys(chosen), names, strict=False)
        rows.append([Tile(images[index], name) for index, name in pairs])
    if rows:
        yield DrawnFigure(
            picture_grid(rows), "", "Example images of each data set, a row each"
        )


EXAMPLES = ChapterKind(
    name="example_images",
    rows=_rows,
    charts=_draw_examples,
    sheet=SheetPlan(
        (
            Column("Data", word="title"),
            Column("Pixels", "image_size", "{value:.0f} × {value:.0f}"),
            Column("Training images", "training_images", "{value:count}"),
            Column("Classes", "classes", "{value:.0f}"),
        ),
        lines=("dataset",),
        where={"quantity": "image_size"},
    ),
    sentences=(
        say_each("{title}: models see {value:.0f} × {value:.0f} pixels.", "image_size"),
    ),
)

KINDS = (EXAMPLES,)
