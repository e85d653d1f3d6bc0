"""What the measures of similarity are called on pages, charts and in units."""

from collections.abc import Mapping

MEASURE_NAMES: Mapping[str, str] = {
    "cca": "CCA",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "cka": "CKA",
    "procrustes": "Procrustes",
}
# Of those by which stages of a study's models are compared: what they mean, in a word.
MEASURE_MEANINGS: Mapping[str, str] = {
    "cca": "mean canonical correlation",
    "svcca": "mean canonical correlation of the leading principal directions, which "
    "hold 99 % of the variance",
    "pwcca": "mean of the canonical correlations, weighted by how much of the first "
    "model each accounts for",
}
