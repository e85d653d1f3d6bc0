"""Dataset cards: everything that sets one data set apart, in one TOML file."""

import dataclasses
import difflib
import importlib.resources
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transfusion_tf.errors import UserError

LABEL_KINDS = ("grade", "class", "findings")
ASPECTS = ("pad", "crop", "stretch")
POLICIES = ("none", "retina", "chest", "photographs")
COLOR_SPACES = ("yiq", "hsv")
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Labels:
    """What is predicted.

    Attributes:
      kind: `grade` (ordered, exclusive), `class` (exclusive) or `findings`
        (any number of them in one image).
      classes: names, in the order of the model's outputs.
      referable_from: for grades, the first class that counts as referable
        disease (Transfusion's "grade 3 and up" counts from 1: here it is 2).
      blank: what a blank cell among findings means: `error`, `negative`, or
        `ignore` (no loss and no metric for it).
    """

    kind: str
    classes: tuple[str, ...]
    referable_from: int | None = None
    blank: str = "error"


@dataclasses.dataclass(frozen=True)
class Splits:
    """Shares of the patients, drawn by a hash of (seed, patient id)."""

    train: float = 0.7
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What training does to an image after it was read.

    Attributes:
      policy: the name that the other values start from.
      crop: random crop of the stored image to the input size (images are stored
        about 5 % larger), else its centre.
      flip_horizontal, flip_vertical: mirror one image in two.
      hue: largest hue rotation, as a share of the full circle, in [0, 0.5].
      contrast: largest relative change of contrast, in [0, 1).
      color_space: `yiq` (a rotation in YIQ: one affine map an image, fast) or
        `hsv` (tf.image's own hue, the papers' operation to the letter, slow).
      layers: augmentation layers by name, applied to the batch on the device:
        `{"name": "keras.layers.RandomRotation", "factor": 0.05}`.
    """

    policy: str = "none"
    crop: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False
    hue: float = 0.0
    contrast: float = 0.0
    color_space: str = "yiq"
    layers: tuple[Mapping[str, Any], ...] = ()


AUGMENTATIONS = {
    "none": Augmentation(),
    # Transfusion, appendix A: mild random crop, hue, contrast; flips on RETINA only.
    "retina": Augmentation("retina", True, True, True, hue=0.02, contrast=0.2),
    "chest": Augmentation("chest", True, False, False, hue=0.02, contrast=0.2),
    "photographs": Augmentation(
        "photographs", True, True, False, hue=0.05, contrast=0.3
    ),
}


@dataclasses.dataclass(frozen=True)
class Training:
    """How long and with what this data set is trained unless flags say otherwise."""

    optimizer: str = "adam"
    learning_rate: float = 0.001
    schedule: str = "constant"
    batch_size: int = 8
    steps: int = 2000
    eval_every: int = 200


@dataclasses.dataclass(frozen=True)
class DatasetCard:
    """A validated `dataset.toml`.

    Attributes:
      name: letters, digits and underscores; folders are named after it.
      title: one line for people.
      path: the TOML file; relative paths in it start from its folder.
      image_size: height and width of the model's input, in pixels.
      reader: `kind` and the options of that reader.
      aspect: how an image that isn't square becomes square: `pad` with black,
        `crop` its centre, or `stretch`.
      intensity: how more than 8 bits become 8: `error`, `minmax`, or the two
        values that become 0 and 255.
      metric: what the best weights are chosen by and the report compares.
      note: one sentence that the report prints about the data.
    """

    name: str
    title: str
    path: Path
    image_size: int
    reader: Mapping[str, Any]
    labels: Labels
    splits: Splits
    augmentation: Augmentation
    training: Training
    metric: str
    aspect: str = "pad"
    intensity: str | tuple[float, float] = "error"
    note: str = ""

    @property
    def folder(self) -> Path:
        """The folder that the card lies in."""
        return self.path.parent

    @property
    def stored_size(self) -> int:
        """Side of the stored images: 5 % above the input, so crops resample nothing."""
        return (
            round(1.05 * self.image_size)
            if self.augmentation.crop
            else (self.image_size)
        )

    def replace(self, **changes: Any) -> "DatasetCard":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def load_card(name_or_path: str | Path) -> DatasetCard:
    """Loads and checks a dataset card.

    Args:
      name_or_path: the name of a card that comes with the package (see
        `card_names`), a `dataset.toml`, or a folder that holds one.

    Returns:
      The card, with defaults filled in.

    Raises:
      UserError: no such card, not valid TOML, or a key that is missing, unknown,
        of the wrong type or out of range: the message names file and key and
        says what would be right.
    """
    path = _find(str(name_or_path))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from error
    return _Parser(path).card(values)


def card_names() -> tuple[str, ...]:
    """Names of the cards that come with the package."""
    root = Path(str(importlib.resources.files("transfusion_tf_data")))
    return tuple(sorted(path.parent.name for path in root.glob("*/dataset.toml")))


def _find(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir() and (path / "dataset.toml").is_file():
        return (path / "dataset.toml").absolute()
    if path.is_file():
        return path.absolute()
    root = Path(str(importlib.resources.files("transfusion_tf_data")))
    if (root / name / "dataset.toml").is_file() and "/" not in name:
        return root / name / "dataset.toml"
    if "/" in name or name.endswith(".toml"):
        raise UserError(f"no dataset card at {path}: no such file")
    close = difflib.get_close_matches(name, card_names(), 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UserError(
        f"unknown data set {name!r}{hint} Valid: {', '.join(card_names())}, or the "
        "path of a dataset.toml"
    )


_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "whole number": (int,),
    "number": (int, float),
    "true or false": (bool,),
    "list": (list,),
    "table": (dict,),
}


class _Parser:
    """Turns TOML values into a card; every error names the file and the key."""

    def __init__(self, path: Path):
        self._path = path

    def card(self, values: dict[str, Any]) -> DatasetCard:
        top = self._table(
            values,
            "",
            required={
                "name": "text",
                "title": "text",
                "image_size": "whole number",
                "reader": "table",
                "labels": "table",
            },
            optional={
                "splits": "table",
                "augmentation": "table",
                "training": "table",
                "metric": "text",
                "aspect": "text",
                "note": "text",
            }
            | (
                {"intensity": "text"}
                if isinstance(values.get("intensity"), str)
                else {"intensity": "list"}
            ),
        )
        if not top["name"].isidentifier():
            self._fail("name", f"letters, digits and underscores, got {top['name']!r}")
        if not 32 <= top["image_size"] <= 4096:
            self._fail("image_size", f"32 to 4096 pixels, got {top['image_size']}")
        aspect = self._choice(top, "aspect", ASPECTS, "pad")
        labels = self._labels(top["labels"])
        return DatasetCard(
            name=top["name"],
            title=top["title"],
            path=self._path,
            image_size=top["image_size"],
            reader=self._reader(top["reader"]),
            labels=labels,
            splits=self._splits(top.get("splits", {})),
            augmentation=self._augmentation(top.get("augmentation", {})),
            training=self._training(top.get("training", {})),
            metric=top.get(
                "metric", "referable_auc" if labels.kind == "grade" else "mean_auc"
            ),
            aspect=aspect,
            intensity=self._intensity(top.get("intensity", "error")),
            note=top.get("note", ""),
        )

    def _reader(self, values: dict[str, Any]) -> dict[str, Any]:
        # The reader checks its own options: see transfusion_tf.datasets.readers.
        if not isinstance(values.get("kind"), str):
            self._fail("reader.kind", "the name of a reader, such as 'csv'")
        return values

    def _labels(self, values: dict[str, Any]) -> Labels:
        table = self._table(
            values,
            "labels.",
            required={"kind": "text", "classes": "list"},
            optional={"referable_from": "whole number", "blank": "text"},
        )
        kind = self._choice(table, "kind", LABEL_KINDS, None, "labels.")
        classes = tuple(table["classes"])
        if not classes or not all(isinstance(name, str) and name for name in classes):
            self._fail("labels.classes", "a list of class names in quotes")
        if len(set(classes)) != len(classes):
            self._fail("labels.classes", "names that differ from each other")
        if kind != "findings" and len(classes) < 2:
            self._fail("labels.classes", "at least two classes")
        referable = table.get("referable_from")
        if kind == "grade":
            referable = 2 if referable is None else referable
            if not 0 < referable < len(classes):
                self._fail(
                    "labels.referable_from",
                    f"a grade from 1 to {len(classes) - 1} (the first referable one, "
                    f"counting from 0), got {referable}",
                )
        elif referable is not None:
            self._fail("labels.referable_from", "absent unless kind = 'grade'")
        blank = self._choice(
            table, "blank", ("error", "negative", "ignore"), "error", "labels."
        )
        return Labels(kind, classes, referable, blank)

    def _splits(self, values: dict[str, Any]) -> Splits:
        table = self._table(
            values,
            "splits.",
            optional={name: "number" for name in SPLITS} | {"seed": "whole number"},
        )
        splits = Splits(**table)
        shares = [splits.train, splits.validation, splits.test]
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            self._fail(
                "splits",
                f"train, validation and test as shares that sum to 1, got {shares}",
            )
        return splits

    def _augmentation(self, values: dict[str, Any]) -> Augmentation:
        table = self._table(
            values,
            "augmentation.",
            optional={
                "policy": "text",
                "crop": "true or false",
                "flip_horizontal": "true or false",
                "flip_vertical": "true or false",
                "hue": "number",
                "contrast": "number",
                "color_space": "text",
                "layers": "list",
            },
        )
        policy = self._choice(table, "policy", POLICIES, "none", "augmentation.")
        self._choice(table, "color_space", COLOR_SPACES, "yiq", "augmentation.")
        for key, upper in (("hue", 0.5), ("contrast", 0.99)):
            if not 0 <= table.get(key, 0) <= upper:
                self._fail(f"augmentation.{key}", f"0 to {upper}, got {table[key]}")
        layers = table.get("layers", [])
        for layer in layers:
            if not isinstance(layer, dict) or not isinstance(layer.get("name"), str):
                self._fail(
                    "augmentation.layers",
                    'tables such as {name = "keras.layers.RandomRotation", '
                    "factor = 0.05}",
                )
        table["layers"] = tuple(layers)
        table["policy"] = policy
        return dataclasses.replace(AUGMENTATIONS[policy], **table)

    def _training(self, values: dict[str, Any]) -> Training:
        table = self._table(
            values,
            "training.",
            optional={
                "optimizer": "text",
                "learning_rate": "number",
                "schedule": "text",
                "batch_size": "whole number",
                "steps": "whole number",
                "eval_every": "whole number",
            },
        )
        return Training(**table)

    def _intensity(self, value: Any) -> str | tuple[float, float]:
        if value in ("error", "minmax"):
            return value
        numbers = isinstance(value, list) and len(value) == 2
        if not numbers or not all(isinstance(v, int | float) for v in value):
            self._fail("intensity", "'error', 'minmax' or [low, high]")
        if not value[0] < value[1]:
            self._fail("intensity", f"[low, high] with low < high, got {value}")
        return (float(value[0]), float(value[1]))

    def _choice(
        self,
        table: Mapping[str, Any],
        key: str,
        valid: tuple[str, ...],
        default: str | None,
        prefix: str = "",
    ) -> str:
        value = table.get(key, default)
        if value not in valid:
            self._fail(prefix + key, f"one of {', '.join(valid)}, got {value!r}")
        return value

    def _table(
        self,
        values: Mapping[str, Any],
        prefix: str,
        required: Mapping[str, str] | None = None,
        optional: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        kinds = {**(required or {}), **(optional or {})}
        for key, value in values.items():
            if key not in kinds:
                close = difflib.get_close_matches(key, kinds, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise UserError(
                    f"{self._path}: unknown key '{prefix}{key}'; {hint}"
                    f"valid: {', '.join(kinds)}"
                )
            allowed = _TYPES[kinds[key]]
            is_bool = isinstance(value, bool)
            if not isinstance(value, allowed) or (is_bool and bool not in allowed):
                self._fail(prefix + key, f"{kinds[key]}, got {value!r}")
        for key, kind in (required or {}).items():
            if key not in values:
                raise UserError(
                    f"{self._path}: key '{prefix}{key}' is missing; it should be {kind}"
                )
        return dict(values)

    def _fail(self, key: str, right: str) -> None:
        raise UserError(f"{self._path}: key '{key}' should be {right}")


def check_options(
    card: DatasetCard,
    options: Mapping[str, Callable[[Any], bool]],
    required: tuple[str, ...],
) -> dict[str, Any]:
    """The reader's options without `kind`, each checked by its predicate.

    Raises:
      UserError: an option is missing, unknown or fails its check.
    """
    given = {key: value for key, value in card.reader.items() if key != "kind"}
    kind = card.reader["kind"]
    for key in required:
        if key not in given:
            raise UserError(
                f"{card.path}: key 'reader.{key}' is missing; "
                f"the {kind} reader needs it"
            )
    for key, value in given.items():
        if key not in options:
            close = difflib.get_close_matches(key, options, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(
                f"{card.path}: unknown key 'reader.{key}'; {hint}the {kind} reader "
                f"takes {', '.join(options)}"
            )
        if not options[key](value):
            raise UserError(f"{card.path}: key 'reader.{key}' is not valid: {value!r}")
    return given
