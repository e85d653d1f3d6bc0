import dataclasses

import pytest

from transfusion_tf.training import RunConfig, RunOptions


@pytest.fixture(scope="session")
def config(clinic_root):
    """A run of seconds: 6 steps, with momentum of batch norm, dropout, augmentation."""
    return RunConfig(
        dataset=str(clinic_root),
        model="cbr_tiny",
        batch_size=4,
        steps=6,
        eval_every=2,
        dropout=0.3,
    )


@pytest.fixture(scope="session")
def options(prepared, data_root):
    """Quiet, on the session's prepared data."""
    return RunOptions(data_root=data_root, progress=False)


@pytest.fixture(scope="session")
def finished(config, options, shared, train_once):
    """One undisturbed run that many tests read."""
    return train_once(config, shared / "finished", options)


@pytest.fixture(scope="session")
def stop_at(options):
    """Options under which training is interrupted after a step."""

    def make(step: int, **changes):
        seen = 0

        def count(steps: int) -> None:
            nonlocal seen
            seen += steps
            if seen == step:
                raise KeyboardInterrupt

        return dataclasses.replace(options, on_step=count, **changes)

    return make
