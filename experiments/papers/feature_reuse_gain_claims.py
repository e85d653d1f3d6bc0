"""What the feature-reuse paper claims of where transfer pays: in ratios, in skill."""

import dataclasses
from typing import Any

from transfusion_tf.studies.claims import Claim
from transfusion_tf_experiments.papers import feature_reuse_models as trained
from transfusion_tf_experiments.papers.feature_reuse_effects import Gain
from transfusion_tf_experiments.papers.feature_reuse_layer_effects import LayerEffects
from transfusion_tf_experiments.papers.feature_reuse_models import (
    TABLE1,
    WEIGHTS,
    listed,
)
from transfusion_tf_experiments.papers.published_numbers import published_mean
from transfusion_tf_experiments.papers.scale import Scale

_SMALL = ("aptos2019", "ddsm_10239", "isic2019")
_LARGE = ("chexpert_14_by_patient", "patch_camelyon")
_CNNS = ("inception_v3", "resnet50")
# Kappa of chance is 0, AUC 0.5, recall of ISIC's 8 classes 1 / 8.
_CHANCE = {"aptos2019": 0.0, "isic2019": 1 / 8}


@dataclasses.dataclass(frozen=True)
class _Counted:
    """Gains as ratios of the metric, or as differences of skill.

    Attributes:
      gain: the contrast of some tasks and models.
      unit: of it.
      what: its name.
      suffix: of the claims on it.
    """

    gain: Gain
    unit: str
    what: str
    suffix: str = ""


def gain_claims(scale: Scale, effects: LayerEffects) -> tuple[Claim, ...]:
    """When transfer pays."""
    ratios = _Counted(effects.excess, "of RI", "WT / RI")
    skill = _Counted(
        effects.skill_gained, "skill", "skill from WT minus that from RI", ", in skill"
    )
    found: list[Claim] = []
    for counted in (ratios, skill):
        found += _data_claims(scale, effects, counted)
        found += _model_claims(scale, effects, counted)
    return (*found, _explained(scale, effects))


def _data_claims(
    scale: Scale, effects: LayerEffects, counted: _Counted
) -> tuple[Claim, ...]:
    """On which data transfer pays."""
    gain, unit = counted.gain, counted.unit
    what, suffix = counted.what, counted.suffix
    groups, models = scale.task_groups, scale.models_of(TABLE1)
    few, many = listed(groups["few"]), listed(groups["many"])
    alike = ", ".join(groups["alike"])
    return (
        Claim(
            f"Transfer pays{suffix}.",
            "table 1, section 3",
            f"{what} of the test metric, above none, mean over models and data sets",
            unit,
            "above",
            gain(groups["main"], models),
            published=_published(unit),
        ),
        Claim(
            f"Transfer pays more with less data{suffix}.",
            "figure 1, section 3",
            f"{what} on {few} minus that on {many}, mean over models",
            unit,
            "above",
            effects.with_less_data(gain),
            published=_published(unit, dataset=_SMALL)
            - _published(unit, dataset=_LARGE),
        ),
        Claim(
            f"Transfer pays more the nearer the domain is to the source{suffix}.",
            "figure 1, section 3",
            f"{what} on the data set with the smallest Fréchet distance minus that on "
            f"the one with the largest, of {alike}, mean over models",
            unit,
            "above",
            effects.with_nearness(gain),
            published=_published(unit, dataset="isic2019")
            - _published(unit, dataset="patch_camelyon"),
        ),
    )


def _model_claims(
    scale: Scale, effects: LayerEffects, counted: _Counted
) -> tuple[Claim, ...]:
    """In which models transfer pays."""
    gain, unit = counted.gain, counted.unit
    what, suffix = counted.what, counted.suffix
    groups = scale.task_groups
    deit, cnns = trained.deit(scale), scale.models["cnns"]
    return (
        Claim(
            f"Transfer pays more in models of weaker inductive bias{suffix}.",
            "figure 1, section 3",
            f"{what} of {deit} minus that of {listed(cnns)}, mean over data sets",
            unit,
            "above",
            gain(groups["main"], (deit,)) - gain(groups["main"], cnns),
            published=_published(unit, model="deit_s") - _published(unit, model=_CNNS),
        ),
        Claim(
            f"Swin lies between DeiT and the CNNs{suffix}.",
            "figure 1, section 3",
            f"the smaller of two differences of {what}: {deit} minus Swin, Swin minus "
            f"{listed(cnns)}, mean over data sets",
            unit,
            "above",
            effects.lies_between(gain),
            published=min(
                _published(unit, model="deit_s") - _published(unit, model="swin_t"),
                _published(unit, model="swin_t") - _published(unit, model=_CNNS),
            ),
        ),
    )


def _explained(scale: Scale, effects: LayerEffects) -> Claim:
    """The case of earlier work: "a large dataset, distant from IMAGENET"."""
    tasks, cnns = scale.task_groups["distant"], scale.models["cnns"]
    weights, statistics = (
        published_mean(
            "feature_reuse_table1", dataset=_LARGE, model=_CNNS, initialization=start
        )
        for start in (WEIGHTS, "mean_var")
    )
    return Claim(
        "On large and distant data, statistics alone explain what CNNs gain.",
        "table 1, section 3",
        f"test metric from WT minus that from ST, mean over {listed(cnns)} and "
        f"{listed(tasks)}",
        "of the metric",
        "alike",
        effects.weights_alone(tasks, cnns),
        published=weights - statistics,
    )


def _published(unit: str, **wanted: Any) -> float:
    """The paper's gain, mean over models and data sets: WT / RI - 1, or in skill."""
    if unit == "of RI":
        name = "feature_reuse_figure1"
        return published_mean(name, quantity="relative_gain", **wanted) - 1
    return _published_skill(WEIGHTS, **wanted) - _published_skill("random", **wanted)


def _published_skill(start: str, **wanted: Any) -> float:
    """Table 1's metrics from a start as skill, mean over models and data sets."""
    wished = wanted.pop("dataset", (*_SMALL, *_LARGE))
    datasets = wished if isinstance(wished, tuple) else (wished,)
    found = []
    for dataset in datasets:
        level = published_mean(
            "feature_reuse_table1", dataset=dataset, initialization=start, **wanted
        )
        chance = _CHANCE.get(dataset, 0.5)
        found.append((level - chance) / (1 - chance))
    return sum(found) / len(found)
