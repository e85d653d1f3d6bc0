r"""Whether a donor is worth the name: what was measured of it, and the gates.

`studies.measurements.donor_measures` measures, before anything is transferred:

- `validation`: the donor run's metric on its own validation split, with a 95 % interval
  over its patients (photographs, drawings), beside what outputs get by chance. Nothing
  is known of published weights.
- `probe_gain`: accuracy of a 5-shot linear probe on what the model's head is given,
  from the frozen donor minus from random weights of its architecture (mean of five),
  on classes of drawn textures that no donor has seen; with a 95 % interval over random
  starts and classes. Batch norm normalizes by these images in both.
- `gabor_share`: share of the energy of the first layer's filters that the best Gabor
  functions account for, beside that of the same filters with their pixels shuffled.
- `kernel_scale`: |log2| of the standard deviation of the kernels over that at their
  start, mean over kernels: 0 where nothing has changed.

The first two have gates, which were fixed on random starts alone before any donor was
measured (`docs/design_notes.md` has the simulation). A donor that does not pass is
weak: that transfer gains nothing from it says little about transfer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import pandas as pd

from transfusion_tf.evaluation.units import unit
from transfusion_tf.studies.learned import LEAST_SKILL
from transfusion_tf.studies.measurements.table import Measurements

# What the lower end of the probe's gain must exceed: less would hardly change a choice.
LEAST_GAIN = unit("accuracy").margin


@dataclasses.dataclass(frozen=True)
class DonorQuality:
    """What was measured of a donor.

    Attributes:
      model: whose weights they are.
      donor: its name.
      donor_run: its run; empty for weights that came from elsewhere.
      values: quantity without `donor_` -> number; missing where it is not known.
      unit: of its own metric.
      no_gabors: why the first layer was not measured; empty where it was.
    """

    model: str
    donor: str
    donor_run: str
    values: Mapping[str, float]
    unit: str = ""
    no_gabors: str = ""

    @staticmethod
    def of(rows: pd.DataFrame) -> DonorQuality:
        """Of the rows about one donor, as `measure_donor` makes them."""
        known = rows.assign(name=rows["quantity"].str.removeprefix("donor_"))
        own = known.set_index("name")
        first = known.iloc[0]
        return DonorQuality(
            model=str(first["model"]),
            donor=str(first["donor"]),
            donor_run=str(first["donor_run"]),
            values={str(name): value for name, value in own["value"].dropna().items()},
            unit=str(own["unit"].get("validation", "")),
            no_gabors=str(own["item"].get("gabor_share", "")),
        )

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """The gates that it does not pass, in words; none of one that is not weak."""
        found = []
        level, chance = self.number("validation"), self.number("chance")
        skill = (level - chance) / (1 - chance)
        low = self.values.get("validation_low", level)
        if skill < LEAST_SKILL or low <= chance:
            found.append(
                f"on its own data it has {level:.2f}, not settled to be "
                f"{100 * LEAST_SKILL:.0f} % of the way from chance ({chance:.2f})"
            )
        if not self.number("probe_gain_low") > LEAST_GAIN:
            found.append(
                f"what its features gain over random ones, {self._gain()}, is not "
                f"settled to be above {LEAST_GAIN:g}"
            )
        return tuple(found)

    def number(self, name: str) -> float:
        """A value; NaN where it is not known."""
        return self.values.get(name, math.nan)

    def facts(self) -> list[str]:
        """What was measured, each in a few words."""
        own = "own validation not known"
        gabors = f"Gabors not measured ({self.no_gabors})"
        if "validation" in self.values:
            own = f"validation {self.unit} {self.number('validation'):.2f} (chance "
            own += f"{self.number('chance'):.2f})"
        if not self.no_gabors:
            gabors = f"Gabor share {self.number('gabor_share'):.2f} (chance "
            gabors += f"{self.number('gabor_chance'):.2f})"
        return [
            own,
            f"5-shot probe {self._gain()} over random weights",
            gabors,
            f"kernels’ scale moved by {self.number('kernel_scale'):.2f} doublings",
        ]

    def line(self) -> str:
        """All of it in a line for the terminal."""
        called = "weak" if self.weaknesses else "passes its gates"
        return f"donor {self.donor} ({self.model}): {', '.join(self.facts())}: {called}"

    def verdict(self) -> str:
        """What the gates say of it, a sentence."""
        name = f"The donor {self.donor} ({self.model})"
        if self.weaknesses:
            return f"{name} is weak: {'; '.join(self.weaknesses)}."
        return f"{name} passes: its features gain {self._gain()} over random ones."

    def _gain(self) -> str:
        ends = (self.number(f"probe_gain{end}") for end in ("", "_low", "_high"))
        gain, low, high = (f"{value:+z.3f}".replace("-", "−") for value in ends)
        return f"{gain} [{low}, {high}]"


def donor_qualities(measurements: Measurements) -> list[DonorQuality]:
    """Every donor of a study that was measured."""
    rows = measurements.rows
    own = rows[rows["quantity"].str.startswith("donor_")]
    groups = own.groupby(["model", "donor", "donor_run"], sort=False)
    found = [DonorQuality.of(part) for _, part in groups]
    # Rows of runs come first, in the study's order.
    models = list(dict.fromkeys(rows["model"]))
    return sorted(found, key=lambda donor: models.index(donor.model))
