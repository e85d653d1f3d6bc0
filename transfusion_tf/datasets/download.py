"""Fetches the published file of a data set, and compares it with what was published."""

import contextlib
import hashlib
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.errors import UserError

_SECONDS = 30


def download(card: DatasetCard) -> Path:
    """Puts the card's published file into its folder, by TFDS's download manager.

    TFDS's own checksums are SHA-256 of files that it knows. Of these files the authors
    publish an MD5, which is compared here before the file takes its place. A file that
    is there already is compared and stays.

    Raises:
      UserError: the card names no such file, or no folder for it; it can't be had; or
        its MD5 is another, and then nothing is left of it.
    """
    published = card.download
    if published is None:
        raise UserError(
            f"the card {card.name!r} names no file to download. {card.layout()}".strip()
        )
    folder = Path(os.path.expandvars(card.path.parent / card.folder)).expanduser()
    if "$" in str(folder):
        raise UserError(
            f"no folder for {card.name!r}: set TRANSFUSION_DATA, or name one "
            "(--source=FOLDER)"
        )
    target = folder / published.file
    if target.exists():
        _compare(card, target, "move it away to download it anew")
        return target
    scratch = folder / f".{published.file}.download"
    try:
        fetched = _fetch(published.url, scratch)
        _compare(card, fetched, "it was removed again: try once more")
        fetched.replace(target)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{published.file} can't be downloaded: {reason}. {card.how_to_get()}"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _fetch(url: str, folder: Path) -> Path:
    # Without a network, TFDS would try for minutes.
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(url, timeout=_SECONDS).close()
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.util import DownloadError

    manager = tfds.download.DownloadManager(download_dir=folder)
    try:
        return Path(manager.download(url))
    except DownloadError as error:
        raise OSError(str(error)) from error


def _compare(card: DatasetCard, file: Path, mend: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "md5").hexdigest()
    if card.download and found != card.download.md5:
        raise UserError(
            f"{card.download.file} has the MD5 {found}, and {card.download.md5} is "
            f"published: {mend}"
        )
