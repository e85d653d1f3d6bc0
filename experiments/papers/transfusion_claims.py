"""What Transfusion claims (Raghu et al., NeurIPS 2019), and what would show it here.

Each claim is an effect measured on runs of the study `transfusion/all`, and a rule for
its interval that was fixed before any run was made. All effects are on the RETINA task
unless they say otherwise.
"""

from typing import Any

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale
from transfusion_tf_experiments.papers.transfusion_convergence import slim_model
from transfusion_tf_experiments.papers.transfusion_effects import (
    LOWEST,
    SMALL,
    SPEED,
    TOP_TWO,
    Effects,
    mean,
    published_speed,
)
from transfusion_tf_experiments.papers.transfusion_figure_claims import figure_claims
from transfusion_tf_experiments.papers.transfusion_scales import CHEST, RETINA
from transfusion_tf_experiments.papers.transfusion_table_claims import table_claims

# The paper's models that smaller scales have others for.
_LARGE, _SCARCE = "resnet50", "cbr_large_w"


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the models that the scale trains."""
    effects = Effects(scale)
    subjects = (
        _size_claims,
        _transfer_claims,
        _representation_claims,
        _speed_claims,
        _hybrid_claims,
        _statistics_claims,
        _fixed_feature_claims,
        table_claims,
        figure_claims,
    )
    return tuple(claim for subject in subjects for claim in subject(scale, effects))


def _size_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Whether small models do as well as large ones."""
    resnet = scale.models["pair"][0]
    (large_cbr,) = scale.models["large_cbr"]
    return (
        Claim(
            "Small models do as well as ResNet50.",
            "tables 1 and 2, section 3.2",
            f"test AUC of CBR-Small and CBR-Tiny minus {resnet}, mean over random and "
            "transferred starts",
            "AUC",
            "at_least",
            effects.size_effect(resnet),
            published=_published_size_effect(_LARGE),
        ),
        Claim(
            "Small models do as well as a large CBR.",
            "table 1, section 3.2",
            "test AUC of CBR-Small and CBR-Tiny minus CBR-LargeT, mean over random and "
            "transferred starts",
            "AUC",
            "at_least",
            effects.size_effect(large_cbr),
            published=_published_size_effect("cbr_large_t"),
        ),
    )


def _published_size_effect(large: str) -> float:
    """Test AUC of the small models minus a large one, over both starts."""
    ours, theirs = (
        published_mean("transfusion_table1", quantity="test", model=models)
        for models in (SMALL, large)
    )
    return ours - theirs


def _published_gain(name: str, **wanted: Any) -> float:
    """Transfer minus random in a printed table."""
    transfer, random = (
        published_mean(name, initialization=start, **wanted)
        for start in ("transfer", "random")
    )
    return transfer - random


def _transfer_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What transfer gains in accuracy, with much data and with little."""
    (large,) = scale.models["large"]
    scarce = scale.models["scarce"][-1]
    fewest = min(scale.train_examples.values())
    few_images = _published_gain(
        "transfusion_table4", train_examples=5_000, model=_LARGE
    )
    return (
        Claim(
            "With much data, transfer gains little.",
            "table 1, section 3.2",
            "test AUC, transfer minus random, all training images, mean over models",
            "AUC",
            "alike",
            mean([effects.gain(RETINA, m) for m in scale.models["all"]]),
            published=_published_gain("transfusion_table1", quantity="test"),
        ),
        Claim(
            "On chest radiographs, too, transfer gains little.",
            "table 2, section 3.2",
            "mean test AUC over the findings, transfer minus random, mean over models",
            "AUC",
            "alike",
            mean([effects.gain(CHEST, model) for model in scale.models["chest"]]),
            published=_published_gain("transfusion_table2"),
        ),
        Claim(
            "The gain grows as data shrink.",
            "tables 3 and 4, section 3.3",
            f"gain of transfer in test AUC of {large} with {fewest:,} training images, "
            "minus that with all",
            "AUC",
            "above",
            effects.gain(RETINA, large, train_examples=fewest)
            - effects.gain(RETINA, large),
            published=few_images
            - _published_gain("transfusion_table1", quantity="test", model=_LARGE),
        ),
        Claim(
            "With few images, transfer gains more in large models.",
            "table 3, section 3.3",
            f"gain of transfer in test AUC with {fewest:,} training images, {large} "
            f"minus {scarce}",
            "AUC",
            "above",
            effects.gain(RETINA, large, train_examples=fewest)
            - effects.gain(RETINA, scarce, train_examples=fewest),
            published=few_images
            - _published_gain(
                "transfusion_table4", train_examples=5_000, model=_SCARCE
            ),
        ),
    )


def _representation_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What trained models represent, and how far training moves them."""
    resnet = scale.models["pair"][0]
    return (
        Claim(
            "Pretrained and random starts end in different representations.",
            "figure 2, section 4",
            f"{scale.similarity} of two random starts minus that of a random and a "
            f"pretrained one, top two stages of {resnet}",
            scale.similarity,
            "above",
            effects.starts_apart(resnet),
        ),
        Claim(
            "More so in large models than in small ones.",
            "figure 2, section 4",
            f"the same, {resnet} minus the mean of CBR-Small and CBR-Tiny",
            scale.similarity,
            "above",
            effects.starts_apart(resnet)
            - mean([effects.starts_apart(m) for m in SMALL]),
        ),
        Claim(
            "Large models move less in training, at the lowest stage.",
            "figures 3 and 4, section 4",
            f"{scale.similarity} above chance before and after training from random "
            f"weights, lowest stage, {resnet} minus the mean of CBR-Small and CBR-Tiny",
            scale.similarity,
            "above",
            effects.moves_less(resnet, LOWEST),
        ),
        Claim(
            "The difference is largest at the lowest stage.",
            "figure 3, section 4",
            "that difference at the lowest stage minus that at the top two",
            scale.similarity,
            "above",
            effects.moves_less(resnet, LOWEST) - effects.moves_less(resnet, TOP_TWO),
        ),
        Claim(
            "Models of one pretrained start stay alike at the lowest stage.",
            "table 5, appendix D",
            f"{scale.similarity} of two transferred {resnet}s minus that of two random "
            "ones, lowest stage",
            scale.similarity,
            "above",
            effects.kept_alike(resnet),
            published=published_mean(
                "transfusion_table5", stage="conv1", pair="transfer – transfer"
            )
            - published_mean(
                "transfusion_table5", stage="conv1", pair="random – random"
            ),
        ),
    )


def _speed_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What speeds training up."""
    (large,) = scale.models["large"]
    lowest, *others = scale.levels_of(large)
    lower = (others or [lowest])[0]
    up_to_lower = effects.steps(large, f"transfer:{lower}")
    return (
        Claim(
            "Transfer speeds training up.",
            "figures 6 to 8, section 5",
            f"steps of {large} to the threshold, random over transfer",
            SPEED,
            "above",
            effects.speed(large, "transfer"),
            published=published_speed(_LARGE, "transfer"),
        ),
        Claim(
            "The lowest stages give most of that gain.",
            "figure 7, section 5",
            f"steps to the threshold that donor weights up to {lower} save {large}, "
            "minus those that the stages above save",
            "steps",
            "above",
            (effects.steps(large, "random") - up_to_lower)
            - (up_to_lower - effects.steps(large, "transfer")),
        ),
        Claim(
            "The scale of the weights alone speeds training up.",
            "figure 6, section 5",
            f"steps of {large} to the threshold, random over mean_var",
            SPEED,
            "above",
            effects.speed(large, "mean_var"),
        ),
        Claim(
            "On chest radiographs, too, the scale of the weights speeds training up.",
            "figures 6 and 16, section 5",
            f"the same on chest radiographs, mean AUC over the findings of {large}",
            SPEED,
            "above",
            effects.speed(large, "mean_var", CHEST),
        ),
    )


def _hybrid_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """A slim top, and synthetic Gabor filters."""
    (large,), (second,) = scale.models["large"], scale.models["second"]
    lowest = scale.levels_of(large)[0]
    slim, kept = slim_model(scale)
    return (
        Claim(
            "A slim top on donor weights does as well as full transfer.",
            "figure 8, section 5",
            f"test AUC of {slim} with donor weights up to {kept}, minus {large} "
            "transferred",
            "AUC",
            "at_least",
            effects.test(RETINA, slim, f"transfer:{kept}")
            - effects.test(RETINA, large, "transfer"),
        ),
        Claim(
            "Synthetic Gabor filters do what the donor's first layer does.",
            "figure 8, section 5",
            f"steps of {large} to the threshold, transfer:{lowest} over gabor",
            SPEED,
            "alike",
            effects.speed(large, "gabor") - effects.speed(large, f"transfer:{lowest}"),
        ),
        Claim(
            "Gabor filters speed training up.",
            "figure 8, section 5",
            f"steps to the threshold, random over gabor, mean of {large} and {second}",
            SPEED,
            "above",
            mean([effects.speed(m, "gabor") for m in (large, second)]),
            published=(
                published_speed(_LARGE, "gabor") + published_speed(_SCARCE, "gabor")
            )
            / 2,
        ),
    )


def _statistics_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """What of the pretrained weights' distribution matters."""
    (large,) = scale.models["large"]
    return (
        Claim(
            "Under mean_var, identity batch norm is at least as good as the donor's.",
            "figure 17, appendix F.1",
            f"speed of {large}, random weights’ steps to the threshold over its own, "
            "identity minus the mean of resampled and transferred",
            SPEED,
            "at_least",
            effects.speed(large, "mean_var")
            - mean(
                [
                    effects.speed(large, f"mean_var[bn={treatment}]")
                    for treatment in ("mean_var", "transfer")
                ]
            ),
        ),
        Claim(
            "Sampled and shuffled weights train like mean_var.",
            "figure 18, appendix F.2",
            f"speed of {large}, random weights’ steps to the threshold over its own, "
            "mean of sampled and shuffled minus mean_var",
            SPEED,
            "alike",
            mean([effects.speed(large, start) for start in ("sampled", "shuffled")])
            - effects.speed(large, "mean_var"),
        ),
    )


def _fixed_feature_claims(scale: Scale, effects: Effects) -> tuple[Claim, ...]:
    """Features of stages that are not trained."""
    return (
        Claim(
            "Fixed pretrained features beat fixed random ones.",
            "figure 12, appendix E",
            "test AUC with frozen stages, transfer minus random, mean over stages",
            "AUC",
            "above",
            effects.frozen("retina", "transfer", "random"),
        ),
        Claim(
            "On chest radiographs, too, fixed pretrained features beat random ones.",
            "figure 13, appendix E",
            "the same on chest radiographs, mean AUC over the findings",
            "AUC",
            "above",
            effects.frozen("chest", "transfer", "random"),
        ),
        Claim(
            "Fixed features do not miss the layers that they were trained with.",
            "figure 12, appendix E",
            "test AUC with frozen stages, donor weights above minus random weights "
            "above, mean over stages",
            "AUC",
            "alike",
            effects.frozen("retina", "transfer", "transfer:stage"),
        ),
    )
