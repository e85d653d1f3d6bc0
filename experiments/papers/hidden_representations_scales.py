"""How large the hidden-representations paper's studies are run: to the letter, small,
or smoke.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from transfusion_tf.errors import one_of

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
# accuracy, with a rate of 1e-3.
_HEAD_EPOCHS, _HEAD_RATE = 10, 1e-3


@dataclasses.dataclass(frozen=True)
class Target:
    """A target data set and how models are fine-tuned on it.

    Attributes:
      base: what all of its runs share but donor, seed and fold.
      head_steps: of the head alone, where the head is trained first.
    """

    base: RunConfig
    head_steps: int


@dataclasses.dataclass(frozen=True)
class Scale:
    """Everything that `paper`, `small` and `smoke` differ in.

    Attributes:
      name: one of `paper`, `small` and `smoke`.
      targets: the target data sets.
      donors: the natural one, then the medical one.
      folds: of the cross-validation.
      repeats: how often it is repeated, with other seeds.
      points: of each stage that CCA takes.
      channels: of each stage that CCA takes.
      samples: of points and channels, each of new images.
      notes: what differs from the paper, a sentence each.
      cost: of all studies together, in words.
    """

    name: str
    targets: tuple[Target, ...]
    donors: tuple[str, ...]
    folds: int
    repeats: int
    points: int
    channels: int
    samples: int
    notes: tuple[str, ...]
    cost: str

    def cell(
        self, target: Target, donor: str | None, *, head_first: bool = False
    ) -> tuple[RunConfig, ...]:
        """The runs of one donor (None: random weights) on one target, one a fold.

        Folds have seeds of their own: random weights of one seed are the same weights.
        """
        base = target.base
        head_steps = target.head_steps if head_first else 0
        return tuple(
            base.replace(
                initialization="random" if donor is None else "transfer",
                donor=donor,
                fold=fold,
                folds=self.folds,
                seed=repeat * self.folds + fold,
                steps=base.steps + head_steps,
                head_steps=head_steps,
                head_learning_rate=_HEAD_RATE if head_first else None,
            )
            for repeat in range(self.repeats)
            for fold in range(self.folds)
        )

    def runs(
        self, *, random: bool = True, head_first: bool = False
    ) -> tuple[RunConfig, ...]:
        """All targets: random weights and each donor, the head first besides."""
        return tuple(self._runs(random, head_first))

    def sampling(self) -> dict[str, int]:
        """Options of what compares representations."""
        return {
            "points": self.points,
            "channels": self.channels,
            "repeats": self.samples,
        }

    def with_seeds(self, seeds: int) -> Scale:
        """The same with the cross-validation repeated so many times."""
        return dataclasses.replace(self, repeats=seeds)

    def with_changes(self, changes: Mapping[str, Any]) -> Scale:
        """The same with other values of `RunConfig`'s fields in all runs.

        Another data set takes the place of all targets, another `donor` that of both;
        `donors` are two or more others, the natural one first.
        """
        changes = dict(changes)
        donor = changes.pop("donor", None)
        donors = changes.pop("donors", self.donors if donor is None else (donor,))
        targets = self.targets[:1] if "dataset" in changes else self.targets
        if "dataset" in changes:
            # Those of the paper's target, which other labels may not fit.
            changes = {"metric": None, "head": None} | changes
        return dataclasses.replace(
            self,
            targets=tuple(_changed(target, changes) for target in targets),
            donors=tuple(donors),
            folds=changes.get("folds", self.folds),
        )

    def _runs(self, random: bool, head_first: bool) -> Iterator[RunConfig]:
        for target in self.targets:
            if random:
                yield from self.cell(target, None)
            for donor in self.donors:
                yield from self.cell(target, donor)
                if head_first:
                    yield from self.cell(target, donor, head_first=True)


def paper() -> Scale:
    """The paper's own sizes and hyperparameters (table 1, section 4.2).

    ResNet50, average pooling, dropout 0.5, Adam at 1e-5, batches of 32 at 224 px and of
    128 below, at most 200 epochs, stopped after 3 without a lower validation loss.

    What the paper leaves open: the head alone is trained for 10 epochs at 1e-3; its
    loss is softmax cross-entropy where classes exclude one another; images are
    augmented as their cards say. By default weights are chosen on a validation part
    held out of the training folds; `--fold_protocol=paper` chooses them on the test
    fold, as the paper does. An epoch is of those training images (0.7 of all).
    """
    return Scale(
        name="paper",
        targets=(
            _target("chest_kermany", 5_856, 112),
            _target("breast_busi_780", 780, 224),
            _target("thyroid_ddti", 480, 224),
            _target("cbis_ddsm", 3_568, 224),
            # Tears are findings in this card: a knee may have both.
            _target("knee_mrnet", 3_750, 112, metric="mean_auc", head=None),
            _target("pcam_small", 10_000, 96),
            _target("isic2018", 10_015, 112),
        ),
        donors=(IMAGENET, RADIMAGENET),
        folds=_FOLDS,
        repeats=1,
        points=10_000,
        channels=64,
        samples=5,
        notes=(
            "On knee, findings (abnormal, ACL tear, meniscal tear), of which one image "
            "may have several, stand for the paper’s three classes.",
            "RadImageNet’s weights are fed as in the paper’s code; their makers divide "
            "the pixels by 255: --donors=imagenet,radimagenet.",
        ),
        cost="about 3 days on one GPU",
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
    exclusive = {"metric": "prior_weighted_auc", "head": "softmax"}
    return Scale(
        name="small",
        targets=(
            _drawn("phantom_retina_64", **exclusive),
            _drawn("phantom_skin_64", **exclusive),
            _drawn("phantom_chest_64", metric="mean_auc"),
        ),
        donors=("photographs", "phantom_chest_donor"),
        folds=_FOLDS,
        repeats=1,
        points=2_000,
        channels=64,
        samples=3,
        notes=(
            "CBR-Tiny, at 64 px and for 150 steps, stands in for ResNet50.",
            "The medical donor was trained on drawn radiographs as those of the chest "
            "target are, of other patients.",
        ),
        cost="about 25 minutes on 2 CPU cores",
    )


def smoke() -> Scale:
    """A few steps on a few drawings: that every study runs, not what it finds."""
    target = _drawn(
        "phantom_retina_few",
        metric="prior_weighted_auc",
        head="softmax",
        batch_size=4,
        steps=2,
        eval_every=2,
        donor_steps=None,
    )
    return Scale(
        name="smoke",
        targets=(dataclasses.replace(target, head_steps=1),),
        donors=("photographs_few", "phantom_chest_donor_few"),
        folds=2,
        repeats=1,
        points=200,
        channels=16,
        samples=2,
        notes=("CBR-Tiny, for two steps, stands in for ResNet50.",),
        cost="less than a minute",
    )


def make_scale(name: str) -> Scale:
    """The scale of that name.

    Raises:
      UserError: there is none.
    """
    makers = {"paper": paper, "small": small, "smoke": smoke}
    if name not in makers:
        raise one_of("--scale", name, makers)
    return makers[name]()


def _target(dataset: str, images: int, size: int, **changes: Any) -> Target:
    """One of the paper's targets.

    Args:
      dataset: the card.
      images: of it, for the length of an epoch.
      size: of an image, pixels.
      **changes: to the base.
    """
    from transfusion_tf.training import RunConfig

    batch = 32 if size == 224 else 128
    epoch = -(-7 * images // (10 * batch))
    base = RunConfig(
        dataset=dataset,
        model="resnet50",
        image_size=size,
        batch_size=batch,
        steps=_EPOCHS * epoch,
        eval_every=epoch,
        early_stopping=3,
        early_stopping_metric="loss",
        optimizer="adam",
        learning_rate=1e-5,
        dropout=0.5,
        metric="prior_weighted_auc",
        head="softmax",
    )
    return Target(base.replace(**changes), _HEAD_EPOCHS * epoch)


def _drawn(dataset: str, **changes: Any) -> Target:
    """A drawn target at 64 px."""
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
    return Target(base.replace(**changes), head_steps=50)


def _changed(target: Target, changes: Mapping[str, Any]) -> Target:
    return dataclasses.replace(target, base=target.base.replace(**changes))
