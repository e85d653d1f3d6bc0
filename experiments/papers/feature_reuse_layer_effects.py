"""The effects of feature reuse's claims that look into the layers of trained models."""

from collections.abc import Sequence
from typing import Any

from transfusion_tf.studies.contrasts import (
    Average,
    Constant,
    Contrast,
    Highest,
    PairAverage,
    Ratio,
    Skill,
    Unavailable,
)
from transfusion_tf_experiments.papers import feature_reuse_models as trained
from transfusion_tf_experiments.papers.feature_reuse_effects import (
    ONE_DATA_SET,
    Effects,
    mean,
)
from transfusion_tf_experiments.papers.feature_reuse_models import WEIGHTS

# Parts "to encounter the data, or a scale change" (section 3, "Which transferred
# weights change?"): the first, and "the first block at each scale in RESNET50".
_FIRST, SCALE_CHANGES = (0,), {"resnet50": (1, 4, 8, 14)}
_DEPTHS = tuple(eighths / 8 for eighths in range(9))


class LayerEffects(Effects):
    """`Effects`, and those that are measured on layers."""

    def keeps_early_layers(self, model: str) -> Contrast:
        """CKA of layers before and after training, first half minus second."""
        runs = self.runs(self.groups["sweep"][0], model, WEIGHTS)
        first, second = (
            Average("layer_cka", runs, stages=half, same_stage=True)
            for half in ("first half", "second half")
        )
        return first - second

    def keeps(self, tasks: Sequence[str], models: Sequence[str]) -> Contrast:
        """CKA of layers before and after training from WT, mean over all of them.

        The share of the network before the transition from reuse to adaptation.
        """
        return mean(
            [
                Average("layer_cka", self.runs(task, model, WEIGHTS), same_stage=True)
                for task in tasks
                for model in models
            ]
        )

    def keeps_less_of_more(self) -> Contrast:
        """What is kept where data are few, minus where they are many."""
        few, many = self.groups["few"], self.groups["many"]
        if self.are_one(few + many):
            return ONE_DATA_SET
        return self.keeps(few, self.models) - self.keeps(many, self.models)

    def alike_after(self, model: str) -> Contrast:
        """CKA between runs from ST and from WT layer by layer, less the untrained's."""
        return self._statistics_and_weights(model, "trained", same_stage=True) - (
            self._statistics_and_weights(model, "initial", same_stage=True)
        )

    def early_are_of_first_half(self, model: str) -> Contrast:
        """CKA of ST's early layers with WT's first half, minus with its second.

        Less the same of the untrained models.
        """
        after, before = (
            self._statistics_and_weights(
                model, weights, stages="first quarter", other_stages="first half"
            )
            - self._statistics_and_weights(
                model, weights, stages="first quarter", other_stages="second half"
            )
            for weights in ("trained", "initial")
        )
        return after - before

    def _statistics_and_weights(
        self, model: str, weights: str, **where: Any
    ) -> Contrast:
        statistics, transferred = (
            self.runs(self.groups["sweep"][0], model, start)
            for start in (self.scale.statistics, WEIGHTS)
        )
        return PairAverage(
            "layer_cka",
            statistics,
            transferred,
            match="same",
            weights=weights,
            **where,
        )

    def stays_closer(self) -> Contrast:
        """1 minus the distance travelled from WT over that from ST, mean."""
        ratios = []
        for task in self.groups["sweep"]:
            for model in self.models:
                weights, statistics = (
                    Average("travel_distance", self.runs(task, model, start))
                    for start in (WEIGHTS, self.scale.statistics)
                )
                ratios.append(Ratio(weights, statistics))
        return Constant(1.0) - mean(ratios)

    def moves_anyway(self) -> Contrast:
        """Travel from WT over that from ST: where scales change, minus everywhere."""
        found = []
        for task in self.groups["sweep"]:
            for model in self.models:
                weights, statistics = (
                    self.runs(task, model, start)
                    for start in (WEIGHTS, self.scale.statistics)
                )
                changes = SCALE_CHANGES.get(model, _FIRST)
                there, everywhere = (
                    Ratio(
                        Average("travel_distance", weights, stages=places),
                        Average("travel_distance", statistics, stages=places),
                    )
                    for places in (changes, None)
                )
                found.append(there - everywhere)
        return mean(found)

    def fewer_critical(self) -> Contrast:
        """Mean drop of layers set back over the skill that can drop, ST minus WT."""
        task = self.groups["sweep"][0]
        drops = []
        for model in self.models:
            statistics, weights = (
                Ratio(Average("robustness_drop", runs), Skill(runs))
                for runs in (
                    self.runs(task, model, self.scale.statistics),
                    self.runs(task, model, WEIGHTS),
                )
            )
            drops.append(statistics - weights)
        return mean(drops)

    def saturates_at_half(self, models: Sequence[str]) -> Contrast:
        """Best k-NN score at any depth with half of a model transferred, minus all."""
        found = []
        for task in self.groups["sweep"]:
            for model in models:
                starts = trained.sweep(self.scale, model)
                shares = trained.fractions(self.scale, model)
                half = min(shares[1:-1] or (0.5,), key=lambda share: abs(share - 0.5))
                if half not in shares:
                    return Unavailable(
                        "there are no levels between statistics and weights"
                    )
                start = starts[shares.index(half)]
                found.append(
                    self._best_knn(task, model, start)
                    - self._best_knn(task, model, WEIGHTS)
                )
        return mean(found)

    def _best_knn(self, task: str, model: str, start: str) -> Contrast:
        runs = self.runs(task, model, start)
        return Highest(
            tuple(
                Average("knn_score", runs, stages=depth, reduce="max")
                for depth in _DEPTHS
            )
        )

    def knn_gap(self, model: str, depth: float, other: float) -> Contrast:
        """k-NN score at one depth minus that at another, from WT.

        Of a transformer's tokens, those that do best there.
        """
        runs = self.runs(self.groups["sweep"][0], model, WEIGHTS)
        left, right = (
            Average("knn_score", runs, stages=place, reduce="max")
            for place in (depth, other)
        )
        return left - right

    def looks(self, start: str) -> Contrast:
        """Pixels that the nearest-looking head of the first block looks at."""
        runs = self.runs(self.groups["sweep"][0], trained.deit(self.scale), start)
        return Average("attended_distance", runs, stages=(0,), reduce="min")
