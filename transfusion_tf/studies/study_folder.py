"""A study as it lies on the disk: its runs, read once, and what stopped the others."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import (
    RunScore,
    compute_metrics,
    labels_and_probabilities,
    score_run,
)
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.run_directory import RunDirectory, run_seconds


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
      run_id: name of its directory.
      directory: where the rest of it is read from when needed.
      config: the resolved configuration.
      status: what the training loop left in `status.json`.
      dataset: what the card said and the counts by split.
    """

    run_id: str
    directory: RunDirectory
    config: RunConfig
    status: Mapping[str, Any]
    dataset: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """The metric that `best` was chosen by."""
        return self.config.metric or self.dataset["metric"]

    @property
    def seconds(self) -> float:
        """What training and evaluating it took."""
        return run_seconds(self.status)

    @property
    def train_examples(self) -> int:
        """How many training images the run used."""
        available = int(self.dataset["counts"]["train"]["images"])
        return min(self.config.train_examples or available, available)

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """A row an evaluation."""
        return self.directory.metrics()

    @functools.cached_property
    def score(self) -> RunScore | None:
        """The metric on test with its bootstrap; None without test examples."""
        return self.split_score("test")

    def split_score(self, split: str) -> RunScore | None:
        """The metric on a split with its bootstrap; None without examples of it."""
        table = self.directory.predictions(split)
        if table.empty:
            return None
        return score_run(
            table,
            self.dataset["classes"],
            self.metric,
            self.dataset.get("referable_from"),
        )

    @functools.cached_property
    def test_metrics(self) -> Mapping[str, float]:
        """Every metric that applies on test, `auc/<class>` too; empty without test."""
        table = self.directory.predictions("test")
        if table.empty:
            return {}
        classes = self.dataset["classes"]
        return compute_metrics(
            *labels_and_probabilities(table, classes),
            classes,
            self.dataset["kind"],
            self.dataset.get("referable_from"),
        )

    @functools.cached_property
    def test_labels(self) -> pd.DataFrame:
        """`example_id patient_id label/<class>` of the test examples."""
        table = self.directory.predictions("test")
        return table.drop(columns=table.filter(like="probability/").columns)

    def curve(self, metric: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Steps and a validation metric there; by default the main one."""
        column = f"validation/{metric or self.metric}"
        if column not in self.metrics:
            return np.zeros(0), np.zeros(0)
        return (
            self.metrics["step"].to_numpy(dtype=float),
            self.metrics[column].to_numpy(dtype=float),
        )

    def best_validation(self) -> float:
        """The validation metric of the weights that were kept."""
        value = self.status.get("best_validation")
        if value is not None:
            return float(value)
        _, values = self.curve()
        return float(np.nanmax(values)) if len(values) else float("nan")


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A run of the study that has no result.

    Attributes:
      run_id: name of its directory.
      state: `failed`, `running`, `missing` or `unreadable`.
      message: why, in one line.
    """

    run_id: str
    state: str
    message: str


@dataclasses.dataclass(frozen=True)
class ChapterRecord:
    """One table or figure, as `study.json` has it.

    Attributes:
      name: as the paper calls it: `table1`, `figure7`; else what it is about.
      title: the heading.
      text: what it shows.
      view: one of `transfusion_tf.report.chapters.KINDS`.
      options: of the view.
      published: the paper's numbers, a row each.
      notes: what differs from the paper.
      runs: ids of the runs that it is made of.
      analyses: kind (`population_trained`, `population_initial`, `before_after`) ->
        paths of tables, relative to the study's root.
    """

    name: str
    title: str
    text: str
    view: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    analyses: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StudyRecord:
    """What the report is made from.

    Attributes:
      name: of the study.
      title: the same for people.
      command: what made it.
      created: when, as text.
      commit: of the code, or None.
      versions: of Python and the libraries.
      root: the folder that holds `runs/` and `studies/`.
      runs: the finished ones, in the study's order.
      donors: finished donor runs.
      unfinished: all that have no result.
      chapters: what the report shows, in this order.
      after_paper: whether it repeats a paper's.
      not_in_paper: what the paper leaves open, a sentence for each choice.
      claims: the paper's findings as plain values, see `studies.claims`.
      donor_cards: of weight files that donors came from: `name title input_scaling
        color note weights`.
    """

    name: str
    title: str
    command: str
    created: str
    commit: str | None
    versions: Mapping[str, str]
    root: Path
    runs: tuple[Run, ...]
    donors: tuple[Run, ...]
    unfinished: tuple[Unfinished, ...]
    chapters: tuple[ChapterRecord, ...] = ()
    after_paper: bool = False
    not_in_paper: tuple[str, ...] = ()
    claims: tuple[Mapping[str, Any], ...] = ()
    donor_cards: tuple[Mapping[str, str], ...] = ()


def read_study(study_dir: str | Path) -> StudyRecord:
    """Reads `study.json` and the runs that it names.

    A run that is missing, broken or not finished becomes `Unfinished`: the rest of
    the study is still worth a report.

    Args:
      study_dir: `<root>/studies/<name>`.

    Raises:
      UserError: there is no study.
    """
    folder = Path(study_dir)
    path = folder / "study.json"
    if not path.exists():
        raise UserError(
            f"{folder} is not a study: no study.json in it; give the folder "
            "<root>/studies/<name> that transfusion-study wrote"
        )
    values = files.read_json(path)
    root = folder.resolve().parent.parent
    messages = {
        failure["run"]: str(failure.get("message", ""))
        for failure in values.get("failed", [])
    }
    read = {
        run_id: _read_run(root / "runs" / run_id, messages.get(run_id))
        for run_id in [*values.get("runs", []), *values.get("donor_runs", [])]
    }
    unfinished = [run for run in read.values() if isinstance(run, Unfinished)]
    unfinished += [
        Unfinished(run_id, "failed", message)
        for run_id, message in messages.items()
        if run_id not in read
    ]
    return StudyRecord(
        name=values.get("name", folder.name),
        title=values.get("title") or values.get("name", folder.name),
        command=values.get("command", ""),
        created=values.get("created", ""),
        commit=values.get("commit"),
        versions=values.get("versions", {}),
        root=root,
        runs=_finished(read, values.get("runs", [])),
        donors=_finished(read, values.get("donor_runs", [])),
        unfinished=tuple(unfinished),
        chapters=tuple(_chapter(chapter) for chapter in values.get("chapters", [])),
        # Records from before the chapters of own studies say nothing of it.
        after_paper=values.get("after_paper", bool(values.get("chapters"))),
        not_in_paper=tuple(values.get("not_in_paper") or ()),
        claims=tuple(values.get("claims") or ()),
        donor_cards=tuple(values.get("donor_cards") or ()),
    )


def _chapter(values: Mapping[str, Any]) -> ChapterRecord:
    return ChapterRecord(
        name=values["name"],
        title=values.get("title") or values["name"],
        text=values.get("text", ""),
        view=values["view"],
        options=values.get("options") or {},
        published=tuple(values.get("published") or ()),
        notes=tuple(values.get("notes") or ()),
        runs=tuple(values.get("runs") or ()),
        analyses={
            kind: tuple(paths) for kind, paths in (values.get("analyses") or {}).items()
        },
    )


def _finished(
    read: Mapping[str, Run | Unfinished], names: list[str]
) -> tuple[Run, ...]:
    runs = (read[name] for name in dict.fromkeys(names))
    return tuple(run for run in runs if isinstance(run, Run))


def _read_run(path: Path, failure: str | None) -> Run | Unfinished:
    directory = RunDirectory(path)
    if not directory.exists():
        return Unfinished(path.name, "missing", failure or "it was never started")
    try:
        config, status = directory.config(), directory.status()
        state = status.get("state")
        if state != "finished":
            message = failure or status.get("message")
            if not message:
                message = f"stopped at step {status.get('step', 0)} of {config.steps}"
            kind = "running" if state == "running" and not failure else "failed"
            return Unfinished(path.name, kind, message)
        run = Run(path.name, directory, config, status, directory.dataset())
        # Read now what may be broken: a report must not fail half-way.
        _ = run.directory.predictions("test"), run.metrics
        return run
    except (OSError, ValueError, KeyError) as error:
        return Unfinished(path.name, "unreadable", f"{type(error).__name__}: {error}")
