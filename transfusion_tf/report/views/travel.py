"""Travel: how far each layer's weights move in training, by start."""

import dataclasses
from pathlib import Path

import pandas as pd

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.views import layer_profiles
from transfusion_tf.report.views.parts import View, long_table, one_seed_note
from transfusion_tf.report.views.reuse_cells import seeds_of, start_marks
from transfusion_tf.representations import average_travel


def draw(material: Material, folder: Path) -> View:
    """One picture, a panel a model, a line a start; means over data sets."""
    found = layer_profiles.profiles(_averaged(material), "travel", "distance")
    table = long_table(layer_profiles.profile_rows(found, "distance"), material)
    marks = start_marks([profile.cell for profile in found])
    pictures = []
    if found:
        pictures = [
            gallery.keep(
                layer_profiles.figure(found, "distance per weight", log=True),
                folder,
                material.chapter.name,
                "Distance that weights travel in training, by layer and start",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(found)),
        sheet=layer_profiles.sheet(
            found,
            "ℓ2 distance over the number of weights, mean over a layer's tensors but "
            "its normalizations; the head is left out.",
            digits=6,
        )
        if found
        else None,
        colours={name: mark.colour for name, mark in marks.items()},
    )


def _averaged(material: Material) -> Material:
    """The material with means over the tensors of each unit in place of tensors."""
    table = material.analysis("travel")
    if table.empty:
        return material
    parts = [average_travel(own).assign(run=run) for run, own in table.groupby("run")]
    analyses = {**material.analyses, "travel": pd.concat(parts, ignore_index=True)}
    return dataclasses.replace(material, analyses=analyses)


def _sentences(found: list[layer_profiles.Profile]) -> list[str]:
    said = []
    together = layer_profiles.over_data(found)
    for model in together:
        statistics, weights = layer_profiles.ends(together, model)
        if statistics is None or weights is None:
            continue
        far, near = map(layer_profiles.mean_over_parts, (statistics, weights))
        if not far > 0:
            said.append(f"{model}: from statistics the best weights are the first.")
            continue
        said.append(
            f"{model}: from transferred weights layers travel "
            f"{wording.number(near / far, 2)} times as far as from their statistics."
        )
    return said + one_seed_note(seeds_of([profile.cell for profile in found]))
