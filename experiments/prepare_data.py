"""Prepares data sets: transfusion-data VERB [CARD]

  transfusion-data list            the cards that come with the package
  transfusion-data prepare CARD    checks every image, writes TFRecord shards
  transfusion-data show CARD       counts by split, and a picture of each class

CARD is the name of a card or the path of a dataset.toml.
"""

from collections.abc import Sequence

from absl import flags

from transfusion_tf_experiments.flags import (
    FLAGS,
    data_root,
    define_location_flags,
    start,
)

define_location_flags()
flags.DEFINE_integer("image_size", None, "Height and width; else the card's.")
flags.DEFINE_integer("workers", -1, "Processes that decode; -1 is one a core.")

_VERBS = ("list", "prepare", "show")


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError

    verb, *names = arguments or ("",)
    if verb not in _VERBS or len(names) != (verb != "list"):
        raise UserError(
            "usage: transfusion-data list | prepare CARD | show CARD; see --help"
        )
    if verb == "list":
        _list()
    else:
        _prepare(names[0], show=verb == "show")


def _list() -> None:
    from transfusion_tf.datasets import card_names, load_card

    for name in card_names():
        print(f"{name:24s} {load_card(name).title}")


def _prepare(name: str, show: bool) -> None:
    from transfusion_tf.datasets import load_card, prepare

    card = load_card(name)
    if FLAGS.image_size:
        card = card.replace(image_size=FLAGS.image_size)
    prepared = prepare(card, data_root(), workers=FLAGS.workers)
    for split, counts in prepared.counts().items():
        by_class = ", ".join(f"{k} {v}" for k, v in counts["classes"].items())
        print(
            f"{split:10s} {counts['images']:6d} images of {counts['patients']} "
            f"patients: {by_class}"
        )
    print(prepared.path)
    if show:
        from transfusion_tf.report.figures import write_sample_sheet
        from transfusion_tf.training.artifacts import sample_images

        samples = sample_images(prepared)
        picture = prepared.path / "samples.png"
        write_sample_sheet(picture, classes=card.labels.classes, **samples)
        print(picture)


def main() -> None:
    """Entry point of `transfusion-data`."""
    start(_main, __doc__ or "")


if __name__ == "__main__":
    main()
