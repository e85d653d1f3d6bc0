"""From a spec to weights: a scheme for every tensor, checked, then carried out."""

import warnings
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.errors import UserError
from transfusion_tf.initialization.donors import Donor, donor_from_model
from transfusion_tf.initialization.fitting import (
    check_donor,
    donor_values,
    resized_from,
)
from transfusion_tf.initialization.initialization_report import (
    InitializationReport,
    PlannedTensor,
    TensorRecord,
)
from transfusion_tf.initialization.initializers import (
    DonorInitializer,
    Gabor,
    MeanVar,
    Sampled,
    Shuffled,
    Transferred,
)
from transfusion_tf.initialization.specs import (
    STATISTICS_SCHEMES,
    InitializationSpec,
    parse_spec,
)
from transfusion_tf.models import (
    DATASET_MEAN_STD,
    NamedTensor,
    fold_seed,
    head_layers,
    input_scaling_of,
    layer_tensors,
    stages,
    units_of,
)
from transfusion_tf.models.random_weights import random_values
from transfusion_tf.models.stages import check_stage
from transfusion_tf.models.transformer_layers import EMBEDDINGS

HEAD = "head"

_INITIALIZERS: dict[str, type[DonorInitializer]] = {
    "transfer": Transferred,
    "mean_var": MeanVar,
    "sampled": Sampled,
    "shuffled": Shuffled,
}
_IDENTITY = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}


def initialize(
    model: keras.Model,
    spec: str | InitializationSpec,
    donor: Donor | keras.Model | None = None,
    seed: int = 0,
    *,
    strict_reference: bool = False,
    kernel_initializer: str | None = None,
) -> InitializationReport:
    """Gives every weight of a model its start, as the spec says, in place.

    The head is always random. What a tensor gets depends on the spec's scheme for it,
    the donor's tensor, the seed and the tensor's path, and on nothing else: two specs
    that treat a tensor alike give it the same values. A moving variance that is drawn
    loses its sign. Embeddings of positions are resized where the donor saw images of
    another size. Nothing is written unless all fits.

    Args:
      model: From `build`, slimmed or not.
      spec: As in `transfusion_tf.initialization.specs`: `random`, `transfer`,
        `mean_var[bn=transfer]`, `transfer:block2+mean_var`, ...
      donor: Needed unless the spec is `random` or `gabor`. `gabor` takes the
        filters' magnitude from it, or else from the random first convolution.
        A Keras model stands for `donor_from_model` of it.
      seed: Of all draws.
      strict_reference: The spec's option of this name.
      kernel_initializer: What convolution kernels that begin random are drawn from, as
        Keras names it; None for the architecture's own.

    Returns:
      What was done to every tensor, in graph order.

    Raises:
      UserError: If the spec is not valid for the model, or a donor is missing.
      DonorMismatchError: If a donor tensor that is needed is missing or has another
        shape. Schemes of statistics take a donor tensor with more channels, as a
        slimmed model's donor has; a DeiT cut to its first blocks takes a donor
        with all of them.
    """
    parsed = parse_spec(spec) if isinstance(spec, str) else spec
    if strict_reference:
        parsed = parsed.strictly()
    donor = _needed_donor(parsed, donor)
    plan = plan_tensors(model, parsed)
    if donor is not None:
        check_donor(model, parsed, plan, donor)
        _warn_of_other_pixels(model, donor)
    values = [
        _values(planned, parsed, donor, seed, kernel_initializer) for planned in plan
    ]
    for planned, value in zip(plan, values, strict=True):
        planned.tensor.variable.assign(value)
    tensors = [
        _record(planned, value, donor)
        for planned, value in zip(plan, values, strict=True)
    ]
    return _report(model, parsed, seed, donor, tensors)


def _report(
    model: keras.Model,
    spec: InitializationSpec,
    seed: int,
    donor: Donor | None,
    tensors: Sequence[TensorRecord],
) -> InitializationReport:
    return InitializationReport(
        spec=str(spec),
        seed=seed,
        donor=donor.name if donor else None,
        donor_sha256=donor.sha256 if donor else None,
        donor_input_scaling=donor.input_scaling if donor else None,
        input_scaling=input_scaling_of(model),
        tensors=tuple(tensors),
    )


def _needed_donor(
    spec: InitializationSpec, donor: Donor | keras.Model | None
) -> Donor | None:
    if spec.needs_donor and donor is None:
        raise UserError(
            f"initialization {str(spec)!r} needs a donor: imagenet, a run, or a "
            "weights file (--donor)"
        )
    if spec.scheme == "random":
        return None
    if isinstance(donor, keras.Model):
        return donor_from_model(donor, donor.name)
    return donor


def plan_tensors(
    model: keras.Model, spec: InitializationSpec
) -> tuple[PlannedTensor, ...]:
    """What each tensor of the model is going to get, in graph order, head last.

    Raises:
      UserError: If the spec names a stage that the model lacks.
    """
    if spec.through is not None:
        check_stage(model, spec.through)
    plan = []
    reached = False
    for stage in stages(model):
        scheme = spec.above if reached else spec.scheme
        plan += [
            PlannedTensor(tensor, stage.name, _tensor_scheme(tensor, scheme, spec))
            for layer in stage.layers
            for tensor in layer_tensors(layer)
        ]
        reached = reached or stage.name == spec.through
    if spec.scheme == "gabor":
        plan = _with_gabor_first(plan)
    plan += [
        PlannedTensor(tensor, HEAD, "random")
        for layer in head_layers(model)
        for tensor in layer_tensors(layer)
    ]
    return tuple(plan)


def _tensor_scheme(tensor: NamedTensor, scheme: str, spec: InitializationSpec) -> str:
    if scheme == "gabor":
        return "random"
    if scheme in STATISTICS_SCHEMES and tensor.is_normalization:
        return spec.batch_norm
    if spec.strict_reference and scheme != "random" and tensor.name in EMBEDDINGS:
        return "transfer"
    return scheme


def _with_gabor_first(plan: list[PlannedTensor]) -> list[PlannedTensor]:
    for index, planned in enumerate(plan):
        if planned.tensor.name == "kernel" and len(planned.tensor.shape) == 4:
            first = PlannedTensor(planned.tensor, planned.stage, "gabor")
            return [*plan[:index], first, *plan[index + 1 :]]
    raise UserError("initialization 'gabor' needs a model with a 2-D convolution")


def _warn_of_other_pixels(model: keras.Model, donor: Donor) -> None:
    scaling = input_scaling_of(model)
    expected = donor.input_scaling
    if scaling and expected and scaling.startswith(DATASET_MEAN_STD):
        # What the user asked for, so long as it comes in the donor's units.
        scaling, expected = units_of(scaling), units_of(expected)
    if scaling and expected and scaling != expected:
        warnings.warn(
            f"donor {donor.name!r} was trained on input scaled as "
            f"{expected!r}, but the model scales it as {scaling!r}; build "
            f"it with input_scaling={expected!r} to fit the donor",
            stacklevel=3,
        )


def _values(
    planned: PlannedTensor,
    spec: InitializationSpec,
    donor: Donor | None,
    seed: int,
    kernel_initializer: str | None,
) -> NDArray[np.float32]:
    tensor = planned.tensor
    if planned.scheme == "random":
        return random_values(tensor, seed, kernel_initializer)
    if planned.scheme == "identity":
        return np.full(tensor.shape, _IDENTITY[tensor.name], np.float32)
    if planned.scheme == "gabor":
        if donor:
            return Gabor(donor.tensors[tensor.path]).draw(tensor.shape)
        reference = random_values(tensor, seed, kernel_initializer)
        return Gabor(reference).draw(tensor.shape)
    assert donor is not None  # `initialize` and `check_donor` saw to it
    initializer = _INITIALIZERS[planned.scheme](
        donor_values(planned, donor), seed=fold_seed(seed, tensor.path)
    )
    values = initializer.draw(tensor.shape)
    if tensor.name == "moving_variance":
        # A normal draw may be negative, and a variance must not. The absolute value
        # keeps the magnitudes; clipping would leave many channels at zero, which
        # batch norm then blows up.
        return np.abs(values)
    return values


def _record(
    planned: PlannedTensor, values: NDArray[np.float32], donor: Donor | None
) -> TensorRecord:
    given = donor.tensors.get(planned.tensor.path) if donor else None
    if planned.stage == HEAD:
        given = None
    return TensorRecord(
        path=planned.tensor.path,
        stage=planned.stage,
        shape=planned.tensor.shape,
        scheme=planned.scheme,
        mean=float(values.mean(dtype=np.float64)),
        std=float(values.std(dtype=np.float64)),
        donor_mean=None if given is None else float(given.mean(dtype=np.float64)),
        donor_std=None if given is None else float(given.std(dtype=np.float64)),
        resized_from=resized_from(planned, donor) if donor else None,
    )
