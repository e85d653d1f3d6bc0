"""Models as they were at one moment: one compiled graph, and the weights of many runs.

Building CBR-Tiny and tracing a forward pass takes 0.8 s of CPU, reading 16 images with
it 0.1. So runs of one shape share a graph that takes its weights as an input, and
compute with it what they would compute with graphs of their own, bit for bit.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError


class Graph:
    """What computes: a model, and the functions that have been traced of it.

    Attributes:
      model: Its weights are scratch; what computes here brings its own.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made of the model under this key, made now if need be."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def function(
        self,
        forward: Callable[..., Any],
        signature: Sequence[Any] | None = None,
        *,
        reduce_retracing: bool = True,
    ) -> Callable[..., Any]:
        """A compiled function that takes the model's weights before its inputs.

        Args:
          forward: Calls the model, or another of its layers, in inference.
          signature: Of the inputs; None traces them as they come.
          reduce_retracing: Whether one graph serves inputs of several shapes.
        """
        variables = self.model.weights
        if signature is not None:
            weights = [tf.TensorSpec(v.shape, v.dtype) for v in variables]
            signature = [weights, *signature]

        @tf.function(
            input_signature=signature,
            # Nothing here branches on a tensor; converting took half of the tracing.
            autograph=False,
            reduce_retracing=reduce_retracing and signature is None,
        )
        def computed(weights: Sequence[tf.Tensor], *inputs: Any) -> Any:
            state = list(zip(variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=state):
                return forward(*inputs)

        return computed

    @property
    def size(self) -> int:
        """Bytes of the model's weights."""
        return sum(4 * int(np.prod(v.shape)) for v in self.model.weights)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model at one moment.

    Attributes:
      graph: What computes with it; other snapshots may share it.
      weights: One tensor for each of the model's weights, in their order.
    """

    graph: Graph
    weights: tuple[tf.Tensor, ...]

    @staticmethod
    def of(model: "keras.Model | Snapshot", graph: Graph | None = None) -> "Snapshot":
        """A model as it is now, and stays here whatever becomes of it.

        Args:
          model: A model; a snapshot is handed back.
          graph: That the model is of; None makes one.
        """
        if isinstance(model, Snapshot):
            return model
        weights = [tf.convert_to_tensor(v.value) for v in model.weights]
        return Snapshot(graph or Graph(model), tuple(weights))

    @property
    def model(self) -> keras.Model:
        """How it is built; the values of its variables are not the snapshot's."""
        return self.graph.model

    def value(self, variable: keras.Variable) -> np.ndarray:
        """The snapshot's value of one of the model's weights."""
        found = [own is variable for own in self.model.weights].index(True)
        return self.weights[found].numpy()

    def restore(self) -> keras.Model:
        """The graph's model with these weights, until another snapshot restores it."""
        for variable, value in zip(self.model.weights, self.weights, strict=True):
            variable.assign(value)
        return self.model


Model: TypeAlias = "keras.Model | Snapshot"


def architecture(model: Model) -> keras.Model:
    """The Keras model that says how a model or a snapshot is built."""
    return model.model if isinstance(model, Snapshot) else model


def check_image_sizes(models: Mapping[str, Model]) -> None:
    """Raises UserError unless all models take images of the same size."""
    first, *others = models.items()
    for name, model in others:
        sizes = [
            " × ".join(
                str(side or "any") for side in architecture(each).input_shape[1:3]
            )
            for each in (first[1], model)
        ]
        if sizes[0] != sizes[1]:
            raise UserError(
                f"{first[0]} takes images of {sizes[0]} pixels and {name} of "
                f"{sizes[1]}: they cannot be given the same images. Compare models "
                "of one image size"
            )


def check_finite(snapshot: Snapshot, name: str) -> None:
    """Raises UserError where a weight of what is called `name` is NaN or infinite.

    Fused ReLUs turn NaN into 0 on some devices: a broken model would look dead.
    """
    for variable, value in zip(snapshot.model.weights, snapshot.weights, strict=True):
        if not np.isfinite(value.numpy()).all():
            raise UserError(f"{name} is broken: {variable.path} holds NaN or infinity")
