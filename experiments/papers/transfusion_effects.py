"""The effects that Transfusion's claims are about, as contrasts of runs."""

from collections.abc import Sequence

from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    Mean,
    PairAverage,
    WhileLearning,
    above_chance,
    on_test,
)
from transfusion_tf.training import RunConfig
from transfusion_tf_experiments.papers.scale import Scale
from transfusion_tf_experiments.papers.transfusion_scales import RETINA

SMALL = ("cbr_small", "cbr_tiny")
LOWEST, TOP_TWO = (0,), (-2, -1)


class Effects:
    """The contrasts that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale

    def test(
        self, task: tuple[str, ...], model: str, start: str, **changes: object
    ) -> Contrast:
        """Test metric of one group of runs."""
        return on_test(self._scale.runs(task, (model,), (start,), **changes))

    def gain(self, task: tuple[str, ...], model: str, **changes: object) -> Contrast:
        """Test metric, transfer minus random."""
        return self.test(task, model, "transfer", **changes) - self.test(
            task, model, "random", **changes
        )

    def size_effect(self, large: str) -> Contrast:
        """Test metric, small models minus a large one, over both starts."""
        return mean(
            [
                self.test(RETINA, small, start) - self.test(RETINA, large, start)
                for small in SMALL
                for start in ("random", "transfer")
            ]
        )

    def ahead(self, model: str, start: str, task: tuple[str, ...] = RETINA) -> Contrast:
        """The metric while random weights learn, minus that of random weights.

        Batch norm's treatments are repeated more often than the rest (figure 17);
        what is compared with them here are the seeds that all have.
        """
        baseline = self._racing(task, model, "random")
        runs = self._racing(task, model, start)
        return WhileLearning(runs, baseline) - WhileLearning(baseline, baseline)

    def _racing(
        self, task: tuple[str, ...], model: str, start: str
    ) -> tuple[RunConfig, ...]:
        """Runs whose curves are compared: all that figures 7 and 8 have of them."""
        models = self._scale.models_of(("large", "second"))
        often = task == RETINA and model in models and "mean_var" not in start
        often = often and start not in ("sampled", "shuffled")
        seeds = self._scale.more_seeds.get("race") if often else None
        return self._scale.runs(task, (model,), (start,), seeds=seeds)

    def starts_apart(self, model: str) -> Contrast:
        """CCA of random with random minus random with transferred, top two stages."""
        random, transfer = self._population(model)
        return PairAverage("cca", random, stages=TOP_TWO) - PairAverage(
            "cca", random, transfer, stages=TOP_TWO
        )

    def kept_alike(self, model: str) -> Contrast:
        """CCA of transferred pairs minus random pairs, lowest stage."""
        random, transfer = self._population(model)
        return PairAverage("cca", transfer, stages=LOWEST) - PairAverage(
            "cca", random, stages=LOWEST
        )

    def moves_less(self, model: str, stages: tuple[int, ...]) -> Contrast:
        """CCA before and after, random start, the model minus the small ones.

        Above chance, for they differ in their numbers of channels.
        """
        ours, *small = (
            above_chance(Average("cca", self._population(name)[0], stages=stages))
            for name in (model, *SMALL)
        )
        return ours - mean(small)

    def frozen(self, task: str, left: str, right: str) -> Contrast:
        """Test metric with frozen stages, left minus right, over models and stages.

        A start of `transfer:stage` is the donor up to the last frozen stage.
        """

        def test(model: str, stage: str, start: str) -> Contrast:
            start = start.replace(":stage", f":{stage}")
            return self.test((task,), model, start, freeze=stage)

        return mean(
            [
                test(model, stage, left) - test(model, stage, right)
                for model in self._scale.models[f"frozen/{task}"]
                for stage in self._scale.levels_of(model)
            ]
        )

    def _population(
        self, model: str
    ) -> tuple[tuple[RunConfig, ...], tuple[RunConfig, ...]]:
        """Runs from random and from transferred weights, for pairs of them."""
        seeds = self._scale.more_seeds.get("similarity")
        random, transfer = (
            self._scale.runs(RETINA, (model,), (start,), seeds=seeds)
            for start in ("random", "transfer")
        )
        return random, transfer


def mean(contrasts: Sequence[Contrast]) -> Contrast:
    """The mean of several effects."""
    return Mean(tuple(contrasts))
