"""What a card says to the reader `csv`."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.readers import options as check
from transfusion_tf.toml_tables import TABLE, Count, Text, Texts, WrongKey


@dataclass(frozen=True, kw_only=True, config=TABLE)
class CsvTable:
    """One of several tables."""

    file: check.Places
    image_folder: check.Places | None = None
    """Where its images lie, if not where the reader says."""
    split: check.SplitName | None = None
    """That all its rows are in."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class CsvFilter:
    """Which rows belong to the question."""

    column: Text
    keep: tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    """A row with a value that is in neither list is a problem."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class CsvJoin:
    """Another table, and what to bring of it."""

    file: check.Places
    on: Text
    """The column that names the other table's row."""
    columns: Texts
    """The columns of the other table to bring to this one."""
    key: Text | None = None
    """What the other table calls `on`, where it is another name."""
    optional: StrictBool = False
    """Whether it may be missing."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class CsvOptions:
    """Options of the reader `csv`."""

    root: check.Places = "."
    """The data's folder, below the source."""
    file: check.Places | None = None
    """The table; or `tables`, where there are several."""
    tables: Annotated[tuple[CsvTable, ...], Field(min_length=1)] | None = None
    image_folder: check.Places = "."
    path_column: Text
    """Names the row's image, below `image_folder`."""
    encoding: check.Encoding = "utf-8"
    """Of the tables' text."""
    path_suffix: str = ""
    """Added to what stands there; `*` is that of the file that is there."""
    path_strip: Count | None = None
    """How many leading folders of the path are dropped."""
    label_columns: Texts
    """One, holding names of classes, what `labels.values` lists or numbers by
    `labels.count_from`; or one for each class in their order, holding 0 or 1."""
    label_separator: Text | None = None
    """Between the findings that the one column lists: `Edema|Mass`."""
    no_finding: Text | None = None
    """What stands there where there is none."""
    patient_column: Text | None = None
    """What splits keep together; without it, the path."""
    patient_pattern: check.Pattern | None = None
    """Its first group in what stands there is the patient."""
    blank_patient: Literal["error", "own"] = "error"
    """Where no patient is named; own: the image is a patient of its own."""
    id_column: Text | None = None
    """Unique; without it, the path."""
    split_column: Text | None = None
    """Holds names of splits, or what `split_values` lists."""
    split_values: Mapping[str, check.SplitName] | None = None
    split_lists: Mapping[Text, check.SplitName] | None = None
    """Text files that name images as the path column does, a line each, to the split of
    these."""
    filters: tuple[CsvFilter, ...] = ()
    join: CsvJoin | None = None
    """Brings columns of another table."""

    @model_validator(mode="after")
    def _fit_each_other(self) -> "CsvOptions":
        if self.file is None and self.tables is None:
            raise WrongKey(
                "file", "the table, or 'reader.tables' some: both are missing"
            )
        if self.file is not None and self.tables is not None:
            raise WrongKey("file", "absent where 'reader.tables' is given: not both")
        if self.split_lists and self.split_column:
            raise WrongKey("split_lists", "absent where 'reader.split_column' is given")
        if self.no_finding and not self.label_separator:
            raise WrongKey("no_finding", "absent without 'reader.label_separator'")
        return self

    def all_tables(self) -> tuple[CsvTable, ...]:
        """The tables to read, one or several."""
        return self.tables or (CsvTable(file=self.file or ""),)

    def columns(self, joined: bool) -> list[str]:
        """The columns that the table itself must have."""
        columns = (self.patient_column, self.id_column, self.split_column)
        names = [self.path_column, *self.label_columns, *filter(None, columns)]
        names += [entry.column for entry in self.filters]
        brought = set(self.join.columns) if self.join else set()
        if self.join and joined:
            names.append(self.join.on)
        return [name for name in dict.fromkeys(names) if name not in brought]
