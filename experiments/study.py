"""Compares models and initializations on a data set, and writes a report.

  transfusion-study --dataset=my/dataset.toml --models=cbr_tiny,resnet50 \\
      --initializations=random,transfer,mean_var --donor=imagenet --seeds=3

Or a study by name, as --list_studies gives them:

  transfusion-study --study=transfusion/figure7 --scale=small

A paper's study takes --scale, --dataset (your own card in place of the paper's data),
--seeds and the flags of a run. Finished runs are reused, so a command that was stopped
goes on where it was.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from transfusion_tf_experiments.execution_flags import (
    define_execution_flags,
    study_options,
)
from transfusion_tf_experiments.flags import (
    FLAGS,
    changed_run_values,
    check_locations,
    command_line,
    define_field_flags,
    define_location_flags,
    define_model_state_flags,
    define_run_flags,
    positive_numbers,
    run_values,
)
from transfusion_tf_experiments.process import import_tensorflow, say_report, start

if TYPE_CHECKING:
    from transfusion_tf.studies import Study

define_location_flags()
define_run_flags()
define_field_flags("dataset")
define_execution_flags()
define_model_state_flags()
flags.DEFINE_string("study", None, "A study by name; --list_studies lists them.")
flags.DEFINE_string(
    "name",
    None,
    "What a study of your own is called, and its folder below <root>/studies; by "
    "default as its data set, with -2, -3, ... where another question has that name.",
)
flags.DEFINE_bool("list_studies", False, "Lists the studies and ends.")
flags.DEFINE_bool(
    "describe",
    False,
    "Prints what a paper's study is made with, every value with its source (section, "
    "table, code, or not in the paper), and ends.",
)
flags.DEFINE_string(
    "scale",
    None,
    "Of a paper's study: paper (its own sizes and hyperparameters, the default), "
    "small (drawn data, an hour or two on two cores) or smoke (seconds); of "
    "feature_reuse and hidden_representations also published_code (as their authors' "
    "code does).",
)
flags.DEFINE_string(
    "models", "cbr_tiny", "Models to compare, with commas between them."
)
flags.DEFINE_string(
    "initializations",
    "random,transfer,mean_var",
    "Initializations to compare, with commas between them.",
)
flags.DEFINE_list(
    "donors",
    None,
    "Donors side by side, with commas between them: imagenet,drawn_textures.",
)
flags.DEFINE_list("train_examples", None, "Sizes of the nested training subset.")
flags.DEFINE_integer("seeds", 3, "How many seeds: 0, 1, ... each is a run.")
flags.DEFINE_bool(
    "chapters",
    True,
    "Whether the report of a study of your own has chapters, as its runs allow: "
    "convergence, stages, similarity, filters, donors. Models are compared for them, "
    "which takes seconds a run; --nochapters leaves the verdict and its table.",
)
flags.DEFINE_enum(
    "similarity_measure",
    "cca",
    ["cca", "svcca", "pwcca"],
    "How representations are compared stage by stage: CCA of sampled channels, as the "
    "Transfusion paper's appendix has it; SVCCA or PWCCA of the same.",
)
flags.DEFINE_bool("show_images", True, "Whether the report shows sample images.")


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError
    from transfusion_tf_experiments import named_studies, repeated_commands

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; see --help")
    if FLAGS.list_studies:
        summaries = named_studies.summaries()
        width = max(len(name) for name, _ in summaries)
        for name, summary in summaries:
            print(f"{name:{width}s} {summary}")
        return
    if not FLAGS.study and not FLAGS.dataset:
        raise UserError("give --study or --dataset; see --help")
    if FLAGS.seeds < 1:
        raise UserError(f"--seeds should be at least 1, got {FLAGS.seeds}")
    if FLAGS.study:
        named_studies.check(FLAGS.study)
    if FLAGS.describe:
        import_tensorflow()
        print(_description())
        return
    asked = repeated_commands.asked_for()
    report = repeated_commands.earlier_report(asked)
    if report is not None:
        say_report(report)
        return
    check_locations("root", "data_root")
    import_tensorflow()
    from transfusion_tf.report import write_report
    from transfusion_tf.studies import Shard, run_study

    shard = None if FLAGS.shard is None else Shard.parse(FLAGS.shard)
    study = _with_states(_named_study() if FLAGS.study else _own_study())
    options, execution = study_options()
    result = run_study(
        study,
        FLAGS.root,
        options=options,
        command=command_line(),
        shard=shard,
        execution=execution,
    )
    if result.waiting:
        print(
            f"{len(result.waiting)} runs are left to other shards; the report covers "
            "those that are finished"
        )
    print("drawing the report", file=sys.stderr, flush=True)
    say_report(write_report(result.path, show_images=FLAGS.show_images))
    if not (result.failed or result.waiting):
        repeated_commands.remember(asked, result.path)
    if result.failed:
        raise UserError(
            f"{len(result.failed)} runs failed; the report covers the others:\n"
            + "\n".join(f"  {run}: {text}" for run, text in result.failed.items())
        )


def _description() -> str:
    from transfusion_tf.errors import UserError
    from transfusion_tf_experiments.papers.protocol import as_text

    study = _named_study() if FLAGS.study else None
    if study is None or not study.after_paper:
        raise UserError(
            "--describe is for a paper's study, such as --study=transfusion/all; the "
            "values of your own are in its card and its report's recipe"
        )
    return as_text(study.protocol)


def _named_study() -> "Study":
    from transfusion_tf.errors import UserError
    from transfusion_tf_experiments import named_studies

    if FLAGS.name:
        raise UserError(
            f"--study={FLAGS.study} has its name; --name is for a study of your own: "
            "--dataset without --study"
        )
    for flag in ("models", "initializations", "train_examples"):
        if FLAGS[flag].present:
            raise UserError(
                f"--study={FLAGS.study} says itself which {flag} it has; --{flag} is "
                "for a study of your own: --dataset without --study"
            )
    changes = changed_run_values()
    if FLAGS.donors:
        if not FLAGS.study.startswith("hidden_representations/"):
            raise UserError(
                f"--study={FLAGS.study} has one donor: give --donor; --donors is for "
                "hidden_representations, and for a study of your own"
            )
        changes["donors"] = tuple(_donors())
    return named_studies.make(
        FLAGS.study,
        FLAGS.scale,
        dataset=FLAGS.dataset,
        source=FLAGS.source,
        seeds=FLAGS.seeds if FLAGS["seeds"].present else None,
        changes=changes,
        similarity_measure=(
            FLAGS.similarity_measure if FLAGS["similarity_measure"].present else None
        ),
    )


def _donors() -> list[str | None]:
    """The donors of the flags, each once."""
    from transfusion_tf.errors import UserError

    if not FLAGS.donors:
        return [FLAGS.donor]
    if FLAGS.donor:
        raise UserError("--donor names one donor and --donors several: give one flag")
    return list(dict.fromkeys(FLAGS.donors))


def _own_study() -> "Study":
    from transfusion_tf.datasets import load_card
    from transfusion_tf.errors import UserError
    from transfusion_tf.studies import Study, grid, own_chapters, split_names
    from transfusion_tf.studies.donor_runs import with_default_donor
    from transfusion_tf.studies.study_names import free_name, named
    from transfusion_tf.training import RunConfig

    if FLAGS.scale:
        raise UserError("--scale is for a study by name: give --study too")
    models = split_names(FLAGS.models)
    card = load_card(FLAGS.dataset, FLAGS.source)
    dataset = str(card.path) if Path(FLAGS.dataset).exists() else FLAGS.dataset
    base = RunConfig(dataset=dataset, model=models[0], **run_values(card))
    sizes = positive_numbers("train_examples", FLAGS.train_examples or [])
    runs = [
        with_default_donor(run)
        for donor in _donors()
        for run in grid(
            base.replace(donor=donor),
            models=models,
            initializations=split_names(FLAGS.initializations),
            train_examples=sizes or [None],
            seeds=range(FLAGS.seeds),
        )
    ]
    name = (
        named(FLAGS.name, runs, FLAGS.root)
        if FLAGS.name
        else free_name(card.name, runs, FLAGS.root)
    )
    return Study(
        name=name,
        title=f"Does transfer learning pay on {card.title}?",
        # Whole seeds first, of all donors.
        runs=tuple(sorted(runs, key=lambda run: run.seed)),
        chapters=own_chapters(runs) if FLAGS.chapters else (),
    )


def _with_states(study: "Study") -> "Study":
    """The study with what the flags say about how it compares models."""
    names = ("trained_weights", "batch_norm_statistics", "similarity_measure")
    states = {name: FLAGS[name].value for name in names if FLAGS[name].present}
    chapters = tuple(
        dataclasses.replace(chapter, options={**chapter.options, **states})
        for chapter in study.chapters
    )
    return dataclasses.replace(study, chapters=chapters)


def main() -> None:
    """Entry point of `transfusion-study`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
