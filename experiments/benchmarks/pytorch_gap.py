"""Where a CBR step's time goes, kind of operation by kind; beside PyTorch's, if there.

Command: python -m transfusion_tf_experiments.benchmarks.pytorch_gap
Cost: about 1 minute on 2 quiet cores. PyTorch is no dependency: `pip install torch`
into a copy of the environment adds its column.

Three steps of the same network on the same batch: Keras's layers in a bare
`tf.function`, ours, and PyTorch with channels last. Whole steps are timed in turn;
then each is profiled alone. On 2 CPU cores the times of a profile add up to up to
twice the step.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import importlib.util
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from transfusion_tf.datasets import Augmentation
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import CBR_ARCHITECTURES, build
from transfusion_tf.training.fused_adam import FusedAdam
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.bare import (
    CLASSES,
    bare_step,
    built_adam,
    random_batch,
)
from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.benchmarks.interleaved import measure, speed_results

_MODEL, _SIZE, _BATCH = "cbr_small", 128, 8
_ROUNDS, _PROFILED_STEPS = 9, 3

# Kinds of operation, tried in this order: by the scope that Keras gives an operation
# ("gradient_tape/cbr_small/bn1/moments/Tile:Tile") and by PyTorch's names.
_KINDS = {
    "optimizer": r"^(fused_)?adam|Optimizer|ApplyAdam|lerp|addcmul|addcdiv",
    "batch norm": r"/bn\d|batch_norm|BatchNorm",
    "convolution, backward": r"Conv2DBackprop|convolution_backward",
    "convolution, forward": r"Conv2D|mkldnn_convolution|convolution",
    "pooling": r"[Mm]ax_?[Pp]ool|global_pool|aten::mean",
    "ReLU": r"[Rr]elu|threshold_backward|clamp_min",
    "the rest": "",
}


def main() -> list[Result]:
    """Times the steps in turn, then profiles each."""
    steps: dict[str, Callable[[], None]] = {"Keras": keras_step(), "ours": our_step()}
    torch_is_here = importlib.util.find_spec("torch") is not None
    if torch_is_here:
        steps["PyTorch"] = torch_step()
    else:
        print("PyTorch is not installed: its column is left out")
    results = speed_results(
        f"training step, {_MODEL} at {_SIZE} px, batch {_BATCH}",
        measure(steps, rounds=_ROUNDS, warm_up=2),
        baseline="PyTorch" if torch_is_here else "Keras",
        images=_BATCH,
    )
    profiles = {
        name: profile_torch(step) if name == "PyTorch" else profile_tensorflow(step)
        for name, step in steps.items()
    }
    print_profiles(profiles)
    return results


def print_profiles(profiles: Mapping[str, Mapping[str, float]]) -> None:
    """A row a kind of operation, a column a step: ms of all threads together."""
    print(f"\n{'ms a step, all threads':24s}" + "".join(f"{n:>10s}" for n in profiles))
    for kind in _KINDS:
        row = "".join(f"{times.get(kind, 0):10.1f}" for times in profiles.values())
        print(f"  {kind:22s}{row}")
    total = "".join(f"{sum(times.values()):10.1f}" for times in profiles.values())
    print(f"  {'together':22s}{total}")


def kind_of(operation: str) -> str:
    """The kind that an operation's name belongs to."""
    return next(kind for kind, names in _KINDS.items() if re.search(names, operation))


def keras_step() -> Callable[[], None]:
    """Keras's model in a bare `tf.function`."""
    model = build(_MODEL, (_SIZE, _SIZE, 3), CLASSES, seed=0)
    step = bare_step(model, built_adam(model))
    batch = random_batch(_BATCH, _SIZE)

    def run() -> None:
        step(batch["image"], batch["label"]).numpy()

    return run


def our_step() -> Callable[[], None]:
    """The step that runs train with, without colour augmentation."""
    model = build(_MODEL, (_SIZE, _SIZE, 3), CLASSES, seed=0)
    augmenter = Augmenter(Augmentation())
    steps = make_steps(
        model, built_adam(model, FusedAdam), augmenter, make_strategy("one"), _BATCH
    )
    batch = random_batch(_BATCH, _SIZE)

    def run() -> None:
        steps.train(batch).numpy()

    return run


def torch_step() -> Callable[[], None]:
    """The same network, loss and optimizer in PyTorch, channels last."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = _torch_network(torch).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 0.001, eps=1e-7)
    loss_of = torch.nn.BCEWithLogitsLoss()
    batch = random_batch(_BATCH, _SIZE)
    pixels = torch.from_numpy(batch["image"].numpy())
    labels = torch.from_numpy(batch["label"].numpy())

    def run() -> None:
        images = pixels.permute(0, 3, 1, 2).float() / 255
        loss = loss_of(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return run


def _torch_network(torch: Any) -> Any:
    architecture = CBR_ARCHITECTURES[_MODEL]
    size, nn = architecture.kernel_size, torch.nn
    layers, before = [], 3
    for filters in architecture.channels:
        layers += [
            nn.Conv2d(before, filters, size, padding=size // 2, bias=False),
            nn.BatchNorm2d(filters, eps=1e-3),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        ]
        before = filters
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, CLASSES)]
    return nn.Sequential(*layers, *head)


def profile_tensorflow(step: Callable[[], None]) -> dict[str, float]:
    """Milliseconds a step of each kind of operation, from TensorFlow's profiler."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(_PROFILED_STEPS):
                step()
        (trace,) = Path(folder).rglob("*.xplane.pb")
        return _by_kind(_operations(trace))


def _operations(trace: Path) -> dict[str, float]:
    """Milliseconds of every operation in a trace, named `scope/name:Type`.

    What contains operations (the executor, the function) has no colon, or has the
    type of a call.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    times: dict[str, float] = collections.defaultdict(float)
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                if re.fullmatch(r"[\w./-]+:_?[A-Z]\w+", name):
                    times[name] += event.duration_ps / 1e9
    return {
        name: value
        for name, value in times.items()
        if not re.search(r":(\w*PartitionedCall|Eager|Function)", name)
    }


def profile_torch(step: Callable[[], None]) -> dict[str, float]:
    """Milliseconds a step of each kind of operation, from PyTorch's profiler."""
    import torch

    with torch.profiler.profile() as profile:
        for _ in range(_PROFILED_STEPS):
            step()
    return _by_kind(
        {e.key: e.self_cpu_time_total / 1e3 for e in profile.key_averages()}
    )


def _by_kind(times: Mapping[str, float]) -> dict[str, float]:
    kinds: dict[str, float] = collections.defaultdict(float)
    for name, value in times.items():
        kinds[kind_of(name)] += value / _PROFILED_STEPS
    return dict(kinds)


if __name__ == "__main__":
    main()
