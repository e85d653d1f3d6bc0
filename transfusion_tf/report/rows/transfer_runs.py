"""Rows of the feature-reuse studies: runs of one model, start, data set and size.

Starts are ordered by the share of a network's stages that have the donor's weights:
random initialization (RI), statistics alone (ST), the donor up to a stage (WT-ST), all
of it (WT).
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from transfusion_tf.models import parse_model_name
from transfusion_tf.models.architectures import ARCHITECTURES
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, scheme
from transfusion_tf.report.rows.network_order import stage_order, through
from transfusion_tf.studies.run_groups import RunGroup, RunKey, run_key
from transfusion_tf.studies.study_folder import Run

STATISTICS = "mean_var"


@dataclasses.dataclass(frozen=True, eq=False)
class TransferRuns(RunGroup):
    """Runs that differ in their seed alone.

    Attributes:
      dataset: the card's name.
      train_examples: how many training images.
      model: its name.
      initialization: the spec.
      fraction: share of the stages, or of the groups of them that the chapter's
        options name, with the donor's weights: 0 is ST, 1 is WT; None is RI.
      data: the data set; with its number of images where it comes in several sizes.
    """

    dataset: str
    train_examples: int
    model: str
    initialization: str
    fraction: float | None
    data: str

    @property
    def keys(self) -> dict[str, Any]:
        """The columns that say which group a row is of, and how it is called."""
        return {
            "dataset": self.dataset,
            "train_examples": self.train_examples,
            "model": self.model,
            "initialization": self.initialization,
            "data": self.data,
            "label": start_name(self),
            "fraction": np.nan if self.fraction is None else self.fraction,
            "share": wording.number(self.fraction, 2),
            "unit": wording.metric_unit(self.first.metric),
        }

    @property
    def task(self) -> tuple[str, int, str]:
        """Data set, number of images and model."""
        return self.dataset, self.train_examples, self.model


def transfer_runs(material: Material) -> list[TransferRuns]:
    """All groups of a chapter, in the order of its runs.

    The learning rate from random weights is another than from others (feature reuse,
    section 2): here groups are told apart by model and start alone.
    """
    grouped: dict[tuple[str, int, str, str], dict[RunKey, Run]] = {}
    for name in material.chapter.runs:
        run = material.runs.get(name)
        if run is not None:
            key = (
                run.dataset["name"],
                run.train_examples,
                run.config.model,
                run.config.initialization,
            )
            grouped.setdefault(key, {})[run_key(run)] = run
    models = list(dict.fromkeys(model for _, _, model, _ in grouped))
    groups = material.chapter.options.get("groups", {})
    orders = {
        model: groups.get(model)
        or stage_order(
            run for run in material.runs.values() if run.config.model == model
        )
        for model in models
    }
    data = list(dict.fromkeys(key[:2] for key in grouped))
    found = [
        TransferRuns(
            runs,
            material.measurements,
            *key,
            fraction(key[3], orders[key[2]]),
            _data_name(key[:2], data),
        )
        for key, runs in grouped.items()
    ]
    return sorted(
        found,
        key=lambda group: (
            data.index((group.dataset, group.train_examples)),
            models.index(group.model),
            -1.0 if group.fraction is None else group.fraction,
        ),
    )


def fraction(initialization: str, order: Sequence[str]) -> float | None:
    """Share of the stages that have the donor's weights; None of another start.

    Args:
      initialization: a spec.
      order: the model's stages from the input up.
    """
    if scheme(initialization) == STATISTICS:
        return 0.0
    if initialization == "transfer":
        return 1.0
    stage = through(initialization)
    if stage is None or stage not in order:
        return None
    return (order.index(stage) + 1) / len(order)


def models_of(found: Iterable[TransferRuns]) -> list[str]:
    """Their models, in the chapter's order."""
    return list(dict.fromkeys(group.model for group in found))


def start_name(group: TransferRuns) -> str:
    """`RI`, `ST`, `WT`, or `WT-ST block2`."""
    if group.fraction is None:
        return "RI" if group.initialization == BASELINE else group.initialization
    stage = through(group.initialization)
    return f"WT-ST {stage}" if stage else ("ST", "WT")[round(group.fraction)]


def test_rows(found: Iterable[TransferRuns]) -> Rows:
    """The test metric of each."""
    return [
        {**group.keys, "quantity": "test", **measured(group.test)} for group in found
    ]


def start_rows(material: Material) -> Rows:
    """The test metric of every group, and how many parameters each model has."""
    found = transfer_runs(material)
    counts: dict[str, float] = {}
    for group in found:
        count = group.first.status.get("parameters")
        if count is not None:
            counts.setdefault(group.model, count)
    rows: Rows = [
        {**row, "sized_model": f"{name}\n{wording.amount(counts[name])}"}
        if (name := row["model"]) in counts
        else {**row, "sized_model": f"{name}\n"}
        for row in test_rows(found)
    ]
    rows += [
        {"model": model, "quantity": "parameters", "value": count}
        for model, count in counts.items()
    ]
    for group in found:
        random = same_task(group, found, initialization=BASELINE)
        if group.initialization == "transfer" and random is not None:
            gap = measured(group.test_minus(random))
            keys = {**group.keys, "quantity": "weights_minus_random", "hidden": True}
            rows.append({**keys, **gap})
    return rows


def sweep_rows(material: Material) -> Rows:
    """The test metric by share transferred, and over that of statistics alone."""
    found = transfer_runs(material)
    swept = {group.data for group in found if through(group.initialization)}
    rows = test_rows(found)
    gains: dict[tuple[str, float], list[float]] = {
        (model, 0.0): [1.0] for model in models_of(found)
    }
    for group in found:
        statistics = same_task(group, found, fraction=0.0)
        if not group.fraction or statistics is None:
            continue
        gain = group.test_over(statistics)
        rows.append({**group.keys, "quantity": "statistics_gain", **measured(gain)})
        if gain is not None:
            gains.setdefault((group.model, group.fraction), []).append(gain.estimate)
    # Where random weights stand, left of a share of 0.
    rows += [
        {**group.keys, "hidden": True, "quantity": "test_of_random", "place": -0.14}
        | measured(group.test)
        for group in found
        if group.fraction is None
    ]
    means = sorted(gains.items(), key=lambda item: item[0][1])
    return [{**row, "swept": not swept or row["data"] in swept} for row in rows] + [
        {"hidden": True, "quantity": "mean_gain", "model": model, "fraction": share}
        | {"value": float(np.mean(values))}
        for (model, share), values in means
    ]


def block_rows(material: Material) -> Rows:
    """The test metric by number of blocks, and minus that of the whole model."""
    found = sorted(transfer_runs(material), key=blocks_of)
    wholes: dict[str, TransferRuns] = {}
    for group in found:
        wholes[group.data] = max(wholes.get(group.data, group), group, key=blocks_of)
    rows = [
        {**row, "blocks": float(blocks_of(group))}
        for group in found
        for row in test_rows([group])
    ]
    for group in found:
        if group is not wholes[group.data]:
            gap = group.test_minus(wholes[group.data])
            keys = {**group.keys, "blocks": float(blocks_of(group))}
            rows.append({**keys, "quantity": "difference_to_whole", **measured(gap)})
    return rows


def blocks_of(group: TransferRuns) -> int:
    """How many blocks a group's model has."""
    spec = parse_model_name(group.model)
    return spec.blocks or ARCHITECTURES[spec.architecture].blocks or 0


def same_task(
    group: TransferRuns, found: Iterable[TransferRuns], **wanted: Any
) -> TransferRuns | None:
    """The first group of the same model and data that has these attributes."""
    for other in found:
        if other.task == group.task and all(
            getattr(other, name) == value for name, value in wanted.items()
        ):
            return other
    return None


def _data_name(pair: tuple[str, int], data: Sequence[tuple[str, int]]) -> str:
    dataset, images = pair
    sizes = {size for name, size in data if name == dataset}
    return f"{dataset}, {wording.count(images)}" if len(sizes) > 1 else dataset
