"""Memory of the input pipeline over an epoch of 200 000 examples.

Command: python -m transfusion_tf_experiments.benchmarks.pipeline_memory
Cost: about 1 minute on 2 quiet cores.

The index has 200 000 rows with ids of their own that share a few stored images, so
that the epoch is long and the files are small. Resident memory is read as batches
are drawn; what is kept for each example drawn would show as growth.
"""

import dataclasses
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from transfusion_tf.datasets import PreparedDataset, load_card, prepare
from transfusion_tf.input_pipeline import train_batches
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result

_EXAMPLES = 200_000
_BATCH = 256
_READINGS = 20


def main() -> list[Result]:
    """Draws a few images, then an epoch of 200 000 examples."""
    if not Path("/proc/self/status").exists():
        print("resident memory is read from /proc, which this system has not")
        return []
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(load_card("phantom_retina_few"), folder, progress=False)
        megabytes = resident_megabytes(enlarged(prepared, _EXAMPLES), _EXAMPLES)
    print(f"\nInput pipeline, an epoch of {_EXAMPLES} examples")
    shown = ", ".join(f"{value:.0f}" for value in megabytes)
    # The first tenth fills buffers and the allocator's pools.
    settled = megabytes[len(megabytes) // 10 :]
    return [
        print_result(
            Result.of(
                "process memory over an epoch of 200 000 examples",
                [value / settled[0] for value in settled],
                against="that after a tenth of it",
                target="flat",
                detail=f"MB, every twentieth of the epoch: {shown}",
            )
        ),
        print_result(
            Result.of(
                "growth of process memory over the last nine tenths of that epoch",
                [settled[-1] - settled[0]],
                unit="MB",
                target="flat",
            )
        ),
    ]


def enlarged(prepared: PreparedDataset, count: int) -> PreparedDataset:
    """The data set with `count` training examples that share its stored images."""
    rows = prepared.index[prepared.index["split"] == "train"]
    index = rows.iloc[np.arange(count) % len(rows)].reset_index(drop=True)
    index["example_id"] = [f"example {number}" for number in range(count)]
    return dataclasses.replace(prepared, index=index)


def resident_megabytes(prepared: PreparedDataset, examples: int) -> list[float]:
    """MB that the process holds, read at even distances while examples are drawn."""
    every = examples // _BATCH // _READINGS
    readings = []
    for number, _ in enumerate(train_batches(prepared, _BATCH), start=1):
        if number % every == 0:
            readings.append(_resident())
        if len(readings) == _READINGS:
            break
    return readings


def _resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise KeyError("VmRSS")


if __name__ == "__main__":
    main()
