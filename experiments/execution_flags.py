"""The flags of what trains many runs: how many at once, and on what.

As in `flags`, nothing here imports TensorFlow.
"""

import dataclasses
from typing import TYPE_CHECKING

from absl import flags

from transfusion_tf_experiments.flags import FLAGS, plain_options

if TYPE_CHECKING:
    from transfusion_tf.studies import Execution
    from transfusion_tf.training import RunOptions


def define_execution_flags() -> None:
    """Flags of what trains many runs, on one machine or on several."""
    flags.DEFINE_integer(
        "jobs",
        None,
        "Runs that are trained at once, which changes no result; else one per GPU, or "
        "per CPU core where there are no GPUs, as far as memory goes; with "
        "--engine=ray as many as the cluster has room for.",
    )
    flags.DEFINE_string(
        "engine",
        "local",
        "What trains them: local, processes of this machine; ray, a Ray cluster, where "
        "each run takes --threads CPUs and --gpus GPUs of a node, and goes on "
        "elsewhere when its node is lost (pip install 'transfusion_tf[ray]').",
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "With --engine=ray: auto, the cluster that this machine is part of, or the "
        "host:port of one; else Ray is started on this machine for this study.",
    )
    flags.DEFINE_integer(
        "gpus", None, "GPUs of each run; else one where there are any. 0 is CPUs only."
    )
    flags.DEFINE_string(
        "shard",
        None,
        "Part of the runs that this process trains, such as 1/4: a cluster's job array "
        "runs 1/4 to 4/4 at once on one --root, without a network between them. The "
        "report shows what is finished.",
    )


def study_options() -> "tuple[RunOptions, Execution]":
    """How the runs of a study are carried out, and where, from the flags.

    Readies the devices of this process, which may share them with others.
    """
    from transfusion_tf.studies import Execution
    from transfusion_tf.training.strategy import has_gpus, join, share_gpus

    execution = Execution(FLAGS.engine, FLAGS.jobs, FLAGS.gpus, FLAGS.ray_address)
    options = plain_options()
    if options.threads is None and not FLAGS.gpus and not has_gpus():
        options = dataclasses.replace(options, threads=1)
    if execution.jobs != 1:
        share_gpus()
    join(options)
    return options, execution
