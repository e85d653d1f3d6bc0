# ruff: noqa: D102 (the base class says it)
"""Many processes of one training, in step: the same calls in the same order in each.

Whatever decides how the training goes on is made equal on all of them: the chief's
files, sums over all, whether somebody was asked to end.
"""

import contextlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.training.distributed.cluster import Cluster
from transfusion_tf.training.distributed.shared_termination import SharedTermination
from transfusion_tf.training.termination import Termination
from transfusion_tf.training.workers import Batch, Workers

# NFS may hide another machine's new files so long.
_VISIBLE_SECONDS = 75.0
# What a worker needs of the chief's files to go on with a run.
_RESUMED = (
    "state/latest.npz",
    "state/previous.npz",
    "state/best.npz",
    "first_layer.npz",
)
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


class ClusterWorkers(Workers):
    """The processes of a cluster.

    Attributes:
      cluster: who they are.
      local_replicas: devices of this worker that train; every worker has as many.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster):
        super().__init__(strategy)
        self.cluster = cluster
        self.count = len(cluster.workers)
        self.index = cluster.worker
        self.local_replicas = strategy.num_replicas_in_sync // self.count

        @tf.function(autograph=False)
        def sum_up(values: Any) -> Any:
            def replica(value: tf.Tensor) -> tf.Tensor:
                context = tf.distribute.get_replica_context()
                # As it comes in, the value is on no device.
                here = tf.identity(value)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, here)

            return strategy.run(replica, args=(values,))

        self._sum_up = sum_up

    def total(self, values: np.ndarray) -> np.ndarray:
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
        self.total(np.zeros(1, np.float32))

    def _share(self, content: bytes, source: int = 0) -> bytes:
        """What the source has (the chief, unless told otherwise), on every worker."""
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
        if not self.is_chief:
            reply = json.loads(self._share(b""))
            if "error" in reply:
                raise UserError(f"{self._name(0)}, the chief: {reply['error']}")
            return reply["value"]
        try:
            value = action()
        except UserError as error:
            self._share(json.dumps({"error": str(error)}).encode())
            raise
        self._share(json.dumps({"value": value}).encode())
        return value

    @contextlib.contextmanager
    def own_folder(self, folder: Path) -> Iterator[Path]:
        # What they all write is the same. The others begin with the chief's files,
        # sent over the network: a shared folder may show them late.
        self.wait_until(folder.exists, folder)
        with tempfile.TemporaryDirectory(prefix="transfusion-worker-") as scratch:
            own = folder if self.is_chief else Path(scratch)
            for name in _RESUMED:
                self._copy(folder / name, own / name)
            yield own

    def _copy(self, source: Path, target: Path) -> None:
        """Copies the chief's file to each of the others, where it has one."""
        if not self.on_chief(source.exists):
            return
        content = self._share(source.read_bytes() if self.is_chief else b"")
        if not self.is_chief:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def check_same(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        ours = json.dumps(dict(facts())).encode()
        chief, *others = (
            json.loads(self._share(ours, worker)) for worker in range(self.count)
        )
        for worker, theirs in enumerate(others, start=1):
            for what, value in chief.items():
                if theirs.get(what) != value:
                    raise UserError(
                        f"{self._name(worker)} differs from the chief in {what}: "
                        f"{theirs.get(what)} instead of {value}; give all workers the "
                        "same command, data and donor"
                    )

    def wait_until(self, seen: Callable[[], bool], folder: Path) -> None:
        end = time.monotonic() + _VISIBLE_SECONDS
        while not seen():
            if time.monotonic() > end:
                raise UserError(
                    f"the chief's {folder} is not to be seen here; --root should be a "
                    "folder that all workers share"
                )
            time.sleep(1)

    @contextlib.contextmanager
    def together(self, progress: Callable[[], str]) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            if not _is_loss(error):
                raise
            raise LostWorkerError(
                f"{self._lost(str(error))} gone (its own output may say why); start "
                f"the same command on all workers again: {progress()}"
            ) from error

    def share_termination(self, termination: Termination) -> Termination:
        return SharedTermination(termination, self)

    def distribute(self, batches: tf.data.Dataset) -> Iterator[Batch]:
        # Or every batch would be preceded by a question to all whether they have one.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        parts = _split(batches, self.local_replicas).apply(endless)
        return iter(
            self.strategy.distribute_datasets_from_function(lambda context: parts)
        )

    def distribute_finite(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        local = self.local_replicas
        for group in _split(batches, local).batch(local):

            def part(context: Any, group: Batch = group) -> Batch:
                number = context.replica_id_in_sync_group % local
                return {name: values[number] for name, values in group.items()}

            yield self.strategy.experimental_distribute_values_from_function(part)

    def _lost(self, text: str) -> str:
        """Who is gone, by TensorFlow's message and by asking, and the verb."""
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
        return self.cluster.name(worker)


def _split(dataset: tf.data.Dataset, parts: int) -> tf.data.Dataset:
    """Each batch as so many smaller ones, one for each local replica."""
    size = dataset.element_spec["index"].shape[0]
    return dataset if parts == 1 else dataset.rebatch(size // parts)


def _is_loss(error: tf.errors.OpError) -> bool:
    return isinstance(error, _LOST) or "ollective ops is aborted" in str(error)
