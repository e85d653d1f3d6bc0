"""All that a run needs to go on exactly where it was, in one file.

`tf.train.Checkpoint` and `save_weights` leave out the state of dropout's seed
generator; here every variable of model and optimizer is stored, in order, with the
loop's own progress. The file of the evaluation before is kept: a damaged last one
costs an interval, not the run.
"""

import dataclasses
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfusion_tf import files
from transfusion_tf.errors import UserError

# Of the progress, unpacked: that of 100 000 evaluations.
_MOST_BYTES = 1 << 28
# UserError and what JSON raises are ValueErrors.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error)


@dataclasses.dataclass
class Progress:
    """Where the loop is. The position in the data follows from `step` alone."""

    step: int = 0
    best_step: int = -1
    # What the best weights were chosen by, higher is better: a loss is negative.
    best_metric: float = float("-inf")
    evaluations_without_gain: int = 0
    # Of the head alone: its best accuracy, and evaluations since.
    best_head_accuracy: float = float("-inf")
    head_evaluations_without_gain: int = 0
    # Of the schedule `plateau`: evaluations since the last gain or plateau; plateaus.
    evaluations_on_plateau: int = 0
    plateaus: int = 0
    # Losses of the steps since the last evaluation.
    losses: list[float] = dataclasses.field(default_factory=list)
    train_seconds: float = 0.0
    # Of the steps whose speed was measured.
    timed_steps: int = 0
    timed_seconds: float = 0.0
    wait_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    peak_memory: dict[str, int] = dataclasses.field(default_factory=dict)
    metrics: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    timing: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class StateFiles:
    """`latest.npz`, `previous.npz` and `best.npz` in a run's `state/` folder."""

    def __init__(self, folder: Path):
        self._latest = folder / "latest.npz"
        self._previous = folder / "previous.npz"
        self._best = folder / "best.npz"
        # What was saved or loaded last.
        self._present = self._latest

    def save(self, variables: list[keras.Variable], progress: Progress) -> None:
        """Writes the state; the one before becomes `previous.npz`.

        Raises:
          UserError: a value is NaN or infinite, and nothing was written; or the disk
            is full or cannot be written to, and the state before is still there.
        """
        arrays = {
            f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)
        }
        _check_finite(variables, list(arrays.values()), progress.step)
        with files.replacing(self._latest) as temporary:
            np.savez(temporary, progress=_packed(progress, len(arrays)), **arrays)
            if self._latest.exists():
                self._keep_latest()
        self._present = self._latest

    def _keep_latest(self) -> None:
        self._previous.unlink(missing_ok=True)
        try:
            # So that at every moment there is a whole latest.npz.
            self._previous.hardlink_to(self._latest)
        except OSError:
            # There are file systems without hard links. For a moment there is only
            # previous.npz, which is as whole.
            self._latest.replace(self._previous)

    def keep_as_best(self) -> None:
        """Marks the state that was saved, or loaded, last as that of the best weights.

        Nothing is written but a name, where the file system has hard links.
        """
        with files.replacing(self._best) as temporary:
            try:
                temporary.hardlink_to(self._present)
            except OSError:
                shutil.copyfile(self._present, temporary)

    def load_best(self, variables: list[keras.Variable]) -> None:
        """Restores the variables as they were at the best evaluation.

        Raises:
          UserError: the file is gone or damaged.
        """
        try:
            _, values = read_state(self._best)
        except _DAMAGE as error:
            raise UserError(
                f"{self._best} can't be used ({error}); remove the run's folder and "
                "train it again"
            ) from error
        _assign(variables, values, self._best)

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
                progress, values = read_state(file)
            except _DAMAGE as error:
                message += f"{file.name} can't be used ({error}); "
                continue
            _assign(variables, values, file)
            self._present = file
            return progress, message and message + f"went back to {file.name}"
        return None, message and message + "started again from step 0"

    def remove(self) -> None:
        """Deletes the folder, once the run is finished."""
        shutil.rmtree(self._latest.parent, ignore_errors=True)


def _packed(progress: Progress, count: int) -> np.ndarray:
    # The count, for a damaged list of contents may hide an array.
    text = json.dumps({"variables": count, **dataclasses.asdict(progress)})
    return np.frombuffer(zlib.compress(text.encode()), np.uint8)


def read_state(file: Path) -> tuple[Progress, list[np.ndarray]]:
    """The progress, and the values of all variables in order, of one of the files.

    Where the file is damaged, UserError or another of `_DAMAGE`.
    """
    arrays = files.read_arrays(file)
    packed = arrays["progress"].tobytes()
    fields = json.loads(zlib.decompressobj().decompress(packed, _MOST_BYTES))
    values = [arrays[f"v{index}"] for index in range(fields.pop("variables"))]
    return Progress(**fields), values


def _check_finite(
    variables: list[keras.Variable], values: list[np.ndarray], step: int
) -> None:
    for variable, value in zip(variables, values, strict=True):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise UserError(
                f"{variable.path} is not finite after step {step}; a lower "
                "--learning_rate may help. The last good state is kept"
            )


def _assign(
    variables: list[keras.Variable], values: list[np.ndarray], file: Path
) -> None:
    ours = [tuple(variable.shape) for variable in variables]
    theirs = [value.shape for value in values]
    if ours != theirs:
        raise UserError(f"{file} belongs to another model; remove the run's folder")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
