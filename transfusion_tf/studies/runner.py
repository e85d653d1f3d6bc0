"""Runs a study: finished runs are reused, broken ones go on, failures don't spread."""

import dataclasses
import datetime
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.studies.chapters import chapter_records
from transfusion_tf.studies.claims import claim_to_dict
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.disk import check_disk_space
from transfusion_tf.studies.donor_runs import (
    donor_card_records,
    is_dataset,
    pretraining_run,
    with_donor_card,
)
from transfusion_tf.studies.engines.calling_process import CallingProcess
from transfusion_tf.studies.engines.execution import Execution, make_engine
from transfusion_tf.studies.expected_time import expectation
from transfusion_tf.studies.plan import (
    Plan,
    check_before_data,
    plan_study,
    wants_pretraining,
)
from transfusion_tf.studies.progress import StudyProgress
from transfusion_tf.studies.queue import train_all
from transfusion_tf.studies.said_donors import SaidDonors
from transfusion_tf.studies.schedule import PlannedRun
from transfusion_tf.studies.shard import Shard
from transfusion_tf.studies.study_declaration import Study
from transfusion_tf.studies.study_names import question
from transfusion_tf.training import (
    RunConfig,
    RunDirectory,
    RunOptions,
    RunResult,
    resolve,
    train,
)
from transfusion_tf.training.provenance import commit, versions
from transfusion_tf.training.strategy import join, split_cpu, use_threads


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
    options: RunOptions | None = None,
    command: str = "",
    shard: Shard | None = None,
    execution: Execution | None = None,
) -> StudyResult:
    """Carries out all runs of a study that are not finished yet, or a shard of them.

    What would fail every run is found before the first one starts: bad data, an
    unknown model, scheme or stage. A donor is pretrained before what stands on it. A
    run that fails is recorded, and the others go on.

    Any number of processes may do this at once on one root, with shards or without:
    none trains a run that another one is training. Donors are waited for. Other runs
    that others train are waited for in the end, by a whole study only.

    Args:
      study: what to run.
      root: runs go to `<root>/runs/`, the study's record to `<root>/studies/`.
      options: how each run is carried out.
      command: what the report says to type to get the same.
      shard: which part of the runs; None is all of them.
      execution: where runs are trained, and how many at once; None is one after the
        other, in this process.

    Raises:
      UserError: what would make every run fail, a donor that failed among them; what
        was asked for to train on is not there.
      Terminated, KeyboardInterrupt: asked to end; the states of runs are saved.
    """
    options = options or RunOptions()
    # Before models are built and data prepared, which starts TensorFlow.
    use_threads(options.threads)
    split_cpu(options.logical_devices)
    root = Path(root).absolute()
    data_sets = DataSets(options)
    plan = plan_study(study, root / "runs", data_sets)
    record = _Record(plan, root, command, options)
    run_ids = list(plan.configs)
    ours = shard.of(run_ids) if shard else run_ids
    failed = _train(
        plan,
        ours,
        record,
        data_sets,
        execution or Execution(),
        label=f"{study.name} {shard}" if shard else study.name,
        wait=shard is None,
    )
    result = _recorded(plan, record, failed)
    if ours and all(plan.stands_on.get(run) in failed for run in ours):
        why = [text for run, text in failed.items() if run in plan.donors]
        raise UserError("the donor could not be pretrained: " + "; ".join(why))
    return result


def _train(
    plan: Plan,
    ours: Collection[str],
    record: "_Record",
    data_sets: DataSets,
    execution: Execution,
    *,
    label: str,
    wait: bool,
) -> dict[str, str]:
    """Trains what is not finished of our runs; run id -> message of what failed.

    The record is written as soon as it is sure that training can begin.
    """
    options = record.options
    planned = plan.of(ours)
    every = {**plan.donors, **plan.configs}
    configs = {
        run.run_id: every[run.run_id]
        for run in planned
        if not RunDirectory(record.runs / run.run_id).finished()
    }
    # Ours are about to be tried again.
    theirs = [run for run in plan.configs if run not in ours]
    failed_before = _failures(plan, theirs, record.runs)
    donors = SaidDonors(plan, record.root)
    say_donors = donors.say if options.progress else lambda: None
    if not configs:
        say_donors()
        record.write(plan.configs, failed_before)
        return {}
    progress = StudyProgress(
        label,
        configs,
        donors=plan.donors,
        finished=len(planned) - len(configs),
        shown=options.progress,
        on_step=options.on_step,
    )
    with make_engine(
        execution,
        list(configs.values()),
        options,
        record.root,
        record.path / "logs",
        data_sets,
        progress.listen,
    ) as engine:
        room = check_disk_space(configs.values(), record.root, engine.slots)
        record.write(plan.configs, failed_before)
        with progress:
            if options.progress:
                # The report's path alone goes to standard output.
                tqdm.write(f"{label}: {room}", file=sys.stderr)
                took = expectation(configs, record.runs, engine.slots)
                tqdm.write(f"{label}: {took}", file=sys.stderr)
            say_donors()
            failed = train_all(
                planned,
                configs,
                record.runs,
                engine,
                progress,
                wait=wait,
                on_finished=say_donors,
            )
            # Those that others have trained.
            say_donors()
    return {run: outcome.message for run, outcome in failed.items()}


def _recorded(
    plan: Plan, record: "_Record", failed_now: Mapping[str, str]
) -> StudyResult:
    """Writes what became of all runs into the study's record."""
    failed = _failures(plan, plan.configs, record.runs)
    failed |= {run: text for run, text in failed_now.items() if run in plan.configs}
    others = [
        RunDirectory(record.runs / run) for run in plan.configs if run not in failed
    ]
    waiting = tuple(run.path.name for run in others if not run.finished())
    record.write(waiting, failed)
    return StudyResult(
        record.path,
        runs=tuple(run for run in others if run.path.name not in waiting),
        failed=failed,
        waiting=waiting,
        run_ids=plan.run_ids,
    )


def _failures(plan: Plan, run_ids: Iterable[str], runs: Path) -> dict[str, str]:
    """Run id -> message of those that failed here or in another process."""
    failed = {}
    for run in run_ids:
        message = _failure(run, runs)
        donor = plan.stands_on.get(run)
        if message is None and donor and not RunDirectory(runs / run).finished():
            why = _failure(donor, runs)
            message = why and f"its donor {donor} failed: {why}"
        if message:
            failed[run] = message
    return failed


def _failure(run: str, runs: Path) -> str | None:
    status = RunDirectory(runs / run).status()
    if status["state"] != "failed":
        return None
    return status.get("message") or "it failed"


class _Record:
    """The study's folder and its `study.json`; every shard writes the same one."""

    def __init__(self, plan: Plan, root: Path, command: str, options: RunOptions):
        self.root = root
        self.runs = root / "runs"
        self.path = root / "studies" / plan.study.name
        self.options = options
        self._plan = plan
        self._claims = [
            claim_to_dict(claim, plan.run_ids) for claim in plan.study.claims
        ]
        self._content: dict[str, Any] = {
            "name": plan.study.name,
            "title": plan.study.title,
            "after_paper": plan.study.after_paper,
            "not_in_paper": list(plan.study.not_in_paper),
            "question": question(plan.study.runs),
            "command": command,
            "commit": commit(),
            "versions": versions(),
            "runs": list(plan.configs),
            "donor_runs": list(plan.donors),
            "donor_cards": donor_card_records(plan.study.runs),
        }

    def write(self, waiting: Collection[str], failed: Mapping[str, str]) -> None:
        """Writes it as things stand.

        Args:
          waiting: ids of the runs that are not finished.
          failed: run id -> message of those that failed.
        """
        plan = self._plan
        chapters = chapter_records(
            plan.study.chapters,
            plan.run_ids,
            waiting,
            self.root,
            self.options.data_root,
            progress=self.options.progress,
        )
        file = self.path / "study.json"
        before = files.read_json(file) if file.exists() else {}
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        same = before.get("runs") == self._content["runs"]
        content = {
            **self._content,
            **({"chapters": chapters} if chapters else {}),
            **({"claims": self._claims} if self._claims else {}),
            "created": before.get("created", now) if same else now,
            "failed": [{"run": run, "message": text} for run, text in failed.items()],
        }
        files.write_json(file, content)


def train_with_donor(
    config: RunConfig, root: str | Path, options: RunOptions | None = None
) -> RunResult:
    """Trains one run below `<root>/runs/`, its donor first where it names a data set.

    A donor that another process pretrains is waited for.

    Raises:
      UserError: as `transfusion_tf.training.train`.
    """
    options = options or RunOptions()
    runs = Path(root).absolute() / "runs"
    alone = options.cluster is None and options.strategy != "multi_worker"
    if alone:
        join(options)
    check_before_data([config], with_models=alone)
    if wants_pretraining(config):
        donor = _pretrain(pretraining_run(config), runs, options)
        config = config.replace(donor=str(donor))
    elif is_dataset(config.donor):
        config = config.replace(donor=None)
    resolved, _ = resolve(with_donor_card(config), options.data_root)
    return train(resolved, runs / resolved.run_id, options)


def _pretrain(config: RunConfig, runs: Path, options: RunOptions) -> Path:
    """Trains a donor, or waits for the process that does; returns its folder."""
    data_sets = DataSets(options)
    donor = data_sets.resolve(config)
    folder = runs / donor.run_id
    if options.cluster is not None or options.strategy == "multi_worker":
        # All workers do the same, whatever each of them sees of the folder.
        train(donor, folder, options)
        return folder
    configs = {donor.run_id: donor}
    with StudyProgress(
        "Pretraining",
        configs,
        donors=configs,
        shown=options.progress,
        on_step=options.on_step,
    ) as progress:
        engine = CallingProcess(options, runs, data_sets, progress.listen)
        plan = [PlannedRun(donor.run_id)]
        failed = train_all(plan, configs, runs, engine, progress, wait=True)
    for outcome in failed.values():
        raise outcome.error or UserError(outcome.message)
    return folder
