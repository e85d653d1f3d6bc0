"""The studies that have a name. Listing them imports no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfusion_tf.errors import UserError, one_of
from transfusion_tf_experiments.papers import scales, transfusion

if TYPE_CHECKING:
    from transfusion_tf.report.claims import Claim
    from transfusion_tf.studies import Chapter, Study


@dataclasses.dataclass(frozen=True)
class NamedStudy:
    """A study, and the claims of a paper that it puts to the test."""

    study: Study
    claims: tuple[Claim, ...] = ()


_PAPER_TITLE = "Transfusion (Raghu et al., NeurIPS 2019)"


def demo() -> Study:
    """The main question on drawn fundus photographs; fits a laptop.

    Command: `make study`. Cost: about 10 minutes on 2 CPU cores, 3 GB.
    CBR-Tiny from random and transferred weights, from the statistics of the donor's
    weights alone, and from Gabor filters; CBR-Small, twice as large, from random and
    transferred weights; three seeds each. Donors are pretrained on crops of
    photographs.
    """
    from transfusion_tf.datasets import load_card
    from transfusion_tf.studies import Study, grid
    from transfusion_tf.training import RunConfig

    card = load_card("phantom_retina_64")
    training = card.training
    base = RunConfig(
        dataset=card.name,
        model="cbr_tiny",
        donor="photographs",
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        batch_size=training.batch_size,
        steps=training.steps,
        eval_every=training.eval_every,
    )
    main_grid = grid(
        base,
        models=("cbr_tiny",),
        initializations=("random", "transfer", "mean_var", "gabor"),
        seeds=range(3),
    )
    # Twice the parameters: does the small model do as well?
    larger = grid(
        base,
        models=("cbr_small",),
        initializations=("random", "transfer"),
        seeds=range(3),
    )
    return Study(
        name="demo",
        title="Does transfer learning pay on drawn fundus photographs?",
        runs=main_grid + larger,
    )


def _everything() -> None:
    """All tables and figures in one report, and which of the findings hold."""


_ALONE: dict[str, Callable[[], Study]] = {"demo": demo}

STUDIES: dict[str, Callable] = {
    **_ALONE,
    "transfusion/all": _everything,
    **{f"transfusion/{name}": make for name, make in transfusion.CHAPTERS.items()},
}


def summaries() -> list[tuple[str, str]]:
    """Name and first line of every study."""
    return [
        (name, (make.__doc__ or "").splitlines()[0]) for name, make in STUDIES.items()
    ]


def check(name: str) -> None:
    """Raises UserError where there is no study of that name."""
    if name not in STUDIES:
        raise one_of("study", name, STUDIES)


def make(
    name: str,
    scale_name: str | None = None,
    *,
    dataset: str | None = None,
    source: str | None = None,
    seeds: int | None = None,
    changes: Mapping[str, Any] | None = None,
) -> NamedStudy:
    """The study of that name.

    Args:
      name: one of `STUDIES`.
      scale_name: of a paper's study: `paper` (where None), `small` or `smoke`.
      dataset: a card's name or path, in place of the paper's data.
      source: where that card's files lie, where the card doesn't say.
      seeds: how many repetitions, in place of the scale's.
      changes: other fields of `RunConfig`, in place of the scale's.

    Raises:
      UserError: no such study or scale; something that the study does not take.
    """
    check(name)
    if name in _ALONE:
        given = {"--scale": scale_name, "--dataset": dataset, "--seeds": seeds}
        given |= {f"--{field}": value for field, value in (changes or {}).items()}
        taken = [flag for flag, value in given.items() if value is not None]
        if taken:
            raise UserError(
                f"--study={name} takes no {', '.join(taken)}; give --dataset without "
                "--study for a study of your own"
            )
        return NamedStudy(_ALONE[name]())
    scale = scales.make_scale(scale_name or "paper")
    if seeds is not None:
        scale = scale.with_seeds(seeds)
    changes = dict(changes or {})
    notes: tuple[str, ...] = ()
    if dataset is not None:
        scale = scales.on_dataset(scale, dataset, changes | {"source": source})
        notes = _own_data_notes(dataset, source)
    elif changes:
        scale = scale.with_changes(changes)
    wanted = name.partition("/")[2]
    functions = transfusion.CHAPTERS
    chapters = [
        _with_notes(function(scale), notes)
        for chapter, function in functions.items()
        if wanted in ("all", chapter)
    ]
    study = _study(wanted, scale, dataset, chapters)
    if wanted != "all":
        return NamedStudy(study)
    from transfusion_tf_experiments.papers.transfusion_claims import claims

    return NamedStudy(study, claims(scale))


def _study(
    wanted: str, scale: scales.Scale, dataset: str | None, chapters: list[Chapter]
) -> Study:
    from transfusion_tf.studies import Study

    where = f"-{Path(dataset).stem}" if dataset else ""
    if dataset and Path(dataset).stem == "dataset":
        where = f"-{Path(dataset).absolute().parent.name}"
    title = _PAPER_TITLE if wanted == "all" else chapters[0].title
    return Study.of_chapters(
        f"transfusion-{wanted}-{scale.name}{where}", title, chapters
    )


def _own_data_notes(dataset: str, source: str | None) -> tuple[str, ...]:
    """What a card that is not the paper's changes."""
    from transfusion_tf.datasets import load_card

    card = load_card(dataset, source)
    notes = [f"Run on {card.title}, not on the paper's data."]
    if card.metric != "referable_auc":
        notes.append(
            f"Labels of kind {card.labels.kind} have no referable grade: {card.metric} "
            "is measured where the paper has the AUC of referable disease."
        )
    if card.labels.kind != "findings":
        notes.append("Classes of this card stand where the paper has five findings.")
    return tuple(notes)


def _with_notes(chapter: Chapter, notes: tuple[str, ...]) -> Chapter:
    return dataclasses.replace(chapter, notes=(*chapter.notes, *notes))
