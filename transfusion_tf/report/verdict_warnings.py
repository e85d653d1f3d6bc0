"""What a reader must see before any answer: runs that never learned, tiny test sets."""

import numpy as np

from transfusion_tf.evaluation.estimates import LEAST_PATIENTS
from transfusion_tf.report import wording
from transfusion_tf.report.class_patients import class_patients
from transfusion_tf.report.results import ModelResults, Results, StartRuns
from transfusion_tf.studies.learned import collapsed, say_untrained, untrained


def verdict_warnings(results: Results) -> tuple[str, ...]:
    """A sentence for each start of a model that is not fit for an answer, and others.

    Args:
      results: of the study.
    """
    warnings = [
        sentence
        for panel in results.model_results
        for start in panel.starts.values()
        if (sentence := _of_start(results, panel, start))
    ]
    few = {
        start.few_patients: None
        for p in results.model_results
        for start in p.starts.values()
        if start.few_patients
    }
    warnings += [
        f"{text[0].upper()}{text[1:]}, and {LEAST_PATIENTS} are the least."
        for text in few
    ]
    return tuple(warnings)


def rare_classes(results: Results) -> dict[str, int]:
    """Class -> test patients, of those with too few for numbers of their own."""
    if not results.model_results:
        return {}
    start = next(iter(results.model_results[0].starts.values()))
    patients = class_patients(list(start.runs.values()))
    return {name: n for name, n in patients.items() if n < LEAST_PATIENTS}


def _of_start(results: Results, panel: ModelResults, start: StartRuns) -> str:
    name = f"{results.panel_name(panel)} from {start.initialization}"
    why = start.not_learned
    if why is not None and why.kind == "unsettled":
        return f"{name} may be at chance: {why.text}."
    if why is not None and why.kind == "donor":
        return f"{name} cannot show what transfer does: {why.text}."
    if why is not None:
        return f"{name} has learned nothing that can be compared: {why.text}."
    count, sentences = len(start.ids), []
    if bad := untrained(start.measurements, start.ids):
        sentences.append(say_untrained(bad, count))
    fallen = collapsed(start.measurements, start.ids)
    if fallen := {run: level for run, level in fallen.items() if run not in bad}:
        seeds = start.measurements.runs.loc[list(fallen), "seed"]
        listed = wording.listed(
            [
                f"seed {seed} at {level:.2f}"
                for seed, level in zip(seeds, fallen.values(), strict=True)
            ]
        )
        middle = np.median(list(start.test_values.values()))
        sentences.append(
            f"{len(fallen)} of {count} runs collapsed, {listed}, where the median is "
            f"{middle:.2f}; intervals count them"
        )
    return f"{name}: {'; '.join(sentences)}." if sentences else ""
