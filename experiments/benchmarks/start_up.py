"""From the command to the first training step: CBR-Tiny at 96 px.

Command: python -m transfusion_tf_experiments.benchmarks.start_up
Cost: about 1 minute on 2 quiet cores.

The real command on data that are prepared already: Python's start, TensorFlow's
import, the model, the first evaluation, the first step with its tracing, and the
saved state that tells us of it. Beside it, importing TensorFlow alone.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from transfusion_tf import files
from transfusion_tf.datasets import load_card, prepare
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result
from transfusion_tf_experiments.benchmarks.interleaved import measure, ratios

_CARD = "phantom_retina_few"
_SIZE = 96
_ROUNDS = 3
_LONGEST_SECONDS = 300.0


def main() -> list[Result]:
    """Prepares the data, then starts the command a few times."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(
            load_card(_CARD).replace(image_size=_SIZE), root / "data", progress=False
        )
        seconds = measure(
            {
                "import": _import_tensorflow,
                "command": lambda: seconds_to_first_step(root),
            },
            rounds=_ROUNDS,
        )
    print(f"\nStart-up ({_ROUNDS} rounds)")
    what = f"from the command to the first step, CBR-Tiny at {_SIZE} px"
    return [
        print_result(
            Result.of(what, seconds["command"], unit="s", target="at most 20 s")
        ),
        print_result(
            Result.of(
                what,
                ratios(seconds["command"], seconds["import"]),
                against="the time that importing TensorFlow takes",
            )
        ),
    ]


def seconds_to_first_step(root: Path) -> float:
    """Starts a training below `root`, waits for its first step, and ends it."""
    runs = root / f"runs-{time.monotonic_ns()}"
    command = [
        sys.executable,
        "-m",
        "transfusion_tf_experiments.train",
        f"--dataset={_CARD}",
        f"--image_size={_SIZE}",
        "--model=cbr_tiny",
        "--steps=1000",
        "--eval_every=1000",
        "--save_every_steps=1",
        f"--root={runs}",
        f"--data_root={root / 'data'}",
    ]
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while _step(runs) < 1:
                if process.poll() is not None:
                    message = process.stderr.read() if process.stderr else ""
                    raise RuntimeError(f"training ended too early: {message}")
                if time.perf_counter() - start > _LONGEST_SECONDS:
                    raise RuntimeError("no training step within 5 minutes")
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.kill()


def _step(runs: Path) -> int:
    """The step of the state that the only run below `runs` has saved; 0 before."""
    for status in runs.glob("runs/*/status.json"):
        return files.read_json(status).get("step", 0)
    return 0


def _import_tensorflow() -> None:
    subprocess.run(
        [sys.executable, "-c", "import tensorflow"], check=True, capture_output=True
    )


if __name__ == "__main__":
    main()
