import keras
import pytest

from transfusion_tf.models import (
    CBR_ARCHITECTURES,
    batch_norm_layers,
    head_layers,
    stages,
)
from transfusion_tf.models import table1_parameter_count as count


@pytest.mark.parametrize(
    ("name", "printed_in_table_1"),
    [
        ("cbr_large_t", 8_532_480),
        ("cbr_large_w", 8_432_128),
        ("cbr_small", 2_108_672),
        ("cbr_tiny", 1_076_480),
    ],
)
def test_parameters_are_those_of_table_1(smallest_model, name, printed_in_table_1):
    assert count(smallest_model(name)) == printed_in_table_1


def test_the_appendixs_cbr_tiny_does_not_fit_table_1(smallest_model):
    assert count(smallest_model("cbr_tiny_appendix")) == 4_303_360


@pytest.mark.parametrize("name", CBR_ARCHITECTURES)
def test_layers_follow_the_appendix(smallest_model, name):
    model = smallest_model(name)
    architecture = CBR_ARCHITECTURES[name]

    pooled = stages(model)
    if name == "cbr_large_t":
        # "(conv512-bn-relu) global avgpool, classification": no maxpool between.
        *pooled, last = pooled
        assert last.name == "conv5"
        assert [layer.name for layer in last.layers] == ["conv5", "bn5", "relu5"]
        assert last.output.shape == (None, 4, 4, 512)
        assert next(layer.name for layer in head_layers(model)) == "global_pool"
    for number, (stage, channels) in enumerate(
        zip(pooled, architecture.channels, strict=False), start=1
    ):
        convolution, norm, relu, pool = stage.layers
        assert [layer.name for layer in stage.layers] == [
            f"{kind}{number}" for kind in ("conv", "bn", "relu", "pool")
        ]
        assert convolution.filters == channels
        assert convolution.kernel_size == (architecture.kernel_size,) * 2
        assert convolution.strides == (1, 1)
        assert isinstance(norm, keras.layers.BatchNormalization)
        assert isinstance(relu, keras.layers.ReLU)
        assert (pool.pool_size, pool.strides) == ((3, 3), (2, 2))
        assert stage.output.shape == (None, 64 // 2**number, 64 // 2**number, channels)


def test_moving_statistics_settle_within_forty_steps(smallest_model):
    for layer in batch_norm_layers(smallest_model("cbr_tiny")):
        assert layer.momentum**40 < 0.02
