"""Writes a study's report again: transfusion-report STUDY

STUDY is the study's name below <root>/studies, or its folder. --unused_runs=list takes
none: it names the runs below <root>/runs that no study uses, --unused_runs=remove
removes them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from transfusion_tf_experiments.flags import FLAGS, define_location_flags
from transfusion_tf_experiments.process import import_tensorflow, say_report, start

define_location_flags()
flags.DEFINE_bool("show_images", True, "Whether the report shows sample images.")
flags.DEFINE_enum(
    "unused_runs",
    None,
    ["list", "remove"],
    "Lists or removes the runs of the root that no study uses.",
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
    import_tensorflow()
    from transfusion_tf.report import write_report

    print("drawing the report", file=sys.stderr, flush=True)
    say_report(write_report(folder.absolute(), show_images=FLAGS.show_images))


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
