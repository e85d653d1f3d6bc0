"""Does transfer learning pay on a medical image data set, where, and how much?

Data flows down the packages, and each imports only from those above it:
`datasets`, `input_pipeline`, `models`, `initialization`, `evaluation`,
`training`, `representations`, `studies`, `report`.
"""

__version__ = "0.1.0"
