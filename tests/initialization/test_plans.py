import json
import warnings

import keras
import numpy as np
import pytest

from transfusion_tf.initialization import (
    DonorMismatchError,
    donor_from_model,
    gabor_filter_bank,
    initialize,
)
from transfusion_tf.models import build, named_tensors

SPECS = [
    "random",
    "transfer",
    "mean_var",
    "mean_var[bn=transfer]",
    "mean_var[bn=mean_var]",
    "sampled",
    "sampled[bn=sampled]",
    "shuffled",
    "transfer:{0}",
    "transfer:{0}+mean_var",
    "transfer:{0}+shuffled[bn=transfer]",
    "gabor",
]
LOWER = {"cbr_tiny": "pool2", "cbr_small": "pool3"}
IDENTITY = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}


def weights(model) -> dict[str, np.ndarray]:
    return {tensor.path: tensor.value() for tensor in named_tensors(model)}


def initialized(model, spec, donor=None, seed=0) -> dict[str, np.ndarray]:
    initialize(model, spec, donor, seed)
    return weights(model)


def is_head(path: str) -> bool:
    return path.startswith("logits/")


def is_batch_norm(path: str) -> bool:
    return path.startswith("bn")


def in_lower_two_stages(path: str) -> bool:
    return path.split("/")[0] in {"conv1", "bn1", "conv2", "bn2"}


@pytest.mark.parametrize("name", LOWER)
@pytest.mark.parametrize("spec", SPECS)
def test_every_spec_on_every_model_is_a_function_of_donor_and_seed(name, spec):
    spec = spec.format(LOWER[name])
    model = build(name, (64, 64, 3), 3)
    donor = donor_from_model(build(name, (64, 64, 3), 5, seed=9), "donor")

    report = initialize(model, spec, donor, seed=4)
    first = weights(model)
    for tensor in named_tensors(model):  # the state before must not matter
        tensor.variable.assign(np.full(tensor.shape, 7.0))
    again = initialized(model, spec, donor, seed=4)

    assert report.spec == spec
    assert [record.path for record in report] == list(first)
    for path, values in first.items():
        np.testing.assert_array_equal(values, again[path], err_msg=path)
        assert np.isfinite(values).all()
    other = initialized(model, spec, donor, seed=5)
    assert not np.array_equal(other["logits/kernel"], first["logits/kernel"])


def test_random_is_what_build_gives_for_the_same_seed(model):
    built = build("cbr_tiny", (64, 64, 3), 5, seed=3)

    values = initialized(model, "random", seed=3)

    for path, expected in weights(built).items():
        np.testing.assert_array_equal(values[path], expected, err_msg=path)


def test_random_has_the_architectures_own_scale(model):
    values = initialized(model, "random")

    for path, kernel in values.items():
        if path.endswith("/kernel"):
            *field, fan_in, fan_out = kernel.shape
            fans = np.prod(field, dtype=int) * (fan_in + fan_out)
            assert kernel.var() == pytest.approx(2 / fans, rel=0.1)  # glorot
        elif is_batch_norm(path):
            assert (kernel == IDENTITY[path.split("/")[1]]).all()


def test_transfer_copies_everything_but_the_head(model, donor):
    values = initialized(model, "transfer", donor)

    for path, given in donor.tensors.items():
        np.testing.assert_array_equal(values[path], given, err_msg=path)
    assert {path for path in values if path not in donor.tensors} == {
        "logits/kernel",
        "logits/bias",
    }


def test_transfer_up_to_a_stage_is_bit_equal_there_and_random_beyond(model, donor):
    random = initialized(model, "random", seed=2)
    values = initialized(model, "transfer:pool2", donor, seed=2)

    for path, found in values.items():
        expected = donor.tensors[path] if in_lower_two_stages(path) else random[path]
        np.testing.assert_array_equal(found, expected, err_msg=path)


def test_statistics_above_a_stage_are_those_of_the_whole_scheme(model, donor):
    whole = initialized(model, "mean_var", donor, seed=2)
    values = initialized(model, "transfer:pool2+mean_var", donor, seed=2)

    for path, found in values.items():
        expected = donor.tensors[path] if in_lower_two_stages(path) else whole[path]
        np.testing.assert_array_equal(found, expected, err_msg=path)


def test_the_head_is_random_and_the_same_whatever_the_spec(model, donor):
    expected = initialized(model, "random", seed=2)

    for spec in ("transfer", "mean_var", "shuffled", "transfer:pool1", "gabor"):
        values = initialized(model, spec, donor, seed=2)
        np.testing.assert_array_equal(
            values["logits/kernel"], expected["logits/kernel"]
        )


def test_mean_var_matches_mean_and_variance_of_each_kernel(model, donor):
    values = initialized(model, "mean_var", donor)

    for path, given in donor.tensors.items():
        if path.endswith("/kernel"):
            error = given.std() / np.sqrt(given.size)
            assert abs(values[path].mean() - given.mean()) < 5 * error
            assert values[path].std() == pytest.approx(
                given.std(), rel=5 / np.sqrt(2 * given.size)
            )
            assert not np.isin(values[path], given).all()


def test_shuffled_permutes_each_kernel(model, donor):
    values = initialized(model, "shuffled", donor)

    for path, given in donor.tensors.items():
        if path.endswith("/kernel"):
            np.testing.assert_array_equal(
                np.sort(values[path], None), np.sort(given, None)
            )
            assert not np.array_equal(values[path], given)


def test_sampled_draws_from_each_kernels_own_values(model, donor):
    values = initialized(model, "sampled", donor)

    for path, given in donor.tensors.items():
        if path.endswith("/kernel"):
            assert np.isin(values[path], given).all()


@pytest.mark.parametrize("scheme", ["mean_var", "sampled", "shuffled"])
def test_statistics_reset_batch_norm_to_the_identity(model, donor, scheme):
    values = initialized(model, scheme, donor)

    for path, found in values.items():
        if is_batch_norm(path):
            assert (found == IDENTITY[path.split("/")[1]]).all(), path


def test_batch_norm_can_be_transferred_under_statistics(model, donor):
    values = initialized(model, "mean_var[bn=transfer]", donor)

    for path, given in donor.tensors.items():
        assert np.array_equal(values[path], given) == is_batch_norm(path)


def test_batch_norm_can_be_redrawn_and_its_variance_stays_positive(model, donor_model):
    keep = {t.path: t.value() for t in named_tensors(donor_model)}
    variance = donor_model.get_layer("bn4").moving_variance
    variance.assign(np.random.default_rng(0).gamma(0.1, 1.0, variance.shape))
    donor = donor_from_model(donor_model, "donor")
    variance.assign(keep["bn4/moving_variance"])

    values = initialized(model, "mean_var[bn=mean_var]", donor)

    drawn = values["bn4/moving_variance"]
    assert (drawn >= 0).all()
    assert len(np.unique(drawn)) == drawn.size
    gamma = donor.tensors["bn4/gamma"]
    assert values["bn4/gamma"].mean() == pytest.approx(gamma.mean(), rel=0.2)


def test_gabor_changes_the_first_convolution_alone(model):
    random = initialized(model, "random", seed=2)
    values = initialized(model, "gabor", seed=2)

    assert {
        path for path in values if not np.array_equal(values[path], random[path])
    } == {"conv1/kernel"}


def test_gabor_takes_its_magnitude_from_the_donor_or_else_the_architecture(
    model, donor
):
    def magnitude(kernel) -> float:
        return float(np.sqrt(np.mean(np.square(kernel))))

    random = initialized(model, "random", seed=2)["conv1/kernel"]
    alone = initialized(model, "gabor", seed=2)["conv1/kernel"]
    after = initialized(model, "gabor", donor, seed=2)["conv1/kernel"]

    assert magnitude(alone) == pytest.approx(magnitude(random), rel=1e-5)
    assert magnitude(after) == pytest.approx(
        magnitude(donor.tensors["conv1/kernel"]), rel=1e-5
    )


def test_gabor_gives_resnet50_the_papers_bank():
    model = build("resnet50", (64, 64, 3), 1)

    initialize(model, "gabor")

    kernel = keras.ops.convert_to_numpy(model.get_layer("conv1_conv").kernel)
    ratio = kernel[:, :, 1].transpose(2, 0, 1) / gabor_filter_bank()
    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-4)


def test_a_slimmed_model_takes_the_donor_below_and_its_statistics_above(donor):
    slim = build("cbr_tiny[slim_after=pool2,width=0.5]", (64, 64, 3), 5)

    values = initialized(slim, "transfer:pool2+mean_var", donor)

    np.testing.assert_array_equal(values["conv2/kernel"], donor.tensors["conv2/kernel"])
    above = donor.tensors["conv4/kernel"]
    assert values["conv4/kernel"].shape == (5, 5, 64, 128)
    assert values["conv4/kernel"].mean() == pytest.approx(above.mean(), rel=0.02)
    assert values["conv4/kernel"].std() == pytest.approx(above.std(), rel=0.02)


def test_the_report_says_what_each_tensor_got(model, donor):
    report = initialize(model, "transfer:pool1+mean_var", donor, seed=2)
    record = {record.path: record for record in report}

    assert (report.donor, report.donor_sha256) == ("donor", donor.sha256)
    assert record["conv1/kernel"].scheme == "transfer"
    assert record["conv3/kernel"].scheme == "mean_var"
    assert record["bn3/gamma"].scheme == "identity"
    assert record["logits/kernel"].scheme == "random"
    assert record["logits/kernel"].stage == "head"
    assert record["logits/kernel"].donor_mean is None
    third = record["conv3/kernel"]
    assert (third.stage, third.shape) == ("pool3", (5, 5, 64, 128))
    assert third.mean == pytest.approx(weights(model)["conv3/kernel"].mean(), rel=1e-4)
    assert third.donor_std == pytest.approx(
        donor.tensors["conv3/kernel"].std(), rel=1e-4
    )
    assert report.counts() == {
        "transfer": 5,
        "mean_var": 3,
        "identity": 12,
        "random": 2,
    }


def test_the_reports_rows_are_plain_values(model, donor):
    rows = initialize(model, "mean_var", donor).to_rows()

    assert json.loads(json.dumps(rows)) == rows
    assert list(rows[0])[:4] == ["path", "stage", "shape", "scheme"]


def test_a_keras_model_can_be_the_donor(model, donor_model, donor):
    assert initialize(model, "transfer", donor_model).donor_sha256 == donor.sha256


def test_a_spec_that_needs_a_donor_says_so(model):
    with pytest.raises(ValueError, match="'mean_var' needs a donor"):
        initialize(model, "mean_var")


def test_an_unknown_stage_is_answered_with_the_models_stages(model, donor):
    with pytest.raises(ValueError, match=r"no stage 'block2'.*pool1, pool2, pool3"):
        initialize(model, "transfer:block2", donor)


def test_a_donor_that_does_not_fit_changes_nothing_and_names_both_shapes(donor):
    slim = build("cbr_tiny[slim_after=pool2,width=0.5]", (64, 64, 3), 5, seed=1)
    before = weights(slim)

    with pytest.raises(
        DonorMismatchError,
        match=r"conv3/kernel \(donor \(5, 5, 64, 128\), model \(5, 5, 64, 64\)\)",
    ):
        initialize(slim, "transfer:pool3", donor)

    assert all(np.array_equal(before[path], v) for path, v in weights(slim).items())


@pytest.mark.parametrize("spec", ["transfer", "mean_var"])
def test_a_donor_of_another_architecture_is_refused_with_both_sides(model, spec):
    donor = donor_from_model(build("cbr_large_t", (64, 64, 3), 5), "larger")

    with pytest.raises(
        DonorMismatchError,
        match=r"'larger' does not fit model 'cbr_tiny'.*only in the donor: conv5/kernel"
        r".*of different shape: conv1/kernel",
    ):
        initialize(model, spec, donor)


def test_a_donor_trained_on_other_pixels_brings_a_warning(donor):
    model = build("cbr_tiny", (64, 64, 3), 5, input_scaling="caffe")

    with pytest.warns(UserWarning, match="'imagenet_mean_std'.*'caffe'"):
        report = initialize(model, "transfer", donor)

    assert report.donor_input_scaling == "imagenet_mean_std"
    assert report.input_scaling == "caffe"


@pytest.mark.parametrize(("units", "warned"), [("imagenet_mean_std", 0), ("caffe", 1)])
def test_standardised_images_have_to_come_in_the_donor_s_units(donor, units, warned):
    half = {"mean": [0.5] * 3, "std": [0.2] * 3}
    model = build(
        *("cbr_tiny", (64, 64, 3), 5), input_scaling=units, pixel_statistics=half
    )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        initialize(model, "transfer", donor)

    assert sum("was trained on input" in str(w.message) for w in caught) == warned


@pytest.mark.parametrize("spec", ["random", "transfer:pool1", "gabor"])
def test_a_kernel_initializer_draws_every_convolution_that_begins_random(spec):
    model = build("cbr_tiny", (64, 64, 3), 2)
    donor = donor_from_model(build("cbr_tiny", (64, 64, 3), 2, seed=9), "donor")
    own = initialized(model, spec, donor, seed=1)
    initialize(model, spec, donor, seed=1, kernel_initializer="he_normal")
    for path, values in weights(model).items():
        if path.endswith("kernel") and path.split("/")[0] in ("conv2", "conv3"):
            wanted = np.sqrt(2 / np.prod(values.shape[:3]))
            assert values.std() == pytest.approx(wanted, rel=0.03)
        elif path.startswith(("logits", "bn")):
            np.testing.assert_array_equal(values, own[path])


@pytest.mark.parametrize(("pixels", "red"), [("imagenet_mean_std", 0), ("caffe", 2)])
def test_a_model_of_one_channel_takes_a_donors_kernel_of_red(pixels, red):
    # Feature reuse's code: `pretrained_weight.repeat(1, 4, 1, 1)[:, :img_channels]`.
    whole = build("cbr_tiny", (64, 64, 3), 5, input_scaling=pixels, seed=9)
    donor = donor_from_model(whole, "donor")
    model = build("cbr_tiny", (64, 64, 3), 5, input_scaling=pixels, one_channel=True)

    found = initialized(model, "transfer", donor)["conv1/kernel"]

    given = donor.tensors["conv1/kernel"]
    np.testing.assert_array_equal(found, given[:, :, red : red + 1])
    drawn = initialized(model, "mean_var", donor)["conv1/kernel"]
    assert drawn.shape == found.shape
    assert drawn.std() == pytest.approx(given.std(), rel=0.1)


def test_a_model_of_one_channel_sees_red_alone():
    model = build("cbr_tiny", (64, 64, 3), 5, one_channel=True, seed=0)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    other = images.copy()
    other[..., 1:] = 0
    np.testing.assert_array_equal(model(images), model(other))
