"""Transfusion (Raghu, Zhang, Kleinberg, Bengio; NeurIPS 2019), table by table.

Each function is one table or figure: the runs that it is made of at a scale, how it is
drawn, and the paper's numbers. Its command makes it at `--scale=paper` (the paper's own
sizes and hyperparameters), `small` (drawn data, two CPU cores) or `smoke` (seconds);
`--study=transfusion/all` makes them all, every run once, with a front page that says
which of the paper's findings hold.

Costs are for the scale `small` on two CPU cores, for a study on its own, without the
donors that it may have to pretrain first (9 minutes for all four). At the scale
`paper`, a run of ResNet50 on RETINA takes about a day on one GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers import transfusion_published as published
from transfusion_tf_experiments.papers.scale import Scale, stages_of
from transfusion_tf_experiments.papers.transfusion_scales import SCALES as SCALES

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.report.claims import Claim
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig

    Runs = tuple[RunConfig, ...]

TITLE = "Transfusion (Raghu et al., NeurIPS 2019)"

RETINA, CHEST = ("retina",), ("chest",)
STARTS = ("random", "transfer")

# As the paper writes them.
_NAMES = {
    "resnet50": "ResNet50",
    "cbr_large_t": "CBR-LargeT",
    "cbr_large_w": "CBR-LargeW",
    "cbr_small": "CBR-Small",
    "cbr_tiny": "CBR-Tiny",
}


def table1(scale: Scale) -> Chapter:
    """AUC on RETINA from random and from pretrained weights, six architectures.

    Command: `transfusion-study --study=transfusion/table1`.
    Cost: 24 runs, 19 minutes.
    Paper: ResNet50 96.4 % from random weights, 96.7 % transferred; Inception-v3
    96.6, 96.7; CBR-LargeT 96.2, 96.2; CBR-LargeW 95.8, 95.8; CBR-Small 95.7, 95.8;
    CBR-Tiny 95.8, 95.8. Transfer helps little, and small models do as well.
    """
    return scale.chapter(
        "table1",
        "Transfer and random weights on RETINA, six architectures",
        "AUC of referable disease on test, from random and from pretrained weights; "
        "parameters as the paper counts them and as Keras does; the donors' accuracy.",
        view="accuracy",
        runs=scale.runs(RETINA, scale.models["all"], STARTS),
        published=published.table1(),
    )


def table2(scale: Scale) -> Chapter:
    """AUC of five findings on CheXpert, five architectures, SGD schedule.

    Command: `transfusion-study --study=transfusion/table2`.
    Cost: 18 runs, 14 minutes.
    Paper: mixed. Transfer helps edema (CBR-Tiny 84.9 to 89.8 %) and pleural effusion,
    and costs a little on atelectasis and consolidation.
    """
    return scale.chapter(
        "table2",
        "Transfer and random weights on chest radiographs, finding by finding",
        "AUC of every finding on test, from random and from pretrained weights.",
        view="accuracy",
        runs=scale.runs(CHEST, scale.models["chest"], STARTS),
        options={"by_class": True},
        published=published.table2(),
    )


def table3(scale: Scale) -> Chapter:
    """The very small data regime: 5 000 training images on RETINA.

    Command: `transfusion-study --study=transfusion/table3`.
    Cost: 12 runs, 7 minutes.
    Paper: ResNet50 92.2 % from random weights, 94.6 % transferred; CBR-LargeT 93.6,
    93.9; CBR-LargeW 93.6, 93.7. Transfer helps the large model.
    """
    smallest = min(scale.train_examples)
    return scale.chapter(
        "table3",
        "The very small data regime",
        "AUC on test of models trained on few images: whom transfer helps.",
        view="accuracy",
        runs=scale.runs(
            RETINA,
            scale.models["scarce"],
            STARTS,
            train_examples=scale.train_examples[smallest],
        ),
        published=published.table4(scale.train_examples, smallest_only=True),
        notes=_size_notes(scale, (smallest,)),
    )


def table4(scale: Scale) -> Chapter:
    """Data-size regimes on RETINA by start, mean_var and conv1 alone included.

    Command: `transfusion-study --study=transfusion/table4`.
    Cost: 39 runs, 28 minutes.
    Paper, ResNet50 transferred and random: 94.6 and 92.2 % at 5k images, 94.8 and
    93.3 at 10k, 95.7 and 95.3 at 50k, 96.0 and 95.9 at 100k; mean_var 94.4 at 10k;
    conv1 alone 92.9 at 5k.
    """
    smallest = min(scale.train_examples)
    large, scarce = scale.models["large"], scale.models["scarce"]
    first_stage = stages_of(large[0])[0]
    runs = list(table3(scale).runs)
    for paper_size, size in scale.train_examples.items():
        third = f"transfer:{first_stage}" if paper_size == smallest else "mean_var"
        starts = (*STARTS, third)
        runs += scale.runs(RETINA, large, starts, train_examples=size)
    # All of the data, for every model that was also trained on little.
    runs += scale.runs(RETINA, scarce, STARTS)
    runs += scale.runs(RETINA, large, ("mean_var",))
    return scale.chapter(
        "table4",
        "How much data it takes",
        "AUC on test by number of training images and start.",
        view="data_sizes",
        runs=runs,
        published=published.table4(scale.train_examples),
        notes=_size_notes(scale, tuple(scale.train_examples)),
    )


def table5(scale: Scale) -> Chapter:
    """CCA between models of one start with different seeds, stage by stage.

    Command: `transfusion-study --study=transfusion/table5`.
    Cost: 12 runs, 11 minutes, and 3 minutes of analysis.
    Paper, lowest stage: ResNet50 0.865 between models from the same pretrained
    weights, 0.647 between random starts; CBR-Small 0.825 and 0.723.
    """
    return scale.chapter(
        "table5",
        "Similarity between models of the same start",
        "Mean CCA between trained models from the same pretrained weights, between "
        "models from random weights, and the difference, by stage.",
        view="similarity_by_start",
        runs=_population(scale, "pair"),
        options=scale.options["similarity"],
        published=published.table5(),
    )


def figure2(scale: Scale) -> Chapter:
    """Are random and pretrained starts further apart than two random starts?

    Command: `transfusion-study --study=transfusion/figure2`.
    Cost: 24 runs, 19 minutes, and 8 minutes of analysis.
    Paper: for ResNet50 and Inception-v3 clearly so; for the CBR models hardly.
    """
    return scale.chapter(
        "figure2",
        "Pretrained and random starts, against two random starts",
        "Mean CCA at the top two stages of trained models: pairs of a random and a "
        "pretrained start, and pairs of two random starts.",
        view="similarity_of_starts",
        runs=_population(scale, "all"),
        options={**scale.options["similarity"], "top_stages": 2},
    )


def figure3(scale: Scale) -> Chapter:
    """Similarity before and after training, stage by stage.

    Command: `transfusion-study --study=transfusion/figure3`.
    Cost: 24 runs, 19 minutes, and 8 minutes of analysis.
    Paper: ResNet50 moves less than the CBR models, most so at conv1; pretrained
    weights stay nearer to their start than random ones in the lowest stages only.
    """
    return scale.chapter(
        "figure3",
        "How far training moves each stage",
        "Mean CCA of a model before and after training, by stage; beside it, that of "
        "pretrained minus that of random starts.",
        view="before_and_after",
        runs=_population(scale, "all"),
        options=scale.options["similarity"],
    )


def figure4(scale: Scale) -> Chapter:
    """Do models that start alike end alike? R² at conv1 and at higher stages.

    Command: `transfusion-study --study=transfusion/figure4`.
    Cost: 12 runs, 11 minutes, and 6 minutes of analysis.
    Paper, lowest stage: R² 0.838 for pairs of random ResNet50s and 0.752 for mixed
    pairs; 0.197 and 0.160 for CBR-Small. Higher stages: 0.322 at most.
    """
    return scale.chapter(
        "figure4",
        "Similarity at initialization against similarity after training",
        "Each point is a pair of models. A line that fits says that what a pair "
        "shared at the start it still shares at the end.",
        view="start_and_end",
        runs=_population(scale, "pair"),
        options=scale.options["similarity"],
        published=published.figure4(),
    )


def figure5(scale: Scale) -> Chapter:
    """First-layer filters before and after training on RETINA.

    Command: `transfusion-study --study=transfusion/figure5`.
    Cost: 4 runs, 3 minutes.
    Paper: ResNet50's filters hardly change; CBR-Small's change much, and training
    erases some of the Gabor filters that it starts with.
    """
    return scale.chapter(
        "figure5",
        "First-layer filters before and after training on RETINA",
        "Filters of one run of each start, before and after, on one scale; how far "
        "they moved, and how much of a Gabor function is in them.",
        view="filters",
        runs=scale.runs(RETINA, scale.models["pair"], STARTS, seeds=1),
    )


def figure6(scale: Scale) -> Chapter:
    """Convergence of transfer, mean_var and random weights on both tasks.

    Command: `transfusion-study --study=transfusion/figure6`.
    Cost: 27 runs, 24 minutes.
    Paper: mean_var, which keeps only the scale of the pretrained weights, converges
    faster than random weights on RETINA and on CheXpert's consolidation.
    """
    starts = ("random", "mean_var", "transfer")
    return scale.chapter(
        "figure6",
        "Does the scale of the pretrained weights speed training up?",
        "Validation metric over training from random weights, from the scale of the "
        "pretrained weights alone (mean_var), and from the weights themselves.",
        view="convergence",
        runs=[
            *scale.runs(RETINA, scale.models["large"] + scale.models["second"], starts),
            *scale.runs(CHEST, scale.models["large"], starts),
        ],
    )


def figure7(scale: Scale) -> Chapter:
    """Weight transfusion into ResNet50: donor weights up to each stage.

    Command: `transfusion-study --study=transfusion/figure7`.
    Cost: 18 runs, 17 minutes.
    Paper: conv1 alone gives the largest gain in convergence speed; each further
    stage gives less.
    """
    return scale.chapter(
        "figure7",
        "Weight transfusion: where the gain in speed comes from",
        "Donor weights up to a stage, random weights above: curves, and steps to a "
        "threshold of the validation metric.",
        view="stages",
        runs=_transfusion(scale, scale.models["large"]),
        options=scale.options["convergence"],
    )


def figure8(scale: Scale) -> Chapter:
    """Hybrids: a slim top on donor weights, and synthetic Gabor filters.

    Command: `transfusion-study --study=transfusion/figure8`.
    Cost: 21 runs, 16 minutes.
    Paper, steps to a test AUC of 0.91: ResNet50 69 069 from random weights, 25 425
    from Gabor filters, 8 208 slim on the donor's weights, 8 008 transferred;
    CBR-LargeW 104 104 from random weights, 82 082 from Gabor filters, 19 419
    transferred.
    """
    return scale.chapter(
        "figure8",
        "Hybrid approaches: a slim top, synthetic Gabor filters",
        f"{_large_name(scale)} with donor weights up to {slim_model(scale)[1]} and "
        "half of the channels above; synthetic Gabor filters as first layer; random "
        "weights and full transfer.",
        view="convergence",
        runs=[
            *scale.runs(RETINA, scale.models["large"], (*STARTS, "gabor")),
            *scale.runs(RETINA, scale.models["second"], (*STARTS, "gabor")),
            *_slim(scale, "transfer"),
        ],
        options={**scale.options["convergence"], "together": True},
        published=published.figure8(),
    )


def figure9(scale: Scale) -> Chapter:
    """First-layer filters of CBR-Small on chest radiographs.

    Command: `transfusion-study --study=transfusion/figure9`.
    Cost: 2 runs, 1 minute.
    Paper: as figure 5: the small model's filters change much.
    """
    return scale.chapter(
        "figure9",
        "First-layer filters of CBR-Small on chest radiographs",
        "Filters before and after training from random and from pretrained weights.",
        view="filters",
        runs=scale.runs(CHEST, ("cbr_small",), STARTS, seeds=1),
    )


def figure10(scale: Scale) -> Chapter:
    """First-layer filters of ResNet50 on chest radiographs.

    Command: `transfusion-study --study=transfusion/figure10`.
    Cost: 2 runs, 2 minutes.
    Paper: as figure 5: the large model's filters hardly change.
    """
    largest = scale.models["chest"][0]
    return scale.chapter(
        "figure10",
        f"First-layer filters of {_NAMES[largest]} on chest radiographs",
        "Filters before and after training from random and from pretrained weights.",
        view="filters",
        runs=scale.runs(CHEST, (largest,), STARTS, seeds=1),
    )


def figure12(scale: Scale) -> Chapter:
    """Fixed features on RETINA: stages frozen up to each, three treatments.

    Command: `transfusion-study --study=transfusion/figure12`.
    Cost: 33 runs, 8 minutes.
    Paper: pretrained features are much better than random ones when frozen; random
    weights above the frozen stages do as well as the donor's (no co-adaptation).
    """
    return _frozen("figure12", scale, "retina", "RETINA")


def figure13(scale: Scale) -> Chapter:
    """Fixed features on chest radiographs: as figure 12.

    Command: `transfusion-study --study=transfusion/figure13`.
    Cost: 33 runs, 11 minutes.
    Paper: pretrained features are better for most findings, by less than on RETINA.
    """
    return _frozen("figure13", scale, "chest", "chest radiographs")


def figure14(scale: Scale) -> Chapter:
    """Weights of the first layer by initialization: histogram and filters.

    Command: `transfusion-study --study=transfusion/figure14`.
    Cost: 3 runs, 2 minutes.
    Paper: mean_var has the mean and variance of the pretrained weights, not their
    heavy-tailed distribution, and none of their Gabor-like structure.
    """
    return scale.chapter(
        "figure14",
        "First-layer weights by initialization",
        "Distribution of the first layer's weights, and its filters, before training.",
        view="filters",
        runs=scale.runs(
            RETINA, scale.models["large"], ("transfer", "random", "mean_var"), seeds=1
        ),
        options={"histogram": True},
    )


def figure15(scale: Scale) -> Chapter:
    """Convergence of mean_var on RETINA with CBR-LargeW, CBR-Small and CBR-Tiny.

    Command: `transfusion-study --study=transfusion/figure15`.
    Cost: 18 runs, 8 minutes.
    Paper: the effect of mean_var is less pronounced in the smaller models.
    """
    return scale.chapter(
        "figure15",
        "Convergence by initialization in the CBR models",
        "Validation metric over training for three CBR models.",
        view="convergence",
        runs=scale.runs(
            RETINA,
            scale.models["cbr"],
            ("random", "mean_var", "transfer"),
        ),
    )


def figure16(scale: Scale) -> Chapter:
    """Convergence of ResNet50 on chest radiographs, finding by finding.

    Command: `transfusion-study --study=transfusion/figure16`.
    Cost: 9 runs, 10 minutes.
    Paper: mean_var is faster than random weights for all findings but cardiomegaly.
    """
    return scale.chapter(
        "figure16",
        "Convergence on chest radiographs, finding by finding",
        "Validation AUC of every finding over training.",
        view="convergence",
        runs=scale.runs(
            CHEST, scale.models["large"], ("random", "mean_var", "transfer")
        ),
        options={"by_class": True},
    )


def figure17(scale: Scale) -> Chapter:
    """Three treatments of batch norm under mean_var.

    Command: `transfusion-study --study=transfusion/figure17`.
    Cost: 15 runs, 16 minutes.
    Paper (means of five runs): identity is slightly better than resampled
    parameters; the donor's own are the worst.
    """
    return scale.chapter(
        "figure17",
        "Batch norm under mean_var: identity, resampled, transferred",
        "Other layers from mean_var. Random weights and full transfer for reference.",
        view="convergence",
        runs=scale.runs(
            RETINA,
            scale.models["large"],
            ("mean_var", "mean_var[bn=mean_var]", "mean_var[bn=transfer]", *STARTS),
            seeds=scale.more_seeds.get("figure17"),
        ),
    )


def figure18(scale: Scale) -> Chapter:
    """mean_var against the full distribution of the pretrained weights.

    Command: `transfusion-study --study=transfusion/figure18`.
    Cost: 15 runs, 14 minutes.
    Paper (means of three runs): mean_var converges like weights drawn from the
    pretrained ones (sampled) and like the pretrained ones shuffled.
    """
    return scale.chapter(
        "figure18",
        "mean_var against sampled and shuffled weights",
        "Does more than mean and variance of the pretrained weights matter?",
        view="convergence",
        runs=scale.runs(
            RETINA, scale.models["large"], ("mean_var", "sampled", "shuffled", *STARTS)
        ),
    )


def figure19(scale: Scale) -> Chapter:
    """Weight transfusion into ResNet50 and CBR-LargeW.

    Command: `transfusion-study --study=transfusion/figure19`.
    Cost: 33 runs, 25 minutes.
    Paper: the same in both: the lowest stages give the largest speed-up. In
    CBR-LargeW the higher stages add a little more.
    """
    return scale.chapter(
        "figure19",
        "Weight transfusion in two architectures",
        f"As figure 7, and for {_NAMES[scale.models['second'][0]]}.",
        view="stages",
        runs=_transfusion(scale, scale.models["large"] + scale.models["second"]),
        options=scale.options["convergence"],
    )


def figure20(scale: Scale) -> Chapter:
    """The slim ResNet50 without any pretrained weights.

    Command: `transfusion-study --study=transfusion/figure20`.
    Cost: 12 runs, 9 minutes.
    Paper: from random weights it is much slower than on the donor's weights.
    """
    return scale.chapter(
        "figure20",
        f"The slim {_large_name(scale)} from random weights",
        f"Half of the channels above {slim_model(scale)[1]}, with and without the "
        "donor's weights.",
        view="convergence",
        runs=[
            *scale.runs(RETINA, scale.models["large"], STARTS),
            *_slim(scale, "transfer"),
            *_slim(scale, "random"),
        ],
        options={**scale.options["convergence"], "together": True},
        published=published.figure8(("resnet50",)),
    )


def figure21(scale: Scale) -> Chapter:
    """The bank of 64 synthetic Gabor filters (appendix F.3).

    Command: `transfusion-study --study=transfusion/figure21`.
    Cost: no run, seconds.
    Paper: 16 orientations by 4 frequencies (0.08, 0.16, 0.25, 0.32 cycles a pixel),
    sigma 2, 7 × 7 pixels, grey.
    """
    return scale.chapter(
        "figure21",
        "The synthetic Gabor filters",
        "16 orientations, 4 frequencies, 7 × 7 pixels, repeated over the colours.",
        view="gabor_bank",
    )


CHAPTERS: dict[str, Callable[[Scale], Chapter]] = {
    function.__name__: function
    for function in (
        table1,
        table2,
        table3,
        table4,
        table5,
        figure2,
        figure3,
        figure4,
        figure5,
        figure6,
        figure7,
        figure8,
        figure9,
        figure10,
        figure12,
        figure13,
        figure14,
        figure15,
        figure16,
        figure17,
        figure18,
        figure19,
        figure20,
        figure21,
    )
}


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What the paper claims, about the models that the scale trains."""
    from transfusion_tf_experiments.papers import transfusion_claims

    return transfusion_claims.claims(scale)


def own_data_notes(card: DatasetCard) -> tuple[str, ...]:
    """What the paper's tasks become on a card that is not the paper's."""
    notes = []
    if card.metric != "referable_auc":
        notes.append(
            f"Labels of kind {card.labels.kind} have no referable grade: {card.metric} "
            "is measured where the paper has the AUC of referable disease."
        )
    if card.labels.kind != "findings":
        notes.append("Classes of this card stand where the paper has five findings.")
    return tuple(notes)


def slim_model(scale: Scale) -> tuple[str, str]:
    """The large model with half of its channels above its third stage.

    Returns:
      The model's name, and the stage's: block2 in ResNet50.
    """
    (large,) = scale.models["large"]
    stage = stages_of(large)[2]
    return f"{large}[slim_after={stage},width=0.5]", stage


def _population(scale: Scale, kind: str) -> Runs:
    """Runs whose representations are compared: both starts, RETINA."""
    seeds = scale.more_seeds.get("similarity")
    return scale.runs(RETINA, scale.models[kind], STARTS, seeds=seeds)


def _transfusion(scale: Scale, models: Sequence[str]) -> Runs:
    """Donor weights up to no stage, each stage, all stages."""
    runs: list[RunConfig] = []
    for model in models:
        between = (f"transfer:{stage}" for stage in scale.levels_of(model))
        runs += scale.runs(RETINA, (model,), ("random", *between, "transfer"))
    return tuple(runs)


def _slim(scale: Scale, start: str) -> Runs:
    """The large model with half of the channels above its third stage."""
    model, stage = slim_model(scale)
    start = f"transfer:{stage}" if start == "transfer" else start
    return scale.runs(RETINA, (model,), (start,))


def _frozen(name: str, scale: Scale, task: str, where: str) -> Chapter:
    runs: list[RunConfig] = []
    for model in scale.models[f"frozen/{task}"]:
        for stage in scale.levels_of(model):
            starts = ("transfer", f"transfer:{stage}", "random")
            runs += scale.runs((task,), (model,), starts, freeze=stage)
        # Above the last stage is the head alone: all of the donor below is all of it.
        last = stages_of(model)[-1]
        runs += scale.runs((task,), (model,), STARTS, freeze=last)
    return scale.chapter(
        name,
        f"Fixed features on {where}",
        "Stages up to one are frozen, the rest is trained: all from the donor; the "
        "donor below and random weights above; random weights throughout.",
        view="frozen",
        runs=runs,
        options={"by_class": task == "chest"},
    )


def _large_name(scale: Scale) -> str:
    return _NAMES[scale.models["large"][0]]


def _size_notes(scale: Scale, sizes: tuple[int, ...]) -> tuple[str, ...]:
    changed = [size for size in sizes if scale.train_examples[size] != size]
    if not changed:
        return ()
    pairs = ", ".join(
        f"{scale.train_examples[size]:,} for {size:,}" for size in changed
    )
    return (f"Numbers of training images here stand for the paper's: {pairs}.",)
