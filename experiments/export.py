"""A run's model as a file that others run: transfusion-export RUN --format=onnx

RUN is a run's folder, or its id below <root>/runs. The weights are those of the best
evaluation on validation; pixels are scaled, and outputs are probabilities, inside. What
was written is run and held against the run's own predictions. A model card lies beside
it.
"""

from collections.abc import Sequence

from absl import flags

from transfusion_tf_experiments.flags import (
    FLAGS,
    data_root,
    define_location_flags,
)
from transfusion_tf_experiments.process import import_tensorflow, start

define_location_flags()
flags.DEFINE_enum(
    "format",
    "keras",
    ["keras", "saved_model", "onnx", "litert"],
    "Of the file; onnx and litert need pip install 'transfusion_tf[export]'.",
)
flags.DEFINE_string("out", None, "Folder to write; else <root>/exports/<run>-<format>.")


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError

    if len(arguments) != 1:
        raise UserError("usage: transfusion-export RUN --format=FORMAT; see --help")
    import_tensorflow()
    from transfusion_tf_experiments import model_export
    from transfusion_tf_experiments.model_sources import find_run

    run = find_run(arguments[0], FLAGS.root)
    target = (
        FLAGS.out or f"{FLAGS.root}/exports/{run.path.absolute().name}-{FLAGS.format}"
    )
    written, checked = model_export.export(run, FLAGS.format, target, data_root())
    print(checked)
    print(written)


def main() -> None:
    """Entry point of `transfusion-export`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
