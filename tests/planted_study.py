"""Studies with planted results, written as the training loop writes them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import compute_metrics, prediction_table
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.run_directory import RunDirectory

CLASSES = ("none", "mild", "moderate", "severe", "proliferative")
PARAMETERS = {"cbr_tiny": 1_081_000, "cbr_small": 2_114_000, "cbr_large_w": 8_441_000}


@dataclasses.dataclass(frozen=True)
class Plant:
    """What one initialization is made to do: signal on test, steps to learn."""

    signal: float = 1.5
    tau: float = 60.0
    seed_spread: float = 0.02


@dataclasses.dataclass
class PlantedStudy:
    """Writes a study of planted runs below `root`."""

    root: Path
    patients: int = 150
    steps: int = 300
    dataset: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.runs, self.donors, self.failed = [], [], []
        self.fold = ""
        self.dataset = {
            "name": "phantom_retina_64",
            "title": "Phantom retina, 64 pixels",
            "kind": "grade",
            "classes": list(CLASSES),
            "referable_from": 2,
            "metric": "referable_auc",
            "image_size": 64,
            "counts": {
                "train": self._counts(1200, 600),
                "validation": self._counts(200, 100),
                "test": self._counts(2 * self.patients, self.patients),
            },
            "source_note": "Drawn by this program; lesions are enlarged.",
            **self.dataset,
        }

    def add(self, model, initialization, seed, plant, **options):
        """A finished run whose test predictions and curves follow the plant."""
        config = self.config(model, initialization, seed, **options)
        run = RunDirectory(self.root / "runs" / config.run_id)
        # A text's own number, the same in every process.
        name = sum(map(ord, f"{model}{initialization}"))
        generator = np.random.default_rng([seed, name, config.train_examples or 0])
        signal = plant.signal + plant.seed_spread * generator.normal()
        tables = {
            split: self._predictions(split, signal, generator)
            for split in ("validation", "test")
        }
        lines = self._curve(tables["validation"], plant, generator)
        best = max(
            range(len(lines)), key=lambda i: lines[i]["validation/referable_auc"]
        )
        run.write_config(config)
        run.write_dataset(self.dataset)
        run.write_lines("metrics.jsonl", lines)
        run.write_table("predictions.parquet", pd.concat(tables.values()))
        run.write_arrays("samples", **self._samples())
        # Few: fitting Gabors to 32 filters takes seconds.
        initial = generator.normal(size=(5, 5, 3, 4)).astype(np.float32)
        moved = initial + 0.2 * generator.normal(size=initial.shape)
        run.write_arrays("first_layer", initial=initial, final=moved.astype(np.float32))
        run.write_table("initialization.csv", self._tensors(initialization))
        run.update_status(
            state="finished",
            step=config.steps,
            best_step=lines[best]["step"],
            best_validation=lines[best]["validation/referable_auc"],
            parameters=PARAMETERS.get(model, 500_000),
            parameters_table1=PARAMETERS.get(model, 500_000) - 5_000,
            train_seconds=48.2 + seed,
            evaluation_seconds=4.0,
            images_per_second=99.4,
            peak_memory_mib=1450,
            versions={"python": "3.12.1", "tensorflow": "2.21.0", "keras": "3.15.1"},
            machine="Linux, x86_64, 2 CPU cores",
            commit="0123abc",
        )
        self.runs.append(config.run_id)
        return run

    def add_donor(self, plant=Plant(2.5)):
        """A finished donor run on photographs."""
        run = self.add("cbr_tiny", "random", 99, plant, dataset="photographs")
        dataset = {**self.dataset, "name": "photographs", "title": "Photographs"}
        run.write_dataset(dataset)
        self.donors.append(self.runs.pop())

    def add_failed(self, model, initialization, seed, message):
        """A run that stopped with a message."""
        config = self.config(model, initialization, seed)
        run = RunDirectory(self.root / "runs" / config.run_id)
        run.write_config(config)
        run.update_status(state="failed", step=120, message=message)
        self.runs.append(config.run_id)
        self.failed.append({"run": config.run_id, "message": message})

    def grid(self, models, plants, seeds=(0, 1, 2), **options):
        """Every model from every initialization with every seed."""
        for model in models:
            for initialization, plant in plants.items():
                for seed in seeds:
                    self.add(model, initialization, seed, plant, **options)
        return self

    def add_folds(self, starts, folds=5):
        """Runs of a cross-validation, every fold with test patients of its own.

        Args:
          starts: initialization -> its signal, in the first fold; more in each further.
          folds: how many.
        """
        self.dataset["counts"]["train"]["images"] = 4 * 2 * self.patients
        for fold in range(folds):
            self.fold = f"fold{fold}-"
            for start, signal in starts.items():
                # The planted noise hangs on the seed.
                plant = Plant(signal + 0.1 * fold)
                self.add("cbr_tiny", start, 0, plant, fold=fold)
        self.fold = ""
        return self

    def config(
        self,
        model,
        initialization,
        seed,
        dataset=None,
        donor="photographs",
        **options,
    ):
        """The resolved config of a run."""
        return RunConfig(
            dataset=dataset or "phantom_retina_64",
            model=model,
            initialization=initialization,
            donor=None if initialization == "random" else donor,
            seed=seed,
            image_size=64,
            batch_size=16,
            steps=self.steps,
            eval_every=min(20, self.steps),
            metric="referable_auc",
            data=f"f00d{dataset or ''}",
            **options,
        )

    def write(self, **values) -> Path:
        """Writes `study.json`; returns the study's folder."""
        folder = self.root / "studies" / "planted"
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "name": "planted",
            "title": "Does transfer pay on small fundus images?",
            "command": "transfusion-study --dataset=phantom_retina_64 "
            "--models=cbr_tiny,cbr_small --initializations=random,transfer,mean_var "
            "--donor=photographs --seeds=3",
            "created": "2025-05-01T10:00:00+00:00",
            "commit": "0123abc",
            "versions": {"python": "3.12.1", "tensorflow": "2.21.0"},
            "runs": self.runs,
            "donor_runs": self.donors,
            "failed": self.failed,
            **values,
        }
        (folder / "study.json").write_text(json.dumps(content))
        return folder

    def _counts(self, images, patients):
        shares = np.array([50, 10, 20, 12, 8]) * images // 100
        classes = dict(zip(CLASSES, map(int, shares), strict=True))
        by_class = {name: -(-number // 2) for name, number in classes.items()}
        return {
            "images": images,
            "patients": patients,
            "classes": classes,
            "class_patients": by_class,
        }

    def _predictions(self, split, signal, generator):
        shared = np.random.default_rng(1 if split == "test" else 2)
        severity = np.repeat(shared.normal(size=self.patients), 2)
        noise = shared.normal(size=len(severity))
        grades = np.digitize(severity, [0, 0.3, 0.9, 1.4])
        score = signal * severity + noise + 0.15 * generator.normal(size=len(severity))
        logits = score[:, None] * np.linspace(-1, 1, 5) + [0, -2, -0.5, -0.8, -1]
        return prediction_table(
            [f"{self.fold}{split}{i}" for i in range(len(severity))],
            [f"{self.fold}{split}{i // 2}" for i in range(len(severity))],
            split,
            np.eye(5)[grades],
            1 / (1 + np.exp(-logits)),
            CLASSES,
        )

    def _curve(self, validation, plant, generator):
        labels = validation.filter(like="label/").to_numpy()
        outputs = validation.filter(like="probability/").to_numpy()
        end = compute_metrics(labels, outputs, CLASSES, "grade", 2)["referable_auc"]
        lines = []
        for step in range(0, self.steps + 1, min(20, self.steps)):
            learnt = 1 - np.exp(-step / plant.tau)
            noise = 0.006 * generator.normal() * (step > 0)
            value = min(0.5 + (end - 0.5) * learnt + noise, 1.0)
            lines.append(
                {
                    "step": step,
                    "epoch": step * 16 / 1200,
                    "train/loss": 0.7 - 0.4 * learnt,
                    "validation/loss": 0.7 - 0.35 * learnt,
                    "validation/referable_auc": value,
                    "validation/accuracy": 0.2 + 0.5 * learnt,
                }
            )
        return lines

    def _samples(self):
        images = np.random.default_rng(3).integers(0, 255, (20, 16, 16, 3), np.uint8)
        return {"images": images, "labels": np.eye(5, dtype=np.float32).repeat(4, 0)}

    def _tensors(self, initialization):
        rows = []
        for stage in ("pool1", "pool2", "pool3", "pool4", "head"):
            scheme = "random" if stage == "head" else initialization
            for tensor in ("conv/kernel", "bn/gamma", "bn/beta"):
                norm = tensor.startswith("bn") and scheme == "mean_var"
                rows.append(
                    {
                        "path": f"{stage}_{tensor}",
                        "stage": stage,
                        "shape": [5],
                        "scheme": "identity" if norm else scheme,
                        "mean": 0.0,
                        "std": 0.1,
                        "donor_mean": None,
                        "donor_std": None,
                    }
                )
        return pd.DataFrame(rows)
