"""How the starts of the feature-reuse studies are drawn: by the share transferred."""

import dataclasses

import matplotlib
import numpy as np

from transfusion_tf.report import style
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.results import BASELINE, scheme
from transfusion_tf.report.rows.network_order import through
from transfusion_tf.report.rows.transfer_runs import STATISTICS
from transfusion_tf.report.style import Mark

# Of WT-ST, by the share of stages transferred.
LEVELS = matplotlib.colors.ListedColormap(style.ramp_colours(256))


def start_marks(table: LongTable) -> dict[str, Mark]:
    """Initialization -> mark.

    The three starts look as everywhere in the report; among WT-ST levels, ST and WT are
    the ends of the levels' own ramp, light to dark. Random weights are a reference.
    """
    named = style.marks([BASELINE, STATISTICS, "transfer"])
    starts = {
        row["initialization"]: row["fraction"]
        for row in table.rows
        if isinstance(row["initialization"], str)
    }
    swept = has_levels(table)
    marks = {}
    for start, share in sorted(
        starts.items(), key=lambda item: np.nan_to_num(item[1], nan=-1)
    ):
        mark = named.get(scheme(start), named[BASELINE])
        if swept and np.isfinite(share):
            mark = Mark(matplotlib.colors.to_hex(LEVELS(share)), mark.marker)
        dashed = not np.isfinite(share)
        marks[start] = dataclasses.replace(mark, dashed=dashed)
    return marks


def has_levels(table: LongTable) -> bool:
    """Whether some starts are between ST and WT."""
    return any(through(start) is not None for start in table.values("initialization"))
