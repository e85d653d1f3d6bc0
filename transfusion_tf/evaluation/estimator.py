r"""One estimator: from a statistic of repeated runs to an estimate with an interval.

An effect is a statistic T of runs: a mean, a difference, a ratio of means, a mean over
pairs of runs, a slope. It is computed from all runs together, and what makes it
uncertain is taken one source at a time:

    T_i  = n T - (n - 1) T(without i)             pseudo-value of level i (Tukey, 1958)
    V_s  = var(T_i) / n                           of a source with n levels
    V_f  = var(T_i) (1 / n + n_test / n_train)    of folds (Nadeau and Bengio, 2003)
    V_p  = var over bootstrap samples of T        of the test patients,
           less var(T_i apart from their mean, over bootstrap samples) / n
    SE^2 = V_s + V_f + V_p
    df   = 1 / sum over sources of w^2 / (n - 1), w = V / SE^2

with var the sample variance, and the models held fixed where patients are drawn. The
interval is T +- t SE, t the quantile of Student's distribution with df degrees of
freedom (Welch, 1947; Satterthwaite, 1946; `freedom_of_sum` says where they are fewer);
of test patients, n is their number on the rarer side of the metric. Where nothing
varies but by rounding there is no interval.

Sources are crossed: leaving out a seed leaves out all runs of that seed, whatever they
started from, and a donor's seed all runs that stand on it. Where the levels of one
source follow those of another (every seed has a donor of its own), the two are one
source. For a mean or a difference of means, pseudo-values are the seeds' own values, so
the interval is Student's; for a ratio of means, its linearization; for pairs that share
runs, it counts the sharing.

Folds are tested on different patients but trained on much the same ones, so what they
measure is correlated and their plain variance too small: hence n_test / n_train
(Nadeau and Bengio, section 5). Repeated cross-validation counts every fold of every
repeat (Bouckaert and Frank, 2004). There is no separate part for patients, as every
fold draws others.

Two seeds have no interval: Student's quantile at one degree of freedom is 12.7, and
what it makes of them (an AUC between -0.9 and +1.0) is no statement. Their variances
are kept: they say how many seeds it would take.

What the interval carries is the spread between seeds, between donors' seeds and between
patients like these, of validation where learning curves are compared. What single seeds
make of single patients is in the seeds' variance, and is taken off that of patients.
What belongs to one seed with one donor or to one pair of runs is in two terms: where
there is nothing else, an interval of 95 % covers 99 % (5 seeds; 95 to 96 % where runs
differ as much). What it does not carry: another hospital or camera, another draw of the
training patients, other hyperparameters, and the choice among many comparisons: each
interval is on its own at its level, and so is the p value that goes with it
(`transfusion_tf.evaluation.multiplicity` adds one that holds among them all). Where
settings are a sample, as of a rank correlation over data sets and models, what other
settings would give is added: V of all permutations of them, which is known.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from transfusion_tf.evaluation.estimates import Estimate, freedom_of_sum, student

# Degrees of freedom of a variance that is not estimated.
_KNOWN = 10**9

# Leaves out one level of one source; None is all runs.
LeftOut = tuple[str, Hashable] | None


def estimate(
    statistic: Callable[[LeftOut], float],
    sources: Mapping[str, Sequence[Hashable]],
    *,
    draws: Callable[[LeftOut], np.ndarray | None] | None = None,
    patients: int = 0,
    test_to_train: float | None = None,
    known_variance: float = 0.0,
    level: float = 0.95,
) -> Estimate:
    """An effect with its interval.

    Args:
      statistic: the effect, of all runs or without a level; NaN where too few are left.
      sources: name -> levels: `seed` or `fold`, first, and others (`donor_seed`).
      draws: as `statistic`, the effect in every bootstrap sample of the test patients:
        float64 [samples]; None where no test patients are behind it.
      patients: on the rarer side of the metric, in the smallest test set: an AUC of 500
        patients of whom 8 are ill varies with those 8.
      test_to_train: test images over training images, of a cross-validation only.
      known_variance: that is computed and not estimated, such as that of a rank
        correlation over all permutations of its settings.
      level: coverage.

    Returns:
      `seeds` counts the first source's levels, `values` are its pseudo-values. The
      interval is NaN of two seeds, and where no source has two levels and there are
      no draws.

    Raises:
      ValueError: no levels, or folds without a ratio above 0.
    """
    (over, levels), *_ = sources.items()
    if not levels:
        raise ValueError(f"no {over} to estimate from")
    together = float(statistic(None))
    parts, values = _of_runs(statistic, together, sources, test_to_train)
    run_variance = sum(part for part, _ in parts) if parts else None
    left_out = [(over, each) for each in levels] if len(values) > 1 else []
    patient_variance = None if draws is None else _of_patients(draws, left_out)
    if patient_variance is not None:
        parts.append((patient_variance, max(1, patients - 1)))
    if known_variance and parts:
        parts.append((known_variance, _KNOWN))
    low, high, p_value, freedom = _interval(together, parts, level)
    if len(values) == 2:
        low = high = p_value = np.nan
    return Estimate(
        estimate=together,
        low=low,
        high=high,
        level=level,
        seeds=len(values),
        seed_variance=run_variance,
        patient_variance=patient_variance,
        degrees_of_freedom=freedom,
        values=values,
        p_value=p_value,
        over=over,
        patients=patients if patient_variance is not None and patients else None,
    )


def estimate_mean(
    values: Sequence[float], test_to_train: float | None = None
) -> Estimate:
    """The mean of one number per repetition, with its interval.

    Args:
      values: one per seed, or per fold.
      test_to_train: test images over training images of a cross-validation, of which
        the values are folds; None where they are seeds.

    Raises:
      ValueError: no values, or a ratio that is not above 0.
    """
    array = np.asarray(values, dtype=np.float64)
    over = "seed" if test_to_train is None else "fold"
    places = list(range(len(array)))

    def mean(left_out: LeftOut) -> float:
        kept = [place for place in places if (over, place) != left_out]
        return float(array[kept].mean()) if kept else np.nan

    return estimate(mean, {over: places}, test_to_train=test_to_train)


def _share(name: str, count: int, test_to_train: float | None) -> float:
    """Of the variance of pseudo-values: what their mean has."""
    if name != "fold":
        return 1 / count
    if test_to_train is None or not test_to_train > 0:
        raise ValueError(f"test_to_train must be above 0, got {test_to_train}")
    return 1 / count + test_to_train


def _variance_of(draws: np.ndarray) -> float:
    """Of the samples in which the effect is defined; NaN of one or none."""
    known = draws[np.isfinite(draws)]
    return float(known.var(ddof=1)) if len(known) > 1 else float("nan")


def _of_runs(
    statistic: Callable[[LeftOut], float],
    together: float,
    sources: Mapping[str, Sequence[Hashable]],
    test_to_train: float | None,
) -> tuple[list[tuple[float, int]], tuple[float, ...]]:
    """Variance and degrees of freedom of each source; the first's pseudo-values."""
    first = next(iter(sources))
    parts: list[tuple[float, int]] = []
    values: tuple[float, ...] = (together,)
    for name, own in sources.items():
        pseudo_values = _pseudo_values(statistic, together, name, own)
        if pseudo_values is None:
            continue
        share = _share(name, len(own), test_to_train)
        parts.append((float(pseudo_values.var(ddof=1)) * share, len(own) - 1))
        if name == first:
            values = tuple(pseudo_values.tolist())
    return parts, values


def _of_patients(
    draws: Callable[[LeftOut], np.ndarray | None], left_out: Sequence[LeftOut]
) -> float | None:
    """Variance over patients, less what the runs' variance has of it; None of none."""
    together = draws(None)
    if together is None:
        return None
    without = [draws(each) for each in left_out]
    return max(0.0, _variance_of(together) - _shared_variance(together, without))


def _shared_variance(
    together: np.ndarray, without: Sequence[np.ndarray | None]
) -> float:
    """What single seeds make of single patients, which is in the seeds' variance too.

    That is how far the pseudo-values of the levels vary apart from one another over the
    bootstrap samples, by the number of levels.
    """
    known = [each for each in without if each is not None]
    count = len(known)
    if count < 2 or count < len(without):
        return 0.0
    pseudo_values = count * together - (count - 1) * np.array(known)
    pseudo_values = pseudo_values[:, np.isfinite(pseudo_values).all(axis=0)]
    samples = pseudo_values.shape[1]
    if samples < 2:
        return 0.0
    apart = pseudo_values - pseudo_values.mean(axis=0)
    apart -= apart.mean(axis=1, keepdims=True)
    return float((apart**2).sum() / ((count - 1) * (samples - 1)) / count)


def _pseudo_values(
    statistic: Callable[[LeftOut], float],
    together: float,
    name: str,
    levels: Sequence[Hashable],
) -> np.ndarray | None:
    """One pseudo-value per level; None where too few are left without one."""
    count = len(levels)
    if count < 2:
        return None
    without = np.array([statistic((name, level)) for level in levels])
    if not np.isfinite(without).all():
        return None
    return count * together - (count - 1) * without


def _interval(
    together: float, parts: Sequence[tuple[float, int]], level: float
) -> tuple[float, float, float, float]:
    """Low end, high end, p value and degrees of freedom, from variances and theirs."""
    if not parts:
        return np.nan, np.nan, np.nan, np.nan
    variances, freedoms = zip(*parts, strict=True)
    freedom = float(freedoms[-1])
    if sum(variances) > 0:
        freedom = float(freedom_of_sum(variances, freedoms))
    return *student(together, sum(variances), freedom, level), freedom
