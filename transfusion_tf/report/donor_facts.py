"""The donors of a study: what they are called, what they saw, which pixels they get."""

import dataclasses
import re
from pathlib import Path

import numpy as np

from transfusion_tf.models import input_scaling_description, units_of
from transfusion_tf.studies.measurements.run_labels import donor_name
from transfusion_tf.studies.study_folder import Run, StudyRecord
from transfusion_tf.training.resolved_config import input_scaling_of_run

# JPEG gives a grey image back with channels that differ by a step or two.
_GRAY_TOLERANCE = 4


@dataclasses.dataclass(frozen=True)
class DonorFacts:
    """What is known of a donor.

    Attributes:
      name: how tables and pictures call it.
      title: the same for people.
      input_scaling: the pixels that its weights get here.
      gray: whether it saw grey images alone; None where nothing says.
      note: of its card.
    """

    name: str
    title: str
    input_scaling: str
    gray: bool | None = None
    note: str = ""


def donor_facts(record: StudyRecord, run: Run) -> DonorFacts | None:
    """The donor that a run started from; None where it started from random weights."""
    name = donor_name(run.config)
    if name is None:
        return None
    scaling = input_scaling_of_run(run.config)
    for donor in record.donors:
        if Path(str(run.config.donor)).name == donor.run_id:
            title = donor.dataset.get("title") or name
            return DonorFacts(name, title, scaling, is_gray(donor))
    for card in record.donor_cards:
        fits = units_of(scaling) == card["input_scaling"]
        if card["weights"] == run.config.donor and fits:
            return DonorFacts(
                *(card["name"], card["title"], scaling),
                gray=card["color"] == "gray",
                note=card["note"],
            )
    return DonorFacts(name, name, scaling, False if name == "imagenet" else None)


def is_gray(run: Run) -> bool | None:
    """Whether a run's images are grey; None where it kept no samples."""
    if not (run.directory.path / "samples.npz").exists():
        return None
    images, _ = run.directory.samples()
    return bool(np.ptp(images, axis=-1).max(initial=0) <= _GRAY_TOLERANCE)


def donor_in(label: str) -> str | None:
    """The donor that a group's label names: `imagenet` of `transfer from imagenet`;
    None where a study has one donor alone.
    """
    found = re.search(r" from ([^,]+)", label)
    return found[1] if found else None


def same_donor(left: str, right: str) -> bool:
    """Whether the labels of two groups are of one donor, or one of them names none."""
    donors = donor_in(left), donor_in(right)
    return None in donors or donors[0] == donors[1]


def donor_notes(record: StudyRecord) -> list[str]:
    """How every donor is fed, and which grey ones stand on colour targets."""
    found: dict[DonorFacts, dict[str, Run]] = {}
    for run in record.runs:
        facts = donor_facts(record, run)
        if facts is not None:
            found.setdefault(facts, {}).setdefault(run.dataset["name"], run)
    sentences = []
    for facts, targets in found.items():
        how = input_scaling_description(facts.input_scaling)
        named = facts.name
        if facts.title != facts.name:
            named += f" ({facts.title})"
        sentence = f"Donor {named} gets its pixels as {facts.input_scaling}: {how}."
        if facts.note:
            sentence += f" {facts.note}"
        sentences.append(sentence)
        colored = [name for name, run in targets.items() if is_gray(run) is False]
        if facts.gray and colored:
            sentences.append(
                f"{facts.name} saw grey images alone; in colour here: "
                f"{', '.join(colored)}. Its filters take the three channels for copies "
                "of one."
            )
    return sentences
