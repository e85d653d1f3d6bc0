"""What a dataset card says, as frozen data classes: a field a key of the TOML."""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.folder_files import on_disk
from transfusion_tf.datasets.names import as_number, normalized
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import (
    TABLE,
    Count,
    Number,
    Text,
    Texts,
    WrongKey,
    rule,
)

SPLITS = ("train", "validation", "test")
_MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, config=TABLE)
class Labels:
    """What is predicted."""

    kind: Literal["grade", "class", "findings"]
    """Ordered and exclusive; exclusive; or any number in one image."""
    classes: Annotated[
        Texts,
        rule(
            "names that differ",
            lambda names: len(set(map(normalized, names))) == len(names),
        ),
        WithJsonSchema({"expected": "a list of class names, or a file of them"}),
    ]
    """Names, in the order of the model's outputs."""
    referable_from: StrictInt | None = None
    """For grades, the first class that counts as referable disease (Transfusion's
    "grade 3 and up" counts from 1: here it is 2)."""
    count_from: Literal[0, 1] | None = None
    """Numbers in the data count the classes, from 0 or from 1. Without it a number is
    a class only where that is the class's name."""
    blank: Literal["error", "negative", "ignore", "leave_out"] = "error"
    """What a blank cell among findings means; ignore: no loss and no metric for it. For
    one label an image: leave_out."""
    uncertain: Literal["error", "zeros", "ones", "ignore", "multiclass"] = "error"
    """What -1 among findings means (CheXpert, section 4): absent; present; no loss and
    no metric; or an output of its own, see `auxiliary`."""
    if_none: str | None = None
    """The finding that counts as present where no other is, whatever its own column
    says (feature reuse's code makes CheXpert's "No Finding" so)."""
    values: Mapping[str, str] = Field(default_factory=dict)
    """What stands in the data, to the class that it means (for findings, to "0", "1",
    "-1" or ""); with it, nothing else is accepted."""
    head: Literal["sigmoid", "softmax"] = "sigmoid"
    """One yes or no a class (Transfusion, appendix A), or, for exclusive classes, as
    ImageNet models are trained."""

    @property
    def named(self) -> tuple[str, ...]:
        """The classes without the auxiliary ones: those that the data name."""
        return self.classes[: len(self.classes) - len(self.auxiliary)]

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """The last half of the classes where `uncertain` is `multiclass`, else none.

        One output more a finding, for "uncertain". The finding's own output learns
        from certain rows only, and so is its AUC: together they are the three-way
        choice of U-MultiClass written as sigmoids, P(uncertain) and P(present |
        certain). Rows that the card's shares draw for validation or test have no
        auxiliary label, so that no metric counts these outputs.
        """
        count = len(self.classes) // 2 if self.uncertain == "multiclass" else 0
        return self.classes[len(self.classes) - count :]

    def with_auxiliary(self) -> "Labels":
        """As a card's file has them, to as the model's outputs have them."""
        if self.uncertain != "multiclass":
            return self
        auxiliary = tuple(f"{name} uncertain" for name in self.classes)
        return dataclasses.replace(self, classes=self.classes + auxiliary)

    @model_validator(mode="after")
    def _fit_each_other(self) -> "Labels":
        findings = self.kind == "findings"
        if not findings and len(self.classes) < 2:
            raise WrongKey("classes", "at least two classes")
        if self.kind != "grade" and self.referable_from is not None:
            raise WrongKey("referable_from", "absent unless kind = 'grade'")
        last = len(self.classes) - 1
        if self.kind == "grade" and not 0 < (self.referable_from or 0) <= last:
            raise WrongKey(
                "referable_from",
                f"a grade from 1 to {last} (the first referable one, counting from "
                f"0), got {self.referable_from}",
            )
        fitting = (
            ("error", "negative", "ignore") if findings else ("error", "leave_out")
        )
        if self.blank not in fitting:
            raise WrongKey(
                "blank",
                f"one of {', '.join(fitting)} for kind = {self.kind!r}, got "
                f"{self.blank!r}",
            )
        if self.count_from is not None and any(
            as_number(name) is not None for name in self.classes
        ):
            raise WrongKey(
                "count_from", "absent where names of classes are numbers themselves"
            )
        if not findings and self.uncertain != "error":
            raise WrongKey("uncertain", "absent unless kind = 'findings'")
        if self.if_none is not None and not (findings and self.if_none in self.named):
            raise WrongKey("if_none", "one of the classes, for kind = 'findings'")
        if findings and self.head != "sigmoid":
            raise WrongKey("head", "'sigmoid': several findings may be present")
        valid = ("0", "1", "-1", "") if findings else self.classes
        for cell, meaning in self.values.items():
            if meaning not in valid:
                listed = ", ".join(map(repr, valid))
                raise WrongKey(f"values.{cell}", f"one of {listed}, got {meaning!r}")
        return self


@dataclass(frozen=True, kw_only=True, config=TABLE)
class Splits:
    """Shares of the patients, drawn by a hash of (seed, patient id)."""

    train: Annotated[Number, Field(ge=0)] = 0.7
    """A share, of the patients whose split the data do not say; so are the next two."""
    validation: Annotated[Number, Field(ge=0)] = 0.15
    test: Annotated[Number, Field(ge=0)] = 0.15
    seed: StrictInt = 0
    """Of the draw."""
    conflict: Literal["error", "train", "validation", "test"] = "error"
    """Where the data put one patient into two splits: the split that all images of such
    a patient go to."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Splits":
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train, validation and test as shares that sum to 1")
        return self


_Change = Annotated[Number, Field(ge=0, le=0.99)]
_Area = Annotated[Number, Field(gt=0, le=2)]
_Share = Annotated[Number, Field(ge=0, le=1)]
_Layer = Annotated[
    Mapping[str, Any],
    rule(
        'a table such as {name = "keras.layers.RandomRotation", factor = 0.05}',
        lambda layer: isinstance(layer.get("name"), str),
    ),
]


@dataclass(frozen=True, kw_only=True, config=TABLE)
class Augmentation:
    """What training does to an image after it was read."""

    policy: Literal["none", "retina", "chest", "photographs"] = "none"
    """The name that the other values start from."""
    crop: StrictBool = False
    """Mild random crop: as `random_crop` of 1.05."""
    flip_horizontal: StrictBool = False
    """Mirror one image in two."""
    flip_vertical: StrictBool = False
    """Mirror one image in two."""
    hue: Annotated[Number, Field(ge=0, le=0.5)] = 0.0
    """Largest hue rotation, as a share of the full circle."""
    contrast: _Change = 0.0
    """Largest relative change of contrast."""
    color_space: Literal["yiq", "hsv", "torchvision"] = "yiq"
    """How colours are changed. Hue as a rotation in YIQ is one affine map an image,
    fast. Slower, to the letter of others' code, `tf.image`'s operations (hue and
    saturation in HSV) or those of torchvision's ColorJitter, in an order of each
    image's own."""
    layers: tuple[_Layer, ...] = ()
    """Layers by name, applied to the batch on the device."""
    random_crop: Annotated[Number, Field(ge=1, le=2)] = 1.0
    """Side of the stored image, as a multiple of the input's: training takes a random
    window of the input's size, evaluation the centre. 256 / 224 is the feature-reuse
    paper's, 1 crops nothing."""
    resized_crop: tuple[_Area, _Area] = (1.0, 1.0)
    """Least and largest area of a random window, as a share of the stored image's; its
    sides are 3 : 4 to 4 : 3, and it is resized to the input's size (torchvision's
    RandomResizedCrop). ImageNet's usual one is [0.08, 1.0]; [1.0, 1.0] does none."""
    grayscale: _Share = 0.0
    """Share of the images that lose their colour; what is left is their luma, in all
    three channels."""
    brightness: _Change = 0.0
    """Largest relative change of brightness."""
    saturation: _Change = 0.0
    """Largest relative change of saturation."""
    color_share: _Share = 1.0
    """Share of the images whose hue, contrast, brightness and saturation are
    changed."""

    @property
    def resizes(self) -> bool:
        """Whether it resamples a window of another size."""
        return self.resized_crop != (1.0, 1.0)

    @property
    def margin(self) -> float:
        """Side of the stored image as a multiple of the input's."""
        return max(1.05 if self.crop else 1.0, self.random_crop)


AUGMENTATIONS = {
    "none": Augmentation(),
    # Transfusion, appendix A: mild random crop, hue, contrast; flips on RETINA only.
    "retina": Augmentation(
        policy="retina",
        crop=True,
        flip_horizontal=True,
        flip_vertical=True,
        hue=0.02,
        contrast=0.2,
    ),
    "chest": Augmentation(policy="chest", crop=True, hue=0.02, contrast=0.2),
    "photographs": Augmentation(
        policy="photographs", crop=True, flip_horizontal=True, hue=0.05, contrast=0.3
    ),
}


@dataclass(frozen=True, kw_only=True, config=TABLE)
class Training:
    """How long and with what this data set is trained unless flags say otherwise."""

    optimizer: Text = "adam"
    learning_rate: Annotated[Number, Field(gt=0)] = 0.001
    schedule: Text = "constant"
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    batch_size: Count = 8
    steps: Count = 2000
    eval_every: Count = 200


@dataclass(frozen=True, kw_only=True, config=TABLE)
class Download:
    """Where the one file of a data set is published."""

    url: Text
    file: Text
    """Its name in the data's folder."""
    md5: Annotated[str, rule("32 hexadecimal digits", _MD5.fullmatch)]
    """As its authors publish it."""


_Intensity = Annotated[
    Literal["error", "minmax"] | tuple[StrictFloat, StrictFloat],
    rule("[low, high] with low < high", lambda v: isinstance(v, str) or v[0] < v[1]),
    WithJsonSchema({"expected": "'error', 'minmax' or [low, high]"}),
]


def _has_kind(reader: Mapping[str, Any]) -> Mapping[str, Any]:
    # The reader checks its own options: see transfusion_tf.datasets.readers.
    if not isinstance(reader.get("kind"), str):
        raise WrongKey("kind", "the name of a reader, such as 'csv'")
    return reader


@dataclass(frozen=True, kw_only=True, config=TABLE)
class DatasetCard:
    """A validated `dataset.toml`.

    Attributes:
      path: the TOML file; relative paths in it start from its folder.
    """

    path: Path
    name: Annotated[str, rule("letters, digits and underscores", str.isidentifier)]
    """Folders are named after it."""
    title: str
    """One line for people."""
    image_size: Annotated[StrictInt, Field(ge=32, le=4096)]
    """Height and width of the model's input, in pixels."""
    reader: Annotated[Mapping[str, Any], AfterValidator(_has_kind)]
    """`kind` and the options of that reader."""
    labels: Labels
    splits: Splits = Splits()
    augmentation: Augmentation = AUGMENTATIONS["none"]
    training: Training = Training()
    metric: str
    """What the best weights are chosen by and the report compares."""
    aspect: Literal["pad", "crop", "stretch"] = "pad"
    """How an image that isn't square becomes square: `pad` with black, `crop` its
    centre, or `stretch`."""
    intensity: _Intensity = "error"
    """How more than 8 bits become 8; two values become 0 and 255."""
    note: str = ""
    """A sentence that the report prints of the data."""
    folder: str = "."
    """That the data lie in: relative to the card's own, `$NAME` standing for an
    environment variable; see `data_folder`."""
    preprocessing: Literal["none", "graham"] = "none"
    """What is done to an image before it is made square, see
    `transfusion_tf.datasets.preprocessing`."""
    choices: tuple[str, ...] = ()
    """A sentence for each choice that the card makes."""
    population: Mapping[str, Count] = Field(default_factory=dict)
    """Images of each class, in all splits, that the data are known to have: where
    others are found, the reading remarks on it."""

    download: Download | None = None
    """Where its file is published."""

    def data_folder(self) -> Path:
        """The folder that the data lie in.

        Raises:
          UserError: it is not there; says where it should be, what should be in it,
            and how to try the card on its sample.
        """
        expanded = os.path.expandvars(self.folder)
        unset = re.search(r"\$\{?(\w+)", expanded)
        path = self.path.parent / Path(expanded).expanduser()
        found = on_disk(path) if unset is None else None
        if found is not None and found.is_dir():
            return found
        if unset is not None:
            what = f"the environment variable {unset[1]} is not set"
            inside = Path(self.folder).name
            where = f"Set {unset[1]} to the folder that holds {inside}/"
        else:
            what = f"there is no folder {path}"
            where = f"Create {path}"
        if self.download is not None:
            raise UserError(f"no data for {self.name!r}: {what}. {self.how_to_get()}")
        if not self.layout():
            raise UserError(f"{self.path}: no data: {what} (key 'folder')")
        raise UserError(
            f"no data for {self.name!r}: {what}. {where}, or name the data's own "
            "folder as the source (--source=FOLDER). To try the card on its tiny "
            f"drawn sample: --source=sample.\n\n{self.layout()}"
        )

    def how_to_get(self) -> str:
        """What to do for the published file to be there; empty where there is none."""
        if self.download is None:
            return ""
        place = f"{self.folder}/{self.download.file}"
        return (
            f"Put the file at {place}, or name its folder (--source=FOLDER); it is "
            f"published at {self.download.url} (MD5 {self.download.md5}). With a "
            "network, transfusion-data download fetches it"
        )

    def layout(self) -> str:
        """How to get the data and how they should lie: the README's beginning."""
        readme = self.path.parent / "README.md"
        if not readme.is_file():
            return ""
        lines = readme.read_text(encoding="utf-8").splitlines()
        fences = [i for i, line in enumerate(lines) if line.startswith("```")]
        end = fences[1] if len(fences) > 1 else len(lines)
        return "\n".join(lines[: end + 1])

    @property
    def stored_size(self) -> int:
        """Side of the stored images: above the input's, so crops resample nothing."""
        return round(self.augmentation.margin * self.image_size)

    def replace(self, **changes: Any) -> "DatasetCard":
        """A copy with some fields changed.

        Raises:
          UserError: a value that no card may have.
        """
        try:
            return dataclasses.replace(self, **changes)
        except ValidationError as error:
            wrong = error.errors()[0]
            key = ".".join(map(str, wrong["loc"]))
            raise UserError(f"{key} = {wrong['input']}: {wrong['msg']}") from None
