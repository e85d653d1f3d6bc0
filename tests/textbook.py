"""Intervals and measures as textbooks write them, for tests to compare with."""

import numpy as np
from scipy import stats


def seeds_and_patients(values, draws, patients):
    """Mean of the seeds' values and its 95 % interval (Welch and Satterthwaite).

    The share of the few seeds counts as its power 0.6 where that is wider.

    Args:
      values: [seeds].
      draws: [seeds, samples], the same in every bootstrap sample of the test patients.
      patients: on the rarer side, in the test set.
    """
    parts = [np.var(values, ddof=1) / len(values), patient_variance(draws)]
    freedoms = [len(values) - 1, patients - 1]
    share = parts[0] / sum(parts)
    freedom = min(
        1 / (weight**2 / freedoms[0] + (1 - weight) ** 2 / freedoms[1])
        for weight in (share, share**0.6)
    )
    return interval(np.mean(values), np.sqrt(sum(parts)), freedom)


def patient_variance(draws):
    """Of the seeds' mean, less what the seeds' own variance has of it already: the
    interaction in a table of seeds by samples, of one number each.
    """
    seeds, samples = np.shape(draws)
    apart = (
        draws - np.mean(draws, 0) - np.mean(draws, 1, keepdims=True) + np.mean(draws)
    )
    interaction = np.sum(apart**2) / (seeds - 1) / (samples - 1)
    return max(0.0, np.var(np.mean(draws, 0), ddof=1) - interaction / seeds)


def seeds(values):
    """Mean and Student's 95 % interval."""
    return interval(np.mean(values), stats.sem(values), len(values) - 1)


def folds(values, test_to_train):
    """Mean of the folds' values and its 95 % interval (Nadeau and Bengio, 2003)."""
    variance = np.var(values, ddof=1) * (1 / len(values) + test_to_train)
    return interval(np.mean(values), np.sqrt(variance), len(values) - 1)


def interval(estimate, error, freedom):
    return (estimate, *stats.t.interval(0.95, freedom, loc=estimate, scale=error))


def projection_weighted(x, y):
    """Morcos et al., from unit variates and centred channels, point by point."""
    x, y = x - x.mean(0), y - y.mean(0)
    left_x, s, _ = np.linalg.svd(x, full_matrices=False)
    left_x = left_x[:, s > 1e-12 * s[0]]
    left_y, s, _ = np.linalg.svd(y, full_matrices=False)
    left_y = left_y[:, s > 1e-12 * s[0]]
    rotation, coefficients, _ = np.linalg.svd(left_x.T @ left_y, full_matrices=False)
    variates = left_x @ rotation
    weights = np.abs(variates.T @ x).sum(axis=1)
    return np.sum(weights * coefficients) / weights.sum()
