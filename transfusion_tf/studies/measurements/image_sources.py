"""Images for comparisons, decoded when they are asked for.

Array-likes, uint8 [images, height, width, 3] RGB: `images[[3, 1, 4]]` decodes three.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.datasets.folder_files import files_below
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, padded, read_rgb
from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline.decoding import decode_center
from transfusion_tf.input_pipeline.record_reader import record_reader

_MOST_KEPT_BYTES = 1 << 27

Index = Sequence[int] | np.ndarray | slice


class SplitImages:
    """The images of some splits of prepared data, as evaluation sees them.

    Those of small ones (128 MB decoded) are kept once they are decoded, of larger
    ones only those that were asked for last are in memory.

    Attributes:
      shape: Of all images together.
      description: What they are, for reports.
      key: What tells them from all others that a process may see.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, prepared: PreparedDataset, *splits: str, key: tuple = ()):
        rows = pd.concat([prepared.examples(split) for split in splits])
        # A paper's fold may be both test and validation split.
        rows = rows.drop_duplicates("example_id").reset_index(drop=True)
        card = prepared.card
        self._sizes = (card.stored_size, card.image_size)
        self._read = record_reader(prepared, rows)
        self.shape = (len(rows), card.image_size, card.image_size, 3)
        word = "split" if len(splits) == 1 else "splits"
        named = " and ".join(splits)
        self.description = f"{named} {word} of {card.title or card.name}"
        self._keeps = math.prod(self.shape) <= _MOST_KEPT_BYTES
        self._decoded: dict[int, np.ndarray] = {}
        self.key = key

    @property
    def kept_bytes(self) -> int:
        """What the decoded images may come to that are kept."""
        return math.prod(self.shape) if self._keeps else 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> np.ndarray:
        rows = np.arange(len(self))[index].reshape(-1).tolist()
        images = {row: self._decoded[row] for row in rows if row in self._decoded}
        missing = [row for row in rows if row not in images]
        if missing:
            jpegs = self._read(tf.constant(missing, tf.int64))
            for row, jpeg in zip(missing, jpegs, strict=True):
                images[row] = decode_center(jpeg, *self._sizes).numpy()
        if self._keeps:
            self._decoded |= images
        found = [images[row] for row in rows]
        return np.stack(found) if found else np.zeros((0, *self.shape[1:]), np.uint8)


class FolderImages:
    """The images in a folder and in those below it, in the order of their names.

    Those of another shape are scaled to fit and padded with black.

    Attributes:
      shape: Of all images together.
      description: What they are, for reports.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, folder: str | Path, height: int, width: int):
        """Lists the folder.

        Args:
          folder: Holds images of the kinds that data sets may have.
          height: Height of the images that are handed out, pixels.
          width: Their width.

        Raises:
          UserError: If there is no such folder, or no image in it.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"--images={folder} is no folder")
        self._paths = [
            path
            for path in files_below(folder)
            if path.suffix.lower() in IMAGE_SUFFIXES
        ]
        if not self._paths:
            raise UserError(
                f"--images={folder} holds no images; their names should end in one "
                f"of {', '.join(IMAGE_SUFFIXES)}"
            )
        self.shape = (len(self._paths), height, width, 3)
        self.description = f"images in {folder}"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> np.ndarray:
        rows = np.arange(len(self))[index].reshape(-1)
        images = [self._load(self._paths[row]) for row in rows]
        return np.stack(images) if images else np.zeros((0, *self.shape[1:]), np.uint8)

    def _load(self, path: Path) -> np.ndarray:
        try:
            image = read_rgb(path)
            _, height, width, _ = self.shape
            same = image.shape[:2] == (height, width)
            return image if same else padded(image, height, width)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
