"""Computes and keeps the tables of comparisons that chapters ask for.

They lie below `<root>/analyses/` under the hash of what they were made of, so that
chapters and studies share them and a second command computes nothing.
"""

import hashlib
import json
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.representations import RepresentationWarning
from transfusion_tf.studies.measurements.comparisons import COMPARISONS, Part
from transfusion_tf.studies.study_declaration import Chapter
from transfusion_tf.training import RunDirectory


def compare_runs_of(
    chapter: Chapter,
    runs: Sequence[RunDirectory],
    root: Path,
    data_root: str | Path,
    *,
    progress: bool = True,
) -> tuple[dict[str, list[str]], list[str]]:
    """Computes the tables of a chapter's measurements that are not there yet.

    What cannot be computed is left out, and tried again the next time.

    Args:
      chapter: whose `measurements` say which, and whose options how: `points`,
        `channels`, `repeats`, `equal_points` (of similarity by stage); `kind` (of the
        parts of a network: `layer`, `unit`, `branch` or `stage`), `images` (at most,
        for CKA, attention and the Fréchet distance), `errors` (of each class, at most),
        `k`, `vote` and `temperature` (of neighbours), `split` (that is evaluated),
        `features` (the model whose donor's features the Fréchet distance is in),
        `source` (the card of the source images where the donor is published weights),
        `trained_weights` and `batch_norm_statistics` (see `ModelStates`).
      runs: its finished runs.
      root: tables go to `<root>/analyses/`.
      data_root: where prepared data lie.
      progress: whether to show a progress bar.

    Returns:
      Measurement -> its tables' paths, relative to `root`; and what is to be said:
      what models are compared, and each reason why a table was left out.

    Raises:
      UserError: a measurement that there is not.
    """
    parts = _parts(chapter, runs, data_root)
    waiting = {path: part for path, part in parts.items() if not (root / path).exists()}
    failed: dict[Path, str] = {}
    bar = tqdm(
        waiting.items(),
        desc=f"{chapter.name}: comparing",
        disable=not progress or not waiting,
    )
    with bar, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", RepresentationWarning)
        for path, (name, (_, compute)) in bar:
            try:
                table = compute()
            except UserError as error:
                failed[path] = f"The comparison {name} was left out: {error}."
                continue
            files.write_text(root / path, table.to_csv(index=False))
    _say_once(chapter.name, warned)
    found: dict[str, list[str]] = {name: [] for name in chapter.measurements}
    for path, (name, _) in parts.items():
        if path not in failed:
            found[name].append(str(path))
    reasons = list(dict.fromkeys(failed.values()))
    for reason in reasons:
        tqdm.write(f"{chapter.name}: {reason}")
    said = [COMPARISONS[name].said(chapter.options) for name in chapter.measurements]
    return found, [*filter(None, dict.fromkeys(said)), *reasons]


def _say_once(chapter: str, warned: Sequence[warnings.WarningMessage]) -> None:
    """Every pair of runs has the same few points: said once of a kind is enough.

    The filter `once` forgets what was said whenever a library changes the filters.
    """
    kinds: dict[str, list[str]] = {}
    for each in warned:
        text = str(each.message)
        if issubclass(each.category, RepresentationWarning):
            kinds.setdefault(re.sub(r"[\d.]+", "", text), []).append(text)
        else:
            warnings.warn_explicit(
                each.message, each.category, each.filename, each.lineno
            )
    for texts in kinds.values():
        more = f" ({len(texts) - 1} more like it)" if len(texts) > 1 else ""
        tqdm.write(f"{chapter}: {texts[0]}{more}", file=sys.stderr)


def _parts(
    chapter: Chapter, runs: Sequence[RunDirectory], data_root: str | Path
) -> dict[Path, tuple[str, Part]]:
    """Where each table lies, and what it is."""
    chosen = sorted(runs, key=lambda run: run.path.name)
    parts = {}
    for name in chapter.measurements:
        if name not in COMPARISONS:
            raise one_of("measurement", name, COMPARISONS)
        for part in COMPARISONS[name].parts(chosen, data_root, chapter.options):
            parts[table_path(name, part)] = (name, part)
    return parts


def table_path(name: str, part: Part) -> Path:
    """Where a table of a comparison lies, relative to the root.

    Args:
      name: one of `COMPARISONS`.
      part: of it.
    """
    return Path("analyses") / f"{name}-{_hash(part[0])}.csv"


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
