"""Rows of fixed features: the test metric when stages up to one are frozen."""

from typing import Any

from transfusion_tf.report.long_table import Rows, effect_rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, ModelResults, StartRuns
from transfusion_tf.report.rows.accuracy_rows import class_rows, model_results
from transfusion_tf.report.rows.network_order import in_order, stage_order, through

WHOLE, BELOW, RANDOM = "all donor", "donor below, random above", "random"


def frozen_rows(material: Material) -> Rows:
    """The test metric by the last frozen stage and what is frozen.

    Options: `by_class` gives every class's AUC as well.
    """
    several = len(material.results) > 1
    rows: Rows = []
    for _, panel in model_results(material):
        keys = panel.columns
        title = f"{keys['dataset']}: {keys['panel']}" if several else keys["panel"]
        rows += _panel_rows(
            {**keys, "title": title},
            panel,
            by_class=bool(material.chapter.options.get("by_class")),
        )
    return rows


def _panel_rows(keys: dict[str, Any], panel: ModelResults, *, by_class: bool) -> Rows:
    groups = {
        (name, stage): group
        for group in panel.starts.values()
        for name, stage in [_treatment(group)]
        if name
    }
    runs = [run for group in panel.starts.values() for run in group.runs.values()]
    rows: Rows = []
    for stage in in_order((stage for _, stage in groups), stage_order(runs)):
        baseline = groups.get((RANDOM, stage))
        for name in (WHOLE, BELOW, RANDOM):
            group = groups.get((name, stage))
            if group is None:
                continue
            own = {
                **keys,
                "initialization": group.first.config.initialization,
                "frozen": stage,
                "treatment": name,
            }
            rows += group.test_rows(baseline, **own)
            if by_class:
                rows += class_rows(group, baseline, **own)
        whole, below = (groups.get((name, stage)) for name in (WHOLE, BELOW))
        above = whole.test_minus(below) if whole is not None else None
        rows += effect_rows("donor_above", above, **keys, frozen=stage, hidden=True)
    return rows


def _treatment(group: StartRuns) -> tuple[str, str]:
    """Which of the three treatments, and the last frozen stage; empty without one."""
    config = group.first.config
    start, stage = config.initialization, config.freeze
    if not stage:
        return "", ""
    if start in (BASELINE, "transfer"):
        return (RANDOM if start == BASELINE else WHOLE), stage
    return (BELOW if through(start) == stage else ""), stage
