"""The sizes at which the feature-reuse paper's studies are run.

Kinds of study, where their models, tasks or options differ:

- `main`: table 1 and figure 1.
- `transformers`, `cnns`: table 1's models, in rising order of inductive bias.
- `sweep`: going through a network's stages, and what else takes fewer tasks.
- `few`, `many`: tasks of little and of much data.
- `masses`: the other reading of a task of the paper's, in table 1 alone.
- `distant`: tasks of much data, far from the source.
- `alike`: tasks that differ in their domain alone, or in this more than in size.
- `convergence`: figure 8.
- `deit_family`, `resnet_family`: each from the smallest up.
- `truncated`: models cut to their first blocks, beside the whole one.
- `distances`, `sources`: Fréchet distances: in the features of whose donor, where
  donors are pretrained here (published ones are compared in Inception-v3's); donor ->
  the card of the images that a published one was trained on.
- `rates`: the search for learning rates: the grid, the tasks and the steps on each.
- `layers`, `travel`, `robustness`, `neighbours`, `attention`: figures 3 to 6, appendix
  E. Networks are read, and set back, at the modules of the authors' code: of
  transformers the attention and the MLP of each block, before they are added to the
  residual stream ("branch").
"""

from __future__ import annotations

import dataclasses
from typing import Any

from transfusion_tf_experiments.papers.feature_reuse_sources import (
    RANDOM_IN_CODE,
    SOURCES,
)
from transfusion_tf_experiments.papers.feature_reuse_tasks import (
    EPOCHS,
    augmentation,
    paper_tasks,
    small_base,
    small_tasks,
    tasks_of,
)
from transfusion_tf_experiments.papers.protocol import PUBLISHED_CODE, not_in_paper
from transfusion_tf_experiments.papers.scale import Scale

# `inception_names` of the authors' `utils/wtst.py`, "layer-1" to "layer5".
_INCEPTION_GROUPS = (
    "conv1",
    "conv2",
    "conv3",
    "conv4",
    "mixed2",
    "mixed7",
    "mixed10",
)
# Of the authors' code (`knn_t`); the paper names [7], whose vote is weighted.
_VOTE = {"vote": "softmax", "temperature": 0.1}
# The code keeps the best by the validation metric as `state_dict`, and loads these.
_BEST = {"trained_weights": "best"}
_AS_SAVED = {
    "layers": {**_BEST, "batch_norm_statistics": "stored"},
    "travel": _BEST,
    "neighbours": _BEST,
}
_OTHER_DONORS = (
    "Donors are other networks than the paper's: Keras's ResNet50 and ResNet152 take "
    "their stride in a block's first convolution, PyTorch's in its second; KerasHub's "
    "ResNet18, DeiTs and Swin were trained by others than torchvision's and the "
    "authors', and DeiTs with distillation, whose token is left out."
)
_PAPER_TASKS = ("aptos", "ddsm", "isic", "chexpert", "camelyon")


def paper() -> Scale:
    """The paper's own sizes and hyperparameters (section 2, "Training procedure").

    Some months on 8 GPUs. Images are resized to 256 px and cropped to 224; Adam for
    CNNs and AdamW for transformers, batches of 64, rates of 1e-4 and, from random
    weights, 3e-4, 1 000 warm-up steps, a tenth of the rate at each plateau, down to
    1e-6.

    What the paper leaves open: AdamW's weight decay is PyTorch's default, 0.01; the
    validation metric is taken twice an epoch, as in the authors' code, and 5 times
    without a better one are a plateau; `steps` only bounds a run, which ends at a
    plateau with a rate of 1e-6; a fifth of the images have their colours jittered, as
    far as in the authors' code; the loss is softmax cross-entropy where classes exclude
    one another. Splits are the paper's, 80/10/10 and for APTOS 70/15/15, by patient;
    PatchCamelyon's official ones have these shares. CBIS-DDSM keeps its official test
    cases, a fifth, and tells benign from malignant in 3 103 whole mammograms, where the
    paper has 10 239 images and another question: its values are not the paper's.
    """
    return Scale(
        name="paper",
        tasks=paper_tasks(),
        models={
            "transformers": ("deit_s", "swin_t"),
            "cnns": ("inception_v3", "resnet50"),
            "deit_family": ("deit_ti", "deit_s", "deit_b"),
            "resnet_family": ("resnet18", "resnet50", "resnet152"),
            "truncated": tuple(f"deit_s[blocks={blocks}]" for blocks in range(1, 12)),
        },
        seeds=5,
        task_groups={
            "main": _PAPER_TASKS,
            "sweep": _PAPER_TASKS,
            "few": ("aptos", "ddsm", "isic"),
            "many": ("chexpert", "camelyon"),
            "distant": ("chexpert", "camelyon"),
            "masses": ("ddsm masses",),
            "alike": _PAPER_TASKS,
            "convergence": ("chexpert at a constant rate",),
        },
        groups={"inception_v3": _INCEPTION_GROUPS},
        options={
            # More images than features.
            "distances": {"images": 10_000, "features": None},
            "sources": {"imagenet": "imagenet2012"},
            "layers": {"kind": "branch", "images": 2_000},
            "travel": {"kind": "branch"},
            "robustness": {"kind": "branch"},
            "neighbours": {"kind": "branch", "k": 200, **_VOTE},
            "attention": {"images": 512},
            "rates": {
                # The authors' code: `np.linspace(-5, -2, 25)`, 10 to that; 5 epochs.
                "grid": tuple(float(f"{10 ** (n / 8 - 5):.3g}") for n in range(25)),
                "tasks": _PAPER_TASKS,
                "steps": {name: 5 * steps for name, steps in EPOCHS.items()},
            },
        },
        notes=(_OTHER_DONORS,),
        sources=SOURCES,
        default_source=not_in_paper(),
    )


def published_code() -> Scale:
    """The scale `paper` with what the authors' code does and the paper does not say.

    Adam with an l2 penalty of 1e-5 for all models, gradients clipped at a norm of 1, a
    plateau after 4 epochs and no least rate, a fifth of the images turned grey, images
    normalised by the mean and deviation of each data set's own pixels, embeddings left
    pretrained under stats transfer, "No Finding" where CheXpert has no other label,
    and first layers that see one channel of CheXpert and DDSM, with the donor's of red.
    Normalised images come in our donors' units, which for Keras's ResNets and Inception
    are not PyTorch's. Layers are read in the best weights on validation, with the batch
    norm statistics that are stored with them. Random crops have 0.8 to 1.2 of the area
    of 256 px and sides of 3 : 4 to 4 : 3, and are resized to 224 px; where none fits,
    the whole image is.
    """
    scale = paper().with_changes(
        {
            "optimizer": "adam",
            "weight_decay": 1e-5,
            "gradient_clipping": 1.0,
            # The code's 3 epochs, and the one that calls them over, of two validations.
            "plateau_patience": 8,
            "minimum_learning_rate": 0.0,
            # torchvision's RandomResizedCrop(224, scale=[0.8, 1.2]), of 256 px.
            "augmentation": augmentation(grayscale=0.2, resized_crop=(0.8, 1.2)),
            "input_scaling": "dataset_mean_std",
        },
        PUBLISHED_CODE,
    )
    # `img_channels = 1` of the classes CheXpert and DDSM.
    gray: dict[str, Any] = {"one_channel": True}
    labelled = {**gray, "dataset": "chexpert_14_no_finding"}
    changes = {
        "ddsm": gray,
        "ddsm masses": gray,
        "chexpert": labelled,
        "chexpert at a constant rate": labelled,
    }
    tasks = {
        name: task.with_changes(changes.get(name, {}))
        for name, task in scale.tasks.items()
    }
    own = {"dataset", *gray}
    sources = {f"{task}.{name}": PUBLISHED_CODE for task in changes for name in own}
    sources |= dict.fromkeys(_AS_SAVED["layers"], PUBLISHED_CODE)
    sources["kernel_initializer"] = RANDOM_IN_CODE
    return dataclasses.replace(
        scale,
        tasks=tasks,
        options={
            kind: {**options, **_AS_SAVED.get(kind, {})}
            for kind, options in scale.options.items()
        },
        sources={**scale.sources, **sources},
        name="published_code",
        statistics="mean_var[strict_reference]",
    )


def small() -> Scale:
    """Drawn data at 64 px, three seeds: some 45 minutes of one CPU core.

    Small siblings stand for the paper's models: `deit_mini` (6 blocks of 64 channels,
    patches of 8 px) for DeiT-S, `swin_mini` for Swin-T, `cbr_tiny` for the CNNs; half
    of DeiT's blocks stand for less capacity. Donors are pretrained on crops of
    photographs. The domains are drawn skin, retina and chest, with as many training
    images each, and the skin again with few. In the features of CBR-Tiny's donor their
    Fréchet distances to the photographs are 55, 120 and 172. One is swept.

    Rates are constant after the warm-up, for runs are too short for plateaus, and
    figure 8 takes the runs of the others. Rates and lengths are those at which models
    learn something in so few steps, seen with one seed before any study was run: on the
    skin, DeiT has a test recall of 0.47 from random and 0.55 from transferred weights
    after 140 steps, CBR-Tiny 0.78 and 0.83 after 100. Random weights take a rate twice
    as high, not three times as in the paper. No transformer learns to grade the retina
    in so few.
    """
    return Scale(
        name="small",
        tasks=small_tasks(),
        models={
            "transformers": ("deit_mini", "swin_mini"),
            "cnns": ("cbr_tiny",),
            "deit_family": ("deit_mini[blocks=3]", "deit_mini"),
            "resnet_family": (),
            "truncated": ("deit_mini[blocks=3]",),
        },
        seeds=3,
        task_groups={
            "main": ("skin", "retina", "chest", "skin_few"),
            "sweep": ("skin",),
            "few": ("skin_few",),
            "many": ("skin",),
            "distant": ("chest",),
            "alike": ("skin", "retina", "chest"),
            "convergence": ("skin",),
        },
        levels={
            "deit_mini": ("block1", "block3"),
            "swin_mini": ("block1", "block3"),
            "cbr_tiny": ("pool1", "pool3"),
            "deit_mini[blocks=3]": (),
        },
        options={
            **_drawn_options(images=400, of_distances=2_000, k=50),
            "rates": _drawn_rates((1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3), steps=80),
        },
    )


def smoke() -> Scale:
    """A few steps on a few drawings: that every study runs, not what it finds."""
    base = small_base().replace(
        donor="photographs_few",
        donor_steps=4,
        image_size=32,
        batch_size=4,
        steps=4,
        eval_every=2,
        warmup_steps=2,
    )
    configs = {
        "skin": base.replace(dataset="phantom_skin_few", train_examples=32),
        "retina": base.replace(dataset="phantom_retina_few", train_examples=16),
    }
    overrides = {("model", "deit_mini"): {"optimizer": "adamw", "weight_decay": 0.01}}
    # Most of a short run goes to tracing blocks.
    cut = "deit_mini[blocks=2]"
    return Scale(
        name="smoke",
        tasks=tasks_of(configs, overrides, random_rate=2.0),
        models={
            "transformers": (cut,),
            "cnns": ("cbr_tiny",),
            # No family, but trained anyway.
            "deit_family": (cut, "cbr_tiny"),
            "resnet_family": (),
            "truncated": ("deit_mini[blocks=1]",),
        },
        seeds=1,
        task_groups={
            "main": ("skin", "retina"),
            "sweep": ("skin",),
            "few": ("retina",),
            "many": ("skin",),
            "distant": ("skin",),
            "alike": ("skin", "retina"),
            "convergence": ("skin",),
        },
        levels={cut: ("block1",), "cbr_tiny": ("pool2",)},
        options={
            **_drawn_options(images=24, of_distances=120, k=5),
            "rates": _drawn_rates((1e-4, 1e-3), steps=4),
        },
    )


def _drawn_options(images: int, of_distances: int, k: int) -> dict[str, Any]:
    """The parts that networks are read at are the paper's, as at its own sizes."""
    return {
        "distances": {"images": of_distances, "features": "cbr_tiny"},
        "sources": {},
        "layers": {"kind": "branch", "images": images},
        "travel": {"kind": "branch"},
        "robustness": {"kind": "branch"},
        "neighbours": {"kind": "branch", "k": k, **_VOTE},
        "attention": {"images": images},
    }


def _drawn_rates(grid: tuple[float, ...], steps: int) -> dict[str, Any]:
    return {"grid": grid, "tasks": ("skin",), "steps": {"skin": steps}}


SCALES = {
    "paper": paper,
    "published_code": published_code,
    "small": small,
    "smoke": smoke,
}
