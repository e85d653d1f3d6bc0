"""The chapters' kinds, by the names that studies use; a module for each family."""

import importlib
import pkgutil
from pathlib import Path

from transfusion_tf.report.chapter_kinds import ChapterKind, View, draw
from transfusion_tf.report.material import Material

_FAMILIES = [
    importlib.import_module(f"{__name__}.{found.name}")
    for found in pkgutil.iter_modules(__path__)
]

KINDS: dict[str, ChapterKind] = {
    kind.name: kind for family in _FAMILIES for kind in family.KINDS
}


def draw_chapter(material: Material, folder: Path) -> View:
    """Draws a chapter as the kind that its study asks for; `KINDS` has all."""
    return draw(KINDS[material.chapter.view], material, folder)


__all__ = ["KINDS", "ChapterKind", "View", "draw_chapter"]
