"""Kills trainings and saves at random moments: do they go on as if undisturbed?

  python -m transfusion_tf_experiments.kill_runs --runs=20 --saves=50

Each run is a short training with dropout, batch norm and augmentation. It is killed
(SIGKILL) once, every other time while it writes a file, and then goes on to its end.
All that it leaves must equal what a run leaves that nobody killed, bit for bit.

Each save is a process that does nothing but save its state, and is killed. What is
restored must be whole, and no older than the last save that came to its end.

Linux and macOS. Exit code 1 where one of them fails. Some 10 minutes on 2 cores.
"""

import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from transfusion_tf_experiments.flags import FLAGS, data_root, define_location_flags
from transfusion_tf_experiments.process import import_tensorflow, start

if TYPE_CHECKING:
    import keras

define_location_flags()
flags.DEFINE_string("dataset", "phantom_retina_few", "Card name, or path.")
flags.DEFINE_integer("runs", 20, "Trainings to kill, each once.", 0)
flags.DEFINE_integer("saves", 50, "Processes to kill that save without end.", 0)
flags.DEFINE_integer("seed", 0, "Of the moments.")

# Forked, so that TensorFlow is imported once; it has not started when that is done.
_processes = multiprocessing.get_context("fork")
_TEXTS = ("metrics.jsonl", "initialization.csv", "dataset.json")


@dataclasses.dataclass(frozen=True)
class _Training:
    """The run that is killed again and again, each time in a folder of its own."""

    dataset: str
    data_root: str

    def __call__(self, folder: Path) -> None:
        """Begins the run, or goes on with it, and ends it."""
        from transfusion_tf.training import RunConfig, RunOptions, train

        config = RunConfig(
            dataset=self.dataset,
            model="cbr_tiny",
            batch_size=4,
            steps=14,
            eval_every=4,
            dropout=0.3,
        )
        options = RunOptions(
            data_root=self.data_root, progress=False, save_every_steps=1
        )
        train(config, folder, options)


def kill_runs(training: Callable[[Path], None], root: Path, count: int) -> int:
    """Kills `count` runs, each at another moment; returns how many went on exactly."""
    undisturbed, again = root / "undisturbed", root / "again"
    code = _finish(training, again)  # Prepares the data, too.
    begun = time.monotonic()
    code = code or _finish(training, undisturbed)
    duration = time.monotonic() - begun
    if code or differences(again, undisturbed):
        raise SystemExit("two runs that nobody killed fail or differ: see above")
    equal = 0
    for number in range(count):
        folder = root / f"killed-{number}"
        moment = random.uniform(0, duration)
        process = _begin(training, folder)
        time.sleep(moment)
        while number % 2 and process.is_alive() and not _half_written(folder):
            pass  # Up to the next file that it writes.
        process.kill()
        process.join()
        half = ", ".join(name.split(".", 2)[2] for name in _half_written(folder))
        step = _step(folder)
        code = _finish(training, folder)
        different = differences(folder, undisturbed)
        if code:
            different.append(f"its exit code {code}")
        equal += not different
        print(
            f"run {number}: killed after {moment:.1f} s, step {step}"
            + (f", while it wrote {half}" if half else "")
            + (f"; differs in {', '.join(different)}" if different else "; equal"),
            flush=True,
        )
        if not different:
            shutil.rmtree(folder)
    return equal


def _begin(action: Callable[..., None], *arguments: Any) -> ForkProcess:
    process = _processes.Process(target=action, args=arguments)
    process.start()
    return process


def _finish(training: Callable[[Path], None], folder: Path) -> int | None:
    """Goes on with the run to its end; the process's exit code."""
    process = _begin(training, folder)
    process.join()
    return process.exitcode


def _half_written(folder: Path) -> list[str]:
    """Names of the temporary files of `files.replacing`: `.<process>.<name>`."""
    found = []
    for place in (folder, folder / "state"):
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(place)
            found += [name for name in names if re.match(r"\.\d+\.", name)]
    return found


def _step(folder: Path) -> int | None:
    status = folder / "status.json"
    return json.loads(status.read_text()).get("step") if status.exists() else None


def differences(folder: Path, other: Path) -> list[str]:
    """What the finished runs in two folders do not have in common, by file."""
    import pandas as pd

    names = [{path.name for path in run.iterdir()} for run in (folder, other)]
    found = sorted(names[0] ^ names[1])
    for name in sorted(names[0] & names[1]):
        ours, theirs = folder / name, other / name
        if name in _TEXTS:
            same = ours.read_bytes() == theirs.read_bytes()
        elif name.endswith((".h5", ".keras")):
            same = _weights(ours) == _weights(theirs)
        elif name.endswith(".parquet"):
            same = pd.read_parquet(ours).equals(pd.read_parquet(theirs))
        elif name == "status.json":
            kept = ("state", "step", "best_step", "validation", "test")
            values = [json.loads(file.read_text()) for file in (ours, theirs)]
            same = all(values[0][key] == values[1][key] for key in kept)
        else:
            continue
        if not same:
            found.append(name)
    return found


def _weights(file: Path) -> dict[str, bytes]:
    """The bytes of every array, by its place in the file."""
    import io

    import h5py

    content = file.read_bytes()
    if file.suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            content = archive.read("model.weights.h5")
    arrays = {}
    with h5py.File(io.BytesIO(content), "r") as opened:

        def keep(name: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset):
                arrays[name] = found[()].tobytes()

        opened.visititems(keep)
    return arrays


# --- saves -----------------------------------------------------------------------


def kill_saves(root: Path, count: int) -> int:
    """Kills `count` processes that save; returns of how many the state was whole."""
    saved = []
    for number in range(count):
        folder = root / f"saves-{number}"
        folder.mkdir()
        receiver, sender = _processes.Pipe(duplex=False)
        process = _begin(_save_without_end, folder, sender)
        step = receiver.recv()
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        process.join()
        while receiver.poll():
            step = receiver.recv()
        saved.append((folder, step, bool(_half_written(folder))))
    receiver, sender = _processes.Pipe(duplex=False)
    process = _begin(_restore, [folder for folder, _, _ in saved], sender)
    whole = 0
    for folder, step, _ in saved:
        restored, message = receiver.recv()
        good = not message and restored in (step, step + 1)
        whole += good
        if not good:
            print(f"{folder.name}: saved {step}, restored {restored}; {message}")
    process.join()
    print(f"{sum(half for _, _, half in saved)} of {count} were killed inside a save")
    return whole


def _variables() -> "list[keras.Variable]":
    import keras
    import numpy as np

    shapes = [(200, 500), (1000,), (64, 3, 5, 5), ()]
    return [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]


def _save_without_end(folder: Path, sender: Connection) -> None:
    import numpy as np

    from transfusion_tf.training.state import Progress, StateFiles

    states, variables = StateFiles(folder), _variables()
    for step in itertools.count(1):
        for variable in variables:
            variable.assign(np.full(variable.shape, step))
        states.save(variables, Progress(step=step, losses=[float(step)] * 100))
        sender.send(step)


def _restore(folders: Sequence[Path], sender: Connection) -> None:
    import numpy as np

    from transfusion_tf.training.state import StateFiles

    for folder in folders:
        variables = _variables()
        progress, message = StateFiles(folder).load(variables)
        step = progress.step if progress else 0
        values = {float(value) for v in variables for value in np.unique(v)}
        if values != {float(step)}:
            message += f"the values are those of {sorted(values)}"
        sender.send((step, message))


def _main(arguments: Sequence[str]) -> None:
    del arguments
    import_tensorflow()
    import transfusion_tf.training.run  # noqa: F401

    random.seed(FLAGS.seed)
    with tempfile.TemporaryDirectory(prefix="kill-runs-") as scratch:
        root = Path(scratch)
        given = FLAGS["root"].present or FLAGS.data_root
        data = data_root() if given else str(root / "data")
        whole = equal = 0
        if FLAGS.saves:
            whole = kill_saves(root, FLAGS.saves)
            print(f"{whole} of {FLAGS.saves} saves restored", flush=True)
        if FLAGS.runs:
            equal = kill_runs(_Training(FLAGS.dataset, data), root, FLAGS.runs)
            print(f"{equal} of {FLAGS.runs} runs equal", flush=True)
    sys.exit(whole < FLAGS.saves or equal < FLAGS.runs)


def main() -> None:
    """Entry point."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
