"""Rows of a search for learning rates."""

import math
from typing import Any

from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, scheme
from transfusion_tf.report.rows.transfer_runs import STATISTICS
from transfusion_tf.studies.measurements.training_results import SCORE

_NAMES = {BASELINE: "RI", STATISTICS: "ST", "transfer": "WT"}


def rate_rows(material: Material) -> Rows:
    """The validation metric at the end of training by learning rate, and the best.

    Means over seeds, of every model, data set and start.
    """
    scores = material.of(SCORE, split="validation")
    last = scores.loc[scores.groupby("run")["step"].idxmax()]
    values = dict(zip(last["run"], last["value"], strict=True))
    found: dict[tuple[str, str, str], dict[float, list[float]]] = {}
    for name in material.chapter.runs:
        run = material.runs.get(name)
        if run is not None and name in values:
            config = run.config
            key = (config.model, run.dataset["name"], config.initialization)
            rates = found.setdefault(key, {})
            rates.setdefault(config.learning_rate, []).append(values[name])
            unit = wording.metric_unit(run.metric)
    rows: Rows = []
    for (model, data, start), rates in found.items():
        label = _NAMES[scheme(start)]
        keys: dict[str, Any] = {
            "model": model,
            "dataset": data,
            "initialization": start,
            "unit": unit,
            "panel": f"{model}, {data}",
            "label": label,
            # The three starts look as everywhere in the report.
            "fraction": {"ST": 0.0, "WT": 1.0}.get(label, math.nan),
        }
        means = {rate: sum(own) / len(own) for rate, own in sorted(rates.items())}
        rows += [
            {**keys, "quantity": "validation", "rate": rate, "pair": f"{rate:g}"}
            | {"value": mean, "seeds": len(rates[rate])}
            for rate, mean in means.items()
        ]
        best = max(means, key=lambda rate: means[rate])
        rows += [
            {**keys, "quantity": "best_rate", "value": best},
            {**keys, "quantity": "best_validation", "value": means[best]},
        ]
    return rows
