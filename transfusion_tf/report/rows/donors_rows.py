"""Rows of a cross-validation by target, donor and way of fine-tuning."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from transfusion_tf.report import wording
from transfusion_tf.report.donor_facts import donor_facts, is_gray
from transfusion_tf.report.long_table import Rows, mean_rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.shown_runs import ShownRuns
from transfusion_tf.studies.run_groups import grouped
from transfusion_tf.studies.study_folder import Run

HEAD_FIRST = "head first"
CALIBRATION, BALANCED = "expected_calibration_error", "balanced_accuracy"


@dataclasses.dataclass(frozen=True, eq=False)
class DonorRuns(ShownRuns):
    """The runs of one target, donor and way of fine-tuning: one per fold or seed.

    Attributes:
      donor: its name; `random` where there is none.
      head_first: whether the head was trained alone first, on frozen weights.
    """

    donor: str
    head_first: bool

    @property
    def label(self) -> str:
        """`photographs`, or `photographs, head first`."""
        return f"{self.donor}, {HEAD_FIRST}" if self.head_first else self.donor


def donor_runs(material: Material) -> list[DonorRuns]:
    """The chapter's groups: target by target, random weights first, then each donor."""
    names = {}
    for results in material.results:
        for run in results.record.runs:
            facts = donor_facts(results.record, run)
            names[run.run_id] = BASELINE if facts is None else facts.name
    settings = grouped(
        material.runs.values(),
        lambda run: (run.dataset["name"], names[run.run_id], run.config.head_steps > 0),
    )
    targets = list(dict.fromkeys(target for target, _, _ in settings))
    donors = list(dict.fromkeys([BASELINE, *names.values()]))
    found = []
    for target, donor, head_first in sorted(
        settings, key=lambda key: (targets.index(key[0]), donors.index(key[1]), key[2])
    ):
        runs = dict(sorted(settings[target, donor, head_first].items()))
        title = _target_title(next(iter(runs.values())))
        columns = {"dataset": target, "target": title}
        found.append(DonorRuns(runs, material.measurements, columns, donor, head_first))
    return found


def by_target(groups: Iterable[DonorRuns]) -> dict[str, list[DonorRuns]]:
    """The groups of every target."""
    found: dict[str, list[DonorRuns]] = {}
    for group in groups:
        found.setdefault(group.dataset, []).append(group)
    return found


def _target_title(run: Run) -> str:
    """The target's title, without what follows its first comma or colon."""
    title = str(run.dataset.get("title") or run.dataset["name"])
    return title.partition(":")[0].partition(",")[0]


def baseline_of(groups: Iterable[DonorRuns]) -> DonorRuns | None:
    """The runs from random weights; None without any."""
    return next((group for group in groups if group.donor == BASELINE), None)


def tuned_whole(groups: Iterable[DonorRuns]) -> list[DonorRuns]:
    """Donors that were fine-tuned whole from the first step."""
    return [c for c in groups if c.donor != BASELINE and not c.head_first]


def repetition_rows(groups: Iterable[DonorRuns]) -> Rows:
    """How many runs every group has, and what they differ in."""
    return [
        {"hidden": True, "quantity": "runs", "seeds": len(group.runs)}
        | {"over": "seed" if group.first.config.fold is None else "fold"}
        for group in groups
    ]


def target_rows(material: Material) -> Rows:
    """How many images, classes and pixels every target has."""
    rows: Rows = []
    for own in by_target(donor_runs(material)).values():
        run = own[0].first
        config, total, counts = run.config, _count_images(run), _count_classes(run)
        keys = {
            **own[0].columns,
            "kind": run.dataset["kind"],
            "gray": {True: "grey", False: "colour", None: wording.MISSING}[
                is_gray(run)
            ],
            "protocol": None if config.fold is None else config.fold_protocol,
            "folds": wording.MISSING
            if config.fold is None
            else f"{config.folds}, {config.fold_protocol}",
        }
        for quantity, value in (
            ("images", total),
            ("classes", len(counts)),
            ("image_size", int(run.dataset["image_size"])),
        ):
            rows.append({**keys, "quantity": quantity, "value": value})
        rows += [
            {**keys, "quantity": f"images/{name}", "value": count}
            | {"class": name, "share": count / max(total, 1)}
            for name, count in counts.items()
        ]
    return rows


def _splits(run: Run) -> list[Mapping[str, Any]]:
    """Counts of the splits, each image once: a fold may be both validation and test."""
    counts = run.dataset["counts"]
    shared = run.config.fold is not None and run.config.fold_protocol == "paper"
    splits = ("train", "test") if shared else ("train", "validation", "test")
    return [counts[name] for name in splits if name in counts]


def _count_images(run: Run) -> int:
    return sum(int(split["images"]) for split in _splits(run))


def _count_classes(run: Run) -> dict[str, int]:
    return {
        name: sum(int(split.get("classes", {}).get(name, 0)) for split in _splits(run))
        for name in run.dataset["classes"]
    }


def donor_accuracy_rows(material: Material) -> Rows:
    """The test metric by target and donor; balanced accuracy, calibration error."""
    rows: Rows = []
    for own in by_target(donor_runs(material)).values():
        baseline = baseline_of(own)
        for group in own:
            columns = {
                "population": _count_images(group.first),
                "initialization": group.label,
                "train_examples": group.first.train_examples,
                "donor": group.donor,
                "head_first": group.head_first,
                "unit": wording.metric_unit(group.first.metric),
            }
            rows += group.test_rows(baseline, **columns)
            for name in (BALANCED, CALIBRATION):
                mean = group.average(name, split="test")
                rows += group.rows(name, mean, **columns)
    for quantity in ("difference_to_random", CALIBRATION):
        own_rows = [row for row in rows if row["quantity"] == quantity]
        rows += mean_rows(own_rows, "initialization", f"mean_{quantity}")
    return rows
