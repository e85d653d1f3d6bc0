"""What the feature-reuse paper claims (Matsoukas et al., CVPR 2022), and what would
show it here.

Each claim is an effect measured on runs of the study `feature_reuse/all`, and a rule
for its interval that was fixed before any run was made. Gains are WT / RI, feature
reuse is (WT - ST) / WT, as in the paper's figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers import feature_reuse as chapters
from transfusion_tf_experiments.papers.feature_reuse import RANDOM, WEIGHTS

if TYPE_CHECKING:
    from transfusion_tf.evaluation import Quantity
    from transfusion_tf.report.claims import Claim
    from transfusion_tf.report.evidence import Evidence
    from transfusion_tf.training import RunConfig
    from transfusion_tf_experiments.papers.scale import Scale


def claims(scale: Scale) -> tuple[Claim, ...]:
    """The paper's claims, about the models and data sets that the scale trains."""
    from transfusion_tf.report import reuse_evidence as reuse
    from transfusion_tf.report.claims import Claim

    ask = _Questions(scale)
    groups = scale.task_groups
    deit, cnn, first = chapters.deit(scale), chapters.cnn(scale), groups["sweep"][0]
    models, families = chapters.table1_models(scale), chapters.families(scale)
    transformers, cnns = scale.models["transformers"], scale.models["cnns"]
    few, many = _listed(groups["few"]), _listed(groups["many"])
    swept, alike = _listed(groups["sweep"]), ", ".join(groups["alike"])
    (converging,) = groups["convergence"]
    fewest_blocks = scale.models["truncated"][-1]
    if "deit_s[blocks=5]" in scale.models["truncated"]:
        fewest_blocks = "deit_s[blocks=5]"
    return (
        Claim(
            "Transfer pays.",
            "table 1, section 3",
            "WT / RI of the test metric minus 1, mean over models and data sets",
            "of RI",
            "above",
            lambda e: ask.excess(e, groups["main"], models),
        ),
        Claim(
            "Transfer pays more with less data.",
            "figure 1, section 3",
            f"WT / RI on {few} minus that on {many}, mean over models",
            "of RI",
            "above",
            ask.with_less_data,
        ),
        Claim(
            "Transfer pays more the nearer the domain is to the source.",
            "figure 1, section 3",
            "WT / RI on the data set with the smallest Fréchet distance minus that on "
            f"the one with the largest, of {alike}, mean over models",
            "of RI",
            "above",
            ask.with_nearness,
        ),
        Claim(
            "Transfer pays more in models of weaker inductive bias.",
            "figure 1, section 3",
            f"WT / RI of {deit} minus that of {_listed(cnns)}, mean over data sets",
            "of RI",
            "above",
            lambda e: (
                ask.excess(e, groups["main"], (deit,))
                - ask.excess(e, groups["main"], cnns)
            ),
        ),
        Claim(
            "Where transfer pays more, more features are reused.",
            "figure 1, section 3",
            "rank correlation of WT / RI with (WT - ST) / WT over models and data sets",
            "rank correlation",
            "above",
            ask.gains_go_with_reuse,
        ),
        Claim(
            "Where transfer pays most, statistics alone explain little of it.",
            "table 1, section 3",
            f"(WT - ST) minus (ST - RI) of the test metric, mean over models, {first}",
            "of the metric",
            "above",
            lambda e: ask.weights_over_statistics(e, first),
        ),
        Claim(
            "Transformers gain from their early blocks.",
            "figure 2, section 3",
            f"test metric of {_listed(transformers)} under WT-ST above the line "
            f"from ST to WT, mean over levels, {swept}",
            "of the metric",
            "above",
            lambda e: ask.early(e, transformers),
        ),
        Claim(
            "CNNs gain evenly from all of their stages.",
            "figure 2, section 3",
            f"the same of {_listed(cnns)}",
            "of the metric",
            "alike",
            lambda e: ask.early(e, cnns),
        ),
        Claim(
            f"{deit} keeps its early layers and adapts the later ones.",
            "figure 3, section 3",
            "CKA of a layer before and after training from WT, mean over the first "
            "half of layers minus that over the second",
            "CKA",
            "above",
            lambda e: reuse.of_runs(
                e, ask.cell(first, deit, WEIGHTS), "layer_cka", reuse.early_minus_late
            ),
        ),
        Claim(
            "CNNs learn similar features from either start, transformers do not.",
            "figure 3, section 3",
            "CKA of a layer between runs from ST and from WT, mean over layers, "
            f"{cnn} minus {deit}",
            "CKA",
            "above",
            lambda e: ask.alike_after(e, cnn) - ask.alike_after(e, deit),
        ),
        Claim(
            "Transferred weights stay closer to where they began.",
            "figure 4, section 3",
            "distance travelled from WT over that from ST, mean over layers, models "
            f"and {swept}, taken from 1",
            "of ST",
            "above",
            ask.stays_closer,
        ),
        Claim(
            "From transferred weights fewer layers are critical.",
            "figure 5, section 3",
            "test metric lost where a layer is set back to its start, mean over layers "
            f"and models, ST minus WT, {first}",
            "of the metric",
            "above",
            ask.fewer_critical,
        ),
        Claim(
            "Later transformer blocks do not make features better.",
            "figure 6, section 3",
            f"k-NN score of {deit}'s features from WT, at half of its depth minus at "
            "its end",
            "of the metric",
            "at_least",
            lambda e: ask.knn_gap(e, deit, 0.5, 1.0),
        ),
        Claim(
            "CNN features get better up to the last stage.",
            "figure 6, section 3",
            f"k-NN score of {cnn}'s features from WT, at its end minus at half of its "
            "depth",
            "of the metric",
            "above",
            lambda e: ask.knn_gap(e, cnn, 1.0, 0.5),
        ),
        Claim(
            "Larger models gain more.",
            "figure 7, section 3",
            "WT / RI of "
            + "; of ".join(f"{f[-1]} minus {f[0]}" for f in families)
            + ", mean over families",
            "of RI",
            "above",
            ask.with_capacity,
        ),
        Claim(
            "Convergence speeds up with each stage transferred.",
            "figure 8, section 3",
            "rank correlation of the share of stages transferred with the validation "
            f"metric while random weights learn, mean over models, {converging}",
            "rank correlation",
            "above",
            ask.speeds_up,
        ),
        Claim(
            "Only transferred weights look near in early blocks.",
            "appendix E",
            f"pixels that the nearest-looking head of {deit}'s first block looks at, "
            "ST minus WT",
            "px",
            "above",
            lambda e: ask.looks(e, scale.statistics) - ask.looks(e, WEIGHTS),
        ),
        Claim(
            "Five of DeiT's twelve blocks are enough.",
            "appendix I",
            f"test metric of {fewest_blocks} minus {deit}, both from WT, mean over "
            + swept,
            "of the metric",
            "at_least",
            lambda e: ask.truncated(e, fewest_blocks),
        ),
    )


class _Questions:
    """The measurements that claims are put together from, at one scale."""

    def __init__(self, scale: Scale):
        from transfusion_tf.report import reuse_evidence

        self._scale = scale
        self._groups = scale.task_groups
        self._models = chapters.table1_models(scale)
        self._reuse = reuse_evidence

    def cell(self, task: str, model: str, start: str) -> tuple[RunConfig, ...]:
        """The runs of one cell of table 1."""
        return self._scale.runs((task,), (model,), (start,))

    def gain(self, evidence: Evidence, task: str, model: str) -> Quantity:
        """WT / RI of one cell."""
        return self._reuse.relative_gain(
            evidence, self.cell(task, model, WEIGHTS), self.cell(task, model, RANDOM)
        )

    def share(self, evidence: Evidence, task: str, model: str) -> Quantity:
        """(WT - ST) / WT of one cell."""
        return self._reuse.reuse_share(
            evidence,
            self.cell(task, model, WEIGHTS),
            self.cell(task, model, self._scale.statistics),
        )

    def excess(
        self, evidence: Evidence, tasks: Sequence[str], models: Sequence[str]
    ) -> Quantity:
        """WT / RI minus 1, mean over tasks and models; over seeds alone."""
        reuse = self._reuse
        gains = [self.gain(evidence, task, model) for task in tasks for model in models]
        mean = reuse.mean_over_tests([reuse.over_seeds(gain) for gain in gains])
        return type(mean)({seed: value - 1 for seed, value in mean.values.items()})

    def with_less_data(self, evidence: Evidence) -> Quantity:
        """Gain where data are few, minus gain where they are many."""
        few, many = self._groups["few"], self._groups["many"]
        self._check_different(few + many)
        return self.excess(evidence, few, self._models) - self.excess(
            evidence, many, self._models
        )

    def with_nearness(self, evidence: Evidence) -> Quantity:
        """Gain in the nearest data set minus that in the farthest."""
        scale = self._scale
        self._check_different(self._groups["alike"])
        cells = {
            task: self.cell(task, chapters.cnn(scale), WEIGHTS)
            for task in self._groups["alike"]
        }
        found = self._reuse.distances(evidence, cells)
        order = sorted(found, key=lambda task: found[task])
        return self.excess(evidence, order[:1], self._models) - self.excess(
            evidence, order[-1:], self._models
        )

    def gains_go_with_reuse(self, evidence: Evidence) -> Quantity:
        """Rank correlation of both over all cells of table 1."""
        return self._reuse.rank_correlation(
            [
                (self.gain(evidence, task, model), self.share(evidence, task, model))
                for task in self._groups["main"]
                for model in self._models
            ]
        )

    def weights_over_statistics(self, evidence: Evidence, task: str) -> Quantity:
        """What weights add to statistics, minus what statistics add to nothing."""
        starts = chapters.starts(self._scale)
        found = []
        for model in self._models:
            random, statistics, weights = (
                evidence.test(self.cell(task, model, start)) for start in starts
            )
            found.append(weights - statistics - (statistics - random))
        return self._reuse.mean_over_tests(found)

    def early(self, evidence: Evidence, models: Sequence[str]) -> Quantity:
        """How far the sweeps of these models lie above the line, mean."""
        scale = self._scale
        found = []
        for task in self._groups["sweep"]:
            for model in models:
                levels = zip(
                    chapters.fractions(scale, model),
                    (
                        evidence.test(self.cell(task, model, start))
                        for start in chapters.sweep(scale, model)
                    ),
                    strict=True,
                )
                found.append(self._reuse.above_the_line(list(levels)))
        return self._reuse.mean_over_tests(found)

    def alike_after(self, evidence: Evidence, model: str) -> Quantity:
        """CKA between runs from ST and from WT, layer by layer."""
        task = self._groups["sweep"][0]
        return self._reuse.alike_after(
            evidence,
            self.cell(task, model, self._scale.statistics),
            self.cell(task, model, WEIGHTS),
        )

    def stays_closer(self, evidence: Evidence) -> Quantity:
        """1 minus the distance travelled from WT over that from ST, mean."""
        reuse, scale = self._reuse, self._scale
        ratios = []
        for task in self._groups["sweep"]:
            for model in self._models:
                weights, statistics = (
                    reuse.of_runs(
                        evidence,
                        self.cell(task, model, start),
                        "travel",
                        reuse.travelled,
                    )
                    for start in (WEIGHTS, scale.statistics)
                )
                ratios.append(reuse.ratio(weights, statistics))
        mean = reuse.mean_over_tests(ratios)
        return type(mean)({seed: 1 - value for seed, value in mean.values.items()})

    def fewer_critical(self, evidence: Evidence) -> Quantity:
        """Mean drop of layers set back, ST minus WT, mean over models."""
        reuse, scale = self._reuse, self._scale
        task = self._groups["sweep"][0]
        drops = [
            [
                reuse.of_runs(
                    evidence,
                    self.cell(task, model, start),
                    "robustness",
                    reuse.mean_drop,
                )
                for start in (scale.statistics, WEIGHTS)
            ]
            for model in self._models
        ]
        return reuse.mean_over_tests([st - wt for st, wt in drops])

    def knn_gap(
        self, evidence: Evidence, model: str, depth: float, other: float
    ) -> Quantity:
        """k-NN score at one depth minus that at another, from WT."""
        cell = self.cell(self._groups["sweep"][0], model, WEIGHTS)
        score = self._reuse.knn_score
        return self._reuse.of_runs(
            evidence, cell, "knn", lambda rows: score(rows, depth) - score(rows, other)
        )

    def with_capacity(self, evidence: Evidence) -> Quantity:
        """Gain of a family's largest model minus that of its smallest, mean."""
        tasks = self._groups["sweep"]
        return self._reuse.mean_over_tests(
            [
                self.excess(evidence, tasks, family[-1:])
                - self.excess(evidence, tasks, family[:1])
                for family in chapters.families(self._scale)
            ]
        )

    def speeds_up(self, evidence: Evidence) -> Quantity:
        """Rank correlation of fraction transferred and speed, mean over models."""
        from transfusion_tf.evaluation import Quantity

        scale = self._scale
        found = []
        for model in self._models:
            cells = {
                start: scale.runs(self._groups["convergence"], (model,), (start,))
                for start in (RANDOM, *chapters.sweep(scale, model))
            }
            pairs = []
            for share, start in zip(
                chapters.fractions(scale, model),
                chapters.sweep(scale, model),
                strict=True,
            ):
                metric = evidence.while_learning(cells[start], cells[RANDOM])
                same = Quantity(dict.fromkeys(metric.values, share))
                pairs.append((same, metric))
            found.append(self._reuse.rank_correlation(pairs))
        return self._reuse.mean_over_tests(found)

    def looks(self, evidence: Evidence, start: str) -> Quantity:
        """Pixels that the nearest-looking head of the first block looks at."""
        cell = self.cell(self._groups["sweep"][0], chapters.deit(self._scale), start)
        return self._reuse.of_runs(
            evidence, cell, "attention", self._reuse.nearest_head
        )

    def truncated(self, evidence: Evidence, model: str) -> Quantity:
        """Test metric of a cut model minus that of the whole, mean over tasks."""
        return self._reuse.mean_over_tests(
            [
                evidence.test(self.cell(task, model, WEIGHTS))
                - evidence.test(self.cell(task, chapters.deit(self._scale), WEIGHTS))
                for task in self._groups["sweep"]
            ]
        )

    def _check_different(self, tasks: Sequence[str]) -> None:
        """Raises where the user's own data stand for several of the paper's sets."""
        from transfusion_tf.report.evidence import MissingEvidenceError

        chosen = [self._scale.tasks[task].base for task in tasks]
        if len(set(chosen)) < len(chosen):
            raise MissingEvidenceError("one data set stands for several of the paper's")


def _listed(models: Sequence[str]) -> str:
    return " and ".join(models)
