"""What a network computes, compared: one measure a file.

All measures take x and y as [points, channels] activations of the same points. Their
`_from_moments` forms take moments accumulated over batches instead.
"""

from transfusion_tf.representations.activations import (
    Sampling,
    StageReader,
    sample_activations,
    stage_moments,
)
from transfusion_tf.representations.attention_distance import (
    AttendedDistance,
    AttentionMeans,
    attended_distance,
)
from transfusion_tf.representations.cca import CCA, Directions, cca, cca_from_moments
from transfusion_tf.representations.cka import CKA, biased_cka_from_moments, cka
from transfusion_tf.representations.compare import MEASURES, compare_models
from transfusion_tf.representations.filters import (
    GaborFit,
    filter_changes,
    first_layer_kernel,
    fit_gabor,
    gabor_fits,
    weight_histograms,
)
from transfusion_tf.representations.frechet_distance import (
    FeatureMoments,
    FrechetDistance,
    frechet_distance,
)
from transfusion_tf.representations.image_distance import (
    image_distance,
    inception_features,
    pooled_stage,
)
from transfusion_tf.representations.image_sources import FolderImages, SplitImages
from transfusion_tf.representations.knn import Neighbours, knn_predict
from transfusion_tf.representations.knn_by_part import (
    KNNSettings,
    knn_by_part,
    run_knn,
)
from transfusion_tf.representations.layer_cka import (
    LayerSettings,
    layer_cka,
    layer_cka_before_and_after,
    layer_cka_of_runs,
)
from transfusion_tf.representations.moments import (
    Covariances,
    Moments,
    RepresentationWarning,
)
from transfusion_tf.representations.noise_floor import NoiseFloor, noise_floor
from transfusion_tf.representations.outputs import layer_outputs, named_outputs
from transfusion_tf.representations.pairwise_cka import PairwiseCKA
from transfusion_tf.representations.parts import Part, model_parts
from transfusion_tf.representations.populations import (
    by_initializations,
    compare_population,
    compare_start_and_end,
    regress_end_on_start,
)
from transfusion_tf.representations.procrustes import (
    Procrustes,
    procrustes,
    procrustes_from_moments,
)
from transfusion_tf.representations.pwcca import PWCCA, pwcca, pwcca_from_moments
from transfusion_tf.representations.reinitialization import (
    reinitialization_robustness,
    reinitialize_parts,
)
from transfusion_tf.representations.run_attention import model_attention, run_attention
from transfusion_tf.representations.run_comparisons import (
    Settings,
    compare_before_and_after,
    compare_runs,
    over_repeats,
)
from transfusion_tf.representations.run_data import run_dataset
from transfusion_tf.representations.run_models import load_run_model, run_images
from transfusion_tf.representations.stage_pairs import compare_stage_pairs
from transfusion_tf.representations.svcca import svcca, svcca_from_moments
from transfusion_tf.representations.travel import (
    average_travel,
    model_travel,
    run_travel,
    weight_distance,
)

__all__ = [
    "CCA",
    "CKA",
    "MEASURES",
    "PWCCA",
    "AttendedDistance",
    "AttentionMeans",
    "Covariances",
    "Directions",
    "FeatureMoments",
    "FolderImages",
    "FrechetDistance",
    "GaborFit",
    "KNNSettings",
    "LayerSettings",
    "Moments",
    "Neighbours",
    "NoiseFloor",
    "PairwiseCKA",
    "Part",
    "Procrustes",
    "RepresentationWarning",
    "Sampling",
    "Settings",
    "SplitImages",
    "StageReader",
    "attended_distance",
    "average_travel",
    "biased_cka_from_moments",
    "by_initializations",
    "cca",
    "cca_from_moments",
    "cka",
    "compare_before_and_after",
    "compare_models",
    "compare_population",
    "compare_runs",
    "compare_stage_pairs",
    "compare_start_and_end",
    "filter_changes",
    "first_layer_kernel",
    "fit_gabor",
    "frechet_distance",
    "gabor_fits",
    "image_distance",
    "inception_features",
    "knn_by_part",
    "knn_predict",
    "layer_cka",
    "layer_cka_before_and_after",
    "layer_cka_of_runs",
    "layer_outputs",
    "load_run_model",
    "model_attention",
    "model_parts",
    "model_travel",
    "named_outputs",
    "noise_floor",
    "over_repeats",
    "pooled_stage",
    "procrustes",
    "procrustes_from_moments",
    "pwcca",
    "pwcca_from_moments",
    "regress_end_on_start",
    "reinitialization_robustness",
    "reinitialize_parts",
    "run_attention",
    "run_dataset",
    "run_images",
    "run_knn",
    "run_travel",
    "sample_activations",
    "stage_moments",
    "svcca",
    "svcca_from_moments",
    "weight_distance",
    "weight_histograms",
]
