"""A kind of chapter is a declaration; here it is drawn."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from transfusion_tf.report import style
from transfusion_tf.report.charts import Drawing, several
from transfusion_tf.report.long_table import LongTable, Row
from transfusion_tf.report.material import Material
from transfusion_tf.report.pictures import Picture, keep, slug
from transfusion_tf.report.sample_images import ImageRow
from transfusion_tf.report.sentences import Sentences
from transfusion_tf.report.sheets import Sheet, SheetPlan
from transfusion_tf.report.style import Mark
from transfusion_tf.representations.measure_names import MEASURE_NAMES
from transfusion_tf.studies.measurements.comparison_options import similarity_measure


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A chapter, drawn.

    Attributes:
      pictures: in order, each a phone wide.
      table: all numbers, unrounded.
      sentences: what is seen.
      sheet: the numbers that the page prints.
      colours: initialization -> its colour in the pictures.
      wide: whether the pictures need the page's whole width.
      images: images of the data set.
    """

    pictures: tuple[Picture, ...]
    table: pd.DataFrame
    sentences: tuple[str, ...]
    sheet: Sheet | None = None
    colours: Mapping[str, str] = dataclasses.field(default_factory=dict)
    wide: bool = False
    images: tuple[ImageRow, ...] = ()


def marks_of_starts(table: LongTable) -> dict[str, Mark]:
    """Marks of the initializations, in the report's order."""
    return style.marks(sorted(table.values("initialization"), key=style.start_rank))


def marks_of(column: str) -> Callable[[LongTable], dict[str, Mark]]:
    """Marks for a column's values, in the report's own colours."""
    return lambda table: style.marks(table.values(column))


@dataclasses.dataclass(frozen=True)
class ChapterKind:
    """What a chapter shows, whatever its runs are.

    Attributes:
      name: by which studies ask for it.
      rows: the rows of its long table: all that is computed is computed here.
      charts: one, or several: its pictures, in order.
      sheet: the table that the page prints.
      sentences: what is seen.
      marks: how the labels of the pictures are drawn.
      coloured: the column whose words have the pictures' colours in the sheet.
      variants: option of a chapter -> the kind in its place where it is set.
      wide: whether the pictures need the page's whole width.
      columns: of the published table, in place of a long table's.
      images: images of the data set that it shows, where a report may show any.
    """

    name: str
    rows: Callable[[Material], Iterable[Row]]
    charts: Drawing | tuple[Drawing, ...]
    sheet: SheetPlan
    sentences: tuple[Sentences, ...] = ()
    marks: Callable[[LongTable], Mapping[str, Mark]] = marks_of_starts
    coloured: str = "initialization"
    variants: Mapping[str, "ChapterKind"] = dataclasses.field(default_factory=dict)
    wide: bool = False
    columns: tuple[str, ...] = ()
    images: Callable[[Material], tuple[ImageRow, ...]] = lambda material: ()


def chapter_table(kind: ChapterKind, material: Material) -> LongTable:
    """The chapter's rows, with how labels are drawn and what the measure is called."""
    options, published = material.chapter.options, material.chapter.published
    table = LongTable.from_rows(kind.rows(material), published)
    words = {"similarity": MEASURE_NAMES[similarity_measure(options)]}
    return dataclasses.replace(table, marks=kind.marks(table), words=words)


@style.styled
def draw(kind: ChapterKind, material: Material, folder: Path) -> View:
    """Draws a chapter; its pictures go into the folder."""
    chapter = material.chapter
    for option, variant in kind.variants.items():
        if chapter.options.get(option):
            kind = variant
    table = chapter_table(kind, material)
    pictures = [
        keep(
            drawn.figure,
            folder,
            "-".join(filter(None, (chapter.name, slug(drawn.suffix)))),
            drawn.text,
        )
        for chart in several(kind.charts)
        for drawn in chart(material, table)
    ]
    return View(
        pictures=tuple(pictures),
        table=table.publish(kind.columns),
        sentences=tuple(text for said in kind.sentences for text in said(table)),
        sheet=kind.sheet.sheet(table),
        colours={
            label: table.marks[label].colour
            for label in table.values(kind.coloured)
            if label in table.marks
        },
        wide=kind.wide,
        images=kind.images(material) if material.show_images else (),
    )
