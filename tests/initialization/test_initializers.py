import json

import keras
import numpy as np
import pytest

from transfusion_tf.initialization import (
    Gabor,
    MeanVar,
    Sampled,
    Shuffled,
    Transferred,
)

ALL = [MeanVar, Sampled, Shuffled, Transferred, Gabor]
DRAWN = [MeanVar, Sampled, Shuffled]
SHAPE = (7, 7, 3, 64)
# Skewed, so that a normal draw and a draw from these values differ.
DONOR = np.random.default_rng(0).gamma(2.0, 0.05, SHAPE).astype("float32") - 0.08


@pytest.mark.parametrize("scheme", ALL)
def test_it_is_a_keras_initializer_for_shape_and_dtype(scheme):
    values = scheme(DONOR, seed=1)(SHAPE, dtype="float16")

    assert isinstance(scheme(DONOR), keras.initializers.Initializer)
    assert tuple(values.shape) == SHAPE
    assert keras.backend.standardize_dtype(values.dtype) == "float16"


@pytest.mark.parametrize("scheme", ALL)
def test_a_layer_can_be_built_with_it(scheme):
    initializer = scheme(DONOR, seed=1)
    layer = keras.layers.Conv2D(64, 7, kernel_initializer=initializer)

    layer.build((None, 32, 32, 3))

    np.testing.assert_array_equal(layer.kernel, initializer.draw(SHAPE))


@pytest.mark.parametrize("scheme", ALL)
def test_it_survives_serialization_through_json(scheme):
    initializer = scheme(DONOR, seed=1)

    config = json.loads(json.dumps(keras.initializers.serialize(initializer)))
    copy = keras.initializers.deserialize(config)

    np.testing.assert_array_equal(copy.draw(SHAPE), initializer.draw(SHAPE))


@pytest.mark.parametrize("scheme", ALL)
def test_the_same_seed_gives_the_same_values(scheme):
    np.testing.assert_array_equal(
        scheme(DONOR, seed=1).draw(SHAPE), scheme(DONOR, seed=1).draw(SHAPE)
    )


@pytest.mark.parametrize("scheme", DRAWN)
def test_another_seed_gives_other_values(scheme):
    assert not np.array_equal(
        scheme(DONOR, seed=1).draw(SHAPE), scheme(DONOR, seed=2).draw(SHAPE)
    )


@pytest.mark.parametrize("scheme", DRAWN)
def test_without_a_seed_keras_set_random_seed_decides(scheme):
    def draw() -> np.ndarray:
        keras.utils.set_random_seed(5)
        return scheme(DONOR).draw(SHAPE)

    np.testing.assert_array_equal(draw(), draw())


def test_mean_var_is_normal_with_the_donors_mean_and_variance():
    values = MeanVar(DONOR, seed=1).draw((100, 1000))
    standard = (values - DONOR.mean()) / DONOR.std()

    assert abs(standard.mean()) < 0.01
    assert abs(standard.std() - 1) < 0.01
    assert abs((standard**3).mean()) < 0.03  # no skew, which the donor has
    assert abs((standard**4).mean() - 3) < 0.06
    assert abs(standard).max() > 3.5  # not truncated


def test_mean_var_of_a_constant_is_the_constant():
    values = MeanVar(np.full((8,), 0.25), seed=1).draw((8,))

    np.testing.assert_array_equal(values, np.full((8,), 0.25, "float32"))


def test_sampled_draws_the_donors_values_with_replacement():
    values = Sampled(DONOR, seed=1).draw(SHAPE)

    assert np.isin(values, DONOR).all()
    # With replacement, 1 - 1/e of the donor's values appear at all.
    appearing = np.isin(DONOR, values).mean()
    assert appearing == pytest.approx(1 - np.exp(-1), abs=0.02)


def test_shuffled_is_a_permutation_of_the_donor():
    values = Shuffled(DONOR, seed=1).draw(SHAPE)

    np.testing.assert_array_equal(np.sort(values, None), np.sort(DONOR, None))
    assert (values == DONOR).mean() < 0.01


def test_transferred_is_the_donor():
    np.testing.assert_array_equal(Transferred(DONOR).draw(SHAPE), DONOR)


@pytest.mark.parametrize("scheme", [Shuffled, Transferred])
def test_schemes_that_need_the_donors_shape_refuse_another(scheme):
    with pytest.raises(ValueError, match=r"\(7, 7, 3, 64\).*\(7, 7, 3, 32\)"):
        scheme(DONOR)((7, 7, 3, 32))


@pytest.mark.parametrize("scheme", [MeanVar, Sampled])
def test_schemes_of_statistics_take_any_shape(scheme):
    assert scheme(DONOR, seed=1).draw((7, 7, 3, 32)).shape == (7, 7, 3, 32)


def test_gabor_has_the_donors_root_mean_square():
    values = Gabor(DONOR).draw((5, 5, 3, 32))

    assert np.sqrt(np.mean(values**2)) == pytest.approx(
        np.sqrt(np.mean(DONOR**2)), rel=1e-5
    )


def test_gabor_is_grey():
    values = Gabor(DONOR).draw(SHAPE)

    np.testing.assert_array_equal(values[:, :, 0], values[:, :, 1])
    np.testing.assert_array_equal(values[:, :, 0], values[:, :, 2])


def test_gabor_fills_only_convolutions():
    with pytest.raises(ValueError, match="2-D convolution"):
        Gabor(DONOR)((3, 64))


@pytest.mark.parametrize("scheme", ALL)
def test_an_empty_donor_is_refused(scheme):
    with pytest.raises(ValueError, match="at least one value"):
        scheme(np.zeros((0, 3)))
