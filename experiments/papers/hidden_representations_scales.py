"""The sizes at which the hidden-representations paper's studies are run.

The kind of study whose options differ: `similarity`, which compares representations.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from transfusion_tf_experiments.papers.hidden_representations_sources import (
    CODE,
    SOURCES,
)
from transfusion_tf_experiments.papers.protocol import not_in_paper
from transfusion_tf_experiments.papers.scale import Policy, Scale, Task

if TYPE_CHECKING:
    from transfusion_tf.training import RunConfig

# The natural donor, and the medical one, at the scale `paper`. RadImageNet's weights
# are fed as the paper's code feeds them; `radimagenet` is as their makers do.
IMAGENET, RADIMAGENET = "imagenet", "radimagenet_caffe"

# Section 4.3: five-fold cross-validation.
_FOLDS = 5
# Section 4.2: at most 200 epochs.
_EPOCHS = 200
# Of the head alone; the authors' code ends it at two epochs without a better validation
# accuracy.
_HEAD_EPOCHS = 10
# Table 1: card, images, pixels.
_TARGETS = {
    "chest": ("chest_kermany", 5_856, 112),
    "breast": ("breast_busi_780", 780, 224),
    "thyroid": ("thyroid_ddti_480", 480, 224),
    "mammograms": ("cbis_ddsm_rows", 3_568, 224),
    "knee": ("knee_mrnet_3class", 5_222, 112),
    "pcam-small": ("pcam_small_paper", 10_000, 96),
    "isic": ("isic2018", 10_015, 112),
}
# Section 4.2: the AUC of each class against all others, weighted by class priors.
_EXCLUSIVE_CLASSES = {"metric": "prior_weighted_auc", "head": "softmax"}


def paper() -> Scale:
    """The paper's own sizes and hyperparameters (table 1, section 4.2).

    About 3 days on one GPU. ResNet50, average pooling, dropout 0.5, Adam at 1e-5,
    batches of 32 at 224 px and of 128 below, at most 200 epochs, stopped after 3
    without a lower validation loss.

    What the paper leaves open: the head alone is trained for 10 epochs at 1e-3; its
    loss is softmax cross-entropy where classes exclude one another; images are not
    augmented, for none is named and none is cropped. By default weights are chosen on a
    validation part held out of the training folds; `--fold_protocol=paper` chooses them
    on the test fold, as the paper does. An epoch is of the training images that a fold
    then has.
    """
    return Scale(
        name="paper",
        tasks={name: _target(*of_table_1) for name, of_table_1 in _TARGETS.items()},
        models={"all": ("resnet50",)},
        seeds=1,
        # The code rounds 10 000 / (h · w) to a number of images, from one up.
        options={
            "similarity": {
                "points": 10_000,
                "equal_points": False,
                "channels": 64,
                "repeats": 5,
            }
        },
        donors=(IMAGENET, RADIMAGENET),
        folds=_FOLDS,
        one_own_task=True,
        notes=(
            "RadImageNet’s weights are fed as in the paper’s code; their makers divide "
            "the pixels by 255: --donors=imagenet,radimagenet.",
            "Folds keep images of a patient together and, on ISIC, those of a lesion, "
            "which the paper’s do not know.",
        ),
        sources=SOURCES,
        default_source=not_in_paper(),
    )


def published_code() -> Scale:
    """The scale `paper` with what the authors' code does and the paper does not say.

    Images are turned by up to 10 degrees, shifted and zoomed by up to a tenth, and, but
    for chest radiographs, mirrored. Weights are chosen by the fold that is tested, and
    networks are compared on its images. The head alone is trained until two epochs pass
    without a better validation accuracy, at most 200. Networks are compared as they
    were saved: the weights of the least validation loss, batch norm's own statistics.
    Softmax over two classes stands for the code's one sigmoid: it is the same function.
    """
    tasks = {}
    for name, of_table_1 in _TARGETS.items():
        task = _target(*of_table_1, share=0.8).with_changes(
            {
                "fold_protocol": "paper",
                "head_early_stopping": 2,
                "augmentation": _augmentation(mirrored=name != "chest"),
            }
        )
        tasks[name] = dataclasses.replace(task, head_steps=task.base.steps)
    scale = paper()
    as_saved = {"trained_weights": "best", "batch_norm_statistics": "stored"}
    return dataclasses.replace(
        scale,
        name="published_code",
        tasks=tasks,
        options={"similarity": {**scale.options["similarity"], **as_saved}},
        sources={**SOURCES, **CODE},
    )


def small() -> Scale:
    """Drawn data at 64 px, five folds: about 25 minutes on two CPU cores.

    CBR-Tiny stands in for ResNet50, which learns nothing from random weights in so few
    steps. The natural donor is trained on crops of photographs, the medical one on
    drawn chest radiographs of other patients, both for 600 steps; the targets are
    drawn fundus photographs and skin lesions, in colour, which the medical donor has
    not seen the like of, and drawn chest radiographs, which it has. The rate is 1e-3:
    at the paper's 1e-5 nothing moves in 150 steps.
    """
    return Scale(
        name="small",
        tasks={
            "retina": _drawn("phantom_retina_64", **_EXCLUSIVE_CLASSES),
            "skin": _drawn("phantom_skin_64", **_EXCLUSIVE_CLASSES),
            "chest": _drawn("phantom_chest_64", metric="mean_auc"),
        },
        models={"all": ("cbr_tiny",)},
        seeds=1,
        options={"similarity": {"points": 2_000, "channels": 64, "repeats": 3}},
        donors=("photographs", "phantom_chest_donor"),
        folds=_FOLDS,
        one_own_task=True,
        notes=(
            "CBR-Tiny, at 64 px and for 150 steps, stands in for ResNet50.",
            "The medical donor was trained on drawn radiographs as those of the chest "
            "target are, of other patients.",
        ),
    )


def smoke() -> Scale:
    """A few steps on a few drawings: that every study runs, not what it finds."""
    drawn = _drawn("phantom_retina_few", **_EXCLUSIVE_CLASSES)
    smaller = {
        "image_size": 32,
        "batch_size": 4,
        "steps": 2,
        "eval_every": 2,
        "donor_steps": None,
    }
    task = dataclasses.replace(drawn.with_changes(smaller), head_steps=1)
    return Scale(
        name="smoke",
        tasks={"retina": task},
        models={"all": ("cbr_tiny",)},
        seeds=1,
        options={"similarity": {"points": 200, "channels": 16, "repeats": 2}},
        donors=("photographs_few", "phantom_chest_donor_few"),
        folds=2,
        one_own_task=True,
        notes=("CBR-Tiny, for two steps, stands in for ResNet50.",),
    )


SCALES = {
    "paper": paper,
    "published_code": published_code,
    "small": small,
    "smoke": smoke,
}


def _augmentation(*, mirrored: bool) -> Policy:
    """The code's ImageDataGenerator: edges are filled with the nearest pixel."""
    filled = {"fill_mode": "nearest"}
    layers = (
        {"name": "keras.layers.RandomRotation", "factor": 10 / 360, **filled},
        {
            "name": "keras.layers.RandomTranslation",
            "height_factor": 0.1,
            "width_factor": 0.1,
            **filled,
        },
        {
            "name": "keras.layers.RandomZoom",
            "height_factor": 0.1,
            "width_factor": 0.1,
            **filled,
        },
    )
    return _policy(flip_horizontal=mirrored, layers=layers)


def _policy(**fields: Any) -> Policy:
    """An augmentation of these alone, whatever the card says."""
    from transfusion_tf.datasets import Augmentation

    return Policy(dataclasses.asdict(Augmentation(**fields)))


def _target(dataset: str, images: int, size: int, share: float = 0.7) -> Task:
    """One of the paper's targets.

    Args:
      dataset: the card.
      images: number of images, for the length of an epoch until the fold is known.
      size: height and width of an image, pixels.
      share: of the images, that a fold is trained on.
    """
    from transfusion_tf.training import RunConfig

    batch = 32 if size == 224 else 128
    # A run counts by the images of its fold.
    epoch = -(-round(share * images) // batch)
    base = RunConfig(
        dataset=dataset,
        model="resnet50",
        image_size=size,
        # Section 4.1: "using interpolation without image cropping".
        aspect="stretch",
        batch_size=batch,
        steps=_EPOCHS * epoch,
        eval_every=epoch,
        steps_per_epoch=epoch,
        early_stopping=3,
        early_stopping_metric="loss",
        optimizer="adam",
        learning_rate=1e-5,
        dropout=0.5,
    )
    fields = {**_EXCLUSIVE_CLASSES, "augmentation": _policy()}
    return _task(base, _HEAD_EPOCHS * epoch, **fields)


def _drawn(dataset: str, **fields: Any) -> Task:
    """A drawn target at 64 px; `fields` of `RunConfig` belong to its labels."""
    from transfusion_tf.training import RunConfig

    base = RunConfig(
        dataset=dataset,
        model="cbr_tiny",
        image_size=64,
        batch_size=8,
        steps=150,
        eval_every=50,
        early_stopping=3,
        early_stopping_metric="loss",
        optimizer="adam",
        learning_rate=1e-3,
        dropout=0.5,
        donor_steps=600,
    )
    return _task(base, head_steps=50, **fields)


def _task(base: RunConfig, head_steps: int, **fields: Any) -> Task:
    """A target whose metric and head a user's own data set does not take over."""
    overrides = {("dataset", base.dataset): fields}
    return Task(base, overrides, head_steps=head_steps)
