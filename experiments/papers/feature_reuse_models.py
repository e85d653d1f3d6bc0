"""Which models the feature-reuse paper trains, from which starts, at a scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.scale import Scale

if TYPE_CHECKING:
    from transfusion_tf.training import RunConfig

    Runs = tuple[RunConfig, ...]


WEIGHTS, RANDOM = "transfer", "random"

# Kinds of study and groups of tasks, as the scales name them.
TABLE1 = ("transformers", "cnns")
FAMILIES = ("deit_family", "resnet_family")
MAIN, SWEEP, CONVERGENCE = ("main",), ("sweep",), ("convergence",)


def deit(scale: Scale) -> str:
    """The model of least inductive bias."""
    return scale.models["transformers"][0]


def cnn(scale: Scale) -> str:
    """The model of most inductive bias."""
    return scale.models["cnns"][-1]


def families(scale: Scale) -> list[tuple[str, ...]]:
    """The families that the scale trains, each from its smallest model up."""
    return [scale.models[kind] for kind in FAMILIES if scale.models[kind]]


def starts(scale: Scale) -> tuple[str, str, str]:
    """RI, ST and WT."""
    return RANDOM, scale.statistics, WEIGHTS


def sweep(scale: Scale, model: str) -> tuple[str, ...]:
    """ST, the donor up to each of the model's levels, WT."""
    between = (
        f"{WEIGHTS}:{stage}+{scale.statistics}" for stage in scale.levels_of(model)
    )
    return (scale.statistics, *between, WEIGHTS)


def fractions(scale: Scale, model: str) -> tuple[float, ...]:
    """Share of a model's parts with the donor's weights, for each of its `sweep`."""
    names = scale.parts_of(model)
    shares = ((names.index(level) + 1) / len(names) for level in scale.levels_of(model))
    return (0.0, *shares, 1.0)


def sweeps(scale: Scale, models: Sequence[str] = TABLE1) -> Runs:
    """ST, the donor up to each level, WT: by default the models of table 1."""
    runs: list[RunConfig] = []
    for model in scale.models_of(models):
        runs += scale.runs(SWEEP, (model,), sweep(scale, model))
    return tuple(runs)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(names)
