"""Dataset cards: everything that sets one data set apart, in one TOML file."""

import dataclasses
import importlib.resources
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.card_families import (
    family_card,
    family_cards,
    is_family_card,
)
from transfusion_tf.datasets.card_fields import (
    AUGMENTATIONS,
    SPLITS,
    Augmentation,
    DatasetCard,
    Labels,
    Splits,
    Training,
)
from transfusion_tf.datasets.names import normalized
from transfusion_tf.errors import UserError, closest
from transfusion_tf.toml_tables import checked, laid_over, read_toml

__all__ = [
    "AUGMENTATIONS",
    "SPLITS",
    "Augmentation",
    "DatasetCard",
    "Labels",
    "Splits",
    "Training",
    "card_names",
    "load_card",
]


def load_card(
    name_or_path: str | Path, source: str | Path | None = None
) -> DatasetCard:
    """Loads and checks a dataset card. Needs no data yet.

    Args:
      name_or_path: the name of a card that comes with the package (see
        `card_names`), a `dataset.toml`, or a folder that holds one.
      source: the folder that the data lie in, instead of the card's key `folder`;
        `sample` is the tiny drawn sample beside the card.

    Returns:
      The card, with defaults filled in.

    Raises:
      UserError: no such card, not valid TOML, or a key that is missing, unknown,
        of the wrong type or out of range: the message names file and key and
        says what would be right. A sample is asked for and there is none.
    """
    path, values = _read(str(name_or_path))
    if source is not None:
        if str(source) == "sample":
            values.pop("population", None)
            values["folder"] = str(_sample(path))
            drawn = "A tiny drawn sample in the layout of the data, not the data."
            values["note"] = f"{drawn} {values.get('note', '')}".strip()
        else:
            values["folder"] = str(Path(source).expanduser().absolute())
    values = _with_defaults(values, path.parent)
    card = checked(DatasetCard, values, path, given={"path": path})
    return card.replace(
        labels=card.labels.with_auxiliary(),
        choices=card.choices + _describe_choices(card),
    )


def _with_defaults(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the card leaves to others of its keys to say, and classes from their file.

    What is not of the right type is left to be complained about.
    """
    labels = values.get("labels")
    if isinstance(labels, dict):
        graded = labels.get("kind") == "grade"
        defaults: dict[str, Any] = {"referable_from": 2} if graded else {}
        if isinstance(labels.get("classes"), str):
            source = folder / str(values.get("folder", "."))
            labels = labels | {
                "classes": _classes_in(labels["classes"], source, folder)
            }
        metric = "referable_auc" if graded else "mean_auc"
        values = {"metric": metric} | values | {"labels": defaults | labels}
    augmentation = values.get("augmentation")
    if isinstance(augmentation, dict):
        policy = AUGMENTATIONS.get(str(augmentation.get("policy")), Augmentation())
        values = values | {"augmentation": dataclasses.asdict(policy) | augmentation}
    return values


def _classes_in(name: str, source: Path, folder: Path) -> Any:
    """A class a line, from a file beside the data (a sample's own) or the card."""
    for file in (source / Path(name).name, folder / name):
        if file.is_file():
            lines = normalized(file.read_text(encoding="utf-8-sig")).splitlines()
            return [line.strip() for line in lines if line.strip()]
    return name


def _read(name: str) -> tuple[Path, dict[str, Any]]:
    """The card's file, and its keys; over the card named by `base`, if it says one."""
    if is_family_card(name):
        return family_card(name)
    path = _find(name)
    values = read_toml(path)
    base = values.pop("base", None)
    if base is None:
        return path, values
    if base not in card_names() or base == path.parent.name:
        raise UserError(
            f"{path}: key 'base' should be another card of the package: "
            f"{_listed_names()}; got {base!r}"
        )
    base_path, below = _read(base)
    classes = below.get("labels", {}).get("classes")
    if isinstance(classes, str):
        # A file beside the card that names it.
        below["labels"]["classes"] = str(base_path.parent / classes)
    return path, laid_over(below, values)


def _sample(path: Path) -> Path:
    """The sample beside a card, or beside the card that it builds on."""
    if (path.parent / "sample").is_dir():
        return path.parent / "sample"
    base = read_toml(path).get("base")
    if base is None or is_family_card(base):
        raise UserError(f"{path}: the card has no sample/ beside it")
    return _sample(_find(base))


def card_names() -> tuple[str, ...]:
    """Names of the cards that come with the package."""
    families = (name for cards in family_cards().values() for name in cards)
    return (*_own_folders(), *families)


def _own_folders() -> tuple[str, ...]:
    root = Path(str(importlib.resources.files("transfusion_tf_data")))
    return tuple(sorted(path.parent.name for path in root.glob("*/dataset.toml")))


def _listed_names() -> str:
    """All cards, those of one set together."""
    sets = (
        f"{first}[{'|'.join(card.removeprefix(first) for card in larger)}]"
        for first, *larger in family_cards().values()
    )
    return ", ".join((*_own_folders(), *sets))


def _find(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir() and (path / "dataset.toml").is_file():
        return (path / "dataset.toml").absolute()
    if path.is_file():
        return path.absolute()
    root = Path(str(importlib.resources.files("transfusion_tf_data")))
    if (root / name / "dataset.toml").is_file() and "/" not in name:
        return root / name / "dataset.toml"
    hint = closest(name, card_names())
    if name.endswith(".toml") or ("/" in name and not hint):
        raise UserError(f"no dataset card at {path}: no such file")
    raise UserError(
        f"unknown data set {name!r}{hint or ';'} valid: {_listed_names()}, or the path "
        "of a dataset.toml"
    )


def _describe_choices(card: DatasetCard) -> tuple[str, ...]:
    """A sentence for each setting that decides what the numbers mean."""
    uncertain = {
        "zeros": "Uncertain labels (-1) count as absent (U-Zeros).",
        "ones": "Uncertain labels (-1) count as present (U-Ones).",
        "ignore": "Uncertain labels (-1) are left out of loss and metric (U-Ignore).",
        "multiclass": (
            "Uncertain labels (-1) train an output of their own a finding; a finding's "
            "AUC is over certain rows (U-MultiClass)."
        ),
    }
    blank = {
        "negative": "Blank labels count as absent.",
        "ignore": "Blank labels are left out of loss and metric.",
    }
    sentences = [uncertain.get(card.labels.uncertain), blank.get(card.labels.blank)]
    if card.labels.if_none is not None:
        sentences.append(f"{card.labels.if_none} is present where no other label is.")
    if card.splits.conflict != "error":
        sentences.append(
            "A patient whom the data put into two splits goes whole to "
            f"{card.splits.conflict}."
        )
    if isinstance(card.intensity, tuple) and card.intensity != (0, 255):
        low, high = card.intensity
        sentences.append(
            f"Images of more than 8 bits: {low:g} becomes 0 and {high:g} becomes 255."
        )
    elif card.intensity == "minmax":
        sentences.append(
            "Images of more than 8 bits are stretched, each from its smallest to its "
            "largest value."
        )
    if card.preprocessing == "graham":
        sentences.append(
            "Fundus photographs are cropped to the eye and their local mean colour is "
            "subtracted."
        )
    return tuple(sentence for sentence in sentences if sentence)
