"""Which models a chapter compares, by the names of the measurements that it asks for.

Each kind of comparison is a function from a chapter's runs to parts: what one table is
made of, and what computes it. `studies.comparison_tables` keeps the tables.
"""

import functools
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.initialization import parse_spec
from transfusion_tf.representations import (
    KNNSettings,
    LayerSettings,
    Sampling,
    Settings,
)
from transfusion_tf.studies.measurements.attended_distance import run_attention
from transfusion_tf.studies.measurements.data_set_distance import (
    has_images,
    is_run,
    run_image_distance,
)
from transfusion_tf.studies.measurements.layer_similarity import (
    layer_cka_before_and_after,
    layer_cka_of_runs,
)
from transfusion_tf.studies.measurements.nearest_neighbors import run_knn
from transfusion_tf.studies.measurements.prediction_agreement import compare_mistakes
from transfusion_tf.studies.measurements.robustness import reinitialization_robustness
from transfusion_tf.studies.measurements.run_images import run_images
from transfusion_tf.studies.measurements.stage_similarity import (
    compare_before_and_after,
    compare_population,
)
from transfusion_tf.studies.measurements.weight_travel import run_travel
from transfusion_tf.training import RunConfig, RunDirectory

Runs = Sequence[RunDirectory]
Options = Mapping[str, Any]
# All that a table depends on, and what computes it.
Part = tuple[Mapping[str, Any], Callable[[], pd.DataFrame]]
Comparison = Callable[[Runs, str | Path, Options], Iterator[Part]]


def _before_after(
    runs: Runs, data_root: str | Path, options: Options
) -> Iterator[Part]:
    """Each run before and after training: similarity by stage."""
    settings = _settings(options)
    for run in runs:
        compute = functools.partial(
            compare_before_and_after, run.path, data_root, settings=settings
        )
        yield _sampled([run], settings), compute


def _population(weights: str, together: Callable[[RunConfig], Hashable]) -> Comparison:
    """All pairs of each group of runs: similarity by stage.

    Args:
      weights: `initial` or `best`.
      together: what the runs of a group have in common; None leaves a run out.
    """

    def parts(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
        settings = _settings(options)
        for group in _grouped(runs, together):
            compute = functools.partial(_pairs, group, data_root, weights, settings)
            yield _sampled(group, settings), compute

    return parts


def _pairs(
    group: Runs, data_root: str | Path, weights: str, settings: Settings
) -> pd.DataFrame:
    paths = [run.path for run in group]
    # Untrained models have seen no images, so those of any fold will do.
    images = run_images(paths[0], data_root) if weights == "initial" else None
    return compare_population(
        paths, data_root, weights=weights, images=images, settings=settings
    )


def _travel(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """How far each run's weights came."""
    for run in runs:
        yield _content([run]), functools.partial(run_travel, run.path)


def _robustness(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """What each run loses where one part is set back to where it began."""
    given = {
        "kind": options.get("kind", "unit"),
        "split": options.get("split", "test"),
    }
    for run in runs:
        compute = functools.partial(
            reinitialization_robustness, run.path, data_root, **given, progress=False
        )
        yield _content([run], given), compute


def _knn(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """How well each stage's features tell the classes apart."""
    given = {"kind": options.get("kind", "stage"), "k": options.get("k", 200)}
    given |= {
        name: options[name] for name in ("vote", "temperature") if name in options
    }
    split = options.get("split", "test")
    for run in runs:
        compute = functools.partial(
            run_knn,
            run.path,
            data_root,
            split=split,
            settings=KNNSettings(**given, progress=False),
        )
        yield _content([run], {**given, "split": split}), compute


def _attention(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """How far each head of a DeiT looks."""
    given = {"most_images": options.get("images", 512)}
    for run in runs:
        if run.config().model.startswith("deit"):
            compute = functools.partial(
                run_attention, run.path, data_root, **given, progress=False
            )
            yield _content([run], given), compute


def _layer_cka(runs: Runs, data_root: str | Path, options: Options) -> Iterator[Part]:
    """Layers before training against layers after it, of transferred models."""
    given = _layer_options(options)
    for run in runs:
        spec = parse_spec(run.config().initialization)
        if spec.scheme == "transfer" and spec.through is None:
            compute = functools.partial(_layers_of_one, run, data_root, given)
            yield _content([run], given), compute


def _layer_cka_pairs(
    runs: Runs, data_root: str | Path, options: Options
) -> Iterator[Part]:
    """Weight transfer against stats transfer, of one model, data set and seed."""
    given = _layer_options(options)
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
            compute = functools.partial(_layers_of_two, pair, data_root, given)
            yield _content(pair, given), compute


def _layers_of_one(
    run: RunDirectory, data_root: str | Path, given: Options
) -> pd.DataFrame:
    """Initial layers (a) against trained ones (b)."""
    table = layer_cka_before_and_after(
        run.path, data_root, settings=LayerSettings(**given, progress=False)
    )
    return table[(table["model_a"] == "initial") & (table["model_b"] == "best")]


def _layers_of_two(pair: Runs, data_root: str | Path, given: Options) -> pd.DataFrame:
    """The first run's layers (a) against the second's (b)."""
    first, second = (run.path.name for run in pair)
    table = layer_cka_of_runs(
        [run.path for run in pair],
        data_root,
        settings=LayerSettings(**given, progress=False),
    )
    table = table[(table["model_a"] == first) & (table["model_b"] == second)].copy()
    table.insert(0, "run_a", first)
    table.insert(1, "run_b", second)
    table.insert(2, "model", pair[0].config().model)
    return table


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
    """The mistakes of two runs on the same test examples."""
    for group in _grouped(runs, _of_one_fold):
        for pair in itertools.combinations(group, 2):
            compute = functools.partial(compare_mistakes, *(run.path for run in pair))
            yield _content(pair), compute


def _of_one_model(config: RunConfig) -> Hashable:
    return (config.model, config.data)


def _of_one_fold(config: RunConfig) -> Hashable:
    """Runs that differ in their start alone.

    Donors may scale their input otherwise, which the model's name says.
    """
    architecture = config.model.partition("[")[0]
    return (architecture, config.data, config.seed, config.fold, config.head_steps)


def _of_random_starts(config: RunConfig) -> Hashable:
    """Whatever their fold: before training they share nothing but the architecture."""
    is_random = parse_spec(config.initialization).scheme == "random"
    return _of_one_model(config) if is_random else None


COMPARISONS: Mapping[str, Comparison] = {
    "before_after": _before_after,
    "population_initial": _population("initial", _of_one_model),
    "population_best": _population("best", _of_one_model),
    "fold_initial": _population("initial", _of_one_fold),
    "fold_best": _population("best", _of_one_fold),
    "random_initial": _population("initial", _of_random_starts),
    "agreement": _agreement,
    "layer_cka": _layer_cka,
    "layer_cka_pairs": _layer_cka_pairs,
    "travel": _travel,
    "robustness": _robustness,
    "knn": _knn,
    "attention": _attention,
    "frechet": _frechet,
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


def _settings(options: Options) -> Settings:
    defaults = Sampling()
    return Settings(
        measures=("cca",),
        sampling=Sampling(
            points=options.get("points", defaults.points),
            channels=options.get("channels", defaults.channels),
        ),
        repeats=options.get("repeats", Settings.repeats),
        progress=False,
    )


def _layer_options(options: Options) -> dict[str, Any]:
    return {
        "kind": options.get("kind", "unit"),
        "most_images": options.get("images", 2000),
        "tokens": options.get("tokens", "both"),
    }


def _sampled(runs: Runs, settings: Settings) -> dict[str, Any]:
    return _content(
        runs,
        {
            "points": settings.sampling.points,
            "channels": settings.sampling.channels,
            "repeats": settings.repeats,
            "seed": settings.seed,
        },
    )


def _content(runs: Runs, given: Options | None = None) -> dict[str, Any]:
    return {"runs": [run.path.name for run in runs], **(given or {})}
