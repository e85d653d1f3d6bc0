"""Whether a study's report is what would be written again: then it need not be.

A report is a function of the study's record, its runs' tables, this source code and
the libraries that draw. Their hash is kept beside the report, and the hash of each
file that was written. Nothing here imports more than the standard library: to find
that nothing is to be done should take no time.
"""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transfusion_tf import files
from transfusion_tf.errors import UserError

_NAME = "report.json"
# Of other steps than the report, whose notes say nothing that it shows.
_STAMPS = (_NAME, "command.json")
_LIBRARIES = ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "scipy")
# Reports are drawn from tables; weights are large.
_UNREAD = (".h5", ".keras")


def is_current(study_dir: str | Path, *, show_images: bool) -> bool:
    """Whether the report that lies there is whole, and made of what is there now."""
    folder = Path(study_dir)
    try:
        stamp = files.read_json(folder / _NAME)
        return bool(
            stamp["made_of"] == _made_of(folder, show_images)
            and stamp["files"] == _hashes(folder, _written(folder))
        )
    except (OSError, UserError, KeyError, TypeError):
        return False


def mark_current(
    study_dir: str | Path, *, show_images: bool, headline: str = ""
) -> None:
    """Notes what the report that was just written is made of, and its headline."""
    folder = Path(study_dir)
    stamp = {
        "made_of": _made_of(folder, show_images),
        "files": _hashes(folder, _written(folder)),
        "headline": headline,
    }
    files.write_json(folder / _NAME, stamp)


def headline_of(study_dir: str | Path) -> str:
    """What the report that lies there says first; empty where that is unknown."""
    try:
        return str(files.read_json(Path(study_dir) / _NAME).get("headline", ""))
    except (OSError, UserError):
        return ""


def source_digest(*packages: Path) -> str:
    """What tells one state of packages' source, and of data beside it, from another."""
    digest = hashlib.sha256()
    for folder in packages:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(str(file.relative_to(folder)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Of Python and the packages; `missing` where one is not installed."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def _made_of(folder: Path, show_images: bool) -> dict[str, Any]:
    folder = folder.resolve()
    record = files.read_json(folder / "study.json")
    root = folder.parent.parent
    own = [
        file
        for file in sorted(folder.iterdir())
        if file.is_file()
        and not file.name.startswith(".")
        and file.name not in ("report.html", *_STAMPS)
    ]
    read = [*own, *_analyses(record, root), *_run_files(record, root)]
    content = json.dumps(_hashes(root, read), sort_keys=True)
    return {
        "content": hashlib.sha256(content.encode()).hexdigest(),
        "show_images": show_images,
        "source": source_digest(Path(__file__).parents[1]),
        "libraries": library_versions(_LIBRARIES),
        # The report names the folder.
        "root": str(root),
    }


def _run_files(record: dict[str, Any], root: Path) -> Iterable[Path]:
    for run_id in [*record.get("runs", []), *record.get("donor_runs", [])]:
        run = root / "runs" / run_id
        # A run that is not there is said to be missing.
        for file in sorted(run.iterdir()) if run.is_dir() else ():
            hidden = file.name.startswith(".")  # A lock, or half a file.
            if file.is_file() and not hidden and file.suffix not in _UNREAD:
                yield file


def _analyses(record: dict[str, Any], root: Path) -> Iterable[Path]:
    for chapter in record.get("chapters", []):
        for paths in (chapter.get("analyses") or {}).values():
            yield from (root / path for path in paths if (root / path).exists())


def _written(folder: Path) -> list[Path]:
    found = [folder / "report.html"]
    for name in ("figures", "tables", "events"):
        found += [file for file in sorted((folder / name).rglob("*")) if file.is_file()]
    return found


def _hashes(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    # As it is called there: runs may be links to where there is room for them.
    return {str(path.relative_to(folder)): files.sha256(path) for path in paths}
