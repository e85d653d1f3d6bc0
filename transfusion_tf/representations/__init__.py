"""What a network computes, compared: one measure a file.

All measures take x and y as [points, channels] activations of the same points. Their
`_from_moments` forms take moments accumulated over batches instead.
"""

from transfusion_tf.representations.activations import (
    Sampling,
    StageReader,
    sample_activations,
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
from transfusion_tf.representations.moments import (
    Covariances,
    Moments,
    RepresentationWarning,
)
from transfusion_tf.representations.noise_floor import NoiseFloor, noise_floor
from transfusion_tf.representations.pairwise_cka import PairwiseCKA
from transfusion_tf.representations.procrustes import (
    Procrustes,
    procrustes,
    procrustes_from_moments,
)
from transfusion_tf.representations.pwcca import PWCCA, pwcca, pwcca_from_moments
from transfusion_tf.representations.svcca import svcca, svcca_from_moments

__all__ = [
    "CCA",
    "CKA",
    "MEASURES",
    "PWCCA",
    "Covariances",
    "Directions",
    "GaborFit",
    "Moments",
    "NoiseFloor",
    "PairwiseCKA",
    "Procrustes",
    "RepresentationWarning",
    "Sampling",
    "StageReader",
    "biased_cka_from_moments",
    "cca",
    "cca_from_moments",
    "cka",
    "compare_models",
    "filter_changes",
    "first_layer_kernel",
    "fit_gabor",
    "gabor_fits",
    "noise_floor",
    "procrustes",
    "procrustes_from_moments",
    "pwcca",
    "pwcca_from_moments",
    "sample_activations",
    "svcca",
    "svcca_from_moments",
    "weight_histograms",
]
