"""Which devices a run uses, and with whom."""

import contextlib
import os

import tensorflow as tf

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.training.distributed.cluster import Cluster
from transfusion_tf.training.distributed.joining import join_cluster
from transfusion_tf.training.run_options import STRATEGIES, RunOptions
from transfusion_tf.training.workers import Workers


def join(options: RunOptions) -> Workers:
    """This process's place in a training, with the strategy that the options ask for.

    Many hosts meet at the first call; later ones return the same strategy.

    Raises:
      UserError: devices or workers that cannot be used; a worker that does not come.
    """
    use_threads(options.threads)
    cluster = options.cluster
    if options.strategy == "multi_worker" and cluster is None:
        cluster = Cluster.from_environment()
        if cluster is None:
            raise UserError(
                "--strategy=multi_worker needs --workers=host:port,host:port and "
                "--worker, or TF_CONFIG in the environment"
            )
    if cluster and options.strategy in ("auto", "multi_worker"):
        if options.logical_devices > 1:
            raise UserError(
                "--logical_devices is for one process: start more workers instead"
            )
        if len(cluster.workers) > 1:
            return join_cluster(cluster)
    if options.logical_devices > 1 and options.strategy == "one":
        raise UserError("--logical_devices is for --strategy=mirrored or auto, not one")
    split_cpu(options.logical_devices)
    local = "auto" if options.strategy == "multi_worker" else options.strategy
    return Workers(make_strategy(local))


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """A strategy for the devices of this host, by name.

    Args:
      name: `one` device; `mirrored`: all local GPUs, or all logical CPU devices
        where there is no GPU; `auto`: mirrored with more than one GPU, or where
        `split_cpu` made more than one CPU device, else one. Many hosts
        (`multi_worker`) are for `join`.

    Raises:
      UserError: the name is unknown, or is that of many hosts.
    """
    if name not in STRATEGIES:
        raise one_of("--strategy", name, STRATEGIES)
    if name == "multi_worker":
        raise UserError("--strategy=multi_worker needs the workers' addresses")
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "auto":
        name = "mirrored" if len(devices) > 1 else "one"
    if name == "mirrored":
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.OneDeviceStrategy(devices[0].name)


def split_cpu(count: int) -> None:
    """Makes TensorFlow see the CPU as so many devices, to try what needs many.

    They share the cores: nothing becomes faster.

    Raises:
      UserError: fewer than 1; there are GPUs, which are what is mirrored; or
        TensorFlow has started already, with another number.
    """
    if count < 1:
        raise UserError(f"--logical_devices should be at least 1, got {count}")
    if count == 1:
        return
    if tf.config.list_physical_devices("GPU"):
        raise UserError(
            f"--logical_devices={count} splits the CPU, but there are GPUs here, which "
            "--strategy=mirrored takes; leave it out, or hide them with "
            "CUDA_VISIBLE_DEVICES=-1"
        )
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) == count:
        return
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:
        raise UserError(
            f"--logical_devices={count} comes too late: TensorFlow has started in this "
            "process with other devices; set it before anything is computed"
        ) from None


def use_threads(count: int | None) -> None:
    """Makes one operation use so many threads of the CPU; None changes nothing.

    Raises:
      UserError: TensorFlow has started already, with another number.
    """
    if count is None or count == threads_in_use():
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
    except RuntimeError:
        raise UserError(
            f"--threads={count} comes too late: TensorFlow has started in this process "
            f"with {threads_in_use() or 'a number of its own'}; set it before anything "
            "is computed"
        ) from None


def threads_in_use() -> int | None:
    """What this process was told; None where TensorFlow decides."""
    told = tf.config.threading.get_intra_op_parallelism_threads()
    # TensorFlow heeds it without saying so.
    return told or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or None


def has_gpus() -> bool:
    """Whether this machine has GPUs that the process may use."""
    return bool(tf.config.list_physical_devices("GPU"))


def share_gpus() -> None:
    """Makes this process take of the GPUs' memory what it needs, not all there is.

    Without effect where TensorFlow has started already.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, True)
