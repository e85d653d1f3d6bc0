"""Prepares data sets: transfusion-data VERB [CARD]

  transfusion-data list            the cards that come with the package
  transfusion-data download CARD   fetches the data, where their authors let anyone
  transfusion-data init FOLDER     drafts a dataset.toml for a folder, CSV or .npz file
  transfusion-data audit CARD      copies, leaks, faults, balance: a page and tables
  transfusion-data prepare CARD    checks every image, writes TFRecord shards
  transfusion-data show CARD       counts by split, and a picture of each class

CARD is the name of a card or the path of a dataset.toml.
"""

import shlex
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from transfusion_tf_experiments.flags import (
    FLAGS,
    check_locations,
    data_root,
    define_field_flags,
    define_location_flags,
)
from transfusion_tf_experiments.process import import_tensorflow, start

if TYPE_CHECKING:
    from transfusion_tf.datasets import DatasetCard, PreparedDataset
    from transfusion_tf.datasets.audit import Audit

# Pairs that are named in the terminal.
_COPIES = 20

define_location_flags()
define_field_flags("source", "image_size")
flags.DEFINE_integer("workers", -1, "Processes that decode; -1 is one a core.")
flags.DEFINE_float(
    "max_bad_fraction",
    None,
    "Share of the images that may be left out because they can't be used, such as "
    "0.02; without it, one stops the building.",
)
flags.DEFINE_list(
    "beam_pipeline_options",
    None,
    "Builds on Apache Beam with these options of its own, comma-separated, such as "
    "runner=FlinkRunner,flink_master=host:8081; runner=DirectRunner is the local one.",
)
flags.DEFINE_bool("show_images", True, "Whether pages and pictures show images.")

_USAGE = (
    "usage: transfusion-data list | download CARD | init FOLDER | audit CARD | "
    "prepare CARD | show CARD; see --help"
)


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError, closest

    verb, *names = arguments or ("",)
    if verb == "list" and not names:
        _list()
    elif verb in _VERBS and len(names) == 1:
        _VERBS[verb](names[0])
    else:
        raise UserError(_USAGE + closest(verb, ["list", *_VERBS]))


def _list() -> None:
    from transfusion_tf.datasets import card_names, load_card
    from transfusion_tf.datasets.card_families import family_cards

    also = {
        first: f"; also {', '.join(card.removeprefix(first) for card in larger)}"
        for first, *larger in family_cards().values()
    }
    for name in card_names():
        if name in also or "/" not in name:
            print(f"{name:24s} {load_card(name).title}{also.get(name, '')}")


def _download(name: str) -> None:
    from transfusion_tf.datasets.download import download

    print(download(_card(name)))
    print("Its MD5 is the published one.")


def _init(source: str) -> None:
    from transfusion_tf.datasets import load_card
    from transfusion_tf.datasets.draft_card import write_draft_card
    from transfusion_tf.datasets.problems import count_losses
    from transfusion_tf.datasets.readers import read_card

    path = write_draft_card(source)
    print(path.read_text(encoding="utf-8"))
    card = load_card(path)
    reading = read_card(card)
    images = len({example.image for example in reading.examples})
    print(f"It reads {images} images; {len(reading.problems)} rows can't be used.")
    for problem in reading.problems[:5]:
        print(f"  {problem.where}: {problem.reason}")
    if reading.problems:
        print("\n".join(count_losses(card, reading, reading.problems).lines()))
    for remark in reading.remarks:
        print(f"note: {remark.where}: {remark.reason}")
    print(
        f"A draft: correct it, then run transfusion-data audit {shlex.quote(str(path))}"
    )


def _audit(name: str) -> None:
    import pandas as pd

    from transfusion_tf.datasets.audit import audit
    from transfusion_tf.datasets.card import SPLITS
    from transfusion_tf.report.audit_page import checks, write_audit

    card = _card(name)
    check_locations("data_root")
    found = audit(card, data_root(), workers=FLAGS.workers)
    folder = Path(data_root()) / card.name / "audit"
    page = write_audit(found, folder, show_images=FLAGS.show_images)
    for check in checks(found):
        print(f"{check.name:36s} {check.word:>7s}")
        if check.text:
            print(
                textwrap.fill(
                    check.text, 78, initial_indent="  ", subsequent_indent="  "
                )
            )
    _print_copies(found)
    if len(found.absent):
        print(found.classes()[["class", *SPLITS]].to_string(index=False))
    if found.losses.images:
        print("\n".join(found.losses.lines()))
    for gap in pd.concat([found.gaps, found.absent]).to_dict("records"):
        print(f"{gap['file']}: {gap['reason']}")
    for remark in found.remarks:
        print(f"note: {remark.where}: {remark.reason}")
    print(page)


def _print_copies(found: "Audit") -> None:
    """The files of copies in several splits; the tables have all."""
    across = found.copies[found.copies["across_splits"].astype(bool)]
    lines = [
        "; ".join(f"{row['file']} ({row['split']})" for _, row in group.iterrows())
        + ": same pixels"
        for _, group in across.groupby("group")
    ]
    near = found.near[found.near["across_splits"].astype(bool)]
    lines += [
        f"{row['file_1']} ({row['split_1']}); {row['file_2']} ({row['split_2']}): "
        f"{row['change']}"
        for _, row in near.iterrows()
    ]
    print("\n".join(lines[:_COPIES]), end="\n" if lines else "")
    if len(lines) > _COPIES:
        print(f"and {len(lines) - _COPIES} more such copies, in copies.csv and")
        print("near_copies.csv beside the page")


def _prepare(name: str) -> None:
    _print_counts(_prepared(name))


def _show(name: str) -> None:
    prepared = _prepared(name)
    _print_counts(prepared)
    if not FLAGS.show_images:
        return
    from transfusion_tf.report.sample_images import samples_by_class, samples_figure
    from transfusion_tf.report.style import encode
    from transfusion_tf.training.dataset_summary import sample_images

    picked = sample_images(prepared)
    classes = prepared.card.labels.classes
    samples = samples_by_class(picked["images"], picked["labels"], classes)
    picture = prepared.path / "samples.png"
    picture.write_bytes(encode(samples_figure(samples), "png"))
    print(picture)


def _card(name: str) -> "DatasetCard":
    from transfusion_tf.datasets import load_card

    card = load_card(name, source=FLAGS.source)
    if FLAGS.image_size is not None:
        card = card.replace(image_size=FLAGS.image_size)
    return card


def _prepared(name: str) -> "PreparedDataset":
    from transfusion_tf.datasets import prepare

    card = _card(name)
    check_locations("data_root")
    import_tensorflow()
    options = FLAGS.beam_pipeline_options
    if options is not None:
        options = [f"--{option.lstrip('-')}" for option in options if option]
    return prepare(
        card,
        data_root(),
        workers=FLAGS.workers,
        max_bad_fraction=FLAGS.max_bad_fraction,
        beam_pipeline_options=options,
    )


def _print_counts(prepared: "PreparedDataset") -> None:
    from transfusion_tf.datasets.validation import absent_classes

    found = prepared.counts()
    classes = {
        name: {split: counts["classes"].get(name, 0) for split, counts in found.items()}
        for name in prepared.card.labels.named
    }
    sizes = {split: counts["images"] for split, counts in found.items()}
    patients = {split: counts["patients"] for split, counts in found.items()}
    rows = {**classes, "all images": sizes, "patients": patients}
    width = max(map(len, rows))
    print(" " * width + "".join(f"{split:>12s}" for split in found))
    for name, numbers in rows.items():
        print(f"{name:{width}s}" + "".join(f"{numbers[s]:12d}" for s in found))
    for gap in absent_classes(classes, sizes):
        print(f"note: {gap.where}: {gap.reason}")
    for reason, number in prepared.excluded.items():
        print(f"{number} rows that the card leaves out: {reason}")
    for remark in prepared.remarks:
        print(f"note: {remark.where}: {remark.reason}")
    if len(prepared.left_out):
        _print_left_out(prepared, classes)
    print(prepared.path)


def _print_left_out(
    prepared: "PreparedDataset", kept: Mapping[str, Mapping[str, int]]
) -> None:
    table = prepared.left_out
    lost = table["images"].astype(int)
    print(
        f"{lost.sum()} images could not be used and were left out ({len(table)} rows):"
    )
    for kind, number in prepared.left_out_counts().items():
        print(f"  {number:6d}  {kind}")
    print("of these, by class:")
    for classes, number in lost.groupby(table["classes"]).sum().items():
        of = sum(kept.get(str(classes), {}).values()) + number
        print(
            f"  {number:6d} of {of} {classes}" if classes else f"  {number:6d} unknown"
        )
    print(prepared.path / "left_out.csv")


_VERBS: dict[str, Callable[[str], None]] = {
    "download": _download,
    "init": _init,
    "audit": _audit,
    "prepare": _prepare,
    "show": _show,
}


def main() -> None:
    """Entry point of `transfusion-data`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
