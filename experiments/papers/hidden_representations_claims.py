"""What the hidden-representations paper claims (Juodelyte et al., 2023), and what would
show it here.

Each claim is an effect measured on runs of the study `hidden_representations/all`, and
a rule for its interval that was fixed before any run was made. Where nothing else is
said, models were fine-tuned as a whole from the first step on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transfusion_tf_experiments.papers.hidden_representations import runs_of_cell

if TYPE_CHECKING:
    from transfusion_tf.report.claims import Claim
    from transfusion_tf.report.evidence import Evidence
    from transfusion_tf_experiments.papers.scale import Scale

# Figure 3: "the early layers of ImageNet and RadImageNet".
_EARLY = (0, 1)
# Of CCA: what a slope is printed for.
_STEP = 0.1


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the donors and targets of the scale."""
    from transfusion_tf.report import donor_evidence as donors
    from transfusion_tf.report.claims import Claim

    ask = _Questions(scale)
    return (
        Claim(
            "A natural donor does at least as well as a medical one.",
            "table 2, section 5.1",
            f"test AUC from {scale.donors[0]} minus {scale.donors[-1]}, mean over "
            "targets",
            "AUC",
            "at_least",
            lambda e: ask.over_targets(e, donors.test_difference),
        ),
        Claim(
            "Two donors are less alike after fine-tuning than before.",
            "figure 3, section 5.2",
            "CCA of the two donors before fine-tuning minus after it, mean over stages "
            "and targets",
            "CCA",
            "above",
            lambda e: ask.over_targets(e, donors.grown_apart),
        ),
        Claim(
            "The early layers of two donors are no more alike than random ones.",
            "figure 3, section 5.2",
            "CCA of two random starts minus that of the two donors, untrained, lowest "
            "two stages, mean over targets",
            "CCA",
            "at_least",
            ask.early_layers,
        ),
        Claim(
            "Models from two donors err alike more than by chance.",
            "figure 5, section 5.3",
            "prediction similarity minus that of independent mistakes, mean over "
            "targets",
            "share of the images",
            "above",
            lambda e: ask.over_targets(e, donors.similarity_excess),
        ),
        Claim(
            "The more a model keeps of its donor, the less it gains.",
            "figure 6, section 5.4",
            f"relative AUC gain lost per {_STEP:g} of CCA before and after fine-tuning "
            "(both ways of it), mean over stages and donors",
            "relative AUC",
            "above",
            ask.gain_lost,
        ),
    )


class _Questions:
    """The measurements that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale

    def over_targets(self, evidence: Evidence, measure: Callable[..., Any]) -> Any:
        """A difference of the two donors' runs, mean over targets."""
        from transfusion_tf.report.fold_quantity import mean_over_targets

        return mean_over_targets(
            [measure(evidence, *self._donors(target)) for target in self._scale.tasks]
        )

    def early_layers(self, evidence: Evidence) -> Any:
        """Random starts minus donors at the lowest stages, mean over targets."""
        from transfusion_tf.evaluation import mean_quantity
        from transfusion_tf.report.donor_evidence import random_over_donors

        return mean_quantity(
            [
                random_over_donors(
                    evidence,
                    *self._donors(target),
                    runs_of_cell(self._scale, target, None),
                    _EARLY,
                )
                for target in self._scale.tasks
            ]
        )

    def gain_lost(self, evidence: Evidence) -> Any:
        """Minus the slope of gain over similarity, mean over donors."""
        from transfusion_tf.evaluation import mean_quantity
        from transfusion_tf.report.donor_evidence import falling_slope

        scale = self._scale
        return mean_quantity(
            [
                falling_slope(
                    evidence,
                    [
                        (
                            runs_of_cell(scale, target, donor, head_first=head_first),
                            runs_of_cell(scale, target, None),
                        )
                        for target in scale.tasks
                        for head_first in (False, True)
                    ],
                    _STEP,
                )
                for donor in scale.donors
            ]
        )

    def _donors(self, target: str) -> tuple[Any, Any]:
        """The runs of the natural and of the medical donor on one target."""
        from transfusion_tf.report.evidence import MissingEvidenceError

        if len(self._scale.donors) < 2:
            raise MissingEvidenceError("this study has one donor alone")
        natural, medical = self._scale.donors[:2]
        return runs_of_cell(self._scale, target, natural), runs_of_cell(
            self._scale, target, medical
        )
