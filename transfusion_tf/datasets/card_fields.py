"""What a dataset card says, as frozen data classes."""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transfusion_tf.errors import UserError

LABEL_KINDS = ("grade", "class", "findings")
ASPECTS = ("pad", "crop", "stretch")
POLICIES = ("none", "retina", "chest", "photographs")
COLOR_SPACES = ("yiq", "hsv")
BLANKS = ("error", "negative", "ignore")
UNCERTAIN = ("error", "zeros", "ones", "ignore", "multiclass")
HEADS = ("sigmoid", "softmax")
PREPROCESSING = ("none", "graham")
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
      uncertain: what -1 among findings means (CheXpert, section 4): `error`;
        `zeros` and `ones`, absent and present; `ignore`, no loss and no metric; or
        `multiclass`, see `auxiliary`.
      values: what stands in the data, to the class that it means; with it, nothing
        else is accepted. For findings, to "0", "1", "-1" or "".
      auxiliary: the last of the classes where `uncertain` is `multiclass`: one
        output more a finding, for "uncertain". The finding's own output learns from
        certain rows only, and so is its AUC: together they are the three-way choice
        of U-MultiClass written as sigmoids, P(uncertain) and P(present | certain).
        Rows that the card's shares draw for validation or test have no auxiliary
        label, so that no metric counts these outputs.
      head: `sigmoid`, one yes or no a class (Transfusion, appendix A), or, for
        exclusive classes, `softmax`, as ImageNet models are trained.
    """

    kind: str
    classes: tuple[str, ...]
    referable_from: int | None = None
    blank: str = "error"
    uncertain: str = "error"
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    auxiliary: tuple[str, ...] = ()
    head: str = "sigmoid"

    @property
    def named(self) -> tuple[str, ...]:
        """The classes without the auxiliary ones: those that the data name."""
        return self.classes[: len(self.classes) - len(self.auxiliary)]


@dataclasses.dataclass(frozen=True)
class Splits:
    """Shares of the patients, drawn by a hash of (seed, patient id).

    Attributes:
      train, validation, test: shares of those whose split the data do not say.
      seed: of the draw.
      conflict: where the data put one patient into two splits: `error`, or the
        split that all images of such a patient go to.
    """

    train: float = 0.7
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0
    conflict: str = "error"


# Least and largest values of fields of `Augmentation`.
AUGMENTATION_RANGES = (
    ("hue", 0, 0.5),
    ("contrast", 0, 0.99),
    ("random_crop", 1, 2),
    ("grayscale", 0, 1),
    ("brightness", 0, 0.99),
    ("saturation", 0, 0.99),
    ("color_share", 0, 1),
)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What training does to an image after it was read.

    Attributes:
      policy: the name that the other values start from.
      crop: mild random crop: as `random_crop` of 1.05.
      random_crop: side of the stored image, as a multiple of the input's, in [1, 2];
        training takes a random window of the input's size, evaluation the centre.
        256 / 224 is the feature-reuse paper's, 1 crops nothing.
      flip_horizontal, flip_vertical: mirror one image in two.
      hue: largest hue rotation, as a share of the full circle, in [0, 0.5].
      contrast: largest relative change of contrast, in [0, 1).
      grayscale: share of the images that lose their colour, in [0, 1]; what is left
        is their luma, in all three channels.
      brightness, saturation: largest relative change of theirs, in [0, 1).
      color_share: share of the images whose hue, contrast, brightness and saturation
        are changed, in [0, 1].
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
    random_crop: float = 1.0
    grayscale: float = 0.0
    brightness: float = 0.0
    saturation: float = 0.0
    color_share: float = 1.0

    def __post_init__(self) -> None:
        for name, lowest, highest in AUGMENTATION_RANGES:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise UserError(
                    f"augmentation.{name} should be {lowest} to {highest}, got {value}"
                )

    @property
    def margin(self) -> float:
        """Side of the stored image as a multiple of the input's."""
        return max(1.05 if self.crop else 1.0, self.random_crop)


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
      source: the folder that the data lie in, as text: relative to the card's own
        folder, `$NAME` standing for an environment variable. See `data_folder`.
      preprocessing: what is done to an image before it is made square: `none` or
        `graham` (see `transfusion_tf.datasets.preprocessing`).
      choices: a sentence for each choice that the card makes, for the report.
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
    source: str = "."
    preprocessing: str = "none"
    choices: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that the card lies in."""
        return self.path.parent

    def data_folder(self) -> Path:
        """The folder that the data lie in.

        Raises:
          UserError: it is not there; says where it should be, what should be in it,
            and how to try the card on its sample.
        """
        expanded = os.path.expandvars(self.source)
        unset = re.search(r"\$\{?(\w+)", expanded)
        path = self.folder / Path(expanded).expanduser()
        if unset is None and path.is_dir():
            return path
        if unset is not None:
            what = f"the environment variable {unset[1]} is not set"
            inside = Path(self.source).name
            where = f"Set {unset[1]} to the folder that holds {inside}/"
        else:
            what = f"there is no folder {path}"
            where = f"Create {path}"
        if not self.layout():
            raise UserError(f"{self.path}: no data: {what} (key 'folder')")
        raise UserError(
            f"no data for {self.name!r}: {what}. {where}, or name the data's own "
            "folder as the source (--source=FOLDER). To try the card on its tiny "
            f"drawn sample: --source=sample.\n\n{self.layout()}"
        )

    def layout(self) -> str:
        """How to get the data and how they should lie: the README's beginning."""
        readme = self.folder / "README.md"
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
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def describe_choices(
    labels: Labels,
    splits: Splits,
    intensity: str | tuple[float, float] = "error",
    preprocessing: str = "none",
) -> tuple[str, ...]:
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
    sentences = [uncertain.get(labels.uncertain), blank.get(labels.blank)]
    if splits.conflict != "error":
        sentences.append(
            "A patient whom the data put into two splits goes whole to "
            f"{splits.conflict}."
        )
    if isinstance(intensity, tuple) and intensity != (0, 255):
        low, high = intensity
        sentences.append(
            f"Images of more than 8 bits: {low:g} becomes 0 and {high:g} becomes 255."
        )
    elif intensity == "minmax":
        sentences.append(
            "Images of more than 8 bits are stretched, each from its smallest to its "
            "largest value."
        )
    if preprocessing == "graham":
        sentences.append(
            "Fundus photographs are cropped to the eye and their local mean colour is "
            "subtracted."
        )
    return tuple(sentence for sentence in sentences if sentence)
