"""CSV tables as rows of text, each with the number that a spreadsheet shows."""

import contextlib
import csv
import dataclasses
import io
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from transfusion_tf.datasets.folder_files import has_helper, names_in, on_disk
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.names import normalized
from transfusion_tf.datasets.readers.rows import Problem
from transfusion_tf.errors import UserError, valid_names

# What columns are separated by, and how many rows show which of these it is.
_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 50

_ZIPPED, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_NO_TEXT = {
    b"\x1f\x8b": "compressed: unpack it",
    b"PAR1": "Parquet: write it as CSV",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV file.

    Attributes:
      file: the file.
      columns: their names, those without one left out.
      rows: (where, cells by column), the header being row 1 where there is one.
      problems: rows with too few or too many cells.
      twice: names that several columns have.
    """

    file: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, dict[str, str]], ...]
    problems: tuple[Problem, ...]
    twice: frozenset[str] = frozenset()

    def require_columns(self, names: Sequence[str], who: str) -> None:
        """Checks that columns are there.

        Raises:
          UserError: names the first that is not, and those that are.
        """
        if twice := self.twice.intersection(names):
            raise UserError(
                f"{self.file} names a column twice: {', '.join(sorted(twice))}"
            )
        for name in names:
            if name not in self.columns:
                raise UserError(
                    f"{self.file} has no column {name!r}, which {who} names"
                    f"{valid_names(name, self.columns, 'its columns')}"
                )


def read_table(
    file: Path, columns: Sequence[str] | None = None, encoding: str | None = "utf-8"
) -> Table:
    """Reads a CSV file whole, accents composed.

    Args:
      file: with a comma, semicolon, tab or bar between its columns; quoted cells may
        hold these and line ends.
      columns: names where the file has no header.
      encoding: of the text. None where no card can name another than UTF-8.

    Raises:
      UserError: missing, empty, of another encoding, a spreadsheet, or not CSV.
    """
    text = _text(file, encoding)
    try:
        lines = _lines(text, max(_SEPARATORS, key=lambda mark: _fit(text, mark)))
    except csv.Error as error:
        raise UserError(f"{file} can't be read as a CSV table: {error}") from error
    start = 1
    if lines and len(lines[0]) == 2 and lines[0][0] == "sep=":
        lines, start = lines[1:], 2  # Excel's own note of the separator.
    while lines and not any(map(str.strip, lines[0])):
        lines, start = lines[1:], start + 1
    if columns is None:
        if not lines:
            raise UserError(f"{file} has no header")
        columns = [name.strip() for name in lines[0]]
        lines, start = lines[1:], start + 1
    # A comma may stand behind the last name and behind no last cell.
    needed = max((n for n, name in enumerate(columns, start=1) if name), default=0)
    rows, problems = [], []
    for number, cells in enumerate(lines, start=start):
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        where = f"{file.name}, row {number}"
        if len(cells) < needed or any(cells[len(columns) :]):
            reason = f"{len(cells)} cells, but the table has {len(columns)} columns"
            problems.append(Problem(where, reason))
            continue
        named = zip(columns, cells, strict=False)
        rows.append((where, {name: cell for name, cell in named if name}))
    if not rows and not problems:
        raise UserError(f"{file} has no rows")
    counts = Counter(filter(None, columns))
    twice = frozenset(name for name, count in counts.items() if count > 1)
    return Table(file, tuple(counts), tuple(rows), tuple(problems), twice)


def _text(file: Path, encoding: str | None) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no file {file}") from None
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from None
    if file.suffix.lower() == ".npz":
        raise UserError(f"{file} is an archive of arrays: the reader npz reads such")
    if content.startswith((_ZIPPED, _OLE)):
        raise UserError(
            f"{file} is a spreadsheet, not CSV: save the sheet as CSV (UTF-8) and name "
            "that file"
        )
    for start, what in _NO_TEXT.items():
        if content.startswith(start):
            raise UserError(f"{file} is {what}")
    guess = guessed_encoding(content)
    try:
        if encoding in (None, "utf-8") and guess.startswith("utf-16"):
            raise UnicodeError("it holds zero bytes")
        codec = "utf-8-sig" if encoding in (None, "utf-8") else encoding or ""
        return normalized(content.decode(codec))
    except UnicodeError as error:
        name = repr(guess) if guess else "what it was saved as, such as 'shift_jis'"
        mend = f"set reader.encoding = {name} in the card, or " if encoding else ""
        raise UserError(
            f"{file} can't be read as {encoding or 'utf-8'} text ({error})"
            f"{f'; it looks like {guess}' if guess else ''}: {mend}save it as UTF-8"
        ) from None


def guessed_encoding(content: bytes) -> str:
    """Name of the encoding that a table's bytes look like; empty for none we know."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Every other byte of plain text is zero.
    zeros = [content[start:4096:2].count(0) for start in (0, 1)]
    if sum(zeros) > len(content[:4096]) / 4:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    # Latin-1 has no letters where Windows has a few: these tell them apart.
    windows = any(0x80 <= byte < 0xA0 for byte in content)
    for name in ("utf-8", "cp1252" if windows else "latin-1"):
        with contextlib.suppress(UnicodeDecodeError):
            content.decode(name)
            return name
    return ""


def _lines(text: str, separator: str, most: int | None = None) -> list[list[str]]:
    rows = csv.reader(io.StringIO(text, ""), delimiter=separator, strict=True)
    return list(itertools.islice(rows, most))


def _fit(text: str, separator: str) -> tuple[float, int]:
    """Share of rows that are as wide as the first, and that width; 0 where it is 1."""
    try:
        widths = [len(row) for row in _lines(text, separator, _SAMPLE) if row]
    except csv.Error:
        return 0, 0
    if text.startswith("sep="):
        widths = widths[1:]
    if not widths or widths[0] == 1:
        return 0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def existing_image(folder: Path, name: str, inside: Path, suffix: str = "") -> Path:
    """The image file that a cell names.

    Args:
      folder: what a relative name starts from.
      name: as it stands in the table; Windows writes it with backslashes.
      inside: the folder of the data, which a relative name must not leave.
      suffix: added to the name; `*` for that of the file that is there.

    Raises:
      UserError: there is no such file, it would lie outside the data, or is what
        another program keeps.
    """
    path = _spelled(folder, name)
    if ".." in path.parts and not Path(name).is_absolute():
        normal = Path(os.path.normpath(path.absolute()))
        if not normal.is_relative_to(os.path.normpath(inside.absolute())):
            raise UserError(f"path {name!r} leads out of the data's folder {inside}")
    below = path.relative_to(folder) if path.is_relative_to(folder) else path.name
    if has_helper(below):
        raise UserError(f"{name!r} is what another program keeps, no image of the data")
    if suffix == "*":
        return _of_any_suffix(path)
    found = on_disk(Path(f"{path}{suffix}"))
    if found is None or not found.is_file():
        raise UserError(f"no image {path}{suffix}{_near(path, suffix)}")
    return found


def _spelled(folder: Path, name: str) -> Path:
    path = folder / name
    if "\\" in name and on_disk(path) is None:
        return folder / name.replace("\\", "/")
    return path


def _of_any_suffix(path: Path) -> Path:
    found = on_disk(path)
    if found is not None and found.is_file():
        return found
    others = _of_same_stem(path)
    if len(others) == 1:
        return path.with_name(others[0])
    if others:
        raise UserError(f"{len(others)} images could be {path}: {', '.join(others)}")
    raise UserError(f"no image {path}, nor one of its name with another suffix")


def strip_folders(name: str, number: int) -> str:
    """The path without so many of its leading folders, or a drive or address."""
    if not number:
        return name
    return str(PurePosixPath(*PurePosixPath(name.replace("\\", "/")).parts[number:]))


def without_suffix(name: str) -> str:
    """The name without the suffix of an image file."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def _of_same_stem(path: Path) -> list[str]:
    """Images in the path's folder of its name and a suffix, or another suffix."""
    folder = on_disk(path.parent)
    names = names_in(folder) if folder is not None else {}
    found = []
    for stem in dict.fromkeys((path.name, without_suffix(path.name))):
        tried = (normalized(stem + suffix) for suffix in _any_case(IMAGE_SUFFIXES))
        found += [names[name] for name in tried if name in names]
    return found


def _any_case(suffixes: Iterable[str]) -> list[str]:
    return [spelled for suffix in suffixes for spelled in (suffix, suffix.upper())]


def _near(path: Path, suffix: str) -> str:
    """What is there in place of an image that is not."""
    names = _of_same_stem(path)
    if not names:
        return ""
    added = names[0].removeprefix(path.name)
    right = "'*'" if suffix or added == names[0] else f"{added!r}, or '*'"
    return f", but {names[0]}: set reader.path_suffix = {right}"


def not_blank(row: Mapping[str, str], column: str) -> str:
    """The cell.

    Raises:
      UserError: it is blank.
    """
    if not row[column]:
        raise UserError(f"column {column!r} is blank")
    return row[column]
