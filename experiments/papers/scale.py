"""The size at which a paper's studies are run: in full, on a laptop, in seconds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transfusion_tf.errors import UserError, one_of
from transfusion_tf_experiments.papers.protocol import (
    CARD_VALUES,
    COMMAND_LINE,
    THIS_SCALE,
    Source,
)

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter
    from transfusion_tf.training import RunConfig

_CBR = ("pool1", "pool2", "pool3", "pool4")
_RESNET = ("conv1", "block1", "block2", "block3", "block4")
_INCEPTION_STEM = ("conv1", "conv2", "conv3", "conv4")
_INCEPTION_MIXED = tuple(f"mixed{number}" for number in range(11))
_BLOCKS = tuple(f"block{number}" for number in range(1, 13))
_TRANSFORMER = ("patch_embed", *_BLOCKS)

# Stages from the input up. `transfusion_tf.models.stages` finds them in a model; here
# they are names, so that making a study builds no model.
STAGES = {
    "cbr_large_t": (*_CBR, "conv5"),
    "cbr_large_w": _CBR,
    "cbr_small": _CBR,
    "cbr_tiny": _CBR,
    "resnet18": _RESNET,
    "resnet50": _RESNET,
    "resnet152": _RESNET,
    "inception_v3": _INCEPTION_STEM + _INCEPTION_MIXED,
    "deit_ti": _TRANSFORMER,
    "deit_s": _TRANSFORMER,
    "deit_b": _TRANSFORMER,
    "swin_t": _TRANSFORMER,
    "deit_mini": _TRANSFORMER[:7],
    "swin_mini": _TRANSFORMER[:7],
}


class Policy(dict):
    """An augmentation's plain values, that a frozen config can be hashed with."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items())))


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set, and how models are trained on it.

    Attributes:
      base: what all of its runs share; model, start and seed are filled in later.
      overrides: (field, value) -> other fields of `RunConfig`, for the runs in which
        the field has that value, as text; applied in this order. Models go by their
        names without options.
      random_rate: the learning rate from random weights, relative to that of others.
      head_steps: steps of the head alone, in runs that train it first.
    """

    base: RunConfig
    overrides: Mapping[tuple[str, str], Mapping[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    random_rate: float = 1.0
    head_steps: int = 0

    def run(
        self, model: str, initialization: str, seed: int, changes: Mapping[str, Any]
    ) -> RunConfig:
        """One run; `changes` are fields of `RunConfig` that override all others."""
        # Gathered before a run is made of them: a study has thousands, and each is
        # checked field by field.
        fields: dict[str, Any] = {
            "model": model,
            "initialization": initialization,
            "seed": seed,
        }
        asked = {**vars(self.base), **fields, **changes}
        for (field, value), override in self.overrides.items():
            if str(asked[field]).partition("[")[0] == value:
                fields.update(override)
                asked.update(override)
        if initialization == "random":
            rate = fields.get("learning_rate", self.base.learning_rate)
            fields["learning_rate"] = rate * self.random_rate
        return self.base.replace(**{**fields, **changes})

    def with_changes(self, changes: Mapping[str, Any]) -> Task:
        """The same with other values of `RunConfig`'s fields, in every run.

        Lengths that are given are steps: they stay what they are.
        """
        if not {"steps", "eval_every"}.isdisjoint(changes):
            changes = {"steps_per_epoch": None, **changes}
        overrides = {
            key: {name: value for name, value in fields.items() if name not in changes}
            for key, fields in self.overrides.items()
        }
        return dataclasses.replace(
            self, base=self.base.replace(**changes), overrides=overrides
        )


@dataclasses.dataclass(frozen=True)
class Scale:
    """Everything in which `paper`, `small` and `smoke` differ.

    Attributes:
      name: what `--scale` calls it.
      tasks: name -> data set and training recipe, in the paper's order.
      models: kind of study -> the models that it trains.
      seeds: number of repetitions, of a cross-validation where there are `folds`.
      more_seeds: kind of study -> number of repetitions, where it is not `seeds`.
      task_groups: kind of study -> the tasks that it looks at.
      levels: model -> stages up to which it is transferred or frozen, each in turn;
        where a model is missing, all but its last.
      groups: model -> last stages of the groups that it is transferred in, where those
        are not its stages; each counts as one part of the model.
      options: kind of study -> what its chapters tell their analyses and views.
      train_examples: the paper's numbers of training images -> those used here.
      statistics: the initialization from the statistics of the donor's weights.
      donors: those that are compared; empty where each task has one.
      folds: of a cross-validation; None takes the cards' splits.
      one_own_task: whether a user's own data set takes the place of all tasks as one,
        and not of each.
      notes: what differs from the paper, one sentence each; every chapter shows them.
      sources: where each value comes from; see `protocol`.
      default_source: where those come from that `sources` does not name.
    """

    name: str
    tasks: Mapping[str, Task]
    models: Mapping[str, tuple[str, ...]]
    seeds: int
    more_seeds: Mapping[str, int] = dataclasses.field(default_factory=dict)
    task_groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    levels: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    train_examples: Mapping[int, int] = dataclasses.field(default_factory=dict)
    statistics: str = "mean_var"
    donors: tuple[str, ...] = ()
    folds: int | None = None
    one_own_task: bool = False
    notes: tuple[str, ...] = ()
    sources: Mapping[str, Source] = dataclasses.field(default_factory=dict)
    default_source: Source = THIS_SCALE

    def runs(
        self,
        tasks: Iterable[str],
        models: Iterable[str],
        initializations: Sequence[str],
        *,
        seeds: int | None = None,
        **changes: Any,
    ) -> tuple[RunConfig, ...]:
        """Every model on every task from every start; seeds vary slowest.

        Each fold has a seed of its own: random weights of one seed are the same
        weights.

        Args:
          tasks: names of tasks, or of groups of them.
          models: names of models, or kinds of study for those that they train.
          initializations: as `transfusion_tf.initialization.parse_spec` takes them.
          seeds: number of repetitions, where it is not that of the scale.
          **changes: fields of `RunConfig` that these runs have in common.
        """
        wanted_tasks = _expand(tasks, self.task_groups)
        wanted_models = self.models_of(models)
        folds = self.folds or 1
        return tuple(
            self.tasks[task].run(model, start, seed, self._fold(seed) | changes)
            for seed in range((seeds or self.seeds) * folds)
            for task in wanted_tasks
            for model in wanted_models
            for start in initializations
        )

    def models_of(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """Models of several kinds of study; what is no kind is a model itself."""
        return _expand(kinds, self.models)

    def levels_of(self, model: str) -> tuple[str, ...]:
        """Stages up to which a model is transferred or frozen, without the last."""
        return self.levels.get(model, self.parts_of(model)[:-1])

    def parts_of(self, model: str) -> tuple[str, ...]:
        """Stages that end what the shares of a model that is transferred are of."""
        return self.groups.get(model, stages_of(model))

    def chapter(
        self,
        title: str,
        text: str,
        *,
        view: str,
        runs: Iterable[RunConfig] = (),
        measurements: tuple[str, ...] = (),
        options: Mapping[str, Any] | None = None,
        published: tuple[Mapping[str, Any], ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Chapter:
        """A table or figure of the paper at this scale; `named_chapters` names it."""
        from transfusion_tf.studies import Chapter

        groups = {"groups": self.groups} if self.groups else {}
        return Chapter(
            name="",
            title=title,
            text=text,
            view=view,
            runs=tuple(dict.fromkeys(runs)),
            measurements=measurements,
            options={**(options or {}), **groups},
            published=published,
            notes=(*notes, *self.notes),
        )

    def with_seeds(self, seeds: int) -> Scale:
        """The same with that many repetitions of everything."""
        return dataclasses.replace(
            self,
            seeds=seeds,
            more_seeds={},
            sources=self._sources_but(("repetitions",), COMMAND_LINE),
        )

    @property
    def similarity(self) -> str:
        """What the measure is called by which representations are compared."""
        from transfusion_tf.representations.measure_names import MEASURE_NAMES

        options = self.options.get("similarity", {})
        return MEASURE_NAMES[options.get("similarity_measure", "cca")]

    def with_similarity_measure(self, measure: str) -> Scale:
        """The same with representations compared by another measure.

        Raises:
          UserError: no study of this paper compares stages of models.
        """
        if "similarity" not in self.options:
            raise UserError("--similarity_measure: nothing here is compared by stage")
        own = {**self.options["similarity"], "similarity_measure": measure}
        return dataclasses.replace(
            self,
            options={**self.options, "similarity": own},
            sources=self._sources_but(("similarity_measure",), COMMAND_LINE),
        )

    def with_changes(
        self, changes: Mapping[str, Any], source: Source = COMMAND_LINE
    ) -> Scale:
        """The same with other values of `RunConfig`'s fields, in every run.

        Args:
          changes: fields of `RunConfig`. A `donor` takes the place of all donors that
            are compared; `donors` are others to compare.
          source: where they come from.
        """
        names = (*changes, *(CARD_VALUES if "dataset" in changes else ()))
        sources = self._sources_but(names, source)
        changes = dict(changes)
        donors = changes.pop("donors", self.donors)
        if self.donors and "donor" in changes:
            donors = (changes["donor"],)
        tasks = {name: task.with_changes(changes) for name, task in self.tasks.items()}
        if self.one_own_task and "dataset" in changes:
            tasks = dict([next(iter(tasks.items()))])
        return dataclasses.replace(
            self,
            tasks=tasks,
            donors=tuple(donors),
            folds=changes.get("folds", self.folds) if self.folds else None,
            sources=sources,
        )

    def _sources_but(self, names: Collection[str], source: Source) -> dict[str, Source]:
        """The sources with another one for some values, of every task."""
        kept = {
            key: value
            for key, value in self.sources.items()
            if not set(key.split(".")[:2]) & set(names) or key.startswith("donor.")
        }
        return kept | dict.fromkeys(names, source)

    def _fold(self, seed: int) -> dict[str, Any]:
        """Fields that say which fold of the cross-validation a seed belongs to."""
        if self.folds is None:
            return {}
        return {"fold": seed % self.folds, "folds": self.folds}


def _expand(
    names: Iterable[str], groups: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    return tuple(item for name in names for item in groups.get(name, (name,)))


def stages_of(model: str) -> tuple[str, ...]:
    """A model's stages from the input up; `deit_s[blocks=5]` has the first few."""
    architecture, _, options = model.partition("[")
    names = STAGES[architecture]
    if options.startswith("blocks="):
        return names[: 1 + int(options.removeprefix("blocks=").rstrip("]"))]
    return names


def named_chapters(
    *functions: Callable[[Scale], Chapter],
) -> dict[str, Callable[[Scale], Chapter]]:
    """What makes a paper's chapters, each named as its function is."""

    def with_name(function: Callable[[Scale], Chapter]) -> Callable[[Scale], Chapter]:
        @functools.wraps(function)
        def make(scale: Scale) -> Chapter:
            return dataclasses.replace(function(scale), name=function.__name__)

        return make

    return {function.__name__: with_name(function) for function in functions}


def make_scale(scales: Mapping[str, Callable[[], Scale]], name: str) -> Scale:
    """The scale of that name, of those that a paper has.

    Raises:
      UserError: there is none.
    """
    if name not in scales:
        raise one_of("--scale", name, scales)
    return scales[name]()
