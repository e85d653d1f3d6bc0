"""The results that the hidden-representations paper's authors published, as a study.

Their repository (github.com/DovileDo/revisiting-transfer) has, by kind of result,

- `results/AUC.csv`: target, source, freeze, fold, AUC.
- `results/CCA_<target>.csv`: model1, model2, fold, stimuli, and a column per stage.
- `results/similarity.csv`: target, models, freeze, fold, `real` or `rand`, value.

Here they become measurements of the runs that the scale `paper` would make, so that our
estimator and our claims can be asked of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf_experiments.papers import hidden_representations as paper

if TYPE_CHECKING:
    from transfusion_tf.studies.measurements.table import Measurements
    from transfusion_tf.training import RunConfig
    from transfusion_tf_experiments.papers.scale import Scale

_SOURCES = {"ImageNet": "imagenet", "RadImageNet": "radimagenet_caffe", "random": None}
_COLUMNS = {
    "AUC": ("target", "source", "freeze", "fold", "AUC"),
    "similarity": ("target", "model1", "model2", "freeze", "fold", "prob", "value"),
    "CCA": ("model1", "model2", "fold"),
}
_STAGES = ("conv1", "block1", "block2", "block3", "block4")
_HEAD_FIRST = "freezeTrue"
# Five folds: a fifth of the images over four fifths.
_TEST_TO_TRAIN = 1 / 4

NOTES = (
    "Their files say nothing of the first layer's filters: that finding is not asked.",
    "Their baseline of independent mistakes, a² + (1 − a)², is of one model’s accuracy "
    "alone; the paper’s formula needs both, and the other’s is not published.",
    "Their folds were tested on the images that their weights were chosen by.",
    "Their pairs of random networks have no names: each stands for the starts of two "
    "folds, so intervals with random starts are a little too wide.",
)

# Target, donor, whether the head was trained first, fold from 0.
_Key = tuple[str, str | None, bool, int]


def judged(folder: Path) -> pd.DataFrame:
    """The paper's claims, judged by its own data.

    Args:
      folder: of the authors' repository, or its `results`.

    Returns:
      As `judge_claims`.

    Raises:
      UserError: no such files, or a column, target or fold that is not theirs.
    """
    from transfusion_tf.studies.claims import (
        claim_from_dict,
        claim_to_dict,
        judge_claims,
    )
    from transfusion_tf_experiments.papers import hidden_representations_claims

    scale = paper.SCALES["paper"]()
    configs = _configs(scale)
    names = {config: _run_id(key) for key, config in configs.items()}
    claims = [
        claim_from_dict(claim_to_dict(claim, names))
        for claim in hidden_representations_claims.claims(scale)
    ]
    return judge_claims(claims, published_measurements(folder))


def published_measurements(folder: Path) -> Measurements:
    """The authors' numbers under the names that a study of ours gives them.

    Raises:
      UserError: as `judged`.
    """
    from transfusion_tf.studies.measurements.table import Measurements, as_rows

    results = folder / "results" if (folder / "results").is_dir() else folder
    configs = _configs(paper.SCALES["paper"]())
    rows = [
        *_scores(_read(results / "AUC.csv", "AUC")),
        *_mistakes(_read(results / "similarity.csv", "similarity")),
    ]
    targets = dict.fromkeys(key[0] for key in configs)
    for target in targets:
        rows += _similarities(target, _read(results / f"CCA_{target}.csv", "CCA"))
    ids = {_run_id(key): (key, config) for key, config in configs.items()}
    for row in rows:
        if row["run"] not in ids:
            raise UserError(f"{results}: {row['run']} is no run of the paper")
        row |= _described(*ids[row["run"]])
    return Measurements(
        as_rows([pd.DataFrame(rows)]),
        test_to_train=dict.fromkeys(ids, _TEST_TO_TRAIN),
    )


def _configs(scale: Scale) -> dict[_Key, RunConfig]:
    """The runs of every target, donor, way of fine-tuning and fold."""
    return {
        (target, donor, head_first, int(run.fold or 0)): run
        for target in scale.tasks
        for donor in (None, *scale.donors)
        for head_first in ((False,) if donor is None else (False, True))
        for run in paper.runs_of_cell(scale, target, donor, head_first=head_first)
    }


def _run_id(key: _Key) -> str:
    target, donor, head_first, fold = key
    way = "-head-first" if head_first else ""
    return f"{target}-{donor or 'random'}{way}-fold{fold + 1}"


def _described(key: _Key, config: RunConfig) -> dict[str, Any]:
    return {
        "dataset": config.dataset,
        "model": config.model,
        "initialization": config.initialization,
        "donor": key[1] or "",
        "head_first": key[2],
        "seed": config.seed,
        "fold": config.fold,
    }


def _scores(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in table.itertuples():
        yield {
            "run": _run_of(row.target, row.source, row.freeze, row.fold),
            "quantity": "score",
            "split": "test",
            "unit": "AUC",
            "value": row.AUC,
        }
        # An AUC, weighted by class priors or not, is a half by chance.
        yield {
            "run": _run_of(row.target, row.source, row.freeze, row.fold),
            "quantity": "chance",
            "unit": "AUC",
            "value": 0.5,
        }


def _mistakes(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """What they are more alike by than the authors' baseline of independent mistakes.

    That is a² + (1 − a)² of the first model's accuracy alone, not the paper's formula;
    the other's accuracy is not published.
    """
    keys = ["target", "model1", "model2", "freeze", "fold"]
    wide = table.pivot_table("value", keys, "prob").dropna().reset_index()
    for row in wide.to_dict("records"):
        sides = [
            _run_of(row["target"], source, row["freeze"], row["fold"])
            for source in (row["model1"], row["model2"])
        ]
        yield {
            "run": sides[0],
            "run_b": sides[1],
            "weights": "best",
            "weights_b": "best",
            "quantity": "prediction_similarity_excess",
            "unit": "share of the images",
            "value": float(row["real"]) - float(row["rand"]),
        }


def _similarities(target: str, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """CCA by stage, of those pairs that the claims ask about."""
    for row in table.to_dict("records"):
        for sides, weights in _pairs(target, row):
            for position, stage in enumerate(_STAGES):
                yield {
                    "run": sides[0],
                    "run_b": sides[1],
                    "weights": weights[0],
                    "weights_b": weights[1],
                    "quantity": "cca",
                    "unit": "CCA",
                    "stage": stage,
                    "position": position,
                    "value": row[stage],
                }


def _pairs(
    target: str, row: Mapping[Any, Any]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """The runs, and their states, that a row of theirs compares.

    Two untrained donors are those of either way of fine-tuning. Their random networks
    have no names: a fold's pair stands for its own start and that of the next fold.
    """
    names = str(row["model1"]), str(row["model2"])
    fold = str(row["fold"])
    sources = [name.removeprefix(f"{target}-").split("-")[0] for name in names]
    ways = [name.rpartition("-")[2] if "-freeze" in name else "" for name in names]
    trained = "trained", "trained"
    if all(ways) and ways[0] == ways[1] and sources[0] != sources[1]:
        sides = [_run_of(target, source, ways[0], fold) for source in sources]
        yield (sides[0], sides[1]), trained
    elif ways[0] and not ways[1] and sources[0] == sources[1]:
        run = _run_of(target, sources[0], ways[0], fold)
        yield (run, run), ("initial", "trained")
    elif not any(ways) and set(sources) == {"random"}:
        number = int(fold.removeprefix("fold"))
        runs = [
            _run_of(target, "random", "", f"fold{one}")
            for one in (number, number % 5 + 1)
        ]
        yield (runs[0], runs[1]), ("initial", "initial")
    elif not any(ways) and "random" not in sources:
        for way in ("freezeFalse", _HEAD_FIRST):
            sides = [_run_of(target, source, way, fold) for source in sources]
            yield (sides[0], sides[1]), ("initial", "initial")


def _run_of(target: Any, source: Any, freeze: Any, fold: Any) -> str:
    name = str(fold).removeprefix("fold")
    if source not in _SOURCES or not name.isdecimal():
        raise UserError(f"neither source {source!r} nor fold {fold!r} is of the paper")
    key = (str(target), _SOURCES[source], freeze == _HEAD_FIRST, int(name) - 1)
    return _run_id(key)


def _read(file: Path, kind: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(file)
    except FileNotFoundError:
        raise UserError(
            f"no file {file}: --published should be the folder of the authors' "
            "repository (git clone https://github.com/DovileDo/revisiting-transfer)"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"{file} can't be read: {error}") from error
    wanted = _COLUMNS[kind] + (_STAGES if kind == "CCA" else ())
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise UserError(f"{file} has no column {', '.join(missing)}")
    # A command that ran twice wrote its rows twice.
    return table[list(wanted)].drop_duplicates()
