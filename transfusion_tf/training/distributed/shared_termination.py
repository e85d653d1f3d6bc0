# ruff: noqa: D102 (the base class says it)
"""Many processes that end together when one of them is asked to."""

import contextlib
import time
from collections.abc import Iterator

import numpy as np

from transfusion_tf.training.termination import Termination
from transfusion_tf.training.workers import Workers

# Between two times that workers ask each other.
_SECONDS = 2.0
# So many steps at most, as those to come may take longer than those that were timed.
_MOST_STEPS = 50


class SharedTermination(Termination):
    """Whether any worker was asked to end.

    They must ask after the same steps, and no step is as long as another: how many
    make some two seconds is measured by all together.
    """

    def __init__(self, own: Termination, workers: Workers):
        super().__init__()
        self._own = own
        self._workers = workers
        self._steps, self._until_next = 0, 1
        self._asked = time.perf_counter()

    def is_due(self) -> bool:
        self._steps += 1
        return self._steps >= self._until_next and self.is_due_now()

    def is_due_now(self) -> bool:
        elapsed = time.perf_counter() - self._asked
        facts = np.array([self._own.requested, elapsed], np.float32)
        requested, seconds = self._workers.total(facts)
        a_step = max(seconds / self._workers.count / max(self._steps, 1), 1e-6)
        self._until_next = int(np.clip(_SECONDS / a_step, 1, _MOST_STEPS))
        self._steps, self._asked = 0, time.perf_counter()
        return bool(requested)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        # One alone may end anywhere; many end together, between batches.
        yield
