"""How many runs at once, on what: from what was asked for to an engine."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import joblib
import tensorflow as tf

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.engines.calling_process import CallingProcess
from transfusion_tf.studies.engines.engine import Engine, Listener
from transfusion_tf.studies.engines.memory import bytes_available, bytes_of_run
from transfusion_tf.studies.engines.processes import Processes
from transfusion_tf.studies.engines.ray_cluster import RayCluster, require_ray
from transfusion_tf.training import RunConfig, RunOptions
from transfusion_tf.training.strategy import threads_in_use

ENGINES = ("local", "ray")
# A process imports TensorFlow and compiles a model for some 10 s of a core, in which
# CBR-Tiny makes 100 to 300 steps.
_STEPS_PER_PROCESS = 300


@dataclasses.dataclass(frozen=True)
class Execution:
    """Where the runs of a study are trained, and how many at once.

    Attributes:
      engine: `local`, processes of this machine; `ray`, a Ray cluster.
      jobs: runs at once. 1 with `local` trains in the calling process. None is, with
        `local`, one per GPU, or where there are none, one per core (or per
        `RunOptions.threads` of them) as far as memory goes and steps are worth a
        process; with `ray`, what the cluster has room for.
      gpus: GPUs of each run; None is one where there are any.
      ray_address: `auto` for the cluster that this machine is part of, or the
        `host:port` of one; None starts Ray here.

    Raises:
      UserError: no such engine, a number out of range, Ray missing.
    """

    engine: str = "local"
    jobs: int | None = 1
    gpus: int | None = None
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise one_of("--engine", self.engine, ENGINES)
        if self.jobs is not None and self.jobs < 1:
            raise UserError(f"--jobs should be at least 1, got {self.jobs}")
        if self.gpus is not None and self.gpus < 0:
            raise UserError(f"--gpus should be at least 0, got {self.gpus}")
        if self.ray_address is not None and self.engine != "ray":
            raise UserError("--ray_address is for --engine=ray: give that too")
        if self.engine == "ray":
            require_ray()


def make_engine(
    execution: Execution,
    configs: Sequence[RunConfig],
    options: RunOptions,
    root: Path,
    logs: Path,
    data_sets: DataSets,
    listener: Listener,
) -> Engine:
    """What trains these runs. Nothing is written before it is known to be able to.

    Args:
      execution: what was asked for.
      configs: resolved, of all runs that are to be trained.
      options: how each is carried out.
      root: runs go to `<root>/runs/`.
      logs: the folder for what libraries write in processes of their own.
      data_sets: where the configs were resolved.
      listener: told of what happens to the runs.

    Raises:
      UserError: more jobs than memory allows, GPUs that are not there, no cluster at
        the address, or one without what a run needs.
    """
    elsewhere = dataclasses.replace(
        options,
        data_root=Path(options.data_root).absolute(),
        threads=options.threads or threads_in_use(),
        # The listener counts steps here.
        on_step=RunOptions().on_step,
    )
    if execution.engine == "ray":
        return RayCluster(
            execution.ray_address,
            min(execution.jobs or len(configs), len(configs)),
            execution.gpus,
            elsewhere,
            root,
            listener,
        )
    gpus = visible_gpus()
    each = _gpus_of_run(execution, options, gpus)
    jobs = number_of_jobs(execution, configs, options, len(gpus) // each if each else 0)
    if jobs == 1 and execution.gpus in (None, len(gpus)):
        return CallingProcess(options, root / "runs", data_sets, listener)
    environments = _environments(gpus, each, jobs)
    return Processes(environments, elsewhere, root, logs, listener)


def number_of_jobs(
    execution: Execution,
    configs: Sequence[RunConfig],
    options: RunOptions,
    places_on_gpus: int,
) -> int:
    """How many of the runs are trained at once on this machine.

    Args:
      execution: what was asked for.
      configs: resolved, of all runs that are to be trained.
      options: how each is carried out.
      places_on_gpus: how many runs the GPUs have room for, one each; 0 without GPUs.

    Raises:
      UserError: more were asked for than memory allows.
    """
    asked = execution.jobs
    if asked is None:
        if options.strategy == "mirrored" or options.logical_devices > 1:
            return 1
        asked = places_on_gpus or _worth_it(configs, options)
    jobs = min(asked, len(configs))
    # A GPU has memory of its own, which a run takes whole.
    available = None if places_on_gpus else bytes_available()
    if jobs <= 1 or available is None:
        return max(1, jobs)
    largest = max(map(bytes_of_run, _shapes(configs)))
    fit = max(1, available // largest)
    if execution.jobs is not None and jobs > fit:
        raise UserError(
            f"--jobs={execution.jobs} needs more memory than there is: one run takes "
            f"some {largest / 1e9:.1f} GB and {available / 1e9:.1f} GB are free, so "
            f"{fit} fit at once; give --jobs={fit} or a smaller --batch_size"
        )
    return min(jobs, fit)


def _worth_it(configs: Sequence[RunConfig], options: RunOptions) -> int:
    """How many processes of a CPU's cores have more to do than to start."""
    cores = joblib.cpu_count() // (options.threads or joblib.cpu_count())
    steps = sum(config.steps for config in configs)
    return max(1, min(cores, steps // _STEPS_PER_PROCESS))


def _shapes(configs: Iterable[RunConfig]) -> Iterable[RunConfig]:
    """One config of each model and size; others take as much memory."""
    return {
        (config.model, config.image_size, config.batch_size): config
        for config in configs
    }.values()


def visible_gpus() -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` calls the GPUs that this process may use."""
    found = len(tf.config.list_physical_devices("GPU"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in named.split(",") if name.strip()]
    return names[:found] if names else [str(index) for index in range(found)]


def _gpus_of_run(execution: Execution, options: RunOptions, gpus: list[str]) -> int:
    if execution.gpus is None:
        return len(gpus) if options.strategy == "mirrored" else min(1, len(gpus))
    if execution.gpus > len(gpus):
        raise UserError(
            f"--gpus={execution.gpus} for each run, but this machine has {len(gpus)}"
        )
    return execution.gpus


def _environments(gpus: list[str], each: int, jobs: int) -> list[dict[str, str]]:
    """What sets the processes apart: the GPUs that each sees, taken in turn."""
    if not gpus:
        return [{}] * jobs
    if not each:
        return [{"CUDA_VISIBLE_DEVICES": "-1"}] * jobs
    groups = [gpus[i : i + each] for i in range(0, len(gpus) - each + 1, each)]
    # Else the first process on a GPU takes all of its memory.
    shared = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if jobs > len(groups) else {}
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(groups[job % len(groups)]), **shared}
        for job in range(jobs)
    ]
