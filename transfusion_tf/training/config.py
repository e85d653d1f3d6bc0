"""What sets one run apart: a frozen, hashable, readable record."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from transfusion_tf.errors import UserError, one_of

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("constant", "imagenet")

# What tells where things lie or come from, not what is computed (the donor's content
# is in `donor_weights`): two configs that differ only here are the same run.
_LOCATIONS = ("dataset", "source", "donor", "donor_steps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run. Fields carry the names of the command line's flags.

    Fields that are None take the dataset card's value when the run is resolved
    against the prepared data (`transfusion_tf.training.resolve`).

    Attributes:
      dataset: card name or path of a `dataset.toml`.
      source: where the data set's files lie, or `sample` for the packaged sample;
        None is where the card says.
      model: a name of `transfusion_tf.models.model_names()`, options in brackets.
      initialization: a spec, see `transfusion_tf.initialization.parse_spec`.
      donor: where donor weights come from: `imagenet`, a weight file, a run
        directory, or a dataset card's name (a donor pretrained on it).
      donor_steps: how long a donor is pretrained that a card's name stands for; None
        is as long as that card says.
      freeze: the last stage that keeps its initial weights, or None.
      image_size: height and width of the model's input, in pixels.
      train_examples: how many training examples, nested by seed-free rank; None
        is all of them.
      seed: everything random in the run: weights, order, augmentation, dropout.
      batch_size: examples a step, over all devices together.
      steps: optimizer steps.
      eval_every: steps between evaluations on the validation split.
      early_stopping: evaluations without a better validation metric after which
        the run ends; 0 trains to the last step.
      optimizer: `adam`, or `sgd` with momentum 0.9.
      learning_rate: the base rate, after warm-up where the schedule has one.
      schedule: `constant`, or `imagenet`: linear warm-up over 5 epochs, then a
        tenth at epochs 30, 60 and 90 (Transfusion, appendix A).
      head: `sigmoid` or `softmax`; None is the card's.
      dropout: share of features dropped before the head.
      batch_norm_momentum: of every batch norm's moving statistics; None is the
        architecture's own (0.9 for CBR, 0.99 for `keras.applications`, which takes
        some 500 steps to settle).
      metric: what `best` is chosen by on the validation split.
      augmentation: the card's policy as plain values, or None for the card's.
      mixed_precision: compute in float16 on GPUs, bfloat16 elsewhere.
      xla: compile the training step with XLA.
      data: fingerprint of the prepared data; filled in by `resolve`.
      donor_weights: content hash of the donor's weights or its run id; filled in
        by `resolve`.
    """

    dataset: str
    source: str | None = None
    model: str
    initialization: str = "random"
    donor: str | None = None
    donor_steps: int | None = None
    freeze: str | None = None
    image_size: int | None = None
    train_examples: int | None = None
    seed: int = 0
    batch_size: int = 8
    steps: int = 1000
    eval_every: int = 100
    early_stopping: int = 0
    optimizer: str = "adam"
    learning_rate: float = 0.001
    schedule: str = "constant"
    head: str | None = None
    dropout: float = 0.0
    batch_norm_momentum: float | None = None
    metric: str | None = None
    augmentation: Mapping[str, Any] | None = None
    mixed_precision: bool = False
    xla: bool = False
    data: str | None = None
    donor_weights: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "eval_every"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"--{name} must be at least 1, got {getattr(self, name)}"
                )
        for name in ("train_examples", "donor_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name} must be at least 1, got {value}")
        if self.optimizer not in OPTIMIZERS:
            raise one_of("--optimizer", self.optimizer, OPTIMIZERS)
        if self.schedule not in SCHEDULES:
            raise one_of("--schedule", self.schedule, SCHEDULES)
        if not 0 <= self.dropout < 1:
            raise UserError(f"--dropout must be in [0, 1), got {self.dropout}")
        if not self.learning_rate > 0:
            raise UserError(
                f"--learning_rate must be above 0, got {self.learning_rate}"
            )

    def replace(self, **changes: Any) -> "RunConfig":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """The config that `to_dict` made the values from."""
        names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - names)
        if unknown:
            raise UserError(
                f"run config has unknown fields {', '.join(unknown)}; it was written "
                "by another version of transfusion_tf"
            )
        return cls(**values)

    @property
    def run_id(self) -> str:
        """Readable prefix and a hash of all that decides the result.

        Raises:
          ValueError: the config was not resolved against prepared data.
        """
        if self.data is None:
            raise ValueError("only a resolved config has a run id: call resolve first")
        content = self.to_dict()
        for name in _LOCATIONS:
            del content[name]
        text = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        label = f"{self.model}-{self.initialization}-{self.seed}"
        readable = "".join(c if c.isalnum() or c in "_-" else "-" for c in label)
        return f"{readable.strip('-')}-{digest}"
