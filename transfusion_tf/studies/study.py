"""A study: a list of runs with one question."""

import dataclasses
import itertools
from collections.abc import Sequence

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import parse_spec
from transfusion_tf.models import parse_model_name
from transfusion_tf.training import RunConfig


@dataclasses.dataclass(frozen=True)
class Study:
    """Runs that a report compares.

    Attributes:
      name: the folder's name below `<root>/studies/`.
      title: the report's heading.
      runs: unresolved configs, in the order in which they are run. A `donor` that
        names a data set stands for a model pretrained on it, a run of its own.
    """

    name: str
    title: str
    runs: tuple[RunConfig, ...]


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
