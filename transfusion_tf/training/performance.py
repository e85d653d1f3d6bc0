"""How fast a run trains and how much memory it takes: what its last line says."""

import contextlib
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from transfusion_tf.training.state import Progress


class Clock:
    """Adds the time of training steps to a run's progress.

    The first step of a process compiles, so it counts as time but not as speed.

    Attributes:
      warm: whether a step of this process is done, and the next one is like it.
    """

    def __init__(self, progress: Progress):
        self.warm = False
        self._progress = progress
        self.start()

    def start(self) -> None:
        """The next step begins."""
        self._start = time.perf_counter()
        self._first = self._progress.step
        self._waited = 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that waits for the input."""
        before = time.perf_counter()
        yield
        self._waited += time.perf_counter() - before

    def cool(self) -> None:
        """The next step is another one, and will be compiled."""
        self.warm = False

    def stop(self) -> None:
        """All steps since the start are done; the next one begins."""
        seconds = time.perf_counter() - self._start
        progress = self._progress
        steps = progress.step - self._first
        progress.train_seconds += seconds
        if self.warm:
            progress.timed_steps += steps
            progress.timed_seconds += seconds
            progress.wait_seconds += self._waited
        self.warm = self.warm or steps > 0
        self.start()


def speed(progress: Progress, batch_size: int) -> dict[str, float | None]:
    """`images_per_second`, over all devices, and `input_wait_share`, in [0, 1].

    None where no step was timed, as in a run of a single step.
    """
    if not progress.timed_steps:
        return {"images_per_second": None, "input_wait_share": None}
    seconds = max(progress.timed_seconds, 1e-9)
    return {
        "images_per_second": round(progress.timed_steps * batch_size / seconds, 2),
        "input_wait_share": round(progress.wait_seconds / seconds, 4),
    }


def reset_peak_memory() -> None:
    """Looks for peaks anew, where the system can: a process may train many runs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    for gpu in _gpus():
        with contextlib.suppress(ValueError, tf.errors.OpError):
            tf.config.experimental.reset_memory_stats(gpu)


def note_peak_memory(progress: Progress) -> None:
    """Keeps the largest `peak_memory_mib`, of this process, that the run has had.

    With GPUs also `peak_gpu_memory_mib`, of the one that took most.
    """
    found = {"peak_memory_mib": [_peak_resident_bytes()], "peak_gpu_memory_mib": []}
    for gpu in _gpus():
        with contextlib.suppress(ValueError, tf.errors.OpError):
            info = tf.config.experimental.get_memory_info(gpu)
            found["peak_gpu_memory_mib"].append(info["peak"])
    for name, sizes in found.items():
        if sizes:
            before = progress.peak_memory.get(name, 0)
            progress.peak_memory[name] = max(before, max(sizes) >> 20)


def _gpus() -> list[str]:
    return [f"GPU:{i}" for i in range(len(tf.config.list_physical_devices("GPU")))]


def _peak_resident_bytes() -> int:
    # Linux's `ru_maxrss` counts what the parent had, and cannot be reset.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def summary(model: str, status: Mapping[str, Any]) -> str:
    """A finished run's speed and memory in a line, from its `status.json`.

    For example: `cbr_tiny: 212 images/s, 3 % of the time waiting for input, peak
    memory 1.4 GB`.
    """
    parts = []
    if status.get("images_per_second"):
        rate = status["images_per_second"]
        parts.append(f"{rate:.0f} images/s" if rate >= 10 else f"{rate:.1f} images/s")
        share = 100 * status["input_wait_share"]
        parts.append(f"{share:.0f} % of the time waiting for input")
    parts.append(f"peak memory {_gigabytes(status['peak_memory_mib'])}")
    if "peak_gpu_memory_mib" in status:
        parts.append(f"GPU {_gigabytes(status['peak_gpu_memory_mib'])}")
    return f"{model}: {', '.join(parts)}"


def _gigabytes(mebibytes: int) -> str:
    return f"{mebibytes * 2**20 / 1e9:.1f} GB"
