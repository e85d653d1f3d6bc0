"""Rows of what donors are worth, before anything is transferred from them."""

from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.studies.donor_quality import donor_qualities

_ENDS = {"low": "_low", "high": "_high"}


def donor_worth_rows(material: Material) -> Rows:
    """What was measured of every donor of the study, one row per number."""
    rows: Rows = []
    for donor in donor_qualities(material.measurements):
        keys = {
            "donor": donor.donor,
            "model": donor.model,
            "unit": donor.unit,
            "called": "weak" if donor.weaknesses else "passes",
            "said": donor.verdict(),
        }
        for name, value in donor.values.items():
            if name.endswith(tuple(_ENDS.values())):
                continue
            ends = {end: donor.number(name + own) for end, own in _ENDS.items()}
            rows.append({**keys, "quantity": f"donor_{name}", "value": value, **ends})
    return rows
