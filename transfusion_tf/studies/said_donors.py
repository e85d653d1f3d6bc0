"""Says on the terminal what a study's donors are worth, as soon as they are there."""

import sys
from pathlib import Path

import keras
import pandas as pd
from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.studies.comparison_tables import table_path
from transfusion_tf.studies.donor_quality import DonorQuality
from transfusion_tf.studies.measurements.donor_measures import donor_parts, donor_rows
from transfusion_tf.studies.measurements.run_labels import donor_name
from transfusion_tf.studies.plan import Plan
from transfusion_tf.training import RunConfig, RunDirectory

_NAME = "donor_quality"


def known_quality(config: RunConfig, root: Path) -> DonorQuality | None:
    """What was measured of a run's donor, where a study below `root` asked for it."""
    for part in donor_parts([config]):
        path = root / table_path(_NAME, part)
        if path.exists():
            return DonorQuality.of(donor_rows(pd.read_csv(path)))
    return None


class SaidDonors:
    """The donors of a study whose report has a chapter on them, each said once."""

    def __init__(self, plan: Plan, root: Path):
        """Remembers which runs' donors are asked about.

        Args:
          plan: of the study.
          root: tables are kept in `<root>/analyses/`, where chapters find them.
        """
        self._root = root
        asked = [
            plan.configs[plan.run_ids[run]]
            for chapter in plan.study.chapters
            if _NAME in chapter.measurements
            for run in chapter.runs
        ]
        self._waiting = {
            table_path(_NAME, part): config
            for config in asked
            for part in donor_parts([config])
        }
        self._donors = plan.donors

    def say(self) -> None:
        """Measures the donors that are there by now, and says what comes of it."""
        for path, config in list(self._waiting.items()):
            folder = Path(str(config.donor))
            if folder.name in self._donors and not RunDirectory(folder).finished():
                continue
            del self._waiting[path]
            tqdm.write(self._sentence(self._root / path, config), file=sys.stderr)

    def _sentence(self, path: Path, config: RunConfig) -> str:
        try:
            if not path.exists():
                ((_, measure),) = donor_parts([config])
                with keras.device("cpu"):  # Where GPUs are, they are left to training.
                    files.write_text(path, measure().to_csv(index=False))
            return DonorQuality.of(donor_rows(pd.read_csv(path))).line()
        except UserError as error:
            return f"donor {donor_name(config)} could not be measured: {error}"
