"""What an initialization is going to do, and did, tensor by tensor."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from transfusion_tf.models import NamedTensor


@dataclass(frozen=True, eq=False)
class PlannedTensor:
    """One tensor of a model and what it is going to get.

    Attributes:
      tensor: The tensor.
      stage: Its stage's name, or `head`.
      scheme: `random`, `transfer`, `mean_var`, `sampled`, `shuffled`, `identity`
        or `gabor`.
    """

    tensor: NamedTensor
    stage: str
    scheme: str


@dataclass(frozen=True)
class TensorRecord:
    """What one tensor got.

    Attributes:
      path: `conv1/kernel`, `bn1/moving_mean`, ...
      stage: Name of its stage; `head` for the head.
      shape: Its shape.
      scheme: What was applied to this tensor: `random`, `transfer`, `mean_var`,
        `sampled`, `shuffled`, `identity` or `gabor`.
      mean: Mean of the values it has now.
      std: Their standard deviation.
      donor_mean: Mean of the donor's tensor of the same path; None without one.
      donor_std: Its standard deviation.
      resized_from: The donor's shape, where an embedding of positions was resized
        from it; None otherwise.
    """

    path: str
    stage: str
    shape: tuple[int, ...]
    scheme: str
    mean: float
    std: float
    donor_mean: float | None
    donor_std: float | None
    resized_from: tuple[int, ...] | None = None


@dataclass(frozen=True)
class InitializationReport:
    """What `initialize` did to every tensor of a model, in graph order.

    Attributes:
      spec: The spec in canonical form.
      seed: The seed of all draws.
      donor: Name of the donor; None if none was used.
      donor_sha256: Fingerprint of its weights.
      donor_input_scaling: The pixels that the donor's weights expect, where known.
      input_scaling: The pixels that the model gives them.
      tensors: One record a tensor.
    """

    spec: str
    seed: int
    donor: str | None
    donor_sha256: str | None
    donor_input_scaling: str | None
    input_scaling: str | None
    tensors: tuple[TensorRecord, ...]

    def __len__(self) -> int:
        return len(self.tensors)

    def __iter__(self) -> Iterator[TensorRecord]:
        return iter(self.tensors)

    def to_rows(self) -> list[dict[str, Any]]:
        """One plain dict a tensor, for a table or JSON."""
        return [
            {
                **asdict(record),
                "shape": list(record.shape),
                "resized_from": record.resized_from and list(record.resized_from),
            }
            for record in self.tensors
        ]

    def counts(self) -> dict[str, int]:
        """How many tensors each scheme was applied to."""
        return dict(Counter(record.scheme for record in self.tensors))
