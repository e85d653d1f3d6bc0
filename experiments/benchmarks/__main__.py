"""All benchmarks, one after the other: `make bench`."""

from transfusion_tf_experiments.benchmarks import (
    input_pipeline,
    representations,
    training_step,
)


def main() -> None:
    """Runs every benchmark."""
    input_pipeline.main()
    training_step.main()
    representations.main()


if __name__ == "__main__":
    main()
