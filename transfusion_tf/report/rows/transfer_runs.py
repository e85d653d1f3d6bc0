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
from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, scheme
from transfusion_tf.report.rows.network_order import stage_order, through
from transfusion_tf.report.shown_runs import ShownRuns
from transfusion_tf.studies.run_groups import grouped

STATISTICS = "mean_var"


@dataclasses.dataclass(frozen=True, eq=False)
class TransferRuns(ShownRuns):
    """Runs that differ in their seed alone.

    Attributes:
      fraction: share of the stages, or of the groups of them that the chapter's
        options name, with the donor's weights: 0 is ST, 1 is WT; None is RI.
    """

    fraction: float | None

    @property
    def data(self) -> str:
        """The data set; with its number of images where it comes in several sizes."""
        return self.columns["data"]

    @property
    def label(self) -> str:
        """`RI`, `ST`, `WT`, or `WT-ST block2`."""
        return self.columns["label"]

    @property
    def task(self) -> tuple[str, str]:
        """Data set, with the number of images where there are several, and model."""
        return self.data, self.model


def transfer_runs(material: Material) -> list[TransferRuns]:
    """All groups of a chapter, in the order of its runs.

    The learning rate from random weights is another than from others (feature reuse,
    section 2): here groups are told apart by model and start alone.
    """
    known = material.runs
    runs = [known[name] for name in material.chapter.runs if name in known]
    settings = grouped(
        runs,
        lambda run: (
            run.dataset["name"],
            run.train_examples,
            run.config.model,
            run.config.initialization,
        ),
    )
    models = list(dict.fromkeys(run.config.model for run in runs))
    groups = material.chapter.options.get("groups", {})
    orders = {
        model: groups.get(model)
        or stage_order(run for run in known.values() if run.config.model == model)
        for model in models
    }
    data = list(dict.fromkeys(setting[:2] for setting in settings))
    found = []
    for (dataset, images, model, start), repetitions in settings.items():
        share = fraction(start, orders[model])
        columns = {
            "dataset": dataset,
            "train_examples": images,
            "model": model,
            "initialization": start,
            "data": _data_name((dataset, images), data),
            "label": _start_name(start, share),
            "fraction": np.nan if share is None else share,
            "share": wording.number(share, 2),
            "unit": wording.metric_unit(next(iter(repetitions.values())).metric),
        }
        found.append(TransferRuns(repetitions, material.measurements, columns, share))
    names = [_data_name(each, data) for each in data]
    return sorted(
        found,
        key=lambda group: (
            names.index(group.data),
            models.index(group.model),
            -1.0 if group.fraction is None else group.fraction,
        ),
    )


def fraction(initialization: str, order: Sequence[str]) -> float | None:
    """Share of the stages that have the donor's weights; None of another start."""
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


def _start_name(initialization: str, share: float | None) -> str:
    if share is None:
        return "RI" if initialization == BASELINE else initialization
    stage = through(initialization)
    return f"WT-ST {stage}" if stage else ("ST", "WT")[round(share)]


def start_rows(material: Material) -> Rows:
    """The test metric of every group, and how many parameters each model has."""
    found = transfer_runs(material)
    counts: dict[str, float] = {}
    for group in found:
        count = group.first.status.get("parameters")
        if count is not None:
            counts.setdefault(group.model, count)
    sizes = {model: wording.amount(count) for model, count in counts.items()}
    rows: Rows = [
        group.row(
            "test",
            group.test,
            sized_model=f"{group.model}\n{sizes.get(group.model, '')}",
        )
        for group in found
    ]
    rows += [
        {"model": model, "quantity": "parameters", "value": count}
        for model, count in counts.items()
    ]
    for group in found:
        random = same_task(group, found, initialization=BASELINE)
        if group.initialization == "transfer" and random is not None:
            gap = group.test_minus(random)
            rows.append(group.row("weights_minus_random", gap, hidden=True))
    return rows


def sweep_rows(material: Material) -> Rows:
    """The test metric by share transferred, and over that of statistics alone."""
    found = transfer_runs(material)
    swept = {group.data for group in found if through(group.initialization)}
    rows = [group.row("test", group.test) for group in found]
    gains: dict[tuple[str, float], list[float]] = {
        (model, 0.0): [1.0] for model in models_of(found)
    }
    for group in found:
        statistics = same_task(group, found, fraction=0.0)
        if not group.fraction or statistics is None:
            continue
        gain = group.test_over(statistics)
        rows.append(group.row("statistics_gain", gain))
        if gain is not None:
            gains.setdefault((group.model, group.fraction), []).append(gain.estimate)
    # Where random weights stand, left of a share of 0.
    rows += [
        group.row("test_of_random", group.test, hidden=True, place=-0.14)
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
        group.row("test", group.test, blocks=float(blocks_of(group))) for group in found
    ]
    for group in found:
        if group is not wholes[group.data]:
            gap = group.test_minus(wholes[group.data])
            blocks = float(blocks_of(group))
            rows.append(group.row("difference_to_whole", gap, blocks=blocks))
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
