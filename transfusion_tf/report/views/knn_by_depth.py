"""k-NN by depth: how well features of each stage tell the classes apart, by start."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from transfusion_tf.evaluation import seed_interval
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.views import layer_profiles, plots
from transfusion_tf.report.views.layer_profiles import Profile
from transfusion_tf.report.views.parts import (
    View,
    long_table,
    measured,
    one_seed_note,
)
from transfusion_tf.report.views.reuse_cells import seeds_of, start_marks, start_name

_TOKENS = "both"


def draw(material: Material, folder: Path) -> View:
    """One picture: a panel a model, a line a start; the best at any depth, last."""
    found = layer_profiles.profiles(_one_of_tokens(material), "knn", "value")
    rows = [*_token_rows(material), *_best_rows(found)]
    marks = start_marks([profile.cell for profile in found])
    pictures = []
    if found:
        figure = layer_profiles.figure(
            found, "k-NN, test metric", extra=lambda axes: _draw_best(axes, found)
        )
        pictures = [
            gallery.keep(
                figure,
                folder,
                material.chapter.name,
                "k-NN score of the features at each depth, by start",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=long_table(rows, material),
        sentences=tuple(_sentences(found)),
        sheet=layer_profiles.sheet(
            found,
            "Of transformers, class token and mean of the spatial tokens side by side; "
            "the table in the folder has each alone. The head's logits are left out.",
        )
        if found
        else None,
        colours={name: mark.colour for name, mark in marks.items()},
    )


def _one_of_tokens(material: Material) -> Material:
    """The material with one row a part: of all tokens where there are several."""
    table = material.analysis("knn")
    if table.empty:
        return material
    several = table.groupby(["run", "position"])["tokens"].transform("nunique") > 1
    kept = table[~several | (table["tokens"] == _TOKENS)]
    return dataclasses.replace(material, analyses={**material.analyses, "knn": kept})


def _token_rows(material: Material) -> list[dict[str, Any]]:
    """Rows of a long table for every kind of tokens, as `pair`."""
    table = material.analysis("knn")
    if table.empty:
        return []
    rows = []
    for tokens, own in table.groupby("tokens", sort=False):
        part = dataclasses.replace(material, analyses={"knn": own})
        found = layer_profiles.profiles(part, "knn", "value")
        rows += [
            row | {"pair": tokens} for row in layer_profiles.profile_rows(found, "knn")
        ]
    return rows


def _best(profile: Profile) -> np.ndarray:
    """[seeds]: the best score at any depth below the head."""
    return profile.values[:, list(profile.body)].max(axis=1)


def _best_rows(found: list[Profile]) -> list[dict[str, Any]]:
    return [
        {
            **{**profile.cell.keys, "quantity": "best_knn"},
            **measured(seed_interval(list(_best(profile)))),
        }
        for profile in found
    ]


def _draw_best(axes: Axes, found: list[Profile]) -> None:
    together = layer_profiles.over_data(found)
    marks = style.marks(list(together))
    for model, starts in together.items():
        points = sorted(
            (profile.cell.fraction, float(_best(profile).mean()))
            for profile in starts.values()
            if profile.cell.fraction is not None
        )
        axes.plot(
            [place for place, _ in points], [value for _, value in points],
            color=marks[model].colour, marker=marks[model].marker, markersize=4,
            linewidth=1.5, markeredgewidth=0, label=model,
        )  # fmt: skip
    axes.set_title("best at any depth", pad=4)
    axes.set_xticks([0, 0.5, 1], ["ST", "½", "WT"])
    axes.legend(fontsize=6.5, handlelength=1.4)
    plots.grid(axes, "y")


def _sentences(found: list[Profile]) -> list[str]:
    said = []
    for model, starts in layer_profiles.over_data(found).items():
        for profile in starts.values():
            if profile.cell.fraction not in (0.0, 1.0):
                continue
            kept = list(profile.body)
            top = kept[int(np.argmax(profile.means[kept]))]
            said.append(
                f"{model} from {start_name(profile.cell)}: features are best at "
                f"{profile.parts[top]} ({wording.number(profile.means[top])}); the "
                f"last stage has {wording.number(profile.means[kept[-1]])}."
            )
    return said + one_seed_note(seeds_of([profile.cell for profile in found]))
