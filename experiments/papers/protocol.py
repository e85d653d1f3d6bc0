"""What a paper's study is made with: every value, and where it comes from.

`Scale.sources` declares it: the name of a value -> the `Source` that says it. A name is
a field of `RunConfig` (`optimizer`), a key of the dataset card (`augmentation.hue`), an
option of a chapter (`points`) or `repetitions`. It holds for one task alone with the
task's name before it (`chest.optimizer`), for one chapter (`figure17.repetitions`), for
one kind of study (`similarity.points`), and for donors that are trained here
(`donor.optimizer`). What no source names has the scale's `default_source`.
"""

from __future__ import annotations

import collections
import dataclasses
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig
    from transfusion_tf_experiments.papers.scale import Scale

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")

NOT_IN_PAPER = "not in the paper"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Attributes:
      place: `section 3.2`, `table 1`, `appendix A`, `code`, `NOT_IN_PAPER`, ...
      text: the paper's words; where it is silent, why this value stands here.
    """

    place: str
    text: str = ""


COMMAND_LINE = Source("command line")
PUBLISHED_CODE = Source("code")
THIS_SCALE = Source("this scale", "chosen for drawn data, not after the paper")


def not_in_paper(text: str = "") -> Source:
    """The source of what the paper leaves open, and why it is as it is."""
    return Source(NOT_IN_PAPER, text)


# What a study goes through; all other fields have one value, or one per model or start.
_AXES = ("model", "initialization", "train_examples", "freeze")
# What fields without a value say.
_NOTHING = {"train_examples": "all", "freeze": "nothing"}
# What a card says where a run says nothing.
CARD_VALUES = (
    "image_size",
    "metric",
    "head",
    "augmentation",
    "splits",
    "aspect",
    "preprocessing",
    "classes",
    "referable_from",
    "uncertain",
    "blank",
)
# Said by `repetitions`, by the names of data sets, or no choice of anyone; the input's
# scaling, the aspect and the augmentation are said as they come out.
_NOT_SHOWN = (
    "dataset",
    "source",
    "aspect",
    "seed",
    "fold",
    "data",
    "pixel_statistics",
    "donor_weights",
    "donor_steps",
    "augmentation",
    "input_scaling",
)


def protocol(scale: Scale, chapters: Sequence[Chapter]) -> tuple[dict[str, str], ...]:
    """A row for every value that these chapters are made with.

    Returns:
      Rows of `where name value source text`.
    """
    rows = [*_repetitions(scale, chapters), *_options(scale, chapters)]
    asked = dict.fromkeys(run for chapter in chapters for run in chapter.runs)
    # Those that only draw initial weights, or images, choose nothing.
    runs = [run for run in asked if run.steps] or list(asked)
    tasks = {task.base.dataset: name for name, task in reversed(scale.tasks.items())}
    for dataset, group in _grouped((run.dataset, run) for run in runs):
        rows += _of_data_set(scale, tasks.get(dataset, dataset), dataset, group)
    for dataset, group in _grouped(_donors(runs)):
        rows += _of_data_set(scale, "donor", dataset, group)
    return tuple(rows)


def not_in_the_paper(rows: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """A sentence for each value that was chosen here, and why."""
    return tuple(
        f"{row['name']} = {row['value']} ({row['where']}): {row['text']}"
        for row in rows
        if row["source"] == NOT_IN_PAPER and row["text"]
    )


def as_text(rows: Sequence[Mapping[str, str]]) -> str:
    """The rows as a table of fixed width."""
    widths = {"where": 22, "name": 28, "value": 40, "source": 18, "text": 64}
    lines = [" ".join(name.ljust(width) for name, width in widths.items())]
    lines.append(" ".join("-" * width for width in widths.values()))
    for row in rows:
        cells = [textwrap.wrap(row[name], widths[name]) or [""] for name in widths]
        for number in range(max(map(len, cells))):
            words = (cell[number] if number < len(cell) else "" for cell in cells)
            pairs = zip(words, widths.values(), strict=True)
            lines.append(" ".join(word.ljust(width) for word, width in pairs).rstrip())
    return "\n".join(line.rstrip() for line in lines)


def _row(scale: Scale, task: str, where: str, name: str, value: str) -> dict[str, str]:
    family = name.partition(".")[0]
    keys = [f"{task}.{name}", f"{task}.{family}"]
    # A donor's recipe is its own.
    keys += [] if task == "donor" else [name, family]
    found = (scale.sources[key] for key in keys if key in scale.sources)
    source = next(found, scale.default_source)
    return {
        "where": where,
        "name": name,
        "value": value,
        "source": source.place,
        "text": source.text,
    }


def _repetitions(scale: Scale, chapters: Sequence[Chapter]) -> Iterator[dict[str, str]]:
    """Of chapters that have as many for the same reason, together."""
    rows: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for chapter in chapters:
        if chapter.runs:
            seeds = {run.seed for run in chapter.runs}
            count = max(1, len(seeds) // (scale.folds or 1))
            row = _row(scale, chapter.name, "", "repetitions", str(count))
            rows.setdefault(tuple(row.items()), []).append(chapter.name)
    for same, names in rows.items():
        yield dict(same) | {"where": ", ".join(names) if len(rows) > 1 else "all"}
    if scale.folds:
        yield _row(scale, "all", "all", "folds", str(scale.folds))


def _options(scale: Scale, chapters: Sequence[Chapter]) -> Iterator[dict[str, str]]:
    """What chapters tell their measures: those options that the scale sets."""
    for kind, options in scale.options.items():
        for name, value in options.items():
            used = any(c.options.get(name, c) == value for c in chapters)
            if used:
                yield _row(scale, kind, kind, name, _text(value))


def _of_data_set(
    scale: Scale, task: str, dataset: str, runs: Sequence[RunConfig]
) -> Iterator[dict[str, str]]:
    """Every field of the runs on one data set, and every choice of its card."""
    from transfusion_tf.datasets import load_card
    from transfusion_tf.training.resolved_config import input_scaling_of_run

    card = load_card(dataset, runs[0].source)
    card = card.replace(aspect=runs[0].aspect or card.aspect)
    filled = [
        run.replace(
            image_size=run.image_size or card.image_size,
            head=run.head or card.labels.head,
            metric=run.metric or card.metric,
        )
        for run in runs
    ]
    where = f"{task}: {card.name}" if task != card.name else task
    for field in dataclasses.fields(runs[0]):
        used = any(field.name not in run.idle() for run in runs)
        if used and field.name not in _NOT_SHOWN:
            nothing = _NOTHING.get(field.name, "none")
            values = [_text(getattr(run, field.name), nothing) for run in filled]
            text = _listed(values, filled, every=field.name in _AXES)
            yield _row(scale, task, where, field.name, text)
    pixels = _listed([input_scaling_of_run(run) for run in runs], runs)
    yield _row(scale, task, where, "input_scaling", pixels)
    own = dict.fromkeys(_text(run.augmentation) for run in runs)
    if list(own) != ["none"]:
        yield _row(scale, task, where, "augmentation", "; ".join(own))
    for name, value in _card_values(card, with_augmentation=list(own) == ["none"]):
        if name == "splits" and all(run.fold is not None for run in runs):
            continue
        yield _row(scale, task, where, name, _text(value))


def _card_values(
    card: DatasetCard, *, with_augmentation: bool
) -> Iterator[tuple[str, Any]]:
    shares = card.splits
    yield "splits", f"{shares.train:g} / {shares.validation:g} / {shares.test:g}"
    yield "aspect", card.aspect
    yield "preprocessing", card.preprocessing
    yield "classes", len(card.labels.classes)
    if card.labels.referable_from is not None:
        yield "referable_from", card.labels.referable_from
    if card.labels.kind == "findings":
        yield "uncertain", card.labels.uncertain
        yield "blank", card.labels.blank
    if with_augmentation:
        for name, value in dataclasses.asdict(card.augmentation).items():
            default = getattr(type(card.augmentation)(), name)
            if name != "policy" and value != default:
                yield f"augmentation.{name}", value


def _listed(
    values: Sequence[str], runs: Sequence[RunConfig], *, every: bool = False
) -> str:
    """One value; or each, with the models or the starts that have it unless `every`."""
    found = list(dict.fromkeys(values))
    if len(found) == 1:
        return found[0]
    if every:
        return ", ".join(found)
    for axis in ("model", "initialization"):
        pairs = zip((getattr(run, axis) for run in runs), values, strict=True)
        by_group = dict(_grouped(pairs))
        if all(len(set(group)) == 1 for group in by_group.values()):
            common = collections.Counter(g[0] for g in by_group.values()).most_common()
            names = dict(_grouped((g[0], key) for key, g in by_group.items()))
            parts = [common[0][0]]
            parts += [f"{value} ({', '.join(names[value])})" for value, _ in common[1:]]
            return "; ".join(parts)
    return "; ".join(found)


def _donors(runs: Iterable[RunConfig]) -> Iterator[tuple[str, RunConfig]]:
    """Donors that are trained here, by their data set."""
    from transfusion_tf.studies.donor_runs import is_dataset, pretraining_run

    donors = (
        pretraining_run(run)
        for run in runs
        if is_dataset(run.donor) and run.initialization not in ("random", "gabor")
    )
    return ((run.dataset, run) for run in dict.fromkeys(donors))


def _grouped(
    pairs: Iterable[tuple[_Key, _Item]],
) -> list[tuple[_Key, list[_Item]]]:
    groups: dict[_Key, list[_Item]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return list(groups.items())


def _text(value: Any, nothing: str = "none") -> str:
    if value is None:
        return nothing
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return str(value)
