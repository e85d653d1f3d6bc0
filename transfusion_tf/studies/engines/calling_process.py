"""One run after the other, in the process that asked for them."""

from pathlib import Path
from typing import Self

from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.engines.engine import Listener, Outcome, carry_out
from transfusion_tf.training import RunConfig, RunOptions


class CallingProcess:
    """An `Engine` without processes of its own."""

    slots = 1
    in_this_process = True

    def __init__(
        self, options: RunOptions, runs: Path, data_sets: DataSets, listener: Listener
    ):
        self._options = options
        self._runs = runs
        self._data_sets = data_sets
        self._listener = listener
        self._next: RunConfig | None = None

    def submit(self, config: RunConfig) -> None:
        """Takes over a resolved run, which is trained while it is waited for."""
        self._next = config

    def wait(self, seconds: float) -> list[Outcome]:
        """Trains the run, however long that takes."""
        if self._next is None:
            return []
        config, self._next = self._next, None
        return [
            carry_out(
                config, self._runs, self._options, self._data_sets, self._listener
            )
        ]

    def stop(self) -> list[Outcome]:
        """Nothing is under way between two calls."""
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass
