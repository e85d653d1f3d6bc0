"""The effects that Transfusion's claims are about, as contrasts of runs."""

import math
from collections.abc import Sequence

from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    DonorSkill,
    Mean,
    PairAverage,
    RestrictedSteps,
    Scaled,
    Slope,
    StartEndRSquared,
    above_chance,
    on_test,
    speed_over,
)
from transfusion_tf.training import RunConfig
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale
from transfusion_tf_experiments.papers.transfusion_scales import CHEST, RETINA

SMALL = ("cbr_small", "cbr_tiny")
LOWEST, TOP_TWO = (0,), (-2, -1)
SPEED = "doublings of speed"


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

    def speed(
        self,
        model: str,
        start: str,
        task: tuple[str, ...] = RETINA,
        of_class: str = "",
    ) -> Contrast:
        """Steps from random weights over those from a start, in doublings of speed.

        Batch norm's treatments are repeated more often than the rest (figure 17);
        what is compared with them here are the seeds that all have.
        """
        baseline, runs = (self._racing(task, model, each) for each in ("random", start))
        race = self._threshold(task, model, start)
        return speed_over(runs, baseline, of_class, **race)

    def steps(self, model: str, start: str) -> Contrast:
        """Mean steps to the threshold of figures 7 and 8 on RETINA."""
        baseline, runs = (
            self._racing(RETINA, model, each) for each in ("random", start)
        )
        race = self._threshold(RETINA, model, start)
        return RestrictedSteps(runs, baseline, **race)

    def _racing(
        self, task: tuple[str, ...], model: str, start: str
    ) -> tuple[RunConfig, ...]:
        """Runs whose curves are compared: all that figures 7 and 8 have of them."""
        often = self._is_raced(task, model, start)
        seeds = self._scale.more_seeds.get("race") if often else None
        return self._scale.runs(task, (model,), (start,), seeds=seeds)

    def _threshold(self, task: tuple[str, ...], model: str, start: str) -> dict:
        """What counts as having learnt in figures 7 and 8; others do not say."""
        raced = self._is_raced(task, model, start)
        return dict(self._scale.options["convergence"]) if raced else {}

    def _is_raced(self, task: tuple[str, ...], model: str, start: str) -> bool:
        """Whether figures 7, 8, 19 and 20 have those runs."""
        models = self._scale.models_of(("large", "second"))
        raced = task == RETINA and model.partition("[")[0] in models
        return (
            raced and "mean_var" not in start and start not in ("sampled", "shuffled")
        )

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


def published_speed(model: str, start: str) -> float:
    """Doublings of speed over random weights, by the steps printed in figure 8."""
    random, ours = (
        published_mean("transfusion_figure8", model=model, initialization=each)
        for each in ("random", start)
    )
    return math.log2(random / ours)


def mean(contrasts: Sequence[Contrast]) -> Contrast:
    """The mean of several effects."""
    return Mean(tuple(contrasts))
