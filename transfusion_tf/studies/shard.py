"""The part of a study that one of several processes or machines carries out."""

import dataclasses
import re
from collections.abc import Sequence
from typing import TypeVar

from transfusion_tf.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, as the flag says it: `--shard=1/4` to `--shard=4/4`.

    Attributes:
      index: which part, from 1.
      count: how many parts there are.

    Raises:
      UserError: no such part.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise _invalid(str(self))

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that `--shard=text` means. Raises UserError where it means none."""
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", text.strip())
        if not match:
            raise _invalid(text)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: Sequence[T]) -> list[T]:
        """Every `count`-th item, from the `index`-th: all shards do as much."""
        return list(items[self.index - 1 :: self.count])


def _invalid(text: str) -> UserError:
    return UserError(
        f"--shard should be a part and how many there are, from 1/4 to 4/4, got "
        f"{text!r}"
    )
