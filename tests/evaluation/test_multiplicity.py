import itertools

import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import (
    adjusted_differences,
    adjusted_p_values,
    estimate_mean,
)

# The fifteen p values of Benjamini and Hochberg (1995), section 3.2.
THROMBOLYSIS = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]


def closed_bonferroni(values):
    """Holm's p values as the closure of Bonferroni's test: the worst of all subsets."""
    subsets = [
        subset
        for size in range(1, len(values) + 1)
        for subset in itertools.combinations(range(len(values)), size)
    ]
    return [
        max(
            min(1.0, len(subset) * min(values[i] for i in subset))
            for subset in subsets
            if one in subset
        )
        for one in range(len(values))
    ]


def test_the_published_example_calls_three_and_four():
    holm = adjusted_p_values(THROMBOLYSIS, "holm")
    benjamini_hochberg = adjusted_p_values(THROMBOLYSIS, "benjamini_hochberg")
    assert (holm <= 0.05).tolist() == [True] * 3 + [False] * 12
    assert (benjamini_hochberg <= 0.05).tolist() == [True] * 4 + [False] * 11


def test_holm_is_the_closure_of_bonferroni():
    generator = np.random.default_rng(0)
    for _ in range(20):
        values = generator.random(7) ** 3
        values[3] = values[5]
        np.testing.assert_allclose(
            adjusted_p_values(values), closed_bonferroni(values), rtol=1e-12
        )


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_one_comparison_needs_no_correction(correction):
    assert adjusted_p_values([0.03], correction) == [0.03]


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_the_order_does_not_matter(correction):
    order = np.random.default_rng(1).permutation(len(THROMBOLYSIS))
    mixed = adjusted_p_values(np.array(THROMBOLYSIS)[order], correction)
    straight = adjusted_p_values(THROMBOLYSIS, correction)
    np.testing.assert_allclose(mixed, straight[order], rtol=1e-12)


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_a_comparison_that_could_not_be_made_does_not_count(correction):
    found = adjusted_p_values([0.01, np.nan, 0.04], correction)
    assert np.isnan(found[1])
    np.testing.assert_allclose(
        found[[0, 2]], adjusted_p_values([0.01, 0.04], correction)
    )
    assert np.isnan(adjusted_p_values([np.nan], correction)).all()


def test_an_unknown_correction_is_an_error_that_lists_the_valid_ones():
    with pytest.raises(UserError, match="holm, benjamini_hochberg"):
        adjusted_p_values([0.1], "bonferroni")


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_what_is_no_p_value_is_refused(correction):
    with pytest.raises(ValueError, match=r"p values must lie in \[0, 1\]"):
        adjusted_p_values([0.1, 1.1], correction)


def test_differences_are_called_by_the_adjusted_p_value():
    clear = estimate_mean([0.050, 0.051, 0.052])
    faint = estimate_mean([0.026, 0.054, 0.040])
    assert clear.decided == faint.decided == "higher"
    assert 0.025 < faint.p_value < 0.05
    alone = adjusted_differences([faint])[0]
    assert alone.decided_among_all == "higher"
    found = adjusted_differences([clear, faint, estimate_mean([0.1, -0.1, 0.02])])
    assert [one.decided_among_all for one in found] == [
        "higher",
        "undecided",
        "undecided",
    ]
    assert found[1].adjusted_p_value == pytest.approx(2 * faint.p_value)
    assert found[1].decided == "higher"


def test_the_family_is_wrong_once_in_twenty_times():
    generator = np.random.default_rng(3)
    called = [
        any(
            one.decided_among_all != "undecided"
            for one in adjusted_differences(
                [estimate_mean(row) for row in generator.normal(size=(6, 3))]
            )
        )
        for _ in range(300)
    ]
    assert np.mean(called) < 0.08
