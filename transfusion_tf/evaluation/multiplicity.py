"""p values where many comparisons are made: one in twenty is below 0.05 by chance."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from transfusion_tf.errors import one_of
from transfusion_tf.evaluation.estimates import Estimate

CORRECTIONS = ("holm", "benjamini_hochberg")


def adjusted_p_values(
    p_values: Sequence[float], correction: str = "holm"
) -> np.ndarray:
    """P values that may be held against one level, however many there are.

    Args:
      p_values: of one family of comparisons; NaN, a comparison that could not be made,
        stays NaN and does not count.
      correction: `holm` (1979) bounds the chance that any difference is called which
        is none: for a verdict. `benjamini_hochberg` (1995) bounds the expected share
        of such among those called: for a long list that is looked through.

    Returns:
      float64 [comparisons], none below its p value, none above 1.

    Raises:
      UserError: unknown correction.
      ValueError: p values outside [0, 1].
    """
    if correction not in CORRECTIONS:
        raise one_of("correction", correction, CORRECTIONS)
    values = np.asarray(p_values, dtype=np.float64)
    made = np.isfinite(values)
    adjusted = np.full(values.shape, np.nan)
    if not made.any():
        return adjusted
    if not ((values[made] >= 0) & (values[made] <= 1)).all():
        raise ValueError("p values must lie in [0, 1]")
    if correction == "benjamini_hochberg":
        adjusted[made] = stats.false_discovery_control(values[made], method="bh")
        return adjusted
    order = np.argsort(values[made], kind="stable")
    left = np.arange(made.sum(), 0, -1)
    stepped = np.maximum.accumulate(left * values[made][order])
    adjusted[np.flatnonzero(made)[order]] = np.minimum(stepped, 1.0)
    return adjusted


def adjusted_differences(
    differences: Sequence[Estimate], correction: str = "holm"
) -> tuple[Estimate, ...]:
    """The same differences, each with its `adjusted_p_value` among them all.

    Args:
      differences: one family: all that one question is answered from.
      correction: see `adjusted_p_values`.
    """
    values = adjusted_p_values([one.p_value for one in differences], correction)
    return tuple(
        dataclasses.replace(one, adjusted_p_value=float(value))
        for one, value in zip(differences, values, strict=True)
    )
