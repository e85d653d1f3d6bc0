"""Times variants in turn, so that a machine whose speed drifts does not decide."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping


def measure(
    variants: Mapping[str, Callable[[], None]], *, rounds: int, warm_up: int = 1
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
            work()
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_speeds(
    title: str, seconds: Mapping[str, list[float]], *, baseline: str, images: int
) -> None:
    """Prints images per second, and each variant's speed as a share of the baseline's.

    The ratio is taken round by round; its median, least and largest are shown.
    """
    print(f"\n{title} ({len(seconds[baseline])} rounds of {images} images)")
    for name, values in seconds.items():
        ratios = [b / v for b, v in zip(seconds[baseline], values, strict=True)]
        rate = images / statistics.median(values)
        print(
            f"  {name:46s} {rate:8.1f} images/s   {statistics.median(ratios):5.2f}× "
            f"of {baseline} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
