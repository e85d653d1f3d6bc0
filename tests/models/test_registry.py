import keras
import numpy as np
import pytest

from transfusion_tf.models import (
    batch_norm_layers,
    build,
    head_layers,
    logits_model,
    model_names,
    named_tensors,
    parse_model_name,
    set_synchronized_batch_norm,
)


def test_output_is_one_float32_probability_per_class():
    model = build("cbr_tiny", (64, 80, 3), 3)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 80, 3))

    probabilities = model.predict(images.astype("float32"), verbose=0)

    assert probabilities.shape == (2, 3)
    assert probabilities.dtype == np.float32
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_uint8_images_give_what_float32_images_give(smallest_model):
    model = smallest_model("cbr_tiny")
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)

    np.testing.assert_array_equal(
        model.predict(images, verbose=0),
        model.predict(images.astype("float32"), verbose=0),
    )


def test_logits_model_shares_the_weights_and_stops_before_the_sigmoid():
    model = build("cbr_tiny", (64, 64, 3), 3, seed=0)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    logits = logits_model(model)

    model.get_layer("logits").bias.assign([1.0, 2.0, 3.0])

    np.testing.assert_allclose(
        keras.ops.sigmoid(logits(images)), model(images), rtol=1e-6
    )
    assert [v.path for v in logits.weights] == [v.path for v in model.weights]


def test_the_head_stays_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("cbr_tiny", (64, 64, 3), 3)
    finally:
        keras.config.set_dtype_policy("float32")

    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert model.get_layer("logits").compute_dtype == "float32"
    assert model.get_layer("input_scaling_imagenet_mean_std").compute_dtype == "float32"
    assert model.output.dtype == "float32"


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    first, again, other = (
        build("cbr_tiny", (64, 64, 3), 3, seed=seed).get_weights() for seed in (1, 1, 2)
    )

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_tensors_of_one_shape_get_different_values():
    model = build("cbr_large_w[slim_after=pool1,width=0.5]", (64, 64, 3), 3, seed=1)
    kernels = [t.value() for t in named_tensors(model) if t.name == "kernel"]

    assert len({kernel.ravel()[0] for kernel in kernels}) == len(kernels)


def test_dropout_stands_before_the_logits_and_only_when_asked_for():
    with_dropout = build("cbr_tiny", (64, 64, 3), 3, dropout=0.5)
    without = build("cbr_tiny", (64, 64, 3), 3)

    assert [layer.name for layer in head_layers(with_dropout)] == [
        "global_pool",
        "dropout",
        "logits",
        "probabilities",
    ]
    assert "dropout" not in [layer.name for layer in without.layers]


def test_batch_norm_momentum_can_be_set_for_short_runs():
    model = build("cbr_tiny", (64, 64, 3), 3, batch_norm_momentum=0.8)

    assert {layer.momentum for layer in batch_norm_layers(model)} == {0.8}


def test_synchronized_batch_norm_reaches_every_layer():
    model = build("cbr_tiny", (64, 64, 3), 3)

    assert set_synchronized_batch_norm(model) == 4
    assert all(layer.synchronized for layer in batch_norm_layers(model))


def test_a_name_with_options_is_read_and_written_back():
    spec = parse_model_name(" resnet50[ slim_after=block2, width=0.5 ] ")

    assert (spec.architecture, spec.slim_after, spec.width) == (
        "resnet50",
        "block2",
        0.5,
    )
    assert str(spec) == "resnet50[slim_after=block2,width=0.5]"
    assert parse_model_name(str(spec)) == spec


def test_a_cut_model_is_read_and_written_back():
    spec = parse_model_name("deit_s[ blocks=5, input_scaling=caffe ]")

    assert (spec.architecture, spec.blocks) == ("deit_s", 5)
    assert str(spec) == "deit_s[blocks=5,input_scaling=caffe]"


def test_all_blocks_are_written_as_the_plain_name():
    assert str(parse_model_name("deit_s[blocks=12]")) == "deit_s"


def test_a_plain_name_is_its_own_canonical_form():
    assert [str(parse_model_name(name)) for name in model_names()] == [*model_names()]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet51", "valid: cbr_large_t, .*resnet50, .*inception_v3, .*deit_s"),
        ("cbr_tiny[depth=3]", "slim_after, width, blocks, input_scaling"),
        ("cbr_tiny[slim_after]", "key=value"),
        ("cbr_tiny[slim_after=pool1,slim_after=pool2]", "twice"),
        ("cbr_tiny[slim_after=pool1,width=2]", "less than 1, not '2'"),
        ("cbr_tiny[slim_after=pool1,width=half]", "number"),
        ("cbr_tiny[width=0.5]", "needs slim_after"),
        ("cbr_tiny[input_scaling=tf]", "valid: none, zero_to_one"),
        ("cbr_tiny[slim_after=pool1", "cannot read model"),
        ("deit_s[blocks=13]", "whole number from 1 to 12, not '13'"),
        ("deit_s[blocks=0]", "whole number from 1 to 12, not '0'"),
        ("deit_s[blocks=2.5]", "whole number from 1 to 12, not '2.5'"),
        ("swin_t[blocks=5]", "only a DeiT can be cut"),
        ("resnet50[blocks=2]", "only a DeiT can be cut"),
        ("deit_s[slim_after=block2]", "only convolutional networks can be slimmed"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(name, said):
    with pytest.raises(ValueError, match=said):
        parse_model_name(name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "cbr_tiny", "input_shape": (31, 64, 3)}, "32x32 pixels or more"),
        ({"name": "inception_v3", "input_shape": (74, 80, 3)}, "75x75 pixels or more"),
        ({"name": "cbr_tiny", "input_shape": (64, 64, 1)}, r"\(height, width, 3\)"),
        ({"name": "cbr_tiny", "input_shape": (None, None, 3)}, r"\(height, width, 3\)"),
        (
            {"name": "deit_s", "input_shape": (224, 230, 3)},
            "224 or 240 in place",
        ),
        ({"name": "deit_s", "input_shape": (16, 16, 3)}, "32x32 pixels or more"),
        ({"name": "swin_t", "input_shape": (240, 240, 3)}, "multiples of 32 pixels"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"input_scaling": "bgr"}, "unknown input scaling 'bgr'"),
        ({"batch_norm_momentum": 1.0}, r"momentum must be in \[0, 1\)"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, said):
    valid = {"name": "cbr_tiny", "input_shape": (64, 64, 3), "num_classes": 5}
    with pytest.raises(ValueError, match=said):
        build(**{**valid, **arguments})
