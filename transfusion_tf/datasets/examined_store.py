"""What was made of each image, kept beside the prepared data until those are whole.

So audit and preparing share one decoding of each image, and an image that can't be
read costs nobody's work but its own. It is a cache: whatever is wrong with it, the
images are decoded again. It holds the images of one card with its present options and
no others, and of the prepared ones their measures alone, about 1.3 kB per image.
"""

import contextlib
import functools
import hashlib
import json
import shutil
import sqlite3
import zlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.examined import Examined, Measures, examine
from transfusion_tf.datasets.images import DECODING, ImageSource
from transfusion_tf.datasets.near_duplicates import THUMBNAIL
from transfusion_tf.datasets.parallel_images import map_images, value_or_reason

STORE = "examined.sqlite"
# Apart, for it may be as large as the prepared data, and SQLite reads all of a table to
# drop it.
JPEGS = "examined_jpegs.sqlite"
# No synchronization: what a power failure damages has another checksum.
_OPEN = """
PRAGMA main.synchronous = OFF;
PRAGMA pictures.synchronous = OFF;
CREATE TABLE IF NOT EXISTS main.measures (key PRIMARY KEY, content, crc32);
CREATE TABLE IF NOT EXISTS pictures.jpegs (key PRIMARY KEY, content, crc32);
"""
# A kill loses no more than these; written at once, so that nobody waits for the lock.
_PER_TRANSACTION = 32
# What the stored JPEGs take at most: the store leaves so much room for the shards.
_BYTES_PER_PIXEL = 1
_THUMBNAIL_BYTES = THUMBNAIL**2


def examine_all(
    card: DatasetCard,
    images: Sequence[ImageSource],
    folder: Path | None,
    workers: int,
    title: str,
    progress: bool,
    measures_only: bool = False,
) -> Generator[Examined | str, None, None]:
    """What is made of each image, in their order, or what is wrong with it.

    Args:
      card: says the size that is stored.
      images: picklable; all of the card's, for what is kept of others is dropped.
      folder: where what was made is kept; None keeps nothing.
      workers: processes that decode; -1 is one per core.
      title: of the progress bar.
      progress: whether to show one.
      measures_only: leaves `jpeg` empty where the image was examined before.

    Raises:
      MissingExtra: a library to read an image is not installed.
    """
    work = functools.partial(examine, size=card.stored_size, aspect=card.aspect)
    reserve = len(images) * card.stored_size**2 * _BYTES_PER_PIXEL
    keys = [_key(card, image) for image in images]
    with contextlib.closing(_Store(folder, reserve)) as store:
        store.keep(set(keys))
        known = store.keys("measures")
        if not measures_only:
            known &= store.keys("jpegs")
        new = [i for i, key in zip(images, keys, strict=True) if key not in known]
        made = map_images(work, new, workers, title, progress and bool(new))
        with contextlib.closing(made):
            for image, key in zip(images, keys, strict=True):
                kept = store.get(key, measures_only) if key in known else None
                if kept is not None:
                    yield kept
                    continue
                lost = key in known
                found = value_or_reason(work, image) if lost else next(made)
                if not isinstance(found, str):  # What a reason names may be mended.
                    store.put(key, found)
                yield found


def forget_jpegs(folder: Path) -> None:
    """Drops what the prepared data hold themselves now, and gives the space back."""
    _remove(folder, JPEGS)


def remove_store(folder: Path) -> None:
    """Gives all its space back."""
    _remove(folder, STORE)
    _remove(folder, JPEGS)


def _remove(folder: Path, name: str) -> None:
    for file in (name, f"{name}-journal"):
        with contextlib.suppress(OSError):
            (folder / file).unlink()


def _key(card: DatasetCard, image: ImageSource) -> str:
    options = f"{DECODING}:{card.stored_size}:{card.aspect}"
    what = f"{options}:{image!r}:{image.fingerprint()}"
    return hashlib.sha256(what.encode()).hexdigest()[:32]


class _Store:
    """The file, or nothing where there can be none.

    Args:
      folder: where it lies.
      reserve: bytes on the disk that it leaves to others.
    """

    def __init__(self, folder: Path | None, reserve: int = 0):
        self._folder = folder
        self._file: sqlite3.Connection | None = None
        self._reserve = reserve
        self._pending: list[tuple[str, Examined]] = []
        self._open()

    def _open(self) -> None:
        if self._folder is None:
            return
        with self._or_nothing(), contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self._folder / STORE)
            pictures = str(self._folder / JPEGS)
            self._file.execute("ATTACH ? AS pictures", (pictures,))
            self._file.executescript(_OPEN)

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Goes on without the file where the disk is full or what is in it damaged."""
        try:
            yield
        except sqlite3.Error as error:
            self._pending.clear()
            self.close()
            # Of an extended code, the lowest byte says what kind it is.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if self._folder and code not in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            ):
                remove_store(self._folder)

    def keep(self, keys: set[str]) -> None:
        """Drops all others, for example those of an earlier size."""
        stored = self.keys("jpegs")
        if self._folder and stored and not stored & keys:
            self.close()
            _remove(self._folder, JPEGS)
            self._open()
        for table in ("measures", "jpegs"):
            others = [(key,) for key in self.keys(table) - keys]
            with self._or_nothing():
                if self._file and others:
                    self._file.executemany(f"DELETE FROM {table} WHERE key = ?", others)
                    self._file.commit()

    def keys(self, table: str) -> set[str]:
        """Of `measures` or `jpegs`."""
        known: set[str] = set()
        with self._or_nothing():
            if self._file:
                known.update(
                    k for (k,) in self._file.execute(f"SELECT key FROM {table}")
                )
        return known

    def get(self, key: str, measures_only: bool) -> Examined | None:
        """None where it can't be used."""
        told = self._content("measures", key)
        jpeg = b"" if measures_only else self._content("jpegs", key)
        if told is None or jpeg is None:
            return None
        grey = np.frombuffer(told[:_THUMBNAIL_BYTES], np.uint8)
        numbers = json.loads(told[_THUMBNAIL_BYTES:])
        thumbnail = grey.reshape(THUMBNAIL, THUMBNAIL)
        return Examined(jpeg, Measures(**numbers, thumbnail=thumbnail))

    def _content(self, table: str, key: str) -> bytes | None:
        row = None
        query = f"SELECT content, crc32 FROM {table} WHERE key = ?"
        with self._or_nothing():
            if self._file:
                row = self._file.execute(query, (key,)).fetchone()
        if row is None or not isinstance(row[0], bytes):
            return None
        return row[0] if _checksum(key, row[0]) == row[1] else None

    def put(self, key: str, made: Examined) -> None:
        """Keeps it, as far as there is room."""
        if self._file:
            self._pending.append((key, made))
        if len(self._pending) >= _PER_TRANSACTION:
            self._write()

    def _write(self) -> None:
        pending, self._pending = self._pending, []
        if not (self._file and self._folder and pending):
            return
        with self._or_nothing(), contextlib.suppress(OSError):
            if shutil.disk_usage(self._folder).free < self._reserve:
                return
            for key, made in pending:
                told = dict(vars(made.measures))
                content = told.pop("thumbnail").tobytes() + json.dumps(told).encode()
                self._insert("measures", key, content)
                self._insert("jpegs", key, made.jpeg)
            self._file.commit()

    def _insert(self, table: str, key: str, content: bytes) -> None:
        if self._file:
            row = (key, content, _checksum(key, content))
            self._file.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", row)

    def close(self) -> None:
        """Keeps what was put; may be called again."""
        self._write()
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(sqlite3.Error):
                file.close()


def _checksum(key: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key.encode()))
