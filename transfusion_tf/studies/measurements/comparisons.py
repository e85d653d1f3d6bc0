"""Which models a chapter compares, by the names of the measurements that it asks for.

Each kind of comparison says which parts a chapter's runs make, a table each, and how
such a table becomes rows of measurements. `studies.comparison_tables` keeps the tables.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.initialization import parse_spec
from transfusion_tf.representations import KNNSettings
from transfusion_tf.representations.measure_names import MEASURE_MEANINGS, MEASURE_NAMES
from transfusion_tf.studies.measurements.attended_distance import run_attention
from transfusion_tf.studies.measurements.comparison_options import (
    Options,
    knn_options,
    layer_options,
    layer_settings,
    robustness_options,
    sampling_options,
    sampling_sentence,
    similarity_measure,
    stage_settings,
    trained_options,
    travel_options,
)
from transfusion_tf.studies.measurements.comparison_results import (
    agreement_rows,
    gabor_rows,
    image_distance_rows,
    layer_similarity_rows,
    part_rows,
    similarity_rows,
    travel_rows,
)
from transfusion_tf.studies.measurements.confident_errors import (
    best_run,
    error_rows,
    run_confident_errors,
)
from transfusion_tf.studies.measurements.data_set_distance import (
    has_images,
    is_run,
    run_image_distance,
)
from transfusion_tf.studies.measurements.donor_measures import donor_parts, donor_rows
from transfusion_tf.studies.measurements.first_layer_gabors import (
    gabor_changes,
    initial_gabors,
)
from transfusion_tf.studies.measurements.layer_similarity import (
    layer_cka_before_and_after,
    layer_cka_of_runs,
)
from transfusion_tf.studies.measurements.model_states import ModelStates
from transfusion_tf.studies.measurements.nearest_neighbors import run_knn
from transfusion_tf.studies.measurements.prediction_agreement import compare_mistakes
from transfusion_tf.studies.measurements.robustness import reinitialization_robustness
from transfusion_tf.studies.measurements.run_images import held_out_images
from transfusion_tf.studies.measurements.stage_similarity import (
    compare_before_and_after,
    compare_population,
)
from transfusion_tf.studies.measurements.weight_travel import run_travel
from transfusion_tf.training import RunConfig, RunDirectory

Runs = Sequence[RunDirectory]
# All that a table depends on, and what computes it.
Part = tuple[Mapping[str, Any], Callable[[], pd.DataFrame]]
Parts = Callable[[Runs, str | Path, Options], Iterator[Part]]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A measurement that chapters can ask for.

    Attributes:
      parts: of a chapter's runs, with the folder of prepared data and the chapter's
        options.
      rows: of one part's table, with some of the columns of `measurements.parquet`;
        those that describe runs are filled in later.
      said: what the page says of the models, by the chapter's options.
    """

    parts: Parts
    rows: Callable[[pd.DataFrame], pd.DataFrame]
    said: Callable[[Options], str] = lambda options: ""


def _each_run(
    compute: Callable[..., pd.DataFrame],
    given: Callable[[Options], Options] = lambda options: {},
    wanted: Callable[[RunConfig], bool] = lambda config: True,
) -> Parts:
    """A table of each run.

    Args:
      compute: from a run directory, the folder of prepared data and, by name, what is
        given.
      given: of the chapter's options, what the table depends on.
      wanted: the runs that are looked at.
    """

    def parts(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
        chosen = given(options)
        for run in runs:
            if wanted(run.config()):
                made = functools.partial(compute, run.path, data_root, **chosen)
                yield _content([run], chosen), made

    return parts


def _population(state: str, together: Callable[[RunConfig], Hashable]) -> Comparison:
    """All pairs of each group of runs: similarity by stage.

    Args:
      state: `initial` or `trained`.
      together: what the runs of a group have in common; None leaves a run out.
    """

    def parts(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
        given = sampling_options(options)
        for group in _grouped(runs, together):
            compute = functools.partial(_pairs, group, data_root, state, given)
            yield _content(group, given), compute

    return Comparison(parts, similarity_rows(state, state), _of_samples)


def _pairs(
    group: Runs, data_root: str | Path, state: str, given: Options
) -> pd.DataFrame:
    paths = [run.path for run in group]
    # Untrained models have seen no images, so those of any fold will do.
    images = held_out_images(paths[0], data_root) if state == "initial" else None
    return compare_population(
        paths,
        data_root,
        state=state,
        images=images,
        settings=stage_settings(given),
        states=ModelStates(**given["states"]),
    )


def _of_states(options: Options) -> str:
    said = ModelStates.of(options).sentence()
    measure = similarity_measure(options)
    if measure != "cca":
        name, meaning = MEASURE_NAMES[measure], MEASURE_MEANINGS[measure]
        said += f" Similarity is {name}: {meaning}."
    return said


def _of_samples(options: Options) -> str:
    return f"{_of_states(options)} {sampling_sentence(options)}"


def _of_trained(options: Options) -> str:
    return ModelStates.of(options).trained_sentence()


def _before_after(run: Path, data_root: str | Path, **given: Any) -> pd.DataFrame:
    """A run before and after training: similarity by stage."""
    return compare_before_and_after(
        run,
        data_root,
        settings=stage_settings(given),
        states=ModelStates(**given["states"]),
    )


def _knn(
    run: Path, data_root: str | Path, *, split: str, trained: str, **how: Any
) -> pd.DataFrame:
    """How well each stage's features tell the classes apart."""
    settings = KNNSettings(**how, progress=False)
    return run_knn(run, data_root, weights=trained, split=split, settings=settings)


def _is_transferred_whole(config: RunConfig) -> bool:
    spec = parse_spec(config.initialization)
    return spec.scheme == "transfer" and spec.through is None


def _layer_cka_pairs(
    state: str, runs: Runs, data_root: str | Path, options: Options
) -> Iterator[Part]:
    """Weight transfer against stats transfer, of one model, data set and seed."""
    given = layer_options(options)
    pairs: dict[Hashable, dict[str, RunDirectory]] = {}
    for run in runs:
        config = run.config()
        key = (config.model, config.data, config.train_examples, config.seed)
        spec = parse_spec(config.initialization)
        if spec.through is None:
            pairs.setdefault(key, {})[spec.scheme] = run
    for found in pairs.values():
        if {"mean_var", "transfer"} <= set(found):
            pair = [found["mean_var"], found["transfer"]]
            compute = functools.partial(_layers_of_two, pair, state, data_root, given)
            yield _content(pair, given), compute


def _layers_of_one(run: Path, data_root: str | Path, **given: Any) -> pd.DataFrame:
    """Initial layers (a) against trained ones (b)."""
    table = layer_cka_before_and_after(run, data_root, **layer_settings(given))
    return table[(table["model_a"] == "initial") & (table["model_b"] == "trained")]


def _layers_of_two(
    pair: Runs, state: str, data_root: str | Path, given: Options
) -> pd.DataFrame:
    """The first run's layers (a) against the second's (b)."""
    first, second = (run.path.name for run in pair)
    table = layer_cka_of_runs(
        [run.path for run in pair], data_root, state=state, **layer_settings(given)
    )
    table = table[(table["model_a"] == first) & (table["model_b"] == second)].copy()
    table.insert(0, "run_a", first)
    table.insert(1, "run_b", second)
    table.insert(2, "model", pair[0].config().model)
    return table


def _layer_cka_of_pairs(state: str) -> Comparison:
    """Both before training, or both after."""
    parts = functools.partial(_layer_cka_pairs, state)
    return Comparison(parts, layer_similarity_rows(state, state), _of_states)


def _frechet(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """The distance of each data set to the source, all in one donor's features."""
    transferred = [run for run in runs if run.config().donor]
    wanted = options.get("features")
    of_model = [run for run in transferred if run.config().model == wanted]
    most_images = options.get("images", 5000)
    source = options.get("source")
    donors = [str(run.config().donor) for run in of_model or transferred]
    if not donors or not (is_run(donors[0]) or has_images(source)):
        return
    by_data = {run.dataset()["name"]: run for run in transferred}
    for _, run in sorted(by_data.items()):
        content = {
            "data": run.config().data,
            "image_size": run.config().image_size,
            "donor": Path(donors[0]).name,
            "source": source,
            "images": most_images,
        }
        compute = functools.partial(
            run_image_distance,
            run.path,
            donors[0],
            data_root,
            source=source,
            most_images=most_images,
        )
        yield content, compute


def _agreement(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """The mistakes of two runs on the same test examples.

    They differ in their start alone; or in nothing but their seed, as a control.
    """
    for group in _grouped(runs, _of_one_test_set):
        for pair in itertools.combinations(group, 2):
            seeds, starts = (
                {value(run.config()) for run in pair} for value in (_seed, _start)
            )
            if len(seeds) == len(starts):
                continue
            compute = functools.partial(compare_mistakes, *(run.path for run in pair))
            yield _content(pair), compute


def _confident_errors(
    runs: Runs, data_root: str | Path, options: Options
) -> Iterator[Part]:
    """What the best run on validation misses most confidently on test."""
    run = best_run(runs)
    if run is not None:
        given = {"most": options.get("errors", 6)}
        compute = functools.partial(run_confident_errors, run.path, data_root, **given)
        yield _content([run], given), compute


def _of_one_model(config: RunConfig) -> Hashable:
    return (config.model, config.data)


def _of_one_fold(config: RunConfig) -> Hashable:
    """Runs that differ in their start alone.

    Donors may scale their input otherwise, which the model's name says.
    """
    architecture = config.model.partition("[")[0]
    return (architecture, config.data, config.seed, config.fold, config.head_steps)


def _of_one_test_set(config: RunConfig) -> Hashable:
    """Runs that differ in their start and seed alone."""
    architecture = config.model.partition("[")[0]
    return (architecture, config.data, config.fold, config.head_steps)


def _seed(config: RunConfig) -> Hashable:
    return config.seed


def _start(config: RunConfig) -> Hashable:
    # A donor that was pretrained here may have a seed of its own.
    return (config.initialization, config.donor)


def _of_random_starts(config: RunConfig) -> Hashable:
    """Whatever their fold: before training they share nothing but the architecture."""
    is_random = parse_spec(config.initialization).scheme == "random"
    return _of_one_model(config) if is_random else None


COMPARISONS: Mapping[str, Comparison] = {
    "before_after": Comparison(
        _each_run(_before_after, sampling_options),
        similarity_rows("initial", "trained"),
        _of_samples,
    ),
    "population_initial": _population("initial", _of_one_model),
    "population_trained": _population("trained", _of_one_model),
    "fold_initial": _population("initial", _of_one_fold),
    "fold_trained": _population("trained", _of_one_fold),
    "random_initial": _population("initial", _of_random_starts),
    "agreement": Comparison(_agreement, agreement_rows),
    "confident_errors": Comparison(_confident_errors, error_rows),
    "layer_cka": Comparison(
        _each_run(_layers_of_one, layer_options, _is_transferred_whole),
        layer_similarity_rows("initial", "trained"),
        _of_states,
    ),
    "layer_cka_pairs": _layer_cka_of_pairs("trained"),
    "layer_cka_pairs_initial": _layer_cka_of_pairs("initial"),
    "travel": Comparison(
        _each_run(
            lambda run, data_root, **given: run_travel(run, **given), travel_options
        ),
        travel_rows,
        _of_trained,
    ),
    "gabor_changes": Comparison(
        _each_run(
            lambda run, data_root, **given: gabor_changes(run, **given),
            lambda options: {
                **trained_options(options),
                "fitted": options.get("fitted"),
            },
        ),
        gabor_rows(
            {
                "explained_before": "gabor_share_before",
                "explained_after": "gabor_share_after",
                "chance": "gabor_share_chance",
            }
        ),
        _of_trained,
    ),
    "robustness": Comparison(
        _each_run(reinitialization_robustness, robustness_options),
        part_rows({"drop": ("robustness_drop", "of the metric")}, "best"),
        lambda options: "Parts are set back in the best weights on validation.",
    ),
    "knn": Comparison(
        _each_run(_knn, knn_options),
        part_rows({"value": ("knn_score", "of the metric")}),
        _of_trained,
    ),
    "attention": Comparison(
        _each_run(
            run_attention,
            lambda options: {
                "most_images": options.get("images", 512),
                **trained_options(options),
            },
            lambda config: config.model.startswith("deit"),
        ),
        part_rows(
            {
                "distance": ("attended_distance", "px"),
                "class_token_share": ("class_token_share", ""),
            }
        ),
        _of_trained,
    ),
    "gabors": Comparison(
        _each_run(
            lambda run, data_root, **given: initial_gabors(run, **given),
            lambda options: {"fitted": options.get("fitted")},
        ),
        gabor_rows(
            {"explained": "gabor_share_before", "chance": "gabor_chance_before"}
        ),
    ),
    "frechet": Comparison(_frechet, image_distance_rows),
    "donor_quality": Comparison(
        lambda runs, data_root, options: donor_parts(run.config() for run in runs),
        donor_rows,
    ),
}


def _grouped(
    runs: Runs, together: Callable[[RunConfig], Hashable]
) -> list[list[RunDirectory]]:
    """Groups of two or more, each in the order of the run ids."""
    groups: dict[Hashable, list[RunDirectory]] = {}
    for run in sorted(runs, key=lambda run: run.path.name):
        key = together(run.config())
        if key is not None:
            groups.setdefault(key, []).append(run)
    return [group for group in groups.values() if len(group) > 1]


def _content(runs: Runs, given: Options | None = None) -> dict[str, Any]:
    return {"runs": [run.path.name for run in runs], **(given or {})}
