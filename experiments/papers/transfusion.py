"""Transfusion (Raghu, Zhang, Kleinberg, Bengio; NeurIPS 2019), table by table.

Each function of `CHAPTERS` is one table or figure: the runs that it is made of at a
scale, how it is drawn, and the paper's numbers. `transfusion-study
--study=transfusion/table1` makes the one of that name at `--scale=paper` (the paper's
own sizes and hyperparameters), `small` (drawn data, two CPU cores) or `smoke`
(seconds); `--study=transfusion/all` makes them all, every run once, with a front page
that says which of the paper's findings hold.

Costs are for the scale `small` on two CPU cores, for a study on its own, without the
donors that it may have to pretrain first (9 minutes for all four). At the scale
`paper`, a run of ResNet50 on RETINA takes about a day on one GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers import transfusion_accuracy as accuracy
from transfusion_tf_experiments.papers import transfusion_convergence as convergence
from transfusion_tf_experiments.papers import (
    transfusion_representations as representations,
)
from transfusion_tf_experiments.papers.scale import Scale, named_chapters
from transfusion_tf_experiments.papers.transfusion_scales import SCALES as SCALES

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.studies.claims import Claim

TITLE = "Transfusion (Raghu et al., NeurIPS 2019)"

CHAPTERS = named_chapters(
    accuracy.table1,
    accuracy.table2,
    accuracy.table3,
    accuracy.table4,
    representations.figure1,
    representations.table5,
    representations.figure2,
    representations.figure3,
    representations.figure4,
    representations.figure5,
    convergence.figure6,
    convergence.figure7,
    convergence.figure8,
    representations.figure9,
    representations.figure10,
    accuracy.figure12,
    accuracy.figure13,
    representations.figure14,
    convergence.figure15,
    convergence.figure16,
    convergence.figure17,
    convergence.figure18,
    convergence.figure19,
    convergence.figure20,
    representations.figure21,
)


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What the paper claims, about the models that the scale trains."""
    from transfusion_tf.studies.claims import with_learned_runs
    from transfusion_tf_experiments.papers import transfusion_claims

    return with_learned_runs(transfusion_claims.claims(scale))


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
