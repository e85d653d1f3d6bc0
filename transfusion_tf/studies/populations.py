"""Which runs an analysis compares with one another, all pairs of each group."""

from collections.abc import Callable, Hashable, Sequence

from transfusion_tf.initialization import parse_spec
from transfusion_tf.training import RunConfig, RunDirectory


def grouped(analysis: str, runs: Sequence[RunDirectory]) -> list[list[RunDirectory]]:
    """The groups of an analysis, each in the order of the run ids.

    Args:
      analysis: `population_...`: runs of one model on one data set. `fold_...`: those
        of one seed and fold besides, which differ in their start. `random_...`: those
        of one model on one data set that start from random weights, whatever their
        fold: before training they share nothing but the architecture.
      runs: the chapter's.
    """
    together = _TOGETHER[analysis.partition("_")[0]]
    groups: dict[Hashable, list[RunDirectory]] = {}
    for run in sorted(runs, key=lambda run: run.path.name):
        config = run.config()
        if analysis.startswith("random") and not _is_random(config):
            continue
        groups.setdefault(together(config), []).append(run)
    return list(groups.values())


def _is_random(config: RunConfig) -> bool:
    return parse_spec(config.initialization).scheme == "random"


_TOGETHER: dict[str, Callable[[RunConfig], Hashable]] = {
    "population": lambda config: (config.model, config.data),
    "random": lambda config: (config.model, config.data),
    # Donors may scale their input otherwise, which the model's name says.
    "fold": lambda config: (
        *(config.model.partition("[")[0], config.data),
        *(config.seed, config.fold, config.head_steps),
    ),
}
