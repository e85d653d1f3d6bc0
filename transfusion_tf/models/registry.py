"""Models by name: `build("resnet50[slim_after=block2,width=0.5]", ...)`."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import keras

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.models.backbones import backbone_features, stable_layer_names
from transfusion_tf.models.batch_norm import set_batch_norm_momentum
from transfusion_tf.models.cbr import CBR_ARCHITECTURES, cbr_features
from transfusion_tf.models.heads import HEADS, add_head
from transfusion_tf.models.input_scaling import check_input_scaling, scale_images
from transfusion_tf.models.random_weights import fold_seed, randomize
from transfusion_tf.models.slimming import slim


@dataclass(frozen=True)
class Architecture:
    """What the registry knows of a model.

    Attributes:
        features: From scaled images to the features below the head.
        input_scaling: The scaling that its pretrained weights expect.
        min_size: Least height and width of an image, in pixels.
    """

    features: Callable[[keras.KerasTensor], keras.KerasTensor]
    input_scaling: str
    min_size: int = 64


ARCHITECTURES: dict[str, Architecture] = {
    **{
        name: Architecture(
            functools.partial(cbr_features, architecture=architecture),
            "imagenet_mean_std",
        )
        for name, architecture in CBR_ARCHITECTURES.items()
    },
    "resnet50": Architecture(
        functools.partial(backbone_features, name="resnet50"), "caffe"
    ),
    "inception_v3": Architecture(
        functools.partial(backbone_features, name="inception_v3"),
        "minus_one_to_one",
        min_size=75,
    ),
}


@dataclass(frozen=True)
class ModelSpec:
    """A model's name, taken apart. `str()` of it is the name in canonical form.

    Attributes:
        architecture: A key of `ARCHITECTURES`.
        slim_after: Last stage with all its channels; None for a model not slimmed.
        width: Share of the channels that stay above it.
        input_scaling: A scaling other than the architecture's own; None for that.
    """

    architecture: str
    slim_after: str | None = None
    width: float = 1.0
    input_scaling: str | None = None

    def __str__(self) -> str:
        options = []
        if self.slim_after is not None:
            options += [f"slim_after={self.slim_after}", f"width={self.width:g}"]
        if self.input_scaling is not None:
            options.append(f"input_scaling={self.input_scaling}")
        return self.architecture + (f"[{','.join(options)}]" if options else "")


def model_names() -> tuple[str, ...]:
    """The names that `build` knows, without options."""
    return tuple(ARCHITECTURES)


def parse_model_name(text: str) -> ModelSpec:
    """Takes `name` or `name[key=value,...]` apart.

    Keys: `slim_after` (a stage) and `width` (default 0.5), `input_scaling`. Whether
    the stage exists is seen when the model is built.

    Raises:
        UserError: If the text is malformed, or a name, key or value is not valid;
            the message lists what is.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise UserError(
            f"cannot read model {text!r}: expected a name, or name[key=value,...] "
            "as in resnet50[slim_after=block2,width=0.5]"
        )
    name, inner = match.groups()
    if name not in ARCHITECTURES:
        raise UserError(f"unknown model {name!r}; valid: {', '.join(model_names())}")
    options = _parse_options(text, inner)
    if "width" in options and "slim_after" not in options:
        raise UserError(f"model {text!r}: width needs slim_after=<stage> beside it")
    if "input_scaling" in options:
        check_input_scaling(options["input_scaling"])
    slim_after = options.get("slim_after")
    return ModelSpec(
        architecture=name,
        slim_after=slim_after,
        width=_parse_width(text, options.get("width", "0.5")) if slim_after else 1.0,
        input_scaling=options.get("input_scaling"),
    )


def build(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: float = 0.0,
    seed: int | None = None,
    input_scaling: str | None = None,
    batch_norm_momentum: float | None = None,
    head: str = "sigmoid",
) -> keras.Model:
    """Builds a model with random weights: plain Keras, functional, flat.

    Input: `[batch, height, width, 3]` RGB in [0, 255], float32 or uint8; the model
    scales it as its pretrained weights expect. Output: `[batch, num_classes]`
    float32 probabilities, one sigmoid a class or a softmax, from layer
    `probabilities`; the
    layer `logits` below it gives what a loss should take (`logits_model`).

    Args:
        name: One of `model_names()`, or such a name with options:
            `resnet50[slim_after=block2,width=0.5]` keeps half of the channels
            above `block2`; `resnet50[input_scaling=caffe_over_255]`.
        input_shape: (height, width, 3), in pixels: 64 or more, Inception-v3 75.
            The papers go up to 587.
        num_classes: Width of the head, at least 1.
        dropout: Share of the pooled features dropped in training, in [0, 1).
        seed: Makes weights and dropout a pure function of it; the weights are
            those of `transfusion_tf.initialization`'s `random` for the same seed.
            None draws others each time.
        input_scaling: A key of `INPUT_SCALINGS` that replaces the architecture's
            own, and the name's; for donors that were trained on other pixels.
        batch_norm_momentum: Replaces the architecture's own in every batch norm
            (CBR 0.9, `keras.applications` 0.99); lower it for short runs.
        head: `sigmoid`, each class on its own, or `softmax` over exclusive classes.

    Raises:
        UserError: If an argument is not valid; the message says what would be.
    """
    spec = parse_model_name(name)
    architecture = ARCHITECTURES[spec.architecture]
    _check_arguments(spec.architecture, input_shape, num_classes, dropout)
    if head not in HEADS:
        raise one_of("head", head, HEADS)

    image = keras.Input(tuple(input_shape), dtype="float32", name="image")
    scaling = input_scaling or spec.input_scaling or architecture.input_scaling
    features = architecture.features(scale_images(image, scaling))
    dropout_seed = None if seed is None else fold_seed(seed, "dropout")
    outputs = add_head(features, num_classes, dropout, dropout_seed, head)
    model = _with_stable_names(keras.Model(image, outputs, name=spec.architecture))

    if spec.slim_after is not None:
        model = slim(model, spec.slim_after, spec.width)
    if batch_norm_momentum is not None:
        set_batch_norm_momentum(model, batch_norm_momentum)
    if seed is not None:
        randomize(model, seed)
    return model


def _with_stable_names(model: keras.Model) -> keras.Model:
    renamed = stable_layer_names([layer.name for layer in model.layers])
    if all(old == new for old, new in renamed.items()):
        return model

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(
            {**layer.get_config(), "name": renamed[layer.name]}
        )

    return keras.models.clone_model(model, clone_function=clone)


def _check_arguments(
    name: str, input_shape: tuple[int, int, int], num_classes: int, dropout: float
) -> None:
    if len(input_shape) != 3 or input_shape[2] != 3 or not all(input_shape):
        raise UserError(
            f"input_shape must be (height, width, 3), not {tuple(input_shape)}"
        )
    least = ARCHITECTURES[name].min_size
    if min(input_shape[:2]) < least:
        raise UserError(
            f"{name} takes images of {least}x{least} pixels or more, "
            f"not {input_shape[0]}x{input_shape[1]}"
        )
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    if not 0 <= dropout < 1:
        raise UserError(f"dropout must be in [0, 1), not {dropout}")


def _parse_options(text: str, inner: str | None) -> dict[str, str]:
    valid = ("slim_after", "width", "input_scaling")
    options: dict[str, str] = {}
    for item in (inner or "").split(","):
        if not item.strip() and not (inner or "").strip():
            continue
        key, equals, value = (part.strip() for part in item.partition("="))
        if key not in valid or not equals or not value:
            raise UserError(
                f"model {text!r}: cannot read option {item.strip()!r}; "
                f"expected key=value with a key of {', '.join(valid)}"
            )
        if key in options:
            raise UserError(f"model {text!r}: option {key} is given twice")
        options[key] = value
    return options


def _parse_width(text: str, value: str) -> float:
    try:
        width = float(value)
    except ValueError:
        width = float("nan")
    if not 0 < width < 1:
        raise UserError(
            f"model {text!r}: width must be a number more than 0 and less than 1, "
            f"not {value!r}"
        )
    return width
