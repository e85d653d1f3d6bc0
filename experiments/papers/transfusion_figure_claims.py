"""What single figures of Transfusion claim beyond its main findings.

As in `transfusion_claims`, which has those, effects are on RETINA unless they say
otherwise, and rules were fixed before any run was made.
"""

import itertools

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale, stages_of
from transfusion_tf_experiments.papers.transfusion_convergence import slim_model
from transfusion_tf_experiments.papers.transfusion_effects import (
    LOWEST,
    SPEED,
    Effects,
    mean,
)
from transfusion_tf_experiments.papers.transfusion_scales import CHEST, RETINA
from transfusion_tf_experiments.papers.transfusion_table_claims import BETTER, WORSE

_LOWEST_TWO = (0, 1)


def figure_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Figures 3 to 5, 7, 9, 13, 15, 16 and 20."""
    return (
        *_movement_claims(scale, effects),
        *_gabor_claims(scale, effects),
        *_speed_claims(scale, effects),
        *(_finding_speed(scale, effects, name) for name in (*BETTER, *WORSE)),
        *_frozen_claims(scale, effects),
    )


def _movement_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Figures 3 and 4."""
    large, small = scale.models["pair"][0], scale.models["pair"][-1]
    higher = tuple(range(1, len(stages_of(large))))
    upper = tuple(range(2, len(stages_of(large))))
    found = [
        Claim(
            "Feature reuse is restricted to the lowest two stages.",
            "figure 3, section 4",
            f"{scale.similarity} before and after training of {large}, transferred "
            "minus random weights, lowest two stages minus those above",
            scale.similarity,
            "above",
            effects.pretrained_stay(large, _LOWEST_TWO)
            - effects.pretrained_stay(large, upper),
        ),
    ]
    if not _enough_pairs(scale):
        return tuple(found)
    found.append(
        Claim(
            "In a large model's lowest stage, the end shows the start; above, not.",
            "figure 4, section 4",
            f"R² of {scale.similarity} after training on that at initialization over "
            f"pairs of {large}, lowest stage minus the mean of those above",
            "R²",
            "above",
            effects.start_tells_end(large, LOWEST)
            - effects.start_tells_end(large, higher),
            published=_figure4("resnet50", "conv1")
            - _figure4("resnet50", "block1 to block4"),
        )
    )
    if large != small:
        found.append(
            Claim(
                "In a small model's lowest stage it does not.",
                "figure 4, section 4",
                f"the same R² at the lowest stage, {large} minus {small}",
                "R²",
                "above",
                effects.start_tells_end(large, LOWEST)
                - effects.start_tells_end(small, LOWEST),
                published=_figure4("resnet50", "conv1")
                - _figure4("cbr_small", "pool1"),
            )
        )
    return tuple(found)


def _enough_pairs(scale: Scale) -> bool:
    """Whether a line is left where one seed's pairs are left out, as intervals do."""
    seeds = scale.more_seeds.get("similarity", scale.seeds)
    return seeds >= 4


def _figure4(model: str, stage: str) -> float:
    return published_mean("transfusion_figure4", model=model, stage=stage)


def _gabor_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Figures 5, 9 and 10."""
    small, unit = scale.models["pair"][-1], "share"
    found = [
        Claim(
            "Training erases Gabor filters that a small model begins with.",
            "figure 5, section 4",
            f"share of a first-layer filter of {small} that is a Gabor, transferred, "
            "before training minus after",
            unit,
            "above",
            effects.erased_gabors(RETINA, small, "transfer"),
        ),
        Claim(
            "On chest radiographs, too, training erases Gabor filters.",
            "figure 9, appendix D",
            "the same of CBR-Small on chest radiographs",
            unit,
            "above",
            effects.erased_gabors(CHEST, "cbr_small", "transfer"),
        ),
        Claim(
            "A small model learns no Gabor filters from random weights.",
            "figure 5, section 4",
            f"share of a first-layer filter of {small} that is a Gabor, from random "
            "weights, before training minus after",
            unit,
            "at_least",
            effects.erased_gabors(RETINA, small, "random"),
        ),
    ]
    return (*found, *_kept_gabor_claims(scale, effects))


def _kept_gabor_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Figures 5 and 10 beside a small model: a large one keeps its filters."""
    large, small = scale.models["pair"][0], scale.models["pair"][-1]
    kept = "what training erases of them"
    of_pairs = (
        (RETINA, large, small, "A", "figure 5, section 4", kept),
        (
            CHEST,
            scale.models["chest"][0],
            "cbr_small",
            "On chest radiographs, too, a",
            "figure 10, appendix D",
            f"{kept} on chest radiographs",
        ),
    )
    return tuple(
        Claim(
            f"{words} large model keeps the Gabor filters that it begins with.",
            source,
            f"{effect}, {other} minus {model}",
            "share",
            "above",
            effects.erased_gabors(task, other, "transfer")
            - effects.erased_gabors(task, model, "transfer"),
        )
        for task, model, other, words, source, effect in of_pairs
        if model != other
    )


def _speed_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Figures 7, 15 and 20."""
    (large,) = scale.models["large"]
    levels = [f"transfer:{stage}" for stage in scale.levels_of(large)]
    starts = ("random", *levels, "transfer")
    steps = [effects.steps(large, start) for start in starts]
    first, *above_first = [a - b for a, b in itertools.pairwise(steps)]
    slim, kept = slim_model(scale)
    smaller = [model for model in scale.models["cbr"] if model != large]
    return (
        Claim(
            "The first stage alone gives the largest marginal gain in speed.",
            "figure 7, section 5",
            f"steps of {large} to the threshold: those that the donor's first stage "
            "saves, minus what each stage above saves on average",
            "steps",
            "above",
            first - mean(above_first),
        ),
        Claim(
            "In small models the scale of the weights matters less.",
            "figure 15, appendix F",
            f"steps to the threshold, random over mean_var, {large} minus the mean of "
            f"{', '.join(smaller)}",
            SPEED,
            "above",
            effects.speed(large, "mean_var")
            - mean([effects.speed(model, "mean_var") for model in smaller]),
        ),
        Claim(
            "A slim model learns slower without the donor's weights below.",
            "figure 20, appendix F",
            f"steps of {slim} to the threshold, random over transfer:{kept}",
            SPEED,
            "above",
            effects.speed(slim, f"transfer:{kept}"),
        ),
    )


def _finding_speed(scale: Scale, effects: Effects, name: str) -> Claim:
    """One panel of figure 16; that of consolidation is figure 6 (c) too."""
    (large,) = scale.models["large"]
    exception = name == "Cardiomegaly"
    return Claim(
        f"The scale of the weights speeds up {name}{' no more' * exception}.",
        "figure 16, appendix F",
        f"steps of {large} to a threshold of the AUC of {name} on chest radiographs, "
        "random over mean_var",
        SPEED,
        "alike" if exception else "above",
        effects.speed(large, "mean_var", CHEST, name),
    )


def _frozen_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Figure 13 beside figure 12, of the models that both have."""
    models = [
        model
        for model in scale.models["frozen/chest"]
        if model in scale.models["frozen/retina"]
    ]
    retina, chest = (
        effects.frozen(task, "transfer", "random", models)
        for task in ("retina", "chest")
    )
    return (
        Claim(
            "Fixed pretrained features lead by less on chest radiographs.",
            "figure 13, appendix E",
            "test AUC with frozen stages, transfer minus random, on RETINA minus on "
            f"chest radiographs, mean over stages of {', '.join(models)}",
            "AUC",
            "above",
            retina - chest,
        ),
    )
