"""The models that `transfusion-compare` is given: runs, or `.keras` files."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras

from transfusion_tf.errors import UserError, closest
from transfusion_tf.representations.model_files import load_model_file
from transfusion_tf.representations.snapshots import Snapshot
from transfusion_tf.studies.measurements.run_labels import run_names
from transfusion_tf.studies.measurements.run_models import run_snapshot
from transfusion_tf.training import RunDirectory


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A model that the user named: a run's, or a file's.

    Attributes:
      path: The run directory or the file.
      run: The run; None for a file.
    """

    path: Path
    run: RunDirectory | None

    def model(self, weights: str) -> Snapshot:
        """The model, with `initial`, `best` or `final` weights where it is a run's."""
        if self.run is not None:
            return run_snapshot(self.run.path, weights)
        return Snapshot.of(_load_model(self.path))

    @property
    def place(self) -> str:
        """The run's id, or the file as it was named."""
        return str(self.path) if self.run is None else self.path.absolute().name

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        if self.run is None:
            return self.path.name
        config = self.run.config()
        return f"{config.model} from {config.initialization}, seed {config.seed}"


def find(name: str, root: str) -> Source:
    """The run directory, `.keras` file, or run below `<root>/runs` of that name.

    Raises:
      UserError: If there is none; the message lists the runs there are.
    """
    path = Path(name).expanduser()
    if path.suffix == ".keras":
        if not path.is_file():
            raise UserError(f"no file {path}")
        return Source(path, None)
    run = find_run(name, root, "no run directory, no .keras file,")
    return Source(run.path, run)


def find_run(name: str, root: str, is_none: str = "no run directory") -> RunDirectory:
    """The run directory, or the run below `<root>/runs`, of that name.

    Raises:
      UserError: If there is none; the message lists the runs there are.
    """
    runs = Path(root) / "runs"
    for folder in (Path(name).expanduser(), runs / name):
        directory = RunDirectory(folder)
        if directory.exists():
            return directory
    known = sorted(found.parent.name for found in runs.glob("*/config.json"))
    shown = ", ".join(known[:8]) + (f" and {len(known) - 8} more" * (len(known) > 8))
    raise UserError(
        f"{name!r} is {is_none} and no run in {runs}{closest(name, known)}; "
        f"there: {shown or 'none'}"
    )


def labels(sources: Sequence[Source]) -> list[str]:
    """Short names that tell the sources apart: by what differs between them."""
    if len(sources) == 2 and all(source.run for source in sources):
        configs = [source.run.config() for source in sources if source.run]
        parts = [[c.model, c.initialization, f"seed {c.seed}"] for c in configs]
        differing = [i for i in range(3) if parts[0][i] != parts[1][i]]
        if differing:
            kept = sorted({1, *differing})
            return [" · ".join(part[i] for i in kept) for part in parts]
    titles = [source.title for source in sources]
    if len(set(titles)) == len(titles):
        return titles
    return run_names([source.path for source in sources])


def _load_model(path: Path) -> keras.Model:
    model = load_model_file(path)
    shape = getattr(model, "input_shape", None)
    if not (isinstance(shape, tuple) and len(shape) == 4 and shape[-1] == 3):
        raise UserError(
            f"{path} should take one batch of RGB images, [batch, height, width, 3]; "
            f"its input is {shape}"
        )
    return model
