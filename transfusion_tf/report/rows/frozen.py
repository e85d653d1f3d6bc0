"""Rows of fixed features: the test metric when stages up to one are frozen."""

from typing import Any

from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, Cell, Panel
from transfusion_tf.report.rows.accuracy import class_rows, keys_of, panels
from transfusion_tf.report.rows.network_order import in_order, stage_order, through

WHOLE, BELOW, RANDOM = "all donor", "donor below, random above", "random"


def frozen_rows(material: Material) -> Rows:
    """The test metric by the last frozen stage and what is frozen.

    Options: `by_class` gives every class's AUC as well.
    """
    several = len(material.results) > 1
    rows: Rows = []
    for results, panel in panels(material):
        keys = keys_of(results, panel)
        title = f"{keys['dataset']}: {keys['panel']}" if several else keys["panel"]
        rows += _panel_rows(
            {**keys, "title": title},
            panel,
            by_class=bool(material.chapter.options.get("by_class")),
        )
    return rows


def _panel_rows(keys: dict[str, Any], panel: Panel, *, by_class: bool) -> Rows:
    cells = {
        (name, stage): cell
        for cell in panel.cells.values()
        for name, stage in [_treatment(cell)]
        if name
    }
    runs = [run for cell in panel.cells.values() for run in cell.runs.values()]
    rows: Rows = []
    for stage in in_order((stage for _, stage in cells), stage_order(runs)):
        baseline = cells.get((RANDOM, stage))
        for name in (WHOLE, BELOW, RANDOM):
            cell = cells.get((name, stage))
            if cell is None:
                continue
            config = next(iter(cell.runs.values())).config
            own = {
                **keys,
                "initialization": config.initialization,
                "frozen": stage,
                "treatment": name,
            }
            test = {"quantity": "test", "shown": "mean"}
            rows.append({**own, **test, **measured(cell.test)})
            gap = None if baseline is cell else cell.test_minus(baseline)
            if gap is not None:
                name = "difference_to_random"
                rows.append({**own, "quantity": name, **measured(gap)})
            if by_class:
                rows += class_rows(own, cell, baseline)
        whole, below = (cells.get((name, stage)) for name in (WHOLE, BELOW))
        above = whole.test_minus(below) if whole is not None else None
        if above is not None:
            shown = {"frozen": stage, "quantity": "donor_above", "hidden": True}
            rows.append({**keys, **shown, **measured(above)})
    return rows


def _treatment(cell: Cell) -> tuple[str, str]:
    """Which of the three treatments a cell is, and its last frozen stage; empty of runs
    that froze nothing.
    """
    config = next(iter(cell.runs.values())).config
    start, stage = config.initialization, config.freeze
    if not stage:
        return "", ""
    if start in (BASELINE, "transfer"):
        return (RANDOM if start == BASELINE else WHOLE), stage
    return (BELOW if through(start) == stage else ""), stage
