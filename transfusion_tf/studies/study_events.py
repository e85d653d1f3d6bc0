"""A study's runs for TensorBoard, side by side under names that people read.

They are written again from what the runs left, not linked: not every file system has
links, and runs of earlier studies are named otherwise there.
"""

import datetime
import io
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api
from tensorboard.summary.writer.record_writer import RecordWriter

from transfusion_tf import files
from transfusion_tf.studies.measurements.run_labels import start_names
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training.hparams import RESULTS, hparams, hparams_summary

# TensorBoard knows its files by this.
_FILE = "events.out.tfevents.study"
_METRICS = {
    RESULTS["test"]: "test",
    RESULTS["validation"]: "validation, best weights",
    "train/loss": "training loss",
    "validation/loss": "validation loss",
}


def write_study_events(runs: Sequence[Run], folder: Path) -> None:
    """Writes `<folder>/<run>/` for each run, and what of them HParams compares.

    Args:
      runs: finished ones.
      folder: TensorBoard's `--logdir`; what else is in it is removed.

    Raises:
      UserError: the folder cannot be written to.
    """
    names = event_names(runs)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name not in names:
            shutil.rmtree(path, ignore_errors=True)
    if not runs:
        return
    _write(folder / _FILE, [Event(step=0, summary=_compared(runs))])
    for name, run in zip(names, runs, strict=True):
        _write(folder / name / _FILE, _events(run))


def event_names(runs: Sequence[Run]) -> list[str]:
    """What TensorBoard calls runs: model, start and seed, and what else differs.

    The end of a run's id follows where that is the same for several.
    """
    starts = start_names([run.config for run in runs])
    others = [_other_parts(run) for run in runs]
    differing = {
        key for other in others for key in other if len({o[key] for o in others}) > 1
    }
    names = []
    for run, start, other in zip(runs, starts, others, strict=True):
        more = [text for key, text in other.items() if text and key in differing]
        parts = [run.config.model, start, *more, f"seed{run.config.seed}"]
        names.append(re.sub(r"[^\w.,=+-]+", "-", "-".join(parts)))
    return [
        f"{name}-{run.run_id[-6:]}" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]


def _other_parts(run: Run) -> dict[str, str]:
    """What may differ besides, each as it is shown."""
    config = run.config
    return {
        "dataset": run.dataset["name"],
        "frozen": f"frozen-{config.freeze}" if config.freeze else "",
        "train_examples": f"{run.train_examples}images",
        "fold": "" if config.fold is None else f"fold{config.fold}",
    }


def _compared(runs: Sequence[Run]) -> Summary:
    """Which values and metrics HParams shows: values that are not all the same."""
    values = [hparams(run.config, run.train_examples) for run in runs]
    names = dict.fromkeys(name for one in values for name in one)
    differing = [name for name in names if len({one.get(name) for one in values}) > 1]
    return api.hparams_config_pb(
        hparams=[api.HParam(name) for name in differing or names],
        metrics=[api.Metric(tag, display_name=text) for tag, text in _METRICS.items()],
        time_created_secs=_seconds(runs[0]),
    )


def _events(run: Run) -> Iterator[Event]:
    start = _seconds(run)
    summary = hparams_summary(run.config, run.train_examples, start)
    yield Event(wall_time=start, step=0, summary=summary)
    times = {
        line["step"]: line["train_seconds"] + line["evaluation_seconds"]
        for line in run.directory.timing().to_dict("records")
    }
    names = [str(name) for name in run.metrics]
    for row in run.metrics.to_numpy(float).tolist():
        line = dict(zip(names, row, strict=True))
        scalars = {name: value for name, value in line.items() if "/" in name}
        time = start + times.get(line["step"], 0.0)
        yield _scalars(int(line["step"]), time, scalars)
    results = {
        tag: run.status[split][run.metric]
        for split, tag in RESULTS.items()
        if run.metric in run.status.get(split, {})
    }
    yield _scalars(int(run.status["best_step"]), start + run.seconds, results)


def _scalars(step: int, time: float, values: Mapping[str, float]) -> Event:
    known = [
        Summary.Value(tag=tag, simple_value=value)
        for tag, value in values.items()
        if value == value
    ]
    return Event(wall_time=time, step=step, summary=Summary(value=known))


def _seconds(run: Run) -> float:
    """When the run began, since 1970."""
    started = run.status.get("started")
    return datetime.datetime.fromisoformat(started).timestamp() if started else 0.0


def _write(path: Path, events: Iterable[Event]) -> None:
    """Replaces an event file unless it says the same."""
    stream = io.BytesIO()
    writer = RecordWriter(stream)
    writer.write(Event(file_version="brain.Event:2").SerializeToString())
    for event in events:
        writer.write(event.SerializeToString())
    if path.is_file() and path.read_bytes() == stream.getvalue():
        return
    with files.replacing(path) as temporary:
        temporary.write_bytes(stream.getvalue())
