"""TOML values -> a checked dataset card; every complaint names file and key."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.card_fields import (
    ASPECTS,
    AUGMENTATION_RANGES,
    AUGMENTATIONS,
    BLANKS,
    COLOR_SPACES,
    HEADS,
    LABEL_KINDS,
    POLICIES,
    PREPROCESSING,
    SPLITS,
    UNCERTAIN,
    Augmentation,
    DatasetCard,
    Labels,
    Splits,
    Training,
    describe_choices,
)
from transfusion_tf.errors import UserError

_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "whole number": (int,),
    "number": (int, float),
    "true or false": (bool,),
    "list": (list,),
    "table": (dict,),
}


class CardParser:
    """Turns TOML values into a card; every error names the file and the key."""

    def __init__(self, path: Path):
        self._path = path

    def card(self, values: dict[str, Any]) -> DatasetCard:
        """The whole card. Raises UserError for the first key that is not right."""
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
                "folder": "text",
                "preprocessing": "text",
                "choices": "list",
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
        source = top.get("folder", ".")
        labels = self._labels(top["labels"], source)
        splits = self._splits(top.get("splits", {}))
        intensity = self._intensity(top.get("intensity", "error"))
        preprocessing = self._choice(top, "preprocessing", PREPROCESSING, "none")
        choices = top.get("choices", [])
        if not all(isinstance(sentence, str) for sentence in choices):
            self._fail("choices", "a list of sentences")
        return DatasetCard(
            name=top["name"],
            title=top["title"],
            path=self._path,
            image_size=top["image_size"],
            reader=self._reader(top["reader"]),
            labels=labels,
            splits=splits,
            augmentation=self._augmentation(top.get("augmentation", {})),
            training=self._training(top.get("training", {})),
            metric=top.get(
                "metric", "referable_auc" if labels.kind == "grade" else "mean_auc"
            ),
            aspect=aspect,
            intensity=intensity,
            note=top.get("note", ""),
            source=source,
            preprocessing=preprocessing,
            choices=(
                *choices,
                *describe_choices(labels, splits, intensity, preprocessing),
            ),
        )

    def _reader(self, values: dict[str, Any]) -> dict[str, Any]:
        # The reader checks its own options: see transfusion_tf.datasets.readers.
        if not isinstance(values.get("kind"), str):
            self._fail("reader.kind", "the name of a reader, such as 'csv'")
        return values

    def _labels(self, values: dict[str, Any], source: str) -> Labels:
        in_file = isinstance(values.get("classes"), str)
        table = self._table(
            values,
            "labels.",
            required={"kind": "text", "classes": "text" if in_file else "list"},
            optional={
                "referable_from": "whole number",
                "blank": "text",
                "uncertain": "text",
                "values": "table",
                "head": "text",
            },
        )
        kind = self._choice(table, "kind", LABEL_KINDS, None, "labels.")
        if in_file:
            table["classes"] = self._classes_in(table["classes"], source)
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
        blank = self._choice(table, "blank", BLANKS, "error", "labels.")
        uncertain = self._choice(table, "uncertain", UNCERTAIN, "error", "labels.")
        if kind != "findings" and uncertain != "error":
            self._fail("labels.uncertain", "absent unless kind = 'findings'")
        head = self._choice(table, "head", HEADS, "sigmoid", "labels.")
        if kind == "findings" and head != "sigmoid":
            self._fail("labels.head", "'sigmoid': several findings may be present")
        auxiliary: tuple[str, ...] = ()
        if uncertain == "multiclass":
            auxiliary = tuple(f"{name} uncertain" for name in classes)
        return Labels(
            kind,
            classes + auxiliary,
            referable,
            blank,
            uncertain,
            self._values(table.get("values", {}), kind, classes),
            auxiliary,
            head,
        )

    def _values(
        self, values: dict[str, Any], kind: str, classes: tuple[str, ...]
    ) -> dict[str, str]:
        valid = ("0", "1", "-1", "") if kind == "findings" else classes
        for cell, meaning in values.items():
            if meaning not in valid:
                self._fail(
                    f"labels.values.{cell}",
                    f"one of {', '.join(map(repr, valid))}, got {meaning!r}",
                )
        return values

    def _classes_in(self, name: str, source: str) -> list[str]:
        """A class a line, from a file beside the data (a sample's own) or the card."""
        folder = self._path.parent
        for file in (folder / source / Path(name).name, folder / name):
            if file.is_file():
                return file.read_text(encoding="utf-8").split()
        self._fail("labels.classes", f"a list, or a file of class names; no {name}")
        raise AssertionError

    def _splits(self, values: dict[str, Any]) -> Splits:
        table = self._table(
            values,
            "splits.",
            optional={name: "number" for name in SPLITS}
            | {"seed": "whole number", "conflict": "text"},
        )
        self._choice(table, "conflict", ("error", *SPLITS), "error", "splits.")
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
                "random_crop": "number",
                "grayscale": "number",
                "brightness": "number",
                "saturation": "number",
                "color_share": "number",
            },
        )
        policy = self._choice(table, "policy", POLICIES, "none", "augmentation.")
        self._choice(table, "color_space", COLOR_SPACES, "yiq", "augmentation.")
        for key, lower, upper in AUGMENTATION_RANGES:
            if not lower <= table.get(key, lower) <= upper:
                self._fail(
                    f"augmentation.{key}", f"{lower} to {upper}, got {table[key]}"
                )
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
