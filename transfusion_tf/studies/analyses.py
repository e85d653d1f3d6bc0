"""What chapters compute beyond training: how alike the runs' representations are.

Tables are kept below `<root>/analyses/` under the hash of what they were made of, so
that chapters and studies share them and a second command computes nothing.
"""

import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.representations import RepresentationWarning, Sampling, Settings
from transfusion_tf.studies.measurements.run_images import run_images
from transfusion_tf.studies.measurements.similarity import (
    compare_before_and_after,
    compare_population,
)
from transfusion_tf.studies.populations import grouped
from transfusion_tf.studies.reuse_analyses import reuse_parts
from transfusion_tf.studies.study import Chapter
from transfusion_tf.training import RunDirectory

# What each view of a chapter is drawn from.
_ANALYSES = {
    "similarity_by_start": ("population_best",),
    "similarity_of_starts": ("population_best",),
    "start_and_end": ("population_initial", "population_best"),
    "before_and_after": ("before_after",),
    "donor_similarity": ("before_after", "fold_initial", "fold_best", "random_initial"),
    "gain_and_similarity": ("before_after",),
}

Compute = Callable[[], pd.DataFrame]


def analyse(
    chapter: Chapter,
    runs: Sequence[RunDirectory],
    root: Path,
    data_root: str | Path,
    *,
    progress: bool = True,
) -> tuple[dict[str, list[str]], list[str]]:
    """Computes the tables that a chapter is drawn from, those that are not there yet.

    What cannot be computed is left out, and tried again the next time.

    Args:
      chapter: whose view says which, and whose options how (`points`, `channels`,
        `repeats`).
      runs: its finished runs. Populations are compared a model at a time.
      root: tables go to `<root>/analyses/`.
      data_root: where prepared data lie.
      progress: whether to show a progress bar.

    Returns:
      Name of the analysis -> its tables' paths, relative to `root`; and a sentence for
      each reason why one was left out.
    """
    settings = _settings(chapter.options)
    found: dict[str, list[str]] = {name: [] for name in _ANALYSES.get(chapter.view, ())}
    parts: list[tuple[str, Path, Compute]] = []
    for name in found:
        for part, compute in _parts(name, runs, data_root, settings):
            path = Path("analyses") / f"{name}-{_digest(part, settings)}.csv"
            parts.append((name, path, compute))
    for name, content, compute in reuse_parts(chapter, runs, data_root):
        parts.append((name, Path("analyses") / f"{name}-{_hash(content)}.csv", compute))
    waiting = {
        path: (name, compute)
        for name, path, compute in parts
        if not (root / path).exists()
    }
    failed: dict[Path, str] = {}
    bar = tqdm(
        waiting.items(),
        desc=f"{chapter.name}: comparing",
        disable=not progress or not waiting,
    )
    with bar, warnings.catch_warnings():
        # Every pair of runs has the same few points: said once is enough.
        warnings.simplefilter("once", RepresentationWarning)
        for path, (name, compute) in bar:
            try:
                table = compute()
            except UserError as error:
                failed[path] = f"The comparison {name} was left out: {error}."
                continue
            files.write_text(root / path, table.to_csv(index=False))
    for name, path, _ in parts:
        if path not in failed:
            found.setdefault(name, []).append(str(path))
    reasons = list(dict.fromkeys(failed.values()))
    for reason in reasons:
        tqdm.write(f"{chapter.name}: {reason}")
    return found, reasons


def _settings(options: Mapping[str, Any]) -> Settings:
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


def _parts(
    name: str, runs: Sequence[RunDirectory], data_root: str | Path, settings: Settings
) -> Iterator[tuple[list[RunDirectory], Compute]]:
    """Runs that are compared with one another, and how."""
    if name == "before_after":
        for run in runs:
            yield (
                [run],
                functools.partial(
                    compare_before_and_after, run.path, data_root, settings=settings
                ),
            )
        return
    weights = name.rpartition("_")[2]
    for group in grouped(name, runs):
        if len(group) > 1:
            yield (
                group,
                functools.partial(
                    _compare,
                    [run.path for run in group],
                    data_root,
                    weights=weights,
                    settings=settings,
                ),
            )


def _compare(
    runs: Sequence[Path],
    data_root: str | Path,
    *,
    weights: str,
    settings: Settings,
) -> pd.DataFrame:
    # Untrained models have seen no images, so those of any fold will do.
    images = run_images(runs[0], data_root) if weights == "initial" else None
    return compare_population(
        runs, data_root, weights=weights, images=images, settings=settings
    )


def _digest(runs: Sequence[RunDirectory], settings: Settings) -> str:
    content = {
        "runs": [run.path.name for run in runs],
        "points": settings.sampling.points,
        "channels": settings.sampling.channels,
        "repeats": settings.repeats,
        "seed": settings.seed,
    }
    return _hash(content)


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
