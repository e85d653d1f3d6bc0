"""Whether outputs can be read as probabilities: reliability and calibration error.

Examples are sorted into bins by how sure the model is. In each bin the mean confidence
is held against the share of examples where what was forecast is so (Guo et al., 2017,
section 2). A perfect model still has an error above zero where bins hold few examples,
so only errors on the same number of examples compare.
"""

import dataclasses

import numpy as np

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.evaluation.checks import (
    check_kind,
    checked,
    checked_probabilities,
    single_class,
)

BINNINGS = ("equal_width", "equal_mass")

_BINS = 15


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Confidence held against frequency, by bins of confidence.

    Attributes:
      edges: float64 [bins + 1], rising from 0 to 1; a bin holds its upper edge.
      counts: int64 [bins].
      confidence: float64 [bins], the mean forecast; NaN in an empty bin.
      frequency: float64 [bins], the share where the forecast came true; NaN likewise.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    frequency: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean of |confidence - frequency|, weighted by the bins' counts, in [0, 1].

        NaN without examples.
        """
        filled = self.counts > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.confidence - self.frequency)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


def reliability(
    happened: np.ndarray,
    forecast: np.ndarray,
    bins: int = _BINS,
    binning: str = "equal_width",
) -> Reliability:
    """Bins forecasts of yes-or-no events; for a model's outputs see `forecasts`.

    Args:
      happened: bool [n].
      forecast: float [n] in [0, 1], the probability given to it.
      bins: how many, at most.
      binning: `equal_width` cuts [0, 1] into equal parts. `equal_mass` cuts at the
        forecasts' quantiles, so that bins hold about as many examples each; equal
        forecasts share a bin, so there may be fewer of them.

    Raises:
      UserError: unknown binning, or fewer than one bin.
      ValueError: lengths that differ, or forecasts outside [0, 1].
    """
    if binning not in BINNINGS:
        raise one_of("binning", binning, BINNINGS)
    if bins < 1:
        raise UserError(f"bins should be at least 1, got {bins}")
    forecast = checked_probabilities(np.reshape(forecast, (-1, 1)))[:, 0]
    happened = np.asarray(happened, dtype=bool)
    if happened.shape != forecast.shape:
        raise ValueError(f"{len(happened)} events for {len(forecast)} forecasts")
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    if binning == "equal_mass" and len(forecast):
        inner = np.unique(np.quantile(forecast, inner))
        inner = inner[(inner > 0) & (inner < 1)]
    member = np.searchsorted(inner, forecast, side="left")
    counts = np.bincount(member, minlength=len(inner) + 1)

    def mean_of(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(member, values, minlength=len(counts))
        out = np.full(len(counts), np.nan)
        return np.divide(sums, counts, out=out, where=counts > 0)

    return Reliability(
        np.concatenate([[0.0], inner, [1.0]]),
        counts,
        mean_of(forecast),
        mean_of(happened.astype(np.float64)),
    )


def forecasts(
    labels: np.ndarray, probabilities: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """A model's outputs as forecasts of yes-or-no events.

    Of exclusive classes (`grade`, `class`) the forecast is that the predicted class is
    right, and its confidence the largest output as it stands. Sigmoid outputs are not
    divided by their sum: each claims to be a probability by itself. Of `findings`
    every output is a forecast that its finding is there; a binary task with one output
    is one finding.

    Args:
      labels: float [n, classes] in {0, 1}, NaN where unlabelled, left out; classes [n]
        do for exclusive ones.
      probabilities: float [n, classes] in [0, 1].
      kind: `grade`, `class` or `findings`.

    Returns:
      Whether it came true, bool [forecasts], and its probability, float64 [forecasts].

    Raises:
      UserError: unknown kind.
      ValueError: shapes or values that can't be.
    """
    check_kind(kind)
    if kind == "findings":
        labels, probabilities = checked(labels, probabilities)
        known = ~np.isnan(labels)
        return labels[known] == 1, probabilities[known]
    probabilities = checked_probabilities(probabilities)
    truth = single_class(labels, probabilities, "calibration")
    labelled = truth >= 0
    right = probabilities.argmax(axis=1) == truth
    return right[labelled], probabilities.max(axis=1)[labelled]


def expected_calibration_error(
    labels: np.ndarray,
    probabilities: np.ndarray,
    kind: str = "class",
    bins: int = _BINS,
    binning: str = "equal_width",
) -> float:
    """How far confidence is from frequency, in [0, 1]; 0 is calibrated.

    Of exclusive classes that of the predicted class (Guo et al., 2017, equation 3). Of
    findings the mean over them of each one's own: pooled, one that is overrated would
    make up for one that is underrated.

    Args:
      labels: as for `forecasts`.
      probabilities: float [n, classes] in [0, 1].
      kind: `grade`, `class` or `findings`.
      bins: how many, at most.
      binning: `equal_width` or `equal_mass`, see `reliability`.

    Returns:
      The error; NaN without labelled examples.
    """
    if kind != "findings":
        pairs = [forecasts(labels, probabilities, kind)]
    else:
        labels, probabilities = checked(labels, probabilities)
        pairs = [
            forecasts(labels[:, [one]], probabilities[:, [one]], kind)
            for one in range(labels.shape[1])
        ]
    errors = [
        reliability(*pair, bins, binning).expected_calibration_error
        for pair in pairs
        if len(pair[0])
    ]
    return float(np.mean(errors)) if errors else float("nan")
