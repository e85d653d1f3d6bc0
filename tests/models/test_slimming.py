import keras
import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import build, named_tensors, stage_names, stages
from transfusion_tf.models.slimming import slim


def convolutions(model) -> dict[str, int]:
    return {
        layer.name: layer.filters
        for stage in stages(model)
        for layer in stage.layers
        if hasattr(layer, "filters")
    }


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("cbr_large_w", "pool2"),
        pytest.param("resnet50", "block2", marks=pytest.mark.slow),
        pytest.param("efficientnet_lite0", "block3", marks=pytest.mark.slow),
        pytest.param("inception_v3", "mixed2", marks=pytest.mark.exhaustive),
    ],
)
def test_channels_halve_above_the_stage_and_stay_below(smallest_model, name, stage):
    full = smallest_model(name)
    slimmed = build(f"{name}[slim_after={stage},width=0.5]", full.input.shape[1:], 5)
    names = stage_names(full)
    lower = {
        layer.name
        for part in stages(full)[: names.index(stage) + 1]
        for layer in part.layers
    }

    widths, full_widths = convolutions(slimmed), convolutions(full)

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

    assert convolutions(loaded) == {"conv1": 32, "conv2": 16, "conv3": 32, "conv4": 64}


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


# One of each family; the largest have the structure of these.
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("cbr_small", []),
        ("resnet18", ["conv1"]),
        pytest.param("resnet34", ["conv1"], marks=pytest.mark.exhaustive),
        pytest.param("resnet50", [], marks=pytest.mark.exhaustive),
        pytest.param("inception_v3", [], marks=pytest.mark.exhaustive),
        pytest.param("efficientnet_lite0", [], marks=pytest.mark.exhaustive),
    ],
)
def test_every_point_builds_or_is_refused_with_those_that_do(
    smallest_model, name, refused
):
    full = smallest_model(name)
    *points, last = stage_names(full)
    built = [point for point in points if point not in refused]
    for point in built:
        slim(full, point, 0.3)
    for point in (*refused, last):
        with pytest.raises(UserError, match=f"{point}.*one of {', '.join(built)}"):
            slim(full, point, 0.01)
