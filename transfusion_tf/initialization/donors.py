"""Donors: the pretrained models that weights, or their statistics, come from."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.initialization.donor_errors import DonorUnavailableError
from transfusion_tf.initialization.efficientnet_lite_files import (
    read_efficientnet_lite_file,
)
from transfusion_tf.initialization.matching import match_stored_weights
from transfusion_tf.initialization.torch_files import TORCH_SUFFIXES
from transfusion_tf.initialization.weight_files import read_weight_file
from transfusion_tf.models import (
    NamedTensor,
    build,
    input_scaling_of,
    parse_model_name,
    stages,
)
from transfusion_tf.models.architectures import smallest_size
from transfusion_tf.models.layer_names import stable_layer_names
from transfusion_tf.models.tensors import layer_tensors


@dataclass(frozen=True, eq=False)
class Donor:
    """The weights of a pretrained model, without its head.

    Attributes:
      name: How flags and reports call it.
      description: Where it comes from, in one line.
      tensors: Float32 arrays by path (`conv1/kernel`), in graph order, read-only.
      sha256: Fingerprint of the paths, shapes and values; the same weights have
        the same one whatever file they came in.
      input_scaling: The pixels that the weights expect, a key of
        `transfusion_tf.models.INPUT_SCALINGS`; None where it is not known.
      source: The file, if it came from one.
    """

    name: str
    description: str
    tensors: Mapping[str, NDArray[np.float32]]
    sha256: str
    input_scaling: str | None = None
    source: Path | None = None


def make_donor(
    name: str,
    description: str,
    tensors: dict[str, NDArray[np.float32]],
    input_scaling: str | None,
    source: Path | None = None,
) -> Donor:
    """A donor of these tensors, which become read-only, with their fingerprint."""
    digest = hashlib.sha256()
    for path, values in sorted(tensors.items()):
        values.flags.writeable = False
        digest.update(f"{path} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return Donor(
        name=name,
        description=description,
        tensors=MappingProxyType(tensors),
        sha256=digest.hexdigest(),
        input_scaling=input_scaling,
        source=source,
    )


def donor_from_model(
    model: keras.Model,
    name: str,
    *,
    description: str = "",
    input_scaling: str | None = None,
) -> Donor:
    """A donor from a model in memory: a copy of its weights as they are now.

    Args:
      model: From `build`, or a Keras application with known stages.
      name: How reports will call it.
      description: Where it comes from.
      input_scaling: The pixels its weights expect; by default what the model says.

    Raises:
      UserError: If the model has no known stages.
    """
    renamed = stable_layer_names([layer.name for layer in model.layers])
    tensors = {}
    for tensor in _backbone_tensors(model):
        layer, _, rest = tensor.path.partition("/")
        tensors[f"{renamed[layer]}/{rest}"] = tensor.value()
    return make_donor(
        name,
        description or f"the model {model.name}",
        tensors,
        input_scaling or input_scaling_of(model),
    )


def donor_from_file(
    path: str | os.PathLike[str],
    model: keras.Model | str,
    *,
    input_scaling: str | None = None,
    file_sha256: str | None = None,
) -> Donor:
    """A donor from a weights file: `.weights.h5`, `.h5` or `.keras`; `.pth` or `.pt`.

    Of PyTorch's, those that `efficientnet_lite_files` knows the names of.

    Only weights are read: nothing in the file is run or deserialised, links to
    other files are refused. Every tensor below the head must be in both the file and
    the model; the head itself may have any width. Shapes are compared when an
    initialization needs them equal, so a slimmed model takes a full donor.

    Args:
      path: The file.
      model: The model that will receive the weights, or a name for `build`.
      input_scaling: The pixels the weights expect; by default what a `.keras`
        file of ours says, else unknown.
      file_sha256: Hexadecimal SHA-256 that the file must have, if given.

    Raises:
      DonorUnavailableError: If there is no such file.
      UserError: If it is no weights file, or not the one with that SHA-256.
      DonorMismatchError: If file and model differ; the message has both sides.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise DonorUnavailableError(f"donor file {file} does not exist")
    if file_sha256 is not None:
        _check_file_sha256(file, file_sha256)
    if isinstance(model, str):
        size = smallest_size(parse_model_name(model).architecture)
        model = build(model, (size, size, 3), 1)
    if file.suffix in TORCH_SUFFIXES:
        stored = read_efficientnet_lite_file(file, model)
    else:
        stored = read_weight_file(file)
    tensors = match_stored_weights(
        stored, _backbone_tensors(model), model, source=str(file)
    )
    return make_donor(
        file.name,
        f"the weights file {file.name}",
        tensors,
        input_scaling or stored.input_scaling,
        source=file,
    )


def _backbone_tensors(model: keras.Model) -> tuple[NamedTensor, ...]:
    return tuple(
        tensor
        for stage in stages(model)
        for layer in stage.layers
        for tensor in layer_tensors(layer)
    )


def _check_file_sha256(file: Path, expected: str) -> None:
    found = files.sha256(file)
    if found != expected.lower():
        raise UserError(
            f"donor file {file} has SHA-256 {found}, expected {expected.lower()}: "
            "it is another file, or damaged"
        )
