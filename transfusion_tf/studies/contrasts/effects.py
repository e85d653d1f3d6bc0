"""From a contrast to an effect with an interval."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.estimator import LeftOut, estimate
from transfusion_tf.studies.contrasts.learning_curves import OfCurves
from transfusion_tf.studies.contrasts.leaves import Repetition, repetition
from transfusion_tf.studies.contrasts.tree import Contrast, MissingMeasurementError
from transfusion_tf.studies.measurements.table import Measurements


def measure_effect(contrast: Contrast, measurements: Measurements) -> Estimate:
    """The contrast with its interval, over repetitions, donors and test patients.

    Only repetitions count that all groups of its runs have.

    Args:
      contrast: of run ids.
      measurements: of the study.

    Raises:
      MissingMeasurementError: something was not measured, or in too few settings, or no
        repetition has all of the runs.
    """
    repetitions = _repetitions(contrast, measurements)
    keys = sorted(set(repetitions.values()))
    if not keys:
        contrast.value(measurements, ())
        raise MissingMeasurementError("no seed has all of the runs")
    # Several seeds of one fold are tested on the same patients, as seeds are.
    folded = len({key[1] for key in keys if len(key) > 1}) > 1
    sources: dict[str, Sequence[Hashable]] = {"fold" if folded else "seed": keys}
    donors = _donor_seeds(repetitions, measurements)
    if donors:
        sources["donor_seed"] = sorted(set(donors.values()))

    def kept(left_out: LeftOut) -> set[str]:
        if left_out is None:
            return set(repetitions)
        source, level = left_out
        levels: Mapping[str, Hashable] = donors
        if source != "donor_seed":
            levels = repetitions
        return {run for run in repetitions if levels.get(run) != level}

    def statistic(left_out: LeftOut) -> float:
        return contrast.value(measurements, kept(left_out))

    def draws(left_out: LeftOut) -> np.ndarray | None:
        return contrast.draws(measurements, kept(left_out))

    if not np.isfinite(statistic(None)):
        raise MissingMeasurementError(
            "the runs are too few, or all alike in what they are compared by"
        )
    curves = [leaf for leaf in contrast.leaves() if isinstance(leaf, OfCurves)]
    sets = measurements.patient_draws
    if curves:
        sets = curves[0].patient_draws(measurements)
    patients = [sets[run].rarer for run in repetitions if run in sets]
    ratio = _test_to_train(repetitions, measurements)
    return estimate(
        statistic,
        sources,
        draws=None if folded else draws,
        patients=min(patients, default=0),
        test_to_train=ratio if folded else None,
        known_variance=contrast.null_variance(measurements, set(repetitions)),
    )


def effect_or_none(
    contrast: Contrast,
    measurements: Measurements,
    limits: tuple[float, float] | None = None,
) -> Estimate | None:
    """The effect; None where something was not measured.

    Args:
      contrast: of run ids.
      measurements: of the study.
      limits: of what is a level and no difference: its interval is cut to them, and
        there is no p value of its being zero.
    """
    try:
        found = measure_effect(contrast, measurements)
    except MissingMeasurementError:
        return None
    return found if limits is None else found.of_a_level(limits)


def _repetitions(
    contrast: Contrast, measurements: Measurements
) -> dict[str, Repetition]:
    """Run -> what it repeats, of repetitions that all groups have."""
    groups = [
        {
            run: repetition(measurements, run)
            for run in group
            if run in measurements.runs.index
        }
        for group in contrast.groups()
    ]
    if not groups:
        return {}
    common = set.intersection(*(set(group.values()) for group in groups))
    return {run: key for group in groups for run, key in group.items() if key in common}


def _test_to_train(
    repetitions: Mapping[str, Repetition], measurements: Measurements
) -> float | None:
    """Test images over training images of a fold; mean over data sets, each alike."""
    ratios: dict[str, list[float]] = {}
    for run in repetitions:
        if run in measurements.test_to_train:
            dataset = str(measurements.runs.at[run, "dataset"])
            ratios.setdefault(dataset, []).append(measurements.test_to_train[run])
    means = [float(np.mean(own)) for own in ratios.values()]
    return float(np.mean(means)) if means else None


def _donor_seeds(
    repetitions: dict[str, Repetition], measurements: Measurements
) -> dict[str, int]:
    """Run -> its donor's seed, where that varies on its own.

    Where every repetition has a donor of its own the two are one source, and where all
    have one donor there is nothing to learn of it: both give nothing.
    """
    seeds = measurements.runs.loc[list(repetitions), "donor_seed"].dropna()
    donors = {str(run): int(seed) for run, seed in seeds.items()}
    pairs = {(repetitions[run], seed) for run, seed in donors.items()}
    own = len(pairs) == len({key for key, _ in pairs})
    return {} if own or len(set(donors.values())) < 2 else donors
