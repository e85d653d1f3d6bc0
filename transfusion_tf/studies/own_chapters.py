"""The chapters of a study of the user's own: what its runs allow, and no more."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.initialization import parse_spec
from transfusion_tf.studies.study_declaration import Chapter
from transfusion_tf.training import RunConfig

# Of what is compared of models. Papers take 10 000 points, five times over.
SAMPLING = {"points": 2048, "channels": 64, "repeats": 1}
_ENDS = {"random", "transfer"}

_DIFFERENCES = Chapter(
    "differences",
    "What each start gains over random weights",
    "The test metric minus that of random weights with the same seed.",
    view="differences",
)
_CONVERGENCE = Chapter(
    "convergence",
    "Who learns faster",
    "The validation metric over training, and the steps to a threshold of it. Weights "
    "were chosen by this metric, so it is no result.",
    view="convergence",
    options={"steps": True},
)
_DECISIONS = Chapter(
    "decisions",
    "What the outputs decide",
    "ROC curves on the test set, with 95 % bands over patients; confusion matrices, as "
    "shares of each true class; and whether outputs can be read as probabilities.",
    view="decisions",
)
_ERRORS = Chapter(
    "confident_errors",
    "What is missed most confidently",
    "Of each class, the six test images that the best run on validation, of the best "
    "start there, gets wrong with the largest outputs. Below each, what its pixels "
    "speak for: orange for the prediction, blue for the truth.",
    view="confident_errors",
    measurements=("confident_errors",),
)
_COSTS = Chapter(
    "costs",
    "What accuracy costs",
    "The test metric over a model’s parameters, and over the time of one run: training "
    "and evaluation.",
    view="costs",
)
_STAGES = Chapter(
    "stages",
    "Which stages carry the gain",
    "The donor’s weights up to a stage, random weights above it.",
    view="stages",
)
_DATA_SIZES = Chapter(
    "data_sizes",
    "How much data it takes",
    "The test metric by number of training images and start.",
    view="data_sizes",
)
_FROZEN = Chapter(
    "frozen",
    "What features are worth as they are",
    "Stages up to one stay as they began, the rest is trained: all from the donor; the "
    "donor below and random weights above; random weights throughout.",
    view="frozen",
)
_MOVEMENT = Chapter(
    "before_and_after",
    "How far training moves each stage",
    "How alike a model’s representations are before and after training, by stage. Low "
    "is far.",
    view="before_and_after",
    measurements=("before_after",),
)
_SIMILARITY = Chapter(
    "similarity_by_start",
    "Do models of one start end alike?",
    "How alike the representations of trained models are that differ in their seed.",
    view="similarity_by_start",
    measurements=("population_trained",),
)
_FILTERS = Chapter(
    "filters",
    "First-layer filters before and after",
    "Filters of one run of each start on one scale, how far training moved them, and "
    "how much of a Gabor function is in the first four.",
    view="filters",
    measurements=("gabor_changes",),
    options={"fitted": 4},
)
_DONOR_QUALITY = Chapter(
    "donor_quality",
    "Are the donors worth the name?",
    "What a donor is worth before anything is transferred from it. A weak one has "
    "little to give: that transfer gains nothing from it says little about transfer.",
    view="donor_worth",
    measurements=("donor_quality",),
)
_DONOR_ACCURACY = Chapter(
    "donor_accuracy",
    "Which donor does best",
    "The test metric from each donor and from random weights, and whether the outputs "
    "can be read as probabilities.",
    view="donor_accuracy",
)
_DONOR_SIMILARITY = Chapter(
    "donor_similarity",
    "Do models from different donors end alike?",
    "How alike representations are by stage: of each donor with itself after "
    "fine-tuning; of one donor with another, before and after.",
    view="donor_similarity",
    measurements=("before_after", "fold_initial", "fold_trained", "random_initial"),
)
_MISTAKES = Chapter(
    "mistakes",
    "Do models from different donors make the same mistakes?",
    "The share of test images on which both models are right or both are wrong, and "
    "what it would be if their mistakes were independent.",
    view="mistakes",
    measurements=("agreement",),
)


def own_chapters(
    runs: Sequence[RunConfig], sampling: Mapping[str, int] = SAMPLING
) -> tuple[Chapter, ...]:
    """The chapters that a study's runs allow, told from their configs alone.

    What they cost beside training: a second or two for each run from random weights
    and from the whole donor, for its activations, a second for the Gabor fits of each
    start, as much as 20 training steps for the pixels of the best run's errors, and
    10 s for a donor (CBR-Tiny; ResNet50 25 s).

    Args:
      runs: unresolved configs on one data set, as they stand in the study.
      sampling: `points`, `channels` and `repeats` of what is compared.

    Returns:
      Chapters in the order of the page. Those on what one donor gives come once for
      each donor.
    """
    return (
        *_on_learning(runs),
        *_on_outputs(_at_one_size(runs)),
        *_on_stages(runs),
        *_on_change(_at_one_size(runs), sampling),
        *_on_donors(_at_one_size(runs), sampling),
    )


def donor_chapters(runs: Iterable[RunConfig]) -> tuple[Chapter, ...]:
    """The chapter on what the donors of some runs are worth, if they have any."""
    given = [run for run in dict.fromkeys(runs) if _start(run)[1]]
    return (_of_runs(_DONOR_QUALITY, given),) if given else ()


def _on_learning(runs: Sequence[RunConfig]) -> Iterator[Chapter]:
    """All runs together: what starts gain, how fast they learn."""
    if len({_start(run) for run in runs}) < 2:
        return
    if any(run.initialization == "random" for run in runs):
        yield _of_runs(_DIFFERENCES, runs)
    yield _of_runs(_CONVERGENCE, runs)
    if len({run.train_examples for run in runs}) > 1:
        yield _of_runs(_DATA_SIZES, runs)


def _on_outputs(runs: Sequence[RunConfig]) -> Iterator[Chapter]:
    """What outputs are good for, and what they cost."""
    yield _of_runs(_DECISIONS, runs)
    yield _of_runs(_ERRORS, runs)
    if len({run.model for run in runs}) > 1:
        yield _of_runs(_COSTS, runs)


def _on_stages(runs: Sequence[RunConfig]) -> Iterator[Chapter]:
    """What the stages of a donor give, trained or kept."""
    for donor, own in _by_donor(runs):
        partial = {_model(run) for run in own if parse_spec(run.initialization).through}
        free = [
            run
            for run in own
            if _model(run) in partial
            and parse_spec(run.initialization).scheme in _ENDS
            and not run.freeze
        ]
        if free:
            yield _of_runs(_STAGES, free, donor)
        frozen = [run for run in own if run.freeze]
        if frozen:
            yield _of_runs(_FROZEN, frozen, donor)


def _on_change(
    runs: Sequence[RunConfig], sampling: Mapping[str, int]
) -> Iterator[Chapter]:
    """How representations and filters differ from what they began as."""
    for donor, own in _by_donor(runs):
        ends = [run for run in own if run.initialization in _ENDS]
        if {run.initialization for run in ends} >= _ENDS and _seeds(ends) > 1:
            yield _of_runs(_MOVEMENT, ends, donor, sampling)
            yield _of_runs(_SIMILARITY, ends, donor, sampling)
    if runs:
        first = min(run.seed for run in runs)
        yield _of_runs(_FILTERS, [run for run in runs if run.seed == first])


def _on_donors(
    runs: Sequence[RunConfig], sampling: Mapping[str, int]
) -> Iterator[Chapter]:
    """What donors are worth; models of several side by side, by architecture."""
    yield from donor_chapters(runs)
    whole = [run for run in runs if run.initialization in _ENDS]
    models = dict.fromkeys(run.model for run in whole)
    for model in models:
        name = model if len(models) > 1 else ""
        own = [run for run in whole if run.model == model]
        transferred = [run for run in own if run.initialization == "transfer"]
        if len({run.donor for run in transferred}) > 1:
            yield _of_runs(_DONOR_ACCURACY, own, name)
            yield _of_runs(_DONOR_SIMILARITY, own, name, sampling)
            yield _of_runs(_MISTAKES, transferred, name)


def _start(run: RunConfig) -> tuple[str, str | None]:
    """What the run began from: its initialization, and the donor where it has one."""
    scheme = parse_spec(run.initialization).scheme
    return run.initialization, None if scheme == "random" else run.donor


def _model(run: RunConfig) -> tuple[str, int | None]:
    """The model and its number of training images."""
    return run.model, run.train_examples


def _by_donor(
    runs: Sequence[RunConfig],
) -> Iterator[tuple[str, list[RunConfig]]]:
    """The runs of each donor, with those of its models from random weights; and its
    name, where there are several.
    """
    donors = dict.fromkeys(donor for spec, donor in map(_start, runs) if donor)
    if len(donors) < 2:
        yield "", list(runs)
        return
    for donor in donors:
        name = Path(donor).name.partition(".")[0]
        models = {run.model for run in runs if _start(run)[1] == donor}
        own = [run for run in runs if _start(run)[1] in (None, donor)]
        yield name, [run for run in own if run.model in models]


def _at_one_size(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Those with the most training images: representations of unlike sizes are no
    population.
    """
    sizes = {run.train_examples for run in runs}
    most = None if None in sizes else max(size for size in sizes if size)
    return [run for run in runs if run.train_examples == most]


def _seeds(runs: Iterable[RunConfig]) -> int:
    return len({run.seed for run in runs})


def _of_runs(
    chapter: Chapter,
    runs: Sequence[RunConfig],
    of: str = "",
    options: Mapping[str, Any] | None = None,
) -> Chapter:
    """The chapter about these runs; its name and title say of what, if need be."""
    if of:
        slug = re.sub(r"\W+", "-", of).strip("-")
        chapter = dataclasses.replace(
            chapter, name=f"{chapter.name}-{slug}", title=f"{chapter.title} ({of})"
        )
    return dataclasses.replace(
        chapter, runs=tuple(runs), options=options or chapter.options
    )
