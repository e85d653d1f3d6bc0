"""The processes that train one run together, as the training sees them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.training.termination import Termination

Batch = dict[str, tf.Tensor]


class Workers:
    """One process on its own. `distributed.cluster_workers` has the case of many.

    A training makes the same calls in the same order in each process. Here, where
    there is nobody to agree with, they cost nothing.

    Attributes:
      strategy: over the devices of all of them.
      count: how many there are.
      index: this one's place, from 0.
    """

    count = 1
    index = 0

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy

    @property
    def is_chief(self) -> bool:
        """Whether this one writes the run."""
        return self.index == 0

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over workers, of float32 arrays of one shape; on each of them."""
        return values

    def wait_for_all(self) -> None:
        """Returns when every worker has come so far."""

    def on_chief(self, action: Callable[[], Any]) -> Any:
        """What the action gives on the chief, plain JSON values; the others wait.

        Raises:
          UserError: the chief's, of whatever class it is there, on every worker.
        """
        return action()

    def check_same(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Makes sure that every worker has the same facts: plain JSON values by name.

        Raises:
          UserError: on every worker, where one of them differs from the chief.
        """

    def wait_until(self, seen: Callable[[], bool], folder: Path) -> None:
        """Returns when this worker sees what the chief has written to the folder.

        Raises:
          UserError: it does not come to be seen.
        """

    @contextlib.contextmanager
    def own_folder(self, folder: Path) -> Iterator[Path]:
        """Where this worker writes: the chief to the run's folder, others elsewhere."""
        yield folder

    @contextlib.contextmanager
    def together(self, progress: Callable[[], str]) -> Iterator[None]:
        """A block in which a worker that is lost is said to be so.

        Args:
          progress: where the same command would go on from.

        Raises:
          LostWorkerError: another worker has ended or does not answer.
        """
        yield

    def share_termination(self, termination: Termination) -> Termination:
        """As this process's, but it holds for all workers when one is asked to end."""
        return termination

    def distribute(self, batches: tf.data.Dataset) -> Iterator[Batch]:
        """An endless iterator of this worker's batches, laid onto its replicas."""
        if self.strategy.num_replicas_in_sync == 1:
            return iter(batches)
        return iter(self.strategy.experimental_distribute_dataset(batches))

    def distribute_finite(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """As `distribute`, but workers may have different numbers of batches.

        Args:
          batches: a dataset; on one device anything that gives batches.
        """
        return self.distribute(batches)
