"""Rows of first-layer filters: how training moved them, and Gabor functions in them."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation.estimator import estimate_mean
from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.report import sample_images
from transfusion_tf.report.long_table import Rows, lines, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import ModelResults, StartRuns
from transfusion_tf.report.rows.accuracy_rows import keys_of, model_results
from transfusion_tf.report.rows.donors_rows import donor_runs
from transfusion_tf.representations import filter_changes, gabor_fits, weight_histograms
from transfusion_tf.studies.measurements.model_states import ModelStates

FILTERS = 36  # of each donor
# As `gabor_filter_bank` orders them: cycles per pixel before the paper's resizing.
FREQUENCIES = (0.08, 0.16, 0.25, 0.32)
GABOR = {
    "gabor_share_before": "explained_before",
    "gabor_share_after": "explained_after",
    "gabor_share_chance": "chance",
}
# More than half of a filter's energy in one Gabor function.
_GABOR_LIKE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class PanelKernels:
    """First-layer filters of one model at one training size.

    Attributes:
      keys: the columns that say which panel a row is of.
      panel: its runs.
      kernels: initialization -> before and after, of the lowest seed that kept them.
    """

    keys: Mapping[str, Any]
    panel: ModelResults
    kernels: Mapping[str, tuple[np.ndarray, np.ndarray]]


def kernels_of_panels(material: Material) -> list[PanelKernels]:
    """The filters of all panels that kept any."""
    trained = ModelStates.of(material.chapter.options).trained
    found = []
    for results, panel in model_results(material):
        kernels = {
            label: pairs[0]
            for label, group in panel.starts.items()
            if (pairs := _kernels(group, trained))
        }
        if kernels:
            found.append(PanelKernels(keys_of(results, panel), panel, kernels))
    return found


def _kernels(group: StartRuns, trained: str) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for _, run in sorted(group.runs.items()):
        # Runs of an earlier version kept the best filters and not the last.
        with contextlib.suppress(FileNotFoundError, UserError):
            found.append(run.directory.first_layer(trained))
    return found


def filter_rows(material: Material) -> Rows:
    """How far filters moved, how much of a Gabor is in them, how weights spread.

    Options: `histogram` looks at the weights at initialization only; `fitted` is the
    number of filters that Gabor functions are fitted to, all by default.
    """
    options = material.chapter.options
    only_before, most = bool(options.get("histogram")), options.get("fitted")
    states = ModelStates.of(options)
    rows: Rows = []
    if not only_before:
        said = {"quantity": "remark", "said": states.trained_sentence()}
        rows.append({"hidden": True, **said})
    for each in kernels_of_panels(material):
        changes: dict[str, pd.DataFrame] = {}
        try:
            changes = {
                label: _gabors(
                    *(kernel[..., :most] for kernel in pair), only_before=only_before
                )
                for label, pair in each.kernels.items()
            }
        except UserError as error:
            rows.append(_refusal(error))
        for label in each.kernels:
            keys = {**each.keys, "initialization": label}
            pairs = _kernels(each.panel.starts[label], states.trained)
            rows += _group_rows(keys, pairs, changes.get(label))
        if only_before:
            before = {label: pair[0] for label, pair in each.kernels.items()}
            rows += [
                {**each.keys, "quantity": "density", "hidden": True, **row}
                | {"value": row["density"]}
                for row in lines(weight_histograms(before))
            ]
    return rows


def _refusal(error: UserError) -> dict[str, Any]:
    said = f"No Gabor fits: {error}."
    return {"hidden": True, "quantity": "remark", "said": said}


def _gabors(
    before: np.ndarray, after: np.ndarray, *, only_before: bool
) -> pd.DataFrame:
    """How much of a Gabor is in every filter."""
    if only_before:
        return gabor_fits(before).rename(columns={"explained": "explained_before"})
    return filter_changes(before, after)


def _group_rows(
    keys: Mapping[str, Any],
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    changes: pd.DataFrame | None,
) -> Rows:
    moved = [sample_images.filter_change(*pair) for pair in pairs]
    moved = [value for value in moved if np.isfinite(value)]
    shown, shares = {}, {}
    if changes is not None:
        shown = {name: column for name, column in GABOR.items() if column in changes}
        shares = {name: changes[column].mean() for name, column in shown.items()}
    rows: Rows = []
    if moved:
        mean = measured(estimate_mean(moved))
        rows.append({"quantity": "moved", **dict.fromkeys(GABOR), **shares, **mean})
    rows += [
        {"quantity": name, "value": value, "seeds": 1} for name, value in shares.items()
    ]
    if changes is not None:
        rows += [
            {"quantity": "filter", "hidden": True, **values}
            for values in lines(changes[list(shown.values())])
        ]
    initial = pairs[0][0].astype(np.float64)
    deviation = initial.std()
    kurtosis = np.nan
    if deviation:
        kurtosis = np.mean((initial - initial.mean()) ** 4) / deviation**4 - 3
    weights = {
        "weight_mean": initial.mean(),
        "weight_std": deviation,
        "weight_excess_kurtosis": kurtosis,
    }
    rows += [
        {"quantity": name, "value": float(value), "seeds": 1, "kurtosis": kurtosis}
        for name, value in weights.items()
    ]
    return [{**keys, **row} for row in rows]


def donor_kernels(material: Material) -> dict[str, np.ndarray]:
    """Donor -> the first of its filters, as the runs start from them."""
    kernels: dict[str, np.ndarray] = {}
    for group in donor_runs(material):
        path = group.first.directory.path / "first_layer.npz"
        if not group.head_first and path.exists():
            initial, _ = group.first.directory.first_layer("initial")
            kernels.setdefault(group.donor, initial[..., :FILTERS])
    return kernels


def donor_filter_rows(material: Material) -> Rows:
    """How much of a Gabor is in each donor's filters, and how much colour."""
    rows: Rows = []
    for name, kernel in donor_kernels(material).items():
        keys = {"initialization": name, "donor": name, "head_first": False}
        size = "{} × {}".format(*kernel.shape[:2])
        rows.append({**keys, "hidden": True, "quantity": "kernel", "size": size})
        try:
            rows += [{**keys, **row} for row in _fit_rows(gabor_fits(kernel), kernel)]
        except UserError as error:
            rows.append(_refusal(error))
    return rows


def _fit_rows(fits: pd.DataFrame, kernel: np.ndarray) -> Rows:
    values = {
        "gabor_share": fits["explained"].mean(),
        "gabor_share_chance": fits["chance"].mean(),
        "gabor_like": (fits["explained"] > _GABOR_LIKE).mean(),
        "color_share": color_share(kernel),
    }
    words = {"chance": values["gabor_share_chance"], "color": values["color_share"]}
    rows: Rows = [
        {"quantity": quantity, "value": float(value), **words}
        for quantity, value in values.items()
    ]
    return rows + [
        {"stage": f"filter {index}", "quantity": "explained", "value": float(value)}
        for index, value in enumerate(fits["explained"])
    ]


def color_share(kernel: np.ndarray) -> float:
    """Share of the filters' energy that is not the same in red, green and blue.

    Args:
      kernel: [height, width, 3, filters].

    Returns:
      In [0, 1]; 0 where all filters are grey, NaN where they are all zero.
    """
    kernel = kernel.astype(np.float64)
    gray = kernel.mean(axis=2, keepdims=True)
    energy = float(np.sum(kernel**2))
    return float(np.sum((kernel - gray) ** 2)) / energy if energy else float("nan")


def bank_rows(material: Material) -> Rows:
    """A row per synthetic Gabor filter: what it was made with and what a fit finds.

    `frequency` is in cycles per pixel before resizing, orientations are in degrees;
    `turned` is between the orientation asked for and the one fitted, up to 90; `mean_…`
    are means over the filters of one frequency.
    """
    del material  # The bank is the same for all.
    table = _bank_table()
    means = table.groupby("frequency")[
        ["fitted_frequency", "turned", "explained", "chance"]
    ].mean()
    joined = table.join(means.add_prefix("mean_"), on="frequency")
    return [{"quantity": "filter", **row} for row in lines(joined)]


@cache
def _bank_table() -> pd.DataFrame:
    bank = gabor_filter_bank()
    angles = len(bank) // len(FREQUENCIES)
    fits = gabor_fits(bank.transpose(1, 2, 0)[:, :, np.newaxis])
    orientation = np.tile(np.arange(angles) * 180 / angles, len(FREQUENCIES))
    # Half a turn is the same direction.
    fitted = fits["orientation"].round(6) % 180
    turned = (fitted - orientation) % 180
    return pd.DataFrame(
        {
            "filter": fits["filter"],
            "frequency": np.repeat(FREQUENCIES, angles),
            "orientation": orientation,
            "explained": fits["explained"],
            "fitted_frequency": fits["frequency"],
            "fitted_orientation": fitted,
            "chance": fits["chance"],
            "turned": turned.where(turned <= 90, 180 - turned),
        }
    )
