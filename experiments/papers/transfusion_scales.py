"""How large a paper's studies are run: to the letter, on a laptop, or in seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transfusion_tf.errors import one_of

if TYPE_CHECKING:
    from transfusion_tf.training import RunConfig

SCALE_NAMES = ("paper", "small", "smoke")

# Stages from the input up. `transfusion_tf.models.stages` finds them in a model;
# here they are names, so that listing studies builds nothing.
STAGES = {
    "resnet50": ("conv1", "block1", "block2", "block3", "block4"),
    "cbr_large_t": ("pool1", "pool2", "pool3", "pool4", "pool5"),
    "cbr_large_w": ("pool1", "pool2", "pool3", "pool4"),
    "cbr_small": ("pool1", "pool2", "pool3", "pool4"),
    "cbr_tiny": ("pool1", "pool2", "pool3", "pool4"),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one of the paper's two tasks is trained at one scale.

    Attributes:
      base: what all of its runs share; the model is filled in later.
      batch_norm_momentum: by architecture, where its own does not fit the length.
      donors: by architecture, where it is not `base.donor`.
    """

    base: RunConfig
    batch_norm_momentum: Mapping[str, float] = dataclasses.field(default_factory=dict)
    donors: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def with_changes(self, changes: Mapping[str, Any]) -> Recipe:
        """The same with other values of `RunConfig`'s fields."""
        donors = {} if "donor" in changes else self.donors
        return dataclasses.replace(
            self, base=self.base.replace(**changes), donors=donors
        )


@dataclasses.dataclass(frozen=True)
class Scale:
    """Everything that `paper`, `small` and `smoke` differ in.

    Attributes:
      name: one of `SCALE_NAMES`.
      retina, chest: the two tasks.
      seeds: how many repetitions.
      more_seeds: repetitions of figure 17, whose lines are means of five.
      population: runs of each start in what compares representations.
      sizes: the paper's numbers of training images -> those used here.
      ends_only: whether what goes through a network's stages takes the first and the
        last alone.
      stand_ins: the paper's architecture -> what is trained in its place; None
        leaves it out.
      large: what the studies of convergence train where the paper has ResNet50 alone.
      second: what they train where the paper has CBR-LargeW as another example.
      chest_models: architectures on chest radiographs, the largest first.
      scarce_models: architectures of the small data regime, the largest first.
      fixed_models: architectures whose lower stages are frozen, by task.
      threshold: the validation metric that counts as converged; None takes it from
        the runs from random weights.
      points: of each stage that CCA takes (appendix C: p).
      channels: of each stage that CCA takes (appendix C: d).
      repeats: samples of points and channels.
      cost: of all studies together, in words.
    """

    name: str
    retina: Recipe
    chest: Recipe
    seeds: int
    more_seeds: int
    population: int
    sizes: Mapping[int, int]
    ends_only: bool
    stand_ins: Mapping[str, str | None]
    large: str
    second: str
    chest_models: tuple[str, ...]
    scarce_models: tuple[str, ...]
    fixed_models: Mapping[str, tuple[str, ...]]
    threshold: float | None
    points: int
    channels: int
    repeats: int
    cost: str

    def models(self, names: Iterable[str]) -> tuple[str, ...]:
        """What is trained where the paper trains these, each once."""
        found = (self.stand_ins.get(name, name) for name in names)
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def stages(self, model: str) -> tuple[str, ...]:
        """Those that figures 7, 8, 12, 13 and 19 go through, from the input up."""
        stages = STAGES[model]
        return (stages[0], stages[-1]) if self.ends_only else stages

    def through_stages(self, model: str) -> tuple[str, ...]:
        """`transfer:STAGE` for every one but the last, which would be `transfer`."""
        return tuple(f"transfer:{stage}" for stage in self.stages(model)[:-1])

    def slim(self) -> tuple[str, str]:
        """The large model with half of its channels above its third stage.

        Returns:
          The model's name, and the stage's: block2 in ResNet50.
        """
        stage = STAGES[self.large][2]
        return f"{self.large}[slim_after={stage},width=0.5]", stage

    def runs(
        self,
        recipe: Recipe,
        models: Sequence[str],
        initializations: Sequence[str],
        *,
        seeds: int | None = None,
        **changes: Any,
    ) -> tuple[RunConfig, ...]:
        """Every model (the paper's names, options kept) from every start."""
        return tuple(
            self._run(recipe, model, initialization, seed, changes)
            for seed in range(seeds or self.seeds)
            for model in self.models(models)
            for initialization in initializations
        )

    def sampling(self) -> dict[str, int]:
        """Options of what compares representations."""
        return {
            "points": self.points,
            "channels": self.channels,
            "repeats": self.repeats,
        }

    def with_seeds(self, seeds: int) -> Scale:
        """The same with that many repetitions of everything."""
        return dataclasses.replace(
            self, seeds=seeds, more_seeds=seeds, population=seeds
        )

    def with_changes(self, changes: Mapping[str, Any]) -> Scale:
        """The same with other values of `RunConfig`'s fields in all runs."""
        return dataclasses.replace(
            self,
            retina=self.retina.with_changes(changes),
            chest=self.chest.with_changes(changes),
        )

    def _run(
        self,
        recipe: Recipe,
        model: str,
        initialization: str,
        seed: int,
        changes: Mapping[str, Any],
    ) -> RunConfig:
        architecture = model.partition("[")[0]
        return recipe.base.replace(
            model=model,
            initialization=initialization,
            seed=seed,
            donor=recipe.donors.get(architecture, recipe.base.donor),
            batch_norm_momentum=recipe.batch_norm_momentum.get(architecture),
            **changes,
        )


def paper() -> Scale:
    """The paper's own sizes and hyperparameters (section 3.2 and appendix A).

    What the paper leaves open is taken from its figures: RETINA runs go to the end
    of figure 8's longer axis, 120 000 steps; CheXpert's to epoch 100, behind the
    schedule's last step at epoch 90 (223 000 images / 32 = 6 968 steps an epoch).
    RETINA is private: EyePACS, its public part, stands for it.
    """
    from transfusion_tf.training import RunConfig

    return Scale(
        name="paper",
        retina=Recipe(
            RunConfig(
                dataset="retina_eyepacs",
                model="resnet50",
                donor="imagenet2012",
                image_size=587,
                optimizer="adam",
                learning_rate=0.001,
                batch_size=8,
                steps=120_000,
                eval_every=2_000,
            ),
            donors={"inception_v3": "imagenet"},
        ),
        chest=Recipe(
            RunConfig(
                dataset="chexpert",
                model="resnet50",
                donor="imagenet2012",
                image_size=224,
                optimizer="sgd",
                learning_rate=0.1 * 32 / 256,
                schedule="imagenet",
                batch_size=32,
                steps=696_800,
                eval_every=6_968,
            ),
            donors={"inception_v3": "imagenet"},
        ),
        seeds=3,
        more_seeds=5,
        population=5,
        sizes={size: size for size in (5_000, 10_000, 50_000, 100_000)},
        ends_only=False,
        stand_ins={},
        large="resnet50",
        second="cbr_large_w",
        chest_models=(
            "resnet50",
            "cbr_large_t",
            "cbr_large_w",
            "cbr_small",
            "cbr_tiny",
        ),
        scarce_models=("resnet50", "cbr_large_t", "cbr_large_w"),
        fixed_models={
            "retina": ("resnet50", "cbr_large_t", "cbr_tiny"),
            "chest": ("cbr_large_t", "cbr_tiny"),
        },
        threshold=0.91,
        points=10_000,
        channels=64,
        repeats=5,
        cost="some weeks on 8 GPUs",
    )


def small() -> Scale:
    """Drawn data at 64 px, three seeds: an afternoon on two CPU cores.

    Inception-v3 is left out: it takes no images below 75 px; and CBR-LargeW: it is as
    large as CBR-LargeT and takes twice as long. ResNet50 needs several
    hundred steps to learn anything from random weights (AUC 0.55 after 80 steps, 0.78
    after 200), each three times as long as CBR-LargeT's: it is trained where models
    are compared with one another, and CBR-LargeT takes its place where starts are.
    The learning rate on RETINA is 0.0003, not 0.001, at which CBR-LargeT stays at a
    validation AUC of 0.69 after 240 steps; at 0.0003 it comes to 0.90 (random
    weights, one seed). The chest runs see 256 images, so that the schedule's warm-up
    of 5 epochs is over after 80 of 200 steps.
    """
    from transfusion_tf.training import RunConfig

    steps: Any = {"steps": 200, "eval_every": 40, "donor_steps": 600}
    momentum = {"resnet50": 0.9}
    return Scale(
        name="small",
        retina=Recipe(
            RunConfig(
                dataset="phantom_retina_64",
                model="resnet50",
                donor="photographs",
                image_size=64,
                optimizer="adam",
                learning_rate=0.0003,
                batch_size=8,
                **steps,
            ),
            batch_norm_momentum=momentum,
        ),
        chest=Recipe(
            RunConfig(
                dataset="phantom_chest_64",
                model="resnet50",
                donor="photographs",
                image_size=64,
                optimizer="sgd",
                learning_rate=0.1 * 16 / 256,
                schedule="imagenet",
                batch_size=16,
                train_examples=256,
                **steps,
            ),
            batch_norm_momentum=momentum,
        ),
        seeds=3,
        more_seeds=3,
        population=3,
        # The paper's shares of all training images: 2 and 20 %.
        sizes={5_000: 21, 50_000: 214},
        ends_only=False,
        stand_ins={"inception_v3": None, "cbr_large_w": None},
        large="cbr_large_t",
        second="cbr_small",
        chest_models=("cbr_large_t", "cbr_small", "cbr_tiny"),
        scarce_models=("cbr_large_t", "cbr_tiny"),
        fixed_models={"retina": ("cbr_tiny",), "chest": ("cbr_tiny",)},
        threshold=None,
        points=5_000,
        channels=64,
        repeats=3,
        cost="about 2 hours on 2 CPU cores",
    )


def smoke() -> Scale:
    """A few steps on a few drawings: that every study runs, not what it finds."""
    from transfusion_tf.training import RunConfig

    base = RunConfig(
        dataset="phantom_retina_few",
        model="cbr_tiny",
        donor="photographs_few",
        image_size=64,
        learning_rate=0.001,
        batch_size=4,
        steps=2,
        eval_every=2,
    )
    return Scale(
        name="smoke",
        retina=Recipe(base),
        chest=Recipe(
            base.replace(
                dataset="phantom_chest_few", optimizer="sgd", schedule="imagenet"
            )
        ),
        seeds=1,
        more_seeds=1,
        population=2,
        sizes={5_000: 16},
        ends_only=True,
        stand_ins={
            "resnet50": "cbr_small",
            "inception_v3": None,
            "cbr_large_t": "cbr_tiny",
            "cbr_large_w": "cbr_tiny",
        },
        large="cbr_small",
        second="cbr_tiny",
        chest_models=("cbr_small", "cbr_tiny"),
        scarce_models=("cbr_small", "cbr_tiny"),
        fixed_models={"retina": ("cbr_tiny",), "chest": ("cbr_tiny",)},
        threshold=None,
        points=400,
        channels=16,
        repeats=2,
        cost="a few minutes",
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
