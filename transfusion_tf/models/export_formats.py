"""A model as a file that others run: `.keras`, SavedModel, ONNX or LiteRT, and back."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfusion_tf.errors import UserError, one_of

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ExportFormat:
    """One of the formats.

    Attributes:
      name: Of the format.
      title: The same for people.
      file: Name of the file, or the folder, that holds the model.
      modules: What has to be installed to write and to read it; of the extra `export`.
      write: Writes a model there.
      read: A function from pixels, float32 [images, height, width, 3] in [0, 255], to
        probabilities [images, classes].
      loading: The same for a user: lines of Python from `pixels` to `probabilities`.
    """

    name: str
    title: str
    file: str
    modules: tuple[str, ...]
    write: Callable[[keras.Model, Path], None]
    read: Callable[[Path], Predict]
    loading: str


def export_format(name: str) -> ExportFormat:
    """The format of that name, if what it needs is installed.

    Raises:
      UserError: No such format, or its packages are missing.
    """
    if name not in FORMATS:
        raise one_of("format", name, FORMATS)
    found = FORMATS[name]
    for module in found.modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(
                f"--format={name} needs {module}, which cannot be imported ({error}): "
                "pip install 'transfusion_tf[export]'; keras and saved_model need no "
                "more than is there"
            ) from error
    return found


def loading_code(form: ExportFormat, model: keras.Model) -> str:
    """The format's `loading`, for this model: Keras has to know layers of ours."""
    modules = {type(layer).__module__.partition(".")[0] for layer in model.layers}
    if form.name == "keras" and "transfusion_tf" in modules:
        return "import transfusion_tf.models  # The layers.\n" + form.loading
    return form.loading


def _write_keras(model: keras.Model, path: Path) -> None:
    model.save(path)


def _read_keras(path: Path) -> Predict:
    model = keras.models.load_model(path, compile=False)
    return lambda pixels: model.predict(pixels, verbose=0)


def _write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _read_saved_model(path: Path) -> Predict:
    layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
    return lambda pixels: keras.ops.convert_to_numpy(layer(pixels))


def _write_onnx(model: keras.Model, path: Path) -> None:
    _teach_erfc()
    pixels = keras.InputSpec("float32", model.input_shape, name="image")
    model.export(path, format="onnx", verbose=False, input_signature=[pixels])


def _read_onnx(path: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path))
    return lambda pixels: session.run(None, {"image": pixels})[0]


def _write_litert(model: keras.Model, path: Path) -> None:
    model.export(path, format="litert", verbose=False)


def _read_litert(path: Path) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(os.fspath(path)).get_signature_runner()
    return lambda pixels: run(image=pixels)["output_0"]


def _teach_erfc() -> None:
    """Tells tf2onnx 1.17 what it lacks: erfc, of the exact GELU of transformers.

    As 1 − erf, whose error stays at float32's rounding where it is multiplied by the
    input and halved.
    """
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class _Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            kind, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
            inputs, output = list(node.input), node.output[0]
            erf = ctx.make_node("Erf", inputs, dtypes=[kind], shapes=[shape])
            one = ctx.make_const(f"{node.name}_one", np.ones((), np.float32))
            ctx.remove_node(node.name)
            ctx.make_node(
                "Sub",
                [one.output[0], erf.output[0]],
                outputs=[output],
                dtypes=[kind],
                shapes=[shape],
            )


_ALL = (
    ExportFormat(
        "keras",
        "Keras, whole",
        "model.keras",
        (),
        _write_keras,
        _read_keras,
        """\
import keras

model = keras.models.load_model("model.keras", compile=False)
probabilities = model.predict(pixels)""",
    ),
    ExportFormat(
        "saved_model",
        "TensorFlow SavedModel",
        "saved_model",
        (),
        _write_saved_model,
        _read_saved_model,
        """\
import tensorflow as tf

model = tf.saved_model.load("saved_model")
probabilities = model.serve(pixels).numpy()""",
    ),
    ExportFormat(
        "onnx",
        "ONNX",
        "model.onnx",
        ("tf2onnx", "onnxruntime"),
        _write_onnx,
        _read_onnx,
        """\
import onnxruntime

model = onnxruntime.InferenceSession("model.onnx")
(probabilities,) = model.run(None, {"image": pixels})""",
    ),
    ExportFormat(
        "litert",
        "LiteRT (TensorFlow Lite)",
        "model.tflite",
        ("ai_edge_litert.interpreter",),
        _write_litert,
        _read_litert,
        """\
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("model.tflite").get_signature_runner()
probabilities = model(image=pixels)["output_0"]""",
    ),
)
FORMATS = {one.name: one for one in _ALL}
