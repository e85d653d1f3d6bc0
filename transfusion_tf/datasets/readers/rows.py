"""What readers yield: examples, and what is said about the rows that are none."""

import dataclasses
from collections import Counter
from collections.abc import Iterator

from transfusion_tf.datasets.images import ImageSource


@dataclasses.dataclass(frozen=True)
class Example:
    """One row of a data set.

    Attributes:
      example_id: unique in the data set.
      patient_id: what splits keep together.
      labels: one value a class, 0 or 1; NaN where it is not known.
      split: the split that the data set itself says, or None.
      image: where the pixels come from.
      where: file and row, for messages.
    """

    example_id: str
    patient_id: str
    labels: tuple[float, ...]
    split: str | None
    image: ImageSource
    where: str


@dataclasses.dataclass(frozen=True)
class Problem:
    """A row, file or folder that can't be used.

    Attributes:
      where: file and row, for messages.
      reason: what is wrong with it.
      images: how many images go with it: a folder may hold many, a table that
        `validation.separate` finds an image in twice keeps one.
      labels: of these images, where that is known all the same.
    """

    where: str
    reason: str
    images: int = 1
    labels: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A row or file that a rule of the card leaves out: nothing is wrong with it."""

    where: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Remark:
    """What stops nothing, but should be known before a number is believed."""

    where: str
    reason: str


Row = Example | Problem | LeftOut | Remark
Rows = Iterator[Row]


@dataclasses.dataclass(frozen=True)
class Reading:
    """All that a card's reader found."""

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[Remark, ...]

    def left_out_counts(self) -> dict[str, int]:
        """How many rows each rule of the card left out, most frequent first."""
        return dict(Counter(row.reason for row in self.left_out).most_common())
