"""The sizes at which the Transfusion paper's studies are run.

Kinds of study, where their models, repetitions or options differ:

- `all`: all of table 1's architectures.
- `pair`: a large and a small one (table 5, figures 4 and 5).
- `chest`: on chest radiographs, the largest first.
- `scarce`: the small data regime, the largest first.
- `large`: the model that most of section 5 is about; `second`: its other example.
- `convergence`: studies of section 5; `race`: those of them that count steps.
- `cbr`: figure 15.
- `frozen/retina`, `frozen/chest`: with frozen lower stages.
- `large_cbr`: with which small models are compared, beside ResNet50.
- `similarity`: what compares representations; `filters`: what looks at filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.protocol import not_in_paper
from transfusion_tf_experiments.papers.scale import Scale, Task
from transfusion_tf_experiments.papers.transfusion_sources import SOURCES

if TYPE_CHECKING:
    from transfusion_tf.training import RunConfig

RETINA, CHEST = ("retina",), ("chest",)
STARTS = ("random", "transfer")

# As the paper writes them.
PRINTED_NAMES = {
    "resnet50": "ResNet50",
    "cbr_large_t": "CBR-LargeT",
    "cbr_large_w": "CBR-LargeW",
    "cbr_small": "CBR-Small",
    "cbr_tiny": "CBR-Tiny",
}

# "223k training images" (appendix A) in batches of 32, the last one smaller.
_CHEST_EPOCH = -(-223_000 // 32)

_CBR = ("cbr_large_t", "cbr_large_w", "cbr_small", "cbr_tiny")


def paper() -> Scale:
    """The paper's own sizes and hyperparameters (section 3.2 and appendix A).

    Some weeks on 8 GPUs. `transfusion_sources` has the source of every value, and says
    what the paper leaves open.
    """
    # Published weights get the pixels that they were trained on.
    published = {("donor", "imagenet"): {"input_scaling": None}}
    inception = {("model", "inception_v3"): {"donor": "imagenet"}}
    few_images = {("train_examples", "5000"): {"early_stopping": 10}}
    return Scale(
        name="paper",
        tasks={
            "retina": Task(_paper_retina(), {**inception, **few_images, **published}),
            "chest": Task(_paper_chest(), published),
        },
        models={
            "all": ("resnet50", "inception_v3", *_CBR),
            "pair": ("resnet50", "cbr_small"),
            "chest": ("resnet50", *_CBR),
            "scarce": ("resnet50", "cbr_large_t", "cbr_large_w"),
            "large": ("resnet50",),
            "second": ("cbr_large_w",),
            "cbr": ("cbr_large_w", "cbr_small", "cbr_tiny"),
            "large_cbr": ("cbr_large_t",),
            "frozen/retina": ("resnet50", "cbr_large_t", "cbr_tiny"),
            "frozen/chest": ("cbr_large_t", "cbr_tiny"),
        },
        seeds=3,
        more_seeds={"similarity": 5, "figure17": 5, "race": 5},
        options={
            # One image of conv1: 294 × 294 positions of 587 × 587 pixels.
            "similarity": {"points": 86_436, "channels": 64, "repeats": 5},
            "convergence": {"threshold": 0.91, "at_evaluations": True},
        },
        train_examples={size: size for size in (5_000, 10_000, 50_000, 100_000)},
        sources=SOURCES,
        default_source=not_in_paper(),
    )


def _paper_retina() -> RunConfig:
    """A run on EyePACS."""
    from transfusion_tf.training import RunConfig

    return RunConfig(
        dataset="retina_eyepacs_all",
        model="resnet50",
        donor="imagenet2012",
        input_scaling="imagenet_mean_std",
        image_size=587,
        optimizer="adam",
        learning_rate=0.001,
        batch_size=8,
        # 120 evaluations.
        steps=120_120,
        eval_every=1_001,
        test_curve=True,
    )


def _paper_chest() -> RunConfig:
    """A run on CheXpert."""
    from transfusion_tf.training import RunConfig

    return RunConfig(
        dataset="chexpert",
        model="resnet50",
        donor="imagenet2012",
        input_scaling="imagenet_mean_std",
        image_size=224,
        optimizer="sgd",
        learning_rate=0.1 * 32 / 256,
        schedule="imagenet",
        batch_size=32,
        steps=100 * _CHEST_EPOCH,
        eval_every=_CHEST_EPOCH,
        steps_per_epoch=_CHEST_EPOCH,
        test_curve=True,
    )


def small() -> Scale:
    """Drawn data at 64 px, three seeds: about 2 hours on two CPU cores.

    Inception-v3 is left out: it takes no images below 75 px; and CBR-LargeW: it is as
    large as CBR-LargeT and takes twice as long. ResNet50 needs several hundred steps to
    learn anything from random weights (AUC 0.55 after 80 steps, 0.78 after 200), each
    three times as long as CBR-LargeT's: it is trained where models are compared with
    one another, and CBR-LargeT takes its place where starts are. The learning rate on
    RETINA is 0.0003, not 0.001, at which CBR-LargeT stays at a validation AUC of 0.69
    after 240 steps; at 0.0003 it comes to 0.90 (random weights, one seed). The chest
    runs see 256 images, so that the schedule's warm-up of 5 epochs is over after 80 of
    200 steps.
    """
    from transfusion_tf.training import RunConfig

    base = RunConfig(
        dataset="phantom_retina_64",
        model="resnet50",
        donor="photographs",
        image_size=64,
        optimizer="adam",
        learning_rate=0.0003,
        batch_size=8,
        steps=200,
        eval_every=40,
        donor_steps=600,
    )
    chest = base.replace(
        dataset="phantom_chest_64",
        optimizer="sgd",
        learning_rate=0.1 * 16 / 256,
        schedule="imagenet",
        batch_size=16,
        train_examples=256,
    )
    overrides = {("model", "resnet50"): {"batch_norm_momentum": 0.9}}
    return Scale(
        name="small",
        tasks={"retina": Task(base, overrides), "chest": Task(chest, overrides)},
        models={
            "all": ("resnet50", "cbr_large_t", "cbr_small", "cbr_tiny"),
            "pair": ("resnet50", "cbr_small"),
            "chest": ("cbr_large_t", "cbr_small", "cbr_tiny"),
            "scarce": ("cbr_large_t", "cbr_tiny"),
            "large": ("cbr_large_t",),
            "second": ("cbr_small",),
            "cbr": ("cbr_small", "cbr_tiny"),
            "large_cbr": ("cbr_large_t",),
            "frozen/retina": ("cbr_tiny",),
            "frozen/chest": ("cbr_tiny",),
        },
        seeds=3,
        options={
            # Of 64 × 64 pixels, ResNet50's last stage has four positions an image.
            "similarity": {"points": 2_048, "channels": 64, "repeats": 3},
            "convergence": {"threshold": None},
        },
        # The paper's shares of all training images: 2 and 20 %.
        train_examples={5_000: 21, 50_000: 214},
    )


def smoke() -> Scale:
    """A few steps on a few drawings: that every study runs, not what it finds."""
    from transfusion_tf.training import RunConfig

    base = RunConfig(
        dataset="phantom_retina_few",
        model="cbr_tiny",
        donor="photographs_few",
        image_size=32,
        learning_rate=0.001,
        batch_size=4,
        steps=2,
        eval_every=2,
        test_curve=True,
    )
    chest = base.replace(
        dataset="phantom_chest_few", optimizer="sgd", schedule="imagenet"
    )
    both = ("cbr_small", "cbr_tiny")
    return Scale(
        name="smoke",
        tasks={"retina": Task(base), "chest": Task(chest)},
        models={
            "all": both,
            "pair": ("cbr_small",),
            "chest": both,
            "scarce": both,
            "large": ("cbr_small",),
            "second": ("cbr_tiny",),
            "cbr": ("cbr_tiny", "cbr_small"),
            "large_cbr": ("cbr_tiny",),
            "frozen/retina": ("cbr_tiny",),
            "frozen/chest": ("cbr_tiny",),
        },
        seeds=1,
        more_seeds={"similarity": 2},
        levels={"cbr_small": ("pool1",), "cbr_tiny": ("pool1",)},
        options={
            "filters": {"fitted": 6},
            "similarity": {"points": 250, "channels": 16, "repeats": 2},
            "convergence": {"threshold": None},
        },
        train_examples={5_000: 16},
    )


SCALES = {"paper": paper, "small": small, "smoke": smoke}
