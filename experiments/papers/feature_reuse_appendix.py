"""Chapters of feature reuse's appendices A to D: figures 3 to 6 in full.

All four models on all data sets. The body names figure 9 (A), figure 16 (C) and figure
17 (D), and says what these appendices hold; what each of their other figures shows is
not in the text that this was made from.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers import feature_reuse_layers as layers
from transfusion_tf_experiments.papers.feature_reuse_models import (
    TABLE1,
    WEIGHTS,
    sweeps,
)
from transfusion_tf_experiments.papers.scale import Scale

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter


def appendix_a(scale: Scale) -> Chapter:
    """Appendix A, figure 9 on: CKA of every layer with every layer, all four models.

    Command: `transfusion-study --study=feature_reuse/appendix_a`.
    Cost: 24 runs, 5 minutes, and 2 minutes of analysis.
    Paper: "A common trend shared by both ViTs and CNNs is that when more data is
    available, the transition point from feature reuse to feature adaptation shifts
    towards earlier layers".
    """
    starts = (scale.statistics, WEIGHTS)
    runs = scale.runs(("sweep", "few", "many"), TABLE1, starts)
    return dataclasses.replace(
        layers.figure3(scale),
        name="appendix_a",
        title="Appendix A: similarity of all layers, all models",
        runs=tuple(dict.fromkeys(runs)),
    )


def appendix_b(scale: Scale) -> Chapter:
    """Appendix B: k-NN evaluation at every depth, all four models.

    Command: `transfusion-study --study=feature_reuse/appendix_b`.
    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: "A notable outlier is ISIC, where k-NN improvement is delayed."
    """
    return dataclasses.replace(
        layers.figure6(scale),
        name="appendix_b",
        title="Appendix B: what features are good for, all models",
        runs=sweeps(scale),
    )


def appendix_c(scale: Scale) -> Chapter:
    """Appendix C, figure 16: re-initialization robustness, all four models.

    Command: `transfusion-study --study=feature_reuse/appendix_c`.
    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: where transfer is least effective "the gap in robustness between WT and ST is
    at its smallest".
    """
    return dataclasses.replace(
        layers.figure5(scale),
        name="appendix_c",
        title="Appendix C: re-initialization robustness, all models",
        runs=sweeps(scale),
    )


def appendix_d(scale: Scale) -> Chapter:
    """Appendix D, figure 17: how far weights travel on each data set.

    Command: `transfusion-study --study=feature_reuse/appendix_d`.
    Cost: 36 runs, 7 minutes, and a minute of analysis.
    Paper: weights stay near, "more so when transfer learning gains are strongest".
    """
    return dataclasses.replace(
        layers.figure4(scale),
        name="appendix_d",
        title="Appendix D: which weights change, by data set",
        text="Distance that each layer's weights travel from their start, over the "
        "number of weights, mean over its tensors, on each data set.",
    )
