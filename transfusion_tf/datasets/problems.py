"""Rows that can't be used: as a table for the user, and counted by reason."""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf import files
from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers import Example, Problem, Reading
from transfusion_tf.errors import UserError

_PLACE = re.compile(r"(?P<file>.*), (row (?P<row>\d+)( \(.*\))?|record at \d+)")
COLUMNS = ("file", "row", "image", "kind", "reason", "images", "classes")


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
    name = image_file(card, example)
    # A class folder's row is the file itself.
    return ImageProblem(
        example.where,
        reason,
        labels=example.labels,
        image="" if name.endswith(example.where) else name,
        example_id=example.example_id,
    )


def image_file(card: DatasetCard, example: Example) -> str:
    """The file of an example's image, below the data's folder; empty if it has none."""
    source = example.image
    while hasattr(source, "source"):  # What a preprocessing wraps.
        source = source.source
    path = getattr(source, "path", None)
    if not isinstance(path, Path):
        return ""
    data = card.data_folder()
    return str(path.relative_to(data) if path.is_relative_to(data) else path)


@dataclasses.dataclass(frozen=True)
class Losses:
    """How many images can't be used.

    Attributes:
      images: how many.
      total: of how many in all.
      by_class: how many of each class that loses some, and of how many.
      unknown: how many whose class is not known.
      by_file: how many of each table, or of each folder.
    """

    images: int
    total: int
    by_class: Mapping[str, tuple[int, int]]
    unknown: int
    by_file: Mapping[str, int]

    def lines(self) -> list[str]:
        """What goes, for people."""
        if not self.images:
            return ["No image is lost with these rows: others name the same ones."]
        share = self.images / max(1, self.total)
        lines = [f"{self.images} of {self.total} images ({share:.2%}) can't be used:"]
        lines += [f"  {n:6d} of {of} {name}" for name, (n, of) in self.by_class.items()]
        if self.unknown:
            lines.append(f"  {self.unknown:6d} of a class that is not known")
        if len(self.by_file) > 1:
            lines.append("by file:")
            lines += [f"  {n:6d}  {name}" for name, n in self.by_file.items()]
        return lines


def count_losses(card: DatasetCard, reading: Reading, bad: Sequence[Problem]) -> Losses:
    """What goes with the rows that can't be used.

    Args:
      card: names the classes.
      reading: all that the reader found.
      bad: its problems, and those of its examples.
    """
    # An image may stand in several rows.
    labels = {example.image: example.labels for example in reading.examples}
    names = card.labels.named
    of, lost, files = Counter[str](), Counter[str](), Counter[str]()
    for found in labels.values():
        of.update(_present(names, found))
    for problem in reading.problems:
        of.update(_present(names, problem.labels) * problem.images)
    for problem in bad:
        lost.update(_present(names, problem.labels) * problem.images)
        if problem.images:
            files[_file_of(problem.where)] += problem.images
    return Losses(
        images=sum(problem.images for problem in bad),
        total=len(labels) + sum(problem.images for problem in reading.problems),
        by_class={name: (lost[name], of[name]) for name in names if lost[name]},
        unknown=sum(problem.images for problem in bad if problem.labels is None),
        by_file=dict(files.most_common(20)),
    )


def _present(names: Sequence[str], labels: Sequence[float] | None) -> list[str]:
    return [n for n, value in zip(names, labels or (), strict=False) if value == 1]


def _file_of(where: str) -> str:
    """The table of a row, the folder of an image."""
    match = _PLACE.fullmatch(where)
    if match:
        return match["file"]
    return str(Path(where).parent) if Path(where).suffix else where


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
    text = re.sub(r"-?\d[\d.×e+-]*", "…", text)
    return re.sub(r"\s+", " ", text).strip()[:120]


def _common(reasons: Sequence[str]) -> str:
    """What reasons of one kind all say; words in which they differ are left open."""
    words = [re.findall(r"'[^']*'|\"[^\"]*\"|\S+", reason) for reason in set(reasons)]
    if len({len(one) for one in words}) > 1:
        return kind_of(reasons[0])
    shared = (set(found) for found in zip(*words, strict=True))
    return " ".join(found.pop() if len(found) == 1 else "…" for found in shared)


def problem_table(
    problems: Iterable[Problem], classes: Sequence[str] = ()
) -> pd.DataFrame:
    """A row a problem, all text.

    Its columns: `file`, `row`, `image`, `kind`, `reason`, `images` (how many go with
    it) and `classes` (what these show, where it is known).
    """
    rows: list[dict[str, str]] = []
    reasons: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        reasons[kind_of(problem.reason)].append(problem.reason)
        match = _PLACE.fullmatch(problem.where)
        rows.append(
            {
                "file": match["file"] if match else problem.where,
                "row": (match["row"] if match else "") or "",
                "image": getattr(problem, "image", ""),
                "kind": kind_of(problem.reason),
                "reason": problem.reason,
                "images": str(problem.images),
                "classes": ", ".join(_present(classes, problem.labels)),
            }
        )
    kinds = {kind: _common(found) for kind, found in reasons.items()}
    for row in rows:
        row["kind"] = kinds[row["kind"]]
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
