"""Chapters of feature reuse that look into the layers of trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.feature_reuse_models import (
    SWEEP,
    WEIGHTS,
    cnn,
    deit,
    sweeps,
)
from transfusion_tf_experiments.papers.scale import Scale

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter

# Figure 6, footnote 3; `transfusion_tf.representations.residual_branches`.
_BRANCHES = (
    "Transformers are read at what each attention and each MLP gives, before it is "
    "added to the residual stream."
)


def figure3(scale: Scale) -> Chapter:
    """CKA of every layer with every layer: before and after, and ST against WT.

    Cost: 12 runs, 3 minutes, and a minute of analysis.
    Paper: DeiT keeps its early and middle layers and adapts the later; ResNet50 keeps
    all but its last. Layers of an ST model resemble the first half of a WT model's in
    DeiT; CNNs learn similar features from either start.
    """
    return scale.chapter(
        "What transfer keeps: similarity of all layers",
        "Linear CKA of every layer with every layer: of a run before and after "
        "training, from transferred weights; and of a run from statistics with one "
        "from weights, both trained, and both untrained: what the architecture alone "
        f"makes alike. {_BRANCHES}",
        view="layer_similarity",
        measurements=("layer_cka", "layer_cka_pairs", "layer_cka_pairs_initial"),
        runs=scale.runs(
            SWEEP,
            (deit(scale), cnn(scale)),
            (scale.statistics, WEIGHTS),
        ),
        options=scale.options["layers"],
    )


def figure4(scale: Scale) -> Chapter:
    """How far weights travel in training, layer by layer, by WT-ST fraction.

    With appendix D, figure 17: on each data set.

    Cost: 36 runs, 7 minutes, and a minute of analysis.
    Paper: transferred weights stay near; the more of a network begins from statistics,
    the further it moves. The patchifier and the first block at each scale move anyway.
    Weights stay near "more so when transfer learning gains are strongest".
    """
    return scale.chapter(
        "Which transferred weights change? With appendix D",
        "Distance that each layer's weights travel from their start, over the number "
        "of weights, mean over its tensors; on each data set, and mean over them.",
        view="travel",
        measurements=("travel",),
        runs=sweeps(scale),
        options=scale.options["travel"],
    )


def figure5(scale: Scale) -> Chapter:
    """Re-initialization robustness: each layer in turn set back to its start.

    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: from transferred weights few layers are critical; in DeiT under WT-ST those
    at the transition; in ResNet50 the last ones and those where the scale changes.
    """
    return scale.chapter(
        "Re-initialization robustness",
        "Test metric that is lost where one layer of the trained model is set back to "
        "the weights it began from. In transformers that is an attention or an MLP, "
        "without the layer norm before it.",
        view="robustness",
        measurements=("robustness",),
        runs=sweeps(scale, (deit(scale), cnn(scale))),
        options=scale.options["robustness"],
    )


def figure6(scale: Scale) -> Chapter:
    """k-NN evaluation at every depth, by WT-ST fraction.

    With appendix B: all four models on all data sets.

    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: DeiT's features are good for the task from the middle on, and the best score
    at any depth saturates halfway as more stages are transferred; those of ResNet50
    improve up to its last layers. "A notable outlier is ISIC, where k-NN improvement is
    delayed."
    """
    return scale.chapter(
        "Are reused features low-level or high-level? With appendix B",
        "Test metric of a vote of the nearest training images (cosine similarity) by "
        f"their features at each depth. {_BRANCHES}",
        view="knn_by_depth",
        measurements=("knn",),
        runs=sweeps(scale),
        options=scale.options["neighbours"],
    )


def attention_distance(scale: Scale) -> Chapter:
    """Appendix E: how far the heads of every block look.

    Cost: 6 runs, 2 minutes.
    Paper: with transferred weights early blocks have heads that look near and heads
    that look far; from statistics none learns to look near.
    """
    return scale.chapter(
        "How far each head looks",
        "Mean attended distance of every head of a trained transformer, by block.",
        view="attention",
        measurements=("attention",),
        runs=scale.runs(
            SWEEP,
            (deit(scale),),
            (scale.statistics, WEIGHTS),
        ),
        options=scale.options["attention"],
    )
