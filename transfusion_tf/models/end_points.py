"""Where a stage ends: what each model family states about its own layers."""

import re
from collections.abc import Mapping, Sequence
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


def matched_end_points(
    layer_names: Sequence[str],
    stages: Mapping[str, str],
    read_at: Mapping[str, str] | None = None,
) -> tuple[EndPoint, ...] | None:
    """The end points that patterns of layer names say, None where one finds no layer.

    Args:
      layer_names: In graph order.
      stages: Patterns of a stage's layers by its name, from the input up: the last
        layer whose whole name matches is the stage's last. A name may refer to the
        pattern's groups, and is then that of many stages: `block\\1`.
      read_at: Patterns of the layer that stands for a stage in analyses, where it is
        not the last.
    """
    lasts: dict[str, str] = {}
    for name, pattern in stages.items():
        found = _last_matches(layer_names, name, pattern)
        if not found:
            return None
        lasts |= found
    outputs = dict(lasts)
    for name, pattern in (read_at or {}).items():
        outputs |= _last_matches(layer_names, name, pattern)
    return tuple(EndPoint(name, outputs[name], last) for name, last in lasts.items())


def _last_matches(
    layer_names: Sequence[str], stage: str, pattern: str
) -> dict[str, str]:
    matches = [re.fullmatch(pattern, name) for name in layer_names]
    return {match.expand(stage): match[0] for match in matches if match}
