"""The tasks of the feature-reuse studies: data sets, and how models are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transfusion_tf_experiments.papers.scale import Policy, Task

if TYPE_CHECKING:
    from transfusion_tf.training import RunConfig


# Steps of one pass over the training images, 64 a step.
EPOCHS = {"aptos": 40, "ddsm": 33, "isic": 317, "chexpert": 2_793, "camelyon": 4_096}


def tasks_of(
    configs: Mapping[str, RunConfig],
    overrides: Mapping[tuple[str, str], Mapping[str, Any]],
    random_rate: float,
) -> dict[str, Task]:
    """A task of each config, all with the same overrides."""
    return {
        name: Task(config, overrides, random_rate) for name, config in configs.items()
    }


def paper_tasks() -> dict[str, Task]:
    """The paper's five tasks, and one of them at a constant rate for figure 8."""
    from transfusion_tf.training import RunConfig

    base = RunConfig(
        dataset="aptos2019",
        model="deit_s",
        donor="imagenet",
        image_size=224,
        aspect="stretch",
        batch_size=64,
        optimizer="adam",
        learning_rate=1e-4,
        warmup_steps=1_000,
        schedule="plateau",
        plateau_patience=5,
        minimum_learning_rate=1e-6,
        head="softmax",
        augmentation=augmentation(grayscale=0.0),
        steps=10_000,
        eval_every=20,
    )
    chexpert = base.replace(
        dataset="chexpert_14_by_patient", steps=140_000, eval_every=1_396, head=None
    )
    ten_epochs = chexpert.replace(
        schedule="constant", warmup_steps=0, steps=27_930, eval_every=279
    )
    configs = {
        "aptos": base,
        "ddsm": base.replace(dataset="cbis_ddsm", steps=6_500, eval_every=16),
        "ddsm masses": base.replace(
            dataset="cbis_ddsm_masses", steps=6_500, eval_every=16
        ),
        "isic": base.replace(dataset="isic2019", steps=40_000, eval_every=158),
        "chexpert": chexpert,
        "camelyon": base.replace(
            dataset="patch_camelyon", steps=200_000, eval_every=2_048
        ),
        "chexpert at a constant rate": ten_epochs,
    }
    adamw = {"optimizer": "adamw", "weight_decay": 0.01}
    transformers = ("deit_ti", "deit_s", "deit_b", "swin_t")
    overrides: dict[tuple[str, str], Mapping[str, Any]] = {
        ("model", name): adamw for name in transformers
    }
    # PyTorch's batch norm keeps nine tenths a step.
    cnns = {"kernel_initializer": "he_normal", "batch_norm_momentum": 0.9}
    for name in ("inception_v3", "resnet18", "resnet50", "resnet152"):
        overrides["model", name] = cnns
    # torchvision's Inception-v3 has it before its last layer.
    overrides["model", "inception_v3"] = {**cnns, "dropout": 0.5}
    return tasks_of(configs, overrides, random_rate=3.0)


def small_tasks() -> dict[str, Task]:
    """Three domains of one size, and the first with few images."""
    base = small_base()
    configs = {
        "skin": base,
        "retina": base.replace(dataset="phantom_retina_64"),
        "chest": base.replace(dataset="phantom_chest_64"),
        "skin_few": base.replace(train_examples=60),
    }
    overrides: dict[tuple[str, str], dict[str, Any]] = {
        ("model", "deit_mini"): {
            "optimizer": "adamw",
            "steps": 130,
            "donor_steps": 1_000,
            "learning_rate": 8e-4,
        },
        ("model", "swin_mini"): {
            "optimizer": "adamw",
            "steps": 160,
            "donor_steps": 1_000,
            "learning_rate": 2e-3,
        },
        ("optimizer", "adamw"): {"weight_decay": 0.01},
    }
    return tasks_of(configs, overrides, random_rate=2.0)


def small_base() -> RunConfig:
    """What all runs on drawn data share."""
    from transfusion_tf.training import RunConfig

    return RunConfig(
        dataset="phantom_skin_64",
        model="deit_mini",
        donor="photographs",
        donor_steps=600,
        image_size=64,
        train_examples=480,
        batch_size=16,
        steps=80,
        eval_every=40,
        optimizer="adam",
        learning_rate=5e-4,
        warmup_steps=20,
    )


def augmentation(
    grayscale: float, resized_crop: tuple[float, float] = (1.0, 1.0)
) -> Mapping[str, Any]:
    """Crops of 224 px out of 256, flips both ways, colours as ColorJitter's."""
    from transfusion_tf.datasets import Augmentation

    return Policy(
        dataclasses.asdict(
            Augmentation(
                random_crop=256 / 224,
                flip_horizontal=True,
                flip_vertical=True,
                brightness=0.2,
                contrast=0.2,
                saturation=0.1,
                hue=0.1,
                color_share=0.2,
                color_space="torchvision",
                grayscale=grayscale,
                resized_crop=resized_crop,
            )
        )
    )
