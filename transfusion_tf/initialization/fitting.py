"""Whether a donor fits a model, and what of it a tensor is made from."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.initialization.donor_errors import mismatch
from transfusion_tf.initialization.donors import Donor
from transfusion_tf.initialization.initialization_report import PlannedTensor
from transfusion_tf.initialization.resizing import can_be_resized, resized
from transfusion_tf.initialization.specs import STATISTICS_SCHEMES, InitializationSpec
from transfusion_tf.models import INPUT_SCALINGS, cut_blocks

# Schemes that use the donor's values where they stand.
_NEED_SAME_SHAPE = ("transfer", "shuffled")
_TAKERS = ("transfer", *STATISTICS_SCHEMES, "gabor")


def check_donor(
    model: keras.Model,
    spec: InitializationSpec,
    plan: Sequence[PlannedTensor],
    donor: Donor,
) -> None:
    """Raises DonorMismatchError, naming both sides, unless the donor fits the plan.

    A DeiT that is cut to its first blocks takes a donor that has all of them.
    """
    missing = []
    different = []
    for planned in plan:
        tensor = planned.tensor
        if planned.scheme not in _TAKERS:
            continue
        if tensor.path not in donor.tensors:
            missing.append(tensor.path)
            continue
        shape = donor.tensors[tensor.path].shape
        if not _fits(planned, shape):
            different.append(f"{tensor.path} (donor {shape}, model {tensor.shape})")
    extra = []
    if spec.needs_donor and (spec.through is None or spec.above != "random"):
        known = {planned.tensor.path for planned in plan}
        cut = tuple(f"{block}_" for block in cut_blocks(model))
        extra = [
            path
            for path in donor.tensors
            if path not in known and not path.startswith(cut)
        ]
    if missing or different or extra:
        raise mismatch(
            repr(donor.name),
            repr(model.name),
            only_in_donor=extra,
            only_in_model=missing,
            shapes_differ=different,
            purpose=f" for initialization {str(spec)!r}",
        )


def donor_values(planned: PlannedTensor, donor: Donor) -> NDArray[np.float32]:
    """The donor's tensor that this one is made from.

    Statistics are taken of the donor's own values; a scheme that keeps them where they
    stand gets embeddings of positions at the model's size.
    """
    values = donor.tensors[planned.tensor.path]
    if planned.scheme in _NEED_SAME_SHAPE and _takes_red(planned, values.shape):
        scaling = INPUT_SCALINGS.get(donor.input_scaling or "")
        red = 2 if scaling and scaling.reverse_channels else 0
        return values[:, :, red : red + 1]
    if resized_from(planned, donor) is None:
        return values
    return resized(values, planned.tensor)


def resized_from(planned: PlannedTensor, donor: Donor) -> tuple[int, ...] | None:
    """The donor's shape where the tensor gets positions of another size, else None."""
    values = donor.tensors.get(planned.tensor.path)
    if values is None or planned.scheme not in _NEED_SAME_SHAPE:
        return None
    if _takes_red(planned, values.shape):
        return None
    return None if values.shape == planned.tensor.shape else values.shape


def _fits(planned: PlannedTensor, donor: tuple[int, ...]) -> bool:
    model = planned.tensor.shape
    if planned.scheme == "gabor" or can_be_resized(donor, planned.tensor):
        return True
    if _takes_red(planned, donor):
        return True
    if planned.scheme in _NEED_SAME_SHAPE or len(donor) != len(model):
        return donor == model
    return donor[:-2] == model[:-2] and all(
        theirs >= ours for theirs, ours in zip(donor[-2:], model[-2:], strict=True)
    )


def _takes_red(planned: PlannedTensor, donor: tuple[int, ...]) -> bool:
    """Whether it is the first kernel of a model that sees one channel."""
    model = planned.tensor.shape
    return len(model) == 4 and model[2] == 1 and donor == (*model[:2], 3, model[3])
