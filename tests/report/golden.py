"""Numbers of published tables, kept so that every change of one is seen.

Where a number is meant to change, `UPDATE_GOLDEN=1 pytest tests/report` writes them
anew; the difference then belongs into the commit, and its reason into its message.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent / "golden"
NUMBERS = ["value", "low", "high"]
# A Gabor is found by a search, whose last digits are the machine's.
SEARCHED = "gabor|explained"


def check_golden(name, views):
    """Compares all numbers of a study's chapters with those of `golden/<name>.csv`.

    Args:
      name: of the file.
      views: chapter -> its view.
    """
    found = pd.concat(
        [_numbers(chapter, view.table) for chapter, view in views.items()],
        ignore_index=True,
    )
    path = FOLDER / f"{name}.csv"
    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        found.to_csv(path, index=False, float_format="%.6g")
    kept = pd.read_csv(path)
    how = f"if that is meant, write {path.name} anew with UPDATE_GOLDEN=1"
    keys = ["chapter", "quantity"]
    assert found[keys].equals(kept[keys]), f"other rows than before; {how}"
    searched = found["quantity"].str.contains(SEARCHED).to_numpy()[:, np.newaxis]
    ours, theirs = (table[NUMBERS].to_numpy(float) for table in (found, kept))
    limit = np.where(searched, 1e-3, 1e-5) * np.abs(theirs) + 1e-9
    same = (np.abs(ours - theirs) <= limit) | (np.isnan(ours) & np.isnan(theirs))
    other = ~same.all(axis=1)
    sides = found[other].join(kept.loc[other, NUMBERS], rsuffix="_before")
    assert not other.any(), f"numbers have changed; {how}:\n{sides.to_string()}"


def _numbers(chapter, table):
    if "value" not in table:
        return pd.DataFrame()
    return table.assign(chapter=chapter)[["chapter", "quantity", *NUMBERS]]
