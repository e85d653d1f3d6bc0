"""The measurements of the feature-reuse claims, on numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from transfusion_tf.evaluation import Quantity
from transfusion_tf.report import reuse_evidence as reuse
from transfusion_tf.report.evidence import MissingEvidenceError


def quantity(*values, test_set=None, **more):
    return Quantity(dict(enumerate(values)), test_set=test_set, **more)


def test_a_ratio_is_taken_seed_by_seed_and_sample_by_sample():
    top = quantity(
        *(0.9, 0.8),
        replicates={0: np.array([0.8, 1.0]), 1: np.array([0.6, 1.0])},
        patients=7,
        test_set=3,
    )
    bottom = quantity(
        *(0.6, 0.4),
        replicates={0: np.array([0.5, 0.5]), 1: np.array([0.3, 0.5])},
        patients=7,
        test_set=3,
    )
    found = reuse.ratio(top, bottom)
    assert found.values == pytest.approx({0: 1.5, 1: 2.0})
    np.testing.assert_allclose(found.replicates[1], [2.0, 2.0])
    assert (found.patients, found.test_set) == (7, 3)


def test_nothing_is_divided_by_zero_or_less():
    with pytest.raises(MissingEvidenceError, match="nothing to divide by"):
        reuse.ratio(quantity(0.5), quantity(0.0))


def test_numbers_of_different_test_sets_are_averaged_over_seeds_alone():
    one = quantity(1.0, 2.0, replicates={0: np.ones(3), 1: np.ones(3)}, test_set=1)
    other = quantity(3.0, 6.0, replicates={0: np.ones(3), 1: np.ones(3)}, test_set=2)
    found = reuse.mean_over_tests([one, other])
    assert found.values == {0: 2.0, 1: 4.0}
    assert found.replicates is None
    assert reuse.mean_over_tests([one, one]).replicates is not None


def test_rank_correlation_is_spearman_s_of_each_seed():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 5, 2))
    pairs = [(quantity(*left[i]), quantity(*right[i])) for i in range(5)]
    found = reuse.rank_correlation(pairs)
    for seed in range(2):
        expected = stats.spearmanr(left[:, seed], right[:, seed]).statistic
        assert found.values[seed] == pytest.approx(expected)


def test_settings_that_are_all_alike_have_no_rank():
    pairs = [(quantity(1.0), quantity(float(i))) for i in range(4)]
    with pytest.raises(MissingEvidenceError, match="too few"):
        reuse.rank_correlation(pairs)


def test_a_sweep_on_the_straight_line_is_not_above_it():
    levels = [(share, quantity(0.5 + 0.4 * share)) for share in (0.0, 0.25, 0.75, 1.0)]
    assert reuse.above_the_line(levels).values[0] == pytest.approx(0.0)


def test_a_jump_from_the_first_stages_lies_above_the_line():
    metric = {0.0: 0.5, 0.25: 0.9, 1.0: 0.9}
    levels = [(share, quantity(value)) for share, value in metric.items()]
    assert reuse.above_the_line(levels).values[0] == pytest.approx(0.3)


def cka_rows():
    names = ("patch_embed", "block1", "block2", "block3", "head")
    values = np.full((5, 5), 0.2)
    np.fill_diagonal(values, [0.9, 0.8, 0.4, 0.3, 0.1])
    return pd.DataFrame(
        [
            {
                **{"position_a": i, "position_b": j, "stage_a": names[i]},
                "cka": values[i, j],
            }
            for i in range(5)
            for j in range(5)
        ]
    )


def test_the_diagonal_leaves_the_head_out():
    np.testing.assert_allclose(reuse.diagonal(cka_rows()), [0.9, 0.8, 0.4, 0.3])
    assert reuse.early_minus_late(cka_rows()) == pytest.approx(0.85 - 0.35)


def test_knn_scores_are_read_by_depth_and_at_their_best_tokens():
    scores = {"a": (0.3, 0.4), "b": (0.6, 0.5), "c": (0.7, 0.2), "head": (0.9, 0.9)}
    rows = pd.DataFrame(
        [
            {"stage": stage, "position": place, "tokens": tokens, "value": value}
            for place, (stage, values) in enumerate(scores.items())
            for tokens, value in zip(("class", "spatial"), values, strict=True)
        ]
    )
    assert reuse.knn_score(rows, 0.0) == 0.4
    assert reuse.knn_score(rows, 0.5) == 0.6
    assert reuse.knn_score(rows, 1.0) == 0.7


def test_drops_and_heads_are_read_where_they_should_be():
    drops = pd.DataFrame({"stage": ["a", "b", "head"], "drop": [0.1, 0.3, 0.9]})
    assert reuse.mean_drop(drops) == pytest.approx(0.2)
    heads = pd.DataFrame({"position": [0, 0, 1], "distance": [9.0, 5.0, 1.0]})
    assert reuse.nearest_head(heads) == 5.0
