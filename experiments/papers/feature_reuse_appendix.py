"""Chapters of feature reuse's appendices A and C: figures 3 and 5 in full.

All four models on all data sets, as the chapters on figures 4 and 6 have them, which
are appendices D and B too. The body names figure 9 (A), figure 16 (C) and figure 17
(D), and says what these appendices hold; what each of their other figures shows is not
in the text that this was made from.
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

    Cost: 24 runs, 5 minutes, and 2 minutes of analysis.
    Paper: "A common trend shared by both ViTs and CNNs is that when more data is
    available, the transition point from feature reuse to feature adaptation shifts
    towards earlier layers".
    """
    starts = (scale.statistics, WEIGHTS)
    runs = scale.runs(("sweep", "few", "many"), TABLE1, starts)
    return dataclasses.replace(
        layers.figure3(scale),
        title="Appendix A: similarity of all layers, all models",
        runs=tuple(dict.fromkeys(runs)),
    )


def appendix_c(scale: Scale) -> Chapter:
    """Appendix C, figure 16: re-initialization robustness, all four models.

    Cost: 36 runs, 7 minutes, and 2 minutes of analysis.
    Paper: where transfer is least effective "the gap in robustness between WT and ST is
    at its smallest".
    """
    return dataclasses.replace(
        layers.figure5(scale),
        title="Appendix C: re-initialization robustness, all models",
        runs=sweeps(scale),
    )
