"""A planted study after a paper: runs, analyses and a chapter of every view."""

import itertools

import numpy as np
import pandas as pd

from transfusion_tf.studies.measurements.first_layer_gabors import (
    gabor_changes,
    initial_gabors,
)

MODELS = ("cbr_tiny", "cbr_small")
SLIM = "cbr_small[slim_after=pool2,width=0.5]"
STAGES = ("pool1", "pool2", "pool3", "pool4")
SEEDS = (0, 1, 2)
# Mean CCA at the lowest stage and what each further stage takes off, by kind of pair.
CCA = {
    "random – random": (0.70, 0.09),
    "random – transfer": (0.62, 0.07),
    "transfer – transfer": (0.90, 0.14),
}


class PlantedChapters:
    """Writes a study whose every chapter has something to show.

    Args:
      study: an empty `PlantedStudy`.
      plant: the class `Plant`.
    """

    def __init__(self, study, plant):
        self.study, self.root = study, study.root
        self.plant = plant
        self.ids = {}
        self._run_grid()
        self._run_frozen()
        self.study.add_donor()
        self.analyses = self._analyses()

    def chapters(self):
        """All of them, a list as `study.json` has it."""
        both = self._runs(MODELS, ("random", "transfer"))
        population = {"population_trained": ["analyses/best.csv"]}
        return [
            chapter(
                "table1",
                "accuracy",
                both,
                published=[
                    paper("cbr_tiny", "random", "test", 0.958, spread=0.0003),
                    paper("resnet50", "random", "test", 0.964),
                ],
            ),
            chapter("table2", "accuracy", both, options={"by_class": True}),
            chapter(
                "table4",
                "data_sizes",
                both + self._runs(MODELS[:1], ("random", "transfer"), size=100),
                notes=["100 images stand for 5,000."],
            ),
            chapter(
                "table5",
                "similarity_by_start",
                both,
                analyses=population,
                published=[
                    {
                        **{"model": "cbr_small", "stage": "pool1", "quantity": "cca"},
                        **{"pair": "random – random", "value": 0.723},
                    }
                ],
            ),
            chapter("figure2", "similarity_of_starts", both, analyses=population),
            chapter(
                "figure3",
                "before_and_after",
                both,
                analyses={"before_after": ["analyses/before_after.csv"]},
            ),
            chapter(
                "figure4",
                "start_and_end",
                both,
                analyses=population | {"population_initial": ["analyses/initial.csv"]},
            ),
            chapter(
                "figure5",
                "filters",
                self._runs(MODELS, ("random", "transfer")),
                analyses={"gabor_changes": ["analyses/gabor_changes.csv"]},
            ),
            chapter(
                "figure6",
                "convergence",
                self._runs(MODELS, ("random", "mean_var", "transfer")),
            ),
            chapter(
                "figure7",
                "stages",
                self._runs(
                    MODELS[:1],
                    ("transfer", "transfer:pool3", "random", "transfer:pool1"),
                ),
            ),
            chapter(
                "figure8",
                "convergence",
                self._runs(("cbr_small", SLIM), ("random", "transfer"))
                + self._runs((SLIM,), ("transfer:pool2",)),
                options={"together": True},
            ),
            chapter("figure12", "frozen", self._frozen, options={"by_class": True}),
            chapter(
                "figure14",
                "filters",
                self._runs(MODELS[:1], ("random", "mean_var")),
                options={"histogram": True},
                analyses={"gabors": ["analyses/gabors.csv"]},
            ),
            chapter(
                "figure16",
                "convergence",
                self._runs(MODELS[:1], ("random", "mean_var", "transfer")),
                options={"by_class": True},
            ),
            chapter("figure21", "gabor_bank", []),
            chapter("differences", "differences", both),
        ]

    def write(self, **values):
        """Writes the study; returns its folder."""
        return self.study.write(**{"chapters": self.chapters(), **values})

    def _add(self, model, start, seed, plant, **options):
        run = self.study.add(model, start, seed, plant, **options)
        run.write_lines("metrics.jsonl", _with_classes(run.metrics()))
        self.ids[(model, start, seed, *options.values())] = run.path.name
        return run.path.name

    def _run_grid(self):
        taus = {"random": 90, "mean_var": 60, "transfer:pool1": 45}
        taus |= {"transfer:pool3": 36, "transfer": 30}
        starts = {
            "cbr_tiny": tuple(taus),
            "cbr_small": ("random", "mean_var", "transfer"),
            SLIM: ("transfer:pool2",),
        }
        for model, names in starts.items():
            for start, seed in itertools.product(names, SEEDS):
                signal = 1.0 if start == "random" else 2.0
                self._add(model, start, seed, self.plant(signal, taus.get(start, 33)))
        for start, seed in itertools.product(("random", "transfer"), SEEDS):
            plant = self.plant(0.5 if start == "random" else 1.5, 60)
            self._add("cbr_tiny", start, seed, plant, train_examples=100)

    def _run_frozen(self):
        self._frozen = []
        for depth, stage in enumerate(STAGES):
            signals = {"random": 0.8, f"transfer:{stage}": 1.6, "transfer": 1.8}
            if stage == STAGES[-1]:
                del signals[f"transfer:{stage}"]
            for (start, signal), seed in itertools.product(signals.items(), SEEDS[:2]):
                plant = self.plant(signal - 0.15 * depth, 60)
                run = self._add("cbr_tiny", start, seed, plant, freeze=stage)
                self._frozen.append(run)

    def _runs(self, models, starts, size=None):
        keys = itertools.product(models, starts, SEEDS)
        return [
            self.ids[key + ((size,) if size else ())]
            for key in keys
            if key + ((size,) if size else ()) in self.ids
        ]

    def _analyses(self):
        generator = np.random.default_rng(5)
        initial, best, moved = [], [], []
        for model in MODELS:
            runs = {
                self.ids[(model, start, seed)]: (start, seed)
                for start in ("random", "transfer")
                for seed in SEEDS
            }
            for (a, start_a), (b, start_b) in itertools.combinations(runs.items(), 2):
                pair = " – ".join(sorted((start_a[0], start_b[0])))
                own = 0.03 * generator.normal()
                for stage, repeat in itertools.product(range(4), range(2)):
                    top, slope = CCA[pair]
                    noise = 0.002 * generator.normal()
                    same = start_a[0] == start_b[0] == "transfer"
                    at_start = 1.0 if same else 0.5 + own - 0.02 * stage
                    keys = {"run_a": a, "run_b": b, "model": model, "pair": pair}
                    initial.append(keys | score(stage, repeat, at_start))
                    value = top - slope * stage + 0.8 * own + noise
                    best.append(keys | score(stage, repeat, value))
            for run, (start, seed) in runs.items():
                kept = 0.95 if start == "transfer" else 0.85
                for stage, repeat in itertools.product(range(4), range(2)):
                    value = kept - 0.1 * stage + 0.01 * seed
                    moved.append({"run": run} | score(stage, repeat, value))
        folder = self.root / "analyses"
        folder.mkdir()
        for name, rows in (
            ("initial", initial),
            ("best", best),
            ("before_after", moved),
        ):
            pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
        self._fit_gabors(folder)
        return {"initial": initial, "best": best, "before_after": moved}

    def _fit_gabors(self, folder):
        """Of the runs that are shown, which is the lowest seed of each start."""
        for name, fit, models, starts in (
            ("gabor_changes", gabor_changes, MODELS, ("random", "transfer")),
            ("gabors", initial_gabors, MODELS[:1], ("random", "mean_var")),
        ):
            runs = [
                self.root / "runs" / self.ids[(model, start, SEEDS[0])]
                for model, start in itertools.product(models, starts)
            ]
            table = pd.concat([fit(run) for run in runs])
            table.to_csv(folder / f"{name}.csv", index=False)


def chapter(name, view, runs, **fields):
    """A chapter as `study.json` has it."""
    return {
        **{"name": name, "title": f"About {name}", "text": "What it shows."},
        **{"view": view, "runs": runs, **fields},
    }


def paper(model, initialization, quantity, value, **fields):
    """A row of the paper's own numbers."""
    return {
        **{"model": model, "initialization": initialization},
        **{"quantity": quantity, "value": value, **fields},
    }


def score(stage, repeat, value):
    """The columns of a comparison."""
    return {
        **{"repeat": repeat, "stage": STAGES[stage], "measure": "cca"},
        **{"value": value, "noise_floor": 0.1 + 0.01 * stage},
        **{"rank_x": 32, "rank_y": 32, "points": 5000},
    }


def _with_classes(metrics):
    """The evaluations with an AUC a class, some sooner and some later."""
    classes = ("none", "mild", "moderate", "severe", "proliferative")
    lines = metrics.to_dict("records")
    for line in lines:
        for index, name in enumerate(classes):
            gain = line["validation/referable_auc"] - 0.5
            line[f"validation/auc/{name}"] = 0.5 + gain * (0.6 + 0.1 * index)
    return lines
