"""The contrasts that the hidden-representations paper's claims are made of."""

from collections.abc import Callable

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
from transfusion_tf_experiments.papers.hidden_representations import (
    figure4,
    runs_of_cell,
)
from transfusion_tf_experiments.papers.scale import Scale, stages_of

Runs = tuple[RunConfig, ...]

# Of similarity: what a slope is printed for.
STEP = 0.1

_ONE_DONOR = Unavailable("this study has one donor alone")
# Section 5.1: "the ISIC and pcam-small datasets", which are not grey; of the drawn
# targets, fundus photographs and skin lesions.
_IN_COLOUR = ("isic", "pcam-small", "retina", "skin")
# Figure 3: "the early layers of ImageNet and RadImageNet".
_EARLY = (0, 1)


class Effects:
    """Contrasts of the donors on the targets of one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale
        self.similarity = scale.similarity
        self.stages = len(stages_of(scale.models["all"][0]))

    def over_targets(
        self,
        contrast: Callable[..., Contrast],
        *,
        with_random: bool = False,
        head_first: bool = False,
        targets: tuple[str, ...] = (),
    ) -> Contrast:
        """A contrast of the two donors' runs, mean over targets.

        Args:
          contrast: of the runs from the natural and from the medical donor.
          with_random: whether it takes those from random weights too.
          head_first: whether the head was trained first.
          targets: all where empty.
        """
        if len(self._scale.donors) < 2:
            return _ONE_DONOR
        found = []
        for target in targets or self._scale.tasks:
            runs = [
                runs_of_cell(self._scale, target, donor, head_first=head_first)
                for donor in self._scale.donors[:2]
            ]
            if with_random:
                runs.append(runs_of_cell(self._scale, target, None))
            found.append(contrast(*runs))
        return Mean(tuple(found))

    def colour_minus_grey(self, contrast: Callable[..., Contrast]) -> Contrast:
        """A contrast over targets in colour minus that over grey ones."""
        colour = tuple(name for name in self._scale.tasks if name in _IN_COLOUR)
        grey = tuple(name for name in self._scale.tasks if name not in colour)
        if not colour or not grey:
            return Unavailable("this study has no targets both in colour and in grey")
        sides = [self.over_targets(contrast, targets=side) for side in (colour, grey)]
        return sides[0] - sides[1]

    def early_layers(self) -> Contrast:
        """Random starts minus donors at the lowest stages, mean over targets."""

        def difference(natural: Runs, medical: Runs, random: Runs) -> Contrast:
            among_random = PairAverage("cca", random, weights="initial", stages=_EARLY)
            return among_random - _similarity(natural, medical, "initial", _EARLY)

        return self.over_targets(difference, with_random=True)

    def gabor_difference(self) -> Contrast:
        """Of the weights that figure 4 shows, one run of each donor."""
        if len(self._scale.donors) < 2:
            return _ONE_DONOR
        natural, medical = (
            Average("gabor_share_before", (run,))
            for run in figure4(self._scale).runs[:2]
        )
        return natural - medical

    def gain_lost(self, *, within: bool = False) -> Contrast:
        """Minus the slope of gain over similarity, mean over stages and donors.

        A point is a fold of a target: its gain over random weights, relative to theirs,
        and its CCA before and after fine-tuning.

        Args:
          within: whether each target has a height of its own.
        """
        scale = self._scale
        slopes = []
        for donor in scale.donors:
            for stage in range(self.stages):
                points = []
                for target in scale.tasks:
                    random = runs_of_cell(scale, target, None)
                    runs = runs_of_cell(scale, target, donor)
                    kept = Average("cca", runs, stages=(stage,))
                    gain = Ratio(on_test(runs), on_test(random)) - Constant(1.0)
                    points.append((kept, gain))
                slopes.append(Slope(tuple(points), within=within))
        return Scaled(Mean(tuple(slopes)), -STEP)


def score_difference(natural: Runs, medical: Runs) -> Contrast:
    """Test score from one donor minus the other."""
    return on_test(natural) - on_test(medical)


def gain_of_donors(natural: Runs, medical: Runs, random: Runs) -> Contrast:
    """Test score from a donor, mean over both, minus random weights."""
    return Mean((on_test(natural), on_test(medical))) - on_test(random)


def kept_difference(natural: Runs, medical: Runs) -> Contrast:
    """How alike a model is before and after fine-tuning, one donor minus the other."""
    return Average("cca", natural) - Average("cca", medical)


def early_kept(stages: int) -> Callable[[Runs, Runs], Contrast]:
    """The same of the lowest two stages minus the others, mean over both donors."""
    later = tuple(range(len(_EARLY), stages))

    def difference(natural: Runs, medical: Runs) -> Contrast:
        early, late = (
            Mean(
                tuple(Average("cca", runs, stages=side) for runs in (natural, medical))
            )
            for side in (_EARLY, later)
        )
        return early - late

    return difference


def grown_apart(natural: Runs, medical: Runs) -> Contrast:
    """CCA of two donors before fine-tuning minus after it, mean over all stages."""
    return _similarity(natural, medical, "initial") - _similarity(
        natural, medical, "trained"
    )


def apart_when_trained(natural: Runs, medical: Runs, random: Runs) -> Contrast:
    """CCA of two random starts minus that of two donors, fine-tuned."""
    among_random = PairAverage("cca", random, weights="initial")
    return among_random - _similarity(natural, medical, "trained")


def similarity_excess(natural: Runs, medical: Runs) -> Contrast:
    """Prediction similarity minus that of independent mistakes."""
    return PairAverage(
        "prediction_similarity_excess", natural, medical, match="same", weights="best"
    )


def _similarity(
    natural: Runs, medical: Runs, weights: str, stages: tuple[int, ...] | None = None
) -> Contrast:
    return PairAverage(
        "cca", natural, medical, match="same", weights=weights, stages=stages
    )
