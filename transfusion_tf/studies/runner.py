"""Runs a study: finished runs are reused, broken ones go on, failures don't spread."""

import dataclasses
import datetime
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.initialization import parse_spec, plan_tensors
from transfusion_tf.models import build, freeze_through
from transfusion_tf.studies.chapters import chapter_records, fit_to_data
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.donors import (
    donor_card_records,
    is_dataset,
    pretraining_run,
    with_donor_card,
)
from transfusion_tf.studies.queue import train_all, train_when_free
from transfusion_tf.studies.shard import Shard
from transfusion_tf.studies.study import Study
from transfusion_tf.training import (
    Options,
    RunConfig,
    RunDirectory,
    RunResult,
    resolve,
    train,
)
from transfusion_tf.training.artifacts import commit, versions


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """Where the study's record lies, and what became of its runs, in all shards.

    Attributes:
      path: `<root>/studies/<name>/`, with `study.json`.
      runs: directories of the finished runs.
      failed: run id -> message of those that failed.
      waiting: run ids of the others: they belong to another shard, or another
        process trains them.
      run_ids: of all configs that the study was made of, as they stand in it.
    """

    path: Path
    runs: tuple[RunDirectory, ...]
    failed: dict[str, str]
    waiting: tuple[str, ...] = ()
    run_ids: Mapping[RunConfig, str] = dataclasses.field(default_factory=dict)


def run_study(
    study: Study,
    root: str | Path,
    *,
    options: Options | None = None,
    command: str = "",
    shard: Shard | None = None,
) -> StudyResult:
    """Carries out all runs of a study that are not finished yet, or a shard of them.

    What would fail every run is found before the first one starts: bad data, an
    unknown model, scheme or stage. Then donors are pretrained, then the runs
    follow. A run that fails is recorded, and the others go on.

    Any number of processes may do this at once on one root, with shards or without:
    none trains a run that another one is training. Donors are waited for, as all
    runs' names hang on them. Runs that others train are waited for in the end, by a
    whole study only.

    Args:
      study: what to run.
      root: runs go to `<root>/runs/`, the study's record to `<root>/studies/`.
      options: how runs are carried out.
      command: what the report says to type to get the same.
      shard: which part of the runs; None is all of them.

    Raises:
      UserError: what would make every run fail, or a donor that failed.
    """
    options = options or Options()
    root = Path(root).absolute()
    runs = root / "runs"
    data_sets = DataSets(options)
    study = _fitted(study, data_sets)
    _check(study.runs, data_sets)

    donors = _resolve_donors(study.runs, data_sets)
    failed = train_all(
        donors.values(), data_sets, runs, options, "Pretraining", wait=True
    )
    if failed:
        raise UserError(
            "the donor could not be pretrained: " + "; ".join(failed.values())
        )
    targets = _on_donors(study.runs, donors, runs, data_sets)
    distinct = {config.run_id: config for config in targets}
    run_ids = {
        asked: config.run_id for asked, config in zip(study.runs, targets, strict=True)
    }
    ours = shard.of(list(distinct)) if shard else list(distinct)
    theirs = [run for run in distinct if run not in ours]
    record: dict[str, Any] = {
        "name": study.name,
        "title": study.title,
        "command": command,
        "commit": commit(),
        "versions": versions(),
        "runs": list(distinct),
        "donor_runs": list(dict.fromkeys(config.run_id for config in donors.values())),
        "donor_cards": donor_card_records(study.runs),
    }

    def chapters(waiting: Collection[str]) -> dict[str, Any]:
        found = chapter_records(
            *(study.chapters, run_ids, waiting, root, options.data_root),
            progress=options.progress,
        )
        return {"chapters": found} if found else {}

    path = root / "studies" / study.name
    # Ours are about to be tried again.
    before = record | chapters(waiting=distinct)
    _write_record(path, before, _failures(theirs, runs))
    failed = train_all(
        [distinct[run] for run in ours],
        data_sets,
        runs,
        options,
        f"{study.name} {shard}" if shard else study.name,
        wait=shard is None,
    )
    failed = {**_failures(distinct, runs), **failed}
    others = [RunDirectory(runs / run) for run in distinct if run not in failed]
    waiting = tuple(run.path.name for run in others if not run.finished())
    _write_record(path, record | chapters(waiting), failed)
    return StudyResult(
        path,
        runs=tuple(run for run in others if run.path.name not in waiting),
        failed=failed,
        waiting=waiting,
        run_ids=run_ids,
    )


def _on_donors(
    configs: Iterable[RunConfig],
    donors: Mapping[RunConfig, RunConfig],
    runs: Path,
    data_sets: DataSets,
) -> list[RunConfig]:
    """The configs resolved, each on the weights of its pretrained donor."""
    targets = []
    for config in configs:
        if _wants_pretraining(config):
            donor_run = runs / donors[pretraining_run(config)].run_id
            config = config.replace(donor=str(donor_run))
        elif is_dataset(config.donor):
            config = config.replace(donor=None)
        targets.append(data_sets.resolve(with_donor_card(config)))
    return targets


def _fitted(study: Study, data_sets: DataSets) -> Study:
    """A paper's study without what its data sets are too small for."""
    if not study.chapters:
        return study
    available = {}
    for config in study.runs:
        bare = config.replace(donor=None, initialization="random", train_examples=None)
        data_sets.resolve(bare)
        available[config] = len(data_sets.of(bare).examples("train", None))
    return fit_to_data(study, available)


def _failures(run_ids: Iterable[str], runs: Path) -> dict[str, str]:
    """Run id -> message of those that failed here or in another process."""
    statuses = {run: RunDirectory(runs / run).status() for run in run_ids}
    return {
        run: status.get("message") or "it failed"
        for run, status in statuses.items()
        if status["state"] == "failed"
    }


def _write_record(path: Path, record: dict[str, Any], failed: dict[str, str]) -> None:
    """Writes `study.json`; every shard writes the same one."""
    file = path / "study.json"
    before = files.read_json(file) if file.exists() else {}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    same = before.get("runs") == record["runs"]
    content = {
        **record,
        "created": before.get("created", now) if same else now,
        "failed": [{"run": run, "message": text} for run, text in failed.items()],
    }
    files.write_json(file, content)


def train_with_donor(
    config: RunConfig, root: str | Path, options: Options | None = None
) -> RunResult:
    """Trains one run below `<root>/runs/`, its donor first where it names a data set.

    A donor that another process pretrains is waited for.

    Raises:
      UserError: as `transfusion_tf.training.train`.
    """
    options = options or Options()
    runs = Path(root).absolute() / "runs"
    if _wants_pretraining(config):
        donor, _ = resolve(pretraining_run(config), options.data_root)
        train_when_free(donor, RunDirectory(runs / donor.run_id), options)
        config = config.replace(donor=str(runs / donor.run_id))
    elif is_dataset(config.donor):
        config = config.replace(donor=None)
    resolved, _ = resolve(with_donor_card(config), options.data_root)
    return train(resolved, runs / resolved.run_id, options)


def _wants_pretraining(config: RunConfig) -> bool:
    return is_dataset(config.donor) and parse_spec(config.initialization).scheme != (
        "random"
    )


def _check(configs: Iterable[RunConfig], data_sets: DataSets) -> None:
    """Raises for what would fail later, without waiting for donors."""
    seen = set()
    for config in map(with_donor_card, configs):
        if is_dataset(config.donor):
            config = config.replace(donor=None)
            data_sets.resolve(config.replace(initialization="random"))
        else:
            data_sets.resolve(config)
        key = (config.model, config.initialization, config.freeze)
        if key in seen:
            continue
        seen.add(key)
        spec = parse_spec(config.initialization)
        if spec.through or config.freeze or "[" in config.model:
            model = build(config.model, (128, 128, 3), 1)
            plan_tensors(model, spec)
            if config.freeze:
                freeze_through(model, config.freeze)
            keras.backend.clear_session()


def _resolve_donors(
    configs: Iterable[RunConfig], data_sets: DataSets
) -> dict[RunConfig, RunConfig]:
    """Pretraining runs that the configs stand on, as asked for -> resolved."""
    asked = [
        pretraining_run(config) for config in configs if _wants_pretraining(config)
    ]
    return {config: data_sets.resolve(config) for config in dict.fromkeys(asked)}
