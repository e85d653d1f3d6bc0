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


def erased_gabors(
    run: str | Path, *, trained: str = "final", fitted: int | None = None
) -> pd.DataFrame:
    """The share of a filter's energy that the best Gabor accounts for, mean over them.

    Args:
      run: a run directory.
      trained: which weights after training, `final` or `best`.
      fitted: of how many filters, all by default.

    Returns:
      One row: `run before after chance`.

    Raises:
      UserError: filters that are too small for a fit.
    """
    directory = RunDirectory(Path(run))
    before, after = directory.first_layer(trained)
    table = filter_changes(before[..., :fitted], after[..., :fitted])
    means = {
        "before": table["explained_before"].mean(),
        "after": table["explained_after"].mean(),
        "chance": table["chance"].mean(),
    }
    return pd.DataFrame([{"run": directory.path.name, **means}])
