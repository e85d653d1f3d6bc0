"""The effects that Transfusion's claims are about, as contrasts of runs."""

from collections.abc import Sequence

from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    DonorSkill,
    Mean,
    PairAverage,
    Scaled,
    Slope,
    StartEndRSquared,
    WhileLearning,
    above_chance,
    on_test,
)
from transfusion_tf.training import RunConfig
from transfusion_tf_experiments.papers.scale import Scale
from transfusion_tf_experiments.papers.transfusion_scales import CHEST, RETINA

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

    def class_gain(self, models: Sequence[str], name: str) -> Contrast:
        """Test AUC of a finding on chest radiographs, transfer minus random."""

        def auc(model: str, start: str) -> Contrast:
            runs = self._scale.runs(CHEST, (model,), (start,))
            return Average("auc", runs, split="test", of_class=name)

        return mean([auc(m, "transfer") - auc(m, "random") for m in models])

    def minus(self, contrast: Contrast) -> Contrast:
        """The effect the other way round."""
        return Scaled(contrast, -1.0)

    def slope_over_donors(self, models: Sequence[str]) -> Contrast:
        """Test metric for each 0.1 by which donors are better at their own task."""
        groups = [self._scale.runs(RETINA, (m,), ("transfer",)) for m in models]
        points = tuple((DonorSkill(runs), on_test(runs)) for runs in groups)
        return Scaled(Slope(points), 0.1)

    def erased_gabors(self, task: tuple[str, ...], model: str, start: str) -> Contrast:
        """Share of a filter that is a Gabor, before training minus after."""
        random, transfer = self._population(model)
        runs = {"random": random, "transfer": transfer}[start]
        if task != RETINA:
            runs = self._scale.runs(task, (model,), (start,))
        return Average("gabor_share_before", runs) - Average("gabor_share_after", runs)

    def start_tells_end(self, model: str, stages: tuple[int, ...]) -> Contrast:
        """R² of CCA after training on CCA at initialization, mean over both pairs."""
        random, transfer = self._population(model)
        return mean(
            [
                StartEndRSquared("cca", random, stages=stages),
                StartEndRSquared("cca", random, transfer, stages=stages),
            ]
        )

    def pretrained_stay(self, model: str, stages: tuple[int, ...]) -> Contrast:
        """CCA before and after training, transferred minus random weights."""
        random, transfer = self._population(model)
        return Average("cca", transfer, stages=stages) - Average(
            "cca", random, stages=stages
        )

    def ahead(
        self,
        model: str,
        start: str,
        task: tuple[str, ...] = RETINA,
        of_class: str = "",
    ) -> Contrast:
        """The metric while random weights learn, minus that of random weights.

        Batch norm's treatments are repeated more often than the rest (figure 17);
        what is compared with them here are the seeds that all have.
        """
        baseline = self._racing(task, model, "random")
        runs = self._racing(task, model, start)
        return WhileLearning(runs, baseline, of_class) - WhileLearning(
            baseline, baseline, of_class
        )

    def _racing(
        self, task: tuple[str, ...], model: str, start: str
    ) -> tuple[RunConfig, ...]:
        """Runs whose curves are compared: all that figures 7 and 8 have of them."""
        models = self._scale.models_of(("large", "second"))
        whole = model.partition("[")[0]
        often = task == RETINA and whole in models and "mean_var" not in start
        often = often and start not in ("sampled", "shuffled")
        seeds = self._scale.more_seeds.get("race") if often else None
        return self._scale.runs(task, (model,), (start,), seeds=seeds)

    def starts_apart(self, model: str) -> Contrast:
        """CCA of random with random minus random with transferred, top two stages."""
        random, transfer = self._population(model)
        return PairAverage("cca", random, stages=TOP_TWO) - PairAverage(
            "cca", random, transfer, stages=TOP_TWO
        )

    def kept_alike(self, model: str, stages: tuple[int, ...] = LOWEST) -> Contrast:
        """CCA of transferred pairs minus random pairs, lowest stage by default."""
        random, transfer = self._population(model)
        return PairAverage("cca", transfer, stages=stages) - PairAverage(
            "cca", random, stages=stages
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

    def frozen(
        self, task: str, left: str, right: str, models: Sequence[str] = ()
    ) -> Contrast:
        """Test metric with frozen stages, left minus right, over models and stages.

        A start of `transfer:stage` is the donor up to the last frozen stage. Models are
        all of the task's where none are named.
        """

        def test(model: str, stage: str, start: str) -> Contrast:
            start = start.replace(":stage", f":{stage}")
            return self.test((task,), model, start, freeze=stage)

        return mean(
            [
                test(model, stage, left) - test(model, stage, right)
                for model in models or self._scale.models[f"frozen/{task}"]
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
