"""Stages of a network from the input up, as its runs tell them."""

from collections.abc import Iterable, Sequence

from transfusion_tf.studies.study_folder import Run


def stage_order(runs: Iterable[Run]) -> list[str]:
    """All stages but the head, in network order.

    Runs keep an account of every tensor, in the order of the layers; without it the
    order in which the runs name their stages has to do.
    """
    runs = list(runs)
    for run in runs:
        if (run.directory.path / "initialization.csv").exists():
            table = run.directory.initialization()
            if "stage" in table:
                found = dict.fromkeys(str(name) for name in table["stage"].dropna())
                return [name for name in found if name != "head"]
    named = (
        name
        for run in runs
        for name in (through(run.config.initialization), run.config.freeze)
    )
    return list(dict.fromkeys(name for name in named if name))


def through(initialization: str) -> str | None:
    """The stage up to which a spec transfers: `block2` of `transfer:block2`."""
    if not initialization.startswith("transfer:"):
        return None
    return initialization.removeprefix("transfer:").partition("+")[0]


def in_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names by their place in the network; unknown ones last, as they come."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(dict.fromkeys(names), key=lambda name: places.get(name, len(order)))
