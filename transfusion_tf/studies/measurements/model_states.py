"""Which states of runs are compared, and with which batch norm statistics."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.errors import one_of
from transfusion_tf.representations.batch_norm_statistics import (
    MOST_IMAGES,
    STATISTICS,
)
from transfusion_tf.representations.snapshots import Snapshot, check_image_sizes
from transfusion_tf.studies.measurements.run_images import (
    check_same_data,
    run_images,
    run_split,
)
from transfusion_tf.studies.measurements.run_labels import run_names
from transfusion_tf.studies.measurements.run_models import (
    TRAINED,
    estimated_snapshot,
    run_snapshot,
)


@dataclasses.dataclass(frozen=True)
class ModelStates:
    """What models are, when they are compared.

    Attributes:
      trained: the weights after training: `final`, as papers mean it; or `best`, those
        of the best evaluation, which may be the initial ones.
      batch_norm_statistics: `estimated` on the same training images for all models that
        are compared, or as they are `stored` with the weights.
    """

    trained: str = TRAINED[0]
    batch_norm_statistics: str = STATISTICS[0]

    def __post_init__(self) -> None:
        if self.trained not in TRAINED:
            raise one_of("trained weights", self.trained, TRAINED)
        if self.batch_norm_statistics not in STATISTICS:
            raise one_of(
                "batch norm statistics", self.batch_norm_statistics, STATISTICS
            )

    @staticmethod
    def of(options: Mapping[str, Any]) -> "ModelStates":
        """Those that a chapter asks for."""
        return ModelStates(
            options.get("trained_weights", ModelStates.trained),
            options.get("batch_norm_statistics", ModelStates.batch_norm_statistics),
        )

    def snapshots(
        self, wanted: Mapping[str, tuple[str | Path, str]], data_root: str | Path
    ) -> dict[str, Snapshot]:
        """Models to be compared with each other.

        Batch norm statistics are estimated on the first run's training split.

        Args:
          wanted: what a model is called -> its run, and `initial` or `trained`.
          data_root: where prepared data lie.

        Raises:
          UserError: as `run_snapshot` and `run_split`; if models take images of
            different sizes.
        """
        chosen = {
            name: (run, self.trained if state == "trained" else state)
            for name, (run, state) in wanted.items()
        }
        models = {name: run_snapshot(*each) for name, each in chosen.items()}
        check_image_sizes(models)
        if self.batch_norm_statistics == "stored":
            return models
        first = next(iter(wanted.values()))[0]
        images = run_split(first, data_root, "train")
        return {
            name: estimated_snapshot(*each, images) for name, each in chosen.items()
        }

    def before_and_after(
        self, run: str | Path, data_root: str | Path, images: Any = None
    ) -> tuple[dict[str, Snapshot], Any]:
        """A run's models `initial` and `trained`, and the images they are compared on.

        Args:
          run: a run directory.
          data_root: where prepared data lie.
          images: None takes the validation split of the run's data.
        """
        sides = {state: (run, state) for state in ("initial", "trained")}
        models = self.snapshots(sides, data_root)
        return models, run_images(run, data_root) if images is None else images

    def of_runs(
        self,
        runs: Sequence[str | Path],
        state: str,
        data_root: str | Path,
        images: Any = None,
    ) -> tuple[dict[str, Snapshot], Any]:
        """Models called by their runs, and the images they are compared on.

        Args:
          runs: run directories, none twice.
          state: `initial` or `trained`, of all.
          data_root: where prepared data lie.
          images: None takes the validation split of the first run's data.

        Warns:
          RepresentationWarning: if the runs saw different versions of a data set.
        """
        names = run_names(list(runs))
        sides = {name: (run, state) for name, run in zip(names, runs, strict=True)}
        models = self.snapshots(sides, data_root)
        if images is None:
            check_same_data(runs)
            images = run_images(runs[0], data_root)
        return models, images

    def sentence(self) -> str:
        """What the page says of models that are compared."""
        if self.batch_norm_statistics == "stored":
            return f"{self.trained_sentence()} Batch norm has its stored statistics."
        return (
            f"{self.trained_sentence()} Batch norm’s statistics are estimated anew on "
            f"the same training images, {MOST_IMAGES} at most, for all models that are "
            "compared."
        )

    def trained_sentence(self) -> str:
        """What the page says of models after training."""
        if self.trained == "final":
            return "After training means the last weights."
        return "After training means the best weights on validation."
