"""The effects that the feature-reuse paper's claims are about, as contrasts of runs.

Gains are WT / RI, feature reuse is (WT - ST) / WT, as in the paper's figure 1. These
ratios weigh a metric whose chance is 0.5 half as much as one whose chance is 0, so that
kappa and recall on its small data sets gain more than AUC on its large ones by that
alone: gains are measured in skill beside them, the way from chance to perfect.
"""

from collections.abc import Callable, Sequence

from transfusion_tf.studies.contrasts import (
    ByDistance,
    Constant,
    Contrast,
    Highest,
    Mean,
    RankCorrelation,
    Ratio,
    RestrictedSteps,
    Scaled,
    Skill,
    Unavailable,
    on_test,
)
from transfusion_tf.training import RunConfig
from transfusion_tf_experiments.papers import feature_reuse_models as trained
from transfusion_tf_experiments.papers.feature_reuse_models import (
    RANDOM,
    TABLE1,
    WEIGHTS,
)
from transfusion_tf_experiments.papers.scale import Scale

# A gain over random weights of some tasks and models.
Gain = Callable[[Sequence[str], Sequence[str]], Contrast]

ONE_DATA_SET = Unavailable("one data set stands for several of the paper's")


class Effects:
    """The contrasts that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self.scale = scale
        self.groups = scale.task_groups
        self.models = scale.models_of(TABLE1)

    def runs(self, task: str, model: str, start: str) -> tuple[RunConfig, ...]:
        """The repetitions of one model and start."""
        return self.scale.runs((task,), (model,), (start,))

    def test(self, task: str, model: str, start: str) -> Contrast:
        """Test metric of one model and start."""
        return on_test(self.runs(task, model, start))

    def gain(self, task: str, model: str) -> Contrast:
        """WT / RI of the test metric."""
        return Ratio(self.test(task, model, WEIGHTS), self.test(task, model, RANDOM))

    def share(self, task: str, model: str) -> Contrast:
        """(WT - ST) / WT of the test metric."""
        weights = self.test(task, model, WEIGHTS)
        return Ratio(weights - self.test(task, model, self.scale.statistics), weights)

    def excess(self, tasks: Sequence[str], models: Sequence[str]) -> Contrast:
        """WT / RI minus 1, mean over tasks and models."""
        gains = [self.gain(task, model) for task in tasks for model in models]
        return mean(gains) - Constant(1.0)

    def skill_gained(self, tasks: Sequence[str], models: Sequence[str]) -> Contrast:
        """Skill from WT minus that from RI, mean over tasks and models."""
        return mean(
            [
                Skill(self.runs(task, model, WEIGHTS))
                - Skill(self.runs(task, model, RANDOM))
                for task in tasks
                for model in models
            ]
        )

    def with_less_data(self, gain: Gain) -> Contrast:
        """Gain where data are few, minus gain where they are many."""
        few, many = self.groups["few"], self.groups["many"]
        if self.are_one(few + many):
            return ONE_DATA_SET
        return gain(few, self.models) - gain(many, self.models)

    def with_nearness(self, gain: Gain) -> Contrast:
        """Gain in the nearest data set minus that in the farthest."""
        tasks = self.groups["alike"]
        if self.are_one(tasks):
            return ONE_DATA_SET
        options = tuple(gain((task,), self.models) for task in tasks)
        return ByDistance(options) - ByDistance(options, farthest=True)

    def lies_between(self, gain: Gain) -> Contrast:
        """The smaller of two differences: DeiT minus Swin, Swin minus CNNs."""
        transformers = self.scale.models["transformers"]
        if len(transformers) < 2:
            return Unavailable("no Swin is trained at this scale")
        deit, swin, cnns = (
            gain(self.groups["main"], models)
            for models in (
                transformers[:1],
                transformers[1:],
                self.scale.models["cnns"],
            )
        )
        negated = Highest((swin - deit, cnns - swin))
        return Scaled(negated, -1.0)

    def weights_alone(self, tasks: Sequence[str], models: Sequence[str]) -> Contrast:
        """Test metric from WT minus that from ST, mean over tasks and models."""
        return mean(
            [
                self.test(task, model, WEIGHTS)
                - self.test(task, model, self.scale.statistics)
                for task in tasks
                for model in models
            ]
        )

    def gains_go_with_reuse(self) -> Contrast:
        """Rank correlation of gain and reuse over data sets and models of table 1."""
        return RankCorrelation(
            tuple(
                (self.gain(task, model), self.share(task, model))
                for task in self.groups["main"]
                for model in self.models
            )
        )

    def weights_over_statistics(self, task: str) -> Contrast:
        """What weights add to statistics, minus what statistics add to nothing."""
        found = []
        for model in self.models:
            random, statistics, weights = (
                self.test(task, model, start) for start in trained.starts(self.scale)
            )
            found.append((weights - statistics) - (statistics - random))
        return mean(found)

    def early(self, models: Sequence[str]) -> Contrast:
        """How far sweeps lie above the line between their ends, mean over levels."""
        found = []
        for task in self.groups["sweep"]:
            for model in models:
                starts = trained.sweep(self.scale, model)
                low, *levels, high = (self.test(task, model, start) for start in starts)
                _, *shares, _ = trained.fractions(self.scale, model)
                if not levels:
                    return Unavailable(
                        "there are no levels between statistics and weights"
                    )
                found += [
                    (level - Scaled(low, 1 - share)) - Scaled(high, share)
                    for level, share in zip(levels, shares, strict=True)
                ]
        return mean(found)

    def with_capacity(self) -> Contrast:
        """Gain of a family's largest model minus that of its smallest, mean."""
        tasks = self.groups["sweep"]
        return mean(
            [
                self.excess(tasks, family[-1:]) - self.excess(tasks, family[:1])
                for family in trained.families(self.scale)
            ]
        )

    def speeds_up(self) -> Contrast:
        """Rank correlation of share transferred and speed, mean over models.

        The paper's relative speed-ups of one model all have the same steps above the
        line, so they rank as the fewest steps do.
        """
        scale, found = self.scale, []
        for model in self.models:
            random, *starts = (
                scale.runs(self.groups["convergence"], (model,), (start,))
                for start in (RANDOM, *trained.sweep(scale, model))
            )
            shares = trained.fractions(scale, model)
            found.append(
                RankCorrelation(
                    tuple(
                        (Constant(share), Scaled(RestrictedSteps(runs, random), -1.0))
                        for share, runs in zip(shares, starts, strict=True)
                    )
                )
            )
        return mean(found)

    def truncated(self, model: str) -> Contrast:
        """Test metric of a cut model minus that of the whole, mean over tasks."""
        whole = trained.deit(self.scale)
        return mean(
            [
                self.test(task, model, WEIGHTS) - self.test(task, whole, WEIGHTS)
                for task in self.groups["sweep"]
            ]
        )

    def are_one(self, tasks: Sequence[str]) -> bool:
        """Whether a user's own data stand for several of the paper's sets."""
        chosen = [self.scale.tasks[task].base for task in tasks]
        return len(set(chosen)) < len(chosen)


def mean(contrasts: Sequence[Contrast]) -> Contrast:
    """Of several contrasts."""
    return Mean(tuple(contrasts))
