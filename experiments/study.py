"""Compares models and initializations on a data set, and writes a report.

  transfusion-study --dataset=my/dataset.toml --models=cbr_tiny,resnet50 \\
      --initializations=random,transfer,mean_var --donor=imagenet --seeds=3

Or a study by name: transfusion-study --study=demo; --list_studies names them.
Finished runs are reused, so a command that was stopped goes on where it was.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from transfusion_tf_experiments.flags import (
    FLAGS,
    command_line,
    define_location_flags,
    define_run_flags,
    define_source_flag,
    import_tensorflow,
    positive_numbers,
    run_options,
    run_values,
    start,
)

define_location_flags()
define_run_flags()
define_source_flag()
flags.DEFINE_string("study", None, "A study by name; --list_studies lists them.")
flags.DEFINE_bool("list_studies", False, "Lists the studies and ends.")
flags.DEFINE_string("dataset", None, "Card name, or path of a dataset.toml.")
flags.DEFINE_string(
    "models", "cbr_tiny", "Models to compare, with commas between them."
)
flags.DEFINE_string(
    "initializations",
    "random,transfer,mean_var",
    "Initializations to compare, with commas between them.",
)
flags.DEFINE_list("train_examples", None, "Sizes of the nested training subset.")
flags.DEFINE_integer("seeds", 3, "How many seeds: 0, 1, ... each is a run.")
flags.DEFINE_bool("show_images", True, "Whether the report shows sample images.")


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError
    from transfusion_tf_experiments import named_studies

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; see --help")
    if FLAGS.list_studies:
        for name, summary in named_studies.summaries():
            print(f"{name:24s} {summary}")
        return
    if bool(FLAGS.study) == bool(FLAGS.dataset):
        raise UserError("give either --study or --dataset; see --help")
    if FLAGS.study:
        named_studies.check(FLAGS.study)
    import_tensorflow()
    from transfusion_tf.report import write_report
    from transfusion_tf.studies import run_study

    study = named_studies.make(FLAGS.study) if FLAGS.study else _own_study()
    result = run_study(study, FLAGS.root, options=run_options(), command=command_line())
    report = write_report(result.path, show_images=FLAGS.show_images)
    print(report)
    if result.failed:
        raise UserError(
            f"{len(result.failed)} runs failed; the report covers the others:\n"
            + "\n".join(f"  {run}: {text}" for run, text in result.failed.items())
        )


def _own_study():
    from transfusion_tf.datasets import load_card
    from transfusion_tf.errors import UserError
    from transfusion_tf.studies import Study, grid, split_names
    from transfusion_tf.training import RunConfig

    if FLAGS.seeds < 1:
        raise UserError(f"--seeds should be at least 1, got {FLAGS.seeds}")
    models = split_names(FLAGS.models)
    card = load_card(FLAGS.dataset, FLAGS.source)
    dataset = str(card.path) if Path(FLAGS.dataset).exists() else FLAGS.dataset
    base = RunConfig(dataset=dataset, model=models[0], **run_values(card))
    sizes = positive_numbers("train_examples", FLAGS.train_examples or [])
    return Study(
        name=card.name,
        title=f"Does transfer learning pay on {card.title}?",
        runs=grid(
            base,
            models=models,
            initializations=split_names(FLAGS.initializations),
            train_examples=sizes or [None],
            seeds=range(FLAGS.seeds),
        ),
    )


def main() -> None:
    """Entry point of `transfusion-study`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
