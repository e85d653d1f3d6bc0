"""Hidden representations (Juodelyte et al., 2023), table by table.

Two donors, one of natural and one of medical images, fine-tuned on medical targets:
the paper finds that they end in different representations, yet make similar mistakes.

Each function is one table or figure: the runs that it is made of at a scale, how it is
drawn, and the paper's numbers. `transfusion-study
--study=hidden_representations/table1` makes the one of that name at `--scale=paper`
(the paper's own sizes and hyperparameters), `small` (drawn data, two CPU cores) or
`smoke` (seconds); `--study=hidden_representations/all` makes them all, every run once,
with a front page that says which of the paper's findings hold. `--fold_protocol=paper`
chooses weights on the fold that is tested, as the paper does; `--scale=published_code`
does whatever else its authors' code does. `transfusion-report --published` asks the
same of their results.

Costs are for the scale `small` on two CPU cores, for a study on its own, without the
two donors (3 minutes). At the scale `paper` a run takes about half an hour on one GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.hidden_representations_scales import (
    SCALES as SCALES,
)
from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import Scale, named_chapters

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.studies import Chapter
    from transfusion_tf.studies.claims import Claim
    from transfusion_tf.training import RunConfig

    Runs = tuple[RunConfig, ...]

TITLE = "Hidden representations (Juodelyte et al., 2023)"

# Of the head alone: the authors' code.
_HEAD_RATE = 1e-3
# Figure 4: "the first 36 filters".
FILTERS = 36


def table1(scale: Scale) -> Chapter:
    """The target data sets: images, classes and pixels.

    Cost: nothing is trained, seconds.
    Paper: seven targets of 480 (thyroid) to 10 015 images (ISIC), 2 to 7 classes, 96 to
    224 px; two of them, ISIC and PCam-small, in colour.
    """
    return scale.chapter(
        "The target data sets",
        "Images, classes and pixels of each target, and how folds are dealt.",
        view="targets",
        runs=_one_per_target(scale),
        published=read_published("hidden_representations_table1"),
    )


def table2(scale: Scale) -> Chapter:
    """AUC after fine-tuning by target and donor, all at once or the head first.

    Cost: 75 runs, 16 minutes.
    Paper, ImageNet, RadImageNet and random weights: thyroid 52.3, 50.2, 52.9; breast
    90.5, 88.2, 51.2; chest 98.7, 98.8, 82.5; mammograms 63.4, 62.0, 49.6; knee 91.5,
    89.3, 68.3; ISIC 94.2, 90.8, 84.0; PCam-small 93.8, 87.1, 73.4 (AUC times 100).
    ImageNet is highest on all targets but chest; training the head first seldom helps.
    """
    return scale.chapter(
        "Natural against medical donors",
        "Test AUC after fine-tuning from each donor and from random weights, all at "
        "once or the head first, over the folds; and what the paper names as missing: "
        "balanced accuracy and calibration.",
        view="donor_accuracy",
        runs=_fine_tuned(scale, head_first=True),
        published=read_published("hidden_representations_table2"),
        notes=(
            "“Head first”: the head is trained on frozen weights, then everything is; "
            "the paper’s column “Freeze”.",
        ),
    )


def figure2(scale: Scale) -> Chapter:
    """Example images of each target.

    Cost: nothing is trained, seconds.
    Paper: seven targets; all but ISIC and PCam-small are grey.
    """
    return scale.chapter(
        "Example images",
        "Images of each target, one of every class first.",
        view="targets",
        runs=_one_per_target(scale),
        options={"samples": True},
    )


def figure3(scale: Scale) -> Chapter:
    """CCA by layer: donors before and after fine-tuning, donor against donor.

    Cost: 75 runs, 16 minutes, and 5 minutes of analysis.
    Paper (knee): ImageNet changes less than RadImageNet in fine-tuning; the two are
    less alike after it than before, and less than two random starts; at the lowest
    layers they are as alike as random ones.
    """
    return scale.chapter(
        "Do two donors end alike?",
        f"Mean {scale.similarity} by stage: of each donor with itself after "
        "fine-tuning; of one donor with the other, before and after; of two random "
        "starts, untrained.",
        view="donor_similarity",
        measurements=("before_after", "fold_initial", "fold_trained", "random_initial"),
        runs=_fine_tuned(scale, head_first=True),
        options=scale.options["similarity"],
        notes=(
            "Claims also ask for runs whose head was trained first; the figures show "
            "the others.",
        ),
    )


def figure4(scale: Scale) -> Chapter:
    """The first 36 filters of the first layer of each donor.

    Cost: nothing is trained but the donors, seconds.
    Paper: ImageNet's filters resemble Gabor functions more than RadImageNet's, which
    are fuzzier.
    """
    target = next(iter(scale.tasks))
    return scale.chapter(
        "First-layer filters of each donor",
        f"The first {FILTERS} filters, or all where there are fewer, each donor on its "
        "own scale, and how much of a Gabor function is in them.",
        view="donor_filters",
        measurements=("gabors",),
        options={"fitted": FILTERS},
        runs=[
            runs_of_cell(scale, target, donor)[0].replace(steps=0)
            for donor in scale.donors
        ],
    )


def figure5(scale: Scale) -> Chapter:
    """Prediction similarity of models from two donors, against independent mistakes.

    Cost: 30 runs, 6 minutes.
    Paper: above the similarity of independent mistakes on average over all targets,
    with large spread on thyroid.
    """
    return scale.chapter(
        "Do models from two donors make the same mistakes?",
        "Share of the test images on which both models are right or both are wrong, "
        "and what it would be if their mistakes were independent, "
        "a₁a₂ + (1 − a₁)(1 − a₂) of their accuracies.",
        view="mistakes",
        measurements=("agreement",),
        runs=_fine_tuned(scale, random=False),
        notes=(
            "The paper’s code computes the second from one model’s accuracy alone; "
            "here it is the paper’s formula.",
        ),
    )


def figure6(scale: Scale) -> Chapter:
    """AUC gain over random weights against CCA before and after fine-tuning.

    Cost: 45 runs, 9 minutes, and 2 minutes of analysis.
    Paper: the more alike before and after, the smaller the gain, at all layers, more
    so for RadImageNet.
    """
    return scale.chapter(
        "Does it pay to keep the donor’s features?",
        "Each point is a fold: its AUC gain over random weights, relative to theirs, "
        "and how alike the model’s representations are before and after fine-tuning; "
        "with a regression line and its 95 % band. All targets are pooled, as in the "
        "paper; the table also has the slope within targets.",
        view="gain_and_similarity",
        measurements=("before_after",),
        runs=_fine_tuned(scale),
        options=scale.options["similarity"],
    )


CHAPTERS = named_chapters(table1, table2, figure2, figure3, figure4, figure5, figure6)


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What the paper claims, about the donors and targets that the scale has."""
    from transfusion_tf.studies.claims import with_learned_runs
    from transfusion_tf_experiments.papers import hidden_representations_claims

    return with_learned_runs(hidden_representations_claims.claims(scale))


def own_data_notes(card: DatasetCard) -> tuple[str, ...]:
    """What the paper's tasks become on a card that is not the paper's."""
    return (
        f"One target, measured by {card.metric}, stands where the paper has seven.",
    )


def runs_of_cell(
    scale: Scale, target: str, donor: str | None, *, head_first: bool = False
) -> Runs:
    """The runs of one donor (None: random weights) on one target, one per fold."""
    task = scale.tasks[target]
    head_steps = task.head_steps if head_first else 0
    return scale.runs(
        (target,),
        scale.models["all"],
        ("random" if donor is None else "transfer",),
        donor=donor,
        steps=task.base.steps + head_steps,
        head_steps=head_steps,
        head_learning_rate=_HEAD_RATE if head_first else None,
    )


def _fine_tuned(
    scale: Scale, *, random: bool = True, head_first: bool = False
) -> list[RunConfig]:
    """All targets, from random weights and each donor; also with the head first."""
    runs: list[RunConfig] = []
    for target in scale.tasks:
        if random:
            runs += runs_of_cell(scale, target, None)
        for donor in scale.donors:
            runs += runs_of_cell(scale, target, donor)
            if head_first:
                runs += runs_of_cell(scale, target, donor, head_first=True)
    return runs


def _one_per_target(scale: Scale) -> list[RunConfig]:
    """An untrained run on each target, for what it says of the data."""
    return [
        runs_of_cell(scale, target, None)[0].replace(steps=0) for target in scale.tasks
    ]
