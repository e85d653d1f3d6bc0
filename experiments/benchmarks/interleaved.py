"""Times variants in turn, so that a machine whose speed drifts does not decide."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from transfusion_tf_experiments.benchmarks.benchmark_results import Result

# One repetition of the work; it may return the seconds that count, where they are
# fewer than the call takes.
Work = Callable[[], float | None]


def measure(
    variants: Mapping[str, Work], *, rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of every variant in every round; A B C, A B C, ...

    Args:
      variants: name -> one repetition of the work.
      rounds: repetitions that count.
      warm_up: repetitions before them that don't.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-warm_up, rounds):
        for name, work in variants.items():
            gc.collect()
            start = time.perf_counter()
            own = work()
            taken = time.perf_counter() - start if own is None else own
            if number >= 0:
                seconds[name].append(taken)
    return seconds


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """`over / under`, round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def speed_results(
    title: str,
    seconds: Mapping[str, list[float]],
    *,
    baseline: str,
    images: int,
    targets: Mapping[str, str] | None = None,
) -> list[Result]:
    """Prints and returns each variant's speed as a share of the baseline's.

    The ratio is taken round by round; its median, least and largest are shown.

    Args:
      title: what was measured.
      seconds: from `measure`.
      baseline: the variant that the others are compared with.
      images: how many a repetition works through.
      targets: what is aimed at, by variant.
    """
    print(f"\n{title} ({len(seconds[baseline])} rounds of {images} images)")
    results = []
    for name, values in seconds.items():
        rate = images / statistics.median(values)
        result = Result.of(
            f"{title}: {name}",
            ratios(seconds[baseline], values),
            against=f"speed of {baseline}",
            detail=f"{rate:.1f} images/s",
            target=(targets or {}).get(name, ""),
        )
        print(f"  {name:46s} {rate:8.1f} images/s   {result.numbers()} {result.aim()}")
        if name != baseline:
            results.append(result)
    return results
