"""CCA and CKA: speed, accuracy and memory beside a plain NumPy implementation.

Command: python -m transfusion_tf_experiments.benchmarks.representations
Cost: about 6 minutes and 4 GB on 2 cores.

Both implementations run in turn in one process: ratios mean something where times on
a shared machine do not. Peak memory is taken in a process of its own and counts what
is needed beyond the activations.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import ctypes
import multiprocessing
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from transfusion_tf.models import build
from transfusion_tf.representations.blas_threads import one_blas_thread
from transfusion_tf.representations.cca import cca
from transfusion_tf.representations.grams import gram_matrix
from transfusion_tf.representations.layer_cka import LayerSettings, layer_cka
from transfusion_tf.representations.pairwise_cka import PairwiseCKA
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result
from transfusion_tf_experiments.benchmarks.interleaved import measure, ratios

_ROUNDS = 5
# Channels and points: the papers' sampling, and whole layers.
_SPEED_CASES = ((64, 10_000), (256, 100_000), (512, 100_000))
_MEMORY_CASES = ((256, 100_000), (256, 1_000_000), (512, 100_000))
# Batch of the CKA comparison, over ResNet50's activations at 224 × 224 pixels.
_CKA_BATCH = 32
# CKA of all layers while they are computed: what the model costs to trace is taken off,
# as it would be over the thousands of images that are compared.
_FEW_IMAGES, _MANY_IMAGES = 16, 144
_LAYER_ROUNDS = 3


def reference_cca(x: np.ndarray, y: np.ndarray, epsilon: float = 1e-10) -> np.ndarray:
    """The published algorithm, plainly: covariance, pseudo-inverse, roots, SVD.

    Args:
      x: [points, channels].
      y: [points, channels].
      epsilon: Added to the diagonals of the scaled covariances.

    Returns:
      Canonical correlations, descending.
    """
    channels = x.shape[1]
    covariance = np.cov(x.T, y.T)
    xx = covariance[:channels, :channels]
    yy = covariance[channels:, channels:]
    scale_x, scale_y = np.abs(xx).max(), np.abs(yy).max()
    xy = covariance[:channels, channels:] / np.sqrt(scale_x * scale_y)
    whiten_x = _root(np.linalg.pinv(xx / scale_x + epsilon * np.eye(len(xx))))
    whiten_y = _root(np.linalg.pinv(yy / scale_y + epsilon * np.eye(len(yy))))
    return np.abs(np.linalg.svd(whiten_x @ xy @ whiten_y)[1])


def correlated_activations(
    channels: int, points: int, dtype: str = "float32"
) -> tuple[np.ndarray, np.ndarray]:
    """Two random sets of activations that share half of their variance."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((points, channels), np.float32)
    y = rng.standard_normal((points, channels), np.float32)
    y += x @ np.linalg.qr(rng.standard_normal((channels, channels)))[0].astype("f4")
    return x.astype(dtype, copy=False), y.astype(dtype, copy=False)


def resnet50_activations(batch: int) -> list[tf.Tensor]:
    """Random activations of the shapes of ResNet50's 50 layers at 224 × 224."""
    shapes: list[tuple[int, ...]] = [(112, 112, 64)]
    for blocks, size, width in ((3, 56, 64), (4, 28, 128), (6, 14, 256), (3, 7, 512)):
        block = [(size, size, width), (size, size, width), (size, size, 4 * width)]
        shapes += block * blocks
    shapes.append((2048,))
    rng = np.random.default_rng(0)
    return [
        tf.constant(rng.standard_normal((batch, *shape), np.float32))
        for shape in shapes
    ]


def peak_memory(contender: str, channels: int, points: int) -> float:
    """Peak memory of one CCA in a fresh process, MB beyond its input."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure_memory, (contender, channels, points))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


def _measure_memory(contender: str, channels: int, points: int) -> float:
    run: Callable = cca if contender == "cca" else reference_cca
    x, y = correlated_activations(channels, points)
    run(x[:10_000], y[:10_000])  # libraries load and start threads
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status_megabytes("VmRSS")
    run(x, y)
    return _status_megabytes("VmHWM") - before


def _status_megabytes(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def _speeds() -> list[Result]:
    """CCA, both implementations in turn."""
    print(f"\nCCA ({_ROUNDS} rounds)")
    results = []
    for channels, points in _SPEED_CASES:
        for dtype in ("float32", "float64"):
            x, y = correlated_activations(channels, points, dtype)
            difference = np.abs(reference_cca(x, y) - cca(x, y).coefficients).max()
            variants: dict[str, Callable] = {
                "numpy": lambda x=x, y=y: _run(reference_cca, x, y),
                "cca": lambda x=x, y=y: _run(cca, x, y),
            }
            seconds = measure(variants, rounds=_ROUNDS)
            results.append(
                print_result(
                    Result.of(
                        f"CCA, {channels} channels, {points} points, {dtype}",
                        ratios(seconds["numpy"], seconds["cca"]),
                        against="speed of the reference in NumPy",
                        detail=(
                            f"NumPy {statistics.median(seconds['numpy']):.3f} s, ours "
                            f"{statistics.median(seconds['cca']):.3f} s; coefficients "
                            f"differ by at most {difference:.0e}"
                        ),
                    )
                )
            )
    return results


def _cka() -> Result:
    """What comparing all pairs adds to the Gram matrices."""
    layers = resnet50_activations(_CKA_BATCH)
    names = [str(index) for index in range(len(layers))]

    def grams() -> None:
        with one_blas_thread():
            for layer in layers:
                gram_matrix(layer).numpy()

    def pairs() -> None:
        PairwiseCKA(names).update(layers)

    seconds = measure({"grams": grams, "pairs": pairs}, rounds=_ROUNDS)
    print(f"\nCKA ({_ROUNDS} rounds)")
    return print_result(
        Result.of(
            f"{len(layers)} × {len(layers)} CKA pairs of ResNet50's layers, batch "
            f"{_CKA_BATCH}",
            ratios(seconds["pairs"], seconds["grams"]),
            against="the time of their Gram matrices alone",
        )
    )


def _layer_cka() -> Result:
    """What CKA of all layers adds to the forward pass that computes them."""
    model = build("resnet50", (224, 224, 3), 5, seed=0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_MANY_IMAGES, 224, 224, 3), np.uint8)
    settings = LayerSettings(progress=False)
    forward = tf.function(lambda batch: model(batch, training=False))

    def passes() -> None:
        for start in range(_FEW_IMAGES, len(images), settings.batch_size):
            batch = images[start : start + settings.batch_size]
            forward(tf.constant(batch, tf.float32))

    def comparing(count: int) -> Callable[[], None]:
        def run() -> None:
            layer_cka({"ResNet50": model}, images[:count], settings)

        return run

    variants: dict[str, Callable] = {
        "passes": passes,
        "few": comparing(_FEW_IMAGES),
        "many": comparing(_MANY_IMAGES),
    }
    seconds = measure(variants, rounds=_LAYER_ROUNDS)
    ours = [m - f for m, f in zip(seconds["many"], seconds["few"], strict=True)]
    started = statistics.median(seconds["few"])
    print(f"\nCKA of all layers ({_LAYER_ROUNDS} rounds)")
    return print_result(
        Result.of(
            "CKA of all layers of ResNet50 with all, 224 px",
            ratios(ours, seconds["passes"]),
            against="the time of the forward passes alone",
            target="at most 1.5",
            detail=f"and {started:.1f} s to trace the model and read the first batch",
        )
    )


def _memory() -> list[Result]:
    """Peaks in processes of their own."""
    print("\nCCA, peak memory beyond the activations, float32")
    results = []
    for channels, points in _MEMORY_CASES:
        ours = peak_memory("cca", channels, points)
        what = f"memory of CCA, {channels} channels, {points} points"
        results.append(print_result(Result.of(what, [ours], unit="MB")))
        if points <= 100_000:  # for more, the reference would need 8 GB
            share = ours / peak_memory("numpy", channels, points)
            against = "memory of the reference in NumPy"
            results.append(print_result(Result.of(what, [share], against=against)))
    return results


def _run(function: Callable, x: np.ndarray, y: np.ndarray) -> None:
    function(x, y)


def main() -> list[Result]:
    """Measures speed, then what pairs and layers add, then memory."""
    results = [*_speeds(), _cka(), _layer_cka()]
    if Path("/proc/self/clear_refs").exists():
        results += _memory()
    return results


if __name__ == "__main__":
    main()
