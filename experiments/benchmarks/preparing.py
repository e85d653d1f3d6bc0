"""What one large JPEG costs audit and preparing together, against decoding it.

Command: python -m transfusion_tf_experiments.benchmarks.preparing
Cost: a few seconds.

A photograph of 3000 × 2000 pixels, in colours and grey, becomes 616 pixels: decoded at
half its size, measured, resized, encoded. Seconds are the processor's.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from transfusion_tf.datasets.examined import examine
from transfusion_tf.datasets.images import FileImage, read_rgb
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result
from transfusion_tf_experiments.benchmarks.interleaved import measure, ratios

_WIDTH, _HEIGHT, _SIZE = 3000, 2000, 616
_NOISE = 4.0  # Standard deviation of a camera's, in grey levels.
_ROUNDS = 15


def main() -> list[Result]:
    """Measures a photograph in colours and grey."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            result
            for mode in ("RGB", "L")
            for result in _measure(mode, _photograph(mode, Path(folder)))
        ]


def _photograph(mode: str, folder: Path) -> Path:
    picture = Image.fromarray(load_sample_images().images[0])
    values = np.asarray(picture.resize((_WIDTH, _HEIGHT)).convert(mode), np.float64)
    values = values + np.random.default_rng(0).normal(0, _NOISE, values.shape)
    path = folder / f"{mode}.jpg"
    pixels = np.clip(values, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=92)
    return path


@dataclasses.dataclass(frozen=True)
class _AtFullSize:
    image: FileImage

    def load(self) -> np.ndarray:
        return self.image.load()

    def fingerprint(self) -> str:
        return self.image.fingerprint()


def _measure(mode: str, path: Path) -> list[Result]:
    image = FileImage(path)
    kind = {"RGB": "in colours", "L": "grey"}[mode]
    seconds = measure(
        {
            "decoding": _cpu(lambda: read_rgb(path)),
            "both": _cpu(lambda: examine(image, _SIZE, "crop")),
            "full": _cpu(lambda: examine(_AtFullSize(image), _SIZE, "crop")),
        },
        rounds=_ROUNDS,
    )
    what = f"a JPEG of {_WIDTH} × {_HEIGHT} pixels, {kind}, audited and made {_SIZE}"
    print(f"\nPreparing ({_ROUNDS} rounds)")
    return [
        print_result(
            Result.of(
                what,
                [1e3 * value for value in seconds["both"]],
                unit="ms of CPU",
                target="at most 50 ms",
            )
        ),
        print_result(
            Result.of(
                what,
                ratios(seconds["both"], seconds["decoding"]),
                against="decoding it at full size",
            )
        ),
        print_result(
            Result.of(
                what,
                ratios(seconds["both"], seconds["full"]),
                against="the same from all its pixels",
            )
        ),
    ]


def _cpu(work: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return timed


if __name__ == "__main__":
    main()
