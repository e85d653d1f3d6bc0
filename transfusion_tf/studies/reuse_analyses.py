"""What the feature-reuse paper's chapters compute over their runs.

Each analysis of `studies.measurements`, on each run or pair of runs that a chapter
asks it of; `transfusion_tf.studies.analyses` keeps the tables.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.initialization import parse_spec
from transfusion_tf.representations import KNNSettings, LayerSettings
from transfusion_tf.studies.measurements.attention import run_attention
from transfusion_tf.studies.measurements.image_distance import (
    has_images,
    is_run,
    run_image_distance,
)
from transfusion_tf.studies.measurements.layer_similarity import (
    layer_cka_before_and_after,
    layer_cka_of_runs,
)
from transfusion_tf.studies.measurements.nearest_neighbors import run_knn
from transfusion_tf.studies.measurements.robustness import reinitialization_robustness
from transfusion_tf.studies.measurements.weight_travel import run_travel
from transfusion_tf.studies.study import Chapter
from transfusion_tf.training import RunDirectory

# What each view is drawn from.
_ANALYSES = {
    "gains": ("frechet",),
    "layer_similarity": ("layer_cka", "layer_cka_pairs"),
    "travel": ("travel",),
    "robustness": ("robustness",),
    "knn_by_depth": ("knn",),
    "attention": ("attention",),
}

Compute = Callable[[], pd.DataFrame]
Part = tuple[str, Mapping[str, Any], Compute]


def reuse_parts(
    chapter: Chapter, runs: Sequence[RunDirectory], data_root: str | Path
) -> Iterator[Part]:
    """The analyses that a chapter is drawn from, a part at a time.

    Args:
      chapter: whose view says which. Its options say how: `kind` (of the parts of a
        network: `layer`, `unit` or `stage`), `images` (at most, for CKA, attention
        and the Fréchet distance), `k`, `vote` and `temperature` (of neighbours),
        `split` (that is evaluated), `features` (the model whose donor's features the
        Fréchet distance is in), `source` (the card of the source images where the donor
        is published weights), `analysed` (initializations; all where it is missing).
      runs: its finished runs.
      data_root: where prepared data lie.

    Returns:
      Name of the analysis, all that its result depends on, and what computes it.
    """
    makers = {
        "frechet": _frechet,
        "layer_cka": _layer_cka,
        "layer_cka_pairs": _layer_cka_pairs,
        "travel": _travel,
        "robustness": _robustness,
        "knn": _knn,
        "attention": _attention,
    }
    options = chapter.options
    wanted = options.get("analysed")
    chosen = [
        run
        for run in sorted(runs, key=lambda run: run.path.name)
        if wanted is None or run.config().initialization in wanted
    ]
    for name in _ANALYSES.get(chapter.view, ()):
        yield from makers[name](chosen, data_root, options)


def _travel(runs, data_root, options) -> Iterator[Part]:
    for run in runs:
        yield "travel", _content([run]), functools.partial(run_travel, run.path)


def _robustness(runs, data_root, options) -> Iterator[Part]:
    given = {
        "kind": options.get("kind", "unit"),
        "split": options.get("split", "test"),
    }
    for run in runs:
        compute = functools.partial(
            reinitialization_robustness,
            *(run.path, data_root),
            **given,
            progress=False,
        )
        yield "robustness", _content([run], given), compute


def _knn(runs, data_root, options) -> Iterator[Part]:
    given = {"kind": options.get("kind", "stage"), "k": options.get("k", 200)}
    given |= {
        name: options[name] for name in ("vote", "temperature") if name in options
    }
    split = options.get("split", "test")
    for run in runs:
        compute = functools.partial(
            run_knn,
            *(run.path, data_root),
            split=split,
            settings=KNNSettings(**given, progress=False),
        )
        yield "knn", _content([run], {**given, "split": split}), compute


def _attention(runs, data_root, options) -> Iterator[Part]:
    given = {"most_images": options.get("images", 512)}
    for run in runs:
        if run.config().model.startswith("deit"):
            compute = functools.partial(
                run_attention, run.path, data_root, **given, progress=False
            )
            yield "attention", _content([run], given), compute


def _layer_cka(runs, data_root, options) -> Iterator[Part]:
    given = _layer_options(options)
    for run in runs:
        spec = parse_spec(run.config().initialization)
        if spec.scheme == "transfer" and spec.through is None:
            compute = functools.partial(_before_and_after, run, data_root, given)
            yield "layer_cka", _content([run], given), compute


def _layer_cka_pairs(runs, data_root, options) -> Iterator[Part]:
    """Weight transfer against stats transfer, of one model, data set and seed."""
    given = _layer_options(options)
    pairs: dict[tuple, dict[str, RunDirectory]] = {}
    for run in runs:
        config = run.config()
        key = (config.model, config.data, config.train_examples, config.seed)
        spec = parse_spec(config.initialization)
        if spec.through is None:
            pairs.setdefault(key, {})[spec.scheme] = run
    for found in pairs.values():
        if {"mean_var", "transfer"} <= set(found):
            pair = [found["mean_var"], found["transfer"]]
            compute = functools.partial(_two_runs, pair, data_root, given)
            yield "layer_cka_pairs", _content(pair, given), compute


def _layer_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": options.get("kind", "unit"),
        "most_images": options.get("images", 2000),
        "tokens": options.get("tokens", "both"),
    }


def _before_and_after(
    run: RunDirectory, data_root: str | Path, given: Mapping[str, Any]
) -> pd.DataFrame:
    """Initial layers (a) against trained ones (b)."""
    table = layer_cka_before_and_after(
        run.path, data_root, settings=LayerSettings(**given, progress=False)
    )
    return table[(table["model_a"] == "initial") & (table["model_b"] == "best")]


def _two_runs(
    pair: Sequence[RunDirectory], data_root: str | Path, given: Mapping[str, Any]
) -> pd.DataFrame:
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


def _frechet(runs, data_root, options) -> Iterator[Part]:
    """A distance a data set, all in the features of one donor."""
    transferred = [run for run in runs if run.config().donor]
    wanted = options.get("features")
    of_model = [run for run in transferred if run.config().model == wanted]
    given = {"images": options.get("images", 5000)}
    donors = dict.fromkeys(str(run.config().donor) for run in (of_model or transferred))
    for donor in list(donors)[:1]:
        if not is_run(donor) and not has_images(options.get("source")):
            return
        by_data = {run.dataset()["name"]: run for run in transferred}
        for _, run in sorted(by_data.items()):
            config = run.config()
            content = {
                "data": config.data,
                "image_size": config.image_size,
                "donor": Path(donor).name,
                "source": options.get("source"),
                **given,
            }
            compute = functools.partial(
                run_image_distance,
                *(run.path, donor, data_root),
                source=options.get("source"),
                most_images=given["images"],
            )
            yield "frechet", content, compute


def _content(
    runs: Sequence[RunDirectory], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {"runs": [run.path.name for run in runs], **(given or {})}
