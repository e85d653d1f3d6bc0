"""The search for the learning rates that feature reuse trains with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfusion_tf_experiments.papers.feature_reuse_models import TABLE1, starts
from transfusion_tf_experiments.papers.scale import Scale

if TYPE_CHECKING:
    from transfusion_tf.studies import Chapter


def learning_rates(scale: Scale) -> Chapter:
    """The grid search for learning rates, by model, start and data set.

    Cost: 54 runs, 8 minutes. It is no part of `feature_reuse/all`.
    Paper: "We performed independent grid searches to find suitable learning rates, and
    found that 1e-4 works best for both CNNs and ViTs, except for RI which used 3e-4."
    """
    options = scale.options["rates"]
    runs = [
        run
        for task in options["tasks"]
        for rate in options["grid"]
        for run in scale.runs(
            (task,),
            TABLE1,
            starts(scale),
            seeds=1,
            learning_rate=rate,
            schedule="constant",
            warmup_steps=0,
            steps=options["steps"][task],
            eval_every=options["steps"][task],
        )
    ]
    return scale.chapter(
        "Which learning rate is best?",
        "Validation metric at the end of a short training at a constant learning rate, "
        "by that rate; one seed.",
        view="learning_rates",
        runs=runs,
    )
