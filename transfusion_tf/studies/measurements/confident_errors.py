"""What the best run misses most confidently, with what its pixels speak for.

Pictures stand in the table as text, so that they are kept, and shown again, as every
other comparison is, when the data are long gone.
"""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from transfusion_tf.evaluation import labels_and_probabilities
from transfusion_tf.evaluation.class_errors import ClassErrors, confident_errors
from transfusion_tf.representations import Attributions, integrated_gradients
from transfusion_tf.studies.measurements.run_images import run_dataset, run_split
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot
from transfusion_tf.training import RunDirectory

COLUMNS = (
    *("class", "images", "missed", "place", "predicted", "probability"),
    *("change", "gap", "example_id", "image", "saliency"),
)
# More classes are not read; those with the most errors stay.
MOST_CLASSES = 16
_LARGEST_IMAGE, _LARGEST_MAP = 256, 128  # pixels
# Maps of single pixels are speckled: blurred over this part of the image's width.
_BLUR = 1 / 64

_NOTHING = np.zeros(0), Attributions(np.zeros((0, 0, 0, 0)), np.zeros(0))


def best_run(runs: Sequence[RunDirectory]) -> RunDirectory | None:
    """The best run of the best start on validation, among those with test images.

    Starts of a model are told apart by all but their seed and fold, and compared by
    their means: the best of all runs would be luck's.
    """
    values: dict[Any, dict[RunDirectory, float]] = {}
    for run in runs:
        value = run.status().get("best_validation")
        if value is None or run.predictions("test").empty:
            continue
        config = run.config()
        key = (config.model, config.initialization, config.donor, config.freeze)
        values.setdefault(key, {})[run] = float(value)
    if not values:
        return None
    best = max(values.values(), key=lambda own: float(np.mean(list(own.values()))))
    return max(best, key=lambda run: best[run])


def run_confident_errors(
    run: str | Path, data_root: str | Path, *, most: int = 6
) -> pd.DataFrame:
    """The most confident errors of each class on the run's test images.

    Args:
      run: A run directory, with test predictions.
      data_root: Where prepared data lie.
      most: Errors of each class.

    Returns:
      `run`, `model`, `initialization` and `COLUMNS`: one row per error, and one of a
      class without errors. `image` is a JPEG in base64; `saliency`, a grey PNG in
      base64, is what pixels add to the difference of logits between prediction and
      truth: 128 nothing, 255 most. `change` and `gap` are those of `Attributions`.

    Raises:
      UserError: As `load_run_model` and `run_dataset`.
    """
    directory = RunDirectory(run)
    predictions, dataset = directory.predictions("test"), directory.dataset()
    classes = confident_errors(
        *labels_and_probabilities(predictions, dataset["classes"]),
        dataset["classes"],
        dataset["kind"],
        most,
    )
    classes = [own for own in classes if own.images]
    if len(classes) > MOST_CLASSES:
        least = sorted(own.missed for own in classes)[-MOST_CLASSES]
        classes = [own for own in classes if own.missed >= least][:MOST_CLASSES]
    ids = predictions["example_id"].astype(str).to_numpy()
    rows = [row for own in classes for row in own.rows]
    images, found = _NOTHING
    if rows:
        images, found = _explained(directory, data_root, ids[rows], classes)
    table = pd.DataFrame(_lines(classes, ids, images, found), columns=list(COLUMNS))
    return labelled(table, run_labels(run))


def _explained(
    directory: RunDirectory,
    data_root: str | Path,
    ids: np.ndarray,
    classes: Sequence[ClassErrors],
) -> tuple[np.ndarray, Attributions]:
    """Images of all errors and what their pixels add, in their order."""
    prepared = run_dataset(directory.path, data_root)
    known = prepared.examples("test")["example_id"].astype(str)
    places = pd.Series(range(len(known)), index=known.to_numpy())[ids].to_numpy()
    images = run_split(directory.path, data_root, "test")[places]
    directions = np.concatenate([own.directions for own in classes])
    found = integrated_gradients(
        run_snapshot(directory.path, "best"),
        images,
        directions,
        # It fitted the memory when it was trained.
        batch_size=min(16, directory.config().batch_size),
    )
    return images, found


def _lines(
    classes: Sequence[ClassErrors],
    ids: np.ndarray,
    images: np.ndarray,
    found: Attributions,
) -> list[dict[str, Any]]:
    lines, index = [], 0
    for own in classes:
        common = {"class": own.name, "images": own.images, "missed": own.missed}
        if not own.rows:
            lines.append(common)
        for place, row in enumerate(own.rows):
            lines.append(
                {
                    **common,
                    "place": place,
                    "predicted": own.predicted[place],
                    "probability": own.probability[place],
                    "change": found.change[index],
                    "gap": found.gap[index],
                    "example_id": ids[row],
                    "image": _encoded(images[index], _LARGEST_IMAGE, "JPEG"),
                    "saliency": _encoded(
                        _map(found.values[index]), _LARGEST_MAP, "PNG"
                    ),
                }
            )
            index += 1
    return lines


def _map(values: np.ndarray) -> np.ndarray:
    """Sums over channels, blurred, uint8 [height, width]: 128 is nothing."""
    sums = ndimage.gaussian_filter(values.sum(axis=2), _BLUR * values.shape[1])
    largest = np.abs(sums).max() or 1.0
    return (128 + 127 * sums / largest).round().astype(np.uint8)


def _encoded(pixels: np.ndarray, largest: int, kind: str) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((largest, largest))
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=92, subsampling=0)
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text: str) -> np.ndarray:
    """Pixels of a picture of the table, uint8 [height, width, 3] or [height, width]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def error_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Images of each class, how many are missed, and the largest gap of its maps."""
    by_class = table.groupby(["run", "class"], sort=False)
    values = {
        "test_images": ("", by_class["images"].first()),
        "missed_images": ("", by_class["missed"].first()),
        "saliency_gap": ("logits", by_class["gap"].agg(lambda own: own.abs().max())),
    }
    parts = [
        column.rename("value").reset_index().assign(quantity=name, unit=unit)
        for name, (unit, column) in values.items()
    ]
    found = pd.concat(parts, ignore_index=True).dropna(subset="value")
    return found.assign(weights="best", split="test")
