r"""Whether runs have learned anything: one gate, of a comparison's arms and of donors.

An arm is the runs of one start. With m its test metric, c what outputs get that are the
same for every image, and p what perfect ones get, its skill is

    s = (m - c) / (p - c),    of 0 at chance and 1 at perfection,

and it has learned where

    1. the whole 95 % interval of s, over seeds and test patients, lies above 0,
    2. s itself is at least `LEAST_SKILL`, and
    3. at most one in ten of its runs never trained: its best weights are those of
       step 0, or its validation loss ended above `LOSS_FACTOR` times that of step 0.

Nothing is answered about an arm that has not, or that starts from a donor that has not
(of which 1 and 2 are asked): a difference to what is at chance says how often luck
looks like learning. Where there is no interval, the estimate stands for its lower end.
`docs/design_notes.md` has how often arms at chance pass.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from transfusion_tf.evaluation import Estimate
from transfusion_tf.studies.contrasts import DonorSkill, Skill, effect_or_none
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.measurements.training_results import SCORE

LEAST_SKILL = 0.1
LOSS_FACTOR = 10.0
_TOLERATED_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class NotLearned:
    """Why nothing is answered about an arm.

    Attributes:
      kind: `untrained`, runs that were best at their start; `diverged`, runs whose loss
        ran away; `at_chance`; `unsettled`, its interval alone reaches chance; `donor`,
        which is at chance.
      text: the same in words, with numbers.
    """

    kind: Literal["untrained", "diverged", "at_chance", "unsettled", "donor"]
    text: str


def is_above(found: Estimate, least: float = LEAST_SKILL) -> bool:
    """Whether a skill, or another effect, passes the gate: 1 and 2 above."""
    lowest = found.low if np.isfinite(found.low) else found.estimate
    return bool(lowest > 0 and found.estimate >= least)


def untrained(measurements: Measurements, runs: Sequence[str]) -> dict[str, NotLearned]:
    """Run -> why it counts as one that never trained; of those alone."""
    found = {}
    best = measurements.of("best_step", run=runs).set_index("run")["value"]
    losses = measurements.of("loss", run=runs, split="validation")
    for run, rows in losses[losses["class"] == ""].groupby("run", sort=False):
        curve = rows.sort_values("step")["value"].to_numpy(float)
        if curve[-1] > LOSS_FACTOR * curve[0] or not np.isfinite(curve[-1]):
            text = f"its validation loss went from {curve[0]:.3g} to {curve[-1]:.3g}"
            found[str(run)] = NotLearned("diverged", text)
    for run in best.index[best == 0]:
        text = "its best weights are those it began with"
        found[str(run)] = NotLearned("untrained", text)
    return found


def say_untrained(bad: Mapping[str, NotLearned], count: int) -> str:
    """How many of so many runs never trained, and why, or why the first did not."""
    first = next(iter(bad.values())).text
    which = "" if len(bad) == 1 else " of the first,"
    return f"{len(bad)} of {count} runs never trained:{which} {first}"


def collapsed(measurements: Measurements, runs: Sequence[str]) -> dict[str, float]:
    """Run -> its test metric, of runs at chance whose repetitions have learned.

    Their skill is below `LEAST_SKILL`, and the median is twice that or more. They count
    in intervals like any other: that a start fails now and then is part of it.
    """
    rows = measurements.of(SCORE, run=runs, split="test").set_index("run")["value"]
    chance = measurements.of("chance", run=runs)["value"].mean()
    skills = (rows - chance) / (1 - chance)
    if not skills.median() >= 2 * LEAST_SKILL:
        return {}
    return {str(run): float(rows[run]) for run in skills.index[skills < LEAST_SKILL]}


def why_nothing_learned(
    measurements: Measurements, runs: Sequence[str]
) -> NotLearned | None:
    """What keeps an arm from being answered about; None where it has learned.

    Args:
      measurements: of the study.
      runs: of one start; runs without a result are passed over.
    """
    bad = untrained(measurements, runs)
    if len(bad) > _TOLERATED_SHARE * len(runs):
        first = next(iter(bad.values()))
        return NotLearned(first.kind, say_untrained(bad, len(runs)))
    skill = effect_or_none(Skill(tuple(runs)), measurements)
    if skill is not None and not is_above(skill):
        chance = float(measurements.of("chance", run=runs)["value"].mean())
        level = f"{chance + skill.estimate * (1 - chance):.2f}"
        if skill.estimate < LEAST_SKILL:
            text = f"they end at {level}, and chance is {chance:.2f}"
            return NotLearned("at_chance", text)
        text = f"{level} is not settled to be above chance ({chance:.2f})"
        return NotLearned("unsettled", text)
    donor = effect_or_none(DonorSkill(tuple(runs)), measurements)
    if donor is not None and not is_above(donor):
        return NotLearned("donor", "their donor is at chance")
    return None
