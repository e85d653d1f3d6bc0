"""What is compared in a study, as data that becomes an effect with an interval."""

from transfusion_tf.studies.contrasts.branches import (
    ByDistance,
    Highest,
    Mean,
    Minus,
    RankCorrelation,
    Ratio,
    Scaled,
    Slope,
    above_chance,
)
from transfusion_tf.studies.contrasts.effects import effect_or_none, measure_effect
from transfusion_tf.studies.contrasts.learning_curves import (
    StepsToThreshold,
    WhileLearning,
)
from transfusion_tf.studies.contrasts.leaves import (
    Average,
    Constant,
    PairAverage,
    Unavailable,
    on_test,
)
from transfusion_tf.studies.contrasts.pair_lines import StartEndRSquared
from transfusion_tf.studies.contrasts.skill import DonorSkill, Skill
from transfusion_tf.studies.contrasts.speed import (
    Doublings,
    RestrictedSteps,
    speed_over,
)
from transfusion_tf.studies.contrasts.tree import (
    Contrast,
    MissingMeasurementError,
    from_dict,
    open_end_in_words,
    to_dict,
)

__all__ = [
    "Average",
    "ByDistance",
    "Constant",
    "Contrast",
    "DonorSkill",
    "Doublings",
    "Highest",
    "Mean",
    "Minus",
    "MissingMeasurementError",
    "PairAverage",
    "RankCorrelation",
    "Ratio",
    "RestrictedSteps",
    "Scaled",
    "Skill",
    "Slope",
    "StartEndRSquared",
    "StepsToThreshold",
    "Unavailable",
    "WhileLearning",
    "above_chance",
    "effect_or_none",
    "from_dict",
    "measure_effect",
    "on_test",
    "open_end_in_words",
    "speed_over",
    "to_dict",
]
