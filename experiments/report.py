"""Writes a study's report again: transfusion-report STUDY

STUDY is the study's name below <root>/studies, or its folder. --unused_runs=list takes
none: it names the runs below <root>/runs that no study uses, --unused_runs=remove
removes them.

--published=FOLDER judges the hidden representations paper's claims by its own data:
FOLDER is the authors' repository (github.com/DovileDo/revisiting-transfer). The page is
written to <root>/published, or with STUDY into its folder, beside what it found.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from transfusion_tf_experiments.flags import (
    FLAGS,
    check_locations,
    define_location_flags,
)
from transfusion_tf_experiments.process import import_tensorflow, say_report, start

define_location_flags()
flags.DEFINE_bool("show_images", True, "Whether the report shows sample images.")
flags.DEFINE_enum(
    "unused_runs",
    None,
    ["list", "remove"],
    "Lists or removes the runs of the root that no study uses.",
)
flags.DEFINE_string(
    "published", None, "The hidden representations paper's authors' repository."
)


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError

    if FLAGS.unused_runs:
        if arguments:
            raise UserError(
                f"--unused_runs is of all studies of --root={FLAGS.root}: leave "
                f"{arguments[0]!r} out"
            )
        _unused_runs(remove=FLAGS.unused_runs == "remove")
        return
    if FLAGS.published and not arguments:
        _published(None)
        return
    if len(arguments) != 1:
        raise UserError("usage: transfusion-report STUDY; see --help")
    folder = Path(arguments[0])
    if not (folder / "study.json").is_file():
        folder = Path(FLAGS.root) / "studies" / arguments[0]
    if not (folder / "study.json").is_file():
        known = sorted(path.parent.name for path in folder.parent.glob("*/study.json"))
        raise UserError(
            f"no study {arguments[0]!r} in {folder.parent}; "
            f"there: {', '.join(known) or 'none'}"
        )
    if FLAGS.published:
        _published(folder.absolute())
        return
    import_tensorflow()
    from transfusion_tf.report import write_report

    print("drawing the report", file=sys.stderr, flush=True)
    say_report(write_report(folder.absolute(), show_images=FLAGS.show_images))


def _published(study: Path | None) -> None:
    """What the paper's own data carry, beside what a study says."""
    import_tensorflow()
    from transfusion_tf.report.claims_section import write_claims
    from transfusion_tf.report.published_page import PublishedResults, write_published
    from transfusion_tf.studies.measurements.collect import measure_study
    from transfusion_tf.studies.study_folder import read_study
    from transfusion_tf_experiments.papers import (
        hidden_representations,
        hidden_representations_published,
    )

    if study is None:
        check_locations("root")
    source = Path(FLAGS.published).expanduser()
    table = hidden_representations_published.judged(source)
    results = PublishedResults(
        hidden_representations.TITLE,
        str(source),
        table,
        hidden_representations_published.NOTES,
    )
    ours, folder = None, Path(FLAGS.root) / "published" / "hidden_representations"
    if study is not None:
        record, folder = read_study(study), study
        if record.claims:
            ours = write_claims(record, study, measure_study(study, record))
    page = write_published(results, folder, ours)
    for row in table.to_dict("records"):
        print(f"{row['verdict']}: {row['claim']}", file=sys.stderr)
    print(page.absolute())


def _unused_runs(*, remove: bool) -> None:
    import_tensorflow()
    from transfusion_tf.studies.disk import in_words
    from transfusion_tf.studies.unused_runs import remove_run, unused_runs
    from transfusion_tf.training.run_lock import RunHeldError

    unused = unused_runs(FLAGS.root)
    done = []
    for run in unused:
        try:
            if remove:
                remove_run(run.path)
        except RunHeldError as error:
            print(f"{run.path.name} stays: {error}", file=sys.stderr)
            continue
        print(run.path.name)
        done.append(run)
    size = in_words(sum(run.size for run in done))
    what = "removed" if remove else "used by no study"
    print(f"{len(done)} runs, {size}, {what}", file=sys.stderr)


def main() -> None:
    """Entry point of `transfusion-report`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
