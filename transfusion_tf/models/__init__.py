"""Keras functional models with named stages.

`build(name, input_shape, num_classes)` gives a plain Keras model; `stages(model)`
its named parts. Keras and NumPy only, and KerasHub for the models that are built on
it: any Keras backend runs them.
"""

from transfusion_tf.models.architectures import check_image_size, cut_blocks
from transfusion_tf.models.attention import attention_maps
from transfusion_tf.models.batch_norm import (
    batch_norm_layers,
    set_batch_norm_momentum,
    set_synchronized_batch_norm,
)
from transfusion_tf.models.cbr import (
    CBR_ARCHITECTURES,
    CBRArchitecture,
    table1_parameter_count,
)
from transfusion_tf.models.deit import DEIT_ARCHITECTURES, DeiTArchitecture
from transfusion_tf.models.freezing import body_frozen, freeze_through
from transfusion_tf.models.heads import logits_model
from transfusion_tf.models.input_scaling import (
    DATASET_MEAN_STD,
    INPUT_SCALINGS,
    STANDARD_UNITS,
    InputScaling,
    dataset_scaling_name,
    input_scaling_description,
    input_scaling_of,
    reads_bgr,
    units_of,
)
from transfusion_tf.models.model_spec import ModelSpec, model_names, parse_model_name
from transfusion_tf.models.random_weights import (
    fold_seed,
    randomize,
    seed_random_layers,
)
from transfusion_tf.models.registry import build
from transfusion_tf.models.slimming import slim
from transfusion_tf.models.stages import (
    Stage,
    head_layers,
    stage_names,
    stages,
    stages_through,
)
from transfusion_tf.models.swin import SWIN_ARCHITECTURES, SwinArchitecture
from transfusion_tf.models.tensors import NamedTensor, layer_tensors, named_tensors
from transfusion_tf.models.transformer_layers import (
    TokensAndPositions,
    WindowedAttention,
)

__all__ = [
    "CBR_ARCHITECTURES",
    "DATASET_MEAN_STD",
    "DEIT_ARCHITECTURES",
    "INPUT_SCALINGS",
    "STANDARD_UNITS",
    "SWIN_ARCHITECTURES",
    "CBRArchitecture",
    "DeiTArchitecture",
    "InputScaling",
    "ModelSpec",
    "NamedTensor",
    "Stage",
    "SwinArchitecture",
    "TokensAndPositions",
    "WindowedAttention",
    "attention_maps",
    "batch_norm_layers",
    "body_frozen",
    "build",
    "check_image_size",
    "cut_blocks",
    "dataset_scaling_name",
    "fold_seed",
    "freeze_through",
    "head_layers",
    "input_scaling_description",
    "input_scaling_of",
    "layer_tensors",
    "logits_model",
    "model_names",
    "named_tensors",
    "parse_model_name",
    "randomize",
    "reads_bgr",
    "seed_random_layers",
    "set_batch_norm_momentum",
    "set_synchronized_batch_norm",
    "slim",
    "stage_names",
    "stages",
    "stages_through",
    "table1_parameter_count",
    "units_of",
]
