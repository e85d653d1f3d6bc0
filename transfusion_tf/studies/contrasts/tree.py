"""Contrasts: what is compared in a study, as data.

A contrast is a tree. Its leaves name measurements of runs; its branches subtract,
divide and average them, or correlate them over settings. Where a study is written
down, its runs are `RunConfig`s; in `study.json` they are ids, so that a contrast can be
measured from the study's folder at any later time.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from transfusion_tf.errors import UserError
from transfusion_tf.studies.measurements.table import Measurements

# Of the leaves: groups of runs that are repetitions of one another.
_RUN_FIELDS = ("runs", "others", "baseline")


class MissingMeasurementError(UserError):
    """Runs or comparisons that a contrast needs have no result."""


@dataclasses.dataclass(frozen=True)
class Contrast(abc.ABC):
    """A number made of a study's measurements."""

    _kinds: ClassVar[dict[str, type[Contrast]]] = {}

    def __init_subclass__(cls) -> None:
        cls._kinds[cls.__name__] = cls

    @abc.abstractmethod
    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        """The number.

        Args:
          measurements: of the study.
          selected: ids of the runs that count; others are left out.

        Returns:
          NaN where too few runs are left.

        Raises:
          MissingMeasurementError: something was not measured of any run.
        """

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        """The number in every bootstrap sample of the test patients: [samples].

        None where no test patients are behind it.
        """
        return None

    def null_variance(
        self, measurements: Measurements, selected: Collection[str]
    ) -> float:
        """Of the number where settings have nothing to do with one another.

        0 of what is not compared over settings.
        """
        return 0.0

    def open_ends(self, measurements: Measurements) -> frozenset[str]:
        """To which sides its true value may lie: of `higher` and `lower`.

        Where a run never reached a threshold, its steps are known to be more than those
        that it was trained for, and no more is known.
        """
        return frozenset()

    @property
    def parts(self) -> tuple[Contrast, ...]:
        """The contrasts that it is made of, in order."""
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]
        return tuple(each for each in _flat(values) if isinstance(each, Contrast))

    def groups(self) -> list[tuple[Any, ...]]:
        """Groups of runs that are repetitions of one another, of all leaves."""
        own = [getattr(self, name) for name in _RUN_FIELDS if getattr(self, name, ())]
        return own + [group for part in self.parts for group in part.groups()]

    def leaves(self) -> Iterable[Contrast]:
        """The measurements that it is made of."""
        if not self.parts and self.groups():
            yield self
        for part in self.parts:
            yield from part.leaves()

    def __sub__(self, other: Contrast) -> Contrast:
        return self._kinds["Minus"](self, other)  # type: ignore[call-arg]


class Branch(Contrast):
    """A contrast that computes its number from those of its parts."""

    @abc.abstractmethod
    def combine(self, *values: Any) -> Any:
        """The number, or the draws, from the parts' numbers or draws."""

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        parts = [part.value(measurements, selected) for part in self.parts]
        return float(self.combine(*parts))

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        parts = [part.draws(measurements, selected) for part in self.parts]
        if any(part is None for part in parts):
            return None
        # Samples in which something is undefined are left out of the interval.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.combine(*parts))


def open_end_in_words(ends: frozenset[str]) -> str:
    """`at least` or `at most`, of a number that may be higher, or lower; else nothing.

    Nothing, too, of one that may be either: it is what it is up to the last step.
    """
    words = {"higher": "at least", "lower": "at most"}
    return words[min(ends)] if len(ends) == 1 else ""


def turned(ends: frozenset[str]) -> frozenset[str]:
    """The open ends of minus a contrast."""
    opposite = {"higher": "lower", "lower": "higher"}
    return frozenset(opposite[end] for end in ends)


def to_dict(contrast: Contrast, run_ids: Mapping[Any, str]) -> dict[str, Any]:
    """The contrast as plain values, for JSON.

    Args:
      contrast: of run configs.
      run_ids: the id of every config of the study; others are left out.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Contrast):
            return to_dict(value, run_ids)
        if isinstance(value, tuple):
            return [plain(each) for each in value]
        return value

    values: dict[str, Any] = {"kind": type(contrast).__name__}
    for field in dataclasses.fields(contrast):
        value = getattr(contrast, field.name)
        if field.name in _RUN_FIELDS:
            values[field.name] = [run_ids[run] for run in value if run in run_ids]
        else:
            values[field.name] = plain(value)
    return values


def from_dict(values: Mapping[str, Any]) -> Contrast:
    """The contrast that `to_dict` wrote, of run ids.

    Raises:
      UserError: an unknown kind, or fields that it does not have.
    """

    def parsed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return from_dict(value)
        if isinstance(value, list):
            return tuple(parsed(each) for each in value)
        return value

    fields = {name: parsed(value) for name, value in values.items() if name != "kind"}
    try:
        return Contrast._kinds[values["kind"]](**fields)
    except (KeyError, TypeError) as error:
        raise UserError(f"not a contrast: {dict(values)}: {error}") from error


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _flat(each)
    else:
        yield value
