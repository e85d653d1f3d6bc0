"""A planted cross-validation of two donors on two targets, as a study leaves it."""

import dataclasses
import itertools

import numpy as np
import pandas as pd

from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.studies.measurements.first_layer_gabors import initial_gabors
from transfusion_tf.studies.measurements.prediction_agreement import compare_mistakes

NATURAL, MEDICAL = "photographs", "phantom_chest_donor"
TARGETS = {"retina": "Phantom retina: drawn", "skin": "Phantom skin: drawn"}
# The views that have a chapter here.
VIEWS = (
    *("targets", "donor_accuracy", "donor_similarity", "donor_filters"),
    *("mistakes", "gain_and_similarity"),
)
STAGES = ("pool1", "pool2", "pool3", "pool4")
FOLDS = (0, 1, 2)
# How well each start learns, and how much of its start it keeps.
SIGNALS = {
    (None, False): 0.6,
    (NATURAL, False): 2.0,
    (NATURAL, True): 1.8,
    (MEDICAL, False): 1.2,
    (MEDICAL, True): 1.0,
}
KEPT = {NATURAL: 0.9, MEDICAL: 0.7}
BEFORE, AFTER, RANDOM = 0.6, 0.4, 0.5
PAIR = {"model": "cbr_tiny", "pair": "transfer – transfer"}


class PlantedDonors:
    """Writes the runs, the analyses and a chapter of every view of donors.

    Args:
      study: the class `PlantedStudy`.
      plant: the class `Plant`.
      root: an empty folder.
    """

    def __init__(self, study, plant, root):
        self.root = root
        self.ids, self.gray = {}, MEDICAL
        self.donors = [self._donor(study, name) for name in (NATURAL, MEDICAL)]
        self.runs = []
        for number, (dataset, title) in enumerate(TARGETS.items()):
            planted = study(
                root, patients=60, dataset={"name": dataset, "title": title}
            )
            for (donor, first), signal in SIGNALS.items():
                for fold in FOLDS:
                    noise = plant(signal - 0.2 * number, 60, 0.1)
                    self._run(planted, dataset, donor, first, fold, noise)
        self._study = planted
        self.analyses = self._analyses()

    def write(self, chapters=None):
        """Writes the study with these chapters, by default all; returns its folder."""
        self._study.runs = self.runs
        self._study.donors = self.donors
        return self._study.write(chapters=chapters or self.chapters())

    def chapters(self):
        """One of every view."""
        whole = self.of(first=False)
        everything = list(self.ids.values())
        kinds = ("before_after", "fold_initial", "fold_trained", "random_initial")
        return [
            chapter("table1", "targets", everything),
            chapter(
                "table2",
                "donor_accuracy",
                everything,
                published=[
                    {
                        **{"dataset": "retina", "initialization": "random"},
                        **{"quantity": "test", "value": 0.529, "spread": 0.051},
                    }
                ],
            ),
            chapter("figure2", "targets", everything, options={"samples": True}),
            chapter(
                "figure3",
                "donor_similarity",
                whole,
                analyses={kind: [f"analyses/{kind}-0.csv"] for kind in kinds},
            ),
            chapter(
                "figure4",
                "donor_filters",
                whole,
                analyses={"gabors": ["analyses/gabors-0.csv"]},
            ),
            chapter(
                "figure5",
                "mistakes",
                whole,
                analyses={"agreement": ["analyses/agreement-0.csv"]},
            ),
            chapter(
                "figure6",
                "gain_and_similarity",
                everything,
                analyses={"before_after": ["analyses/before_after-0.csv"]},
            ),
        ]

    def of(self, **wanted):
        """Run ids with these values of `dataset`, `donor`, `first`, `fold`."""
        names = ("dataset", "donor", "first", "fold")
        return [
            run
            for key, run in self.ids.items()
            if wanted.items() <= dict(zip(names, key, strict=True)).items()
        ]

    def _donor(self, study, name):
        planted = study(self.root, dataset={"name": name, "title": f"About {name}"})
        run = planted.add("cbr_tiny", "random", 10_007, _Signal(2.5), dataset=name)
        if name == self.gray:
            images, labels = run.samples()
            run.write_arrays(
                "samples", images=images[..., :1].repeat(3, axis=-1), labels=labels
            )
        return run.path.name

    def _run(self, planted, dataset, donor, first, fold, plant):
        options = {"fold": fold, "folds": len(FOLDS), "head_steps": 50 if first else 0}
        name = self.donors[(NATURAL, MEDICAL).index(donor)] if donor else None
        config = planted.config

        def with_donor(*arguments, **more):
            made = config(*arguments, **more)
            return made.replace(
                donor=name and str(self.root / "runs" / name), donor_weights=name
            )

        planted.config = with_donor
        start = "transfer" if donor else "random"
        run = planted.add("cbr_tiny", start, fold, plant, dataset=dataset, **options)
        planted.config = config
        self._plant_filters(run, donor)
        self.ids[(dataset, donor, first, fold)] = run.path.name
        self.runs.append(run.path.name)

    def _plant_filters(self, run, donor):
        """Gabors for the natural donor, noise for the rest; few, to be fitted fast."""
        bank = gabor_filter_bank()[::16].transpose(1, 2, 0)[:, :, None]
        noise = np.random.default_rng(0).normal(size=(7, 7, 3, 4))
        initial = bank.repeat(3, axis=2) if donor == NATURAL else noise
        run.write_arrays("first_layer", initial=initial, final=initial)

    def _analyses(self):
        folder = self.root / "analyses"
        folder.mkdir()
        moved, initial, best, random = [], [], [], []
        for (dataset, donor, first, fold), run in self.ids.items():
            if donor is None:
                continue
            for stage, repeat in itertools.product(range(4), range(2)):
                kept = KEPT[donor] - 0.1 * stage + 0.02 * fold + 0.01 * first
                moved.append({"run": run} | score(stage, repeat, kept))
            if donor == NATURAL and not first:
                other = self.ids[(dataset, MEDICAL, False, fold)]
                keys = {"run_a": run, "run_b": other, **PAIR}
                for stage in range(4):
                    initial.append(keys | score(stage, 0, BEFORE + 0.01 * fold))
                    best.append(keys | score(stage, 0, AFTER + 0.02 * fold))
        for dataset in TARGETS:
            runs = self.of(dataset=dataset, donor=None)
            for a, b in itertools.combinations(runs, 2):
                keys = {"run_a": a, "run_b": b, **PAIR}
                random += [keys | score(stage, 0, RANDOM) for stage in range(4)]
        tables = {
            "before_after": moved,
            "fold_initial": initial,
            "fold_trained": best,
            "random_initial": random,
        }
        tables = {name: pd.DataFrame(rows) for name, rows in tables.items()}
        tables["agreement"] = pd.concat(
            compare_mistakes(*(self.root / "runs" / run for run in pair))
            for dataset, fold in itertools.product(TARGETS, FOLDS)
            for pair in itertools.combinations(
                self.of(dataset=dataset, fold=fold, first=False), 2
            )
        )
        # Those that are shown: of the first target's first fold.
        shown = self.of(dataset=next(iter(TARGETS)), first=False, fold=0)
        tables["gabors"] = pd.concat(
            initial_gabors(self.root / "runs" / run) for run in shown
        )
        for name, table in tables.items():
            table.to_csv(folder / f"{name}-0.csv", index=False)
        return [f"analyses/{name}-0.csv" for name in tables]


@dataclasses.dataclass(frozen=True)
class _Signal:
    signal: float
    tau: float = 60.0
    seed_spread: float = 0.0


def chapter(name, view, runs, **fields):
    """A chapter as `study.json` has it."""
    return {
        **{"name": name, "title": f"About {name}", "text": "What it shows."},
        **{"view": view, "runs": runs, **fields},
    }


def score(stage, repeat, value):
    """The columns of a comparison."""
    return {
        **{"repeat": repeat, "stage": STAGES[stage], "measure": "cca"},
        **{"value": value, "noise_floor": 0.1},
        **{"rank_x": 32, "rank_y": 32, "points": 5000},
    }
