"""Rows of first-layer filters: how training moved them, and Gabor functions in them."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.estimator import estimate_mean
from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.report import sample_images
from transfusion_tf.report.long_table import Rows, effect_rows, lines, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import ModelResults, StartRuns
from transfusion_tf.report.rows.accuracy_rows import model_results
from transfusion_tf.report.rows.donors_rows import donor_runs
from transfusion_tf.representations import gabor_fits, weight_histograms
from transfusion_tf.studies.measurements.model_states import ModelStates
from transfusion_tf.studies.measurements.table import Measurements

# As `gabor_filter_bank` orders them: cycles per pixel before the paper's resizing.
FREQUENCIES = (0.08, 0.16, 0.25, 0.32)
# What is shown -> what was measured; of weights that were not trained, and of others.
_INITIAL = {
    "gabor_share_before": "gabor_share_before",
    "gabor_share_chance": "gabor_chance_before",
}
_TRAINED = {
    "gabor_share_before": "gabor_share_before",
    "gabor_share_after": "gabor_share_after",
    "gabor_share_chance": "gabor_share_chance",
}
# More than half of a filter's energy in one Gabor function.
_GABOR_LIKE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class PanelKernels:
    """First-layer filters of one model at one training size.

    Attributes:
      panel: its runs.
      kernels: initialization -> run id -> filters before and after training, of the
        runs that kept them, the lowest seed first.
    """

    panel: ModelResults
    kernels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]

    @property
    def shown(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Those of the first run of each initialization."""
        return {label: next(iter(own.values())) for label, own in self.kernels.items()}


def kernels_of_panels(material: Material) -> list[PanelKernels]:
    """The filters of all panels that kept any."""
    trained = ModelStates.of(material.chapter.options).trained
    found = []
    for _, panel in model_results(material):
        kernels = {
            label: own
            for label, group in panel.starts.items()
            if (own := _kernels(group, trained))
        }
        if kernels:
            found.append(PanelKernels(panel, kernels))
    return found


def _kernels(
    group: StartRuns, trained: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    for _, run in sorted(group.runs.items()):
        # Runs of an earlier version kept the best filters and not the last.
        with contextlib.suppress(FileNotFoundError, UserError):
            found[run.run_id] = run.directory.first_layer(trained)
    return found


def filter_rows(material: Material) -> Rows:
    """How far filters moved, how much of a Gabor is in them, how weights spread.

    Options: `histogram` looks at the weights at initialization only.
    """
    options = material.chapter.options
    only_before = bool(options.get("histogram"))
    states = ModelStates.of(options)
    rows: Rows = []
    if not only_before:
        said = {"quantity": "remark", "said": states.trained_sentence()}
        rows.append({"hidden": True, **said})
    for each in kernels_of_panels(material):
        for label, kernels in each.kernels.items():
            group = each.panel.starts[label]
            shares = {
                shown: group.average(quantity)
                for shown, quantity in (_INITIAL if only_before else _TRAINED).items()
            }
            rows += _group_rows(group.columns, list(kernels.values()), shares)
            if not only_before:
                filters = _shares_by_filter(group, next(iter(kernels)))
                rows += [
                    {**group.columns, "quantity": "filter", "hidden": True, **values}
                    for values in lines(filters)
                ]
        if only_before:
            before = {label: pair[0] for label, pair in each.shown.items()}
            rows += [
                {**each.panel.columns, "quantity": "density", "hidden": True, **row}
                | {"value": row["density"]}
                for row in lines(weight_histograms(before))
            ]
    return rows


def _shares_by_filter(group: StartRuns, run: str) -> pd.DataFrame:
    """How much of a Gabor is in every filter of one run; empty where none was fitted.

    Returns:
      A row per filter: `gabor_share_before gabor_share_after gabor_share_chance`.
    """
    columns = {
        shown: group.measurements.of(quantity, run=[run]).set_index("item")["value"]
        for shown, quantity in _TRAINED.items()
    }
    return pd.DataFrame(columns)


def _group_rows(
    keys: Mapping[str, Any],
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    shares: Mapping[str, Estimate | None],
) -> Rows:
    moved = [sample_images.filter_change(*pair) for pair in pairs]
    moved = [value for value in moved if np.isfinite(value)]
    rows: Rows = []
    if moved:
        words = dict.fromkeys(_TRAINED) | {
            name: share and share.estimate for name, share in shares.items()
        }
        mean = measured(estimate_mean(moved))
        rows.append({"quantity": "moved", **words, **mean})
    for name, share in shares.items():
        rows += effect_rows(name, share)
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


@dataclasses.dataclass(frozen=True, eq=False)
class DonorKernel:
    """The first-layer filters that the runs of a donor start from.

    Attributes:
      kernel: the first of them, float [height, width, in, filters].
      run: the id of the run that they are read from.
    """

    kernel: np.ndarray
    run: str


def donor_kernels(material: Material) -> dict[str, DonorKernel]:
    """Donor -> its filters; of each as many as the option `fitted` says."""
    most = material.chapter.options.get("fitted")
    kernels: dict[str, DonorKernel] = {}
    for group in donor_runs(material):
        path = group.first.directory.path / "first_layer.npz"
        if not group.head_first and path.exists():
            initial, _ = group.first.directory.first_layer("initial")
            found = DonorKernel(initial[..., :most], group.first.run_id)
            kernels.setdefault(group.donor, found)
    return kernels


def donor_filter_rows(material: Material) -> Rows:
    """How much of a Gabor is in each donor's filters, and how much colour."""
    rows: Rows = []
    for name, donor in donor_kernels(material).items():
        size = "{} × {}".format(*donor.kernel.shape[:2])
        own: Rows = [{"hidden": True, "quantity": "kernel", "size": size}]
        own += _fit_rows(material.measurements, donor)
        keys = {"initialization": name, "donor": name, "head_first": False}
        rows += [{**keys, **row} for row in own]
    return rows


def _fit_rows(measurements: Measurements, donor: DonorKernel) -> Rows:
    """Of the filters together, and of each; of colour alone where none was fitted."""
    explained, chance = (
        measurements.of(name, run=[donor.run])["value"] for name in _INITIAL.values()
    )
    values: dict[str, float] = {}
    if len(explained):
        values = {
            "gabor_share": explained.mean(),
            "gabor_share_chance": chance.mean(),
            "gabor_like": (explained > _GABOR_LIKE).mean(),
        }
    values["color_share"] = color_share(donor.kernel)
    words = {"chance": values.get("gabor_share_chance"), "color": values["color_share"]}
    rows: Rows = [
        {"quantity": quantity, "value": float(value), **words}
        for quantity, value in values.items()
    ]
    return rows + [
        {"stage": f"filter {index}", "quantity": "explained", "value": float(value)}
        for index, value in enumerate(explained)
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
