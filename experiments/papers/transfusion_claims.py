"""What Transfusion claims (Raghu et al., NeurIPS 2019), and what would show it here.

Each claim is an effect measured on runs of the study `transfusion/all`, and a rule for
its interval that was fixed before any run was made. All effects are on the RETINA task
unless they say otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf.evaluation import Quantity, mean_quantity
from transfusion_tf_experiments.papers.transfusion import CHEST, RETINA, slim_model

if TYPE_CHECKING:
    from transfusion_tf.report.claims import Claim
    from transfusion_tf.report.evidence import Evidence
    from transfusion_tf_experiments.papers.scale import Scale

_SMALL = ("cbr_small", "cbr_tiny")
_LOWEST, _TOP_TWO = (0,), (-2, -1)


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the models that the scale trains."""
    from transfusion_tf.report.claims import Claim

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
            lambda e: ask.size_effect(e, resnet),
        ),
        Claim(
            "Small models do as well as a large CBR.",
            "table 1, section 3.2",
            "test AUC of CBR-Small and CBR-Tiny minus CBR-LargeT, mean over random and "
            "transferred starts",
            "AUC",
            "at_least",
            lambda e: ask.size_effect(e, large_cbr),
        ),
        Claim(
            "With much data, transfer gains little.",
            "table 1, section 3.2",
            "test AUC, transfer minus random, all training images, mean over models",
            "AUC",
            "alike",
            lambda e: mean_quantity(
                [ask.gain(e, RETINA, m) for m in scale.models["all"]]
            ),
        ),
        Claim(
            "On chest radiographs, too, transfer gains little.",
            "table 2, section 3.2",
            "mean test AUC over the findings, transfer minus random, mean over models",
            "AUC",
            "alike",
            lambda e: mean_quantity(
                [ask.gain(e, CHEST, model) for model in scale.models["chest"]]
            ),
        ),
        Claim(
            "The gain grows as data shrink.",
            "tables 3 and 4, section 3.3",
            f"gain of transfer in test AUC of {large} with {fewest:,} training images, "
            "minus that with all",
            "AUC",
            "above",
            lambda e: (
                ask.gain(e, RETINA, large, train_examples=fewest)
                - ask.gain(e, RETINA, large)
            ),
        ),
        Claim(
            "With few images, transfer gains more in large models.",
            "table 3, section 3.3",
            f"gain of transfer in test AUC with {fewest:,} training images, {large} "
            f"minus {scarce}",
            "AUC",
            "above",
            lambda e: (
                ask.gain(e, RETINA, large, train_examples=fewest)
                - ask.gain(e, RETINA, scarce, train_examples=fewest)
            ),
        ),
        Claim(
            "Pretrained and random starts end in different representations.",
            "figure 2, section 4",
            f"CCA of two random starts minus CCA of a random and a pretrained one, top "
            f"two stages of {resnet}",
            "CCA",
            "above",
            lambda e: ask.starts_apart(e, resnet),
        ),
        Claim(
            "More so in large models than in small ones.",
            "figure 2, section 4",
            f"the same, {resnet} minus the mean of CBR-Small and CBR-Tiny",
            "CCA",
            "above",
            lambda e: (
                ask.starts_apart(e, resnet)
                - mean_quantity([ask.starts_apart(e, m) for m in _SMALL])
            ),
        ),
        Claim(
            "Large models move less in training, at the lowest stage.",
            "figures 3 and 4, section 4",
            "CCA before and after training from random weights, lowest stage, "
            f"{resnet} minus the mean of CBR-Small and CBR-Tiny",
            "CCA",
            "above",
            lambda e: ask.moves_less(e, resnet, _LOWEST),
        ),
        Claim(
            "The difference is largest at the lowest stage.",
            "figure 3, section 4",
            "that difference at the lowest stage minus that at the top two",
            "CCA",
            "above",
            lambda e: (
                ask.moves_less(e, resnet, _LOWEST) - ask.moves_less(e, resnet, _TOP_TWO)
            ),
        ),
        Claim(
            "Models of one pretrained start stay alike at the lowest stage.",
            "table 5, appendix D",
            f"CCA of two transferred {resnet}s minus that of two random ones, lowest "
            "stage",
            "CCA",
            "above",
            lambda e: ask.kept_alike(e, resnet),
        ),
        Claim(
            "Transfer speeds training up.",
            "figures 6 to 8, section 5",
            f"validation AUC of {large} while random weights learn, transfer minus "
            "random",
            "AUC",
            "above",
            lambda e: ask.ahead(e, large, "transfer"),
        ),
        Claim(
            "The lowest stages give most of that gain.",
            "figure 7, section 5",
            f"the gain of donor weights up to {lower}, minus what the stages above add",
            "AUC",
            "above",
            lambda e: (
                ask.ahead(e, large, f"transfer:{lower}") * 2
                - ask.ahead(e, large, "transfer")
            ),
        ),
        Claim(
            "The scale of the weights alone speeds training up.",
            "figure 6, section 5",
            f"validation AUC of {large} while random weights learn, mean_var minus "
            "random",
            "AUC",
            "above",
            lambda e: ask.ahead(e, large, "mean_var"),
        ),
        Claim(
            "On chest radiographs, too, the scale of the weights speeds training up.",
            "figures 6 and 16, section 5",
            f"the same on chest radiographs, mean AUC over the findings of {large}",
            "AUC",
            "above",
            lambda e: ask.ahead(e, large, "mean_var", CHEST),
        ),
        Claim(
            "A slim top on donor weights does as well as full transfer.",
            "figure 8, section 5",
            f"test AUC of {slim} with donor weights up to {kept}, minus {large} "
            "transferred",
            "AUC",
            "at_least",
            lambda e: (
                ask.test(e, RETINA, slim, f"transfer:{kept}")
                - ask.test(e, RETINA, large, "transfer")
            ),
        ),
        Claim(
            "Synthetic Gabor filters do what the donor's first layer does.",
            "figure 8, section 5",
            f"validation AUC of {large} while random weights learn, gabor minus "
            f"transfer:{lowest}",
            "AUC",
            "alike",
            lambda e: (
                ask.ahead(e, large, "gabor") - ask.ahead(e, large, f"transfer:{lowest}")
            ),
        ),
        Claim(
            "Gabor filters speed training up.",
            "figure 8, section 5",
            f"validation AUC while random weights learn, gabor minus random, mean of "
            f"{large} and {second}",
            "AUC",
            "above",
            lambda e: mean_quantity(
                [ask.ahead(e, m, "gabor") for m in (large, second)]
            ),
        ),
        Claim(
            "Under mean_var, identity batch norm is at least as good as the donor's.",
            "figure 17, appendix F.1",
            f"validation AUC of {large} while random weights learn, identity minus the "
            "mean of resampled and transferred",
            "AUC",
            "at_least",
            lambda e: (
                ask.ahead(e, large, "mean_var")
                - mean_quantity(
                    [
                        ask.ahead(e, large, f"mean_var[bn={treatment}]")
                        for treatment in ("mean_var", "transfer")
                    ]
                )
            ),
        ),
        Claim(
            "Sampled and shuffled weights train like mean_var.",
            "figure 18, appendix F.2",
            f"validation AUC of {large} while random weights learn, mean of sampled "
            "and shuffled minus mean_var",
            "AUC",
            "alike",
            lambda e: (
                mean_quantity(
                    [ask.ahead(e, large, start) for start in ("sampled", "shuffled")]
                )
                - ask.ahead(e, large, "mean_var")
            ),
        ),
        Claim(
            "Fixed pretrained features beat fixed random ones.",
            "figure 12, appendix E",
            "test AUC with frozen stages, transfer minus random, mean over stages",
            "AUC",
            "above",
            lambda e: ask.frozen(e, "retina", "transfer", "random"),
        ),
        Claim(
            "On chest radiographs, too, fixed pretrained features beat random ones.",
            "figure 13, appendix E",
            "the same on chest radiographs, mean AUC over the findings",
            "AUC",
            "above",
            lambda e: ask.frozen(e, "chest", "transfer", "random"),
        ),
        Claim(
            "Fixed features do not miss the layers that they were trained with.",
            "figure 12, appendix E",
            "test AUC with frozen stages, donor weights above minus random weights "
            "above, mean over stages",
            "AUC",
            "alike",
            lambda e: ask.frozen(e, "retina", "transfer", "transfer:stage"),
        ),
    )


class _Questions:
    """The measurements that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        self._scale = scale

    def test(
        self,
        evidence: Evidence,
        task: tuple[str, ...],
        model: str,
        start: str,
        **changes,
    ) -> Quantity:
        """Test metric of one cell."""
        return evidence.test(self._scale.runs(task, (model,), (start,), **changes))

    def gain(
        self, evidence: Evidence, task: tuple[str, ...], model: str, **changes
    ) -> Quantity:
        """Test metric, transfer minus random."""
        return self.test(evidence, task, model, "transfer", **changes) - self.test(
            evidence, task, model, "random", **changes
        )

    def size_effect(self, evidence: Evidence, large: str) -> Quantity:
        """Test metric, small models minus a large one, over both starts."""
        return mean_quantity(
            [
                self.test(evidence, RETINA, small, start)
                - self.test(evidence, RETINA, large, start)
                for small in _SMALL
                for start in ("random", "transfer")
            ]
        )

    def ahead(
        self, evidence: Evidence, model: str, start: str, task: tuple[str, ...] = RETINA
    ) -> Quantity:
        """Validation metric while random weights learn, minus that of random weights.

        Batch norm's treatments are repeated more often than the rest (figure 17);
        what is compared with them here are the seeds that all have.
        """
        baseline = self._scale.runs(task, (model,), ("random",))
        cell = self._scale.runs(task, (model,), (start,))
        return evidence.while_learning(cell, baseline) - evidence.while_learning(
            baseline, baseline
        )

    def starts_apart(self, evidence: Evidence, model: str) -> Quantity:
        """CCA of random with random minus random with transferred, top two stages."""
        random, transfer = self._population(model)
        return evidence.alike_within(random, _TOP_TWO) - evidence.alike_across(
            random, transfer, _TOP_TWO
        )

    def kept_alike(self, evidence: Evidence, model: str) -> Quantity:
        """CCA of transferred pairs minus random pairs, lowest stage."""
        random, transfer = self._population(model)
        return evidence.alike_within(transfer, _LOWEST) - evidence.alike_within(
            random, _LOWEST
        )

    def moves_less(
        self, evidence: Evidence, model: str, stages: tuple[int, ...]
    ) -> Quantity:
        """CCA before and after, random start, the model minus the small ones."""
        small = [evidence.unmoved(self._population(name)[0], stages) for name in _SMALL]
        ours = evidence.unmoved(self._population(model)[0], stages)
        return ours - mean_quantity(small)

    def frozen(self, evidence: Evidence, task: str, left: str, right: str) -> Quantity:
        """Test metric with frozen stages, left minus right, over models and stages.

        A start of `transfer:stage` is the donor up to the last frozen stage.
        """

        def measured(model: str, stage: str, start: str) -> Quantity:
            start = start.replace(":stage", f":{stage}")
            return self.test(evidence, (task,), model, start, freeze=stage)

        return mean_quantity(
            [
                measured(model, stage, left) - measured(model, stage, right)
                for model in self._scale.models[f"frozen/{task}"]
                for stage in self._scale.levels_of(model)
            ]
        )

    def _population(self, model: str):
        scale = self._scale
        return tuple(
            scale.runs(
                RETINA, (model,), (start,), seeds=scale.more_seeds.get("similarity")
            )
            for start in ("random", "transfer")
        )
