"""What sets one run apart: a frozen, hashable, readable record."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from transfusion_tf.errors import UserError
from transfusion_tf.training.settings import described, setting, setting_of

# `models.STANDARD_UNITS`, whose module imports Keras.
_STANDARD_UNITS = "imagenet_mean_std"
# Raised where models or training change so that the same fields give another result.
_PROCEDURE = 1
# Fields that leave things to the card or to the architecture where they are not set.
_SILENT = (
    "aspect",
    "batch_norm_images",
    "head_early_stopping",
    "kernel_initializer",
    "one_channel",
    "test_curve",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run. Fields carry the names of the command line's flags.

    Each field says itself what it is, which values are valid and where it is shown:
    see `transfusion_tf.training.settings.Setting`. Fields that are None take the
    dataset card's value when the run is resolved against the prepared data
    (`transfusion_tf.training.resolve`).
    """

    dataset: str = dataclasses.field(
        metadata=described(
            "Card name, or path of a dataset.toml.", recipe="never", location=True
        )
    )
    source: str | None = setting(
        None,
        "Folder that holds the data set's files, or sample: the packaged sample; else "
        "where the card says.",
        recipe="never",
        location=True,
    )
    model: str = dataclasses.field(
        metadata=described("See transfusion_tf.models.model_names().", recipe="never")
    )
    initialization: str = setting(
        "random",
        "random, transfer, mean_var, sampled, shuffled, gabor, transfer:STAGE, "
        "transfer:STAGE+SCHEME; statistics schemes take [bn=...].",
        recipe="never",
    )
    # Feature reuse, section 2: "Random init. (RI) – Kaiming initialization".
    kernel_initializer: str | None = setting(
        None,
        "What convolution kernels that begin random are drawn from: he_normal or "
        "he_uniform (Kaiming's), glorot_uniform; else the architecture's own.",
        choices=("he_normal", "he_uniform", "glorot_uniform"),
    )
    # Its content is in `donor_weights`.
    donor: str | None = setting(
        None,
        "Where transferred weights come from: imagenet, a weight file, a run "
        "directory, or a data set to pretrain on; else imagenet where that has weights "
        "of the model, and drawn_textures where not.",
        recipe="never",
        location=True,
    )
    donor_steps: int | None = setting(
        None,
        "Optimizer steps of a donor that is pretrained on a data set; else the card's.",
        recipe="never",
        location=True,
        at_least=1,
    )
    # As the feature-reuse paper's code does, channel by channel. The one choice is
    # `models.DATASET_MEAN_STD`, whose module imports Keras.
    input_scaling: str | None = setting(
        None,
        "dataset_mean_std: less the mean of the run's training images, over their "
        "standard deviation, in the units that the model's pretrained weights expect; "
        "imagenet_mean_std: ImageNet's mean and deviation; else as these expect.",
        choices=("dataset_mean_std", _STANDARD_UNITS),
    )
    one_channel: bool = setting(
        False,
        "The first layer sees one channel, which is all there is of an image in grey; "
        "of a donor it takes the kernel of red.",
    )
    freeze: str | None = setting(
        None,
        "Last stage that keeps its initial weights, such as block2.",
        recipe="never",
    )
    image_size: int | None = setting(
        None, "Height and width of the model's input; else the card's.", recipe="never"
    )
    aspect: str | None = setting(
        None,
        "What becomes of an image that isn't square: pad with black, crop its centre, "
        "or stretch; else the card's.",
        choices=("pad", "crop", "stretch"),
    )
    train_examples: int | None = setting(
        None, "Size of the nested training subset.", recipe="never", at_least=1
    )
    fold: int | None = setting(
        None,
        "Fold of a cross-validation that is the test split, from 0; else the card's "
        "splits.",
        recipe="never",
    )
    folds: int = setting(5, "How many folds there are, by patient.", at_least=2)
    # `datasets.splits.PROTOCOLS`, whose package imports pandas.
    fold_protocol: str = setting(
        "separate",
        "What weights are chosen on: separate, patients held out of the other folds; "
        "paper, the test fold itself.",
        choices=("separate", "paper"),
    )
    seed: int = setting(
        0, "Of weights, order, augmentation and dropout.", recipe="never"
    )
    batch_size: int = setting(
        8,
        "Examples a step over all devices.",
        from_card=True,
        recipe="always",
        at_least=1,
    )
    steps: int = setting(
        1000,
        "Optimizer steps; runs whose initial weights alone are drawn have 0.",
        from_card=True,
        recipe="always",
        at_least=0,
    )
    eval_every: int = setting(
        100,
        "Steps between evaluations; where that is more than --steps, a fifth of them.",
        from_card=True,
        recipe="always",
        at_least=1,
    )
    test_curve: bool = setting(
        False,
        "Evaluates the test split too, whenever validation is, for curves as papers "
        "show them; nothing is chosen by it.",
    )
    early_stopping: int = setting(
        0,
        "Evaluations without a better validation value that end a run; 0 never does.",
        recipe="always",
        at_least=0,
    )
    steps_per_epoch: int | None = setting(
        None,
        "Where lengths are counted in epochs, the steps that one of them is in steps, "
        "eval_every and head_steps; those of a run are of its own training images.",
        flag=False,
        recipe="never",
        location=True,
        at_least=1,
    )
    # `loss` is the mean loss of an example, better when lower.
    early_stopping_metric: str | None = setting(
        None,
        "What early stopping, plateaus and the best weights go by: loss, or a metric; "
        "else the card's metric.",
    )
    optimizer: str = setting(
        "adam",
        "adam, adamw, or sgd with momentum 0.9.",
        from_card=True,
        recipe="always",
        choices=("adam", "adamw", "sgd"),
    )
    learning_rate: float = setting(
        0.001, "Base learning rate.", from_card=True, recipe="always", above=0
    )
    # Biases, normalizations, class tokens and position embeddings have none. With
    # `adamw` a step takes this share, times its learning rate, off the kernels; with
    # the others the gradient has so many times the kernel added, after any clipping.
    weight_decay: float = setting(
        0.0,
        "Of kernels; of its own with adamw, else an l2 penalty.",
        from_card=True,
        at_least=0,
    )
    gradient_clipping: float | None = setting(
        None, "Largest l2 norm of all gradients together.", above=0
    )
    # `imagenet` is Transfusion, appendix A; `plateau` is feature reuse, section 2.
    schedule: str = setting(
        "constant",
        "constant; imagenet: warm-up, a tenth at epochs 30, 60, 90; plateau: a tenth "
        "whenever validation gains no more; cosine: to zero at the last step.",
        from_card=True,
        recipe="always",
        choices=("constant", "imagenet", "plateau", "cosine"),
    )
    warmup_steps: int = setting(
        0, "First steps over which the rate rises from 0 to its base.", at_least=0
    )
    plateau_patience: int = setting(
        5,
        "Evaluations without a better validation value that make a plateau.",
        at_least=1,
    )
    # Where it is 0, no plateau ends a run.
    minimum_learning_rate: float = setting(
        1e-6,
        "Least rate of --schedule=plateau; the first plateau with it ends a run.",
        at_least=0,
    )
    # Then everything that `freeze` leaves is trained, with a fresh optimizer and
    # schedule, and evaluations begin to count for early stopping and plateaus (hidden
    # representations, section 4.2: "froze all the pre-trained weights to train the
    # classification layer first and then fine-tuned").
    head_steps: int = setting(
        0,
        "First steps that train the head alone; then everything is trained.",
        at_least=0,
    )
    head_learning_rate: float | None = setting(
        None, "Of those steps; else --learning_rate.", above=0
    )
    # The hidden-representations paper's code: two epochs.
    head_early_stopping: int = setting(
        0,
        "Evaluations without a better validation accuracy that end the head's steps; 0 "
        "never does.",
        at_least=0,
    )
    head: str | None = setting(
        None, "sigmoid or softmax; else the card's.", flag=False, recipe="never"
    )
    dropout: float = setting(
        0.0,
        "Share of features dropped before the head.",
        recipe="always",
        at_least=0,
        below=1,
    )
    # The architecture's is 0.9 for CBR and 0.99 for most of `keras.applications`, which
    # takes some 500 steps to settle.
    batch_norm_momentum: float | None = setting(
        None,
        "Of every batch norm; else the architecture's. Of networks of "
        "keras.applications and EfficientNet-Lite, where that is higher, 0.9 in runs "
        "of less than 2000 steps, 0.8 below 200, MobileNetV2 0.99 below 20 000.",
    )
    batch_norm_images: int | None = setting(
        None,
        "Training images on which batch norm's statistics are estimated anew before "
        "each evaluation; 0 leaves the moving averages of training. 256 in "
        "runs of less than 2000 steps of networks of keras.applications and "
        "EfficientNet-Lite, else 0.",
        at_least=0,
    )
    metric: str | None = setting(
        None,
        "What the report compares, and the best weights go by unless "
        "--early_stopping_metric says otherwise; else the card's.",
        flag=False,
        recipe="never",
    )
    augmentation: Mapping[str, Any] | None = setting(
        None,
        "The augmentation policy as plain values; else the card's.",
        flag=False,
        recipe="never",
    )
    mixed_precision: bool = setting(False, "Compute in 16 bits.", recipe="always")
    xla: bool = setting(False, "Compile the training step with XLA.")
    # Filled in by `resolve`, like what the card answers above.
    data: str | None = setting(
        None, "Fingerprint of the prepared data.", flag=False, recipe="never"
    )
    pixel_statistics: Mapping[str, list[float]] | None = setting(
        None,
        "mean and std of dataset_mean_std, RGB in [0, 1].",
        flag=False,
        recipe="never",
    )
    # A key of `models.INPUT_SCALINGS`.
    pixel_units: str | None = setting(
        None,
        "What --input_scaling hands the images over as.",
        flag=False,
        recipe="never",
    )
    donor_weights: str | None = setting(
        None,
        "Content hash of the donor's weights, or its run id.",
        flag=False,
        recipe="never",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                setting_of(field).check(field.name, value)
        self._check(
            "head_steps",
            self.head_steps < max(self.steps, 1),
            f"below --steps={self.steps}",
        )
        self._check(
            "warmup_steps",
            self.schedule != "imagenet" or not self.warmup_steps,
            "0 with --schedule=imagenet, which warms up over 5 epochs",
        )
        self._check(
            "warmup_steps",
            self.schedule != "cosine"
            or self.head_steps + self.warmup_steps < max(self.steps, 1),
            f"below --steps={self.steps} less --head_steps with --schedule=cosine",
        )
        self._check(
            "minimum_learning_rate",
            self.schedule != "plateau"
            or self.minimum_learning_rate <= self.learning_rate,
            f"at most --learning_rate={self.learning_rate:g}",
        )
        self._check(
            "fold",
            self.fold is None or 0 <= self.fold < self.folds,
            f"from 0 to {self.folds - 1}",
        )

    def _check(self, name: str, right: bool, rule: str) -> None:
        if not right:
            raise UserError(f"--{name} must be {rule}, got {getattr(self, name)}")

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
        if values.get("pixel_statistics") and "pixel_units" not in values:
            # Earlier versions left standardised images as they are for all models.
            values = {**values, "pixel_units": _STANDARD_UNITS}
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
        """All that decides the result."""
        values, idle = self.to_dict(), self.idle()
        content = {
            field.name: values[field.name]
            for field in dataclasses.fields(self)
            if field.name not in idle and not setting_of(field).location
        }
        return content | {"procedure": _PROCEDURE}

    def idle(self) -> set[str]:
        """Fields that say nothing for want of another one."""
        idle = {name for name in _SILENT if not getattr(self, name)}
        if self.schedule != "plateau":
            idle |= {"plateau_patience", "minimum_learning_rate"}
        if not self.head_steps:
            idle |= {"head_learning_rate", "head_early_stopping"}
        if self.fold is None:
            idle |= {"folds", "fold_protocol"}
        if self.pixel_units in (None, _STANDARD_UNITS):
            idle.add("pixel_units")
        return idle

    def in_recipe(self, field: dataclasses.Field) -> bool:
        """Whether the report's recipe shows what this config says there."""
        recipe = setting_of(field).recipe
        used = field.name not in self.idle()
        changed = getattr(self, field.name) != field.default
        return recipe == "always" or (recipe == "used" and used and changed)


def recipe_fields(configs: Sequence[RunConfig]) -> list[str]:
    """The fields that a recipe of runs with these configs shows, by name."""
    fields = dataclasses.fields(RunConfig)
    return [f.name for f in fields if any(c.in_recipe(f) for c in configs)]
