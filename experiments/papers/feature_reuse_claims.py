"""What the feature-reuse paper claims (Matsoukas et al., CVPR 2022), and what would
show it here.

Each claim is an effect measured on runs of the study `feature_reuse/all`, and a rule
for its interval that was fixed before any run was made. Gains are WT / RI, feature
reuse is (WT - ST) / WT, as in the paper's figure 1.
"""

from collections.abc import Sequence
from typing import Any

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers import feature_reuse_models as trained
from transfusion_tf_experiments.papers.feature_reuse_effects import Effects
from transfusion_tf_experiments.papers.feature_reuse_models import TABLE1, WEIGHTS
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the models and data sets that the scale trains."""
    effects = Effects(scale)
    subjects = (
        _gain_claims,
        _reuse_claims,
        _layer_claims,
        _depth_claims,
        _capacity_claims,
        _appendix_claims,
    )
    return tuple(claim for subject in subjects for claim in subject(scale, effects))


def _gain_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """When transfer pays."""
    groups, models = scale.task_groups, scale.models_of(TABLE1)
    deit, cnns = trained.deit(scale), scale.models["cnns"]
    few, many = _listed(groups["few"]), _listed(groups["many"])
    alike = ", ".join(groups["alike"])
    return (
        Claim(
            "Transfer pays.",
            "table 1, section 3",
            "WT / RI of the test metric minus 1, mean over models and data sets",
            "of RI",
            "above",
            effects.excess(groups["main"], models),
            published=_published_gain() - 1,
        ),
        Claim(
            "Transfer pays more with less data.",
            "figure 1, section 3",
            f"WT / RI on {few} minus that on {many}, mean over models",
            "of RI",
            "above",
            effects.with_less_data(),
            published=_published_gain(dataset=("aptos2019", "cbis_ddsm", "isic2019"))
            - _published_gain(dataset=("chexpert_14_by_patient", "patch_camelyon")),
        ),
        Claim(
            "Transfer pays more the nearer the domain is to the source.",
            "figure 1, section 3",
            "WT / RI on the data set with the smallest Fréchet distance minus that on "
            f"the one with the largest, of {alike}, mean over models",
            "of RI",
            "above",
            effects.with_nearness(),
            published=_published_gain(dataset="isic2019")
            - _published_gain(dataset="patch_camelyon"),
        ),
        Claim(
            "Transfer pays more in models of weaker inductive bias.",
            "figure 1, section 3",
            f"WT / RI of {deit} minus that of {_listed(cnns)}, mean over data sets",
            "of RI",
            "above",
            effects.excess(groups["main"], (deit,))
            - effects.excess(groups["main"], cnns),
            published=_published_gain(model="deit_s")
            - _published_gain(model=("inception_v3", "resnet50")),
        ),
    )


def _published_gain(**wanted: Any) -> float:
    """WT / RI in figure 1, mean over models and data sets."""
    return published_mean("feature_reuse_figure1", quantity="relative_gain", **wanted)


def _reuse_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Whether features are reused where it pays, and which."""
    transformers, cnns = scale.models["transformers"], scale.models["cnns"]
    sweep = scale.task_groups["sweep"]
    first, swept = sweep[0], _listed(sweep)
    random, statistics, weights = (
        published_mean(
            "feature_reuse_table1", dataset="aptos2019", initialization=start
        )
        for start in ("random", "mean_var", "transfer")
    )
    return (
        Claim(
            "Where transfer pays more, more features are reused.",
            "figure 1, section 3",
            "rank correlation of WT / RI with (WT - ST) / WT of other seeds, over "
            "models and data sets",
            "rank correlation",
            "above",
            effects.gains_go_with_reuse(),
        ),
        Claim(
            "Where transfer pays most, statistics alone explain little of it.",
            "table 1, section 3",
            f"(WT - ST) minus (ST - RI) of the test metric, mean over models, {first}",
            "of the metric",
            "above",
            effects.weights_over_statistics(first),
            published=weights - 2 * statistics + random,
        ),
        Claim(
            "Transformers gain from their early blocks.",
            "figure 2, section 3",
            f"test metric of {_listed(transformers)} under WT-ST above the line "
            f"from ST to WT, mean over levels, {swept}",
            "of the metric",
            "above",
            effects.early(transformers),
        ),
        Claim(
            "CNNs gain evenly from all of their stages.",
            "figure 2, section 3",
            f"the same of {_listed(cnns)}",
            "of the metric",
            "alike",
            effects.early(cnns),
        ),
    )


def _layer_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What training does to transferred layers."""
    deit, cnn = trained.deit(scale), trained.cnn(scale)
    sweep = scale.task_groups["sweep"]
    first, swept = sweep[0], _listed(sweep)
    return (
        Claim(
            f"{deit} keeps its early layers and adapts the later ones.",
            "figure 3, section 3",
            "CKA of a layer before and after training from WT, mean over the first "
            "half of layers minus that over the second",
            "CKA",
            "above",
            effects.keeps_early_layers(deit),
        ),
        Claim(
            "CNNs learn similar features from either start, transformers do not.",
            "figure 3, section 3",
            "CKA of a layer between runs from ST and from WT, mean over layers, "
            f"{cnn} minus {deit}",
            "CKA",
            "above",
            effects.alike_after(cnn) - effects.alike_after(deit),
        ),
        Claim(
            "Transferred weights stay closer to where they began.",
            "figure 4, section 3",
            "distance travelled from WT over that from ST, mean over layers, models "
            f"and {swept}, taken from 1",
            "of ST",
            "above",
            effects.stays_closer(),
        ),
        Claim(
            "From transferred weights fewer layers are critical.",
            "figure 5, section 3",
            "test metric lost where a layer is set back to its start, mean over layers "
            f"and models, ST minus WT, {first}",
            "of the metric",
            "above",
            effects.fewer_critical(),
        ),
    )


def _depth_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What each depth of a network is good for."""
    deit, cnn = trained.deit(scale), trained.cnn(scale)
    return (
        Claim(
            "Later transformer blocks do not make features better.",
            "figure 6, section 3",
            f"k-NN score of {deit}'s features from WT, at half of its depth minus at "
            "its end",
            "of the metric",
            "at_least",
            effects.knn_gap(deit, 0.5, 1.0),
        ),
        Claim(
            "CNN features get better up to the last stage.",
            "figure 6, section 3",
            f"k-NN score of {cnn}'s features from WT, at its end minus at half of its "
            "depth",
            "of the metric",
            "above",
            effects.knn_gap(cnn, 1.0, 0.5),
        ),
    )


def _capacity_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Larger models, and more of a model transferred."""
    families = trained.families(scale)
    (converging,) = scale.task_groups["convergence"]
    return (
        Claim(
            "Larger models gain more.",
            "figure 7, section 3",
            "WT / RI of "
            + "; of ".join(f"{f[-1]} minus {f[0]}" for f in families)
            + ", mean over families",
            "of RI",
            "above",
            effects.with_capacity(),
        ),
        Claim(
            "Convergence speeds up with each stage transferred.",
            "figure 8, section 3",
            "rank correlation of the share of stages transferred with the validation "
            f"metric while random weights learn, mean over models, {converging}",
            "rank correlation",
            "above",
            effects.speeds_up(),
        ),
    )


def _appendix_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """How far heads look, and models cut short."""
    deit, swept = trained.deit(scale), _listed(scale.task_groups["sweep"])
    fewest_blocks = scale.models["truncated"][-1]
    if "deit_s[blocks=5]" in scale.models["truncated"]:
        fewest_blocks = "deit_s[blocks=5]"
    return (
        Claim(
            "Only transferred weights look near in early blocks.",
            "appendix E",
            f"pixels that the nearest-looking head of {deit}'s first block looks at, "
            "ST minus WT",
            "px",
            "above",
            effects.looks(scale.statistics) - effects.looks(WEIGHTS),
        ),
        Claim(
            "Five of DeiT's twelve blocks are enough.",
            "appendix I",
            f"test metric of {fewest_blocks} minus {deit}, both from WT, mean over "
            + swept,
            "of the metric",
            "at_least",
            effects.truncated(fewest_blocks),
        ),
    )


def _listed(models: Sequence[str]) -> str:
    return " and ".join(models)
