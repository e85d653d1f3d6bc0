"""How far a run's images are from those that its donor was trained on.

Feature reuse, section 2 and table 1: the Fréchet Inception distance between ImageNet
and each medical data set.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.errors import UserError
from transfusion_tf.initialization import initialize, is_preset, load_donor
from transfusion_tf.models import build
from transfusion_tf.recent import Recent
from transfusion_tf.representations.image_distance import image_distance, pooled_stage
from transfusion_tf.representations.moments import RepresentationWarning
from transfusion_tf.representations.snapshots import Snapshot
from transfusion_tf.studies.measurements.image_sources import SplitImages
from transfusion_tf.studies.measurements.run_images import run_split
from transfusion_tf.studies.measurements.run_models import load_run_model
from transfusion_tf.training import RunDirectory

# Of Inception-v3, whose features the published Fréchet distances are in.
_INCEPTION_SIZE = 299
# A cache of this process: a network serves the distances of all data sets.
_features: Recent[Snapshot] = Recent(1)


def run_image_distance(
    run: str | Path,
    donor: str,
    data_root: str | Path,
    *,
    source: str | None = None,
    most_images: int = 5000,
) -> pd.DataFrame:
    """From source images that the donor never saw to all that the run might have.

    Args:
      run: A run directory; its training split is the target.
      donor: A run directory, whose model has the features and whose test split is
        the source; of any other donor, Inception-v3's features stand in.
      data_root: Where prepared data lie.
      source: Card of the source images where the donor is no run.
      most_images: Images a side at most, drawn at random.

    Returns:
      `dataset` (the run's), and the columns of `image_distance`.

    Raises:
      UserError: As `run_dataset`, `load_run_model` and `image_distance`; if neither
        donor nor `source` says which images to compare with.
    """
    if is_run(donor):
        features = _features.get(donor, lambda: _donor_features(donor))
        images = run_split(donor, data_root, "test")
    elif source is None:
        raise UserError(
            f"donor {donor} is no run that says which images it was trained on; give "
            "their card as `source`"
        )
    else:
        features = _features.get(donor, _inception)
        prepared = prepare(load_card(source), data_root, progress=False)
        images = SplitImages(prepared, "test")
    table = image_distance(
        features,
        _Drawn(images, most_images),
        _Drawn(run_split(run, data_root, "train"), most_images),
        progress=False,
    )
    table.insert(0, "dataset", RunDirectory(run).dataset()["name"])
    return table


def is_run(donor: str) -> bool:
    """Whether a donor is a run here: it says which images it was trained on."""
    return Path(donor).is_dir() and not is_preset(Path(donor))


def has_images(source: str | None) -> bool:
    """Whether a published donor's images are there; a study goes on without them."""
    if source is None:
        return False
    try:
        load_card(source).data_folder()
    except UserError as error:
        warnings.warn(
            f"no Fréchet distances: {str(error).splitlines()[0]}",
            RepresentationWarning,
            stacklevel=2,
        )
        return False
    return True


class _Drawn:
    """Some of a split's images, drawn at random, in the split's order."""

    def __init__(self, images: SplitImages, most: int):
        self._images = images
        order = np.random.default_rng(0).permutation(len(images))[:most]
        self._rows = np.sort(order)
        self.shape = (len(order), *images.shape[1:])
        self.description = images.description

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._images[self._rows[index]]


def _donor_features(donor: str) -> Snapshot:
    return Snapshot.of(pooled_stage(load_run_model(donor, "best")))


def _inception() -> Snapshot:
    model = build("inception_v3", (_INCEPTION_SIZE, _INCEPTION_SIZE, 3), 1, seed=0)
    initialize(model, "transfer", load_donor("imagenet", model))
    return Snapshot.of(pooled_stage(model))
