"""The flags that binaries share, and what they say.

Nothing here imports TensorFlow: `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.training import RunOptions
    from transfusion_tf.training.distributed.cluster import Cluster

FLAGS = flags.FLAGS


def define_run_flags() -> None:
    """Flags of everything that trains."""
    flags.DEFINE_string(
        "donor",
        None,
        "Where transferred weights come from: imagenet, a weight file, a run "
        "directory, or a data set (photographs) to pretrain on.",
    )
    flags.DEFINE_integer(
        "donor_steps",
        None,
        "Optimizer steps of a donor that is pretrained on a data set; else the card's.",
    )
    flags.DEFINE_integer(
        "image_size", None, "Height and width of the model's input; else the card's."
    )
    flags.DEFINE_string(
        "input_scaling",
        None,
        "dataset_mean_std: less the mean of the run's training images, over their "
        "standard deviation; else as the model's pretrained weights expect.",
    )
    flags.DEFINE_integer("batch_size", None, "Examples a step over all devices.")
    flags.DEFINE_integer("steps", None, "Optimizer steps.")
    flags.DEFINE_integer("eval_every", None, "Steps between evaluations.")
    flags.DEFINE_integer(
        "early_stopping",
        0,
        "Evaluations without a better validation value that end a run; 0 never does.",
    )
    flags.DEFINE_string(
        "early_stopping_metric",
        None,
        "What early stopping, plateaus and the best weights go by: loss, or a metric; "
        "else the card's metric.",
    )
    flags.DEFINE_string("optimizer", None, "adam, adamw, or sgd with momentum 0.9.")
    flags.DEFINE_float("learning_rate", None, "Base learning rate.")
    flags.DEFINE_float(
        "weight_decay", 0.0, "Of kernels; of its own with adamw, else an l2 penalty."
    )
    flags.DEFINE_float(
        "gradient_clipping", None, "Largest l2 norm of all gradients together."
    )
    flags.DEFINE_string(
        "schedule",
        None,
        "constant; imagenet: warm-up, a tenth at epochs 30, 60, 90; plateau: a tenth "
        "whenever validation gains no more.",
    )
    flags.DEFINE_integer(
        "warmup_steps", 0, "First steps over which the rate rises from 0 to its base."
    )
    flags.DEFINE_integer(
        "plateau_patience",
        5,
        "Evaluations without a better validation value that make a plateau.",
    )
    flags.DEFINE_float(
        "minimum_learning_rate",
        1e-6,
        "Least rate of --schedule=plateau; the first plateau with it ends a run.",
    )
    flags.DEFINE_integer(
        "head_steps",
        0,
        "First steps that train the head alone; then everything is trained.",
    )
    flags.DEFINE_float(
        "head_learning_rate", None, "Of those steps; else --learning_rate."
    )
    flags.DEFINE_integer(
        "fold",
        None,
        "Fold of a cross-validation that is the test split, from 0; else the card's "
        "splits.",
    )
    flags.DEFINE_integer("folds", 5, "How many folds there are, by patient.")
    flags.DEFINE_string(
        "fold_protocol",
        "separate",
        "What weights are chosen on: separate, patients held out of the other folds; "
        "paper, the test fold itself.",
    )
    flags.DEFINE_float("dropout", 0.0, "Share of features dropped before the head.")
    flags.DEFINE_float(
        "batch_norm_momentum", None, "Of every batch norm; else the architecture's."
    )
    flags.DEFINE_string(
        "freeze", None, "Last stage that keeps its initial weights, such as block2."
    )
    flags.DEFINE_bool("mixed_precision", False, "Compute in 16 bits.")
    flags.DEFINE_bool("xla", False, "Compile the training step with XLA.")
    flags.DEFINE_string(
        "strategy",
        "auto",
        "Devices: one; mirrored, all GPUs of this host; multi_worker, those of many "
        "hosts (transfusion-train); auto takes what there is.",
    )
    flags.DEFINE_integer(
        "logical_devices",
        1,
        "Splits the CPU into so many devices, to try mirrored without GPUs.",
    )
    flags.DEFINE_integer(
        "threads",
        None,
        "CPU threads of one operation; the last digits of results hang on them. 1 in "
        "a study on a CPU, whatever --jobs says; else TensorFlow's own number.",
    )
    flags.DEFINE_integer(
        "save_every_steps", 0, "Save the state between evaluations too; 0 does not."
    )
    flags.DEFINE_bool(
        "keep_initial_weights",
        False,
        "Store a run's first weights; else seed and donor give them again when asked.",
    )
    flags.DEFINE_list(
        "profile_steps", None, "First and last step of a TensorBoard profile: 10,20."
    )


def define_worker_flags() -> None:
    """Flags of what many hosts do together."""
    flags.DEFINE_list(
        "workers",
        None,
        "host:port of every process that trains together, the chief first; else as "
        "TF_CONFIG says.",
    )
    flags.DEFINE_integer("worker", None, "This process's place among them, from 0.")
    flags.DEFINE_float(
        "start_timeout", 300.0, "Seconds to wait for the other workers at the start."
    )


def define_location_flags() -> None:
    """Flags that say where things lie."""
    flags.DEFINE_string("root", "workspace", "Folder for runs, studies and reports.")
    flags.DEFINE_string(
        "data_root", None, "Folder for prepared data; <root>/data by default."
    )


def define_source_flag() -> None:
    """The flag of everything that reads a data set."""
    flags.DEFINE_string(
        "source",
        None,
        "Folder that holds the data set's files, or sample: the packaged sample; else "
        "where the card says.",
    )


def data_root() -> str:
    """Where prepared data lie."""
    return FLAGS.data_root or os.path.join(FLAGS.root, "data")


# Fields of `RunConfig` that have a flag of the same name, and those among them that a
# card has an answer to as well.
_FROM_CARD = (
    *("optimizer", "learning_rate", "schedule", "batch_size", "steps", "eval_every"),
)
_FROM_FLAGS = (
    *("source", "donor", "donor_steps", "image_size", "input_scaling", "dropout"),
    *("early_stopping", "early_stopping_metric", "weight_decay", "gradient_clipping"),
    *("warmup_steps", "plateau_patience", "minimum_learning_rate"),
    *("head_steps", "head_learning_rate", "fold", "folds", "fold_protocol"),
    *("batch_norm_momentum", "freeze", "mixed_precision", "xla"),
)


def run_values(card: "DatasetCard") -> dict[str, Any]:
    """What the flags, or else the card, say about training, by RunConfig's names.

    Raises:
      UserError: folds without the one to train.
    """
    from transfusion_tf.errors import UserError

    for name in ("folds", "fold_protocol"):
        if FLAGS[name].present and FLAGS.fold is None:
            raise UserError(f"--{name} goes with --fold, the fold that is the test set")
    values = {}
    for name in _FROM_CARD:
        given = getattr(FLAGS, name)
        values[name] = getattr(card.training, name) if given is None else given
    return values | {name: getattr(FLAGS, name) for name in _FROM_FLAGS}


def changed_run_values() -> dict:
    """What the command line itself says about training, by RunConfig's names."""
    names = [name for name in (*_FROM_CARD, *_FROM_FLAGS) if name != "source"]
    return {name: getattr(FLAGS, name) for name in names if FLAGS[name].present}


def run_options(progress: bool = True) -> "RunOptions":
    """How runs are carried out, from the flags; readies the devices for them."""
    from transfusion_tf.training.strategy import join

    options = plain_options(progress)
    # Before TensorFlow computes anything, or devices are fixed.
    join(options)
    return options


def plain_options(progress: bool = True) -> "RunOptions":
    """How runs are carried out, from the flags."""
    from transfusion_tf.errors import UserError
    from transfusion_tf.training import RunOptions

    span = None
    if FLAGS.profile_steps:
        try:
            first, last = (int(text) for text in FLAGS.profile_steps)
        except ValueError:
            raise UserError(
                "--profile_steps should be two step numbers such as 10,20, got "
                f"{','.join(FLAGS.profile_steps)}"
            ) from None
        span = (first, last)
    cluster = _cluster()
    return RunOptions(
        data_root=data_root(),
        strategy=FLAGS.strategy,
        cluster=cluster,
        logical_devices=FLAGS.logical_devices,
        threads=FLAGS.threads,
        save_every_steps=FLAGS.save_every_steps,
        keep_initial_weights=FLAGS.keep_initial_weights,
        profile_steps=span,
        progress=progress and not (cluster and cluster.worker),
    )


def _cluster() -> "Cluster | None":
    """The workers of the flags, or of TF_CONFIG; None where there is one process."""
    from transfusion_tf.errors import UserError
    from transfusion_tf.training.distributed.cluster import Cluster

    if "workers" not in FLAGS:
        if FLAGS.strategy == "multi_worker":
            raise UserError(
                "--strategy=multi_worker is for transfusion-train; the runs of a study "
                "are shared out with --shard"
            )
        return None
    if (FLAGS.workers is None) != (FLAGS.worker is None):
        raise UserError("--workers and --worker go together; see --help")
    if not FLAGS.start_timeout > 0:
        raise UserError(f"--start_timeout should be above 0, got {FLAGS.start_timeout}")
    if FLAGS.workers is not None:
        if FLAGS.strategy not in ("auto", "multi_worker"):
            raise UserError(f"--workers is not for --strategy={FLAGS.strategy}")
        return Cluster(tuple(FLAGS.workers), FLAGS.worker, FLAGS.start_timeout)
    if FLAGS.strategy not in ("auto", "multi_worker"):
        return None
    return Cluster.from_environment(FLAGS.start_timeout)


def positive_numbers(flag: str, texts: Sequence[str]) -> list[int]:
    """The flag's values as whole numbers above 0.

    Raises:
      UserError: one of them is none.
    """
    from transfusion_tf.errors import UserError

    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            raise UserError(f"--{flag} should be whole numbers above 0, got {text!r}")
    return [int(text) for text in texts]


def command_line() -> str:
    """What the user typed, to be typed again; for all shards, where it was one."""
    import shlex

    arguments: list[str] = []
    words = iter(sys.argv[1:])
    for word in words:
        if word in ("--shard", "-shard"):
            next(words, None)
        elif not word.startswith(("--shard=", "-shard=")):
            arguments.append(word)
    return shlex.join([os.path.basename(sys.argv[0]), *arguments])
