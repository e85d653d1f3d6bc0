"""What the hidden-representations paper claims (Juodelyte et al., 2023), and what would
show it here.

Each claim is an effect measured on runs of the study `hidden_representations/all`, and
a rule for its interval that was fixed before any run was made. Where nothing else is
said, models were fine-tuned as a whole from the first step on.
"""

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers.hidden_representations import FILTERS
from transfusion_tf_experiments.papers.hidden_representations_effects import (
    STEP,
    Effects,
    apart_when_trained,
    early_kept,
    gain_of_donors,
    grown_apart,
    kept_difference,
    score_difference,
    similarity_excess,
)
from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import Scale

# Means over stages, targets and folds of the authors' results/CCA_*.csv.
_KEPT_DIFFERENCE = 0.68 - 0.44


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the donors and targets of the scale."""
    effects = Effects(scale)
    natural, medical = scale.donors[0], scale.donors[-1]
    published = _published_differences(scale)
    return (
        *_accuracy(effects, natural, medical, published),
        *_before_and_after(
            effects, natural, medical, own_data=published[0] is not None
        ),
        *_of_two_donors(effects, natural, medical),
        *_gains(effects),
    )


def _accuracy(
    effects: Effects,
    natural: str,
    medical: str,
    published: tuple[float | None, float | None],
) -> tuple[Claim, ...]:
    of_all, of_donors = published
    return (
        Claim(
            "A natural donor does at least as well as a medical one.",
            "table 2, section 5.1",
            f"test AUC from {natural} minus {medical}, mean over targets",
            "AUC",
            "at_least",
            effects.over_targets(score_difference),
            published=of_donors,
        ),
        Claim(
            "The natural donor's lead is wider on targets in colour.",
            "section 5.1",
            f"test AUC from {natural} minus {medical}, mean over targets in colour "
            "minus that over grey ones",
            "AUC",
            "above",
            effects.colour_minus_grey(score_difference),
        ),
        Claim(
            "Either donor does better than random weights.",
            "table 2",
            "test AUC from a donor minus random weights, mean over donors and targets",
            "AUC",
            "above",
            effects.over_targets(gain_of_donors, with_random=True),
            published=of_all,
        ),
    )


def _before_and_after(
    effects: Effects, natural: str, medical: str, *, own_data: bool
) -> tuple[Claim, ...]:
    return (
        Claim(
            "Fine-tuning changes the natural donor less than the medical one.",
            "figure 3 (a), section 5.2",
            f"{effects.similarity} before and after fine-tuning from {natural} minus "
            f"{medical}, mean over stages and targets",
            effects.similarity,
            "above",
            effects.over_targets(kept_difference),
            published=_KEPT_DIFFERENCE if own_data else None,
        ),
        Claim(
            "Early layers change less than later ones.",
            "figure 3 (a), section 5.2",
            f"{effects.similarity} before and after fine-tuning of the lowest two "
            "stages minus the others, mean over donors and targets",
            effects.similarity,
            "above",
            effects.over_targets(early_kept(effects.stages)),
        ),
        Claim(
            "The natural donor's first filters are more like Gabor functions.",
            "figure 4, section 5.2",
            f"share of a filter's energy in one Gabor function, {natural} minus "
            f"{medical}, mean over the first {FILTERS} filters",
            "",
            "above",
            effects.gabor_difference(),
        ),
    )


def _of_two_donors(effects: Effects, natural: str, medical: str) -> tuple[Claim, ...]:
    return (
        Claim(
            "Two donors are less alike after fine-tuning than before.",
            "figure 3, section 5.2",
            f"{effects.similarity} of the two donors before fine-tuning minus after "
            "it, mean over stages and targets",
            effects.similarity,
            "above",
            effects.over_targets(grown_apart),
        ),
        Claim(
            "So they are where the head was trained first.",
            "section 5.2",
            f"{effects.similarity} of the two donors before fine-tuning minus after "
            "it, head first, mean over stages and targets",
            effects.similarity,
            "above",
            effects.over_targets(grown_apart, head_first=True),
        ),
        Claim(
            "Fine-tuned from two donors, models are less alike than two random starts.",
            "figure 3 (b), section 5.2",
            f"{effects.similarity} of two random starts minus that of the two donors, "
            "fine-tuned, mean over stages and targets",
            effects.similarity,
            "above",
            effects.over_targets(apart_when_trained, with_random=True),
        ),
        Claim(
            "The early layers of two donors are no more alike than random ones.",
            "figure 3, section 5.2",
            f"{effects.similarity} of two random starts minus that of the two donors, "
            "untrained, lowest two stages, mean over targets",
            effects.similarity,
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
            effects.over_targets(similarity_excess),
        ),
    )


def _gains(effects: Effects) -> tuple[Claim, ...]:
    return (
        Claim(
            "The more a model keeps of its donor, the less it gains.",
            "figure 6, section 5.4",
            f"relative AUC gain lost per {STEP:g} of {effects.similarity} before and "
            "after fine-tuning, folds of all targets pooled, mean over stages and "
            "donors",
            "relative AUC",
            "above",
            effects.gain_lost(),
        ),
        Claim(
            "So it is among the folds of one target.",
            "figure 6, section 5.4; the paper pools targets",
            f"relative AUC gain lost per {STEP:g} of {effects.similarity} before and "
            "after fine-tuning, each target with a height of its own, mean over stages "
            "and donors",
            "relative AUC",
            "above",
            effects.gain_lost(within=True),
        ),
    )


def _published_differences(scale: Scale) -> tuple[float | None, float | None]:
    """Table 2's gain of donors, and of one over the other, on the scale's targets.

    None where one of them is not the paper's.
    """
    # In their order: a sum of the same numbers in another may differ.
    datasets = dict.fromkeys(task.base.dataset for task in scale.tasks.values())
    means = {
        (row["dataset"], row["initialization"]): row["value"]
        for row in read_published("hidden_representations_table2")
    }
    starts = ("random", "imagenet", "radimagenet_caffe")
    columns = [
        [means[dataset, start] for start in starts if (dataset, start) in means]
        for dataset in datasets
    ]
    if not all(len(column) == len(starts) for column in columns):
        return None, None
    random, natural, medical = (
        sum(side) / len(columns) for side in zip(*columns, strict=True)
    )
    return (natural + medical) / 2 - random, natural - medical
