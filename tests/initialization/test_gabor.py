import numpy as np
import pytest

from transfusion_tf.initialization import Gabor, gabor_filter_bank, gabor_filters

PER_FREQUENCY = 16


def test_the_bank_is_64_filters_of_seven_pixels():
    bank = gabor_filter_bank()

    assert bank.shape == (64, 7, 7)
    assert bank.dtype == np.float32
    assert len({filter_.tobytes() for filter_ in bank}) == 64


def test_later_filters_have_higher_spatial_frequency():
    spectrum = np.abs(np.fft.fft2(gabor_filter_bank(), s=(64, 64)))
    rows, columns = np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij")
    peaks = spectrum.reshape(64, -1).argmax(axis=1)
    frequencies = np.hypot(rows, columns).ravel()[peaks].reshape(4, PER_FREQUENCY)

    assert (np.diff(frequencies.mean(axis=1)) > 0.03).all()


def test_a_quarter_turn_apart_filters_are_each_others_transpose():
    bank = gabor_filter_bank().reshape(4, PER_FREQUENCY, 7, 7)
    vertical, horizontal = bank[:, 0], bank[:, PER_FREQUENCY // 2]

    np.testing.assert_allclose(vertical, horizontal.transpose(0, 2, 1), atol=1e-6)


def test_the_bank_scaled_by_one_factor_is_what_a_7x7_layer_of_64_filters_gets():
    kernel = Gabor(np.ones((7, 7, 3, 64))).draw((7, 7, 3, 64))

    ratio = kernel[:, :, 0].transpose(2, 0, 1) / gabor_filter_bank()

    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-5)


def test_32_filters_are_every_second_angle_of_each_frequency():
    np.testing.assert_allclose(
        gabor_filters(32, (7, 7)), gabor_filter_bank()[::2], atol=1e-7
    )


@pytest.mark.parametrize("count", [1, 6, 48, 96])
def test_any_number_of_filters_is_distinct(count):
    filters = gabor_filters(count, (7, 7))

    assert filters.shape == (count, 7, 7)
    assert len({filter_.tobytes() for filter_ in filters}) == count


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (11, 11)])
def test_other_sizes_keep_each_filters_orientation(size):
    resized = gabor_filters(4, size)  # one angle: stripes along one axis
    along = resized.var(axis=1).sum()
    across = resized.var(axis=2).sum()

    assert resized.shape == (4, *size)
    assert max(along, across) > 1.5 * min(along, across)
