"""How many seeds or patients settle a comparison, against simulated studies."""

import numpy as np
import pytest

from transfusion_tf.evaluation import (
    estimate,
    patients_to_settle,
    seeds_to_settle,
)
from transfusion_tf.evaluation.power import POWER

PATIENTS, MARGIN = 200, 0.02


def study(generator, effect, seeds, patients, seed_std, patient_std):
    """An effect of so many seeds on one test set, measured as studies do."""
    shared = generator.normal(0, patient_std * np.sqrt(PATIENTS / patients))
    values = effect + shared + generator.normal(0, seed_std, seeds)
    draws = generator.normal(0, patient_std * np.sqrt(PATIENTS / patients), 400)
    return estimate(
        lambda left: np.mean(
            [value for seed, value in enumerate(values) if ("seed", seed) != left]
        ),
        {"seed": range(seeds)},
        draws=lambda left_out: draws,
        patients=patients,
    )


def known(effect, seeds, seed_std, patient_std):
    """The same where the variances are those that the studies are drawn with."""
    found = study(np.random.default_rng(0), effect, seeds, PATIENTS, 1.0, 1.0)
    return found.__class__(
        **{
            **{name: getattr(found, name) for name in ("low", "high", "level", "over")},
            "estimate": effect,
            "seeds": seeds,
            "seed_variance": seed_std**2 / seeds,
            "patient_variance": patient_std**2,
            "degrees_of_freedom": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("effect", "seed_std", "patient_std"), [(0.04, 0.05, 0.005), (0.05, 0.04, 0.012)]
)
def test_so_many_seeds_settle_a_difference_as_often_as_is_said(
    effect, seed_std, patient_std
):
    seeds = seeds_to_settle(known(effect, 3, seed_std, patient_std), PATIENTS, MARGIN)
    generator = np.random.default_rng(1)
    settled = [
        study(generator, effect, seeds, PATIENTS, seed_std, patient_std).decided
        for _ in range(600)
    ]
    assert settled.count("higher") / 600 == pytest.approx(POWER, abs=0.06)


def test_so_many_patients_settle_it_where_no_number_of_seeds_would():
    found = known(0.03, 5, 0.01, 0.02)
    assert seeds_to_settle(found, PATIENTS, MARGIN) is None
    patients = patients_to_settle(found, PATIENTS, MARGIN)
    generator = np.random.default_rng(2)
    settled = [
        study(generator, 0.03, 5, patients, 0.01, 0.02).decided for _ in range(600)
    ]
    assert settled.count("higher") / 600 == pytest.approx(POWER, abs=0.06)


def test_more_comparisons_and_smaller_effects_take_more_seeds():
    found = known(0.04, 3, 0.05, 0.005)
    alone = seeds_to_settle(found, PATIENTS, MARGIN)
    assert seeds_to_settle(found, PATIENTS, MARGIN, comparisons=4) > alone
    assert seeds_to_settle(known(0.02, 3, 0.05, 0.005), PATIENTS, MARGIN) > alone
    # Hardly any difference: that it is below the margin takes fewer than its sign.
    assert seeds_to_settle(known(0.002, 3, 0.02, 0.001), PATIENTS, MARGIN) < 60


def test_one_seed_says_nothing_of_the_spread():
    found = study(np.random.default_rng(0), 0.1, 1, PATIENTS, 0.1, 0.1)
    assert seeds_to_settle(found, PATIENTS, MARGIN) is None
