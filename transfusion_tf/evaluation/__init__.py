"""Predictions to numbers with intervals."""

from transfusion_tf.evaluation.agreement import (
    PredictionSimilarity,
    prediction_similarity,
)
from transfusion_tf.evaluation.auc import weighted_auc
from transfusion_tf.evaluation.auc_metrics import (
    class_auc,
    mean_auc,
    prior_weighted_auc,
    referable_auc,
    referable_score,
)
from transfusion_tf.evaluation.calibration import (
    Reliability,
    expected_calibration_error,
    forecasts,
    reliability,
)
from transfusion_tf.evaluation.convergence import (
    mean_while_learning,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.evaluation.decision_metrics import (
    accuracy,
    balanced_accuracy,
    quadratic_kappa,
    top5_accuracy,
)
from transfusion_tf.evaluation.delong import DeLong, delong_test
from transfusion_tf.evaluation.estimates import Estimate
from transfusion_tf.evaluation.estimator import estimate, estimate_mean
from transfusion_tf.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    metric_replicates,
    patient_weights,
    percentile_interval,
)
from transfusion_tf.evaluation.metrics import (
    METRICS,
    chance_level,
    compute_metrics,
    metric,
)
from transfusion_tf.evaluation.multiplicity import (
    adjusted_differences,
    adjusted_p_values,
)
from transfusion_tf.evaluation.power import patients_to_settle, seeds_to_settle
from transfusion_tf.evaluation.predictions import (
    labels_and_probabilities,
    prediction_table,
)
from transfusion_tf.evaluation.scores import RunScore, score_run

__all__ = [
    "METRICS",
    "DeLong",
    "Estimate",
    "Interval",
    "PredictionSimilarity",
    "Reliability",
    "RunScore",
    "accuracy",
    "adjusted_differences",
    "adjusted_p_values",
    "balanced_accuracy",
    "bootstrap_interval",
    "chance_level",
    "class_auc",
    "compute_metrics",
    "delong_test",
    "estimate",
    "estimate_mean",
    "expected_calibration_error",
    "forecasts",
    "labels_and_probabilities",
    "mean_auc",
    "mean_while_learning",
    "metric",
    "metric_replicates",
    "patient_weights",
    "patients_to_settle",
    "percentile_interval",
    "prediction_similarity",
    "prediction_table",
    "prior_weighted_auc",
    "quadratic_kappa",
    "referable_auc",
    "referable_score",
    "reliability",
    "score_run",
    "seeds_to_settle",
    "steps_to_threshold",
    "threshold_between",
    "top5_accuracy",
    "weighted_auc",
]
