"""From a finished run to a folder with its model for others, checked, and its card."""

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import labels_and_probabilities
from transfusion_tf.models.export_formats import (
    ExportFormat,
    Predict,
    export_format,
    loading_code,
)
from transfusion_tf.report.model_card import Export, model_card
from transfusion_tf.studies.measurements.run_images import run_dataset, run_split
from transfusion_tf.studies.measurements.run_models import load_run_model
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training import RunDirectory
from transfusion_tf_experiments.process import without_stderr

CARD = "model_card.md"
_FACTS = "export.json"
# Of probabilities. A run on a GPU, whose products have 10 bits of fraction, is held
# against a model that computes in float32.
_TOLERANCE, _COARSE_TOLERANCE = 1e-3, 0.03
_MOST_IMAGES, _BATCH = 512, 32
# Of the weights, that a converter has on the disk at once.
_COPIES = 4


@dataclasses.dataclass(frozen=True, eq=False)
class _Reference:
    """Pixels, and what should come out.

    Attributes:
      images: `[images, height, width, 3]` in [0, 255], RGB.
      expected: Probabilities `[images, classes]`.
      against: What these are, in words.
      tolerance: The largest difference that is accepted.
    """

    images: Any
    expected: np.ndarray
    against: str
    tolerance: float

    def said_with(self, difference: float) -> str:
        """What the check found, in words."""
        return (
            f"on {self.against}, the largest difference is {difference:.1e}, where "
            f"{self.tolerance:g} is accepted"
        )


def export(
    run: RunDirectory, format_name: str, target: str | Path, data_root: str | Path
) -> tuple[Path, str]:
    """Writes a run's best weights in a format, checks them, and writes their card.

    Args:
      run: a finished one.
      format_name: one of `FORMATS`.
      target: the folder, which appears whole or not at all.
      data_root: where prepared data lie, to check on.

    Returns:
      The folder, and what the check found, in a sentence.

    Raises:
      UserError: the run is not finished or damaged; the extra is missing; the format
        cannot express the model, or it says something else there; the folder cannot be
        written to, or holds something else.
    """
    target = Path(target).absolute()
    form = export_format(format_name)
    _check_finished(run)
    name, dataset = run.path.absolute().name, _dataset(run)
    of = {"run": name, "format": form.name}
    _check_target(target, of, form)
    model = load_run_model(run.path, "best")
    reference = _reference(run, model, data_root)
    files.require_space(target, _COPIES * 4 * model.count_params())
    with files.replacing_folder(target) as folder:
        difference = _write(model, form, folder, reference)
        checked = reference.said_with(difference)
        record = Run(name, run, run.config(), run.status(), dataset)
        told = Export(
            form.title,
            form.file,
            loading_code(form, model),
            checked,
            datetime.datetime.now(datetime.UTC).date().isoformat(),
        )
        files.write_text(folder / CARD, model_card(record, told))
        facts = {
            "classes": dataset["classes"],
            "kind": dataset["kind"],
            "input_shape": list(model.input_shape[1:]),
            "largest_difference": difference,
        }
        files.write_json(folder / _FACTS, of | facts)
    return target, checked


def _check_finished(run: RunDirectory) -> None:
    if not run.finished():
        status = run.status()
        raise UserError(
            f"run {run.path} is not finished (state {status.get('state')!r}, step "
            f"{status.get('step', 0)} of {run.config().steps}): train it to its end, "
            "then its weights are chosen"
        )


def _dataset(run: RunDirectory) -> dict[str, Any]:
    """What the run says of its data, if its predictions can be read, too."""
    try:
        run.predictions("test")
        return run.dataset()
    except UserError:
        raise
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"run {run.path} is damaged: {reason}. Restore the file, or train the run "
            "again"
        ) from error


def _check_target(target: Path, of: dict[str, str], form: ExportFormat) -> None:
    files.require_writable(target.parent)
    try:
        if not target.exists():
            return
    except OSError as error:
        raise UserError(f"--out={target}: {error.strerror}") from error
    if not target.is_dir():
        raise UserError(f"--out={target} is a file: name a folder")
    inside = {path.name for path in target.iterdir()}
    if not inside:
        return
    if inside <= {form.file, CARD, _FACTS} and _FACTS in inside:
        before = files.read_json(target / _FACTS)
        if isinstance(before, dict) and of.items() <= before.items():
            return
    raise UserError(
        f"{target} holds something else ({', '.join(sorted(inside)[:3])}): remove it, "
        "or name another folder with --out"
    )


def _reference(
    run: RunDirectory, model: keras.Model, data_root: str | Path
) -> _Reference:
    """The run's test images and predictions; where it has none, or they are gone, drawn
    pixels and what the Keras model makes of them.
    """
    try:
        return _predictions(run, model, data_root)
    except UserError as error:
        why = str(error).splitlines()[0]
    shape = (_BATCH, *model.input_shape[1:])
    drawn = np.random.default_rng(0).integers(0, 256, shape)
    images = drawn.astype(np.float32)
    against = (
        f"{_BATCH} images of drawn pixels against the run's Keras model (its own "
        f"images cannot be had: {why})"
    )
    expected = model.predict(images, verbose=0)
    return _Reference(images, expected, against, _TOLERANCE)


def _predictions(
    run: RunDirectory, model: keras.Model, data_root: str | Path
) -> _Reference:
    prepared = run_dataset(run.path, data_root)
    for split in ("test", "validation"):
        rows = prepared.examples(split)[:_MOST_IMAGES]
        if len(rows):
            break
    else:
        raise UserError("the data set has neither test nor validation images")
    table = run.predictions(split).set_index("example_id").loc[rows["example_id"]]
    _, expected = labels_and_probabilities(table, run.dataset()["classes"])
    images = run_split(run.path, data_root, split)[: len(rows)]
    on = f"{len(rows)} {split} images against the run's"
    if run.config().mixed_precision:
        # In a deep network bfloat16 moves single outputs by tenths.
        computed = model.predict(np.asarray(images, np.float32), verbose=0)
        gap = np.abs(computed - expected)
        against = (
            f"{on} model in 32 bits (its own predictions, made in 16, are off by "
            f"{gap.mean():.1e} on average, {gap.max():.1e} at most)"
        )
        return _Reference(images, computed, against, _TOLERANCE)
    gpu = not str(run.status().get("machine")).endswith("CPU cores")
    tolerance = _COARSE_TOLERANCE if gpu else _TOLERANCE
    return _Reference(images, expected, f"{on} own predictions", tolerance)


def _write(
    model: keras.Model, form: ExportFormat, folder: Path, reference: _Reference
) -> float:
    """Writes the file and runs it; the largest difference of a probability."""
    path = folder / form.file
    try:
        with without_stderr():
            form.write(model, path)
            found = _predict(form.read(path), reference.images)
    except Exception as error:  # Converters raise anything.
        told = files.as_user_error(error, path)
        if told is not error:
            raise told from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{model.name} cannot be exported as {form.name}: {reason[:300]}; try "
            "another --format"
        ) from error
    difference = float(np.abs(found - reference.expected).max())
    if not difference <= reference.tolerance:
        raise UserError(
            f"the {form.name} file does not say what the run's model does: "
            f"{reference.said_with(difference)}. Nothing was written"
        )
    return difference


def _predict(predict: Predict, images: Any) -> np.ndarray:
    parts = [
        predict(np.asarray(images[start : start + _BATCH], np.float32))
        for start in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts)
