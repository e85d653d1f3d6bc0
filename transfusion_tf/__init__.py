"""Does transfer learning pay on a medical image data set, where, and how much?

Data flows down the packages, and each imports only from those above it:
`datasets`, `input_pipeline`, `models`, `initialization`, `evaluation`,
`representations`, `training`, `studies`, `report`.
"""

import os

# oneDNN's kernels, which TensorFlow takes by itself on AVX-512 alone. On two AVX2 cores
# a step of CBR-Tiny is 1.3 to 1.6 times as fast with them, one of ResNet50 2.6 times.
# It counts where it is said before TensorFlow is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
