"""Optimizers and learning rates of the papers."""

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


def make_optimizer(
    config: RunConfig, train_examples: int
) -> keras.optimizers.Optimizer:
    """The config's optimizer; an epoch has `train_examples / batch_size` steps."""
    rate: Any = config.learning_rate
    if config.schedule == "imagenet":
        rate = ImageNetSchedule(rate, max(1, train_examples // config.batch_size))
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9)
    return FusedAdam(rate, name="adam")
