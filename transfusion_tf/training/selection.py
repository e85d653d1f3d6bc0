"""What an evaluation means for a run: the best weights, a plateau, the end.

All of it is counted in the run's `Progress`, which is saved: a run that was stopped
goes on counting where it was.
"""

from collections.abc import Mapping

from transfusion_tf.errors import UserError
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.state import Progress

# Rates are powers of ten times the base, but for rounding.
_ROUNDING = 1e-6


def selection_metric(config: RunConfig) -> str:
    """What the best weights are chosen by on validation: a metric, or `loss`."""
    return str(config.early_stopping_metric or config.metric)


def count_evaluation(
    progress: Progress, config: RunConfig, values: Mapping[str, float]
) -> bool:
    """Counts an evaluation of the validation split, after `progress.step` steps.

    Where the head was trained alone first, the best is of what follows: a transferred
    network that fine-tuning makes worse is no fine-tuned one. Evaluations without a
    better value count only once the whole network is trained, and for a plateau once
    the rate has come to its base.

    Args:
      progress: changed in place.
      config: a resolved one.
      values: metrics by name, and the mean `loss`.

    Returns:
      Whether the weights are the best so far.
    """
    _count_for_head(progress, config, values)
    name = selection_metric(config)
    # Higher is better, whatever is chosen by.
    value = -values[name] if name == "loss" else values[name]
    starts_afresh = progress.best_step <= config.head_steps < progress.step
    if value > progress.best_metric or (config.head_steps and starts_afresh):
        progress.best_metric, progress.best_step = value, progress.step
        progress.evaluations_without_gain = 0
        progress.evaluations_on_plateau = 0
        return True
    if progress.step > config.head_steps:
        progress.evaluations_without_gain += 1
    if progress.step > config.head_steps + config.warmup_steps:
        progress.evaluations_on_plateau += 1
    at_plateau = progress.evaluations_on_plateau >= config.plateau_patience
    if config.schedule == "plateau" and at_plateau:
        progress.plateaus += 1
        progress.evaluations_on_plateau = 0
    return False


def _count_for_head(
    progress: Progress, config: RunConfig, values: Mapping[str, float]
) -> None:
    # At step 0 the head has learned nothing yet.
    if not config.head_early_stopping or not 0 < progress.step <= config.head_steps:
        return
    if "accuracy" not in values:
        raise UserError(
            f"--head_early_stopping={config.head_early_stopping} goes by the accuracy, "
            f"which {config.dataset} has none of: set it to 0"
        )
    progress.head_evaluations_without_gain += 1
    if values["accuracy"] > progress.best_head_accuracy:
        progress.best_head_accuracy = values["accuracy"]
        progress.head_evaluations_without_gain = 0


def ends_head(progress: Progress, config: RunConfig) -> bool:
    """Whether the head has learned enough alone; the rest of its steps is skipped."""
    return (
        progress.step < config.head_steps
        and 0 < config.head_early_stopping <= progress.head_evaluations_without_gain
    )


def ends_early(progress: Progress, config: RunConfig) -> bool:
    """Whether early stopping, or a plateau at the least rate, ends the run."""
    if 0 < config.early_stopping <= progress.evaluations_without_gain:
        return True
    if config.schedule != "plateau" or not progress.plateaus:
        return False
    before = config.learning_rate * 0.1 ** (progress.plateaus - 1)
    return before <= config.minimum_learning_rate * (1 + _ROUNDING)
