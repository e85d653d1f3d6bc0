import keras
import numpy as np
import pytest

from transfusion_tf.models import (
    head_layers,
    model_names,
    named_tensors,
    stage_names,
    stages,
    stages_through,
)
from transfusion_tf.representations.layer_graph import passed_by_all, users_of

RESNET = ["conv1", "block1", "block2", "block3", "block4"]
EFFICIENTNET = ["stem", *(f"block{number}" for number in range(1, 8)), "top"]
EXPECTED = {
    "cbr_large_t": ["pool1", "pool2", "pool3", "pool4", "conv5"],
    "cbr_large_w": ["pool1", "pool2", "pool3", "pool4"],
    "cbr_small": ["pool1", "pool2", "pool3", "pool4"],
    "cbr_tiny": ["pool1", "pool2", "pool3", "pool4"],
    "cbr_tiny_appendix": ["pool1", "pool2", "pool3", "pool4"],
    **{f"resnet{layers}": RESNET for layers in (18, 34, 50, 101, 152)},
    "inception_v3": [
        *("conv1", "conv2", "conv3", "conv4"),
        *(f"mixed{number}" for number in range(11)),
    ],
    **{f"efficientnet_lite{number}": EFFICIENTNET for number in range(3)},
    "densenet121": ["stem", "block1", "block2", "block3", "block4"],
    "mobilenet_v2": EFFICIENTNET,
    "efficientnet_v2_b0": [name for name in EFFICIENTNET if name != "block7"],
    "xception": [
        *(f"entry{number}" for number in range(1, 5)),
        *(f"middle{number}" for number in range(1, 9)),
        *("exit1", "exit2"),
    ],
    "convnext_tiny": ["stem", "stage1", "stage2", "stage3", "stage4"],
    **{
        name: ["patch_embed", *(f"block{number + 1}" for number in range(blocks))]
        for name, blocks in {
            **{"deit_ti": 12, "deit_s": 12, "deit_b": 12, "deit_mini": 6},
            **{"swin_t": 12, "swin_mini": 6},
        }.items()
    },
}
SMALL = [
    *("cbr_large_t", "cbr_large_w", "cbr_small", "cbr_tiny", "cbr_tiny_appendix"),
    *("resnet50", "inception_v3", "deit_mini", "swin_mini"),
]
# Weights below the head, those of batch norms included. Of DeiTs: timm's, without
# distillation, less their heads; of Swin and ResNet18: KerasHub's presets; ResNet34:
# torchvision's 21 284 672 and 17 024 moving statistics; ResNet101 and 152:
# keras.applications without top; EfficientNet-Lites: timm's 4 652 008, 5 416 680 and
# 6 092 072 less their heads, and moving statistics; so torchvision's 7 978 856 of
# DenseNet121, 3 504 872 of MobileNetV2 and 28 589 128 of ConvNeXt-T, and timm's
# 7 139 704 of EfficientNetV2-B0 and 22 855 952 of Xception.
PUBLISHED = {
    "deit_ti": 5_524_416,
    "deit_s": 21_665_664,
    "deit_b": 85_798_656,
    "swin_t": 27_519_354,
    "resnet18": 11_186_112,
    "resnet34": 21_301_696,
    "resnet101": 42_658_176,
    "resnet152": 58_370_944,
    "efficientnet_lite0": 4_652_008 - 1_281_000 + 42_016,
    "efficientnet_lite1": 5_416_680 - 1_281_000 + 53_664,
    "efficientnet_lite2": 6_092_072 - 1_281_000 + 58_096,
    "densenet121": 7_978_856 - 1_025_000 + 83_648,
    "mobilenet_v2": 3_504_872 - 1_281_000 + 34_112,
    "efficientnet_v2_b0": 7_139_704 - 1_281_000 + 60_608,
    "xception": 22_855_952 - 2_049_000 + 54_528,
    "convnext_tiny": 28_589_128 - 769_000,
}
# What is left to the nightly tests is a narrower, a wider or a shorter one of the same.
LARGE = [
    pytest.param(name, marks=pytest.mark.exhaustive)
    if name in ("deit_ti", "deit_b", "resnet101", "efficientnet_lite1")
    else name
    for name in PUBLISHED
]


def test_every_model_is_looked_at():
    assert {*SMALL, *PUBLISHED} == set(model_names()) == set(EXPECTED)


@pytest.mark.parametrize("name", SMALL)
def test_every_model_has_its_stages(smallest_model, name):
    assert list(stage_names(smallest_model(name))) == EXPECTED[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_every_large_model_has_its_stages(weightless_model, name):
    model = weightless_model(name)

    assert list(stage_names(model)) == EXPECTED[name]
    assert_every_weight_has_one_place(model)
    assert_every_path_passes_the_ends_of_stages(model)


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_with_weights_is_in_exactly_one_stage_or_the_head(
    smallest_model, name
):
    assert_every_weight_has_one_place(smallest_model(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_parameters_are_as_published(weightless_model, name):
    model = weightless_model(name)

    assert PUBLISHED[name] == sum(
        layer.count_params() for stage in stages(model) for layer in stage.layers
    )


def assert_every_weight_has_one_place(model):
    in_stages = [layer for stage in stages(model) for layer in stage.layers]

    found = [layer.name for layer in (*in_stages, *head_layers(model)) if layer.weights]

    assert found == [layer.name for layer in model.layers if layer.weights]


def assert_every_path_passes_the_ends_of_stages(model):
    passed = passed_by_all(model, users_of(model))
    for stage in stages(model):
        assert id(stage.layers[-1]) in passed, stage.name
        assert any(stage.output is layer.output for layer in stage.layers)


@pytest.mark.parametrize(
    "name",
    [
        *("cbr_large_t", "deit_mini", "swin_mini"),
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("inception_v3", marks=pytest.mark.slow),
        pytest.param("efficientnet_lite0", marks=pytest.mark.slow),
    ],
)
def test_a_stages_weights_change_its_own_output_and_the_later_ones_only(
    smallest_model, name
):
    model = smallest_model(name)
    parts = stages(model)
    probe = keras.Model(model.input, [stage.output for stage in parts])
    images = np.random.default_rng(0).uniform(0, 255, (1, *model.input.shape[1:]))

    before = probe.predict_on_batch(images)
    for index, stage in enumerate(parts):
        variables = [variable for layer in stage.layers for variable in layer.weights]
        originals = [keras.ops.convert_to_numpy(variable) for variable in variables]
        for variable, original in zip(variables, originals, strict=True):
            variable.assign(original * 1.5 + 0.1)
        after = probe.predict_on_batch(images)
        for variable, original in zip(variables, originals, strict=True):
            variable.assign(original)

        changed = [
            not np.array_equal(old, new) for old, new in zip(before, after, strict=True)
        ]
        assert changed == [other >= index for other in range(len(parts))]


def test_resnets_first_stage_is_compared_before_its_pool(smallest_model):
    conv1 = stages(smallest_model("resnet50"))[0]

    assert conv1.layers[-1].name == "pool1_pool"
    assert conv1.output is smallest_model("resnet50").get_layer("conv1_relu").output


@pytest.mark.parametrize(
    "name",
    [
        *("cbr_tiny", "deit_mini", "swin_mini"),
        pytest.param("efficientnet_lite0", marks=pytest.mark.slow),
    ],
)
def test_stages_are_the_same_after_saving_and_cloning(tmp_path, smallest_model, name):
    model = smallest_model(name)
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


@pytest.mark.parametrize("name", ["deit_mini", "swin_mini"])
def test_a_transformers_last_norm_belongs_to_its_last_block(smallest_model, name):
    last = stages(smallest_model(name))[-1]

    assert last.layers[-1].name == "norm"
    assert last.output is smallest_model(name).get_layer("block6_mlp_add").output


def test_swins_merging_belongs_to_the_block_after_it(smallest_model):
    block2, block3 = stages(smallest_model("swin_mini"))[2:4]

    assert block2.output.shape == (None, 8, 8, 40)
    assert block3.layers[0].name == "block3_merge_norm"
    assert block3.output.shape == (None, 4, 4, 80)


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
