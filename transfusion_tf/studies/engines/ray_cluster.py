"""A Ray cluster, from this machine alone to hundreds of nodes.

Each run is a task with the CPUs and GPUs that it needs. Ray chooses the node, and tries
a task again when its node or process is lost; the run then goes on from the state that
lies in the folder that all nodes share.
"""

import contextlib
import logging
import os
import pickle
import signal
import socket
import time
from pathlib import Path
from typing import Any, Self

import joblib

from transfusion_tf.errors import UserError
from transfusion_tf.studies.engines.engine import Event, Listener, Outcome
from transfusion_tf.studies.engines.worker_process import carry_out_job
from transfusion_tf.training import RunConfig, RunOptions

# How often Ray begins a run again whose node or process was lost.
_RETRIES = 5
_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 0.2
# Nothing large goes through Ray: runs read and write files.
_OBJECT_STORE_BYTES = 100 << 20


def require_ray() -> Any:
    """The package. Raises UserError where it is not installed."""
    try:
        import ray
    except ImportError:
        raise UserError(
            "--engine=ray needs Ray, on every node: pip install 'transfusion_tf[ray]'; "
            "--engine=local does without"
        ) from None
    return ray


class RayCluster:
    """An `Engine` whose runs are tasks of a Ray cluster."""

    in_this_process = False

    def __init__(
        self,
        address: str | None,
        jobs: int,
        gpus: int | None,
        options: RunOptions,
        root: Path,
        listener: Listener,
    ):
        """Connects.

        Args:
          address: see `Execution`; a connection that there is already stands.
          jobs: how many tasks at once at most; what the cluster has no room for waits.
          gpus: of each task; None is one where any node has one.
          options: how runs are carried out, with absolute paths.
          root: runs go to `<root>/runs/`, which all nodes must see.
          listener: told of events, by the process that waits.

        Raises:
          UserError: no cluster there, or no node of it that has what a run needs.
        """
        ray = self._ray = require_ray()
        self._connected_here = not ray.is_initialized()
        if self._connected_here:
            _connect(ray, address)
        try:
            cpus = options.threads or 1
            gpus = _check_resources(ray, cpus, gpus)
            self.slots = jobs
            self._listener = listener
            self._messages = _start_messages(ray)
            self._how = (root, options, self._messages, os.getcwd())
            # Ray would end a process with a GPU after each task, models and all.
            self._task = ray.remote(
                num_cpus=cpus, num_gpus=gpus, max_retries=_RETRIES, max_calls=0
            )(_carry_out)
            self._running: dict[Any, str] = {}
        except BaseException:
            self.__exit__()
            raise

    def submit(self, config: RunConfig) -> None:
        """Takes over a resolved run; Ray starts it where there is room."""
        task = self._task.options(name=config.run_id).remote(config, *self._how)
        self._running[task] = config.run_id

    def wait(self, seconds: float) -> list[Outcome]:
        """See `Engine`."""
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, min(_LOOK_SECONDS, end - time.monotonic()))
            done: list[Any] = []
            if self._running:
                done, _ = self._ray.wait(list(self._running), timeout=left)
            else:
                time.sleep(left)
            for event in self._ray.get(self._messages.take.remote()):
                self._listener(pickle.loads(event))
            if done or time.monotonic() >= end:
                return [self._outcome(task) for task in done]

    def stop(self) -> list[Outcome]:
        """See `Engine`. Tasks that have not begun never do."""
        for task in self._running:
            # In the task, it is as if Ctrl-C had come.
            self._ray.cancel(task, force=False)
        outcomes = []
        while self._running:
            outcomes += self.wait(_LOOK_SECONDS)
        return outcomes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._connected_here:
            self._ray.shutdown()

    def _outcome(self, task: Any) -> Outcome:
        errors = self._ray.exceptions
        run_id = self._running.pop(task)
        try:
            return self._ray.get(task)
        except errors.TaskCancelledError:
            return Outcome(run_id, "stopped")
        except errors.RayTaskError as error:
            if isinstance(error.cause, KeyboardInterrupt | SystemExit):
                return Outcome(run_id, "stopped")
            last = str(error).strip().splitlines()[-1]
            return Outcome(run_id, "failed", last, str(error))
        except errors.RayError as error:
            lost = str(error).strip().splitlines()[0]
            return Outcome(run_id, "lost", f"Ray has lost it: {lost}")


def _carry_out(
    config: RunConfig, root: Path, options: RunOptions, messages: Any, folder: str
) -> Outcome:
    """The task, in a process of some node."""
    with contextlib.suppress(OSError):
        # Where cards are named by relative paths.
        os.chdir(folder)

    def send(event: Event) -> None:
        messages.put.remote(pickle.dumps(event))

    return carry_out_job(config, root, options, send)


def _connect(ray: Any, address: str | None) -> None:
    """Connects to the cluster, or starts Ray on this machine where none is named."""
    if address not in (None, "auto"):
        _check_address(str(address))
    values: dict[str, Any] = {"address": address or "local"}
    if address is None:
        values |= {
            "num_cpus": joblib.cpu_count(),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**values, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else error
        where = f"--ray_address={address}" if address else "Ray on this machine"
        raise UserError(
            f"cannot connect to {where}: {first}. Start a cluster with `ray start "
            "--head`, or leave --ray_address out to have Ray started here"
        ) from error
    finally:
        # Ray's own would end with another exit code.
        if handler is not None:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, handler)


def _check_address(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(
            f"--ray_address should be auto or host:port, such as node1:6379, got "
            f"{address!r}"
        )
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"no Ray cluster at --ray_address={address}: {error}. Start one there with "
            "`ray start --head`, or leave the flag out to have Ray started here"
        ) from error


def _check_resources(ray: Any, cpus: int, gpus: int | None) -> int:
    """The GPUs of a run. Raises UserError where no node has what it needs."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = {
        kind: int(max((node.get(kind, 0) for node in nodes), default=0))
        for kind in ("CPU", "GPU")
    }
    if gpus is None:
        gpus = min(1, most["GPU"])
    if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        return gpus
    raise UserError(
        f"no node of the Ray cluster has the {cpus} CPUs (--threads) and {gpus} GPUs "
        f"(--gpus) that a run is to have: of its {len(nodes)} nodes none has more than "
        f"{most['CPU']} CPUs, none more than {most['GPU']} GPUs"
    )


def _start_messages(ray: Any) -> Any:
    """An actor beside this process that keeps events until they are asked for.

    A class within a function, which is sent by its code, and events that stay packed:
    so the actor imports neither this package nor TensorFlow.
    """

    class Messages:
        def __init__(self) -> None:
            self.events: list[bytes] = []

        def put(self, event: bytes) -> None:
            self.events.append(event)

        def take(self) -> list[bytes]:
            events, self.events = self.events, []
            return events

    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Messages).remote()
