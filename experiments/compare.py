"""Compares what two networks compute: transfusion-compare RUN_A RUN_B

  transfusion-compare RUN_A RUN_B       two runs, their last weights
  transfusion-compare RUN               one run, before against after training
  transfusion-compare A.keras B.keras --images=FOLDER

A run is its folder, or its id below <root>/runs. Runs are compared on the validation
split of the first run's data, or on --images. Writes a page with a table, curves by
stage, a heat map and first-layer filters, and prints the table: score ± standard
deviation over repeats (noise floor). A .keras file gets RGB pixels from 0 to 255, and
must scale them itself.
"""

from collections.abc import Sequence

from absl import flags

from transfusion_tf_experiments.flags import (
    FLAGS,
    command_line,
    define_location_flags,
    define_model_state_flags,
)
from transfusion_tf_experiments.process import import_tensorflow, start

define_location_flags()
define_model_state_flags()
flags.DEFINE_integer(
    "points", 10_000, "Activation vectors a stage and repeat, of whole images."
)
flags.DEFINE_integer("channels", 64, "Channels a stage, drawn; 0 takes all.")
flags.DEFINE_integer("repeats", 5, "Samples, each of new images and channels.")
flags.DEFINE_integer("seed", 0, "Of images, positions and channels.")
flags.DEFINE_integer("batch_size", 16, "Images a forward pass.")
flags.DEFINE_bool("pooled", False, "Average each image over its positions first.")
flags.DEFINE_list("stages", None, "Stages, or layers; else all common stages.")
flags.DEFINE_string("images", None, "Folder of images to compare on.")
flags.DEFINE_string("out", None, "Folder of the page; else <root>/comparisons/...")


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError

    if len(arguments) not in (1, 2):
        raise UserError("usage: transfusion-compare RUN_A [RUN_B]; see --help")
    import_tensorflow()
    from transfusion_tf_experiments import model_comparison

    page, text, notes = model_comparison.compare(
        arguments,
        model_comparison.Request(
            root=FLAGS.root,
            data_root=FLAGS.data_root,
            images=FLAGS.images,
            out=FLAGS.out,
            points=FLAGS.points,
            channels=FLAGS.channels,
            repeats=FLAGS.repeats,
            seed=FLAGS.seed,
            batch_size=FLAGS.batch_size,
            pooled=FLAGS.pooled,
            trained_weights=FLAGS.trained_weights,
            batch_norm_statistics=FLAGS.batch_norm_statistics,
            stages=tuple(FLAGS.stages) if FLAGS.stages else None,
            command=command_line(),
        ),
    )
    print(text)
    for note in notes:
        print(f"note: {note}")
    print(page)


def main() -> None:
    """Entry point of `transfusion-compare`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
