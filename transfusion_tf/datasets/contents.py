"""What a built data set consists of: written down when it is built, compared when it
is opened.

Small files by their SHA-256, shards by a checksum of all their bytes, which takes 0.3 s
per GiB in the page cache. Where that is more than a moment, shards of the right size
that are not newer than what was noted of them count as unchanged. Each record is also
compared when it is read, see `record_reader`.
"""

import functools
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf import files
from transfusion_tf.errors import UserError

CONTENTS = "contents.json"
INDEX = "index.parquet"

_READ_IN_A_MOMENT = 1 << 30
_BLOCK = 1 << 24


def write_contents(folder: Path, shards: Sequence[str]) -> None:
    """Notes what lies in `folder`; `shards` are the names of the files of records."""
    found: dict[str, dict[str, int | str]] = {}
    for path in sorted(folder.iterdir()):
        found[path.name] = {"size": path.stat().st_size}
        if path.name in shards:
            found[path.name]["crc32"] = _crc32(path)
        else:
            found[path.name]["sha256"] = files.sha256(path)
    files.write_json(folder / CONTENTS, found)


def read_index(folder: Path) -> pd.DataFrame:
    """The index of a built data set, after all that was built was found unchanged.

    Raises:
      UserError: a file is missing, or is not what was built; the message names it.
    """
    _check(folder, _stamp(folder))
    return pd.read_parquet(folder / INDEX)


@functools.lru_cache(maxsize=64)  # Once per process and state of the files.
def _check(folder: Path, stamp: tuple) -> None:
    try:
        expected = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        # It is the user's to edit as any file is, so its form counts too.
        shards = {name: e for name, e in expected.items() if "sha256" not in e}
        large = sum(e["size"] for e in shards.values()) > _READ_IN_A_MOMENT
        if INDEX not in expected or not all("crc32" in e for e in shards.values()):
            raise KeyError
        noted = (folder / CONTENTS).stat().st_mtime_ns
    except FileNotFoundError:
        raise damaged(folder / CONTENTS, "is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise damaged(folder / CONTENTS, "is not what was written") from None
    for name, entry in expected.items():
        path = folder / name
        if not path.is_file():
            raise damaged(path, "is missing")
        stat = path.stat()
        if stat.st_size != entry.get("size"):
            how = f"has {stat.st_size} bytes instead of {entry.get('size')}"
            raise damaged(path, how)
        if "sha256" in entry:
            same = files.sha256(path) == entry["sha256"]
        else:
            untouched = large and stat.st_mtime_ns <= noted
            same = untouched or _crc32(path) == entry["crc32"]
        if not same:
            raise damaged(path, "has other bytes than those that were written")


def damaged(path: Path, how: str) -> UserError:
    """The error of prepared data that are not as they were built."""
    return UserError(
        f"prepared data are damaged: {path} {how}; remove the folder {path.parent} and "
        "run the same command again, which prepares them anew"
    )


def _stamp(folder: Path) -> tuple:
    """Changes when any file of the folder does."""
    stats = ((path.name, path.stat()) for path in sorted(folder.iterdir()))
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value
