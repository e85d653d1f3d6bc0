"""Which devices a run uses."""

import tensorflow as tf

from transfusion_tf.errors import one_of

STRATEGIES = ("auto", "one", "mirrored")


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """A strategy by name.

    Args:
      name: `one` device; `mirrored`: all local GPUs, or all logical CPU devices
        where there is no GPU; `auto`: mirrored with more than one GPU, else one.

    Raises:
      UserError: the name is unknown.
    """
    if name not in STRATEGIES:
        raise one_of("--strategy", name, STRATEGIES)
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one"
    if name == "mirrored":
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "CPU:0")
