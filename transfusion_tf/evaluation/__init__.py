"""Predictions to numbers with intervals."""

from transfusion_tf.evaluation.auc import weighted_auc
from transfusion_tf.evaluation.comparison import (
    Difference,
    RunScore,
    cell_interval,
    difference,
    score_run,
    seed_interval,
)
from transfusion_tf.evaluation.convergence import (
    learning_curve_area,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    metric_replicates,
    patient_weights,
    percentile_interval,
)
from transfusion_tf.evaluation.metrics import (
    METRICS,
    accuracy,
    balanced_accuracy,
    chance_level,
    class_auc,
    compute_metrics,
    mean_auc,
    metric,
    quadratic_kappa,
    referable_auc,
    referable_score,
    top5_accuracy,
)
from transfusion_tf.evaluation.predictions import (
    labels_and_probabilities,
    prediction_table,
)
from transfusion_tf.evaluation.quantities import Quantity, jackknife, mean_quantity

__all__ = [
    "METRICS",
    "Difference",
    "Interval",
    "Quantity",
    "RunScore",
    "accuracy",
    "balanced_accuracy",
    "bootstrap_interval",
    "cell_interval",
    "chance_level",
    "class_auc",
    "compute_metrics",
    "difference",
    "jackknife",
    "labels_and_probabilities",
    "learning_curve_area",
    "mean_auc",
    "mean_quantity",
    "metric",
    "metric_replicates",
    "patient_weights",
    "percentile_interval",
    "prediction_table",
    "quadratic_kappa",
    "referable_auc",
    "referable_score",
    "score_run",
    "seed_interval",
    "steps_to_threshold",
    "threshold_between",
    "top5_accuracy",
    "weighted_auc",
]
