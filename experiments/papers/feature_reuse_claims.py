"""What the feature-reuse paper claims (Matsoukas et al., CVPR 2022), and what would
show it here.

Each claim is an effect measured on runs of the study `feature_reuse/all`, and a rule
for its interval that was fixed before any run was made. Gains are WT / RI, feature
reuse is (WT - ST) / WT, as in the paper's figure 1; each claim about gains is judged in
skill too, where chance is 0 for every metric.
"""

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers import feature_reuse_models as trained
from transfusion_tf_experiments.papers.feature_reuse_gain_claims import gain_claims
from transfusion_tf_experiments.papers.feature_reuse_layer_effects import LayerEffects
from transfusion_tf_experiments.papers.feature_reuse_models import WEIGHTS, listed
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the models and data sets that the scale trains."""
    effects = LayerEffects(scale)
    subjects = (
        gain_claims,
        _reuse_claims,
        _layer_claims,
        _depth_claims,
        _capacity_claims,
        _appendix_claims,
    )
    return tuple(claim for subject in subjects for claim in subject(scale, effects))


def _reuse_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """Whether features are reused where it pays, and which."""
    transformers, cnns = scale.models["transformers"], scale.models["cnns"]
    sweep = scale.task_groups["sweep"]
    first, swept = sweep[0], listed(sweep)
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
            "Transformers gain from their early blocks, more than CNNs.",
            "figure 2, section 3",
            "test metric under WT-ST above the line from ST to WT, mean over levels, "
            f"{listed(transformers)} minus {listed(cnns)}, {swept}",
            "of the metric",
            "above",
            effects.early(transformers) - effects.early(cnns),
        ),
        Claim(
            "CNNs gain evenly from all of their stages.",
            "figure 2, section 3",
            f"test metric of {listed(cnns)} under WT-ST above the line from ST to WT, "
            f"mean over levels, {swept}",
            "of the metric",
            "alike",
            effects.early(cnns),
        ),
    )


def _layer_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """What training does to transferred layers."""
    return (*_similarity_claims(scale, effects), *_travel_claims(scale, effects))


def _similarity_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """How alike layers are before and after training, and from two starts."""
    deit, cnn = trained.deit(scale), trained.cnn(scale)
    groups = scale.task_groups
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
            "With more data, adaptation begins in earlier layers.",
            "figure 3, section 3",
            "CKA of a layer before and after training from WT, mean over layers and "
            f"models, {listed(groups['few'])} minus {listed(groups['many'])}",
            "CKA",
            "above",
            effects.keeps_less_of_more(),
        ),
        Claim(
            "CNNs learn similar features from either start, transformers do not.",
            "figure 3, section 3",
            "CKA of a layer between runs from ST and from WT, less that of the two "
            f"untrained, mean over layers, {cnn} minus {deit}",
            "CKA",
            "above",
            effects.alike_after(cnn) - effects.alike_after(deit),
        ),
        Claim(
            f"Early layers of {deit} from statistics resemble the first half of one "
            "from weights.",
            "figure 3, section 3",
            "CKA of the first quarter of layers from ST with the first half from WT "
            "minus that with the second half, less the same of the two untrained",
            "CKA",
            "above",
            effects.early_are_of_first_half(deit),
        ),
    )


def _travel_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """How far weights travel, and what setting them back costs."""
    groups = scale.task_groups
    first, swept = groups["sweep"][0], listed(groups["sweep"])
    return (
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
            "What first meets the data, or a new scale, moves whatever it begins from.",
            "figure 4, section 3",
            "distance travelled from WT over that from ST, of the first part (of "
            "ResNet50, the first block of each scale) minus that of all, mean over "
            f"models and {swept}",
            "of ST",
            "above",
            effects.moves_anyway(),
        ),
        Claim(
            "From transferred weights fewer layers are critical.",
            "figure 5, section 3",
            "test metric lost where a layer is set back to its start, over the skill "
            f"that there is to lose, mean over layers and models, ST minus WT, {first}",
            "skill",
            "above",
            effects.fewer_critical(),
        ),
    )


def _depth_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """What each depth of a network is good for."""
    deit, cnn = trained.deit(scale), trained.cnn(scale)
    transformers, swept = scale.models["transformers"], scale.task_groups["sweep"]
    return (
        Claim(
            "The best k-NN score of transformers saturates at half of the network.",
            "figure 6, section 3",
            "best k-NN score at any depth with half of the stages transferred, minus "
            f"with all, mean over {listed(transformers)} and {listed(swept)}",
            "of the metric",
            "at_least",
            effects.saturates_at_half(transformers),
        ),
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


def _capacity_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
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
            "rank correlation of the share of stages transferred with the speed "
            f"(fewest steps to the threshold), mean over models, {converging}",
            "rank correlation",
            "above",
            effects.speeds_up(),
        ),
    )


def _appendix_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """How far heads look, and models cut short."""
    deit, swept = trained.deit(scale), listed(scale.task_groups["sweep"])
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
