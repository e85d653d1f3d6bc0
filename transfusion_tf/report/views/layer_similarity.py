"""Layer similarity: CKA of all layers with all, as heat maps."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import WIDTH, styled
from transfusion_tf.report.views.parts import Sheet, View, long_table, one_seed_note

# Analysis -> quantity, and what the axes of its map show (down, across).
_KINDS = {
    "layer_cka": (
        "cka_before_after",
        "before and after",
        "layers before",
        "layers after",
    ),
    "layer_cka_pairs": (
        "cka_statistics_weights",
        "ST and WT",
        "layers from ST",
        "layers from WT",
    ),
}
_MOST_NAMES = 14


def draw(material: Material, folder: Path) -> View:
    """A picture a data set and model: both maps side by side, means over seeds."""
    maps = _maps(material)
    rows = [row for key, kinds in maps.items() for row in _rows(key, kinds)]
    pictures = [
        gallery.keep(
            _figure(f"{model} on {dataset}", kinds),
            folder,
            f"{material.chapter.name}-{gallery.slug(f'{dataset}-{model}')}",
            f"CKA of every layer with every layer, {model} on {dataset}",
        )
        for (dataset, model), kinds in maps.items()
    ]
    return View(
        pictures=tuple(pictures),
        table=long_table(rows, material),
        sentences=tuple(_sentences(maps)),
        sheet=_sheet(maps),
    )


def _maps(
    material: Material,
) -> dict[tuple[str, str], dict[str, tuple[pd.DataFrame, int]]]:
    """(data set, model) -> kind -> map [layers, layers] and number of seeds."""
    found: dict[tuple[str, str], dict[str, tuple[pd.DataFrame, int]]] = {}
    for kind in _KINDS:
        table = material.analysis(kind)
        if table.empty:
            continue
        runs = "run" if "run" in table else "run_b"
        for (dataset, name), part in table.groupby(["dataset", "model"], sort=False):
            means = part.groupby(
                ["position_a", "layer_a", "position_b", "layer_b"], sort=True
            )["cka"].mean()
            square = means.reset_index().pivot_table(
                index="position_a", columns="position_b", values="cka"
            )
            names = part.drop_duplicates("position_a").set_index("position_a")
            square.index = names["layer_a"].reindex(square.index)
            others = part.drop_duplicates("position_b").set_index("position_b")
            square.columns = others["layer_b"].reindex(square.columns)
            seeds = int(part[runs].nunique())
            found.setdefault((str(dataset), str(name)), {})[kind] = (square, seeds)
    return found


def _rows(
    key: tuple[str, str], kinds: dict[str, tuple[pd.DataFrame, int]]
) -> list[dict[str, Any]]:
    dataset, model = key
    return [
        {
            **{"dataset": dataset, "model": model, "stage": down, "pair": across},
            **{"quantity": _KINDS[kind][0], "value": square.iloc[i, j]},
            "seeds": seeds,
        }
        for kind, (square, seeds) in kinds.items()
        for i, down in enumerate(square.index)
        for j, across in enumerate(square.columns)
    ]


@styled
def _figure(title: str, kinds: dict[str, tuple[pd.DataFrame, int]]) -> Figure:
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    panels = figure.subplots(1, max(2, len(kinds)), squeeze=False)[0]
    for axes in panels[len(kinds) :]:
        axes.set_visible(False)
    for axes, (kind, (square, _)) in zip(panels, kinds.items(), strict=False):
        _, name, down, across = _KINDS[kind]
        image = axes.imshow(
            square.to_numpy(), vmin=0, vmax=1, cmap="magma", origin="lower"
        )
        axes.set_title(name, pad=4)
        axes.set_xlabel(across)
        axes.set_ylabel(down)
        _name_layers(axes, list(square.index), list(square.columns))
        for spine in axes.spines.values():
            spine.set_visible(False)
    bar = figure.colorbar(image, ax=list(panels), location="right", shrink=0.62)
    bar.set_label("CKA")
    bar.outline.set_visible(False)
    figure.suptitle(title, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    return figure


def _name_layers(axes: Axes, down: list[str], across: list[str]) -> None:
    """Names where they fit; of many layers, every so many."""
    for names, axis in ((down, axes.yaxis), (across, axes.xaxis)):
        step = -(-len(names) // _MOST_NAMES)
        axis.set_ticks(range(0, len(names), step), names[::step])
        axis.set_tick_params(length=0, labelsize=6)
    axes.tick_params(axis="x", rotation=90)


def _diagonal(square: pd.DataFrame) -> pd.Series:
    """Each layer with itself, from the input up."""
    shared = [name for name in square.index if name in square.columns]
    return pd.Series({name: float(square.loc[name, name]) for name in shared})


def _sheet(maps: dict[tuple[str, str], dict[str, tuple[pd.DataFrame, int]]]) -> Sheet:
    rows = []
    for (dataset, model), kinds in maps.items():
        diagonals = {kind: _diagonal(square) for kind, (square, _) in kinds.items()}
        layers = dict.fromkeys(
            name for each in diagonals.values() for name in each.index
        )
        for index, layer in enumerate(layers):
            rows.append(
                (
                    f"{model}\n{dataset}" if index == 0 else "",
                    layer,
                    *(
                        wording.number(diagonals[kind].get(layer))
                        if kind in diagonals
                        else wording.MISSING
                        for kind in _KINDS
                    ),
                )
            )
    return Sheet(
        ("Model", "Layer", "Before and after, from WT", "ST and WT, after"),
        tuple(rows),
        caption="CKA of each layer with itself, mean over seeds. 1: the same features "
        "but for a rotation and a scale.",
    )


def _sentences(
    maps: dict[tuple[str, str], dict[str, tuple[pd.DataFrame, int]]],
) -> list[str]:
    said = []
    for (dataset, model), kinds in maps.items():
        for kind, (square, _) in kinds.items():
            found = _diagonal(square).dropna()
            if len(found) < 2:
                continue
            half = len(found) // 2
            early = float(np.mean(found[:half]))
            late = float(np.mean(found[len(found) - half :]))
            what = "before and after training from transferred weights"
            if kind != "layer_cka":
                what = "after training from statistics and from weights"
            said.append(
                f"{model} on {dataset}: layers {what} have a CKA of "
                f"{wording.number(early)} in the first half of the network and "
                f"{wording.number(late)} in the second."
            )
    seeds = [float(n) for kinds in maps.values() for _, n in kinds.values()]
    return said + one_seed_note(seeds)
