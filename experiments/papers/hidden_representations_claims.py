"""What the hidden-representations paper claims (Juodelyte et al., 2023), and what would
show it here.

Each claim is an effect measured on runs of the study `hidden_representations/all`, and
a rule for its interval that was fixed before any run was made. Where nothing else is
said, models were fine-tuned as a whole from the first step on.
"""

from collections.abc import Callable

from transfusion_tf.studies.claims import Claim
from transfusion_tf.studies.contrasts import (
    Average,
    Constant,
    Contrast,
    Mean,
    PairAverage,
    Ratio,
    Scaled,
    Slope,
    Unavailable,
    on_test,
)
from transfusion_tf.training import RunConfig
from transfusion_tf_experiments.papers.hidden_representations import runs_of_cell
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale, stages_of

_ONE_DONOR = Unavailable("this study has one donor alone")
# Figure 3: "the early layers of ImageNet and RadImageNet".
_EARLY = (0, 1)
# Of CCA: what a slope is printed for.
_STEP = 0.1


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the donors and targets of the scale."""
    effects = _Effects(scale)
    natural, medical = (
        published_mean("hidden_representations_table2", initialization=donor)
        for donor in ("imagenet", "radimagenet_caffe")
    )
    return (
        Claim(
            "A natural donor does at least as well as a medical one.",
            "table 2, section 5.1",
            f"test AUC from {scale.donors[0]} minus {scale.donors[-1]}, mean over "
            "targets",
            "AUC",
            "at_least",
            effects.over_targets(_test_difference),
            published=natural - medical,
        ),
        Claim(
            "Two donors are less alike after fine-tuning than before.",
            "figure 3, section 5.2",
            "CCA of the two donors before fine-tuning minus after it, mean over stages "
            "and targets",
            "CCA",
            "above",
            effects.over_targets(_grown_apart),
        ),
        Claim(
            "The early layers of two donors are no more alike than random ones.",
            "figure 3, section 5.2",
            "CCA of two random starts minus that of the two donors, untrained, lowest "
            "two stages, mean over targets",
            "CCA",
            "at_least",
            effects.early_layers(),
        ),
        Claim(
            "Models from two donors err alike more than by chance.",
            "figure 5, section 5.3",
            "prediction similarity minus that of independent mistakes, mean over "
            "targets",
            "share of the images",
            "above",
            effects.over_targets(_similarity_excess),
        ),
        Claim(
            "The more a model keeps of its donor, the less it gains.",
            "figure 6, section 5.4",
            f"relative AUC gain lost per {_STEP:g} of CCA before and after fine-tuning "
            "(both ways of it), mean over stages and donors",
            "relative AUC",
            "above",
            effects.gain_lost(),
        ),
    )


Runs = tuple[RunConfig, ...]


class _Effects:
    """The contrasts that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale

    def over_targets(self, contrast: Callable[[Runs, Runs], Contrast]) -> Contrast:
        """A contrast of the two donors' runs, mean over targets."""
        if len(self._scale.donors) < 2:
            return _ONE_DONOR
        pairs = (self._donors(target) for target in self._scale.tasks)
        return Mean(tuple(contrast(*pair) for pair in pairs))

    def early_layers(self) -> Contrast:
        """Random starts minus donors at the lowest stages, mean over targets."""
        if len(self._scale.donors) < 2:
            return _ONE_DONOR
        found = []
        for target in self._scale.tasks:
            random = runs_of_cell(self._scale, target, None)
            among_random = PairAverage("cca", random, weights="initial", stages=_EARLY)
            found.append(
                among_random - _similarity(*self._donors(target), "initial", _EARLY)
            )
        return Mean(tuple(found))

    def gain_lost(self) -> Contrast:
        """Minus the slope of gain over similarity, mean over stages and donors.

        A point is a fold of a target: its gain over random weights, relative to theirs,
        and its CCA before and after fine-tuning.
        """
        scale = self._scale
        slopes = []
        for donor in scale.donors:
            for stage in range(len(stages_of(scale.models["all"][0]))):
                points = []
                for target in scale.tasks:
                    random = runs_of_cell(scale, target, None)
                    for head_first in (False, True):
                        runs = runs_of_cell(scale, target, donor, head_first=head_first)
                        kept = Average("cca", runs, stages=(stage,))
                        gain = Ratio(on_test(runs), on_test(random)) - Constant(1.0)
                        points.append((kept, gain))
                slopes.append(Slope(tuple(points)))
        return Scaled(Mean(tuple(slopes)), -_STEP)

    def _donors(self, target: str) -> tuple[Runs, Runs]:
        """The runs of the natural and of the medical donor on one target."""
        natural, medical = self._scale.donors[:2]
        return runs_of_cell(self._scale, target, natural), runs_of_cell(
            self._scale, target, medical
        )


def _test_difference(left: Runs, right: Runs) -> Contrast:
    return on_test(left) - on_test(right)


def _grown_apart(left: Runs, right: Runs) -> Contrast:
    """CCA of two donors before fine-tuning minus after it, mean over all stages."""
    return _similarity(left, right, "initial") - _similarity(left, right, "trained")


def _similarity_excess(left: Runs, right: Runs) -> Contrast:
    """Prediction similarity minus that of independent mistakes."""
    return PairAverage(
        "prediction_similarity_excess", left, right, match="same", weights="best"
    )


def _similarity(
    left: Runs, right: Runs, weights: str, stages: tuple[int, ...] | None = None
) -> Contrast:
    return PairAverage("cca", left, right, match="same", weights=weights, stages=stages)
