"""The folder in which one run lives: names, formats, safe writing, reading."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.training.config import RunConfig


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """Reads and writes `<root>/runs/<run id>/`.

    | file | content |
    |---|---|
    | `config.json` | the resolved `RunConfig` |
    | `status.json` | state, step, best step, speed, versions; SHA-256 of weights |
    | `dataset.json` | what the card says and the counts by split and class |
    | `samples.npz` | a few training images of each class, as stored |
    | `initialization.csv` | what `initialize` did to every tensor |
    | `metrics.jsonl` | one line an evaluation, `step` unique and rising |
    | `timing.jsonl` | seconds spent by then; apart, so that metrics repeat exactly |
    | `predictions.parquet` | of the best weights, on validation and test |
    | `first_layer.npz` | kernels of the first convolution: `initial`, `best`, `final` |
    | `final.keras` | the last weights, in the whole model |
    | `best.weights.h5` | the best weights, where they are not the last |
    | `initial.weights.h5` | the first ones, where asked for; else their hash is known |
    | `state/` | what resuming needs; removed when the run is finished |
    | `events/` | TensorBoard |
    """

    path: Path

    def __init__(self, path: str | Path):
        object.__setattr__(self, "path", Path(path))

    @property
    def initial_weights(self) -> Path:
        """Weights before the first step, where they are kept.

        `transfusion_tf.training.weights.load_run_weights` makes them again elsewhere.
        """
        return self.path / "initial.weights.h5"

    @property
    def best_weights(self) -> Path:
        """Weights at the best evaluation on the validation split.

        Where that was the last evaluation, they are in the final model alone.
        """
        own = self.path / "best.weights.h5"
        if not own.exists() and self.finished():
            status = self.status()
            if status["best_step"] == status["step"]:
                return self.final_model
        return own

    @property
    def final_model(self) -> Path:
        """The whole model after the last step."""
        return self.path / "final.keras"

    @property
    def events(self) -> Path:
        """TensorBoard's folder."""
        return self.path / "events"

    @property
    def state(self) -> Path:
        """What resuming needs."""
        return self.path / "state"

    def exists(self) -> bool:
        """Whether a run was ever begun here."""
        return (self.path / "config.json").exists()

    def finished(self) -> bool:
        """Whether the run here came to its end and left its results."""
        return self.exists() and self.status().get("state") == "finished"

    # Reading.

    def config(self) -> RunConfig:
        """The resolved config. Raises UserError where there is no run."""
        if not self.exists():
            raise UserError(f"{self.path} is not a run directory: no config.json in it")
        values = files.read_json(self.path / "config.json")
        try:
            return RunConfig.from_dict(values)
        except TypeError as error:
            raise UserError(
                f"{self.path / 'config.json'} is no run's config: {error}"
            ) from error

    def status(self) -> dict[str, Any]:
        """The last status; `{"state": "new"}` before the first."""
        path = self.path / "status.json"
        return files.read_json(path) if path.exists() else {"state": "new"}

    def dataset(self) -> dict[str, Any]:
        """`name title kind classes referable_from metric image_size counts ...`."""
        return files.read_json(self.path / "dataset.json")

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, h, w, 3] and labels float32 [n, classes]."""
        arrays = files.read_arrays(self.path / "samples.npz")
        return arrays["images"], arrays["labels"]

    def initialization(self) -> pd.DataFrame:
        """A row a tensor: what it was set to and by which scheme."""
        return pd.read_csv(self.path / "initialization.csv")

    def metrics(self) -> pd.DataFrame:
        """A row an evaluation: `step`, `epoch`, `train/loss`, `validation/...`."""
        return _read_lines(self.path / "metrics.jsonl")

    def timing(self) -> pd.DataFrame:
        """A row an evaluation: `step`, `train_seconds`, `evaluation_seconds`."""
        return _read_lines(self.path / "timing.jsonl")

    def predictions(self, split: str) -> pd.DataFrame:
        """A row an example of `split` (`validation` or `test`).

        Columns: `example_id patient_id split`, and for every class in the card's
        order `label/<class>` (float, NaN where unlabelled) and
        `probability/<class>` in [0, 1].
        """
        table = pd.read_parquet(self.path / "predictions.parquet")
        return table[table["split"] == split].reset_index(drop=True)

    def weights_file(self, weights: str) -> Path:
        """The file of the `initial`, `best` or `final` weights, which may not exist."""
        files_of = {
            "initial": self.initial_weights,
            "best": self.best_weights,
            "final": self.final_model,
        }
        return files_of[weights]

    def first_layer(self, trained: str = "final") -> tuple[np.ndarray, np.ndarray]:
        """First convolution's kernel [h, w, in, out] before and after training.

        While the run goes on, the start stands for both.

        Args:
          trained: what is meant by after: `final`, `best`, or `initial` again.

        Raises:
          UserError: an earlier version left the run, without these.
        """
        arrays = files.read_arrays(self.path / "first_layer.npz")
        if trained not in arrays and self.finished():
            raise UserError(
                f"{self.path / 'first_layer.npz'} has no {trained} filters: the run is "
                "of an earlier version. Train it again, or give --trained_weights=best"
            )
        return arrays["initial"], arrays.get(trained, arrays["initial"])

    def intact(self, file: Path) -> Path:
        """`file`, one of the run's own, if it is what the finished run left.

        Raises:
          UserError: its SHA-256 is not the one in the status.
        """
        expected = self.status().get("sha256", {}).get(file.name)
        found = None if expected is None else files.sha256(file)
        if found != expected:
            raise UserError(
                f"{file} is not the file that the run left: its SHA-256 is {found}, "
                f"not {expected}. Restore it, or train the run again"
            )
        return file

    # Writing.

    def write_config(self, config: RunConfig) -> None:
        """Makes the folder a run directory; what a killed process left half is gone."""
        for folder in (self.path, self.state):
            files.remove_leftovers(folder)
        files.write_json(self.path / "config.json", config.to_dict())

    def update_status(self, **values: Any) -> None:
        """Changes some values of the status, keeps the rest."""
        if values.get("state") == "finished":
            weights = ("initial.weights.h5", "best.weights.h5", "final.keras")
            kept = [self.path / name for name in ("config.json", *weights)]
            values["sha256"] = {f.name: files.sha256(f) for f in kept if f.exists()}
        files.write_json(self.path / "status.json", {**self.status(), **values})

    def write_dataset(self, values: Mapping[str, Any]) -> None:
        """What the report says about the data."""
        files.write_json(self.path / "dataset.json", dict(values))

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Writes `<name>.npz`."""
        with files.replacing(self.path / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Writes a table; `.csv` or `.parquet` by the name."""
        with files.replacing(self.path / name) as temporary:
            if name.endswith(".parquet"):
                table.to_parquet(temporary, index=False)
            else:
                table.to_csv(temporary, index=False)

    def write_lines(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        """Writes all lines of a `.jsonl`; a few hundred lines, so always whole."""
        text = "".join(json.dumps(dict(line), allow_nan=False) + "\n" for line in lines)
        files.write_text(self.path / name, text)


def _read_lines(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame()
    with path.open(encoding="utf-8") as lines:
        return pd.DataFrame([json.loads(line) for line in lines])


def run_seconds(status: Mapping[str, Any]) -> float:
    """What training and evaluating took, as a run's status says."""
    keys = ("train_seconds", "evaluation_seconds")
    return float(sum(status.get(key) or 0 for key in keys))
