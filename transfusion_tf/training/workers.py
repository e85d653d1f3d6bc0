"""The processes of one training, in step: the same calls in the same order in each.

Whatever decides how the training goes on is made equal on all of them: the chief's
files, sums over all, whether somebody was asked to end.
"""

import contextlib
import faulthandler
import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.training import artifacts
from transfusion_tf.training.cluster import Cluster
from transfusion_tf.training.options import Options
from transfusion_tf.training.strategy import make_strategy, split_cpu, use_threads

# A worker that was there a moment ago is waited for so long by TensorFlow's start.
_CONNECT_SECONDS = 300.0
# The last sum takes milliseconds; on a busy machine it has taken a second.
_LINGER_SECONDS = 5.0
_SMALLEST, _LARGEST = 1 << 8, 1 << 22
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class LostWorkerError(UserError):
    """A worker is gone, so the others ended too; the last saved state is kept.

    Attributes:
      exit_code: of a process that ends with it. Of sysexits.h: "temporary failure".
    """

    exit_code = 75


class Workers:
    """All processes of a training.

    Attributes:
      strategy: over the devices of all of them.
      cluster: who they are; None where there is one.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, cluster: Cluster | None = None
    ):
        self.strategy = strategy
        self.cluster = cluster

        @tf.function
        def sum_up(values: Any) -> Any:
            def replica(value: tf.Tensor) -> tf.Tensor:
                context = tf.distribute.get_replica_context()
                # As it comes in, the value is on no device.
                here = tf.identity(value)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, here)

            return strategy.run(replica, args=(values,))

        self._sum_up = sum_up

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.cluster.workers) if self.cluster else 1

    @property
    def index(self) -> int:
        """This one's place, from 0."""
        return self.cluster.worker if self.cluster else 0

    @property
    def is_chief(self) -> bool:
        """Whether this one writes the run."""
        return self.index == 0

    @property
    def local_replicas(self) -> int:
        """Devices of this worker that train; every worker has as many."""
        return self.strategy.num_replicas_in_sync // self.count

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over workers, of float32 arrays of one shape; on each of them."""
        if self.count == 1:
            return values
        flat = np.ravel(values).astype(np.float32)
        size = _LARGEST
        while size // 2 >= max(len(flat), _SMALLEST):
            size //= 2
        # A few fixed sizes, so that few graphs are made.
        parts = [
            self._total(np.pad(part, (0, size - len(part))))
            for part in np.split(flat, range(size, len(flat), size))
        ]
        return np.concatenate(parts)[: len(flat)].reshape(values.shape)

    def _total(self, part: np.ndarray) -> np.ndarray:
        def value(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
            first = context.replica_id_in_sync_group % self.local_replicas == 0
            return tf.constant(part if first else np.zeros_like(part))

        values = self.strategy.experimental_distribute_values_from_function(value)
        sums = self.strategy.experimental_local_results(self._sum_up(values))
        return sums[0].numpy()

    def wait_for_all(self) -> None:
        """Returns when every worker has come so far."""
        self.total(np.zeros(1, np.float32))

    def share(self, content: bytes, source: int = 0) -> bytes:
        """What the source has (the chief, unless told otherwise), on every worker."""
        if self.count == 1:
            return content
        size = np.int64(len(content)).tobytes()
        length = int(np.frombuffer(self._words(size, source), np.int64)[0])
        if self.index != source:
            content = bytes(length)
        step = 2 * _LARGEST
        parts = (content[i : i + step] for i in range(0, length, step))
        return b"".join(self._words(part, source) for part in parts)

    def _words(self, content: bytes, source: int) -> bytes:
        # Words of 16 bits are exact in float32, whose sums every device can make.
        words = np.frombuffer(content + b"\0" * (len(content) % 2), np.uint16)
        ours = words if self.index == source else np.zeros_like(words)
        words = self.total(ours.astype(np.float32)).astype(np.uint16)
        return words.tobytes()[: len(content)]

    def on_chief(self, action: Callable[[], Any]) -> Any:
        """What the action gives on the chief, plain JSON values; the others wait.

        Raises:
          UserError: the chief's, of whatever class it is there, on every worker.
        """
        if self.count == 1:
            return action()
        if not self.is_chief:
            reply = json.loads(self.share(b""))
            if "error" in reply:
                raise UserError(f"{self._name(0)}, the chief: {reply['error']}")
            return reply["value"]
        try:
            value = action()
        except UserError as error:
            self.share(json.dumps({"error": str(error)}).encode())
            raise
        self.share(json.dumps({"value": value}).encode())
        return value

    def copy(self, source: Path, target: Path) -> None:
        """Copies the chief's file to each of the others, where it has one."""
        exists = self.on_chief(source.exists)
        if self.count == 1 or not exists:
            return
        content = self.share(source.read_bytes() if self.is_chief else b"")
        if not self.is_chief:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Makes sure that every worker has the same facts: plain JSON values by name.

        Raises:
          UserError: on every worker, where one of them differs from the chief.
        """
        if self.count == 1:
            return
        ours = json.dumps(dict(facts)).encode()
        chief, *others = (
            json.loads(self.share(ours, worker)) for worker in range(self.count)
        )
        for worker, theirs in enumerate(others, start=1):
            for what, value in chief.items():
                if theirs.get(what) != value:
                    raise UserError(
                        f"{self._name(worker)} differs from the chief in {what}: "
                        f"{theirs.get(what)} instead of {value}; give all workers the "
                        "same command, data and donor"
                    )

    @contextlib.contextmanager
    def together(self, progress: Callable[[], str]) -> Iterator[None]:
        """A block in which a worker that is lost is said to be so.

        Args:
          progress: where the same command would go on from.

        Raises:
          LostWorkerError: another worker has ended or does not answer.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.cluster is None or not _is_loss(error):
                raise
            raise LostWorkerError(
                f"{self._lost(str(error))} gone (its own output may say why); start "
                f"the same command on all workers again: {progress()}"
            ) from error

    def _lost(self, text: str) -> str:
        """Who is gone, by TensorFlow's message and by asking, and the verb."""
        assert self.cluster is not None
        _, _, unhealthy = text.partition("tasks are unhealthy")
        lost = (
            self._tasks(unhealthy.partition("The tasks")[0])
            or self.cluster.silent()
            or self._tasks(text)
            # The chief answers for all, and does not say that it does not.
            or ([] if self.is_chief else [0])
        )
        if not lost:
            return "another worker is"
        names = " and ".join(self._name(worker) for worker in lost)
        return f"{names} {'is' if len(lost) == 1 else 'are'}"

    def _tasks(self, text: str) -> list[int]:
        """The other workers that TensorFlow's words name."""
        return sorted({int(n) for n in re.findall(r"/task:(\d+)", text)} - {self.index})

    def _name(self, worker: int) -> str:
        assert self.cluster is not None
        return self.cluster.name(worker)


def join(options: Options) -> Workers:
    """This process's place in a training, with the strategy that the options ask for.

    Many hosts meet at the first call; later ones return the same strategy.

    Raises:
      UserError: devices or workers that cannot be used; a worker that does not come.
    """
    use_threads(options.threads)
    cluster = options.cluster
    if options.strategy == "multi_worker" and cluster is None:
        cluster = Cluster.from_environment()
        if cluster is None:
            raise UserError(
                "--strategy=multi_worker needs --workers=host:port,host:port and "
                "--worker, or TF_CONFIG in the environment"
            )
    if cluster and options.strategy in ("auto", "multi_worker"):
        if options.logical_devices > 1:
            raise UserError(
                "--logical_devices is for one process: start more workers instead"
            )
        if len(cluster.workers) > 1:
            return _join(cluster)
    if options.logical_devices > 1 and options.strategy == "one":
        raise UserError("--logical_devices is for --strategy=mirrored or auto, not one")
    split_cpu(options.logical_devices)
    local = "auto" if options.strategy == "multi_worker" else options.strategy
    return Workers(make_strategy(local))


@functools.cache
def _join(cluster: Cluster) -> Workers:
    if _has_started():
        raise UserError(
            "--strategy=multi_worker comes too late: TensorFlow has started in this "
            "process; join the workers before anything is computed"
        )
    gpus = tf.config.list_physical_devices("GPU")
    code = {"source code": artifacts.source_fingerprint()}
    cluster.meet({**artifacts.versions(), **code, "GPUs": len(gpus)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.workers)}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )
    # TensorFlow's start holds Python's lock: only C can end it.
    faulthandler.dump_traceback_later(_CONNECT_SECONDS, exit=True)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        raise UserError(
            f"{cluster.name(cluster.worker)} could not join the others: {error.message}"
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    return Workers(strategy, cluster)


def have_joined() -> bool:
    """Whether this process is one of many: TensorFlow's end waits for the others."""
    return _join.cache_info().currsize > 0


def linger() -> None:
    """Stays until the others have what this process sent last.

    All come to an orderly end after the same sum, but not at once: one that ended
    first would break the sum under the others, who would call it lost.
    """
    time.sleep(_LINGER_SECONDS)


def _has_started() -> bool:
    """Whether TensorFlow has fixed its devices."""
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(threads + 1)
    except RuntimeError:
        return True
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return False


def _is_loss(error: tf.errors.OpError) -> bool:
    return isinstance(error, _LOST) or "ollective ops is aborted" in str(error)
