"""A straight line through points, and how sure its slope and its height are."""

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import stats

_FEWEST = 3


@dataclasses.dataclass(frozen=True)
class RegressionLine:
    """The least squares line y = intercept + slope x.

    Attributes:
      slope, intercept: of the line.
      low, high: ends of the slope's interval, Student's with points - 2 degrees of
        freedom; they take the points for independent.
      level: of the interval.
      r_squared: share of y's variance that the line accounts for.
      points: how many.
    """

    slope: float
    intercept: float
    low: float
    high: float
    level: float
    r_squared: float
    points: int
    _center: float = dataclasses.field(repr=False)
    _spread: float = dataclasses.field(repr=False)
    _noise: float = dataclasses.field(repr=False)

    def at(self, x: np.ndarray) -> np.ndarray:
        """Height of the line, float64 of the shape of `x`."""
        return self.intercept + self.slope * np.asarray(x, dtype=np.float64)

    def band(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval of the line's height at each `x` (not of new points)."""
        x = np.asarray(x, dtype=np.float64)
        freedom = self.points - 2
        error = self._noise * np.sqrt(
            1 / self.points + (x - self._center) ** 2 / self._spread
        )
        half = stats.t.ppf((1 + self.level) / 2, freedom) * error
        return self.at(x) - half, self.at(x) + half


def regression_line(
    x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95
) -> RegressionLine | None:
    """The line through points; None for fewer than three, or all at one x.

    Args:
      x: float [points].
      y: float [points].
      level: of the intervals.

    Raises:
      ValueError: lengths that differ, or values that are not finite.
    """
    x, y = (np.asarray(side, dtype=np.float64) for side in (x, y))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"points of shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a point is not finite")
    if len(x) < _FEWEST or np.ptp(x) < 1e-9:
        return None
    found = stats.linregress(x, y)
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 2) * found.stderr)
    left = y - found.intercept - found.slope * x
    return RegressionLine(
        slope=float(found.slope),
        intercept=float(found.intercept),
        low=float(found.slope - half),
        high=float(found.slope + half),
        level=level,
        r_squared=float(found.rvalue**2),
        points=len(x),
        _center=float(x.mean()),
        _spread=float(np.sum((x - x.mean()) ** 2)),
        _noise=float(np.sqrt(np.sum(left**2) / (len(x) - 2))),
    )
