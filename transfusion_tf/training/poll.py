"""A question to all workers, asked often enough and not too often."""

import time
from collections.abc import Callable

import numpy as np

from transfusion_tf.training.workers import Workers

# Between two times that workers ask each other.
_SECONDS = 2.0
# So many calls at most, as those to come may take longer than those that were timed.
_MOST_CALLS = 50


class Poll:
    """Asks all workers now and then whether one of them says yes.

    They must ask after the same steps, and no step is as long as another: how many
    make some two seconds is measured by all together.
    """

    def __init__(self, workers: Workers, question: Callable[[], bool]):
        self._workers = workers
        self._question = question
        self._calls, self._until_next = 0, 1
        self._asked = time.perf_counter()

    def sometimes(self) -> bool:
        """Whether any worker says yes; False where it is too early to ask again.

        All workers must call it at the same places. A single one is always asked.
        """
        self._calls += 1
        if self._workers.count > 1 and self._calls < self._until_next:
            return False
        return self.now()

    def now(self) -> bool:
        """Whether any worker says yes. All must call it at the same places."""
        elapsed = time.perf_counter() - self._asked
        facts = np.array([self._question(), elapsed], np.float32)
        yes, seconds = self._workers.total(facts)
        a_call = max(seconds / self._workers.count / max(self._calls, 1), 1e-6)
        self._until_next = int(np.clip(_SECONDS / a_call, 1, _MOST_CALLS))
        self._calls, self._asked = 0, time.perf_counter()
        return bool(yes)
