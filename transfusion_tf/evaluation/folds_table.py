"""Table 2 of the hidden representations paper: mean AUC over folds, and its spread.

Juodelyte et al. (2023). The authors' `results/AUC.csv` can be read as it is: a row a
fold, with the columns

    target   the data set: `thyroid`, `isic`
    source   where the weights come from: `ImageNet`, `RadImageNet`, `random`
    freeze   whether the head was trained alone first: `freezeTrue`, `freezeFalse`
    fold     its name or number
    AUC      a share in [0, 1]

`donor` does for `source` and `auc` for `AUC`; without `freeze` nothing was frozen.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError

_COLUMNS = {"target": "target", "source": "donor", "donor": "donor", "fold": "fold"}
_COLUMNS |= {"freeze": "freeze", "AUC": "auc", "auc": "auc"}

_FREEZE = {"freezetrue": True, "true": True, "1": True}
_FREEZE |= {"freezefalse": False, "false": False, "0": False}


def read_fold_values(path: str | Path) -> pd.DataFrame:
    """Reads AUCs by fold from a CSV; see this module for its columns.

    Returns:
      `target donor freeze fold auc`, a row a fold; `freeze` is bool.

    Raises:
      UserError: no such file, a column that is missing, a value that can't be, or a
        fold that stands there twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"can't read {path}: {error}") from None
    table = table[[name for name in table.columns if name in _COLUMNS]]
    table = table.rename(columns=_COLUMNS)
    missing = {"target", "donor", "fold", "auc"} - set(table.columns)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise UserError(f"{path} has two columns for {twice}; it should have one")
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(sorted(missing))}; it should have "
            "target, source (or donor), fold, AUC (or auc) and may have freeze"
        )
    if "freeze" not in table.columns:
        table["freeze"] = "false"
    # The first line of the file has the columns' names.
    lines = table.index + 2
    auc = pd.to_numeric(table["auc"], errors="coerce")
    _refuse(path, lines, table["auc"], ~auc.between(0, 1), "AUC", "a share in [0, 1]")
    freeze = table["freeze"].str.lower().map(_FREEZE)
    _refuse(
        path, lines, table["freeze"], freeze.isna(), "freeze", "freezeTrue, freezeFalse"
    )
    table = table.assign(auc=auc, freeze=freeze.astype(bool))
    keys = ["target", "donor", "freeze", "fold"]
    again = table.duplicated(keys)
    if again.any():
        raise UserError(
            f"{path}, line {lines[again][0]}: {table.loc[again, 'target'].iloc[0]}, "
            f"{table.loc[again, 'donor'].iloc[0]}, {table.loc[again, 'fold'].iloc[0]} "
            "stands there twice"
        )
    return table[[*keys, "auc"]]


def fold_means(values: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over the folds of each target, donor and way of freezing.

    Args:
      values: `target donor freeze fold auc`, a row a fold.

    Returns:
      `target donor freeze folds mean std best`, a row a cell in the order of the rows;
      `mean` and `std` are shares; `std` is the sample standard deviation, the paper's
      ±, NaN with one fold. `best` marks the highest mean of each target, which the
      paper underlines.
    """
    cells = values.groupby(["target", "donor", "freeze"], sort=False)["auc"]
    means = cells.agg(folds="size", mean="mean", std="std").reset_index()
    highest = means.groupby("target")["mean"].transform("max")
    return means.assign(best=means["mean"] == highest)


def paper_table(means: pd.DataFrame) -> pd.DataFrame:
    """The cells as the paper lays them out: a row a target, `63.4 ± 4.3`, times 100.

    The paper's own ± were rounded to two digits after the point and then to one, so of
    its 35 three stand one higher in the last digit than its folds give (1.847 as 1.9).

    Args:
      means: from `fold_means`.

    Returns:
      Text, indexed by target, with a column for each donor and way of freezing, such
      as `ImageNet, no freeze`; `random` has one way alone. Empty where a cell has no
      folds.
    """
    names = np.where(means["freeze"], ", freeze", ", no freeze")
    names = np.where(means["donor"] == "random", "", names)
    column = means["donor"] + names
    text = [
        f"{100 * mean:.1f}" + ("" if np.isnan(std) else f" ± {100 * std:.1f}")
        for mean, std in zip(means["mean"], means["std"], strict=True)
    ]
    table = pd.DataFrame(
        "", index=means["target"].unique(), columns=column.unique()
    ).rename_axis("target")
    for target, name, cell in zip(means["target"], column, text, strict=True):
        table.loc[target, name] = cell
    return table


def _refuse(
    path: str | Path,
    lines: pd.Index,
    values: pd.Series,
    wrong: pd.Series,
    name: str,
    right: str,
) -> None:
    if wrong.any():
        raise UserError(
            f"{path}, line {lines[wrong][0]}: {name} is {values[wrong].iloc[0]!r}, "
            f"should be {right}"
        )
