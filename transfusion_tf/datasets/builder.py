"""Any card -> TFRecord shards with TFDS metadata, built once.

`tfds.builder_from_directory(prepared.path)` opens the result. Beside TFDS's files
lies `index.parquet`: where in which shard each example starts, with its labels, so
that the input pipeline shuffles indices and reads records at random. The folder's
name carries a fingerprint of the card and of the rows: a change of either builds
anew, the old one stays.

Rows that can't be used stop the building, unless `max_bad_fraction` lets them be left
out: then `left_out.csv` beside the data lists them. The fingerprint does not depend
on that choice, for it is the rows alone that decide which of them are good.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transfusion_tf import files
from transfusion_tf.datasets import beam_shards, shards
from transfusion_tf.datasets import problems as problem_tables
from transfusion_tf.datasets.build_folder import building, publish
from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.contents import INDEX, read_index, write_contents
from transfusion_tf.datasets.examined_store import forget_jpegs, remove_store
from transfusion_tf.datasets.images import DECODING
from transfusion_tf.datasets.prepared import PreparedDataset
from transfusion_tf.datasets.problems import (
    DatasetError,
    problem_table,
)
from transfusion_tf.datasets.readers import (
    Example,
    Problem,
    Reading,
    read_card,
)
from transfusion_tf.datasets.validation import find_gaps, separate
from transfusion_tf.errors import UserError

_VERSION = "1.0.0"
# Raised when what is stored for the same card and rows changes.
_FORMAT = 2


def prepare(
    card: DatasetCard,
    data_root: str | Path,
    *,
    workers: int = -1,
    progress: bool = True,
    max_bad_fraction: float | None = None,
    beam_pipeline_options: Sequence[str] | None = None,
) -> PreparedDataset:
    """Builds the card's data set below `data_root`, or opens it if it is built.

    Args:
      card: from `load_card`.
      data_root: folder for prepared data; made if need be.
      workers: processes that decode or draw; -1 is one a core.
      progress: whether to show a progress bar.
      max_bad_fraction: the share of the images, in [0, 1), that may be left out
        because they can't be used. None allows none where the data set is built, and
        where it is opened what was allowed then.
      beam_pipeline_options: builds on Apache Beam with these options of its own,
        such as `["--runner=FlinkRunner"]`, in place of the workers here; `[]` takes
        Beam's local runner. `data_root` must be a folder that all workers see.

    Raises:
      DatasetError: rows that can't be used, all of them listed in the message and in
        `<data_root>/<name>/problems-<fingerprint>.csv`; nothing else is left.
      UserError: the folder can't be written to, or the disk is full.
    """
    if max_bad_fraction is not None and not 0 <= max_bad_fraction < 1:
        raise UserError(
            f"--max_bad_fraction should be a share from 0 to below 1, got "
            f"{max_bad_fraction:g}"
        )
    reading = read_card(card)
    fingerprint = _fingerprint(card, reading.examples, reading.problems)
    folder = Path(data_root).absolute() / card.name
    version_dir = folder / f"{card.stored_size}px-{fingerprint}" / _VERSION
    build = _Build(
        card=card,
        fingerprint=fingerprint,
        version_dir=version_dir,
        reading=reading,
        max_bad_fraction=max_bad_fraction,
        workers=workers,
        progress=progress,
        beam_pipeline_options=beam_pipeline_options,
    )
    if not build.index_file.exists():
        _run_build(build, folder)
    return build.open()


def _run_build(build: "_Build", folder: Path) -> None:
    """Builds in the data set's folder; of a full disk, one message and nothing left."""
    try:
        with building(folder) as scratch:
            # Another process may have built it while this one waited.
            if not build.index_file.exists():
                build.run(scratch)
    except UserError:
        raise
    except Exception as error:
        told = files.as_user_error(error, build.version_dir)
        if told is error:
            raise
        remove_store(folder)  # Nothing to keep on a full disk.
        raise told from error
    finally:
        _remove_if_empty(folder)


def data_fingerprint(card: DatasetCard) -> str:
    """The fingerprint that `prepare` gives this data set; builds and opens nothing."""
    reading = read_card(card)
    return _fingerprint(card, reading.examples, reading.problems)


@dataclasses.dataclass(frozen=True)
class _Build:
    """One call of `prepare`: what it was asked for, and where its result belongs."""

    card: DatasetCard
    fingerprint: str
    version_dir: Path
    reading: Reading
    max_bad_fraction: float | None
    workers: int
    progress: bool
    beam_pipeline_options: Sequence[str] | None

    @property
    def index_file(self) -> Path:
        return self.version_dir / INDEX

    @property
    def folder(self) -> Path:
        return self.version_dir.parents[1]

    @property
    def problems_file(self) -> Path:
        return self.folder / f"problems-{self.fingerprint}.csv"

    def open(self) -> PreparedDataset:
        index = read_index(self.version_dir)
        left_out = problem_tables.read_table(self.version_dir / "left_out.csv")
        allowed = self.max_bad_fraction
        gone = left_out["images"].astype(int).sum()
        total = problem_tables.count_losses(self.card, self.reading, ()).total
        if allowed is not None and gone > allowed * total:
            raise UserError(
                f"{gone} of {total} images of data set "
                f"{self.card.name!r} were left out when it was built, more than "
                f"--max_bad_fraction={allowed:g} allows; they are listed in "
                f"{self.version_dir / 'left_out.csv'}"
            )
        return PreparedDataset(
            card=self.card,
            path=self.version_dir,
            fingerprint=self.fingerprint,
            index=index,
            left_out=left_out,
            excluded=self.reading.left_out_counts(),
            remarks=self.reading.remarks,
        )

    def run(self, scratch: Path) -> None:
        """Builds in `scratch` and moves the result to its place, whole."""
        card = self.card
        kept, contradicting = separate(card, self.reading.examples)
        bad = [*self.reading.problems, *contradicting]
        gaps = find_gaps(card, kept, self.reading)
        if gaps or not self._allows(bad):
            bad += shards.check_images(
                card, kept, self.workers, self.progress, self.folder
            )
            raise self._error(bad, gaps)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from transfusion_tf.datasets import tfds_metadata

        folder = scratch / self.version_dir.name
        folder.mkdir()
        plan = shards.plan_shards(card, kept)
        places = self._write_shards(plan, folder)
        unreadable = shards.unreadable_images(card, kept, plan, places)
        lost = {problem.example_id for problem in unreadable}
        bad += unreadable
        whole = [e for e in kept if e.example_id not in lost]
        gaps = find_gaps(card, whole, self.reading)
        if gaps or not self._allows(bad):
            raise self._error(bad, gaps)
        index = shards.make_index(card, plan, places)
        config = self.version_dir.parent.name
        tfds_metadata.write_tfds_metadata(card, plan, index, folder, config)
        index.to_parquet(folder / INDEX, index=False)
        if bad:
            table = problem_table(bad, card.labels.named)
            problem_tables.write_table(table, folder / "left_out.csv")
        write_contents(folder, [shard.file for shard in plan])
        if not self.index_file.exists():
            # What a version without its index is: cut off while it was built.
            shutil.rmtree(self.version_dir, ignore_errors=True)
        publish(folder, self.version_dir)
        self.problems_file.unlink(missing_ok=True)
        forget_jpegs(self.folder)

    def _write_shards(
        self, plan: Sequence[shards.Shard], folder: Path
    ) -> list[list[shards.Place]]:
        if self.beam_pipeline_options is None:
            return shards.write_shards(
                self.card, plan, folder, self.workers, self.progress, self.folder
            )
        return beam_shards.write_shards_on_beam(
            self.card, plan, folder, self.beam_pipeline_options
        )

    def _allows(self, bad: Sequence[Problem]) -> bool:
        if not self.max_bad_fraction:
            return not bad
        losses = problem_tables.count_losses(self.card, self.reading, bad)
        return losses.images <= self.max_bad_fraction * losses.total

    def _error(self, bad: Sequence[Problem], gaps: Sequence[Problem]) -> DatasetError:
        every = [*bad, *gaps]
        table = problem_table(every, self.card.labels.named)
        problem_tables.write_table(table, self.problems_file)
        losses = problem_tables.count_losses(self.card, self.reading, bad)
        hint = [
            f"note: {remark.where}: {remark.reason}" for remark in self.reading.remarks
        ]
        hint += losses.lines() if bad else []
        if bad and not gaps:
            share = _rounded_up(losses.images / max(1, losses.total))
            hint.append(
                f"Mend them, or leave them out with --max_bad_fraction={share:g}"
            )
        return DatasetError(self.card, every, self.problems_file, "\n".join(hint))


def _rounded_up(share: float) -> float:
    """A number with few digits that is not below the share."""
    return float(np.clip(np.ceil(share * 1000) / 1000, 0.001, 0.99))


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _fingerprint(
    card: DatasetCard, examples: Sequence[Example], unread: Sequence[Problem]
) -> str:
    digest = hashlib.sha256()
    labels = dataclasses.asdict(card.labels)
    # What it says is in the rows' labels.
    del labels["if_none"]
    what = {
        "format": _FORMAT,
        "decoding": DECODING,
        "name": card.name,
        "labels": labels | {"auxiliary": card.labels.auxiliary},
        "splits": dataclasses.asdict(card.splits),
        "size": card.stored_size,
        "aspect": card.aspect,
    }
    digest.update(json.dumps(what, sort_keys=True).encode())
    # Sorted, so that the same rows in another order are the same data set.
    for example in sorted(examples, key=lambda e: e.example_id):
        row = (example.example_id, example.patient_id, example.labels, example.split)
        digest.update(f"{row}{example.image.fingerprint()}".encode())
    # They are listed beside the data, so that a list is never out of date.
    for place, reason in sorted((p.where, p.reason) for p in unread):
        digest.update(f"{place}: {reason}".encode())
    return digest.hexdigest()[:12]
