"""Where a stage ends: what each model family states about its own layers."""

from typing import NamedTuple


class EndPoint(NamedTuple):
    """One stage, by the names of two of its layers.

    Attributes:
      stage: Name of the stage, as specs and reports write it.
      output_layer: Layer whose output stands for the stage in analyses.
      last_layer: Last layer of the stage. Every path through the network passes
        it, so the layers up to it in graph order are all that lies below.
    """

    stage: str
    output_layer: str
    last_layer: str
