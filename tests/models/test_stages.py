import keras
import numpy as np
import pytest

from transfusion_tf.models import (
    build,
    head_layers,
    model_names,
    named_tensors,
    stage_names,
    stages,
    stages_through,
)

EXPECTED = {
    "cbr_large_t": ["pool1", "pool2", "pool3", "pool4", "pool5"],
    "cbr_large_w": ["pool1", "pool2", "pool3", "pool4"],
    "cbr_small": ["pool1", "pool2", "pool3", "pool4"],
    "cbr_tiny": ["pool1", "pool2", "pool3", "pool4"],
    "cbr_tiny_appendix": ["pool1", "pool2", "pool3", "pool4"],
    "resnet50": ["conv1", "block1", "block2", "block3", "block4"],
    "inception_v3": [
        *("conv1", "conv2", "conv3", "conv4"),
        *(f"mixed{number}" for number in range(11)),
    ],
}


@pytest.mark.parametrize("name", model_names())
def test_every_model_has_its_stages(smallest_model, name):
    assert [stage.name for stage in stages(smallest_model(name))] == EXPECTED[name]


@pytest.mark.parametrize("name", model_names())
def test_every_layer_with_weights_is_in_exactly_one_stage_or_the_head(
    smallest_model, name
):
    model = smallest_model(name)
    in_stages = [layer for stage in stages(model) for layer in stage.layers]

    found = [layer.name for layer in (*in_stages, *head_layers(model)) if layer.weights]

    assert found == [layer.name for layer in model.layers if layer.weights]


@pytest.mark.parametrize("name", ["cbr_large_t", "resnet50", "inception_v3"])
def test_a_stage_feeds_its_own_output_and_the_later_ones_only(smallest_model, name):
    model = smallest_model(name)
    parts = stages(model)
    probe = keras.Model(model.input, [stage.output for stage in parts])
    images = np.random.default_rng(0).uniform(0, 255, (1, *model.input.shape[1:]))

    before = probe.predict_on_batch(images)
    for index, stage in enumerate(parts):
        kernel = next(layer for layer in stage.layers if layer.weights).kernel
        original = keras.ops.convert_to_numpy(kernel)
        kernel.assign(original * 1.5 + 0.1)
        after = probe.predict_on_batch(images)
        kernel.assign(original)

        changed = [
            not np.array_equal(old, new) for old, new in zip(before, after, strict=True)
        ]
        assert changed == [other >= index for other in range(len(parts))]


def test_resnets_first_stage_is_compared_before_its_pool(smallest_model):
    conv1 = stages(smallest_model("resnet50"))[0]

    assert conv1.layers[-1].name == "pool1_pool"
    assert conv1.output is smallest_model("resnet50").get_layer("conv1_relu").output


def test_stages_are_the_same_after_saving_and_cloning(tmp_path, smallest_model):
    model = smallest_model("cbr_tiny")
    model.save(tmp_path / "model.keras")
    copies = [
        keras.models.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ]

    expected = [[layer.name for layer in stage.layers] for stage in stages(model)]
    for copy in copies:
        assert [
            [layer.name for layer in stage.layers] for stage in stages(copy)
        ] == expected
        assert [tensor.path for tensor in named_tensors(copy)] == [
            tensor.path for tensor in named_tensors(model)
        ]


def test_stages_are_found_in_a_plain_keras_application():
    model = keras.applications.ResNet50(
        weights=None, input_shape=(64, 64, 3), classes=5
    )

    assert list(stage_names(model)) == EXPECTED["resnet50"]
    assert [layer.name for layer in head_layers(model)] == ["avg_pool", "predictions"]


def test_inceptions_layer_names_do_not_depend_on_what_was_built_before(smallest_model):
    smallest_model("inception_v3")

    later = build("inception_v3", (75, 75, 3), 1)

    assert [layer.name for layer in later.layers] == [
        layer.name for layer in smallest_model("inception_v3").layers
    ]
    assert later.get_layer("conv2d").kernel.shape == (3, 3, 3, 32)


def test_stages_through_includes_the_named_one(smallest_model):
    through = stages_through(smallest_model("cbr_tiny"), "pool2")

    assert [stage.name for stage in through] == ["pool1", "pool2"]


def test_an_unknown_stage_is_answered_with_the_known_ones(smallest_model):
    with pytest.raises(ValueError, match=r"no stage 'block2'.*pool1, pool2, pool3"):
        stages_through(smallest_model("cbr_tiny"), "block2")


def test_a_model_of_no_known_family_has_no_stages():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    with pytest.raises(ValueError, match="no stages are known"):
        stages(model)
