"""What runs started from, told apart where they have several donors."""

from collections.abc import Sequence
from pathlib import Path

from transfusion_tf.initialization import parse_spec
from transfusion_tf.training import RunConfig, RunDirectory


def donor_name(config: RunConfig) -> str | None:
    """What a run's donor is called, or None where nothing of it is used.

    A donor that was pretrained on a data set is called after it, a weight file without
    its ending.
    """
    if config.donor is None or parse_spec(config.initialization).scheme == "random":
        return None
    path = Path(config.donor)
    directory = RunDirectory(path)
    if directory.exists():
        return directory.dataset()["name"]
    return path.name.removesuffix(".h5").removesuffix(".keras").removesuffix(".weights")


def start_names(configs: Sequence[RunConfig]) -> list[str]:
    """The initialization of every run, with its donor where the runs have several.

    Returns:
        `transfer`, or `transfer from photographs`; one a run.
    """
    donors = [donor_name(config) for config in configs]
    several = len({name for name in donors if name is not None}) > 1
    return [
        f"{config.initialization} from {donor}"
        if several and donor is not None
        else config.initialization
        for config, donor in zip(configs, donors, strict=True)
    ]
