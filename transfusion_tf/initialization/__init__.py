"""Donor + scheme -> weights.

`initialize(model, "transfer:block2+mean_var", donor, seed=0)` gives every weight of
a model its start and says what it did.
"""

from transfusion_tf.initialization.donor_errors import (
    DonorMismatchError,
    DonorUnavailableError,
)
from transfusion_tf.initialization.donor_sources import imagenet_donor, load_donor
from transfusion_tf.initialization.donors import (
    Donor,
    donor_from_file,
    donor_from_model,
)
from transfusion_tf.initialization.gabor import gabor_filter_bank, gabor_filters
from transfusion_tf.initialization.initialization_report import (
    InitializationReport,
    TensorRecord,
)
from transfusion_tf.initialization.initializers import (
    Gabor,
    MeanVar,
    Sampled,
    Shuffled,
    Transferred,
)
from transfusion_tf.initialization.plans import initialize, plan_tensors
from transfusion_tf.initialization.presets import (
    donor_from_preset,
    is_preset,
    preset_fingerprint,
)
from transfusion_tf.initialization.specs import (
    SCHEMES,
    InitializationSpec,
    parse_spec,
)

__all__ = [
    "SCHEMES",
    "Donor",
    "DonorMismatchError",
    "DonorUnavailableError",
    "Gabor",
    "InitializationReport",
    "InitializationSpec",
    "MeanVar",
    "Sampled",
    "Shuffled",
    "TensorRecord",
    "Transferred",
    "donor_from_file",
    "donor_from_model",
    "donor_from_preset",
    "gabor_filter_bank",
    "gabor_filters",
    "imagenet_donor",
    "initialize",
    "is_preset",
    "load_donor",
    "parse_spec",
    "plan_tensors",
    "preset_fingerprint",
]
