"""Models by name: `build("resnet50[slim_after=block2,width=0.5]", ...)`."""

from collections.abc import Mapping, Sequence

import keras

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.models.architectures import ARCHITECTURES, check_image_size
from transfusion_tf.models.batch_norm import set_batch_norm_momentum
from transfusion_tf.models.heads import HEADS, add_head
from transfusion_tf.models.input_scaling import (
    INPUT_SCALINGS,
    check_input_scaling,
    dataset_scaling,
    scale_images,
)
from transfusion_tf.models.layer_names import stable_layer_names
from transfusion_tf.models.model_spec import parse_model_name
from transfusion_tf.models.random_weights import randomize, seed_random_layers
from transfusion_tf.models.slimming import slim


def build(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: float = 0.0,
    seed: int | None = None,
    input_scaling: str | None = None,
    pixel_statistics: Mapping[str, Sequence[float]] | None = None,
    batch_norm_momentum: float | None = None,
    one_channel: bool = False,
    head: str = "sigmoid",
) -> keras.Model:
    """Builds a model with random weights: plain Keras, functional, flat.

    Input: `[batch, height, width, 3]` RGB in [0, 255], float32 or uint8; the model
    scales it as its pretrained weights expect. Output: `[batch, num_classes]` float32
    probabilities from layer `probabilities`; the layer `logits` below it gives what a
    loss should take (`logits_model`).

    Args:
      name: One of `model_names()`, or such a name with options:
        `resnet50[slim_after=block2,width=0.5]` keeps half of the channels above
        `block2`; `deit_s[blocks=5]` is its first five blocks;
        `resnet50[input_scaling=caffe_over_255]`.
      input_shape: (height, width, 3), in pixels: 32 or more, Xception 71,
        Inception-v3 75. DeiT takes multiples of its patch (16, deit_mini 8), Swin of 32
        (swin_mini 16).
      num_classes: Width of the head, at least 1.
      dropout: Share of the head's features dropped in training, in [0, 1).
      seed: Of weights and random layers; the weights are those of
        `transfusion_tf.initialization`'s `random`. None draws others each time.
      input_scaling: A key of `INPUT_SCALINGS` that replaces the architecture's own,
        and the name's; for donors that were trained on other pixels.
      pixel_statistics: `mean` and `std` of the images, which then reach the weights
        as ImageNet's would by that scaling, see `dataset_scaling`.
      batch_norm_momentum: Replaces the architecture's own in every batch norm
        (CBR 0.9, most of `keras.applications` 0.99); lower it for short runs.
      one_channel: Whether the first layer sees red alone, which is all there is of an
        image in grey; of a donor it then takes the kernel of red.
      head: `sigmoid`, each class on its own, or `softmax` over exclusive classes.

    Raises:
      UserError: If an argument is not valid, or KerasHub is needed and not installed.
    """
    spec = parse_model_name(name)
    architecture = ARCHITECTURES[spec.architecture]
    _check_arguments(spec.architecture, input_shape, num_classes, dropout, head)

    image = keras.Input(tuple(input_shape), dtype="float32", name="image")
    units = input_scaling or spec.input_scaling or architecture.input_scaling
    pixels = _pixels(image, units, pixel_statistics, one_channel)
    cut = {"blocks": spec.blocks} if architecture.takes_blocks else {}
    features = architecture.features(pixels, **cut)
    outputs = add_head(features, num_classes, dropout, head)
    model = _with_stable_names(keras.Model(image, outputs, name=spec.architecture))
    if spec.slim_after is not None:
        model = slim(model, spec.slim_after, spec.width)
    if batch_norm_momentum is not None:
        set_batch_norm_momentum(model, batch_norm_momentum)
    if seed is not None:
        _seed(model, seed)
    return model


def _seed(model: keras.Model, seed: int) -> None:
    """Random weights and random layers of the seed."""
    randomize(model, seed)
    seed_random_layers(model, seed)


def _pixels(
    image: keras.KerasTensor,
    units: str,
    pixel_statistics: Mapping[str, Sequence[float]] | None,
    one_channel: bool,
) -> keras.KerasTensor:
    """What the first layer sees of images in [0, 255]; see `build`."""
    check_input_scaling(units)
    scaling = INPUT_SCALINGS[units]
    if pixel_statistics is not None:
        scaling = dataset_scaling(pixel_statistics, units)
    pixels = scale_images(image, scaling)
    if one_channel:
        pixels = pixels[..., -1:] if scaling.reverse_channels else pixels[..., :1]
    return pixels


def _with_stable_names(model: keras.Model) -> keras.Model:
    renamed = stable_layer_names([layer.name for layer in model.layers])
    if all(old == new for old, new in renamed.items()):
        return model

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        # Keras hands over operations too, which are no layers and keep their names.
        name = renamed.get(layer.name, layer.name)
        return type(layer).from_config({**layer.get_config(), "name": name})

    return keras.models.clone_model(model, clone_function=clone)


def _check_arguments(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    dropout: float,
    head: str,
) -> None:
    if len(input_shape) != 3 or input_shape[2] != 3 or not all(input_shape):
        raise UserError(
            f"input_shape must be (height, width, 3), not {tuple(input_shape)}"
        )
    check_image_size(name, *input_shape[:2])
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    if not 0 <= dropout < 1:
        raise UserError(f"dropout must be in [0, 1), not {dropout}")
    if head not in HEADS:
        raise one_of("head", head, HEADS)
