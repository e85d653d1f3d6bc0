"""The chapters' kinds, by the names that studies use; a module for each family."""

from pathlib import Path

from transfusion_tf.report.chapter_kinds import ChapterKind, View, draw
from transfusion_tf.report.chapters import (
    accuracy,
    costs,
    decisions,
    differences,
    donor_accuracy,
    donor_comparisons,
    example_images,
    first_layer_filters,
    frozen,
    gabors,
    gains,
    layers,
    learning_rates,
    learning_speed,
    missed_images,
    profiles,
    similarity,
    stage_sweeps,
    targets,
)
from transfusion_tf.report.material import Material

_FAMILIES = (
    accuracy,
    costs,
    decisions,
    learning_speed,
    missed_images,
    differences,
    donor_comparisons,
    donor_accuracy,
    example_images,
    first_layer_filters,
    frozen,
    gabors,
    gains,
    layers,
    learning_rates,
    profiles,
    similarity,
    stage_sweeps,
    targets,
)

KINDS: dict[str, ChapterKind] = {
    kind.name: kind for family in _FAMILIES for kind in family.KINDS
}


def draw_chapter(material: Material, folder: Path) -> View:
    """Draws a chapter as the kind that its study asks for; `KINDS` has all."""
    return draw(KINDS[material.chapter.view], material, folder)


__all__ = ["KINDS", "ChapterKind", "View", "draw_chapter"]
