"""The studies that have a name. Listing them imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transfusion_tf.errors import one_of

if TYPE_CHECKING:
    from transfusion_tf.studies import Study


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


STUDIES: dict[str, Callable[[], Study]] = {"demo": demo}


def summaries() -> list[tuple[str, str]]:
    """Name and first line of every study."""
    return [
        (name, (make.__doc__ or "").splitlines()[0]) for name, make in STUDIES.items()
    ]


def check(name: str) -> None:
    """Raises UserError where there is no study of that name."""
    if name not in STUDIES:
        raise one_of("study", name, STUDIES)


def make(name: str) -> Study:
    """The study of that name."""
    check(name)
    return STUDIES[name]()
