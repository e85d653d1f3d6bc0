"""Chapters of Transfusion about representations and first-layer filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import Scale
from transfusion_tf_experiments.papers.transfusion_scales import (
    CHEST,
    PRINTED_NAMES,
    RETINA,
    STARTS,
)

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig

    Runs = tuple[RunConfig, ...]


def figure1(scale: Scale) -> Chapter:
    """Example images of ImageNet, the retina and the chest.

    Cost: nothing is trained, seconds.
    Paper: "The fundus photographs and chest x-rays have much higher resolution than the
    ImageNet images, and are classified by looking for small local variations in
    tissue."
    """
    from transfusion_tf.studies.donor_runs import is_dataset

    runs = scale.runs((*RETINA, *CHEST), ("cbr_tiny",), ("random",), seeds=1, steps=0)
    donors = [
        run.replace(dataset=str(run.donor), donor=None, image_size=None)
        for run in runs[:1]
        if is_dataset(run.donor)
    ]
    return scale.chapter(
        "Example images",
        "Images of each data set, as they are stored for training.",
        view="example_images",
        runs=[*donors, *runs],
    )


def table5(scale: Scale) -> Chapter:
    """CCA between models of one start with different seeds, stage by stage.

    Cost: 12 runs, 11 minutes, and 3 minutes of analysis.
    Paper, lowest stage: ResNet50 0.865 between models from the same pretrained
    weights, 0.647 between random starts; CBR-Small 0.825 and 0.723.
    """
    return scale.chapter(
        "Similarity between models of the same start",
        f"Mean {scale.similarity} between trained models from the same pretrained "
        "weights, between models from random weights, and the difference, by stage.",
        view="similarity_by_start",
        measurements=("population_trained",),
        runs=_population(scale, "pair"),
        options=scale.options["similarity"],
        published=read_published("transfusion_table5"),
    )


def figure2(scale: Scale) -> Chapter:
    """Are random and pretrained starts further apart than two random starts?

    Cost: 24 runs, 19 minutes, and 8 minutes of analysis.
    Paper: for ResNet50 and Inception-v3 clearly so; for the CBR models hardly.
    """
    return scale.chapter(
        "Pretrained and random starts, against two random starts",
        f"Mean {scale.similarity} at the top two stages of trained models: pairs of a "
        "random and a pretrained start, and pairs of two random starts.",
        view="similarity_of_starts",
        measurements=("population_trained",),
        runs=_population(scale, "all"),
        options={**scale.options["similarity"], "top_stages": 2},
    )


def figure3(scale: Scale) -> Chapter:
    """Similarity before and after training, stage by stage.

    Cost: 24 runs, 19 minutes, and 8 minutes of analysis.
    Paper: ResNet50 moves less than the CBR models, most so at conv1; pretrained
    weights stay nearer to their start than random ones in the lowest stages only.
    """
    return scale.chapter(
        "How far training moves each stage",
        f"Mean {scale.similarity} of a model before and after training, by stage; "
        "beside it, that of pretrained minus that of random starts.",
        view="before_and_after",
        measurements=("before_after",),
        runs=_population(scale, "all"),
        options=scale.options["similarity"],
    )


def figure4(scale: Scale) -> Chapter:
    """Do models that start alike end alike? R² at conv1 and at higher stages.

    Cost: 12 runs, 11 minutes, and 6 minutes of analysis.
    Paper, lowest stage: R² 0.838 for pairs of random ResNet50s and 0.752 for mixed
    pairs; 0.197 and 0.160 for CBR-Small. Higher stages: 0.322 at most.
    """
    return scale.chapter(
        "Similarity at initialization against similarity after training",
        "Each point is a pair of models. A line that fits says that what a pair "
        "shared at the start it still shares at the end.",
        view="start_and_end",
        measurements=("population_initial", "population_trained"),
        runs=_population(scale, "pair"),
        options=scale.options["similarity"],
        published=read_published("transfusion_figure4"),
    )


def figure5(scale: Scale) -> Chapter:
    """First-layer filters before and after training on RETINA.

    Cost: 12 runs, 11 minutes; one of each start is drawn.
    Paper: ResNet50's filters hardly change; CBR-Small's change much, and training
    erases some of the Gabor filters that it starts with.
    """
    return scale.chapter(
        "First-layer filters before and after training on RETINA",
        "Filters of one run of each start, before and after, on one scale; how far "
        "they moved, and how much of a Gabor function is in them.",
        view="filters",
        measurements=("gabor_changes",),
        runs=_population(scale, "pair"),
        options=scale.options.get("filters"),
    )


def figure9(scale: Scale) -> Chapter:
    """First-layer filters of CBR-Small on chest radiographs.

    Cost: 6 runs, 3 minutes; one of each start is drawn.
    Paper: as figure 5: the small model's filters change much.
    """
    return scale.chapter(
        "First-layer filters of CBR-Small on chest radiographs",
        "Filters before and after training from random and from pretrained weights.",
        view="filters",
        measurements=("gabor_changes",),
        runs=scale.runs(CHEST, ("cbr_small",), STARTS),
        options=scale.options.get("filters"),
    )


def figure10(scale: Scale) -> Chapter:
    """First-layer filters of ResNet50 on chest radiographs.

    Cost: 6 runs, 6 minutes; one of each start is drawn.
    Paper: as figure 5: the large model's filters hardly change.
    """
    largest = scale.models["chest"][0]
    return scale.chapter(
        f"First-layer filters of {PRINTED_NAMES[largest]} on chest radiographs",
        "Filters before and after training from random and from pretrained weights.",
        view="filters",
        measurements=("gabor_changes",),
        runs=scale.runs(CHEST, (largest,), STARTS),
        options=scale.options.get("filters"),
    )


def figure14(scale: Scale) -> Chapter:
    """Weights of the first layer by initialization: histogram and filters.

    Cost: nothing is trained but the donor, seconds.
    Paper: mean_var has the mean and variance of the pretrained weights, not their
    heavy-tailed distribution, and none of their Gabor-like structure.
    """
    return scale.chapter(
        "First-layer weights by initialization",
        "Distribution of the first layer's weights, and its filters, before training.",
        view="filters",
        measurements=("gabors",),
        runs=scale.runs(
            RETINA, ("large",), ("transfer", "random", "mean_var"), seeds=1, steps=0
        ),
        options={"histogram": True, **scale.options.get("filters", {})},
    )


def figure21(scale: Scale) -> Chapter:
    """The bank of 64 synthetic Gabor filters (appendix F.3).

    Cost: no run, seconds.
    Paper: 16 orientations by 4 frequencies (0.08, 0.16, 0.25, 0.32 cycles per pixel),
    sigma 2, 7 × 7 pixels, grey.
    """
    return scale.chapter(
        "The synthetic Gabor filters",
        "16 orientations, 4 frequencies, 7 × 7 pixels, repeated over the colours.",
        view="gabor_bank",
    )


def _population(scale: Scale, kind: str) -> Runs:
    """Runs whose representations are compared: both starts, RETINA."""
    seeds = scale.more_seeds.get("similarity")
    return scale.runs(RETINA, (kind,), STARTS, seeds=seeds)
