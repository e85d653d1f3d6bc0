"""Chapters of Transfusion about the speed of convergence, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.published_numbers import read_published
from transfusion_tf_experiments.papers.scale import Scale, stages_of
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


def figure6(scale: Scale) -> Chapter:
    """Convergence of transfer, mean_var and random weights on both tasks.

    Cost: 18 runs, 16 minutes.
    Paper: mean_var, which keeps only the scale of the pretrained weights, converges
    faster than random weights: (a) ResNet50 and (b) CBR-LargeT on RETINA, (c) ResNet50
    on CheXpert's consolidation.
    """
    starts = ("random", "mean_var", "transfer")
    chest = scale.tasks["chest"].base.dataset
    return scale.chapter(
        "Does the scale of the pretrained weights speed training up?",
        "The metric over training from random weights, from the scale of the "
        "pretrained weights alone (mean_var), and from the weights themselves; on "
        "chest radiographs, of consolidation.",
        view="convergence",
        runs=[
            *scale.runs(RETINA, ("large", "large_cbr"), starts),
            *scale.runs(CHEST, ("large",), starts),
        ],
        options={"class_of": {chest: "Consolidation"}},
    )


def figure7(scale: Scale) -> Chapter:
    """Weight transfusion into ResNet50: donor weights up to each stage.

    Cost: 18 runs, 17 minutes.
    Paper: conv1 alone gives the largest gain in convergence speed; each further
    stage gives less.
    """
    return scale.chapter(
        "Weight transfusion: where the gain in speed comes from",
        "Donor weights up to a stage, random weights above: curves, and steps to a "
        "threshold of the metric.",
        view="stages",
        runs=_transfusion(scale, ("large",)),
        options=scale.options["convergence"],
    )


def figure8(scale: Scale) -> Chapter:
    """Hybrids: a slim top on donor weights, and synthetic Gabor filters.

    Cost: 21 runs, 16 minutes.
    Paper, steps to a test AUC of 0.91: ResNet50 69 069 from random weights, 25 425
    from Gabor filters, 8 208 slim on the donor's weights, 8 008 transferred;
    CBR-LargeW 104 104 from random weights, 82 082 from Gabor filters, 19 419
    transferred.
    """
    return scale.chapter(
        "Hybrid approaches: a slim top, synthetic Gabor filters",
        f"{_large_name(scale)} with donor weights up to {slim_model(scale)[1]} and "
        "half of the channels above; synthetic Gabor filters as first layer; random "
        "weights and full transfer.",
        view="convergence",
        runs=[
            *_race(scale, ("large", "second"), (*STARTS, "gabor")),
            *_slim(scale, "transfer"),
        ],
        options={**scale.options["convergence"], "together": True},
        published=read_published("transfusion_figure8"),
    )


def figure15(scale: Scale) -> Chapter:
    """Convergence of mean_var on RETINA with CBR-LargeW, CBR-Small and CBR-Tiny.

    Cost: 18 runs, 8 minutes.
    Paper: the effect of mean_var is less pronounced in the smaller models.
    """
    return scale.chapter(
        "Convergence by initialization in the CBR models",
        "The metric over training for three CBR models.",
        view="convergence",
        runs=scale.runs(
            RETINA,
            ("cbr",),
            ("random", "mean_var", "transfer"),
        ),
    )


def figure16(scale: Scale) -> Chapter:
    """Convergence of ResNet50 on chest radiographs, finding by finding.

    Cost: 9 runs, 10 minutes.
    Paper: mean_var is faster than random weights for all findings but cardiomegaly.
    """
    return scale.chapter(
        "Convergence on chest radiographs, finding by finding",
        "The AUC of every finding over training.",
        view="convergence",
        runs=scale.runs(CHEST, ("large",), ("random", "mean_var", "transfer")),
        options={"by_class": True},
    )


def figure17(scale: Scale) -> Chapter:
    """Three treatments of batch norm under mean_var.

    Cost: 15 runs, 16 minutes.
    Paper (means of five runs): identity is slightly better than resampled
    parameters; the donor's own are the worst.
    """
    return scale.chapter(
        "Batch norm under mean_var: identity, resampled, transferred",
        "Other layers from mean_var. Random weights and full transfer for reference.",
        view="convergence",
        runs=scale.runs(
            RETINA,
            ("large",),
            ("mean_var", "mean_var[bn=mean_var]", "mean_var[bn=transfer]", *STARTS),
            seeds=scale.more_seeds.get("figure17"),
        ),
    )


def figure18(scale: Scale) -> Chapter:
    """mean_var against the full distribution of the pretrained weights.

    Cost: 15 runs, 14 minutes.
    Paper (means of three runs): mean_var converges like weights drawn from the
    pretrained ones (sampled) and like the pretrained ones shuffled.
    """
    return scale.chapter(
        "mean_var against sampled and shuffled weights",
        "Does more than mean and variance of the pretrained weights matter?",
        view="convergence",
        runs=scale.runs(
            RETINA, ("large",), ("mean_var", "sampled", "shuffled", *STARTS)
        ),
    )


def figure19(scale: Scale) -> Chapter:
    """Weight transfusion into ResNet50 and CBR-LargeW.

    Cost: 33 runs, 25 minutes.
    Paper: the same in both: the lowest stages give the largest speed-up. In
    CBR-LargeW the higher stages add a little more.
    """
    return scale.chapter(
        "Weight transfusion in two architectures",
        f"As figure 7, and for {PRINTED_NAMES[scale.models['second'][0]]}.",
        view="stages",
        runs=_transfusion(scale, ("large", "second")),
        options=scale.options["convergence"],
    )


def figure20(scale: Scale) -> Chapter:
    """The slim ResNet50 without any pretrained weights.

    Cost: 12 runs, 9 minutes.
    Paper: from random weights it is much slower than on the donor's weights.
    """
    resnets = (
        row
        for row in read_published("transfusion_figure8")
        if row["model"].startswith("resnet50")
    )
    return scale.chapter(
        f"The slim {_large_name(scale)} from random weights",
        f"Half of the channels above {slim_model(scale)[1]}, with and without the "
        "donor's weights.",
        view="convergence",
        runs=[
            *_race(scale, ("large",), STARTS),
            *_slim(scale, "transfer"),
            *_slim(scale, "random"),
        ],
        options={**scale.options["convergence"], "together": True},
        published=tuple(resnets),
    )


def slim_model(scale: Scale) -> tuple[str, str]:
    """The large model with half of its channels above its third stage.

    Returns:
      The model's name, and the stage's: block2 in ResNet50.
    """
    (large,) = scale.models["large"]
    stage = stages_of(large)[2]
    return f"{large}[slim_after={stage},width=0.5]", stage


def _transfusion(scale: Scale, kinds: Sequence[str]) -> Runs:
    """Donor weights up to no stage, each stage, all stages."""
    runs: list[RunConfig] = []
    for model in scale.models_of(kinds):
        between = (f"transfer:{stage}" for stage in scale.levels_of(model))
        runs += _race(scale, (model,), ("random", *between, "transfer"))
    return tuple(runs)


def _slim(scale: Scale, start: str) -> Runs:
    """The large model with half of the channels above its third stage."""
    model, stage = slim_model(scale)
    start = f"transfer:{stage}" if start == "transfer" else start
    return _race(scale, (model,), (start,))


def _race(scale: Scale, models: Sequence[str], starts: Sequence[str]) -> Runs:
    """Runs on RETINA whose steps to a threshold are counted."""
    return scale.runs(RETINA, models, starts, seeds=scale.more_seeds.get("race"))


def _large_name(scale: Scale) -> str:
    return PRINTED_NAMES[scale.models["large"][0]]
