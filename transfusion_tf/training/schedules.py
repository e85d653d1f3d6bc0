"""Optimizers and learning rates of the papers."""

from collections.abc import Iterable
from typing import Any

import keras

from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.fused_adam import FusedAdam


@keras.saving.register_keras_serializable("transfusion_tf")
class ImageNetSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 over 5 epochs, then a tenth at epochs 30, 60 and 90.

    Transfusion, appendix A, for chest radiographs: "inherited from the ImageNet
    training pipeline". Rates change with steps, not whole epochs.
    """

    def __init__(self, learning_rate: float, steps_per_epoch: int):
        super().__init__()
        self.learning_rate = learning_rate
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step: Any) -> Any:
        """The rate at an optimizer step, counted from 0."""
        epoch = keras.ops.cast(step, "float32") / self.steps_per_epoch
        warm_up = keras.ops.minimum(epoch / 5.0, 1.0)
        drops = sum(keras.ops.cast(epoch >= at, "float32") for at in (30, 60, 90))
        return self.learning_rate * warm_up * keras.ops.power(0.1, drops)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "learning_rate": self.learning_rate,
            "steps_per_epoch": self.steps_per_epoch,
        }


@keras.saving.register_keras_serializable("transfusion_tf")
class PlateauSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then the base rate, a tenth of it after each plateau.

    Feature reuse, section 2: "1,000 warm-up iterations [...] we reduce the learning
    rate by a factor of 10 when the validation performance saturates, until we reach a
    final learning rate of 10⁻⁶". What a plateau is the training loop knows, and says
    with `set_plateaus`.

    Args:
      learning_rate: the base rate.
      warmup_steps: the first step with the base rate; 0 for no warm-up.
      minimum: the least rate after it, at most the base rate.
    """

    def __init__(
        self, learning_rate: float, warmup_steps: int = 0, minimum: float = 0.0
    ):
        super().__init__()
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.minimum = minimum
        # A variable, so that the compiled step sees it change.
        self._scale = keras.Variable(
            1.0, trainable=False, dtype="float32", name="learning_rate_scale"
        )

    def set_plateaus(self, count: int) -> None:
        """There have been so many plateaus, 0 or more."""
        self._scale.assign(max(0.1**count, self.minimum / self.learning_rate))

    def __call__(self, step: Any) -> Any:
        """The rate at an optimizer step, counted from 0."""
        rate = self.learning_rate * keras.ops.convert_to_tensor(self._scale)
        if not self.warmup_steps:
            return rate
        share = keras.ops.cast(step, "float32") / self.warmup_steps
        return rate * keras.ops.minimum(share, 1.0)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs; plateaus are the training loop's."""
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "minimum": self.minimum,
        }


def make_optimizer(
    config: RunConfig, train_examples: int
) -> keras.optimizers.Optimizer:
    """The config's optimizer; an epoch has `train_examples / batch_size` steps."""
    rate: Any = config.learning_rate
    if config.schedule == "imagenet":
        rate = ImageNetSchedule(rate, max(1, train_examples // config.batch_size))
    elif config.schedule == "plateau":
        rate = PlateauSchedule(rate, config.warmup_steps, config.minimum_learning_rate)
    elif config.schedule == "cosine":
        rate = _cosine_decay(config)
    elif config.warmup_steps:
        rate = PlateauSchedule(rate, config.warmup_steps)
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9)
    decay = config.weight_decay if config.optimizer == "adamw" else None
    return FusedAdam(rate, weight_decay=decay or None, name=config.optimizer)


def _cosine_decay(config: RunConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """From the base rate to zero at the last step (Loshchilov and Hutter, 2017)."""
    steps = config.steps - config.head_steps - config.warmup_steps
    if not config.warmup_steps:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        steps,
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_steps,
    )


def make_head_optimizer(config: RunConfig) -> keras.optimizers.Optimizer:
    """The optimizer of the steps that train the head alone, at a constant rate."""
    alone = config.replace(
        schedule="constant",
        warmup_steps=0,
        learning_rate=config.head_learning_rate or config.learning_rate,
    )
    return make_optimizer(alone, train_examples=1)


def plateau_schedule(
    optimizer: keras.optimizers.Optimizer,
) -> PlateauSchedule | None:
    """The optimizer's rate where it is to be told of plateaus."""
    rate = optimizer._learning_rate
    return rate if isinstance(rate, PlateauSchedule) else None


def decay_kernels_only(
    optimizer: keras.optimizers.Optimizer, variables: Iterable[keras.Variable]
) -> None:
    """Leaves all but kernels out of the optimizer's own weight decay.

    Call before the optimizer is built.
    """
    others = [variable for variable in variables if not is_kernel(variable)]
    optimizer.exclude_from_weight_decay(var_list=others)


def is_kernel(variable: keras.Variable) -> bool:
    """Whether a weight is a convolution's or a dense layer's kernel.

    Biases, normalizations, class tokens, position embeddings and relative position
    biases are none.
    """
    return variable.name.endswith("kernel")
