"""What benchmarks measured, as rows of one table."""

import csv
import dataclasses
import io
import statistics
from collections.abc import Sequence
from pathlib import Path

from transfusion_tf import files


@dataclasses.dataclass(frozen=True)
class Result:
    """One row.

    Attributes:
      what: was measured.
      value: the median over the rounds.
      least, largest: over the rounds.
      against: what the value is a multiple of; empty where it is none.
      unit: of the value; `×` for a ratio.
      target: what is aimed at, in words; empty where nothing is.
      detail: what helps to read the value, such as a speed.
    """

    what: str
    value: float
    least: float
    largest: float
    against: str = ""
    unit: str = "×"
    target: str = ""
    detail: str = ""

    @classmethod
    def of(cls, what: str, values: Sequence[float], **fields: str) -> "Result":
        """The row of one value a round."""
        return cls(what, statistics.median(values), min(values), max(values), **fields)

    def numbers(self) -> str:
        """Value and range, `0.72 × (0.70 to 0.75)`."""
        text = f"{_short(self.value)} {self.unit}"
        if self.least == self.largest:
            return text
        return f"{text} ({_short(self.least)} to {_short(self.largest)})"

    def aim(self) -> str:
        """The target in brackets, or nothing."""
        return f"[{self.target}]" if self.target else ""


def print_result(result: Result) -> Result:
    """One line of the result; returns it."""
    against = f" of {result.against}" if result.against else ""
    print(f"  {result.what}: {result.numbers()}{against} {result.aim()}".rstrip())
    if result.detail:
        print(f"    {result.detail}")
    return result


def write_tables(results: Sequence[Result], folder: Path, machine: str) -> list[Path]:
    """`benchmarks.md`, to copy the README's table from, and `benchmarks.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "benchmarks.md": f"{machine}\n\n{markdown(results)}",
        "benchmarks.csv": _csv(results),
    }
    for name, text in contents.items():
        files.write_text(folder / name, text)
    return [folder / name for name in contents]


def markdown(results: Sequence[Result]) -> str:
    """A Markdown table, a row a result."""
    lines = ["| what | against | median | range | target |", "|---|---|---|---|---|"]
    for result in results:
        spread = ""
        if result.least != result.largest:
            spread = f"{_short(result.least)} to {_short(result.largest)}"
        unit = "" if result.unit == "×" else f" {result.unit}"
        cells = (
            result.what,
            result.against,
            _short(result.value) + unit,
            spread,
            result.target,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _csv(results: Sequence[Result]) -> str:
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(Result)]
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(dataclasses.asdict(result) for result in results)
    return text.getvalue()


def _short(value: float) -> str:
    """Two decimals below 10, one below 100, else none."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"
