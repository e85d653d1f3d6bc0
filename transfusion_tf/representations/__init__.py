"""What a network computes, compared: one measure a file.

Models, arrays and images in, numbers out: no module here knows of data sets or runs.
`transfusion_tf.studies.measurements` is where runs are measured.

All measures take x and y as [points, channels] activations of the same points. Their
`_from_moments` forms take moments accumulated over batches instead.
"""

from transfusion_tf.representations.activations import (
    Sampling,
    StageReader,
    sample_activations,
    stage_moments,
)
from transfusion_tf.representations.all_pairs import compare_all_pairs
from transfusion_tf.representations.attention_distance import (
    AttendedDistance,
    AttentionMeans,
    attended_distance,
)
from transfusion_tf.representations.cca import CCA, Directions, cca, cca_from_moments
from transfusion_tf.representations.cka import CKA, biased_cka_from_moments, cka
from transfusion_tf.representations.filters import (
    GaborFit,
    filter_changes,
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
    pooled_stage,
)
from transfusion_tf.representations.integrated_gradients import (
    Attributions,
    integrated_gradients,
)
from transfusion_tf.representations.knn import Neighbours, knn_predict
from transfusion_tf.representations.knn_by_part import KNNSettings, knn_by_part
from transfusion_tf.representations.layer_cka import LayerSettings, layer_cka
from transfusion_tf.representations.model_attention import model_attention
from transfusion_tf.representations.moments import (
    Covariances,
    Moments,
    RepresentationWarning,
)
from transfusion_tf.representations.noise_floor import NoiseFloor, noise_floor
from transfusion_tf.representations.outputs import layer_outputs, named_outputs
from transfusion_tf.representations.pairwise_cka import PairwiseCKA
from transfusion_tf.representations.parts import Part, model_parts
from transfusion_tf.representations.procrustes import (
    Procrustes,
    procrustes,
    procrustes_from_moments,
)
from transfusion_tf.representations.pwcca import PWCCA, pwcca
from transfusion_tf.representations.reinitialization import reinitialize_parts
from transfusion_tf.representations.similarity_by_stage import (
    MEASURES,
    Settings,
    compare_models,
    over_repeats,
)
from transfusion_tf.representations.stage_pairs import compare_stage_pairs
from transfusion_tf.representations.svcca import svcca, svcca_from_moments
from transfusion_tf.representations.travel import (
    average_travel,
    model_travel,
    weight_distance,
)

__all__ = [
    "CCA",
    "CKA",
    "MEASURES",
    "PWCCA",
    "AttendedDistance",
    "AttentionMeans",
    "Attributions",
    "Covariances",
    "Directions",
    "FeatureMoments",
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
    "StageReader",
    "attended_distance",
    "average_travel",
    "biased_cka_from_moments",
    "cca",
    "cca_from_moments",
    "cka",
    "compare_all_pairs",
    "compare_models",
    "compare_stage_pairs",
    "filter_changes",
    "fit_gabor",
    "frechet_distance",
    "gabor_fits",
    "image_distance",
    "integrated_gradients",
    "knn_by_part",
    "knn_predict",
    "layer_cka",
    "layer_outputs",
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
    "reinitialize_parts",
    "sample_activations",
    "stage_moments",
    "svcca",
    "svcca_from_moments",
    "weight_distance",
    "weight_histograms",
]
