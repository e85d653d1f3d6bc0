"""Layers, units and stages: what they hold, and that nothing is in two of them."""

import keras
import numpy as np
import pytest

from transfusion_tf.models import build, stages
from transfusion_tf.representations import model_parts


@pytest.fixture(scope="module")
def tiny():
    return build("cbr_tiny", (64, 64, 3), 5, seed=0)


@pytest.fixture(scope="module")
def resnet50(weightless_model):
    return weightless_model("resnet50")


@pytest.fixture(scope="module")
def inception_v3(weightless_model):
    return weightless_model("inception_v3")


def names(parts):
    return [part.name for part in parts]


def test_a_unit_is_a_convolution_with_what_follows_it(tiny):
    units = model_parts(tiny, "unit")
    assert names(units) == ["conv1", "conv2", "conv3", "conv4", "logits"]
    first = units[0]
    assert [layer.name for layer in first.layers] == ["conv1", "bn1", "relu1", "pool1"]
    assert first.stage == "pool1"
    assert units[-1].stage == "head"


def test_stages_are_the_models_and_the_head(tiny):
    parts = model_parts(tiny, "stage")
    assert names(parts) == ["pool1", "pool2", "pool3", "pool4", "head"]
    assert [part.output for part in parts[:-1]] == [s.output for s in stages(tiny)]
    assert parts[-1].output is tiny.get_layer("logits").output


def test_layers_that_hand_their_input_on_are_left_out():
    model = build("cbr_tiny", (64, 64, 3), 5, dropout=0.5)
    found = names(model_parts(model, "layer"))
    assert found[:3] == ["conv1", "bn1", "relu1"]
    assert found[-3:] == ["global_pool", "logits", "probabilities"]


def test_layers_are_read_where_their_activation_is_done(tiny):
    read = [part.name for part in model_parts(tiny, "layer") if part.output is not None]
    expected = [
        f"{kind}{number}" for number in range(1, 5) for kind in ("relu", "pool")
    ]
    assert read == [*expected, "global_pool", "logits"]


@pytest.mark.slow
def test_a_residual_branch_is_read_at_its_last_batch_norm(resnet50):
    parts = model_parts(resnet50, "layer")
    read = [part.name for part in parts if part.output is not None]
    first_unit = [name for name in read if name.startswith("conv2_block1_")]
    assert sorted(first_unit) == [
        f"conv2_block1_{end}" for end in ("0_bn", "1_relu", "2_relu", "3_bn", "out")
    ]


@pytest.mark.slow
def test_a_resnets_units_are_its_residual_units(resnet50):
    expected = ["conv1"]
    for block, count in ((2, 3), (3, 4), (4, 6), (5, 3)):
        expected += [f"conv{block}_block{unit + 1}" for unit in range(count)]
    units = model_parts(resnet50, "unit")
    assert names(units) == [*expected, "logits"]
    outputs = [unit.output for unit in units[:-1]]
    assert outputs[0] is resnet50.get_layer("conv1_relu").output
    assert outputs[1] is resnet50.get_layer("conv2_block1_out").output
    assert outputs[-1] is resnet50.get_layer("conv5_block3_out").output


def test_units_of_other_networks_are_their_blocks(weightless_model):
    def units(name, count):
        found = names(model_parts(weightless_model(name), "unit"))
        assert len(found) == count
        return found

    dense = [f"conv2_block{unit}" for unit in range(1, 7)]
    assert units("densenet121", 63)[:8] == ["conv1_conv", *dense, "pool2_conv"]
    flows = [f"block{module}" for module in range(2, 14)]
    assert units("xception", 17)[2:-3] == flows
    block = "convnext_tiny_stage_0_block"
    assert units("convnext_tiny", 23)[1:4] == [f"{block}_{unit}" for unit in range(3)]


@pytest.mark.slow
def test_inceptions_units_are_its_stem_and_modules(inception_v3):
    units = names(model_parts(inception_v3, "unit"))
    stem = ["conv2d", *(f"conv2d_{number}" for number in range(1, 5))]
    assert units == [*stem, *(f"mixed{number}" for number in range(11)), "logits"]


@pytest.fixture(scope="module")
def deit():
    return build("deit_mini[blocks=2]", (32, 32, 3), 5, seed=0)


@pytest.fixture(scope="module")
def swin():
    return build("swin_mini", (32, 32, 3), 5, seed=0)


def weights_of(*layers):
    return [f"{layer}/{kind}" for layer in layers for kind in ("kernel", "bias")]


HEADS = [
    f"attention_heads/{which}"
    for which in ("query", "key", "value", "attention_output")
]
MLP = weights_of("mlp_dense", "mlp_output")
DEIT_TENSORS = {"attention": weights_of(*HEADS), "mlp": MLP}
SWIN_TENSORS = {
    "attention": [
        *weights_of("attention_qkv"),
        "attention_windows/relative_position_bias_table",
        *weights_of("attention_projection"),
    ],
    "mlp": MLP,
}
EMBEDDING = weights_of("patch_embed")
NORMED = [*EMBEDDING, "patch_embed_norm/gamma", "patch_embed_norm/beta"]


@pytest.mark.parametrize(
    ("model", "blocks", "patch_embed", "tensors"),
    [("deit", 2, EMBEDDING, DEIT_TENSORS), ("swin", 6, NORMED, SWIN_TENSORS)],
)
def test_a_transformers_branches_hold_the_tensors_of_the_papers_modules(
    model, blocks, patch_embed, tensors, request
):
    """`get_target_modules`: `patch_embed`, every `attn` and every `mlp`, and `fc`."""
    expected = {"patch_embed": patch_embed}
    for number in range(1, blocks + 1):
        for half, own in tensors.items():
            expected[f"block{number}_{half}"] = [f"block{number}_{t}" for t in own]
    expected["logits"] = ["logits/kernel", "logits/bias"]
    parts = model_parts(request.getfixturevalue(model), "branch")
    assert {p.name: [v.path for v in p.weights] for p in parts} == expected
    assert names(parts) == list(expected)


@pytest.mark.parametrize("model", ["deit", "swin"])
def test_branches_are_read_before_they_are_added_to_the_residual_stream(model, request):
    """Footnote 3: "alternating self-attention (+) & MLP layers (-)"."""
    model = request.getfixturevalue(model)
    branches = {part.name: part.output for part in model_parts(model, "branch")}
    stream = {part.name: part.output for part in model_parts(model, "unit")}
    halves = [f"block{n}_{half}" for n in (1, 2) for half in ("attention", "mlp")]
    before = stream["patch_embed"] if "tokens" not in stream else stream["tokens"]
    outputs = [before, *(t[name] for name in halves for t in (branches, stream))]
    read = keras.Model(model.inputs, outputs)
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    before, *rest = (np.array(value) for value in read(image.astype("float32")))
    for branch, after in zip(rest[::2], rest[1::2], strict=True):
        np.testing.assert_allclose(before + branch, after, atol=1e-5)
        before = after


@pytest.mark.slow
def test_a_resnets_branches_are_its_bare_convolution_and_its_residual_units(resnet50):
    branches, units = model_parts(resnet50, "branch"), model_parts(resnet50, "unit")
    assert names(branches) == names(units)
    assert [layer.name for layer in branches[0].layers] == ["conv1_conv"]
    assert branches[0].output is resnet50.get_layer("conv1_conv").output
    assert [p.layers for p in branches[1:-1]] == [p.layers for p in units[1:-1]]
    assert [p.output for p in branches[1:-1]] == [p.output for p in units[1:-1]]


@pytest.mark.slow
def test_inceptions_branches_end_before_its_pools(inception_v3):
    """Its `Conv2d_` modules are convolution, batch norm and activation."""
    branches = model_parts(inception_v3, "branch")
    assert names(branches) == names(model_parts(inception_v3, "unit"))
    kinds = [type(layer).__name__ for layer in branches[2].layers]
    assert kinds == ["Conv2D", "BatchNormalization", "Activation"]
    held = [id(v) for part in branches for v in part.weights]
    assert sorted(held) == sorted(id(variable) for variable in inception_v3.weights)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["layer", "unit", "stage"])
@pytest.mark.parametrize("model", ["tiny", "resnet50", "inception_v3"])
def test_each_weight_is_in_exactly_one_part(model, kind, request):
    model = request.getfixturevalue(model)
    held = [id(v) for part in model_parts(model, kind) for v in part.weights]
    assert sorted(held) == sorted(id(variable) for variable in model.weights)


def attention_block(x, name):
    normal = keras.layers.LayerNormalization(name=f"{name}_attention_norm")(x)
    attended = keras.layers.MultiHeadAttention(2, 4, name=f"{name}_attention")(
        normal, normal
    )
    x = keras.layers.Add(name=f"{name}_attention_add")([x, attended])
    normal = keras.layers.LayerNormalization(name=f"{name}_mlp_norm")(x)
    hidden = keras.layers.Dense(16, activation="gelu", name=f"{name}_mlp_1")(normal)
    hidden = keras.layers.Dense(8, name=f"{name}_mlp_2")(hidden)
    return keras.layers.Add(name=f"{name}_mlp_add")([x, hidden])


def test_half_a_transformer_block_is_a_unit(monkeypatch):
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 4, 4, name="patches")(image)
    x = keras.layers.Reshape((16, 8))(x)
    for name in ("block1", "block2"):
        x = attention_block(x, name)
    model = keras.Model(image, keras.layers.Dense(5, name="logits")(x))
    split = len(model.layers) - 1
    # No transformer is registered yet: one stage of everything below the logits.
    stage = stages_of(model, split)
    monkeypatch.setattr("transfusion_tf.representations.parts.stages", lambda m: stage)
    monkeypatch.setattr(
        "transfusion_tf.representations.parts.head_layers",
        lambda m: tuple(m.layers[split:]),
    )
    halves = [f"block{n}_{half}" for n in (1, 2) for half in ("attention", "mlp")]
    assert names(model_parts(model, "unit")) == ["patches", *halves, "logits"]


def stages_of(model, split):
    from transfusion_tf.models import Stage

    layers = tuple(model.layers[1:split])
    return (Stage("whole", layers, layers[-1].output),)


def test_an_unknown_kind_lists_the_valid_ones(tiny):
    with pytest.raises(ValueError, match="layer, unit, branch, stage"):
        model_parts(tiny, "block")
