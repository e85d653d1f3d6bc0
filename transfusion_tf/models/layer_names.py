"""Names of layers that do not depend on what a process built before."""

import re
from collections.abc import Sequence

_COUNTED_NAME = re.compile(
    r"(conv2d|batch_normalization|layer_normalization|activation|max_pooling2d"
    r"|average_pooling2d|global_average_pooling2d|zero_padding2d|concatenate|add)"
    r"(?:_(\d+))?"
)
_HUB_RESNET_NAME = re.compile(r"stack(\d+)_block(\d+)_(\w+)")


def is_counted(layer_name: str) -> bool:
    """Whether Keras made the name up."""
    return _COUNTED_NAME.fullmatch(layer_name) is not None


def stable_layer_names(layer_names: Sequence[str]) -> dict[str, str]:
    """Maps layer names to the ones that a fresh process would have given them.

    Keras numbers layers that nobody named with counters that run on through a process
    (`conv2d`, `conv2d_1`, ...). KerasHub's names of a ResNet's layers become those of
    `keras.applications`: `stack0_block0_1_conv` is `conv2_block1_1_conv`.

    Args:
      layer_names: All layers of one model.

    Returns:
      A new name for every given name; names that neither Keras counts nor KerasHub
      gives are unchanged. Raises nothing: a gap in the numbers stays a gap.
    """
    first: dict[str, int] = {}
    matches = {name: _COUNTED_NAME.fullmatch(name) for name in layer_names}
    for match in matches.values():
        if match:
            kind, number = match[1], int(match[2] or 0)
            first[kind] = min(number, first.get(kind, number))
    renamed = {}
    for name, match in matches.items():
        if match:
            number = int(match[2] or 0) - first[match[1]]
            renamed[name] = f"{match[1]}_{number}" if number else match[1]
        elif match := _HUB_RESNET_NAME.fullmatch(name):
            stack, block = int(match[1]) + 2, int(match[2]) + 1
            renamed[name] = f"conv{stack}_block{block}_{match[3]}"
        else:
            renamed[name] = name
    return renamed
