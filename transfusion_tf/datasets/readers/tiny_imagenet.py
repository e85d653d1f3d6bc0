"""Reader `tiny_imagenet`: class folders for training, a list for validation."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import on_disk
from transfusion_tf.datasets.images import FileImage
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.class_folders import read_class_folders
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, Problem, Rows
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE


@dataclass(frozen=True, kw_only=True, config=TABLE)
class TinyImageNetOptions:
    """Options of the reader `tiny_imagenet`."""

    root: check.Places = ("tiny-imagenet-200", ".")
    """The folder of `train` and `val`."""


def read_tiny_imagenet(card: DatasetCard) -> Rows:
    """Tiny ImageNet as Stanford's CS231N gives it out.

    The card's shares split what is in `train`; `val`, whose classes are in
    `val_annotations.txt`, is the test set. `test` has no labels and is not read.
    """
    options = check.reader_options(card, TinyImageNetOptions)
    root = check.root_folder(card, options.root)
    folders = {
        "kind": "class_folders",
        "folder": str(root / "train"),
        "exclude": ("*_boxes.txt",),
    }
    yield from read_class_folders(card.replace(reader=folders))
    table = check.require(card, "root", root, "val/val_annotations.txt")
    lines = table.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        yield _validation_row(card, table, line, f"{table.name}, row {number}")


def _validation_row(
    card: DatasetCard, table: Path, line: str, where: str
) -> Example | Problem:
    try:
        cells = line.split("\t")
        if len(cells) < 2:
            raise UserError(f"a file and its class, tab between them, not {line!r}")
        name = cells[0]
        labels = one_label(card, cells[1])
        path = on_disk(table.parent / "images" / name)
        if path is None:
            raise UserError(f"no file images/{name}")
        image = FileImage(path, card.intensity)
        return Example(name, name, labels, "test", image, where)
    except UserError as error:
        return Problem(where, str(error))
