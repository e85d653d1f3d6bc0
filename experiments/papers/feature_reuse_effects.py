"""The effects that the feature-reuse paper's claims are about, as contrasts of runs.

Gains are WT / RI, feature reuse is (WT - ST) / WT, as in the paper's figure 1.
"""

from collections.abc import Sequence

from transfusion_tf.studies.contrasts import (
    Average,
    ByDistance,
    Constant,
    Contrast,
    Mean,
    PairAverage,
    RankCorrelation,
    Ratio,
    Scaled,
    Unavailable,
    WhileLearning,
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

_ONE_DATA_SET = Unavailable("one data set stands for several of the paper's")


class Effects:
    """The contrasts that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale
        self._groups = scale.task_groups
        self._models = scale.models_of(TABLE1)

    def runs(self, task: str, model: str, start: str) -> tuple[RunConfig, ...]:
        """The repetitions of one model and start."""
        return self._scale.runs((task,), (model,), (start,))

    def test(self, task: str, model: str, start: str) -> Contrast:
        """Test metric of one model and start."""
        return on_test(self.runs(task, model, start))

    def gain(self, task: str, model: str) -> Contrast:
        """WT / RI of the test metric."""
        return Ratio(self.test(task, model, WEIGHTS), self.test(task, model, RANDOM))

    def share(self, task: str, model: str) -> Contrast:
        """(WT - ST) / WT of the test metric."""
        weights = self.test(task, model, WEIGHTS)
        return Ratio(weights - self.test(task, model, self._scale.statistics), weights)

    def excess(self, tasks: Sequence[str], models: Sequence[str]) -> Contrast:
        """WT / RI minus 1, mean over tasks and models."""
        gains = [self.gain(task, model) for task in tasks for model in models]
        return _mean(gains) - Constant(1.0)

    def with_less_data(self) -> Contrast:
        """Gain where data are few, minus gain where they are many."""
        few, many = self._groups["few"], self._groups["many"]
        if self._are_one(few + many):
            return _ONE_DATA_SET
        return self.excess(few, self._models) - self.excess(many, self._models)

    def with_nearness(self) -> Contrast:
        """Gain in the nearest data set minus that in the farthest."""
        tasks = self._groups["alike"]
        if self._are_one(tasks):
            return _ONE_DATA_SET
        options = tuple(self.excess((task,), self._models) for task in tasks)
        return ByDistance(options) - ByDistance(options, farthest=True)

    def gains_go_with_reuse(self) -> Contrast:
        """Rank correlation of gain and reuse over data sets and models of table 1."""
        return RankCorrelation(
            tuple(
                (self.gain(task, model), self.share(task, model))
                for task in self._groups["main"]
                for model in self._models
            )
        )

    def weights_over_statistics(self, task: str) -> Contrast:
        """What weights add to statistics, minus what statistics add to nothing."""
        found = []
        for model in self._models:
            random, statistics, weights = (
                self.test(task, model, start) for start in trained.starts(self._scale)
            )
            found.append((weights - statistics) - (statistics - random))
        return _mean(found)

    def early(self, models: Sequence[str]) -> Contrast:
        """How far sweeps lie above the line between their ends, mean over levels."""
        found = []
        for task in self._groups["sweep"]:
            for model in models:
                starts = trained.sweep(self._scale, model)
                low, *levels, high = (self.test(task, model, start) for start in starts)
                _, *shares, _ = trained.fractions(self._scale, model)
                if not levels:
                    return Unavailable(
                        "there are no levels between statistics and weights"
                    )
                found += [
                    (level - Scaled(low, 1 - share)) - Scaled(high, share)
                    for level, share in zip(levels, shares, strict=True)
                ]
        return _mean(found)

    def keeps_early_layers(self, model: str) -> Contrast:
        """CKA of layers before and after training, first half minus second."""
        runs = self.runs(self._groups["sweep"][0], model, WEIGHTS)
        first, second = (
            Average("layer_cka", runs, stages=half, same_stage=True)
            for half in ("first half", "second half")
        )
        return first - second

    def alike_after(self, model: str) -> Contrast:
        """CKA between runs from ST and from WT, layer by layer."""
        statistics, weights = (
            self.runs(self._groups["sweep"][0], model, start)
            for start in (self._scale.statistics, WEIGHTS)
        )
        return PairAverage(
            "layer_cka", statistics, weights, match="same", same_stage=True
        )

    def stays_closer(self) -> Contrast:
        """1 minus the distance travelled from WT over that from ST, mean."""
        ratios = []
        for task in self._groups["sweep"]:
            for model in self._models:
                weights, statistics = (
                    Average("travel_distance", self.runs(task, model, start))
                    for start in (WEIGHTS, self._scale.statistics)
                )
                ratios.append(Ratio(weights, statistics))
        return Constant(1.0) - _mean(ratios)

    def fewer_critical(self) -> Contrast:
        """Mean drop of layers set back, ST minus WT, mean over models."""
        task = self._groups["sweep"][0]
        drops = []
        for model in self._models:
            statistics, weights = (
                Average("robustness_drop", self.runs(task, model, start))
                for start in (self._scale.statistics, WEIGHTS)
            )
            drops.append(statistics - weights)
        return _mean(drops)

    def knn_gap(self, model: str, depth: float, other: float) -> Contrast:
        """k-NN score at one depth minus that at another, from WT.

        Of a transformer's tokens, those that do best there.
        """
        runs = self.runs(self._groups["sweep"][0], model, WEIGHTS)
        left, right = (
            Average("knn_score", runs, stages=place, reduce="max")
            for place in (depth, other)
        )
        return left - right

    def with_capacity(self) -> Contrast:
        """Gain of a family's largest model minus that of its smallest, mean."""
        tasks = self._groups["sweep"]
        return _mean(
            [
                self.excess(tasks, family[-1:]) - self.excess(tasks, family[:1])
                for family in trained.families(self._scale)
            ]
        )

    def speeds_up(self) -> Contrast:
        """Rank correlation of share transferred and speed, mean over models."""
        scale, found = self._scale, []
        for model in self._models:
            random, *starts = (
                scale.runs(self._groups["convergence"], (model,), (start,))
                for start in (RANDOM, *trained.sweep(scale, model))
            )
            shares = trained.fractions(scale, model)
            found.append(
                RankCorrelation(
                    tuple(
                        (Constant(share), WhileLearning(runs, random))
                        for share, runs in zip(shares, starts, strict=True)
                    )
                )
            )
        return _mean(found)

    def looks(self, start: str) -> Contrast:
        """Pixels that the nearest-looking head of the first block looks at."""
        runs = self.runs(self._groups["sweep"][0], trained.deit(self._scale), start)
        return Average("attended_distance", runs, stages=(0,), reduce="min")

    def truncated(self, model: str) -> Contrast:
        """Test metric of a cut model minus that of the whole, mean over tasks."""
        whole = trained.deit(self._scale)
        return _mean(
            [
                self.test(task, model, WEIGHTS) - self.test(task, whole, WEIGHTS)
                for task in self._groups["sweep"]
            ]
        )

    def _are_one(self, tasks: Sequence[str]) -> bool:
        """Whether a user's own data stand for several of the paper's sets."""
        chosen = [self._scale.tasks[task].base for task in tasks]
        return len(set(chosen)) < len(chosen)


def _mean(contrasts: Sequence[Contrast]) -> Contrast:
    return Mean(tuple(contrasts))
