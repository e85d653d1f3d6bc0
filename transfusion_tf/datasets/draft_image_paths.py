"""Which column of a table names images, and where these lie."""

import contextlib
import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.folder_files import files_below
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.names import normalized
from transfusion_tf.datasets.readers.tables import (
    existing_image,
    strip_folders,
    without_suffix,
)
from transfusion_tf.errors import UserError

# Above a file, in paths that were written on another machine.
_MOST_FOLDERS = 10
# Folders of what was drawn on images.
DRAWN = re.compile(r"mask|segm|annot|label|overlay|contour|heat", re.I)


@dataclasses.dataclass(frozen=True)
class ImagePaths:
    """Where the images lie that a column names: see `CsvOptions`.

    Attributes:
      number: how many of the values are images' paths.
      start: the folder that they start from.
      suffix: what they lack.
      others: further folders from which as many are.
      column: the column.
      strip: how many leading folders are dropped from them.
    """

    number: int = 0
    start: str = ""
    suffix: str = ""
    others: tuple[str, ...] = ()
    column: str = ""
    strip: int = 0


def find_images(
    folder: Path, columns: dict[str, list[str]]
) -> tuple[ImagePaths, list[Path]]:
    """Where the images of a table lie, and the files.

    Args:
      folder: in which they are looked for.
      columns: of the table: name -> one cell per row.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in files_below(folder):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            full = normalized(path.relative_to(folder).as_posix())
            by_name[normalized(path.name)].append(full)
            by_stem[normalized(path.stem)].append(full)
    best = ImagePaths()
    # Paths of another machine only where no column names what is here.
    for strip in range(_MOST_FOLDERS):
        for column, cells in columns.items():
            values = [strip_folders(cell.replace("\\", "/"), strip) for cell in cells]
            stems = _place(list(map(without_suffix, values)), by_stem)
            for found in (
                _place(values, by_name),
                _place(values, by_stem),
                # With another suffix than the file's: .jpg for .JPG, .dcm for .png.
                dataclasses.replace(stems, suffix="*"),
            ):
                if found.number > best.number:
                    best = dataclasses.replace(found, column=column, strip=strip)
        if best.number:
            break
    files = []
    for value in columns.get(best.column, ()):
        with contextlib.suppress(UserError):
            name = strip_folders(value, best.strip)
            files.append(existing_image(folder / best.start, name, folder, best.suffix))
    return best, files


def _place(values: Sequence[str], images: Mapping[str, Sequence[str]]) -> ImagePaths:
    """How many values are files' paths from one folder.

    Args:
      values: of a column.
      images: paths of images by what the last part of a value may be.
    """
    votes = Counter[str]()
    suffixes: dict[str, set[str]] = defaultdict(set)
    for value in values:
        value = value.removeprefix("./")
        for full in images.get(value.rsplit("/", 1)[-1], ()):
            start, found, rest = f"/{full}".rpartition(f"/{value}")
            if found and "/" not in rest:
                votes[start.lstrip("/") or "."] += 1
                suffixes[start.lstrip("/") or "."].add(rest)
    if not votes:
        return ImagePaths()
    # Masks have the names of their images.
    start = max(votes, key=lambda name: (votes[name], not DRAWN.search(name)))
    others = tuple(n for n in votes if n != start and votes[n] == votes[start])
    missing = suffixes[start]
    suffix = "*" if len(missing) > 1 else missing.pop()
    return ImagePaths(votes[start], start, suffix, others)


def path_entries(
    found: ImagePaths, images: int, encoding: str
) -> list[tuple[str, Any, str]]:
    """The reader's keys that say where the images lie, for a card: key, value, comment.

    Args:
      found: of `find_images`.
      images: how many images there are.
      encoding: of the table.
    """
    entries: list[tuple[str, Any, str]] = [
        ("image_folder", found.start, "from this file"),
        ("path_column", found.column, f"names {images} images that are there"),
    ]
    if encoding != "utf-8":
        entries.append(("encoding", encoding, "as its bytes look: are accents right?"))
    if found.strip:
        entries.append(("path_strip", found.strip, "leading folders that are not here"))
    if found.suffix:
        entries.append(("path_suffix", found.suffix, "added to what stands there"))
    return entries
