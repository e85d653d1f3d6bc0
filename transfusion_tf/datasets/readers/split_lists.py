"""Published lists of splits: text files that name their images, one a line."""

from collections.abc import Mapping
from pathlib import Path

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.names import normalized
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.errors import UserError


def read_split_lists(
    card: DatasetCard, lists: Mapping[str, check.SplitName], root: Path
) -> dict[str, str | None]:
    """The split of each image that the lists name; None for one that is to be drawn.

    Args:
      card: whose option `reader.split_lists` this is.
      lists: the files, below `root`, to the split of what they name.
      root: the folder of the data.

    Raises:
      UserError: a list is missing or can't be read, or two name one image.
    """
    found: dict[str, str | None] = {}
    first: dict[str, str] = {}
    for name, split in lists.items():
        file = check.require(card, "split_lists", root, name)
        try:
            lines = normalized(file.read_text(encoding="utf-8-sig")).splitlines()
        except (OSError, UnicodeError) as error:
            raise UserError(f"{file} can't be read as a list: {error}") from None
        for image in filter(None, map(str.strip, lines)):
            if first.setdefault(image, name) != name:
                raise UserError(f"{first[image]} and {name} both name {image!r}")
            found[image] = check.fixed_split(split)
    return found
