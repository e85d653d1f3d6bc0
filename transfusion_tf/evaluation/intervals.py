"""Bootstrap intervals over patients.

Images of one patient resemble each other, so the unit that is drawn is the patient:
with all images, or not at all. Drawing images instead gives intervals that are too
narrow.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from transfusion_tf.evaluation.metrics import metric

# Sample-by-example cells held at once: 32 MB of float64.
_CHUNK_CELLS = 4_000_000
# Sample-by-patient cells drawn in one call: what is counted stays in the cache. 1 000
# samples of 150 patients take 1.5 ms so, and 7.5 ms with a call for each.
_CALL_CELLS = 50_000


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    Attributes:
      estimate: the statistic on all the data.
      low: lower end; NaN when no sample defined the statistic.
      high: upper end.
      level: intended coverage, 0.95 for a 95 % interval.
      undefined: bootstrap samples that were left out because the statistic was
        undefined in them (an AUC where only one class was drawn).
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95
    undefined: int = 0

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.2f}, {self.high:.2f}]"


def bootstrap_interval(
    statistic: Callable[..., float],
    groups: np.ndarray,
    *arrays: np.ndarray,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of any statistic, drawing whole patients.

    Args:
      statistic: takes the arrays, rows drawn alike, and returns a number; NaN or a
        ValueError means undefined for this draw.
      groups: [n], the patient of each row.
      *arrays: each [n, ...].
      samples: how many times the patients are drawn with replacement.
      level: share of the samples between the ends.
      seed: of the draws, with the set of groups.

    Raises:
      ValueError: no rows, lengths that differ, or a level not in (0, 1).
    """
    arrays = tuple(np.asarray(array) for array in arrays)
    groups = np.asarray(groups)
    if any(len(array) != len(groups) for array in arrays):
        lengths = ", ".join(str(len(array)) for array in arrays)
        raise ValueError(f"{len(groups)} groups for arrays of {lengths} rows")
    rows = np.arange(len(groups))
    values = []
    for weights in patient_weights(groups, samples, seed):
        for counts in weights:
            drawn = np.repeat(rows, counts)
            values.append(_value(statistic, [array[drawn] for array in arrays]))
    return percentile_interval(float(statistic(*arrays)), np.array(values), level)


def percentile_interval(
    estimate: float, values: np.ndarray, level: float = 0.95
) -> Interval:
    """The interval between the outer percentiles of bootstrap values [samples]."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    defined = values[np.isfinite(values)]
    low = high = np.nan
    if defined.size:
        low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        float(estimate), float(low), float(high), level, len(values) - len(defined)
    )


def patient_weights(
    groups: np.ndarray, samples: int = 1000, seed: int = 0
) -> Iterator[np.ndarray]:
    """How often each row counts in each bootstrap sample, a block at a time.

    The draws depend on the seed and on the set of patients. Two sets of predictions
    for the same patients are drawn alike, in whatever order their rows stand:
    differences between them are paired. Other patients are drawn independently, however
    many they are, so two test sets have no chance in common.

    Yields:
      int64 [at most samples, n]; the blocks together make `samples` rows.
    """
    patients, member = np.unique(np.asarray(groups), return_inverse=True)
    if not patients.size:
        raise ValueError("no examples to draw from")
    names = "\n".join(str(patient) for patient in patients)
    entropy = (seed, zlib.crc32(names.encode()))
    block = max(1, _CHUNK_CELLS // max(len(member), len(patients)))
    if samples <= block:
        yield _all_patient_counts(entropy, len(patients), samples)[:, member]
        return
    generator = np.random.default_rng(entropy)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        yield _patient_counts(generator, len(patients), size)[:, member]


# The runs of a study share a few test sets, and all their metrics are drawn alike.
@functools.lru_cache(maxsize=4)
def _all_patient_counts(
    entropy: tuple[int, int], patients: int, samples: int
) -> np.ndarray:
    counts = _patient_counts(np.random.default_rng(entropy), patients, samples)
    counts.flags.writeable = False
    return counts


def _patient_counts(
    generator: np.random.Generator, patients: int, samples: int
) -> np.ndarray:
    """How often each patient is drawn: int64 [samples, patients].

    The generator gives the same draws however they are split into calls.
    """
    together = max(1, _CALL_CELLS // patients)
    parts = []
    for start in range(0, samples, together):
        size = min(together, samples - start)
        drawn = generator.integers(patients, size=(size, patients))
        # A range of numbers of its own for each sample.
        drawn += patients * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * patients)
        parts.append(counts.reshape(size, patients))
    return np.concatenate(parts)


def metric_replicates(
    name: str,
    groups: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    referable_from: int | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """A metric in every bootstrap sample: float64 [samples], NaN where undefined.

    All samples at once, which is what makes intervals for a hundred runs cheap.

    Args:
      name: one of `METRICS`.
      groups: [n], the patient of each row.
      labels: float [n, classes], NaN where unlabelled.
      probabilities: float [n, classes] in [0, 1].
      referable_from: the first referable grade, for `referable_auc`.
      samples: how many times the patients are drawn.
      seed: of the draws.
    """
    function = metric(name)
    return np.concatenate(
        [
            function(
                labels, probabilities, referable_from=referable_from, weights=weights
            )
            for weights in patient_weights(groups, samples, seed)
        ]
    )


def _value(statistic: Callable[..., float], arrays: list[np.ndarray]) -> float:
    # scikit-learn's metrics raise where a draw has one class only.
    try:
        return float(statistic(*arrays))
    except ValueError:
        return np.nan
