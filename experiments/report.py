"""Writes a study's report again: transfusion-report STUDY

STUDY is the study's name below <root>/studies, or its folder.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from transfusion_tf_experiments.flags import FLAGS, define_location_flags
from transfusion_tf_experiments.process import import_tensorflow, say_report, start

define_location_flags()
flags.DEFINE_bool("show_images", True, "Whether the report shows sample images.")


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError

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


def main() -> None:
    """Entry point of `transfusion-report`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
