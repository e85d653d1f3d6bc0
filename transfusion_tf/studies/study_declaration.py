"""A study: a list of runs, and the chapters of its report, each with a question."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import parse_spec
from transfusion_tf.models import parse_model_name
from transfusion_tf.studies.claims import Claim
from transfusion_tf.training import RunConfig


@dataclasses.dataclass(frozen=True)
class Chapter:
    """One question of a study: a table or figure of a paper, made again, or its like.

    Attributes:
      name: as the paper calls it: `table1`, `figure7`; else what it is about.
      title: the heading.
      text: what it shows, in a sentence or two.
      view: how the report draws it, one of `transfusion_tf.report.chapters.KINDS`.
      runs: unresolved configs of the runs that it is made of; chapters may share them.
      measurements: the comparisons of models that it shows beside results, names of
        `transfusion_tf.studies.measurements.comparisons.COMPARISONS`.
      options: what the view and its measurements take, as plain values.
      published: the paper's own numbers, a row each: `quantity`, `value`, and
        whatever else tells which of our rows stands beside it (`model`,
        `initialization`, `train_examples`, `stage`, ...).
      notes: what differs from the paper, or does not apply to these data.
    """

    name: str
    title: str
    text: str
    view: str
    runs: tuple[RunConfig, ...] = ()
    measurements: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Study:
    """Runs that a report compares.

    Attributes:
      name: the folder's name below `<root>/studies/`.
      title: the report's heading.
      runs: unresolved configs, in the order in which they are run. A `donor` that
        names a data set stands for a model pretrained on it, a run of its own.
      chapters: what the report shows, in this order.
      claims: of the paper, judged in the report.
      after_paper: whether it repeats a paper's. The report of any other study answers
        at its top whether transfer pays.
      protocol: what a paper's study is made with, a row per value: `where name value
        source text`.
      not_in_paper: what the paper leaves open, a sentence for each choice.
    """

    name: str
    title: str
    runs: tuple[RunConfig, ...]
    chapters: tuple[Chapter, ...] = ()
    claims: tuple[Claim, ...] = ()
    after_paper: bool = False
    protocol: tuple[Mapping[str, str], ...] = ()
    not_in_paper: tuple[str, ...] = ()

    @classmethod
    def of_chapters(
        cls,
        name: str,
        title: str,
        chapters: Sequence[Chapter],
        claims: Sequence[Claim] = (),
    ) -> "Study":
        """A study after a paper: of all that its chapters need, each run once.

        Seeds vary slowest: when it is stopped, whole seeds are done.
        """
        runs = dict.fromkeys(run for chapter in chapters for run in chapter.runs)
        in_order = sorted(runs, key=lambda run: run.seed)
        return cls(
            name,
            title,
            tuple(in_order),
            tuple(chapters),
            tuple(claims),
            after_paper=True,
        )


def grid(
    base: RunConfig,
    *,
    models: Sequence[str],
    initializations: Sequence[str],
    train_examples: Sequence[int | None] = (None,),
    seeds: Sequence[int] = (0,),
) -> tuple[RunConfig, ...]:
    """Every combination; seeds vary slowest, so that partial results are whole rows.

    Raises:
      UserError: a model or an initialization that does not exist, named before
        anything runs; or an empty axis.
    """
    for name, values in (
        ("models", models),
        ("initializations", initializations),
        ("train_examples", train_examples),
        ("seeds", seeds),
    ):
        if not values:
            raise UserError(f"--{name} names nothing to run")
    for model in models:
        parse_model_name(model)
    for initialization in initializations:
        parse_spec(initialization)
    return tuple(
        base.replace(
            model=model, initialization=initialization, train_examples=size, seed=seed
        )
        for seed, model, size, initialization in itertools.product(
            seeds, models, train_examples, initializations
        )
    )


def split_names(text: str) -> list[str]:
    """Names with commas between them; commas inside brackets belong to a name.

    `cbr_tiny,resnet50[slim_after=block2,width=0.5]` is two names.
    """
    names, depth, current = [], 0, ""
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            names.append(current)
            current = ""
        else:
            current += character
    return [name.strip() for name in (*names, current) if name.strip()]
