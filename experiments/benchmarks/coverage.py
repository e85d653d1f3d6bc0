"""How often 95 % intervals of the estimator hold the truth, by simulation.

  python -m transfusion_tf_experiments.benchmarks.coverage

Cost: 5 minutes on one core. Prints a row per case and number of seeds; the figures of
`docs/measurements.md` are its own. Test metrics are real AUCs of simulated outputs,
with their bootstrap samples; truths are zero, by symmetry.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable

import numpy as np
from absl import app, flags

from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.convergence import (
    THRESHOLD_SHARE,
    steps_to_thresholds,
    threshold_between,
)
from transfusion_tf.evaluation.estimator import LeftOut, estimate

SEEDS = (3, 5, 10)
_STUDIES = flags.DEFINE_integer("studies", 500, "Simulated studies per figure.")
_SAMPLES = 200
_ALL = np.ones(1)
# At which curves are evaluated.
_STEPS = np.linspace(0, 1, 8)

Statistic = Callable[[LeftOut], float]


@dataclasses.dataclass(frozen=True)
class Clinic:
    """A test set, and how much what learns from one start varies.

    Attributes:
      positives: patients who are ill, one image each.
      negatives: those who are not.
      signal: how far apart outputs of the two are, in standard deviations of a patient.
      of_start: spread of a patient's output that all seeds of a start share.
      of_seed: spread that belongs to one seed.
      between_seeds: spread of the signal between seeds.
      collapse: chance that a run ends with no signal at all.
    """

    positives: int = 50
    negatives: int = 100
    signal: float = 1.5
    of_start: float = 0.4
    of_seed: float = 0.4
    between_seeds: float = 0.1
    collapse: float = 0.0

    def aucs(
        self,
        generator: np.random.Generator,
        starts: int,
        seeds: int,
        learnt: np.ndarray = _ALL,
    ) -> tuple[np.ndarray, np.ndarray]:
        """AUCs by what has been learnt, and bootstrap samples of those at the end.

        Args:
          generator: of all that varies.
          starts: how many there are.
          seeds: of each.
          learnt: [points] or [starts, seeds, points], share of the signal, rising.

        Returns:
          [starts, seeds, points] and [starts, seeds, samples].
        """
        ill = np.arange(self.positives + self.negatives) < self.positives
        patients = len(ill)
        noise = (
            generator.normal(size=patients)
            + self.of_start * generator.normal(size=(starts, 1, patients))
            + self.of_seed * generator.normal(size=(starts, seeds, patients))
        )
        spread = self.between_seeds * generator.normal(size=(starts, seeds))
        fallen = generator.random((starts, seeds)) < self.collapse
        signal = np.where(fallen, 0.0, self.signal + spread)
        points = signal[..., None] * learnt
        outputs = points[..., None] * ill + noise[..., None, :]
        share = np.full(patients, 1 / patients)
        drawn = generator.multinomial(patients, share, _SAMPLES)
        whole = np.ones((1, patients))
        values = _weighted_aucs(outputs, self.positives, whole)[..., 0]
        ends = outputs[..., -1, :]
        return values, _weighted_aucs(ends, self.positives, drawn)

    @property
    def rarer(self) -> int:
        """Patients on the rarer side."""
        return min(self.positives, self.negatives)


def _weighted_aucs(
    outputs: np.ndarray, positives: int, weights: np.ndarray
) -> np.ndarray:
    """Of the outputs [..., patients] of each run, the ill first: [..., samples].

    As `evaluation.auc.weighted_auc`, where no two outputs are equal, but of many runs.
    """
    ill, well = outputs[..., :positives, None], outputs[..., None, positives:]
    of_ill, of_well = weights[:, :positives], weights[:, positives:]
    won = of_ill.astype(np.float32) @ (ill > well).astype(np.float32)
    pairs = of_ill.sum(axis=1) * of_well.sum(axis=1)
    found: np.ndarray = (won * of_well).sum(axis=-1) / pairs
    return found


def _kept(left_out: LeftOut, seeds: int) -> list[int]:
    return [seed for seed in range(seeds) if ("seed", seed) != left_out]


def _effect(statistic: Statistic, seeds: int, **more: object) -> Estimate:
    return estimate(statistic, {"seed": range(seeds)}, **more)  # type: ignore[arg-type]


def difference(clinic: Clinic, generator: np.random.Generator, seeds: int) -> Estimate:
    """One start minus another."""
    values, draws = clinic.aucs(generator, 2, seeds)
    per_seed, per_draw = (values[0] - values[1])[:, 0], draws[0] - draws[1]
    return _effect(
        lambda left_out: float(per_seed[_kept(left_out, seeds)].mean()),
        seeds,
        draws=lambda left_out: per_draw[_kept(left_out, seeds)].mean(axis=0),
        patients=clinic.rarer,
    )


def ratio(clinic: Clinic, generator: np.random.Generator, seeds: int) -> Estimate:
    """One start over another, minus 1."""
    values, draws = clinic.aucs(generator, 2, seeds)

    def statistic(left_out: LeftOut) -> float:
        top, bottom = values[:, _kept(left_out, seeds), 0].mean(axis=1)
        return float(top / bottom - 1)

    def drawn(left_out: LeftOut) -> np.ndarray:
        top, bottom = draws[:, _kept(left_out, seeds)].mean(axis=1)
        return top / bottom - 1

    return _effect(statistic, seeds, draws=drawn, patients=clinic.rarer)


def seeds_alone(_: Clinic, generator: np.random.Generator, seeds: int) -> Estimate:
    """A difference that no patients are behind, such as of steps."""
    values = generator.normal(size=seeds)
    return _effect(lambda left_out: float(values[_kept(left_out, seeds)].mean()), seeds)


def pairs(_: Clinic, generator: np.random.Generator, seeds: int) -> Estimate:
    """The mean over all pairs of one start's runs, which differ more than pairs do."""
    run = generator.normal(size=seeds)
    pair = 0.5 * generator.normal(size=(seeds, seeds))
    values = run[:, None] + run + pair

    def statistic(left_out: LeftOut) -> float:
        found = list(itertools.combinations(_kept(left_out, seeds), 2))
        return float(np.mean([values[one] for one in found])) if found else np.nan

    return _effect(statistic, seeds)


def _curves(
    clinic: Clinic, generator: np.random.Generator, seeds: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `aucs`, of two starts at `_STEPS`: signals rise at rates of their own."""
    rates = 3 * np.exp(0.2 * generator.normal(size=(2, seeds, 1)))
    learnt = 1 - np.exp(-rates * _STEPS)
    return clinic.aucs(generator, 2, seeds, learnt)


def speed(clinic: Clinic, generator: np.random.Generator, seeds: int) -> Estimate:
    """Doublings of speed; the formulas of `RestrictedSteps` and `Doublings`.

    The threshold is that of the second start, the patients' part that of the weights at
    the end. The truth is zero: thresholds favour neither start.
    """
    curves, draws = _curves(clinic, generator, seeds)
    threshold = threshold_between(curves[1].max(axis=-1))
    shifts = draws - draws.mean(axis=-1, keepdims=True)
    moved = threshold + THRESHOLD_SHARE * shifts[1].mean(axis=0)

    def mean_steps(
        start: int, kept: list[int], thresholds: np.ndarray, latest: float = 1.0
    ) -> np.ndarray:
        found = [
            steps_to_thresholds(_STEPS, curves[start, seed], thresholds)
            for seed in kept
        ]
        return np.mean(np.nan_to_num(found, nan=latest), axis=0)

    def statistic(left_out: LeftOut) -> float:
        kept = _kept(left_out, seeds)
        ours, theirs = (mean_steps(k, kept, np.array([threshold])) for k in (0, 1))
        return float(np.log2(theirs / ours)[0])

    def drawn(left_out: LeftOut) -> np.ndarray:
        kept = _kept(left_out, seeds)
        ours, theirs = (
            mean_steps(k, kept, moved - shifts[k, kept].mean(axis=0), latest=2.0)
            for k in (0, 1)
        )
        found: np.ndarray = np.log2(theirs / ours)
        return found

    return _effect(statistic, seeds, draws=drawn, patients=clinic.rarer)


def lead(clinic: Clinic, generator: np.random.Generator, seeds: int) -> Estimate:
    """A lead while learning, whose patients' part is that of the weights at the end."""
    values, draws = _curves(clinic, generator, seeds)
    areas = np.trapezoid(values, axis=-1) / 7
    per_seed, per_draw = areas[0] - areas[1], draws[0] - draws[1]
    return _effect(
        lambda left_out: float(per_seed[_kept(left_out, seeds)].mean()),
        seeds,
        draws=lambda left_out: per_draw[_kept(left_out, seeds)].mean(axis=0),
        patients=clinic.rarer,
    )


CASES = {
    "seeds alone": (seeds_alone, Clinic()),
    "pairs of runs": (pairs, Clinic()),
    "difference of AUC, 50 of 150 patients ill": (difference, Clinic()),
    "the same, 12 of 150": (difference, Clinic(positives=12, negatives=138)),
    "the same, seeds that differ most": (
        difference,
        Clinic(of_start=0.1, of_seed=0.1, between_seeds=0.4),
    ),
    "ratio of AUC": (ratio, Clinic()),
    "doublings of speed": (speed, Clinic()),
    "the same, seeds that differ most in speed": (
        speed,
        Clinic(of_start=0.1, of_seed=0.1, between_seeds=0.4),
    ),
    "lead while learning": (lead, Clinic()),
    "difference, one run in ten collapsed": (difference, Clinic(collapse=0.1)),
}


def coverage(case: str, seeds: int, studies: int) -> float:
    """Share of the intervals that hold zero."""
    simulate, clinic = CASES[case]
    generator = np.random.default_rng([seeds, *case.encode()])
    found = (simulate(clinic, generator, seeds) for _ in range(studies))
    return float(np.mean([own.low <= 0 <= own.high for own in found]))


def table(studies: int) -> Iterable[str]:
    """Lines of a Markdown table."""
    yield "| | " + " | ".join(f"{seeds} seeds" for seeds in SEEDS) + " |"
    yield "|---" * (len(SEEDS) + 1) + "|"
    for case in CASES:
        shares = [f"{coverage(case, seeds, studies):.1%}" for seeds in SEEDS]
        yield f"| {case} | {' | '.join(shares)} |"


def main(_: object) -> None:
    """Prints the table."""
    for line in table(_STUDIES.value):
        print(line, flush=True)


if __name__ == "__main__":
    app.run(main)
