import functools

import keras
import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import (
    build,
    layer_tensors,
    named_tensors,
    stage_names,
    stages,
)
from transfusion_tf.models.slimming import slim


def channels(model) -> dict[str, int]:
    """Of what layers with kernels give, depthwise ones too."""
    return {
        layer.name: layer.output.shape[-1]
        for stage in stages(model)
        for layer in stage.layers
        if "kernel" in [tensor.name[-6:] for tensor in layer_tensors(layer)]
    }


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("cbr_large_w", "pool2"),
        ("resnet50", "block2"),
        ("inception_v3", "mixed2"),
        ("efficientnet_v2_b0", "block4"),
        ("xception", "entry2"),
        ("convnext_tiny", "stage2"),
    ],
)
def test_channels_halve_above_the_stage_and_stay_below(
    weightless, weightless_model, name, stage
):
    full = weightless_model(name)
    slimmed = weightless(lambda: slim(full, stage, 0.5))
    names = stage_names(full)
    lower = {
        layer.name
        for part in stages(full)[: names.index(stage) + 1]
        for layer in part.layers
    }

    widths, full_widths = channels(slimmed), channels(full)

    assert stage_names(slimmed) == names
    assert list(widths) == list(full_widths)
    for layer, filters in full_widths.items():
        assert widths[layer] == (filters if layer in lower else filters // 2), layer
    assert slimmed.output.shape == full.output.shape


def test_weights_below_the_stage_are_those_of_the_full_model_with_the_same_seed():
    full = build("cbr_large_w", (64, 64, 3), 5, seed=3)
    slimmed = build("cbr_large_w[slim_after=pool2,width=0.5]", (64, 64, 3), 5, seed=3)

    for ours, theirs in zip(named_tensors(slimmed), named_tensors(full), strict=True):
        assert ours.path == theirs.path
        if ours.name == "kernel":
            below = ours.path in {"conv1/kernel", "conv2/kernel"}
            assert np.array_equal(ours.value(), theirs.value()) == below


def test_a_slimmed_model_saves_and_loads_like_any_other(tmp_path):
    slimmed = build("cbr_tiny[slim_after=pool1,width=0.25]", (64, 64, 3), 2, seed=0)
    slimmed.save(tmp_path / "slim.keras")

    loaded = keras.models.load_model(tmp_path / "slim.keras")

    assert channels(loaded) == {"conv1": 32, "conv2": 16, "conv3": 32, "conv4": 64}


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("block2", "no stage 'block2'; its stages are pool1, pool2, pool3, pool4"),
        ("pool4", "nothing to slim.*choose one of pool1, pool2, pool3"),
    ],
)
def test_a_stage_that_cannot_be_slimmed_after_is_refused(stage, said):
    with pytest.raises(ValueError, match=said):
        build(f"cbr_tiny[slim_after={stage}]", (64, 64, 3), 2)


XCEPTIONS_IDENTITIES = ["entry4", *(f"middle{number}" for number in range(1, 8))]


# One of each family; the largest have the structure of these.
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("cbr_small", []),
        ("resnet18", ["conv1"]),
        ("xception", XCEPTIONS_IDENTITIES),
        ("convnext_tiny", ["stem"]),
        pytest.param("resnet34", ["conv1"], marks=pytest.mark.exhaustive),
        *(
            pytest.param(name, [], marks=pytest.mark.exhaustive)
            for name in (
                *("resnet50", "inception_v3", "densenet121", "mobilenet_v2"),
                *("efficientnet_lite0", "efficientnet_v2_b0"),
            )
        ),
    ],
)
def test_every_point_builds_or_is_refused_with_those_that_do(
    weightless, weightless_model, name, refused
):
    full = weightless_model(name)
    *points, last = stage_names(full)
    built = [point for point in points if point not in refused]
    for point in built:
        weightless(functools.partial(slim, full, point, 0.3))
    for point in (*refused, last):
        with pytest.raises(UserError, match=f"{point}.*one of {', '.join(built)}"):
            slim(full, point, 0.01)
