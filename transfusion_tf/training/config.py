"""What sets one run apart: a frozen, hashable, readable record."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from transfusion_tf.datasets.splits import PROTOCOLS
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.models import DATASET_MEAN_STD

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "imagenet", "plateau")

# What tells where things lie or come from, not what is computed (the donor's content
# is in `donor_weights`): two configs that differ only here are the same run.
_LOCATIONS = ("dataset", "source", "donor", "donor_steps")

# Fields of later versions, and those that say nothing without another one. They count
# only where they change the result, so that earlier runs keep their ids.
_LATER = (
    *("weight_decay", "warmup_steps", "plateau_patience", "minimum_learning_rate"),
    *("gradient_clipping", "early_stopping_metric", "head_steps", "head_learning_rate"),
    *("fold", "folds", "fold_protocol", "input_scaling", "pixel_statistics"),
)
_LATER_AUGMENTATION = {
    **{"random_crop": 1.0, "grayscale": 0.0},
    **{"brightness": 0.0, "saturation": 0.0, "color_share": 1.0},
}


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
      input_scaling: what the model does to its pixels: None is what its name says, or
        its pretrained weights expect; `dataset_mean_std` takes the mean of the run's
        training images off them and divides by their standard deviation, channel by
        channel, as the feature-reuse paper's code does.
      freeze: the last stage that keeps its initial weights, or None.
      image_size: height and width of the model's input, in pixels.
      train_examples: how many training examples, nested by seed-free rank; None
        is all of them.
      fold: which fold of a cross-validation is the test split, from 0; None takes the
        card's splits.
      folds: how many folds there are, alike in their classes, by patient.
      fold_protocol: what validation is: `separate`, patients held out of the other
        folds; `paper`, the test fold itself (see `datasets.fold_examples`).
      seed: everything random in the run: weights, order, augmentation, dropout.
      batch_size: examples a step, over all devices together.
      steps: optimizer steps.
      eval_every: steps between evaluations on the validation split.
      early_stopping: evaluations without a better value of `early_stopping_metric`
        after which the run ends; 0 trains to the last step.
      early_stopping_metric: what early stopping, the plateaus and the best weights
        go by on the validation split: None is `metric`; `loss`, the mean loss of an
        example, is better when lower.
      optimizer: `adam`, `adamw`, or `sgd` with momentum 0.9.
      learning_rate: the base rate, after warm-up.
      weight_decay: of kernels; biases, normalizations, class tokens and position
        embeddings have none. With `adamw` a step takes this share, times its learning
        rate, off them; with the others it is an l2 penalty: the gradient has so many
        times the kernel added, after any clipping.
      gradient_clipping: largest l2 norm of all gradients together, or None.
      schedule: `constant`; `imagenet`: linear warm-up over 5 epochs, then a tenth at
        epochs 30, 60 and 90 (Transfusion, appendix A); `plateau`: a tenth after every
        `plateau_patience` evaluations without a better value (feature reuse, section
        2).
      warmup_steps: first steps over which the rate rises from 0 to the base rate in a
        line; not for `imagenet`, which has a warm-up of its own.
      plateau_patience: evaluations after the warm-up without a better value of
        `early_stopping_metric` that make a plateau.
      minimum_learning_rate: the least rate of `plateau`; a run ends at the first
        plateau with it, and never where it is 0.
      head_steps: first steps that train the head alone, above frozen weights and
        statistics; then everything that `freeze` leaves is trained, with a fresh
        optimizer and schedule, and evaluations begin to count for early stopping and
        plateaus (hidden representations, section 4.2: "froze all the pre-trained
        weights to train the classification layer first and then fine-tuned").
      head_learning_rate: of those steps, constant; None is `learning_rate`.
      head: `sigmoid` or `softmax`; None is the card's.
      dropout: share of features dropped before the head.
      batch_norm_momentum: of every batch norm's moving statistics; None is the
        architecture's own (0.9 for CBR, 0.99 for `keras.applications`, which takes
        some 500 steps to settle).
      metric: what the report compares; `best` is chosen by it on the validation split,
        unless `early_stopping_metric` says otherwise.
      augmentation: the card's policy as plain values, or None for the card's.
      mixed_precision: compute in float16 on GPUs, bfloat16 elsewhere.
      xla: compile the training step with XLA.
      data: fingerprint of the prepared data; filled in by `resolve`.
      pixel_statistics: `mean` and `std` of `dataset_mean_std`, RGB in [0, 1]; filled in
        by `resolve`.
      donor_weights: content hash of the donor's weights or its run id; filled in
        by `resolve`.
    """

    dataset: str
    source: str | None = None
    model: str
    initialization: str = "random"
    donor: str | None = None
    donor_steps: int | None = None
    input_scaling: str | None = None
    freeze: str | None = None
    image_size: int | None = None
    train_examples: int | None = None
    fold: int | None = None
    folds: int = 5
    fold_protocol: str = "separate"
    seed: int = 0
    batch_size: int = 8
    steps: int = 1000
    eval_every: int = 100
    early_stopping: int = 0
    early_stopping_metric: str | None = None
    optimizer: str = "adam"
    learning_rate: float = 0.001
    weight_decay: float = 0.0
    gradient_clipping: float | None = None
    schedule: str = "constant"
    warmup_steps: int = 0
    plateau_patience: int = 5
    minimum_learning_rate: float = 1e-6
    head_steps: int = 0
    head_learning_rate: float | None = None
    head: str | None = None
    dropout: float = 0.0
    batch_norm_momentum: float | None = None
    metric: str | None = None
    augmentation: Mapping[str, Any] | None = None
    mixed_precision: bool = False
    xla: bool = False
    data: str | None = None
    pixel_statistics: Mapping[str, list[float]] | None = None
    donor_weights: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "eval_every", "plateau_patience"):
            self._check(name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("train_examples", "donor_steps"):
            value = getattr(self, name)
            self._check(name, value is None or value >= 1, "must be at least 1")
        for name in ("weight_decay", "warmup_steps", "minimum_learning_rate"):
            self._check(name, getattr(self, name) >= 0, "must be at least 0")
        self._check("learning_rate", self.learning_rate > 0, "must be above 0")
        for name in ("gradient_clipping", "head_learning_rate"):
            value = getattr(self, name)
            self._check(name, value is None or value > 0, "must be above 0")
        for name, valid in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("fold_protocol", PROTOCOLS),
        ):
            if getattr(self, name) not in valid:
                raise one_of(f"--{name}", getattr(self, name), valid)
        if self.input_scaling not in (None, DATASET_MEAN_STD):
            raise one_of("--input_scaling", self.input_scaling, (DATASET_MEAN_STD,))
        self._check("dropout", 0 <= self.dropout < 1, "must be in [0, 1)")
        self._check(
            "head_steps",
            0 <= self.head_steps < self.steps,
            f"must be at least 0 and below --steps={self.steps}",
        )
        self._check_schedule()
        self._check("folds", self.folds >= 2, "must be at least 2")
        self._check(
            "fold",
            self.fold is None or 0 <= self.fold < self.folds,
            f"must be from 0 to {self.folds - 1}",
        )

    def _check_schedule(self) -> None:
        self._check(
            "warmup_steps",
            self.schedule != "imagenet" or not self.warmup_steps,
            "must be 0 with --schedule=imagenet, which warms up over 5 epochs",
        )
        self._check(
            "minimum_learning_rate",
            self.schedule != "plateau"
            or self.minimum_learning_rate <= self.learning_rate,
            f"must be at most --learning_rate={self.learning_rate:g}",
        )

    def _check(self, name: str, right: bool, rule: str) -> None:
        if not right:
            raise UserError(f"--{name} {rule}, got {getattr(self, name)}")

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
        text = json.dumps(self._content(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        label = f"{self.model}-{self.initialization}-{self.seed}"
        readable = "".join(c if c.isalnum() or c in "_-" else "-" for c in label)
        return f"{readable.strip('-')}-{digest}"

    def _content(self) -> dict[str, Any]:
        """All that decides the result, and no more than earlier versions had."""
        content = self.to_dict()
        idle = {field.name: field.default for field in dataclasses.fields(self)}
        if self.schedule != "plateau":
            content["plateau_patience"] = idle["plateau_patience"]
            content["minimum_learning_rate"] = idle["minimum_learning_rate"]
        if not self.head_steps:
            content["head_learning_rate"] = None
        if self.fold is None:
            content["folds"] = idle["folds"]
            content["fold_protocol"] = idle["fold_protocol"]
        for name in _LATER:
            if content[name] == idle[name]:
                del content[name]
        for name in _LOCATIONS:
            del content[name]
        if content["augmentation"] is not None:
            content["augmentation"] = {
                name: value
                for name, value in content["augmentation"].items()
                if (name, value) not in _LATER_AUGMENTATION.items()
            }
        return content
