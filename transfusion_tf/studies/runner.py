"""Runs a study: finished runs are reused, broken ones go on, failures don't spread."""

import dataclasses
import datetime
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.initialization import parse_spec, plan_tensors
from transfusion_tf.models import build, freeze_through
from transfusion_tf.studies.donors import is_dataset, pretraining_run
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
    """Where the study's record lies, and what became of its runs.

    Attributes:
      path: `<root>/studies/<name>/`, with `study.json`.
      runs: directories of the finished runs.
      failed: run id -> message of the others.
    """

    path: Path
    runs: tuple[RunDirectory, ...]
    failed: dict[str, str]


def run_study(
    study: Study,
    root: str | Path,
    *,
    options: Options | None = None,
    command: str = "",
) -> StudyResult:
    """Carries out all runs of a study that are not finished yet.

    What would fail every run is found before the first one starts: bad data, an
    unknown model, scheme or stage. Then donors are pretrained, then the runs
    follow. A run that fails is recorded, and the others go on.

    Args:
      study: what to run.
      root: runs go to `<root>/runs/`, the study's record to `<root>/studies/`.
      options: how runs are carried out.
      command: what the report says to type to get the same.

    Raises:
      UserError: what would make every run fail, or a donor that failed.
    """
    options = options or Options()
    root = Path(root).absolute()
    runs = root / "runs"
    data_sets = _DataSets(options)
    _check(study.runs, data_sets)

    donors = _resolve_donors(study.runs, data_sets)
    failed = _run_all(donors.values(), data_sets, runs, options, "Pretraining")
    if failed:
        raise UserError(
            "the donor could not be pretrained: " + "; ".join(failed.values())
        )
    targets = []
    for config in study.runs:
        if _wants_pretraining(config):
            donor_run = runs / donors[pretraining_run(config)].run_id
            config = config.replace(donor=str(donor_run))
        elif is_dataset(config.donor):
            config = config.replace(donor=None)
        targets.append(data_sets.resolve(config))

    record: dict[str, Any] = {
        "name": study.name,
        "title": study.title,
        "command": command,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": versions(),
        "runs": list(dict.fromkeys(config.run_id for config in targets)),
        "donor_runs": list(dict.fromkeys(config.run_id for config in donors.values())),
        "failed": [],
    }
    path = root / "studies" / study.name
    files.write_json(path / "study.json", record)
    failed = _run_all(targets, data_sets, runs, options, study.name)
    record["failed"] = [{"run": run, "message": text} for run, text in failed.items()]
    files.write_json(path / "study.json", record)
    finished = [RunDirectory(runs / run) for run in record["runs"] if run not in failed]
    return StudyResult(path, tuple(finished), failed)


def train_with_donor(
    config: RunConfig, root: str | Path, options: Options | None = None
) -> RunResult:
    """Trains one run below `<root>/runs/`, its donor first where it names a data set.

    Raises:
      UserError: as `transfusion_tf.training.train`.
    """
    options = options or Options()
    runs = Path(root).absolute() / "runs"
    if _wants_pretraining(config):
        donor, _ = resolve(pretraining_run(config), options.data_root)
        train(donor, runs / donor.run_id, options)
        config = config.replace(donor=str(runs / donor.run_id))
    elif is_dataset(config.donor):
        config = config.replace(donor=None)
    resolved, _ = resolve(config, options.data_root)
    return train(resolved, runs / resolved.run_id, options)


def _wants_pretraining(config: RunConfig) -> bool:
    return is_dataset(config.donor) and parse_spec(config.initialization).scheme != (
        "random"
    )


class _DataSets:
    """The data sets of a study, each opened once: opening reads all of its rows."""

    def __init__(self, options: Options):
        self._options = options
        self._open: dict[tuple, PreparedDataset] = {}

    def resolve(self, config: RunConfig) -> RunConfig:
        key = self._key(config)
        resolved, self._open[key] = resolve(
            config,
            self._options.data_root,
            progress=self._options.progress,
            prepared=self._open.get(key),
        )
        # The resolved config says the size that the card left open.
        self._open[self._key(resolved)] = self._open[key]
        return resolved

    def of(self, config: RunConfig) -> PreparedDataset:
        return self._open[self._key(config)]

    def _key(self, config: RunConfig) -> tuple:
        return config.dataset, config.source, config.image_size


def _check(configs: Iterable[RunConfig], data_sets: _DataSets) -> None:
    """Raises for what would fail later, without waiting for donors."""
    seen = set()
    for config in configs:
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
    configs: Iterable[RunConfig], data_sets: _DataSets
) -> dict[RunConfig, RunConfig]:
    """Pretraining runs that the configs stand on, as asked for -> resolved."""
    asked = [
        pretraining_run(config) for config in configs if _wants_pretraining(config)
    ]
    return {config: data_sets.resolve(config) for config in dict.fromkeys(asked)}


def _run_all(
    configs: Iterable[RunConfig],
    data_sets: _DataSets,
    runs: Path,
    options: Options,
    label: str,
) -> dict[str, str]:
    """Trains all that is not finished; returns run id -> message of what failed."""
    waiting = {
        config.run_id: config
        for config in configs
        if not RunDirectory(runs / config.run_id).finished()
    }
    failed: dict[str, str] = {}
    if not waiting:
        return failed
    bar = tqdm(
        total=sum(config.steps for config in waiting.values()),
        desc=f"{label}: run 1/{len(waiting)}",
        unit="step",
        disable=not options.progress,
        dynamic_ncols=True,
    )
    with bar:

        def on_step(count: int) -> None:
            bar.update(count)
            options.on_step(count)

        each = dataclasses.replace(options, on_step=on_step)
        for number, (run_id, config) in enumerate(waiting.items(), start=1):
            bar.set_description(f"{label}: run {number}/{len(waiting)}")
            before = bar.n
            try:
                train(config, runs / run_id, each, prepared=data_sets.of(config))
            except Exception as error:
                failed[run_id] = str(error) or type(error).__name__
                bar.write(f"{run_id} failed: {failed[run_id]}")
                if not isinstance(error, UserError):
                    bar.write(traceback.format_exc())
                bar.update(config.steps - (bar.n - before))
    return failed
