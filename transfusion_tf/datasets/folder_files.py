"""What lies in a folder, without what other programs keep there for themselves."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from transfusion_tf.datasets.names import normalized
from transfusion_tf.errors import UserError

# Thumbnails, wastebaskets, copies and indices. Names with a dot in front are hidden:
# .ipynb_checkpoints, .Trash-1000, ._scan.png, .DS_Store.
_HELPERS = {
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "@sharebin",
    "@synoresource",
    "@tmp",
    "#recycle",
    "#snapshot",
    "__macosx",
    "__pycache__",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "found.000",
    "_gsdata_",
    "~snapshot",
    "network trash folder",
    "temporary items",
    "ehthumbs.db",
    "desktop.ini",
    "picasa.ini",
    "icon\r",
}
_STARTS = (".", "~$", "thumbs.db", "synofile_thumb", "synophoto_thumb")


def is_helper(name: str) -> bool:
    """Whether a file or folder of this name is another program's, and no data."""
    name = name.lower()
    return name in _HELPERS or name.startswith(_STARTS) or name.endswith("~")


def has_helper(path: str | Path) -> bool:
    """Whether a part of the path is another program's, `.` and `..` aside."""
    return any(is_helper(part) for part in Path(path).parts if part != "..")


def files_below(
    folder: Path, followed: frozenset[Path] = frozenset()
) -> Iterator[Path]:
    """Files in a folder and in those below it, in the order of their paths.

    Links count as what they lead to; one that leads nowhere is a file that is missing.

    Args:
      folder: the folder.
      followed: what links on the way to it led to: no folder is entered twice.

    Raises:
      UserError: a folder can't be read.
    """
    for path in entries(folder):
        if path.is_file():
            yield path
        elif path.is_dir():
            if not path.is_symlink():
                yield from files_below(path, followed)
                continue
            target = path.resolve()
            if target not in followed and not folder.resolve().is_relative_to(target):
                yield from files_below(path, followed | {target})
        elif path.is_symlink():
            yield path


def subfolders(folder: Path) -> list[Path]:
    """Folders of a folder, in the order of their names."""
    return [path for path in entries(folder) if path.is_dir()]


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of their names.

    Raises:
      UserError: it can't be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not is_helper(path.name))
    except OSError as error:
        raise UserError(f"folder {folder} can't be read: {error.strerror}") from None


def on_disk(path: Path) -> Path | None:
    """The path as the disk spells it: accents may be there in their other form.

    None where there is no such file or folder.
    """
    # A NUL byte in a name raises ValueError.
    if "\0" in str(path):
        return None
    if path.exists():
        return path
    if str(path).isascii():
        return None
    above = on_disk(path.parent) if path.parent != path else None
    name = names_in(above).get(normalized(path.name)) if above else None
    return above / name if above and name else None


def names_in(folder: Path) -> dict[str, str]:
    """What a folder holds: composed accents, to the name on the disk."""
    if not folder.is_dir():
        return {}
    return _names_in(folder, folder.stat().st_mtime_ns)


# Asked with each row of a table; the time of the folder's last change keeps it true.
@functools.lru_cache(maxsize=16)
def _names_in(folder: Path, _: int) -> dict[str, str]:
    return {normalized(name): name for name in sorted(os.listdir(folder))}
