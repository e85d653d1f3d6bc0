"""Distance travelled, on weights that were moved by hand."""

import numpy as np
import pytest

from transfusion_tf.models import build
from transfusion_tf.representations import (
    average_travel,
    model_travel,
    weight_distance,
)


@pytest.fixture(scope="module")
def moved():
    """Two models: the second's convolutions moved by 0.5, its norms by 3."""
    initial, trained = (build("cbr_tiny", (64, 64, 3), 5, seed=0) for _ in range(2))
    for number in range(1, 5):
        kernel = trained.get_layer(f"conv{number}").kernel
        kernel.assign(kernel + 0.5)
        gamma = trained.get_layer(f"bn{number}").gamma
        gamma.assign(gamma + 3.0)
    return initial, trained


def test_the_distance_is_the_norm_of_the_change_over_the_number_of_weights():
    change = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert weight_distance(np.ones((2, 2)), np.ones((2, 2)) + change) == 5 / 4


def test_other_shapes_have_no_distance():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        weight_distance(np.ones((2, 3)), np.ones((3, 2)))


def test_every_tensor_has_its_own_distance(moved):
    table = model_travel(*moved).set_index("tensor")
    kernel = table.loc["conv2/kernel"]
    size = 5 * 5 * 32 * 64
    assert kernel["size"] == size
    assert kernel["rms"] == pytest.approx(0.5, rel=1e-6)
    assert kernel["l2"] == pytest.approx(0.5 * size**0.5, rel=1e-6)
    assert kernel["distance"] == pytest.approx(0.5 / size**0.5, rel=1e-6)
    start = np.float64(moved[0].get_layer("conv2").kernel)
    expected = kernel["l2"] / np.linalg.norm(start)
    assert kernel["relative"] == pytest.approx(expected, rel=1e-6)
    assert (table.loc[["logits/kernel", "bn2/beta"], "l2"] == 0).all()
    assert np.isnan(table.loc["bn2/beta", "relative"])
    assert table.loc["bn2/gamma", "normalization"]


def test_means_are_over_the_tensors_of_a_part_without_normalizations(moved):
    means = average_travel(model_travel(*moved), "unit").set_index("part")
    assert list(means.index) == ["conv1", "conv2", "conv3", "conv4", "logits"]
    assert means.loc["conv3", "rms"] == pytest.approx(0.5)
    assert means.loc["conv3", "tensors"] == 1
    assert means.loc["logits", "rms"] == 0
    assert means["position"].tolist() == [0, 1, 2, 3, 4]


def test_distances_of_branches_are_those_of_the_papers_modules():
    """Class tokens and positions are in none, nor are layer norms."""
    initial, trained = (
        build("deit_mini[blocks=1]", (32, 32, 3), 5, seed=seed) for seed in (0, 1)
    )
    means = average_travel(model_travel(initial, trained), "branch")
    names = ["patch_embed", "block1_attention", "block1_mlp", "logits"]
    assert means["part"].tolist() == names
    assert means["tensors"].tolist() == [2, 8, 4, 2]


def test_normalizations_count_where_they_are_asked_for(moved):
    means = average_travel(model_travel(*moved), "stage", normalization=True)
    first = means.set_index("part").loc["pool1"]
    # Kernel, gamma, beta and both moving statistics.
    assert first["tensors"] == 5
    assert first["rms"] == pytest.approx((0.5 + 3.0) / 5)


def test_models_of_two_architectures_are_refused(moved):
    other = build("cbr_tiny", (64, 64, 3), 3)
    with pytest.raises(ValueError, match=r"not of one architecture: .*\(256, 5\)"):
        model_travel(moved[0], other)


def test_an_unknown_kind_of_part_lists_the_valid_ones(moved):
    with pytest.raises(ValueError, match="layer, unit, branch, stage"):
        average_travel(model_travel(*moved), "block")
