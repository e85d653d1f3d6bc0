"""How many seeds, or test patients, would settle a comparison.

With the variances V_s of n seeds and V_p of P patients that the estimator found (see
`estimator`), n' seeds and P' patients have

    SE^2 = V_s n / n' + V_p P / P'
    df   = those of n' - 1 and P' - 1 (see `estimates.freedom_of_sum`)

and settle an effect that lies d from what it is to be told from, with the power 1 - b
at the level a, where (t_{1 - a/2, df} + t_{1 - b, df}) SE <= d. That d is |T| to tell
the effect from 0, and margin - |T| to tell it from one that matters; the longer of the
two is settled first. Variances of few seeds are rough, and so is the answer.
"""

import numpy as np
from scipy import special

from transfusion_tf.evaluation.estimates import Estimate, freedom_of_sum

POWER = 0.8
MOST_SEEDS = 200
# From 1 to so many times the patients that there are.
_GROWTH = np.geomspace(1.0, 1000.0, 601)


def seeds_to_settle(
    found: Estimate, patients: int, margin: float, *, comparisons: int = 1
) -> int | None:
    """The fewest seeds, in all, that settle an effect on the same test patients.

    Args:
      found: the effect, of two seeds or more.
      patients: of the test set.
      margin: in the effect's unit.
      comparisons: made together; the level is shared out among them (Bonferroni).

    Returns:
      None where `MOST_SEEDS` would not, or the spread between seeds is unknown.
    """
    if not found.seed_variance or not np.isfinite(found.seed_variance):
        return None
    seeds = np.arange(max(3, found.seeds), MOST_SEEDS + 1)
    enough = _settles(found, seeds, patients, float(patients), margin, comparisons)
    return int(seeds[enough][0]) if enough.any() else None


def patients_to_settle(
    found: Estimate, patients: int, margin: float, *, comparisons: int = 1
) -> int | None:
    """The fewest test patients that settle an effect with the same seeds.

    Args:
      found: the effect.
      patients: of the test set.
      margin: in the effect's unit.
      comparisons: made together.

    Returns:
      None where a thousand times as many would not, or their part is unknown.
    """
    if not found.patient_variance or not patients:
        return None
    number = patients * _GROWTH
    seeds = np.full(len(number), max(3, found.seeds))
    enough = _settles(found, seeds, patients, number, margin, comparisons)
    return int(np.ceil(number[enough][0])) if enough.any() else None


def _settles(
    found: Estimate,
    seeds: np.ndarray,
    patients: int,
    number: np.ndarray | float,
    margin: float,
    comparisons: int,
) -> np.ndarray:
    """For each number of seeds and patients, whether they have the power."""
    by_seeds = (found.seed_variance or 0.0) * found.seeds / seeds
    by_patients = (found.patient_variance or 0.0) * patients / number
    by_seeds, by_patients = np.broadcast_arrays(by_seeds, by_patients)
    variance = by_seeds + by_patients
    freedoms = np.broadcast_arrays(seeds - 1, np.maximum(number - 1, 1.0))
    variances = np.maximum([by_seeds, by_patients], 1e-300)
    freedom = freedom_of_sum(variances, freedoms)
    quantiles = special.stdtrit(freedom, 1 - 0.025 / comparisons)
    quantiles = quantiles + special.stdtrit(freedom, POWER)
    distance = max(abs(found.estimate), margin - abs(found.estimate))
    return np.asarray(quantiles * np.sqrt(variance) <= distance)
