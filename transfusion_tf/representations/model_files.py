"""Whole models from `.keras` files that may come from anywhere.

A `.keras` file says in JSON which layers to make, and Keras makes them: some run code
that the file brings, some load other files. Keras's `safe_mode` refuses those that it
knows of, while it builds the model. Here the whole file is looked through first, by a
list of what may be in it, and the model's size is compared with its weights'.
"""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.files import check_expansion
from transfusion_tf.initialization.weight_files import check_archive
from transfusion_tf.input_pipeline.seeded_layers import UNSAFE_LAYERS

# Where Keras's own layers, operations and what belongs to them come from.
_PARTS = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "quantizers",
    "random",
    "regularizers",
)
_MODULES = (
    *(f"keras.{part}" for part in _PARTS),
    *(f"keras.src.{part}" for part in _PARTS),
    "keras_hub.layers",
    "keras_hub.models",
    "keras_hub.src.layers",
    "keras_hub.src.models",
    # Learning rates, initializers.
    "transfusion_tf.training.schedules",
    "transfusion_tf.initialization.initializers",
    # Of our transformers.
    "transfusion_tf.models.transformer_layers",
)
_FUNCTION_MODULES = ("builtins", "keras.activations", "keras.ops")
# Values that Keras writes as if they were objects.
_VALUES = (
    "__bytes__",
    "__ellipsis__",
    "__keras_tensor__",
    "__numpy__",
    "__slice__",
    "__tensor__",
)


def load_model_file(path: Path) -> keras.Model:
    """The model of a `.keras` file, if it is made of nothing but Keras's layers.

    Raises:
      UserError: If the file is damaged; if it holds code, custom objects, layers
        that load other files, or links; if model or weights are far larger than
        what is stored; or if Keras cannot build it.
    """
    config = check_archive(path)
    try:
        for found in _objects(json.loads(config)):
            _check_object(found)
        check_expansion("its model", _model_bytes(config), path.stat().st_size)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the file made it stumble over
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{path} is no .keras model that can be loaded safely: {reason[0][:300]}"
        ) from error


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    """All that Keras would make an object of, however deep it lies."""
    rest = [values]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)


def _check_object(found: dict[str, Any]) -> None:
    name, module = found["class_name"], found.get("module")
    if name in _VALUES:
        return
    if name == "function":
        known = module in _FUNCTION_MODULES
        name = found.get("config")
    else:
        # Keras looks up "module.name": a dot in the name would lead elsewhere.
        known = module == "keras" or str(module).startswith(
            tuple(f"{allowed}." for allowed in _MODULES)
        )
        known = known or module in _MODULES
    known = known and isinstance(name, str) and name.isidentifier()
    if not known or name in UNSAFE_LAYERS:
        raise UserError(
            f"it holds {module}.{name}, which is none of Keras's own layers, or one "
            "that runs code or reads other files; take its weights alone, as a donor"
        )


def _model_bytes(config: bytes) -> int:
    """What the model's variables will take, of which none is made."""

    def measure() -> int:
        with keras.StatelessScope(initialize_variables=False):
            values = json.loads(config, object_hook=_uncompiled)
            model = keras.models.model_from_json(json.dumps(values))
            return sum(4 * math.prod(v.shape) for v in model.variables)

    # In a thread of its own, for Keras keeps a thread's list of variables to make.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(measure).result()


def _uncompiled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "compile_config"}
