"""Shortcuts: how images were made or saved gives away what they show.

Where two hospitals' images make two classes, a model learns to tell the hospitals. A
small tree that sees nothing but the properties of the files, cross-validated by
patient, shows how far that would take it.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from transfusion_tf.datasets.dicom import dicom_facts, starts_as_dicom
from transfusion_tf.datasets.images import ImageSource
from transfusion_tf.datasets.picture_files import opened_picture
from transfusion_tf.errors import UserError

# From what AUC on it is worth a word, if it can't be chance.
MIN_AUC = 0.6

# Below so many patients of a class, or without it, nothing is said.
_FEWEST = 10
_FOLDS = 5
_DEPTH = 3
# Enough to tell an AUC of 0.6 from chance; more would only take longer.
_MOST_IMAGES = 20_000
# Of 255 levels: what a row of a border differs by, and an image that is not grey.
_UNIFORM, _COLOURED = 2.0, 0.01
# A difference of shares that says enough by itself.
_CLEAR = 0.2
# Nothing that a network sees, but a sign of two sources.
DATE = "date"


@dataclasses.dataclass(frozen=True)
class Shortcut:
    """A class that properties of the files give away.

    Attributes:
      name: the class.
      auc: of all properties together.
      at_least: the lower end of its interval, 99 % for all classes together.
      alone: the properties that do so alone, with their AUCs, the best first.
      contrast: what the first of them is in images of the class, and in the others.
    """

    name: str
    auc: float
    at_least: float
    alone: tuple[tuple[str, float], ...]
    contrast: str


def file_properties(
    images: Sequence[ImageSource], rows: pd.DataFrame, thumbnails: np.ndarray
) -> pd.DataFrame:
    """What is known of images without looking at what they show, one row per image.

    Args:
      images: where they come from; of files, headers and dates are read.
      rows: `width`, `height` and the mean of each channel, as in `audit.Audit.rows`.
      thumbnails: uint8 [images, 32, 32], grey.
    """
    means = rows[["mean_red", "mean_green", "mean_blue"]].to_numpy()
    edges = _borders(thumbnails)
    table = pd.DataFrame(
        {
            "width": rows["width"].to_numpy(),
            "height": rows["height"].to_numpy(),
            "aspect ratio": (rows["width"] / rows["height"]).round(2).to_numpy(),
            "border above and below, in %": edges[:, 0],
            "border at the sides, in %": edges[:, 1],
            "colour": np.where(np.ptp(means, axis=1) > _COLOURED, "colour", "grey"),
        }
    )
    headers = pd.DataFrame([_header(image) for image in images])
    return pd.concat([table, headers], axis=1)


def _borders(thumbnails: np.ndarray) -> np.ndarray:
    """How many uniform rows, and columns, there are at two opposite edges, in %."""
    found = []
    for axis in (2, 1):
        uniform = thumbnails.std(axis=axis) < _UNIFORM
        before = np.cumprod(uniform, axis=1).sum(axis=1)
        after = np.cumprod(uniform[:, ::-1], axis=1).sum(axis=1)
        found.append(np.minimum(before + after, uniform.shape[1]))
    return np.round(np.stack(found, axis=1) * (100 / thumbnails.shape[1]), 1)


def _header(image: ImageSource) -> dict[str, object]:
    found: dict[str, object] = {
        "format": "",
        "bits and channels": "",
        "JPEG compression": 0,
        "metadata": "",
        DATE: "",
    }
    path = getattr(image, "path", None)
    if path is None or getattr(image, "index", None) is not None:
        return found
    found["format"] = path.suffix.lower()
    found[DATE] = datetime.date.fromtimestamp(path.stat().st_mtime).isoformat()
    with path.open("rb") as file:
        is_dicom = starts_as_dicom(file.read(132))
    if is_dicom:
        found["bits and channels"], found["metadata"] = dicom_facts(path)
        return found
    try:
        with opened_picture(path) as picture:
            found["format"] = picture.format
            found["bits and channels"] = picture.mode
            tables = getattr(picture, "quantization", None) or {}
            found["JPEG compression"] = sum(tables.get(0, ()))
            found["metadata"] = " ".join(sorted(map(str, picture.info)))
    except (UserError, OSError, ValueError, SyntaxError):
        pass  # Arrays: how they end is what is known of them.
    return found


def find_shortcuts(
    properties: pd.DataFrame,
    labels: np.ndarray,
    names: Sequence[str],
    patients: Sequence[str],
) -> list[Shortcut]:
    """Classes that properties of the files give away, the clearest first.

    Args:
      properties: from `file_properties`.
      labels: [images, classes] of 0, 1 and NaN.
      names: of the classes; of two that exclude each other, one says it all.
      patients: one an image: no fold's tree has seen another fold's patients.
    """
    chosen = _sample(patients)
    properties = properties.iloc[chosen].reset_index(drop=True)
    varying = properties.loc[:, (properties != properties.iloc[0]).any()]
    groups = np.unique(np.asarray(patients)[chosen], return_inverse=True)[1]
    if varying.empty:
        return []
    numbers = varying.apply(_as_numbers)
    classes = list(enumerate(names))
    if len(names) == 2 and (np.nansum(labels, axis=1) == 1).all():
        classes = classes[1:]
    found = []
    for index, name in classes:
        truth = labels[chosen, index]
        known = np.isfinite(truth)
        told = _told(numbers[known], truth[known], groups[known], len(classes))
        if told is None:
            continue
        auc, at_least = told
        alone = _alone(numbers[known], truth[known], groups[known])
        contrast = _contrast(varying.loc[known, alone[0][0]], truth[known] == 1)
        found.append(Shortcut(name, auc, at_least, alone, contrast))
    return sorted(found, key=lambda shortcut: -shortcut.auc)


def _sample(patients: Sequence[str]) -> np.ndarray:
    """Rows of all patients, or of as many as are enough."""
    names, of = np.unique(np.asarray(patients), return_inverse=True)
    if len(of) <= _MOST_IMAGES:
        return np.arange(len(of))
    share = _MOST_IMAGES / len(of)
    kept = np.random.default_rng(0).random(len(names)) < share
    return np.flatnonzero(kept[of])


def _as_numbers(column: pd.Series) -> pd.Series:
    if column.dtype.kind in "iuf":
        return column
    return pd.Series(pd.factorize(column, sort=True)[0], column.index)


def _told(
    numbers: pd.DataFrame, truth: np.ndarray, groups: np.ndarray, classes: int
) -> tuple[float, float] | None:
    """The AUC and its lower end, where both are worth a word."""
    present, absent = (len(np.unique(groups[truth == value])) for value in (1, 0))
    if min(present, absent) < _FEWEST:
        return None
    auc = _auc(numbers, truth, groups)
    low = auc - stats.norm.isf(0.005 / classes) * _standard_error(auc, present, absent)
    return (auc, float(low)) if auc > MIN_AUC and low > 0.5 else None


def _auc(numbers: pd.DataFrame, truth: np.ndarray, groups: np.ndarray) -> float:
    tree = DecisionTreeClassifier(
        max_depth=_DEPTH, min_samples_leaf=max(3, len(truth) // 100), random_state=0
    )
    probabilities = cross_val_predict(
        tree,
        numbers,
        truth == 1,
        groups=groups,
        cv=GroupKFold(_FOLDS),
        method="predict_proba",
    )
    return float(roc_auc_score(truth == 1, probabilities[:, 1]))


def _standard_error(auc: float, present: int, absent: int) -> float:
    """Of an AUC (Hanley and McNeil, 1982), a patient counting once."""
    one, other = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc)
    spread += (present - 1) * (one - auc**2) + (absent - 1) * (other - auc**2)
    return float(np.sqrt(spread / (present * absent)))


def _alone(
    numbers: pd.DataFrame, truth: np.ndarray, groups: np.ndarray
) -> tuple[tuple[str, float], ...]:
    """Properties by the AUC of each alone: those that are worth a word, or the best."""
    found = [(name, _auc(numbers[[name]], truth, groups)) for name in map(str, numbers)]
    found.sort(key=lambda pair: -pair[1])
    return tuple(pair for pair in found if pair[1] > MIN_AUC) or tuple(found[:1])


def _contrast(values: pd.Series, present: np.ndarray) -> str:
    """The value whose shares differ most, or else the two medians."""
    here, others = (
        values[chosen].value_counts(normalize=True) for chosen in (present, ~present)
    )
    differences = here.sub(others, fill_value=0)
    value: Any = differences.abs().idxmax()
    if values.dtype.kind in "iuf" and abs(differences[value]) < _CLEAR:
        medians = (values[chosen].median() for chosen in (present, ~present))
        return "median {:g} of them, {:g} of the others".format(*medians)
    shown = f"{value:g}" if values.dtype.kind in "iuf" else str(value or "unknown")
    shares = (100 * shares.get(value, 0) for shares in (here, others))
    return f"{shown} in {{:.0f}} % of them, in {{:.0f}} % of the others".format(*shares)
