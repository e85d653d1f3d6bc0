"""What a donor is worth before anything is transferred from it.

    measure_donor("workspace/runs/cbr_tiny-random-10007-2c4ddd0494ed")
    measure_donor("imagenet", "resnet50")

measures the donor run, or the published weights. What the numbers mean, and which gates
they are held against, is in `transfusion_tf.studies.donor_quality`.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.units import metric_unit
from transfusion_tf.initialization import (
    InitializationReport,
    initialize,
    load_donor,
)
from transfusion_tf.models import ModelSpec, build, parse_model_name
from transfusion_tf.models.registry import ARCHITECTURES
from transfusion_tf.phantoms.textures import draw_texture
from transfusion_tf.recent import Recent
from transfusion_tf.representations import gabor_fits
from transfusion_tf.representations.few_shot_probe import (
    few_shot_accuracy,
    head_features,
    probe_gain,
)
from transfusion_tf.representations.snapshots import Graph, Snapshot
from transfusion_tf.studies.measurements.run_labels import donor_name, labelled
from transfusion_tf.studies.measurements.training_results import result_rows
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training import RunConfig, RunDirectory
from transfusion_tf.training.resolved_config import donor_file, donor_input_scaling
from transfusion_tf.training.weights import first_kernel, initialize_run

# Of the measures: tables of another one are measured anew.
_VERSION = 2
# Classes of drawn textures that no donor is trained on, and images of each.
_FIRST_CLASS, _CLASSES, _IMAGES = 10_000, 24, 10
_LEAST_SIZE = 64
RANDOM_STARTS = 5
_FILTERS = 16
# Of this process: random starts are the same for all donors of an architecture.
_random_accuracies: Recent[np.ndarray] = Recent(1 << 20, lambda array: array.nbytes)


@dataclasses.dataclass(frozen=True)
class ProbedDonor:
    """A donor, and the network that it is looked at in.

    Attributes:
      donor: a run directory, or what `load_donor` takes.
      run: the donor's own; None of other weights.
      config: what the network is built from.
    """

    donor: str
    run: RunDirectory | None
    config: RunConfig

    @staticmethod
    def of(donor: str | Path, model: str | None = None) -> "ProbedDonor":
        """The donor of these weights.

        Args:
          donor: a run directory, or what `load_donor` takes: `imagenet`, a file.
          model: the recipient's name; a run says its own.

        Raises:
          UserError: weights that are no run's, without a model; a run that is not
            finished.
        """
        directory = RunDirectory(donor)
        if directory.exists():
            if not directory.finished():
                raise UserError(f"donor run {donor} is not finished")
            return ProbedDonor(str(donor), directory, directory.config())
        if model is None:
            raise UserError(f"donor {donor} is no run: say which model it is for")
        return ProbedDonor(str(donor), None, RunConfig(dataset="", model=_whole(model)))

    @property
    def size(self) -> int:
        """Pixels along an axis of what it is shown: 64, or the least from there."""
        needs = ARCHITECTURES[parse_model_name(self.config.model).architecture]
        step = needs.multiple_of
        return step * -(-max(_LEAST_SIZE, needs.min_size) // step)

    @property
    def network_key(self) -> tuple[Any, ...]:
        """All that `build` depends on."""
        config, statistics = self.config, self.config.pixel_statistics
        known = json.dumps(dict(statistics), sort_keys=True) if statistics else None
        return config.model, self.size, config.pixel_units, known, config.one_channel

    def graph(self) -> Graph:
        """The network, with a head of one class."""
        config, size = self.config, self.size
        return Graph(
            build(
                config.model,
                (size, size, 3),
                1,
                input_scaling=config.pixel_units,
                pixel_statistics=config.pixel_statistics,
                one_channel=config.one_channel,
            )
        )

    def start(self, graph: Graph) -> InitializationReport:
        """Gives the network the weights that the donor began with.

        Random ones of the architecture, where it is no run.
        """
        if self.run is not None:
            return initialize_run(graph.model, self.config)
        return initialize(graph.model, "random")

    def transfer(self, graph: Graph) -> InitializationReport:
        """Gives the network the donor's weights."""
        weights = load_donor(
            donor_file(self.donor),
            graph.model,
            input_scaling=donor_input_scaling(self.donor),
        )
        return initialize(graph.model, "transfer", weights)


def measure_donor(donor: str | Path, model: str | None = None) -> pd.DataFrame:
    """Measures a donor: see `transfusion_tf.studies.donor_quality`.

    Takes some 10 CPU seconds for CBR-Tiny and 25 for ResNet50, on drawn images of 64
    px; a second donor of an architecture takes 3, for its random starts are known.

    Args:
      donor: a finished run's directory; or `imagenet`, a weight file, a preset.
      model: the model that the weights are for; a run says its own.

    Returns:
      One row per number: `quantity`, `unit`, `value`, and `item`, why a number is
      missing.

    Raises:
      UserError: no such donor, or one that does not fit the model.
    """
    probed = ProbedDonor.of(donor, model)
    graph = probed.graph()
    ended = probed.transfer(graph)
    accuracy = _accuracy(graph, probed.size)
    gabors = list(_gabor_rows(probed, graph))
    began = probed.start(graph)
    random = _random_accuracies.get(
        probed.network_key,
        lambda: _of_random_starts(graph, probed.size, range(RANDOM_STARTS)),
    )
    rows = [
        *_validation_rows(probed.run),
        _row("donor_probe", "accuracy", float(accuracy.mean())),
        _row("donor_probe_random", "accuracy", float(random.mean())),
        _row("donor_probe_chance", "accuracy", 1 / len(accuracy)),
        *_interval_rows("donor_probe_gain", "accuracy", probe_gain(accuracy, random)),
        *gabors,
        _row("donor_kernel_scale", "doublings", _kernel_scale(began, ended)),
    ]
    return pd.DataFrame(rows)


def random_accuracies(model: str, seeds: Iterable[int]) -> np.ndarray:
    """What the probe gets right of each class from random weights, [seeds, classes]."""
    config = RunConfig(dataset="", model=_whole(model))
    probed = ProbedDonor("random", None, config)
    return _of_random_starts(probed.graph(), probed.size, seeds)


def donor_parts(
    configs: Iterable[RunConfig],
) -> Iterator[tuple[Mapping[str, Any], Callable[[], pd.DataFrame]]]:
    """Each donor that runs start from: what tells it from others, and what measures it.

    Args:
      configs: resolved; those without a donor are passed over.
    """
    for config in configs:
        if config.donor is None:
            continue
        content = {
            "version": _VERSION,
            "donor": config.donor_weights,
            "model": _whole(config.model),
        }
        yield content, functools.partial(_measure_donor_of, config)


def _measure_donor_of(config: RunConfig) -> pd.DataFrame:
    """`measure_donor` of a run's donor, with the columns `model donor donor_run`."""
    probed = ProbedDonor.of(str(config.donor), config.model)
    table = measure_donor(str(config.donor), config.model)
    return labelled(
        table,
        {
            "model": probed.config.model,
            "donor": donor_name(config) or "",
            "donor_run": "" if probed.run is None else probed.run.path.name,
        },
    )


def donor_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A donor's table as rows of measurements: of no run, but of a model and donor."""
    return table.fillna({"item": "", "donor_run": "", "unit": ""})


@functools.lru_cache(maxsize=2)
def _held_out_images(size: int) -> np.ndarray:
    """Float32 [classes, images, size, size, 3] of classes that no donor has seen."""
    classes = range(_FIRST_CLASS, _FIRST_CLASS + _CLASSES)
    drawn = [[draw_texture(c, i, size=size) for i in range(_IMAGES)] for c in classes]
    return np.array(drawn, np.float32)


def _whole(model: str) -> str:
    """Slimmed models take the weights of a whole one."""
    spec = parse_model_name(model)
    return str(ModelSpec(spec.architecture, input_scaling=spec.input_scaling))


def _of_random_starts(graph: Graph, size: int, seeds: Iterable[int]) -> np.ndarray:
    found = []
    for seed in seeds:
        initialize(graph.model, "random", seed=seed)
        found.append(_accuracy(graph, size))
    return np.array(found)


def _accuracy(graph: Graph, size: int) -> np.ndarray:
    """Of the probe on the network as it is now, by class."""
    images = _held_out_images(size)
    flat = images.reshape(-1, *images.shape[2:])
    features = head_features(Snapshot.of(graph.model, graph), flat)
    return few_shot_accuracy(features.reshape(*images.shape[:2], -1))


def _validation_rows(directory: RunDirectory | None) -> Iterator[dict[str, Any]]:
    """How well a donor run does on its own validation split."""
    if directory is None:
        return
    run = Run(
        directory.path.name,
        directory,
        directory.config(),
        directory.status(),
        directory.dataset(),
    )
    unit, score = metric_unit(run.metric), run.split_score("validation")
    yield _row("donor_validation", unit, run.best_validation())
    if score is not None:
        known = score.replicates[np.isfinite(score.replicates)]
        low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan,) * 2
        yield _row("donor_validation_low", unit, float(low))
        yield _row("donor_validation_high", unit, float(high))
    rows = result_rows(run)
    chance = rows.loc[rows["quantity"] == "chance", "value"].iloc[0]
    yield _row("donor_chance", unit, float(chance))


def _gabor_rows(probed: ProbedDonor, graph: Graph) -> Iterator[dict[str, Any]]:
    """Gabor share of the first layer, mean over filters, and of shuffled filters."""
    name = parse_model_name(probed.config.model).architecture
    fits, why = None, "the first layer has patches, not filters"
    if ARCHITECTURES[name].blocks is None:
        try:
            fits = gabor_fits(first_kernel(graph.model)[..., :_FILTERS])
        except UserError as error:
            why = str(error).partition(";")[0]
    for quantity, column in (
        ("donor_gabor_share", "explained"),
        ("donor_gabor_chance", "chance"),
    ):
        if fits is None:
            yield {**_row(quantity, "share", np.nan), "item": why}
        else:
            yield _row(quantity, "share", float(fits[column].mean()))


def _kernel_scale(began: InitializationReport, ended: InitializationReport) -> float:
    """How far kernels' deviations are from those at their start, in doublings.

    Mean over kernels below the head of |log2| of the one over the other.
    """
    before = {record.path: record.std for record in began}
    ratios = [
        record.std / before[record.path]
        for record in ended
        if record.stage != "head" and len(record.shape) > 1 and before[record.path] > 0
    ]
    return float(np.mean(np.abs(np.log2(np.maximum(ratios, 2.0**-30)))))


def _interval_rows(
    quantity: str, unit: str, found: Estimate
) -> Iterator[dict[str, Any]]:
    yield _row(quantity, unit, found.estimate)
    yield _row(f"{quantity}_low", unit, found.low)
    yield _row(f"{quantity}_high", unit, found.high)


def _row(quantity: str, unit: str, value: float) -> dict[str, Any]:
    return {"quantity": quantity, "unit": unit, "value": value, "item": ""}
