"""Rows of what accuracy costs: parameters, a run's seconds, and its donor's."""

from pathlib import Path

import numpy as np

from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import StartRuns
from transfusion_tf.report.rows.accuracy_rows import model_results
from transfusion_tf.studies.measurements.run_labels import donor_name
from transfusion_tf.studies.study_folder import StudyRecord


def cost_rows(material: Material) -> Rows:
    """The test metric by model and start, and what it took, one row per number."""
    rows: Rows = []
    for results, panel in model_results(material):
        for start in panel.starts.values():
            seconds = [run.seconds for run in start.runs.values()]
            costs = {
                "parameters": start.mean_status("parameters"),
                "seconds": float(np.mean(seconds)),
                "donor_seconds": _donor_seconds(results.record, start),
            }
            keys = {**start.columns, "place": costs["parameters"]}
            rows.append(start.row("test", start.test, **keys))
            rows += [
                {**keys, "quantity": name, "value": value}
                | {"took": wording.duration(value)}
                for name, value in costs.items()
                if value is not None
            ]
    return rows


def _donor_seconds(record: StudyRecord, start: StartRuns) -> float | None:
    """What training its donor took, where that was done here."""
    used = {
        Path(str(run.config.donor)).name
        for run in start.runs.values()
        if donor_name(run.config) is not None
    }
    found = [donor.seconds for donor in record.donors if donor.run_id in used]
    return sum(found) if found else None
