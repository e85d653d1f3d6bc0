"""How chapters are drawn: a module a kind of view, by the names that studies use."""

from collections.abc import Callable
from pathlib import Path

from transfusion_tf.report.chapters import Material
from transfusion_tf.report.views import (
    accuracy,
    before_and_after,
    convergence,
    data_sizes,
    filters,
    frozen,
    gabor_bank,
    similarity_by_start,
    similarity_of_starts,
    stages,
    start_and_end,
)
from transfusion_tf.report.views.parts import Sheet, View

# Each takes a chapter's material and the folder for its pictures.
VIEWS: dict[str, Callable[[Material, Path], View]] = {
    "accuracy": accuracy.draw,
    "before_and_after": before_and_after.draw,
    "convergence": convergence.draw,
    "data_sizes": data_sizes.draw,
    "filters": filters.draw,
    "frozen": frozen.draw,
    "gabor_bank": gabor_bank.draw,
    "similarity_by_start": similarity_by_start.draw,
    "similarity_of_starts": similarity_of_starts.draw,
    "stages": stages.draw,
    "start_and_end": start_and_end.draw,
}

__all__ = ["VIEWS", "Sheet", "View"]
