"""How a run is carried out: where, on what, with which extras."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.training.distributed.cluster import Cluster

STRATEGIES = ("auto", "one", "mirrored", "multi_worker")


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; nothing here changes its result beyond rounding.

    Attributes:
      data_root: where prepared data lies.
      strategy: see `make_strategy`; or `multi_worker`: the cluster's processes, on
        all their GPUs. `auto` is that too where a cluster is given.
      cluster: the processes that train the run together; None takes `TF_CONFIG` where
        the strategy is `multi_worker`.
      logical_devices: how many devices the CPU is split into, to try `mirrored`
        without GPUs.
      threads: how many threads one operation may use on the CPU; None leaves it to
        TensorFlow. The last digits of results hang on it, as they do on the processor.
      save_every_steps: save the state between evaluations too; 0 does not.
      keep_initial_weights: whether the run's folder gets `initial.weights.h5`; else
        their hash, by which they are known when seed and donor give them again.
      profile_steps: first and last step of a TensorBoard profile, or None.
      progress: whether to show a progress bar.
      on_step: called after every step with the number of steps done since the last
        call, for a study's own progress bar.
    """

    data_root: str | Path = "workspace/data"
    strategy: str = "auto"
    cluster: Cluster | None = None
    logical_devices: int = 1
    threads: int | None = None
    save_every_steps: int = 0
    keep_initial_weights: bool = False
    profile_steps: tuple[int, int] | None = None
    progress: bool = True
    on_step: Callable[[int], None] = lambda count: None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UserError(f"--threads should be at least 1, got {self.threads}")
        if self.strategy not in STRATEGIES:
            raise one_of("--strategy", self.strategy, STRATEGIES)
        span = self.profile_steps
        if span and not 0 <= span[0] < span[1]:
            raise UserError(f"--profile_steps should be first,last, got {span}")
