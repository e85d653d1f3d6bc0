"""Feature reuse (Matsoukas et al.; CVPR 2022), table by table and figure by figure.

"What Makes Transfer Learning Work for Medical Images: Feature Reuse & Other Factors".
Weight transfer (WT) is `transfer` here, stats transfer (ST) `mean_var`, random
initialization (RI) `random`, and WT-ST `transfer:STAGE+mean_var`. Each function is one
table or figure: the runs that it is made of at a scale, how it is drawn, and the
paper's numbers. Its command makes it at `--scale=paper` (the paper's own sizes and
hyperparameters), `published_code` (the same with what the authors' code adds), `small`
(drawn data, small siblings of the models, two CPU cores) or `smoke` (seconds);
`--study=feature_reuse/all` makes them all, every run once.

Costs are for the scale `small` in minutes of one CPU core, estimated from single runs,
for a study on its own, without the donors that it may have to pretrain first (5
minutes). At the scale `paper`, a run of DeiT-S on CheXpert takes about half a day on
one GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers import feature_reuse_published as published
from transfusion_tf_experiments.papers.feature_reuse_scales import SCALES as SCALES
from transfusion_tf_experiments.papers.scale import Scale, stages_of

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.report.claims import Claim
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig

    Runs = tuple[RunConfig, ...]

TITLE = "Feature reuse (Matsoukas et al., CVPR 2022)"

WEIGHTS, RANDOM = "transfer", "random"


def table1(scale: Scale) -> Chapter:
    """Test metric from random weights, statistics and weights: models and data sets.

    Command: `transfusion-study --study=feature_reuse/table1`.
    Cost: 108 runs, 20 minutes.
    Paper, DeiT-S on APTOS, DDSM, ISIC, CheXpert and Camelyon: RI 0.684, 0.907, 0.576,
    0.740, 0.921; ST 0.721, 0.895, 0.607, 0.734, 0.916; WT 0.894, 0.949, 0.824, 0.792,
    0.962. ResNet50: RI 0.845, 0.919, 0.664, 0.796, 0.948; WT 0.888, 0.957, 0.795,
    0.800, 0.960.
    """
    return scale.chapter(
        "table1",
        "Weights, statistics or neither, by model and data set",
        "Test metric of each data set from random weights, from the statistics of the "
        "donor's weights (mean_var) and from the weights themselves (transfer).",
        view="starts",
        runs=_main(scale),
        published=published.table1(scale.statistics),
        notes=_notes(scale),
    )


def figure1(scale: Scale) -> Chapter:
    """When transfer pays: data size, distance from the source, inductive bias.

    Command: `transfusion-study --study=feature_reuse/figure1`.
    Cost: those of table 1, and a minute of analysis.
    Paper: gains WT / RI grow as data shrink, as the Fréchet distance to ImageNet falls
    (ISIC 141, DDSM 155, APTOS 160, CheXpert 181, Camelyon 202), and as the inductive
    bias weakens (ResNet50, Inception-v3, Swin, DeiT); (WT - ST) / WT goes with them.
    """
    task = scale.tasks[scale.task_groups["main"][0]]
    source = scale.options["sources"].get(task.base.donor)
    return scale.chapter(
        "figure1",
        "When does transfer pay, and when are features reused?",
        "Each dot is a model on a data set. Its place says how far the images are from "
        "the donor's and how many there are; its size the gain WT / RI; its colour how "
        "much of it the statistics of the weights do not explain, (WT - ST) / WT.",
        view="gains",
        runs=_main(scale),
        options={**scale.options["distances"], "source": source},
        published=published.figure1(),
        notes=_notes(scale),
    )


def figure2(scale: Scale) -> Chapter:
    """Which layers benefit: donor weights up to each stage, statistics above.

    Command: `transfusion-study --study=feature_reuse/figure2`.
    Cost: 45 runs, 8 minutes.
    Paper: DeiT gains in a jump from its first blocks; CNNs gain evenly, or on large
    and distant data not at all; Swin lies between.
    """
    runs = [
        *_sweeps(scale),
        *scale.runs(scale.task_groups["sweep"], table1_models(scale), (RANDOM,)),
    ]
    return scale.chapter(
        "figure2",
        "Which layers benefit from feature reuse?",
        "Test metric by the share of stages that have the donor's weights, the others "
        "their statistics (WT-ST); stars: random weights. Last: gains over statistics "
        "alone, mean over data sets.",
        view="sweep",
        runs=runs,
    )


def figure3(scale: Scale) -> Chapter:
    """CKA of every layer with every layer: before and after, and ST against WT.

    Command: `transfusion-study --study=feature_reuse/figure3`.
    Cost: 12 runs, 3 minutes, and a minute of analysis.
    Paper: DeiT keeps its early and middle layers and adapts the later; ResNet50 keeps
    all but its last. Layers of an ST model resemble the first half of a WT model's in
    DeiT; CNNs learn similar features from either start.
    """
    return scale.chapter(
        "figure3",
        "What transfer keeps: similarity of all layers",
        "Linear CKA of every layer with every layer: of a run before and after "
        "training, from transferred weights; and of a run from statistics with one "
        "from weights, both trained.",
        view="layer_similarity",
        runs=scale.runs(
            scale.task_groups["sweep"],
            (deit(scale), cnn(scale)),
            (scale.statistics, WEIGHTS),
        ),
        options=scale.options["layers"],
    )


def figure4(scale: Scale) -> Chapter:
    """How far weights travel in training, layer by layer, by WT-ST fraction.

    Command: `transfusion-study --study=feature_reuse/figure4`.
    Cost: 36 runs, 7 minutes, and a minute of analysis.
    Paper: transferred weights stay near; the more of a network begins from statistics,
    the further it moves. The patchifier and the first block at each scale move anyway.
    """
    return scale.chapter(
        "figure4",
        "Which transferred weights change?",
        "Distance that each layer's weights travel from their start, over the number "
        "of weights, mean over its tensors and over data sets.",
        view="travel",
        runs=_sweeps(scale),
    )


def figure5(scale: Scale) -> Chapter:
    """Re-initialization robustness: each layer in turn set back to its start.

    Command: `transfusion-study --study=feature_reuse/figure5`.
    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: from transferred weights few layers are critical; in DeiT under WT-ST those
    at the transition; in ResNet50 the last ones and those where the scale changes.
    """
    return scale.chapter(
        "figure5",
        "Re-initialization robustness",
        "Test metric that is lost where one layer of the trained model is set back to "
        "the weights it began from.",
        view="robustness",
        runs=_sweeps(scale),
        options=scale.options["robustness"],
    )


def figure6(scale: Scale) -> Chapter:
    """k-NN evaluation at every depth, by WT-ST fraction.

    Command: `transfusion-study --study=feature_reuse/figure6`.
    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: DeiT's features are good for the task from the middle on, and the best score
    at any depth saturates halfway as more stages are transferred; those of ResNet50
    improve up to its last layers.
    """
    return scale.chapter(
        "figure6",
        "Are reused features low-level or high-level?",
        "Test metric of a vote of the nearest training images (cosine similarity) by "
        "their features at each depth.",
        view="knn_by_depth",
        runs=_sweeps(scale),
        options=scale.options["neighbours"],
    )


def figure7(scale: Scale) -> Chapter:
    """Weight transfer in models of different capacities.

    Command: `transfusion-study --study=feature_reuse/figure7`.
    Cost: 24 runs, 4 minutes.
    Paper: larger models gain slightly more; the pattern of an architecture stays.
    """
    runs: list[RunConfig] = []
    for model in _capacities(scale):
        specs = (RANDOM, *sweep(scale, model))
        runs += scale.runs(scale.task_groups["sweep"], (model,), specs)
    return scale.chapter(
        "figure7",
        "Which layers benefit, by the model's capacity",
        "As figure 2, for smaller and larger members of the families.",
        view="sweep",
        runs=runs,
    )


def figure8(scale: Scale) -> Chapter:
    """Convergence: curves at a constant rate, and the speed-up by stage transferred.

    Command: `transfusion-study --study=feature_reuse/figure8`.
    Cost: 45 runs, 8 minutes.
    Paper: the speed-up grows with each transferred stage, in CNNs evenly, in
    transformers fast up to half of the network and then hardly.
    """
    runs: list[RunConfig] = []
    for model in table1_models(scale):
        specs = (RANDOM, *sweep(scale, model))
        runs += scale.runs(scale.task_groups["convergence"], (model,), specs)
    return scale.chapter(
        "figure8",
        "Transfer and the speed of convergence",
        "Validation metric over training at a constant learning rate; how many times "
        "sooner than from statistics alone a threshold is reached.",
        view="speed_up",
        runs=runs,
    )


def attention_distance(scale: Scale) -> Chapter:
    """Appendix E: how far the heads of every block look.

    Command: `transfusion-study --study=feature_reuse/attention_distance`.
    Cost: 6 runs, 2 minutes.
    Paper: with transferred weights early blocks have heads that look near and heads
    that look far; from statistics none learns to look near.
    """
    return scale.chapter(
        "attention_distance",
        "How far each head looks",
        "Mean attended distance of every head of a trained transformer, by block.",
        view="attention",
        runs=scale.runs(
            scale.task_groups["sweep"],
            (deit(scale),),
            (scale.statistics, WEIGHTS),
        ),
        options=scale.options["attention"],
    )


def truncated_deit(scale: Scale) -> Chapter:
    """Appendix I: a DeiT cut to its first blocks, with transferred weights.

    Command: `transfusion-study --study=feature_reuse/truncated_deit`.
    Cost: 6 runs, 2 minutes.
    Paper: the first 5 of DeiT's 12 blocks do about as well as all of them.
    """
    return scale.chapter(
        "truncated_deit",
        "Do later blocks matter?",
        "Test metric of a transferred transformer cut to its first blocks.",
        view="truncated",
        runs=scale.runs(
            scale.task_groups["sweep"],
            (*scale.models["truncated"], deit(scale)),
            (WEIGHTS,),
        ),
    )


def capacity(scale: Scale) -> Chapter:
    """Gains of transfer by the model's capacity.

    Command: `transfusion-study --study=feature_reuse/capacity`.
    Cost: 18 runs, 3 minutes.
    Paper: transfer gains slightly more in larger models; the differences between
    architectures are due to their inductive bias, not their size.
    """
    return scale.chapter(
        "capacity",
        "Weights, statistics or neither, by the model's capacity",
        "As table 1, for smaller and larger members of the families.",
        view="starts",
        runs=scale.runs(scale.task_groups["sweep"], _capacities(scale), starts(scale)),
    )


CHAPTERS: dict[str, Callable[[Scale], Chapter]] = {
    function.__name__: function
    for function in (
        table1,
        figure1,
        figure2,
        figure3,
        figure4,
        figure5,
        figure6,
        figure7,
        figure8,
        attention_distance,
        truncated_deit,
        capacity,
    )
}


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What the paper claims, about the models that the scale trains."""
    from transfusion_tf_experiments.papers import feature_reuse_claims

    return feature_reuse_claims.claims(scale)


def own_data_notes(card: DatasetCard) -> tuple[str, ...]:
    """What the paper's tasks become on a card that is not the paper's."""
    return (
        f"{card.title} stands where the paper has five data sets: nothing here says "
        "what more data or another domain would change.",
    )


def table1_models(scale: Scale) -> tuple[str, ...]:
    """The models of table 1, in rising order of inductive bias."""
    return scale.models["transformers"] + scale.models["cnns"]


def deit(scale: Scale) -> str:
    """The model of least inductive bias."""
    return table1_models(scale)[0]


def cnn(scale: Scale) -> str:
    """The model of most inductive bias."""
    return table1_models(scale)[-1]


def families(scale: Scale) -> tuple[tuple[str, ...], ...]:
    """Models that differ in capacity, each family from the smallest up."""
    kinds = ("deit_family", "resnet_family")
    return tuple(scale.models[kind] for kind in kinds if kind in scale.models)


def starts(scale: Scale) -> tuple[str, str, str]:
    """RI, ST and WT."""
    return RANDOM, scale.statistics, WEIGHTS


def sweep(scale: Scale, model: str) -> tuple[str, ...]:
    """ST, the donor up to each of the model's levels, WT."""
    between = (
        f"{WEIGHTS}:{stage}+{scale.statistics}" for stage in scale.levels_of(model)
    )
    return (scale.statistics, *between, WEIGHTS)


def fractions(scale: Scale, model: str) -> tuple[float, ...]:
    """Share of a model's stages with the donor's weights, for each of its `sweep`."""
    names = stages_of(model)
    shares = ((names.index(level) + 1) / len(names) for level in scale.levels_of(model))
    return (0.0, *shares, 1.0)


def _main(scale: Scale) -> Runs:
    """Table 1's runs."""
    tasks = scale.task_groups["main"]
    return scale.runs(tasks, table1_models(scale), starts(scale))


def _notes(scale: Scale) -> tuple[str, ...]:
    """Where the paper's values are of other data than ours."""
    if "cbis_ddsm" not in {task.base.dataset for task in scale.tasks.values()}:
        return ()
    return (
        "CBIS-DDSM: the paper's values are of 10 239 images, normal ones among them; "
        "ours of 3 103 whole mammograms, benign or malignant. They do not compare.",
    )


def _sweeps(scale: Scale) -> Runs:
    """ST, the donor up to each level, WT."""
    tasks = scale.task_groups["sweep"]
    runs: list[RunConfig] = []
    for model in table1_models(scale):
        runs += scale.runs(tasks, (model,), sweep(scale, model))
    return tuple(runs)


def _capacities(scale: Scale) -> tuple[str, ...]:
    return tuple(model for family in families(scale) for model in family)
