"""How a run is carried out: where, on what, with which extras."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.training.strategy import STRATEGIES


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is carried out; nothing here changes its result.

    Attributes:
      data_root: where prepared data lies.
      strategy: see `make_strategy`.
      save_every_steps: save the state between evaluations too; 0 does not.
      profile_steps: first and last step of a TensorBoard profile, or None.
      progress: whether to show a progress bar.
      on_step: called after every step with the number of steps done since the last
        call, for a study's own progress bar.
    """

    data_root: str | Path = "workspace/data"
    strategy: str = "auto"
    save_every_steps: int = 0
    profile_steps: tuple[int, int] | None = None
    progress: bool = True
    on_step: Callable[[int], None] = lambda count: None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise one_of("--strategy", self.strategy, STRATEGIES)
        span = self.profile_steps
        if span and not 0 <= span[0] < span[1]:
            raise UserError(f"--profile_steps should be first,last, got {span}")
