"""The studies that have a name. Listing them imports no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfusion_tf.errors import UserError, one_of
from transfusion_tf_experiments.papers import (
    feature_reuse,
    hidden_representations,
    protocol,
    transfusion,
)
from transfusion_tf_experiments.papers.scale import Scale, make_scale

if TYPE_CHECKING:
    from types import ModuleType

    from transfusion_tf.studies import Chapter, Study
    from transfusion_tf.studies.claims import Claim

# Each has a TITLE, SCALES (name -> what makes it), CHAPTERS (name -> what makes it at a
# scale), `claims(scale)` and `own_data_notes(card)`; perhaps APART, further chapters
# that are no part of all.
_PAPERS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (transfusion, feature_reuse, hidden_representations)
}


def demo(seeds: int = 5) -> Study:
    """The main question on drawn fundus photographs; fits a laptop.

    Command: `make study`. Cost: about 8 minutes on 2 slow CPU cores, 0.4 GB.
    CBR-Tiny from random and transferred weights, from the statistics of the donor's
    weights alone, and from Gabor filters, with a donor pretrained on drawn textures;
    EfficientNet-Lite0 from random weights, from ImageNet's, and from their statistics;
    five seeds each, or `seeds`. Rates and steps are those with which random weights of
    other seeds learn the task and leave room above (docs/design_notes.md).
    """
    from transfusion_tf.datasets import load_card
    from transfusion_tf.studies import Study, grid, own_chapters
    from transfusion_tf.training import RunConfig

    card = load_card("phantom_retina_enlarged")
    small = RunConfig(
        dataset=card.name,
        model="cbr_tiny",
        donor="drawn_textures_50",
        learning_rate=0.001,
        schedule="cosine",
        batch_size=card.training.batch_size,
        steps=40,
        eval_every=5,
    )
    large = small.replace(
        donor="imagenet", learning_rate=0.003, steps=150, eval_every=25
    )
    runs = (
        *grid(
            small,
            models=("cbr_tiny",),
            initializations=("random", "transfer", "mean_var", "gabor"),
            seeds=range(seeds),
        ),
        *grid(
            large,
            models=("efficientnet_lite0",),
            initializations=("random", "transfer", "mean_var"),
            seeds=range(seeds),
        ),
    )
    return Study(
        name="demo",
        title="Does transfer learning pay on drawn fundus photographs?",
        runs=runs,
        # Points of one batch of images: comparing models takes seconds.
        chapters=own_chapters(runs, {"points": 256, "channels": 12, "repeats": 1}),
    )


def _everything() -> None:
    """All tables and figures in one report, and which of the findings hold."""


def _chapters(paper: ModuleType, wanted: str | None = None) -> dict[str, Callable]:
    """Those of a study of a paper; None takes the chapters of all of its studies."""
    every = {**paper.CHAPTERS, **getattr(paper, "APART", {})}
    if wanted is None:
        return every
    return paper.CHAPTERS if wanted == "all" else {wanted: every[wanted]}


_ALONE: dict[str, Callable[..., Study]] = {"demo": demo}

STUDIES: dict[str, Callable] = dict(_ALONE)
for _name, _paper in _PAPERS.items():
    STUDIES[f"{_name}/all"] = _everything
    STUDIES |= {f"{_name}/{key}": make for key, make in _chapters(_paper).items()}


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
    similarity_measure: str | None = None,
) -> Study:
    """The study of that name.

    Args:
      name: one of `STUDIES`.
      scale_name: of a paper's study: `paper` (where None), `small` or `smoke`.
      dataset: a card's name or path, in place of the paper's data.
      source: where that card's files lie, where the card doesn't say.
      seeds: how many repetitions, in place of the scale's.
      changes: other fields of `RunConfig`, in place of the scale's.
      similarity_measure: by which representations are compared, in place of CCA.

    Raises:
      UserError: no such study or scale; something that the study does not take.
    """
    check(name)
    if name in _ALONE:
        given = {"--scale": scale_name, "--dataset": dataset}
        given |= {f"--{field}": value for field, value in (changes or {}).items()}
        _check_alone(name, given)
        return _ALONE[name]() if seeds is None else _ALONE[name](seeds)
    from transfusion_tf.studies import Study
    from transfusion_tf.studies.own_chapters import donor_chapters

    paper_name, _, wanted = name.partition("/")
    paper = _PAPERS[paper_name]
    scale = make_scale(paper.SCALES, scale_name or "paper")
    if seeds is not None:
        scale = scale.with_seeds(seeds)
    notes: tuple[str, ...] = ()
    if dataset is not None:
        scale = _on_dataset(scale, dataset, {**(changes or {}), "source": source})
        notes = _own_data_notes(paper, dataset, source)
    elif changes:
        scale = scale.with_changes(changes)
    if similarity_measure is not None:
        scale = scale.with_similarity_measure(similarity_measure)
    chapters = [
        _with_notes(function(scale), notes)
        for function in _chapters(paper, wanted).values()
    ]
    rows = protocol.protocol(scale, chapters)
    claims = paper.claims(scale) if wanted == "all" else ()
    if similarity_measure not in (None, "cca"):
        # What the papers print are CCAs: no other measure's values stand beside them.
        chapters = [_without_published_similarity(chapter) for chapter in chapters]
        claims = tuple(map(_without_published_effect, claims))
    if scale.name != "smoke":  # Where donors know nothing, and seconds count.
        chapters += donor_chapters(run for each in chapters for run in each.runs)
    where = _dataset_suffix(dataset) if dataset else ""
    study_name = f"{paper_name.replace('_', '-')}-{wanted}-{scale.name}{where}"
    title = paper.TITLE if wanted == "all" else chapters[0].title
    study = Study.of_chapters(study_name, title, chapters, claims)
    open_values = protocol.not_in_the_paper(rows)
    return dataclasses.replace(study, protocol=rows, not_in_paper=open_values)


def _check_alone(name: str, given: Mapping[str, Any]) -> None:
    """Refuses flags, by name, that are given with a study that takes none."""
    taken = [flag for flag, value in given.items() if value is not None]
    if taken:
        raise UserError(
            f"--study={name} takes no {', '.join(taken)}; give --dataset without "
            "--study for a study of your own"
        )


def _without_published_similarity(chapter: Chapter) -> Chapter:
    """The chapter without values of CCA, where it compares by another measure."""
    if "similarity_measure" not in chapter.options:
        return chapter
    return dataclasses.replace(chapter, published=())


def _without_published_effect(claim: Claim) -> Claim:
    """The same of a claim."""
    quantities = {getattr(leaf, "quantity", "") for leaf in claim.contrast.leaves()}
    return dataclasses.replace(claim, published=None) if "cca" in quantities else claim


def _on_dataset(scale: Scale, dataset: str, changes: Mapping[str, Any]) -> Scale:
    """The scale with all of its tasks on the user's own data.

    Args:
      scale: whose hyperparameters stay.
      dataset: a card's name or path.
      changes: fields of `RunConfig` that the command line names.
    """
    fields: dict[str, Any] = {"dataset": dataset, "train_examples": None, **changes}
    if scale.name == "paper":
        # The paper's size is for the paper's data: the card says its own.
        fields.setdefault("image_size", None)
    return scale.with_changes(fields)


def _dataset_suffix(dataset: str) -> str:
    path = Path(dataset)
    return f"-{path.absolute().parent.name if path.stem == 'dataset' else path.stem}"


def _own_data_notes(
    paper: ModuleType, dataset: str, source: str | None
) -> tuple[str, ...]:
    """What a card that is not the paper's changes."""
    from transfusion_tf.datasets import load_card

    card = load_card(dataset, source)
    first = f"Run on {card.title}, not on the paper's data."
    return (first, *paper.own_data_notes(card))


def _with_notes(chapter: Chapter, notes: tuple[str, ...]) -> Chapter:
    return dataclasses.replace(chapter, notes=(*chapter.notes, *notes))
