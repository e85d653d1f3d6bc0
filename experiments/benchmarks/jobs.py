"""One job with all threads against a job a core with one thread each.

Command: python -m transfusion_tf_experiments.benchmarks.jobs
Cost: about 3 minutes on 2 quiet cores.

Training steps on a batch in memory, at 64 px. The processes stay; in turns the one with
a thread a core works alone, and those with one thread work side by side.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import multiprocessing
import time
from multiprocessing.connection import Connection

import joblib

from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.benchmarks.interleaved import measure, speed_results

_MODELS = {"cbr_tiny": 12, "cbr_small": 6, "resnet50": 3}
_SIZE, _BATCH, _ROUNDS = 64, 16, 5


def main() -> list[Result]:
    """Starts the processes, then lets them take turns."""
    cores = joblib.cpu_count()
    alone = [_Trainer(cores)]
    beside = [_Trainer(1) for _ in range(cores)]
    one, many = f"one job of {cores} threads", f"{cores} jobs of one thread"
    results = []
    for model, steps in _MODELS.items():

        def work(trainers: list[_Trainer], of_each: int, model: str = model) -> None:
            for trainer in trainers:
                trainer.begin(model, of_each)
            for trainer in trainers:
                trainer.end()

        seconds = measure(
            {
                one: lambda steps=steps: work(alone, cores * steps),
                many: lambda steps=steps: work(beside, steps),
            },
            rounds=_ROUNDS,
        )
        results += speed_results(
            f"training steps of {model} at {_SIZE} px",
            seconds,
            baseline=one,
            images=cores * steps * _BATCH,
        )
    for trainer in (*alone, *beside):
        trainer.stop()
    return results


class _Trainer:
    """A process of so many threads that makes steps when it is told to."""

    def __init__(self, threads: int):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(threads, theirs))
        self._process.start()

    def begin(self, model: str, steps: int) -> None:
        self._connection.send((model, steps))

    def end(self) -> None:
        self._connection.recv()

    def stop(self) -> None:
        self._connection.send(None)
        self._process.join()


def _serve(threads: int, connection: Connection) -> None:
    from transfusion_tf.datasets import Augmentation
    from transfusion_tf.input_pipeline import Augmenter
    from transfusion_tf.models import build
    from transfusion_tf.training.fused_adam import FusedAdam
    from transfusion_tf.training.steps import make_steps
    from transfusion_tf.training.strategy import make_strategy, use_threads
    from transfusion_tf_experiments.benchmarks import bare

    use_threads(threads)
    batch = bare.random_batch(_BATCH, _SIZE)
    steps = {}
    while (task := connection.recv()) is not None:
        name, count = task
        if name not in steps:
            model = build(name, (_SIZE, _SIZE, 3), bare.CLASSES, seed=0)
            optimizer = bare.built_adam(model, FusedAdam)
            augmenter = Augmenter(Augmentation())
            made = make_steps(model, optimizer, augmenter, make_strategy("one"), _BATCH)
            steps[name] = made.train
        for _ in range(count):
            loss = steps[name](batch)
        loss.numpy()
        connection.send(time.perf_counter())


if __name__ == "__main__":
    main()
