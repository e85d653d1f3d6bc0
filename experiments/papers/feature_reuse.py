"""Feature reuse (Matsoukas et al.; CVPR 2022), table by table and figure by figure.

"What Makes Transfer Learning Work for Medical Images: Feature Reuse & Other Factors".
Weight transfer (WT) is `transfer` here, stats transfer (ST) `mean_var`, random
initialization (RI) `random`, and WT-ST `transfer:STAGE+mean_var`. Each function of
`CHAPTERS` is one table or figure: the runs that it is made of at a scale, how it is
drawn, and the paper's numbers. `transfusion-study --study=feature_reuse/table1` makes
the one of that name at `--scale=paper` (the paper's own sizes and hyperparameters),
`published_code` (the same with what the authors' code adds), `small` (drawn data, small
siblings of the models, two CPU cores) or `smoke` (seconds); `--study=feature_reuse/all`
makes them all, every run once.

Costs are for the scale `small` in minutes of one CPU core, estimated from single runs,
for a study on its own, without the donors that it may have to pretrain first (5
minutes). At the scale `paper`, a run of DeiT-S on CheXpert takes about half a day on
one GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers import feature_reuse_accuracy as accuracy
from transfusion_tf_experiments.papers import feature_reuse_appendix as appendix
from transfusion_tf_experiments.papers import feature_reuse_layers as layers
from transfusion_tf_experiments.papers.feature_reuse_rates import learning_rates
from transfusion_tf_experiments.papers.feature_reuse_scales import SCALES as SCALES
from transfusion_tf_experiments.papers.scale import Scale, named_chapters

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.studies.claims import Claim

TITLE = "Feature reuse (Matsoukas et al., CVPR 2022)"

CHAPTERS = named_chapters(
    accuracy.table1,
    accuracy.figure1,
    accuracy.figure2,
    layers.figure3,
    layers.figure4,
    layers.figure5,
    layers.figure6,
    accuracy.figure7,
    accuracy.figure8,
    layers.attention_distance,
    accuracy.truncated_deit,
    accuracy.capacity,
    appendix.appendix_a,
    appendix.appendix_c,
)
# Studies of their own: no part of `feature_reuse/all`.
APART = named_chapters(learning_rates)


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What the paper claims, about the models that the scale trains."""
    from transfusion_tf.studies.claims import with_learned_runs
    from transfusion_tf_experiments.papers import feature_reuse_claims

    return with_learned_runs(feature_reuse_claims.claims(scale))


def own_data_notes(card: DatasetCard) -> tuple[str, ...]:
    """What the paper's tasks become on a card that is not the paper's."""
    return (
        f"{card.title} stands where the paper has five data sets: nothing here says "
        "what more data or another domain would change.",
    )
