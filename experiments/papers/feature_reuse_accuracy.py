"""Chapters of feature reuse about accuracy and speed: when and where transfer pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfusion_tf_experiments.papers.feature_reuse_models import (
    CONVERGENCE,
    FAMILIES,
    MAIN,
    RANDOM,
    SWEEP,
    TABLE1,
    WEIGHTS,
    deit,
    starts,
    sweep,
    sweeps,
)
from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import Scale

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig

    Runs = tuple[RunConfig, ...]


def table1(scale: Scale) -> Chapter:
    """Test metric from random weights, statistics and weights: models and data sets.

    Cost: 108 runs, 20 minutes.
    Paper, DeiT-S on APTOS, DDSM, ISIC, CheXpert and Camelyon: RI 0.684, 0.907, 0.576,
    0.740, 0.921; ST 0.721, 0.895, 0.607, 0.734, 0.916; WT 0.894, 0.949, 0.824, 0.792,
    0.962. ResNet50: RI 0.845, 0.919, 0.664, 0.796, 0.948; WT 0.888, 0.957, 0.795,
    0.800, 0.960.
    """
    masses = ("masses",) if "masses" in scale.task_groups else ()
    return scale.chapter(
        "Weights, statistics or neither, by model and data set",
        "Test metric of each data set from random weights, from the statistics of the "
        "donor's weights (mean_var) and from the weights themselves (transfer).",
        view="starts",
        runs=(*_main(scale), *scale.runs(masses, TABLE1, starts(scale))),
        published=_published(scale, "feature_reuse_table1"),
        notes=_notes(scale),
    )


def figure1(scale: Scale) -> Chapter:
    """When transfer pays: data size, distance from the source, inductive bias.

    Cost: those of table 1, and a minute of analysis.
    Paper: gains WT / RI grow as data shrink, as the Fréchet distance to ImageNet falls
    (ISIC 141, DDSM 155, APTOS 160, CheXpert 181, Camelyon 202), and as the inductive
    bias weakens (ResNet50, Inception-v3, Swin, DeiT); (WT - ST) / WT goes with them.
    """
    task = scale.tasks[scale.task_groups["main"][0]]
    source = scale.options["sources"].get(task.base.donor)
    return scale.chapter(
        "When does transfer pay, and when are features reused?",
        "Each dot is a model on a data set. Its place says how far the images are from "
        "the donor's and how many there are; its size the gain WT / RI; its colour how "
        "much of it the statistics of the weights do not explain, (WT - ST) / WT.",
        view="gains",
        measurements=("frechet",),
        runs=_main(scale),
        options={**scale.options["distances"], "source": source},
        published=_published(scale, "feature_reuse_figure1"),
        notes=_notes(scale),
    )


def figure2(scale: Scale) -> Chapter:
    """Which layers benefit: donor weights up to each stage, statistics above.

    Cost: 45 runs, 8 minutes.
    Paper: DeiT gains in a jump from its first blocks; CNNs gain evenly, or on large
    and distant data not at all; Swin lies between.
    """
    runs = [
        *sweeps(scale),
        *scale.runs(SWEEP, TABLE1, (RANDOM,)),
    ]
    return scale.chapter(
        "Which layers benefit from feature reuse?",
        "Test metric by the share of stages that have the donor's weights, the others "
        "their statistics (WT-ST); stars: random weights. Last: gains over statistics "
        "alone, mean over data sets.",
        view="sweep",
        runs=runs,
    )


def figure7(scale: Scale) -> Chapter:
    """Weight transfer in models of different capacities.

    Cost: 24 runs, 4 minutes.
    Paper: larger models gain slightly more; the pattern of an architecture stays.
    """
    runs: list[RunConfig] = []
    for model in scale.models_of(FAMILIES):
        specs = (RANDOM, *sweep(scale, model))
        runs += scale.runs(SWEEP, (model,), specs)
    return scale.chapter(
        "Which layers benefit, by the model's capacity",
        "As figure 2, for smaller and larger members of the families.",
        view="sweep",
        runs=runs,
    )


def figure8(scale: Scale) -> Chapter:
    """Convergence: curves at a constant rate, and the speed-up by stage transferred.

    Cost: 45 runs, 8 minutes.
    Paper: the speed-up grows with each transferred stage, in CNNs evenly, in
    transformers fast up to half of the network and then hardly.
    """
    runs: list[RunConfig] = []
    for model in scale.models_of(TABLE1):
        specs = (RANDOM, *sweep(scale, model))
        runs += scale.runs(CONVERGENCE, (model,), specs)
    return scale.chapter(
        "Transfer and the speed of convergence",
        "Validation metric over training at a constant learning rate; how many times "
        "sooner than from statistics alone a threshold is reached.",
        view="speed_up",
        runs=runs,
    )


def truncated_deit(scale: Scale) -> Chapter:
    """Appendix I: a DeiT cut to its first blocks, with transferred weights.

    Cost: 6 runs, 2 minutes.
    Paper: the first 5 of DeiT's 12 blocks do about as well as all of them.
    """
    return scale.chapter(
        "Do later blocks matter?",
        "Test metric of a transferred transformer cut to its first blocks.",
        view="truncated",
        runs=scale.runs(
            SWEEP,
            ("truncated", deit(scale)),
            (WEIGHTS,),
        ),
    )


def capacity(scale: Scale) -> Chapter:
    """Gains of transfer by the model's capacity.

    Cost: 18 runs, 3 minutes.
    Paper: transfer gains slightly more in larger models; the differences between
    architectures are due to their inductive bias, not their size.
    """
    return scale.chapter(
        "Weights, statistics or neither, by the model's capacity",
        "As table 1, for smaller and larger members of the families.",
        view="starts",
        runs=scale.runs(SWEEP, FAMILIES, starts(scale)),
    )


def _published(scale: Scale, name: str) -> tuple[dict[str, Any], ...]:
    """The paper's numbers, their rows called as ours at this scale.

    Those on DDSM, of another number of images, keep a name of their own.
    """
    datasets = {task.base.dataset for task in scale.tasks.values()}
    ours = {"mean_var": scale.statistics}
    for dataset in datasets:
        if dataset.startswith("chexpert"):
            ours["chexpert_14_by_patient"] = dataset
    return tuple(
        {key: ours.get(value, value) for key, value in row.items()}
        | ({"target": row["data"]} if row.get("dataset") == "ddsm_10239" else {})
        for row in read_published(name)
    )


def _main(scale: Scale) -> Runs:
    """Table 1's runs."""
    return scale.runs(MAIN, TABLE1, starts(scale))


def _notes(scale: Scale) -> tuple[str, ...]:
    """Where the paper's values are of other data than ours."""
    if "cbis_ddsm" not in {task.base.dataset for task in scale.tasks.values()}:
        return ()
    return (
        "CBIS-DDSM: the paper's values are of 10 239 images, normal ones among them; "
        "ours of 3 103 whole mammograms, benign or malignant, and in table 1 with a "
        "mass or without beside it, as the paper words its task. They do not compare, "
        "and stand apart.",
    )
