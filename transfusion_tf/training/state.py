"""All that a run needs to go on exactly where it was, in one file.

`tf.train.Checkpoint` and `save_weights` leave out the state of dropout's seed
generator; here every variable of model and optimizer is stored, in order, with the
loop's own progress. The file of the evaluation before is kept: a damaged last one
costs an interval, not the run.
"""

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfusion_tf import files
from transfusion_tf.errors import UserError


@dataclasses.dataclass
class Progress:
    """Where the loop is. The position in the data follows from `step` alone."""

    step: int = 0
    best_step: int = -1
    best_metric: float = float("-inf")
    evaluations_without_gain: int = 0
    # Losses of the steps since the last evaluation.
    losses: list[float] = dataclasses.field(default_factory=list)
    train_seconds: float = 0.0
    wait_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    metrics: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    timing: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class StateFiles:
    """`latest.npz` and `previous.npz` in a run's `state/` folder."""

    def __init__(self, folder: Path):
        self._latest = folder / "latest.npz"
        self._previous = folder / "previous.npz"

    def save(self, variables: list[keras.Variable], progress: Progress) -> None:
        """Writes the state; the one before becomes `previous.npz`."""
        arrays = {
            f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)
        }
        text = json.dumps(dataclasses.asdict(progress))
        with files.replacing(self._latest) as temporary:
            np.savez(temporary, progress=np.array(text), **arrays)
            if self._latest.exists():
                # A hard link: at every moment there is a whole latest.npz.
                self._previous.unlink(missing_ok=True)
                self._previous.hardlink_to(self._latest)

    def load(self, variables: list[keras.Variable]) -> tuple[Progress | None, str]:
        """Restores the newest state that is whole.

        Returns:
          The progress, or None where nothing was saved; and a message where the
          newest file was damaged.

        Raises:
          UserError: the state belongs to another model.
        """
        message = ""
        for file in (self._latest, self._previous):
            if not file.exists():
                continue
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    progress = Progress(**json.loads(str(arrays["progress"])))
                    values = [arrays[f"v{i}"] for i in range(len(arrays.files) - 1)]
            except (
                OSError,
                ValueError,
                KeyError,
                TypeError,
                EOFError,
                zipfile.BadZipFile,
            ) as error:
                message = f"{file.name} is damaged ({error}); "
                continue
            _assign(variables, values, file)
            return progress, message and message + f"went back to {file.name}"
        return None, message and message + "started again from step 0"

    def remove(self) -> None:
        """Deletes the folder, once the run is finished."""
        shutil.rmtree(self._latest.parent, ignore_errors=True)


def _assign(
    variables: list[keras.Variable], values: list[np.ndarray], file: Path
) -> None:
    ours = [tuple(variable.shape) for variable in variables]
    theirs = [value.shape for value in values]
    if ours != theirs:
        raise UserError(f"{file} belongs to another model; remove the run's folder")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
