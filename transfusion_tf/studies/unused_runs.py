"""Runs that no study below a root is made of, and how to be rid of them."""

import dataclasses
import shutil
from pathlib import Path

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.training import RunDirectory
from transfusion_tf.training.run_lock import LOCK_FILE, run_lock


@dataclasses.dataclass(frozen=True)
class UnusedRun:
    """A run's folder.

    Attributes:
      path: `<root>/runs/<run id>`.
      size: of its files, in bytes.
    """

    path: Path
    size: int


def unused_runs(root: str | Path) -> list[UnusedRun]:
    """The runs below `<root>/runs/` that no study of `<root>/studies/` names.

    Donors of runs that are used are used too, wherever their studies are. Folders that
    are no runs, and links, are somebody's own: they are never among them.

    Raises:
      UserError: there are no runs, or a study's or a run's record cannot be read: what
        it stands on is not known then.
    """
    runs = Path(root).absolute() / "runs"
    if not runs.is_dir():
        raise UserError(f"there is no folder {runs}: give the --root of the studies")
    folders = {path.name: path for path in runs.iterdir() if path.is_dir()}
    used: set[str] = set()
    waiting = _named_by_studies(runs.parent / "studies") & folders.keys()
    while waiting:
        used |= waiting
        donors = {donor for run in waiting if (donor := _donor(folders[run]))}
        waiting = (donors & folders.keys()) - used
    return [
        UnusedRun(path, _size(path))
        for name, path in sorted(folders.items())
        if name not in used and RunDirectory(path).exists() and not path.is_symlink()
    ]


def remove_run(path: Path) -> None:
    """Removes a run's folder, unless a process trains it.

    Raises:
      RunHeldError: it is being trained.
      UserError: it cannot be removed.
    """
    with run_lock(path):
        # Without its status it is no finished run, should this be cut off.
        (path / "status.json").unlink(missing_ok=True)
        for inside in path.iterdir():
            try:
                if inside.is_dir() and not inside.is_symlink():
                    shutil.rmtree(inside)
                elif inside.name != LOCK_FILE:
                    inside.unlink()
            except OSError as error:
                raise files.as_user_error(error, inside) from error


def _named_by_studies(studies: Path) -> set[str]:
    named: set[str] = set()
    for file in studies.glob("*/study.json"):
        record = files.read_json(file)
        named.update(record.get("runs", []), record.get("donor_runs", []))
    return named


def _donor(folder: Path) -> str | None:
    """What a run's donor is called, wherever it lay when the run was trained."""
    if not (folder / "config.json").exists():
        return None
    donor = RunDirectory(folder).config().donor
    return None if donor is None else Path(donor).name


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
