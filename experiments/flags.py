"""The flags that binaries share, and what they say.

Nothing here imports TensorFlow: `--help` answers at once.
"""

import dataclasses
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from absl import flags

from transfusion_tf.errors import UserError
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.settings import setting_of

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.training import RunOptions
    from transfusion_tf.training.distributed.cluster import Cluster

FLAGS = flags.FLAGS

_DEFINE: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}

# What sets the runs of a study apart: one value of each is a run.
RUN_FIELDS = ("dataset", "model", "initialization", "train_examples", "seed")


def define_field_flags(*names: str) -> None:
    """Flags of these fields of `RunConfig`, named like them; None is the card's."""
    types = get_type_hints(RunConfig)
    for field in dataclasses.fields(RunConfig):
        if field.name not in names:
            continue
        setting = setting_of(field)
        required = field.default is dataclasses.MISSING
        default = None if required or setting.from_card else field.default
        kind = next(iter(get_args(types[field.name])), types[field.name])
        _DEFINE[kind](field.name, default, setting.help)


def _shared_fields() -> list[dataclasses.Field]:
    """The fields whose flags all have that train: one value holds for all runs."""
    return [
        field
        for field in dataclasses.fields(RunConfig)
        if setting_of(field).flag and field.name not in RUN_FIELDS
    ]


def define_run_flags() -> None:
    """Flags of everything that trains."""
    define_field_flags(*(field.name for field in _shared_fields()))
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


def define_model_state_flags() -> None:
    """Flags of what compares models."""
    flags.DEFINE_enum(
        "trained_weights",
        "final",
        ["final", "best"],
        "Of a run after training, where weights and representations are compared: the "
        "last, as the papers do, or those of the best evaluation.",
    )
    flags.DEFINE_enum(
        "batch_norm_statistics",
        "estimated",
        ["estimated", "stored"],
        "Moving statistics of batch norm, where representations are compared: "
        "estimated anew on the same training images for all models, or as stored with "
        "each. "
        "Stored ones differ between a random start and a trained model whatever the "
        "weights have learnt.",
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


def data_root() -> str:
    """Where prepared data lie."""
    return FLAGS.data_root or os.path.join(FLAGS.root, "data")


def check_locations(*names: str) -> None:
    """Raises UserError where nothing can be written to `root` or `data_root`."""
    from transfusion_tf.files import require_writable

    folders = {"root": FLAGS.root, "data_root": data_root()}
    for name in names:
        require_writable(folders[name])


def run_values(card: "DatasetCard") -> dict[str, Any]:
    """What the flags, or else the card, say about training, by RunConfig's names.

    Raises:
      UserError: folds without the one to train; no steps.
    """
    _check_that_it_trains()
    for name in ("folds", "fold_protocol"):
        if FLAGS[name].present and FLAGS.fold is None:
            raise UserError(f"--{name} goes with --fold, the fold that is the test set")
    values = {}
    for field in _shared_fields():
        value = FLAGS[field.name].value
        if value is None and setting_of(field).from_card:
            value = getattr(card.training, field.name)
        values[field.name] = value
    return values


def changed_run_values() -> dict[str, Any]:
    """What the command line itself says about training, by RunConfig's names.

    Raises:
      UserError: no steps.
    """
    _check_that_it_trains()
    names = [field.name for field in _shared_fields() if field.name != "source"]
    return {name: FLAGS[name].value for name in names if FLAGS[name].present}


def _check_that_it_trains() -> None:
    # Studies of papers have runs without steps, whose initial weights alone are drawn.
    if FLAGS.steps == 0:
        raise UserError("--steps should be at least 1, got 0: nothing would be trained")


def run_options(progress: bool = True) -> "RunOptions":
    """How runs are carried out, from the flags; readies the devices for them."""
    from transfusion_tf.training.strategy import join

    options = plain_options(progress)
    # Before TensorFlow computes anything, or devices are fixed.
    join(options)
    return options


def plain_options(progress: bool = True) -> "RunOptions":
    """How runs are carried out, from the flags."""
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
    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            raise UserError(f"--{flag} should be whole numbers above 0, got {text!r}")
    return [int(text) for text in texts]


def command_line() -> str:
    """What the user typed, to be typed again here; for all shards, where it was one.

    Absolute paths below this folder become relative to it.
    """
    here = re.compile(rf"(?<![^=,]){re.escape(os.getcwd())}(/|$|(?=,))")
    arguments: list[str] = []
    words = iter(sys.argv[1:])
    for word in words:
        if word in ("--shard", "-shard"):
            next(words, None)
        elif not word.startswith(("--shard=", "-shard=")):
            arguments.append(here.sub(lambda found: "" if found[1] else ".", word))
    name, ending = os.path.splitext(os.path.basename(sys.argv[0]))
    program = ["python", "-m", f"{__package__}.{name}"] if ending == ".py" else [name]
    return shlex.join([*program, *arguments])
