"""How chapters are drawn: a module a kind of view, by the names that studies use."""

from collections.abc import Callable
from pathlib import Path

from transfusion_tf.report.material import Material
from transfusion_tf.report.views import (
    accuracy,
    attention,
    before_and_after,
    convergence,
    data_sizes,
    donor_accuracy,
    donor_filters,
    donor_similarity,
    filters,
    frozen,
    gabor_bank,
    gain_and_similarity,
    gains,
    knn_by_depth,
    layer_similarity,
    mistakes,
    robustness,
    similarity_by_start,
    similarity_of_starts,
    speed_up,
    stages,
    start_and_end,
    starts,
    sweep,
    targets,
    travel,
    truncated,
)
from transfusion_tf.report.views.parts import Sheet, View

# Each takes a chapter's material and the folder for its pictures.
VIEWS: dict[str, Callable[[Material, Path], View]] = {
    "accuracy": accuracy.draw,
    "attention": attention.draw,
    "before_and_after": before_and_after.draw,
    "convergence": convergence.draw,
    "data_sizes": data_sizes.draw,
    "donor_accuracy": donor_accuracy.draw,
    "donor_filters": donor_filters.draw,
    "donor_similarity": donor_similarity.draw,
    "filters": filters.draw,
    "frozen": frozen.draw,
    "gabor_bank": gabor_bank.draw,
    "gains": gains.draw,
    "knn_by_depth": knn_by_depth.draw,
    "layer_similarity": layer_similarity.draw,
    "robustness": robustness.draw,
    "gain_and_similarity": gain_and_similarity.draw,
    "mistakes": mistakes.draw,
    "similarity_by_start": similarity_by_start.draw,
    "similarity_of_starts": similarity_of_starts.draw,
    "speed_up": speed_up.draw,
    "stages": stages.draw,
    "start_and_end": start_and_end.draw,
    "starts": starts.draw,
    "sweep": sweep.draw,
    "travel": travel.draw,
    "truncated": truncated.draw,
    "targets": targets.draw,
}

__all__ = ["VIEWS", "Sheet", "View"]
