"""Units of what is measured: what a difference must reach to matter, and the range.

Margins were fixed before the runs that they judge. Those of metrics are what would not
change the choice of a model; those of similarities are twice what two repeats of one
comparison differ by (0.02 to 0.03 of CCA at the papers' number of points); that of
distances is half a patch of 16 pixels; that of speeds a tenth of the steps (log2 of
10 / 9, rounded).
"""

import dataclasses

import numpy as np

from transfusion_tf.errors import one_of


@dataclasses.dataclass(frozen=True)
class Unit:
    """What a number is counted in.

    Attributes:
      name: as it is printed.
      margin: a difference smaller than this does not matter.
      limits: the lowest and the highest value that a mean can have; a difference
        of two means has none.
    """

    name: str
    margin: float
    limits: tuple[float, float] = (-np.inf, np.inf)


_UNITS = (
    Unit("AUC", 0.02, (0.0, 1.0)),
    Unit("accuracy", 0.02, (0.0, 1.0)),
    Unit("kappa", 0.04, (-1.0, 1.0)),
    Unit("of the metric", 0.02),
    Unit("of RI", 0.02),
    Unit("of ST", 0.05),
    Unit("relative AUC", 0.02),
    Unit("skill", 0.04, (-np.inf, 1.0)),
    Unit("CCA", 0.05, (0.0, 1.0)),
    Unit("SVCCA", 0.05, (0.0, 1.0)),
    Unit("PWCCA", 0.05, (0.0, 1.0)),
    Unit("CKA", 0.05, (0.0, 1.0)),
    Unit("share of the images", 0.02, (0.0, 1.0)),
    Unit("share", 0.05, (0.0, 1.0)),
    Unit("R²", 0.1, (0.0, 1.0)),
    Unit("rank correlation", 0.1, (-1.0, 1.0)),
    Unit("steps", 0.0, (0.0, np.inf)),
    Unit("doublings of speed", 0.15),
    Unit("px", 8.0, (0.0, np.inf)),
    Unit("Fréchet distance", 0.0, (0.0, np.inf)),
    Unit("", 0.0),
)
UNITS = {unit.name: unit for unit in _UNITS}


def unit(name: str) -> Unit:
    """The unit of that name.

    Raises:
      UserError: there is none; the message lists the valid ones.
    """
    if name not in UNITS:
        raise one_of("unit", name, UNITS)
    return UNITS[name]


def metric_unit(metric: str) -> str:
    """The unit of a metric of predictions: `AUC` of `referable_auc`."""
    if metric.endswith("auc") or metric.startswith("auc/"):
        return "AUC"
    if metric.endswith("accuracy"):
        return "accuracy"
    return "kappa" if metric.endswith("kappa") else ""
