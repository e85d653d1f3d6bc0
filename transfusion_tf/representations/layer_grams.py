"""Gram matrices of all layers of a model, in one forward pass."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.representations.blas_threads import one_blas_thread
from transfusion_tf.representations.grams import gram_matrix
from transfusion_tf.representations.outputs import named_outputs
from transfusion_tf.representations.pairwise_cka import MIN_POINTS
from transfusion_tf.representations.parts import HEAD, KINDS, model_parts
from transfusion_tf.representations.snapshots import Graph, Model, Snapshot
from transfusion_tf.representations.tokens import (
    TOKENS,
    class_tokens_of,
    select_tokens,
    token_kinds,
)


@dataclass(frozen=True)
class LayerSettings:
    """What is compared, and on how many images.

    Attributes:
      kind: `layer`, each where its normalization and activation are done; `unit`;
        `branch`, what the paper's axes show; or `stage`. See `model_parts`.
      names: Stages or layers by name instead; None takes all of `kind`.
      tokens: Which tokens of transformers: `class`, `spatial` or `both`. `class`
        takes only layers that have a class token.
      most_images: Images at most, drawn at random.
      seed: Seed of the draw.
      batch_size: Images a forward pass, 8 or more.
      progress: Whether to show a progress bar.
    """

    kind: str = "layer"
    names: tuple[str, ...] | None = None
    tokens: str = "both"
    most_images: int = 2000
    seed: int = 0
    batch_size: int = 16
    progress: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise one_of("kind of part", self.kind, KINDS)
        if self.tokens not in TOKENS:
            raise one_of("kind of tokens", self.tokens, TOKENS)
        # Batches are evened out, and a batch of 7 might become one of 4 and one of 3.
        if self.batch_size < 2 * MIN_POINTS:
            raise UserError(
                f"CKA needs a batch size of {2 * MIN_POINTS} or more, got "
                f"{self.batch_size}"
            )


class GramReader:
    """Reads a batch's Gram matrices of all layers in one forward pass.

    Attributes:
      layers: Name and stage of each; the stage is empty where it is not known.
    """

    def __init__(self, model: Model, settings: LayerSettings):
        snapshot = Snapshot.of(model)
        key = ("grams", settings.kind, settings.names, settings.tokens)
        self._graph = snapshot.graph.once(
            key, lambda: _GramGraph(snapshot.graph, settings)
        )
        self._weights = snapshot.weights
        self.layers = self._graph.layers

    def grams(self, batch: tf.Tensor) -> tf.Tensor:
        """[layers, n, n] float64 of images [n, height, width, 3] float32."""
        with one_blas_thread():
            return self._graph.read(self._weights, batch)


class _GramGraph:
    """A function from weights and a batch to all layers' Gram matrices."""

    def __init__(self, graph: Graph, settings: LayerSettings):
        model = graph.model
        found = _outputs(model, settings)
        self.layers = [(name, stage) for name, stage, _ in found]
        self._tokens = settings.tokens
        self._class_tokens = class_tokens_of(model)
        self._outputs = keras.Model(model.inputs, [output for *_, output in found])
        # The graph knows the batch's size; batches have two sizes at most.
        self.read = graph.function(self._forward, reduce_retracing=False)

    def _forward(self, batch: tf.Tensor) -> tf.Tensor:
        # Of a single layer Keras gives the tensor, not a list.
        activations = keras.tree.flatten(self._outputs(batch, training=False))
        chosen = [
            select_tokens(layer, self._tokens, self._class_tokens)
            for layer in activations
        ]
        return tf.stack([gram_matrix(layer) for layer in chosen])


def _outputs(
    model: keras.Model, settings: LayerSettings
) -> list[tuple[str, str, keras.KerasTensor]]:
    """Name, stage and tensor of what is compared."""
    if settings.names is None:
        found = [
            (part.name, part.stage, part.output)
            for part in model_parts(model, settings.kind)
            if part.output is not None
            # The authors' figures end below the head.
            and not (settings.kind == "branch" and part.stage == HEAD)
        ]
    else:
        stage_of = _stages_by_name(model)
        found = [
            (name, stage_of.get(name, ""), output)
            for name, output in named_outputs(model, settings.names).items()
        ]
    if settings.tokens == "both":
        return found
    # Tokens that nobody can tell apart are an error here, not in the graph.
    count = class_tokens_of(model)
    kinds = {name: token_kinds(out.shape, count) for name, _, out in found}
    if settings.tokens == "spatial":
        return found
    without = [name for name, own in kinds.items() if own != TOKENS]
    if (settings.names is not None and without) or len(without) == len(found):
        raise UserError(
            f"model {model.name!r} has no class token at {', '.join(without[:8])}: "
            "compare spatial tokens, or both"
        )
    return [row for row in found if row[0] not in without]


def _stages_by_name(model: keras.Model) -> dict[str, str]:
    """Layer or stage -> its stage; nothing where the model's stages are not known."""
    try:
        parts = [*model_parts(model, "layer"), *model_parts(model, "stage")]
    except UserError:
        return {}
    return {part.name: part.stage for part in parts}
