"""What Transfusion claims (Raghu et al., NeurIPS 2019), and what would show it here.

Each claim is an effect measured on runs of the study `transfusion/all`, and a rule for
its interval that was fixed before any run was made. All effects are on the RETINA task
unless they say otherwise.
"""

from transfusion_tf.studies.claims import Claim
from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    Mean,
    PairAverage,
    Scaled,
    WhileLearning,
    on_test,
)
from transfusion_tf.training import RunConfig
from transfusion_tf_experiments.papers.scale import Scale
from transfusion_tf_experiments.papers.transfusion_convergence import slim_model
from transfusion_tf_experiments.papers.transfusion_scales import CHEST, RETINA

_SMALL = ("cbr_small", "cbr_tiny")
_LOWEST, _TOP_TWO = (0,), (-2, -1)


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the models that the scale trains."""
    ask = _Questions(scale)
    (large,), (second,) = scale.models["large"], scale.models["second"]
    resnet, scarce = scale.models["pair"][0], scale.models["scarce"][-1]
    (large_cbr,) = scale.models["large_cbr"]
    fewest = min(scale.train_examples.values())
    lowest, *others = scale.levels_of(large)
    lower = (others or [lowest])[0]
    slim, kept = slim_model(scale)
    return (
        Claim(
            "Small models do as well as ResNet50.",
            "tables 1 and 2, section 3.2",
            f"test AUC of CBR-Small and CBR-Tiny minus {resnet}, mean over random and "
            "transferred starts",
            "AUC",
            "at_least",
            ask.size_effect(resnet),
        ),
        Claim(
            "Small models do as well as a large CBR.",
            "table 1, section 3.2",
            "test AUC of CBR-Small and CBR-Tiny minus CBR-LargeT, mean over random and "
            "transferred starts",
            "AUC",
            "at_least",
            ask.size_effect(large_cbr),
        ),
        Claim(
            "With much data, transfer gains little.",
            "table 1, section 3.2",
            "test AUC, transfer minus random, all training images, mean over models",
            "AUC",
            "alike",
            _mean([ask.gain(RETINA, m) for m in scale.models["all"]]),
        ),
        Claim(
            "On chest radiographs, too, transfer gains little.",
            "table 2, section 3.2",
            "mean test AUC over the findings, transfer minus random, mean over models",
            "AUC",
            "alike",
            _mean([ask.gain(CHEST, model) for model in scale.models["chest"]]),
        ),
        Claim(
            "The gain grows as data shrink.",
            "tables 3 and 4, section 3.3",
            f"gain of transfer in test AUC of {large} with {fewest:,} training images, "
            "minus that with all",
            "AUC",
            "above",
            ask.gain(RETINA, large, train_examples=fewest) - ask.gain(RETINA, large),
        ),
        Claim(
            "With few images, transfer gains more in large models.",
            "table 3, section 3.3",
            f"gain of transfer in test AUC with {fewest:,} training images, {large} "
            f"minus {scarce}",
            "AUC",
            "above",
            ask.gain(RETINA, large, train_examples=fewest)
            - ask.gain(RETINA, scarce, train_examples=fewest),
        ),
        Claim(
            "Pretrained and random starts end in different representations.",
            "figure 2, section 4",
            f"CCA of two random starts minus CCA of a random and a pretrained one, top "
            f"two stages of {resnet}",
            "CCA",
            "above",
            ask.starts_apart(resnet),
        ),
        Claim(
            "More so in large models than in small ones.",
            "figure 2, section 4",
            f"the same, {resnet} minus the mean of CBR-Small and CBR-Tiny",
            "CCA",
            "above",
            ask.starts_apart(resnet) - _mean([ask.starts_apart(m) for m in _SMALL]),
        ),
        Claim(
            "Large models move less in training, at the lowest stage.",
            "figures 3 and 4, section 4",
            "CCA before and after training from random weights, lowest stage, "
            f"{resnet} minus the mean of CBR-Small and CBR-Tiny",
            "CCA",
            "above",
            ask.moves_less(resnet, _LOWEST),
        ),
        Claim(
            "The difference is largest at the lowest stage.",
            "figure 3, section 4",
            "that difference at the lowest stage minus that at the top two",
            "CCA",
            "above",
            ask.moves_less(resnet, _LOWEST) - ask.moves_less(resnet, _TOP_TWO),
        ),
        Claim(
            "Models of one pretrained start stay alike at the lowest stage.",
            "table 5, appendix D",
            f"CCA of two transferred {resnet}s minus that of two random ones, lowest "
            "stage",
            "CCA",
            "above",
            ask.kept_alike(resnet),
        ),
        Claim(
            "Transfer speeds training up.",
            "figures 6 to 8, section 5",
            f"validation AUC of {large} while random weights learn, transfer minus "
            "random",
            "AUC",
            "above",
            ask.ahead(large, "transfer"),
        ),
        Claim(
            "The lowest stages give most of that gain.",
            "figure 7, section 5",
            f"the gain of donor weights up to {lower}, minus what the stages above add",
            "AUC",
            "above",
            Scaled(ask.ahead(large, f"transfer:{lower}"), 2.0)
            - ask.ahead(large, "transfer"),
        ),
        Claim(
            "The scale of the weights alone speeds training up.",
            "figure 6, section 5",
            f"validation AUC of {large} while random weights learn, mean_var minus "
            "random",
            "AUC",
            "above",
            ask.ahead(large, "mean_var"),
        ),
        Claim(
            "On chest radiographs, too, the scale of the weights speeds training up.",
            "figures 6 and 16, section 5",
            f"the same on chest radiographs, mean AUC over the findings of {large}",
            "AUC",
            "above",
            ask.ahead(large, "mean_var", CHEST),
        ),
        Claim(
            "A slim top on donor weights does as well as full transfer.",
            "figure 8, section 5",
            f"test AUC of {slim} with donor weights up to {kept}, minus {large} "
            "transferred",
            "AUC",
            "at_least",
            ask.test(RETINA, slim, f"transfer:{kept}")
            - ask.test(RETINA, large, "transfer"),
        ),
        Claim(
            "Synthetic Gabor filters do what the donor's first layer does.",
            "figure 8, section 5",
            f"validation AUC of {large} while random weights learn, gabor minus "
            f"transfer:{lowest}",
            "AUC",
            "alike",
            ask.ahead(large, "gabor") - ask.ahead(large, f"transfer:{lowest}"),
        ),
        Claim(
            "Gabor filters speed training up.",
            "figure 8, section 5",
            f"validation AUC while random weights learn, gabor minus random, mean of "
            f"{large} and {second}",
            "AUC",
            "above",
            _mean([ask.ahead(m, "gabor") for m in (large, second)]),
        ),
        Claim(
            "Under mean_var, identity batch norm is at least as good as the donor's.",
            "figure 17, appendix F.1",
            f"validation AUC of {large} while random weights learn, identity minus the "
            "mean of resampled and transferred",
            "AUC",
            "at_least",
            ask.ahead(large, "mean_var")
            - _mean(
                [
                    ask.ahead(large, f"mean_var[bn={treatment}]")
                    for treatment in ("mean_var", "transfer")
                ]
            ),
        ),
        Claim(
            "Sampled and shuffled weights train like mean_var.",
            "figure 18, appendix F.2",
            f"validation AUC of {large} while random weights learn, mean of sampled "
            "and shuffled minus mean_var",
            "AUC",
            "alike",
            _mean([ask.ahead(large, start) for start in ("sampled", "shuffled")])
            - ask.ahead(large, "mean_var"),
        ),
        Claim(
            "Fixed pretrained features beat fixed random ones.",
            "figure 12, appendix E",
            "test AUC with frozen stages, transfer minus random, mean over stages",
            "AUC",
            "above",
            ask.frozen("retina", "transfer", "random"),
        ),
        Claim(
            "On chest radiographs, too, fixed pretrained features beat random ones.",
            "figure 13, appendix E",
            "the same on chest radiographs, mean AUC over the findings",
            "AUC",
            "above",
            ask.frozen("chest", "transfer", "random"),
        ),
        Claim(
            "Fixed features do not miss the layers that they were trained with.",
            "figure 12, appendix E",
            "test AUC with frozen stages, donor weights above minus random weights "
            "above, mean over stages",
            "AUC",
            "alike",
            ask.frozen("retina", "transfer", "transfer:stage"),
        ),
    )


class _Questions:
    """The contrasts that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale

    def test(
        self, task: tuple[str, ...], model: str, start: str, **changes: object
    ) -> Contrast:
        """Test metric of one group of runs."""
        return on_test(self._scale.runs(task, (model,), (start,), **changes))

    def gain(self, task: tuple[str, ...], model: str, **changes: object) -> Contrast:
        """Test metric, transfer minus random."""
        return self.test(task, model, "transfer", **changes) - self.test(
            task, model, "random", **changes
        )

    def size_effect(self, large: str) -> Contrast:
        """Test metric, small models minus a large one, over both starts."""
        return _mean(
            [
                self.test(RETINA, small, start) - self.test(RETINA, large, start)
                for small in _SMALL
                for start in ("random", "transfer")
            ]
        )

    def ahead(self, model: str, start: str, task: tuple[str, ...] = RETINA) -> Contrast:
        """Validation metric while random weights learn, minus that of random weights.

        Batch norm's treatments are repeated more often than the rest (figure 17);
        what is compared with them here are the seeds that all have.
        """
        baseline = self._scale.runs(task, (model,), ("random",))
        runs = self._scale.runs(task, (model,), (start,))
        return WhileLearning(runs, baseline) - WhileLearning(baseline, baseline)

    def starts_apart(self, model: str) -> Contrast:
        """CCA of random with random minus random with transferred, top two stages."""
        random, transfer = self._population(model)
        return PairAverage("cca", random, stages=_TOP_TWO) - PairAverage(
            "cca", random, transfer, stages=_TOP_TWO
        )

    def kept_alike(self, model: str) -> Contrast:
        """CCA of transferred pairs minus random pairs, lowest stage."""
        random, transfer = self._population(model)
        return PairAverage("cca", transfer, stages=_LOWEST) - PairAverage(
            "cca", random, stages=_LOWEST
        )

    def moves_less(self, model: str, stages: tuple[int, ...]) -> Contrast:
        """CCA before and after, random start, the model minus the small ones."""
        ours, *small = (
            Average("cca", self._population(name)[0], stages=stages)
            for name in (model, *_SMALL)
        )
        return ours - _mean(small)

    def frozen(self, task: str, left: str, right: str) -> Contrast:
        """Test metric with frozen stages, left minus right, over models and stages.

        A start of `transfer:stage` is the donor up to the last frozen stage.
        """

        def test(model: str, stage: str, start: str) -> Contrast:
            start = start.replace(":stage", f":{stage}")
            return self.test((task,), model, start, freeze=stage)

        return _mean(
            [
                test(model, stage, left) - test(model, stage, right)
                for model in self._scale.models[f"frozen/{task}"]
                for stage in self._scale.levels_of(model)
            ]
        )

    def _population(
        self, model: str
    ) -> tuple[tuple[RunConfig, ...], tuple[RunConfig, ...]]:
        """Runs from random and from transferred weights, for pairs of them."""
        seeds = self._scale.more_seeds.get("similarity")
        random, transfer = (
            self._scale.runs(RETINA, (model,), (start,), seeds=seeds)
            for start in ("random", "transfer")
        )
        return random, transfer


def _mean(contrasts: list[Contrast]) -> Contrast:
    return Mean(tuple(contrasts))
