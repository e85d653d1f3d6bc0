"""Lists of named images, as authors of a paper publish the folds they trained on."""

import dataclasses
from pathlib import PurePosixPath

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import is_helper
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Problem
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class ListedImage:
    """An image that the lists name.

    Attributes:
      name: file and folder, `acl/0448_sagittal_11.000000.png`.
      labels: one value a class.
      where: list and row, for messages.
    """

    name: str
    labels: tuple[float, ...]
    where: str


def read_fold_lists(
    card: DatasetCard, places: check.Places
) -> tuple[list[ListedImage], list[Problem]]:
    """All images that `*_fold*.csv` name, each once, whichever folds they are in.

    Args:
      card: says what the column `class` means.
      places: folders of the lists below the data's, the first that exists is taken.
        Their columns are `path`, of another machine, and `class`.

    Raises:
      UserError: no such folder, no list in it, or a column is missing.
    """
    folder = check.require(card, "lists", card.data_folder(), places)
    files = [f for f in sorted(folder.glob("*_fold*.csv")) if not is_helper(f.name)]
    if not files:
        raise UserError(
            f"{card.path}: key 'reader.lists': no list *_fold*.csv in {folder}\n\n"
            f"{card.layout()}"
        )
    found: dict[str, ListedImage] = {}
    problems: list[Problem] = []
    for file in files:
        table = read_table(file, encoding=None)
        table.require_columns(("path", "class"), "the reader")
        problems += table.problems
        for where, row in table.rows:
            name = "/".join(PurePosixPath(row["path"]).parts[-2:])
            try:
                listed = ListedImage(name, one_label(card, row["class"]), where)
                first = found.setdefault(name, listed)
                if first.labels != listed.labels:
                    raise UserError(f"{name!r} is of another class at {first.where}")
            except UserError as error:
                problems.append(Problem(where, str(error)))
    return list(found.values()), problems
