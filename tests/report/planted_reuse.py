"""A planted study after the feature-reuse paper: runs, analyses, a chapter a view."""

import dataclasses
import itertools

import numpy as np
import pandas as pd

DEIT, CNN = "deit_mini", "cbr_tiny"
STAGES = {
    DEIT: ("patch_embed", "block1", "block2", "block3", "block4", "block5", "block6"),
    CNN: ("pool1", "pool2", "pool3", "pool4"),
}
LEVELS = {DEIT: ("block1", "block3"), CNN: ("pool2",)}
SEEDS = (0, 1, 2)
TASKS = {"phantom_skin_64": 200, "phantom_retina_64": 200}
FEW = 50
DISTANCES = {"phantom_skin_64": 20.0, "phantom_retina_64": 60.0}
CUT = "deit_mini[blocks=3]"
VIEWS = (
    *("starts", "gains", "sweep", "layer_similarity", "travel", "robustness"),
    *("knn_by_depth", "speed_up", "attention", "truncated"),
)


def travelled(run, layer, stage, distance):
    """A row of the analysis of travel: a layer of one tensor."""
    return {
        **{"run": run, "layer": layer, "unit": layer, "stage": stage},
        **{"tensor": f"{layer}/kernel", "size": 100, "l2": 1.0, "distance": distance},
        **{"rms": 0.1, "relative": 0.1, "normalization": False},
    }


def statistics(stage=None):
    return "mean_var" if stage is None else f"transfer:{stage}+mean_var"


def sweep(model):
    return (statistics(), *map(statistics, LEVELS[model]), "transfer")


def share(model, start):
    """Of the stages that begin with the donor's weights."""
    if start in ("mean_var", "transfer"):
        return float(start == "transfer")
    stage = start.removeprefix("transfer:").partition("+")[0]
    return (STAGES[model].index(stage) + 1) / len(STAGES[model])


class PlantedReuse:
    """Writes a study in which weights are worth more than statistics.

    Args:
      study: an empty `PlantedStudy`.
      plant: the class `Plant`.
    """

    def __init__(self, study, plant):
        self.study, self.root, self.plant = study, study.root, plant
        self.ids = {}
        for task, size in TASKS.items():
            for model in STAGES:
                for start in ("random", *sweep(model)):
                    self._add(task, size, model, start)
        for model, start in itertools.product(STAGES, ("random", "transfer")):
            self._add("phantom_retina_64", FEW, model, start)
        self._add("phantom_skin_64", 200, CUT, "transfer")
        self.analyses = self._analyses()

    def write(self):
        """Writes the study; returns its folder."""
        return self.study.write(chapters=self.chapters())

    def chapters(self):
        """One of every view of the paper."""
        main = [run for key, run in self.ids.items() if key[2] != CUT]
        swept = [
            run
            for (task, size, *_), run in self.ids.items()
            if task == "phantom_skin_64" and size == TASKS[task]
        ]
        whole = [run for run in swept if run in main]
        cut = [run for (_, _, model, _, _), run in self.ids.items() if model == CUT]
        deit = self.cell("phantom_skin_64", 200, DEIT, "transfer")
        published = [
            {
                **{"model": CNN, "initialization": "random", "quantity": "test"},
                **{"dataset": "phantom_skin_64", "value": 0.7},
            }
        ]
        return [
            self._chapter("table1", "starts", main, published=published),
            self._chapter("figure1", "gains", main, "frechet"),
            self._chapter("figure2", "sweep", main),
            self._chapter("figure3", "layer_similarity", whole, "layer_cka",
                          "layer_cka_pairs"),
            self._chapter("figure4", "travel", whole, "travel"),
            self._chapter("figure5", "robustness", whole, "robustness"),
            self._chapter("figure6", "knn_by_depth", whole, "knn"),
            self._chapter("figure8", "speed_up", whole),
            self._chapter("attention_distance", "attention", whole, "attention"),
            self._chapter("truncated_deit", "truncated", [*deit, *cut]),
        ]  # fmt: skip

    def cell(self, task, size, model, start):
        """Ids of a cell's runs."""
        return [self.ids[(task, size, model, start, seed)] for seed in SEEDS]

    def _chapter(self, name, view, runs, *analyses, **fields):
        return {
            **{"name": name, "title": f"About {name}", "text": "What it shows."},
            **{"view": view, "runs": runs, **fields},
            "analyses": {kind: [f"analyses/{kind}-x.csv"] for kind in analyses},
        }

    def _add(self, task, size, model, start):
        """Weights help, the more the nearer the domain is and the fewer images."""
        architecture = model.partition("[")[0]
        near = 1.0 if task == "phantom_skin_64" else 0.5
        worth = 0.0
        if start != "random":
            worth = near * (0.2 + 0.8 * share(architecture, start))
        worth *= 1.5 if size == FEW else 1.0
        signal = 0.6 + worth * (1.5 if architecture == DEIT else 0.8)
        plant = self.plant(signal, 90 - 50 * worth)
        # The rate from random weights is another one, as in the paper.
        rate = 3e-4 if start == "random" else 1e-4
        before = self.study.dataset
        self.study.dataset = {**before, "name": task, "title": task}
        for seed in SEEDS:
            run = self.study.add(
                model, start, seed, plant, dataset=task, train_examples=size,
                learning_rate=rate,
            )  # fmt: skip
            run.write_table("initialization.csv", self._tensors(architecture))
            self.ids[(task, size, model, start, seed)] = run.path.name
        self.study.dataset = before

    def _tensors(self, model):
        return pd.DataFrame(
            {
                "path": [f"{stage}/kernel" for stage in STAGES[model]],
                "stage": STAGES[model],
            }
        )

    def _analyses(self):
        rng = np.random.default_rng(3)
        tables = {"frechet": [], "layer_cka": [], "layer_cka_pairs": [], "travel": []}
        tables |= {"robustness": [], "knn": [], "attention": []}
        for name, distance in DISTANCES.items():
            row = {"dataset": name, "value": distance + 5, "corrected": distance}
            tables["frechet"].append(row | {"low": distance - 3, "high": distance + 3})
        for (task, size, model, start, seed), run in self.ids.items():
            if task != "phantom_skin_64" or start == "random" or model == CUT:
                continue
            names, kept = STAGES[model], share(model, start)
            # The head goes far from any start, and is to be left out.
            tables["travel"].append(travelled(run, "logits", "head", 1.0))
            for place, stage in enumerate(names):
                noise = 0.01 * rng.normal()
                part = {"run": run, "part": stage, "stage": stage, "position": place}
                tables["robustness"].append(
                    part | {"drop": 0.3 - 0.25 * kept + noise, "value": 0.6}
                )
                for tokens in ("class", "spatial", "both") if model == DEIT else (
                    "spatial",
                ):  # fmt: skip
                    score = 0.5 + 0.05 * place + 0.2 * kept + noise
                    tables["knn"].append(part | {"tokens": tokens, "value": score})
                distance = 1e-3 * (2 - kept) * (1 + place) * (1 + noise)
                tables["travel"].append(travelled(run, stage, stage, distance))
                if model == DEIT and place:
                    for head in range(4):
                        near = 6 if kept == 1 and place < 3 else 20
                        tables["attention"].append(
                            {
                                **{"run": run, "block": stage, "position": place - 1},
                                **{"head": head, "distance": near + 5 * head + noise},
                                "class_token_share": 0.1,
                            }
                        )
            if start == "transfer":
                pairs = _similarity(names, rng)
                tables["layer_cka"] += [{"run": run, **row} for row in pairs]
                other = self.ids[(task, size, model, "mean_var", seed)]
                ends = {"run_a": other, "run_b": run, "model": model}
                pairs = _similarity(names, rng)
                tables["layer_cka_pairs"] += [{**ends, **row} for row in pairs]
        folder = self.root / "analyses"
        folder.mkdir()
        found = {kind: pd.DataFrame(rows) for kind, rows in tables.items()}
        for kind, table in found.items():
            table.to_csv(folder / f"{kind}-x.csv", index=False)
        return found


def _similarity(names, rng):
    """Alike on the diagonal, less so the further up."""
    return [
        {
            **{"layer_a": a, "stage_a": a, "position_a": i},
            **{"layer_b": b, "stage_b": b, "position_b": j},
            "cka": np.exp(-abs(i - j)) * (1 - 0.1 * max(i, j)) + 0.01 * rng.random(),
        }
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    ]


def planted(planted_study, plant, root):
    """A planted study below a folder."""
    return PlantedReuse(dataclasses.replace(planted_study(root, patients=60)), plant)
