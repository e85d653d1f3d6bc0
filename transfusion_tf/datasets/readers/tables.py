"""CSV tables as rows of text, each with the number that a spreadsheet shows."""

import csv
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from transfusion_tf.datasets.readers.rows import Problem
from transfusion_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV file.

    Attributes:
      file: the file.
      columns: their names.
      rows: (where, cells by column), the header being row 1 where there is one.
      problems: rows with too few or too many cells.
    """

    file: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, dict[str, str]], ...]
    problems: tuple[Problem, ...]

    def require_columns(self, names: Sequence[str], who: str) -> None:
        """Checks that columns are there.

        Raises:
          UserError: names the first that is not, and those that are.
        """
        for name in names:
            if name not in self.columns:
                raise UserError(
                    f"{self.file} has no column {name!r}, which {who} names; "
                    f"its columns: {', '.join(self.columns)}"
                )


def read_table(file: Path, columns: Sequence[str] | None = None) -> Table:
    """Reads a CSV file whole.

    Args:
      file: UTF-8, commas; quoted cells may hold commas and line ends.
      columns: names where the file has no header.

    Raises:
      UserError: missing, empty, not UTF-8, not CSV, or a header that names a column
        twice.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, strict=True))
    except FileNotFoundError:
        raise UserError(f"no file {file}") from None
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file} can't be read as a CSV table: {error}") from error
    start = 1
    if columns is None:
        header = [name.strip() for name in lines[0]] if lines else []
        _check_header(file, header)
        columns, lines, start = header, lines[1:], 2
    rows, problems = [], []
    for number, cells in enumerate(lines, start=start):
        if not cells:
            continue
        where = f"{file.name}, row {number}"
        if len(cells) != len(columns):
            problems.append(
                Problem(
                    where,
                    f"{len(cells)} cells, but the table has {len(columns)} columns",
                )
            )
            continue
        rows.append((where, dict(zip(columns, map(str.strip, cells), strict=True))))
    if not rows and not problems:
        raise UserError(f"{file} has no rows")
    return Table(file, tuple(columns), tuple(rows), tuple(problems))


def _check_header(file: Path, header: list[str]) -> None:
    if not any(header):
        raise UserError(f"{file} has no header")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise UserError(
            f"{file} can't be read as a CSV table: its header {header[0]!r} is not "
            "separated by commas"
        )
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise UserError(f"{file} names a column twice: {', '.join(sorted(twice))}")


def existing_image(folder: Path, name: str, inside: Path) -> Path:
    """The image file that a cell names.

    Args:
      folder: what a relative name starts from.
      name: as it stands in the table.
      inside: the folder of the data, which a relative name must not leave.

    Raises:
      UserError: there is no such file, or it would lie outside the data.
    """
    path = folder / name
    if ".." in path.parts and not Path(name).is_absolute():
        normal = Path(os.path.normpath(path.absolute()))
        if not normal.is_relative_to(os.path.normpath(inside.absolute())):
            raise UserError(f"path {name!r} leads out of the data's folder {inside}")
    # A NUL byte in a name raises ValueError.
    if "\0" in name or not path.is_file():
        raise UserError(f"no image {path}")
    return path


def not_blank(row: Mapping[str, str], column: str) -> str:
    """The cell.

    Raises:
      UserError: it is blank.
    """
    if not row[column]:
        raise UserError(f"column {column!r} is blank")
    return row[column]
