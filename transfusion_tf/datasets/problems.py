"""Rows that can't be used: as a table for the user, and counted by reason."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf import files
from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers import Example, Problem
from transfusion_tf.errors import UserError

COLUMNS = ("file", "row", "image", "kind", "reason")


@dataclasses.dataclass(frozen=True)
class ImageProblem(Problem):
    """A row whose image can't be used.

    Attributes:
      image: the image file, as far as it is one.
      example_id: the example's.
    """

    image: str = ""
    example_id: str = ""


def image_problem(card: DatasetCard, example: Example, reason: str) -> ImageProblem:
    """The problem of an example whose image gave `reason` when it was read."""
    source = example.image
    while hasattr(source, "source"):  # What a preprocessing wraps.
        source = source.source
    path = getattr(source, "path", None)
    name = ""
    if isinstance(path, Path):
        below = path.is_relative_to(card.path.parent)
        name = str(path.relative_to(card.path.parent) if below else path)
        # A class folder's row is the file itself.
        name = "" if name.endswith(example.where) else name
    return ImageProblem(example.where, reason, name, example.example_id)


class DatasetError(UserError):
    """The data set can't be used as it is; lists every row that says why.

    Attributes:
      problems: all of them.
      table: the CSV file that lists them, or None where none could be written.
    """

    # A wrong folder makes every row a bad one; the CSV file has them all.
    _SHOWN = 500

    def __init__(
        self,
        card: DatasetCard,
        problems: Sequence[Problem],
        table: Path | None = None,
        hint: str = "",
    ):
        self.problems = tuple(problems)
        self.table = table
        count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
        lines = [
            f"{count} in data set {card.name!r} ({card.path}); nothing was written:",
            *_aligned(problems[: self._SHOWN]),
        ]
        if len(problems) > self._SHOWN:
            lines.append(f"  ... and {len(problems) - self._SHOWN} more")
        if len(problems) > 1:
            kinds = counts_by_kind(problem_table(problems))
            lines.append("by reason:")
            lines += [f"  {number:6d}  {kind}" for kind, number in kinds.items()]
        if table is not None:
            lines.append(f"as a table: {table}")
        if hint:
            lines.append(hint)
        super().__init__("\n".join(lines))


def _aligned(problems: Sequence[Problem]) -> list[str]:
    cells = [(p.where, getattr(p, "image", "")) for p in problems]
    widths = [min(48, max((len(c[i]) for c in cells), default=0)) for i in (0, 1)]
    gap = "  " if widths[1] else ""
    return [
        f"  {where:{widths[0]}s}{gap}{image:{widths[1]}s}  {problem.reason}"
        for (where, image), problem in zip(cells, problems, strict=True)
    ]


def kind_of(reason: str) -> str:
    """The reason without what differs from row to row: names, paths, numbers."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "…", reason)
    text = re.sub(r"\S*/\S*", "…", text)
    text = re.sub(r"-?\d[\d.×e+-]*", "N", text)
    return re.sub(r"\s+", " ", text).strip()[:120]


def problem_table(problems: Iterable[Problem]) -> pd.DataFrame:
    """A row a problem: `file`, `row`, `image`, `kind` and `reason`, all text."""
    rows: list[dict[str, Any]] = []
    for problem in problems:
        match = re.fullmatch(r"(.*), row (\d+)", problem.where)
        file, row = match.groups() if match else (problem.where, "")
        rows.append(
            {
                "file": file,
                "row": row,
                "image": getattr(problem, "image", ""),
                "kind": kind_of(problem.reason),
                "reason": problem.reason,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=str)


def counts_by_kind(table: pd.DataFrame) -> dict[str, int]:
    """How many rows of `problem_table` are of each kind, the most frequent first."""
    counts = Counter(table["kind"])
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes what `read_table` reads."""
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """The table of a file, or an empty one where there is none."""
    if not path.exists():
        return problem_table([])
    return pd.read_csv(path, dtype=str, keep_default_na=False)
