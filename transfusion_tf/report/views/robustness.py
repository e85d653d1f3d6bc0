"""Robustness: what is lost where one part is set back to the weights it began from."""

from pathlib import Path

import numpy as np

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.views import layer_profiles
from transfusion_tf.report.views.parts import View, long_table, one_seed_note
from transfusion_tf.report.views.reuse_cells import seeds_of, start_marks, start_name


def draw(material: Material, folder: Path) -> View:
    """One picture, a panel a model, a line a start; means over data sets."""
    found = layer_profiles.profiles(material, "robustness", "drop")
    table = long_table(layer_profiles.profile_rows(found, "drop"), material)
    marks = start_marks([profile.cell for profile in found])
    pictures = []
    if found:
        pictures = [
            gallery.keep(
                layer_profiles.figure(found, "loss of the test metric"),
                folder,
                material.chapter.name,
                "Loss of the test metric by the layer that is set back, by start",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(found)),
        sheet=layer_profiles.sheet(
            found,
            "Test metric of the trained model, minus that with one part at the weights "
            "it began from. A part that loses little has reused what it was given.",
        )
        if found
        else None,
        colours={name: mark.colour for name, mark in marks.items()},
    )


def _sentences(found: list[layer_profiles.Profile]) -> list[str]:
    said = []
    for model, starts in layer_profiles.over_data(found).items():
        worst = []
        for profile in starts.values():
            kept = list(profile.body)
            place = kept[int(np.nanargmax(profile.means[kept]))]
            worst.append(
                f"{start_name(profile.cell)} {wording.number(profile.means[place])} "
                f"({profile.parts[place]})"
            )
        said.append(
            f"{model}: the part below the head that costs most to set back costs, from "
            f"{wording.listed(worst)}."
        )
    return said + one_seed_note(seeds_of([profile.cell for profile in found]))
