"""How much of a Gabor function is in a run's first-layer filters."""

from pathlib import Path

import pandas as pd

from transfusion_tf.representations import filter_changes, gabor_fits
from transfusion_tf.training import RunDirectory


def initial_gabors(run: str | Path, *, fitted: int | None = None) -> pd.DataFrame:
    """The best Gabor in each of the first filters that a run starts from.

    Args:
      run: a run directory.
      fitted: how many filters, all by default.

    Returns:
      As `gabor_fits`, and `run`.

    Raises:
      UserError: filters that are too small for a fit.
    """
    directory = RunDirectory(Path(run))
    initial, _ = directory.first_layer("initial")
    return gabor_fits(initial[..., :fitted]).assign(run=directory.path.name)


def gabor_changes(
    run: str | Path, *, trained: str = "final", fitted: int | None = None
) -> pd.DataFrame:
    """The best Gabor in each of a run's first filters, before and after training.

    Args:
      run: a run directory.
      trained: which weights after training, `final` or `best`.
      fitted: how many filters, all by default.

    Returns:
      As `filter_changes`, and `run`.

    Raises:
      UserError: filters that are too small for a fit, or that an earlier version did
        not keep.
    """
    directory = RunDirectory(Path(run))
    before, after = directory.first_layer(trained)
    changes = filter_changes(before[..., :fitted], after[..., :fitted])
    return changes.assign(run=directory.path.name)
