"""Trains one model: transfusion-train --dataset=CARD --model=NAME

  transfusion-train --dataset=phantom_retina_64 --model=cbr_tiny \\
      --initialization=transfer --donor=drawn_textures

The run's folder is <root>/runs/<run id>, named after all that decides its result;
the same command again goes on where it stopped, or says that it is finished.

Many hosts train one model together: each runs the same command, with a --root that
all of them see, but for its own place among the workers:

  transfusion-train --dataset=CARD --root=/shared/work \\
      --workers=node1:2222,node2:2222 --worker=0
"""

from collections.abc import Sequence

from transfusion_tf.errors import UserError
from transfusion_tf.training.config import RunConfig
from transfusion_tf_experiments.flags import (
    FLAGS,
    RUN_FIELDS,
    check_locations,
    define_field_flags,
    define_location_flags,
    define_run_flags,
    define_worker_flags,
    run_options,
    run_values,
)
from transfusion_tf_experiments.process import import_tensorflow, start

define_location_flags()
define_run_flags()
define_worker_flags()
define_field_flags(*RUN_FIELDS)
FLAGS.set_default("model", "resnet50")
# AUCs of more classes are left to `metrics.jsonl`.
_MOST_CLASSES_SHOWN = 20


def _main(arguments: Sequence[str]) -> None:
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; see --help")
    if not FLAGS.dataset:
        raise UserError("--dataset is missing; see transfusion-data list")
    check_locations("root", "data_root")
    import_tensorflow()
    from transfusion_tf.datasets import load_card
    from transfusion_tf.studies import train_with_donor
    from transfusion_tf.studies.donor_runs import with_default_donor
    from transfusion_tf.training.performance import summary

    values = run_values(load_card(FLAGS.dataset, FLAGS.source))
    values |= {name: FLAGS[name].value for name in RUN_FIELDS}
    config = RunConfig(**values)
    options = run_options()
    result = train_with_donor(with_default_donor(config), FLAGS.root, options)
    if options.cluster and options.cluster.worker > 0:
        return  # The chief says it.
    status = result.directory.status()
    for split, values in (("validation", result.validation), ("test", result.test)):
        if sum(name.startswith("auc/") for name in values) > _MOST_CLASSES_SHOWN:
            values = {k: v for k, v in values.items() if not k.startswith("auc/")}
        print(f"{split:10s} " + "  ".join(f"{k} {v:.4f}" for k, v in values.items()))
    print(f"best step {result.best_step}")
    print(summary(result.directory.config().model, status))
    print(result.directory.path)


def main() -> None:
    """Entry point of `transfusion-train`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
