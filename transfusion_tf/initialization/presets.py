"""Donors from KerasHub presets: folders with a `config.json` and the weights.

A preset is one of KerasHub's own, downloaded by name, or a folder that
`save_to_preset` wrote. Nothing in it is deserialised: its config is compared with the
architecture's, the backbone is built from ours, and only weights are loaded.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.initialization.donor_errors import (
    DonorMismatchError,
    DonorUnavailableError,
)
from transfusion_tf.initialization.donors import Donor, make_donor
from transfusion_tf.initialization.weight_files import check_weight_file
from transfusion_tf.models.architectures import ARCHITECTURES
from transfusion_tf.models.hub import HubBackbone, keras_hub

# Of each architecture with published ImageNet weights at 224 pixels.
IMAGENET_PRESETS = {
    "resnet18": "resnet_18_imagenet",
    "deit_ti": "deit_tiny_distilled_patch16_224_imagenet",
    "deit_s": "deit_small_distilled_patch16_224_imagenet",
    "deit_b": "deit_base_distilled_patch16_224_imagenet",
    "swin_t": "swin_tiny_patch4_window7_224",
}
# Pixels that the published presets expect.
_PUBLISHED_SCALING = "imagenet_mean_std"
_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
# A damaged config should not make arrays that fill the memory.
_MOST_PIXELS = 4096
_LARGEST_WINDOW = 64


def is_preset(folder: Path) -> bool:
    """Whether the folder holds a KerasHub backbone (a run directory does not)."""
    try:
        config = json.loads((folder / _CONFIG).read_text())
    except (OSError, ValueError):
        return False
    name = config.get("class_name") if isinstance(config, dict) else None
    return isinstance(name, str) and name.endswith("Backbone")


def is_preset_name(name: str, model: keras.Model) -> bool:
    """Whether KerasHub has a preset of this name for the model's kind of backbone.

    Raises:
      UserError: If the model is built on KerasHub and KerasHub is not installed.
    """
    hub = _hub_of(model)
    return hub is not None and name in _published(hub)


def preset_fingerprint(folder: Path) -> str:
    """What tells one preset's weights from another's: 16 digits of their SHA-256.

    Raises:
      DonorUnavailableError: If the folder has no weights.
    """
    return files.sha256(_weights_file(folder))[:16]


def donor_from_preset(
    preset: str | Path,
    model: keras.Model,
    *,
    name: str | None = None,
    input_scaling: str | None = None,
) -> Donor:
    """A donor from a KerasHub preset.

    Args:
      preset: The name of one of KerasHub's own, which is downloaded once, or a
        folder that `save_to_preset` of a KerasHub backbone wrote.
      model: From `build`: the model that will receive the weights. Image sizes, and
        with them windows, may differ.
      name: How reports will call the donor; by default the preset's name.
      input_scaling: The pixels that the weights of a folder expect; the published
        presets' are known.

    Raises:
      DonorUnavailableError: If it cannot be had from here; the message says what to
        put where.
      DonorMismatchError: If the preset is not of the model's architecture.
      UserError: If it is damaged, or KerasHub is not installed.
    """
    hub = _hub_of(model)
    if hub is None:
        raise DonorMismatchError(
            f"{preset} is a KerasHub preset, and {model.name} is not built on KerasHub"
        )
    if not isinstance(preset, Path) and is_preset_name(preset, model):
        folder = _downloaded(preset, hub)
        input_scaling = input_scaling or _PUBLISHED_SCALING
    else:
        folder = Path(preset).expanduser()
    backbone = _read_backbone(folder, model.name, hub)
    tensors = hub.tensors(backbone)
    for path, values in tensors.items():
        if not np.isfinite(values).all():
            raise UserError(
                f"preset {folder}: {path} holds NaN or infinity, or is not in the file"
            )
    return make_donor(
        name or Path(preset).name,
        f"the KerasHub preset {Path(preset).name}",
        tensors,
        input_scaling,
        source=folder,
    )


def _hub_of(model: keras.Model) -> HubBackbone | None:
    architecture = ARCHITECTURES.get(model.name)
    return architecture.hub if architecture else None


def _published(hub: HubBackbone) -> Mapping[str, Any]:
    return getattr(keras_hub().models, hub.class_name).presets


def _downloaded(name: str, hub: HubBackbone) -> Path:
    handle = _published(hub)[name]["kaggle_handle"].removeprefix("kaggle://")
    import kagglehub
    from kagglehub.config import get_cache_folder

    try:
        return Path(kagglehub.model_download(handle))
    except Exception as error:  # whatever the network, or its absence, raises
        # Where it would have been put; someone may have done so by hand.
        folder = Path(get_cache_folder()) / "models" / handle
        if is_preset(folder):
            return folder
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DonorUnavailableError(
            f"cannot download the KerasHub preset {name}. Without a network, put "
            f"{_CONFIG} and {_WEIGHTS} of https://www.kaggle.com/models/{handle} into "
            f"{folder}, where it is found by its name and as imagenet, or into any "
            f"folder for --donor=<that folder> ({reason[:120]})"
        ) from error


def _read_backbone(folder: Path, model_name: str, hub: HubBackbone) -> Any:
    stated = _read_config(folder)
    _check_architecture(folder, stated, model_name, hub)
    config = stated["config"]
    more = {key: config[key] for key in ("window_size",) if key in config}
    weights = _weights_file(folder)
    check_weight_file(weights)
    try:
        backbone = hub.make(tuple(config["image_shape"]), **more)
        for variable in backbone.weights:
            # Keras only warns of some weights that a file lacks: NaN does not pass.
            variable.assign(np.full(variable.shape, np.nan))
        backbone.load_weights(weights)
    except UserError:
        raise
    except Exception as error:  # Keras raises whatever the file made it stumble over
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DonorMismatchError(
            f"the weights of preset {folder} are not those of {model_name}: "
            f"{reason[0][:300]}"
        ) from error
    return backbone


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        stated = json.loads((folder / _CONFIG).read_text())
    except OSError as error:
        raise DonorUnavailableError(
            f"preset folder {folder} has no readable {_CONFIG}: give a folder that "
            "KerasHub's save_to_preset wrote"
        ) from error
    except ValueError as error:
        raise UserError(f"{folder / _CONFIG} is no JSON: {error}") from error
    config = stated.get("config") if isinstance(stated, dict) else None
    if not isinstance(config, dict):
        raise UserError(f"{folder / _CONFIG} is no KerasHub backbone's")
    shape, window = config.get("image_shape"), config.get("window_size", 1)
    if not _is_image_shape(shape):
        raise UserError(
            f"{folder / _CONFIG}: image_shape should be [height, width, 3] up to "
            f"{_MOST_PIXELS} pixels, not {shape}"
        )
    if type(window) is not int or not 0 < window <= _LARGEST_WINDOW:
        raise UserError(
            f"{folder / _CONFIG}: window_size should be a whole number up to "
            f"{_LARGEST_WINDOW}, not {window}"
        )
    return stated


def _is_image_shape(shape: Any) -> bool:
    if shape == [None, None, 3]:  # a convolutional network for any size
        return True
    return (
        isinstance(shape, list)
        and len(shape) == 3
        and shape[2] == 3
        and all(type(side) is int and 0 < side <= _MOST_PIXELS for side in shape)
    )


def _check_architecture(
    folder: Path, stated: dict[str, Any], model_name: str, hub: HubBackbone
) -> None:
    name = stated.get("class_name")
    different = []
    if name != hub.class_name:
        different.append(f"it is a {name}, not a {hub.class_name}")
    else:
        for key, ours in hub.config.items():
            theirs = stated["config"].get(key)
            if _plain(theirs) != _plain(ours):
                different.append(f"its {key} is {theirs}, not {ours}")
    if different:
        raise DonorMismatchError(
            f"preset {folder} is not of {model_name}: {'; '.join(different)}"
        )


def _plain(value: Any) -> Any:
    """A side for a square, a list for a tuple: a config may write either."""
    if isinstance(value, list | tuple):
        square = len(value) == 2 and value[0] == value[1]
        return value[0] if square else list(value)
    return value


def _weights_file(folder: Path) -> Path:
    file = folder / _WEIGHTS
    if not file.is_file():
        raise DonorUnavailableError(f"preset folder {folder} has no {_WEIGHTS}")
    return file
