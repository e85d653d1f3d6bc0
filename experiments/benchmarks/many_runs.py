"""Many short runs in one process: what they cost beside their steps and evaluations.

Command: python -m transfusion_tf_experiments.benchmarks.many_runs
Cost: about 5 minutes on 2 quiet AVX-512 cores, 10 on AVX2 ones.

A study of CBR-Tiny at 64 px, one run after the other in this process. A run's steps and
evaluations are timed by itself; what else passes from the end of one run to the end of
the next is what it costs. The first run builds and traces, and does not count.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import itertools
import tempfile
import time

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.studies import Study, run_study
from transfusion_tf.training import RunConfig, RunDirectory, RunOptions
from transfusion_tf.training.strategy import use_threads
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result

_CARD = "phantom_retina_64"
_THREADS = 1


def main() -> list[Result]:
    """Draws the data, then trains some dozens of runs."""
    use_threads(_THREADS)  # Before TensorFlow computes anything.
    with tempfile.TemporaryDirectory() as folder:
        prepare(load_card(_CARD), f"{folder}/data", progress=False)
        print(f"\nMany short runs, CBR-Tiny at 64 px, {_THREADS} thread")
        # The longer runs first: the others then find nothing to build, as the last do.
        return [*_short(folder, 18, 120), *_shortest(folder, 30, 4)]


def _short(folder: str, count: int, steps: int) -> list[Result]:
    walls, works = _times(folder, count, steps, eval_every=steps // 6)
    extra = [wall - work for wall, work in zip(walls, works, strict=True)]
    what = f"{count} runs of {steps} steps, 7 evaluations each"
    ratio = sum(walls) / sum(works)
    return [
        print_result(
            Result.of(
                f"a study of {what}",
                [ratio],
                against="the sum of its steps and evaluations",
                target="at most 1.15",
            )
        ),
        print_result(
            Result.of(
                f"a run beside its steps and evaluations, of {what}",
                extra,
                unit="s",
                target="at most 1 s",
            )
        ),
    ]


def _shortest(folder: str, count: int, steps: int) -> list[Result]:
    walls, works = _times(folder, count, steps, eval_every=steps)
    extra = [wall - work for wall, work in zip(walls, works, strict=True)]
    third = len(extra) // 3
    return [
        print_result(
            Result.of(f"a run of {steps} steps, 2 evaluations", walls, unit="s")
        ),
        print_result(
            Result.of(
                f"the last third of {count} such runs, beside steps and evaluations",
                [sum(extra[-third:]) / sum(extra[:third])],
                against="the first third",
                target="no more",
            )
        ),
    ]


def _times(
    folder: str, count: int, steps: int, eval_every: int
) -> tuple[list[float], list[float]]:
    """Of each run but the first: seconds since the one before it, and of its work."""
    runs = tuple(
        RunConfig(
            dataset=_CARD,
            model="cbr_tiny",
            batch_size=16,
            steps=steps,
            eval_every=eval_every,
            seed=seed,
        )
        for seed in range(count + 1)
    )
    ends: list[float] = []
    made = 0

    def on_step(new: int) -> None:
        nonlocal made
        made += new
        if made // steps > len(ends):
            ends.append(time.perf_counter())

    options = RunOptions(
        data_root=f"{folder}/data", progress=False, threads=_THREADS, on_step=on_step
    )
    result = run_study(Study(f"of_{steps}", "", runs), folder, options=options)
    # The last step of one run to that of the next holds an end, a start and a run.
    walls = [after - before for before, after in itertools.pairwise(ends)]
    works = [_seconds_of_work(run) for run in result.runs[1:]]
    return walls, works


def _seconds_of_work(run: RunDirectory) -> float:
    status = run.status()
    return status["train_seconds"] + status["evaluation_seconds"]


if __name__ == "__main__":
    main()
