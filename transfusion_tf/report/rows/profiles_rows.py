"""Rows of profiles: a number of each part of a network, by start; means over seeds.

What the chapters on travel, robustness, k-NN and attention share.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.estimator import estimate_mean
from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.transfer_runs import TransferRuns, transfer_runs

_HEAD = "head"
_ALL_TOKENS = "both"


@dataclasses.dataclass(frozen=True, eq=False)
class Profile:
    """Of one group.

    Attributes:
      group: its runs.
      parts: names from the input up.
      values: [seeds, parts].
      body: places of the parts below the head.
    """

    group: TransferRuns
    parts: tuple[str, ...]
    values: np.ndarray
    body: tuple[int, ...]

    @property
    def means(self) -> np.ndarray:
        """[parts], over seeds."""
        return self.values.mean(axis=0)

    @property
    def best(self) -> np.ndarray:
        """[seeds]: the best score at any depth below the head."""
        return self.values[:, list(self.body)].max(axis=1)


def profiles(material: Material, table: pd.DataFrame) -> list[Profile]:
    """The profiles of all groups in the measurements of one quantity."""
    found = []
    for group in transfer_runs(material):
        own = table[table["run"].isin(group.ids)]
        if own.empty:
            continue
        square = own.pivot_table(index="run", columns="position", values="value")
        order = own.drop_duplicates("position").set_index("position")
        order = order.loc[square.columns]
        # A head's layers have names of their own.
        body = np.flatnonzero(order["stage"] != _HEAD)
        # What follows a comma are tokens, or a head.
        parts = tuple(order["item"].str.split(", ").str[0])
        found.append(Profile(group, parts, square.to_numpy(float), tuple(body)))
    return found


def travel_rows(material: Material) -> Rows:
    """How far each layer's weights travel: means over the tensors of each unit."""
    found = profiles(material, material.of("travel_distance"))
    rows = drawn_rows(found, with_mean=True)
    means = {
        (row["panel"], row["fraction"]): row
        for row in rows
        if row["quantity"] == "mean_over_parts"
    }
    for (panel, share), weights in list(means.items()):
        statistics = means.get((panel, 0.0))
        if share == 1.0 and statistics is not None:
            below = statistics["value"]
            times = weights["value"] / below if below > 0 else np.nan
            ratio = {"quantity": "weights_to_statistics", "value": times}
            names = {"model": weights["model"], "panel": panel}
            rows.append({"hidden": True, **names, **ratio})
    return part_rows(found, "distance") + rows


def robustness_rows(material: Material) -> Rows:
    """What is lost where one part is set back to the weights it began from."""
    found = profiles(material, material.of("robustness_drop"))
    return part_rows(found, "drop") + drawn_rows(found)


def knn_rows(material: Material) -> Rows:
    """k-NN score at each depth for every kind of tokens, as `pair`, and the best."""
    table = material.of("knn_score")
    tokens = table["item"].str.split(", ").str[-1]
    rows: Rows = []
    for name, own in table.groupby(tokens, sort=False):
        rows += [
            row | {"pair": name} for row in part_rows(profiles(material, own), "knn")
        ]
    # Where there are several kinds of tokens, one row per part: of all of them.
    several = tokens.groupby([table["run"], table["position"]]).transform("nunique") > 1
    found = profiles(material, table[~several | (tokens == _ALL_TOKENS)])
    rows += [
        profile.group.row("best_knn", estimate_mean(list(profile.best)))
        for profile in found
    ]
    return rows + drawn_rows(found) + _best_rows(found)


def _best_rows(found: Sequence[Profile]) -> Rows:
    """The best score at any depth by start: of each data set, and mean over them."""
    several = len({profile.group.data for profile in found}) > 1
    sets = [("mean_best", profile) for profile in _over_data(found)]
    sets += [("best_of_data", profile) for profile in found if several]
    return [
        {**profile.group.columns, "hidden": True, "dataset": None, "quantity": quantity}
        | {"value": float(profile.best.mean())}
        for quantity, profile in sets
    ]


def part_rows(found: Sequence[Profile], quantity: str) -> Rows:
    """A row per part, as `stage`."""
    return [
        profile.group.row(
            quantity, estimate_mean(list(profile.values[:, index])), stage=part
        )
        for profile in found
        for index, part in enumerate(profile.parts)
    ]


def drawn_rows(found: Sequence[Profile], *, with_mean: bool = False) -> Rows:
    """What is drawn and printed, a panel a model and data set; not in the long table.

    Of every start: `profile` with the range of its runs, and below the head
    `mean_over_parts`, `highest` (with `at`) and `last`.

    Args:
      found: the profiles.
      with_mean: whether, of several data sets, panels of their mean stand first.
    """
    models = list(dict.fromkeys(profile.group.model for profile in found))
    panels = [
        (f"{each.group.model}, {each.group.data}", each)
        for each in sorted(found, key=lambda each: models.index(each.group.model))
    ]
    if len({profile.group.data for profile in found}) == 1:
        panels = [(profile.group.model, profile) for profile in found]
    elif with_mean:
        means = [(f"{p.group.model}, mean of data sets", p) for p in _over_data(found)]
        panels = means + panels
    return [row for panel, profile in panels for row in _panel_rows(panel, profile)]


def _panel_rows(panel: str, profile: Profile) -> Rows:
    keys = {**profile.group.columns, "hidden": True, "dataset": None, "panel": panel}
    values, body = profile.values, list(profile.body)
    means = profile.means[body]
    top = int(np.nanargmax(means)) if np.isfinite(means).any() else 0
    low, high = values.min(axis=0), values.max(axis=0)
    rows: Rows = []
    for place, part in enumerate(profile.parts):
        row = {"place": float(place), "value": profile.means[place]}
        if len(values) > 1:
            row |= {"low": low[place], "high": high[place]}
        rows.append({**keys, "quantity": "profile", "stage": part, **row})
    for quantity, value in (
        ("mean_over_parts", np.nanmean(means)),
        ("highest", means[top]),
        ("last", means[-1]),
    ):
        at = {"at": profile.parts[body[top]], "at_last": float(means[-1])}
        rows.append({**keys, "quantity": quantity, "value": float(value), **at})
    return rows


def _over_data(found: Sequence[Profile]) -> list[Profile]:
    """A profile of each model and start: over the runs on all data sets."""
    together: dict[tuple[str, str], Profile] = {}
    for profile in found:
        key = (profile.group.model, profile.group.initialization)
        if key in together:
            values = np.concatenate([together[key].values, profile.values])
            profile = dataclasses.replace(profile, values=values)
        together[key] = profile
    return list(together.values())


def attention_rows(material: Material) -> Rows:
    """How far each head of each block looks, near ones first; and what is drawn."""
    rows: Rows = []
    distances, shares = map(material.of, ("attended_distance", "class_token_share"))
    for number, group in enumerate(transfer_runs(material)):
        own, at_class = (
            table[table["run"].isin(group.ids)] for table in (distances, shares)
        )
        if own.empty:
            continue
        name = f"{group.model}, {group.label}"
        keys = {**group.columns, "group": number, "title": name}
        keys["task"] = name.replace(", ", "\n", 1)
        rows += [{**keys, **row} for row in _ranked_heads(own)]
        rows += [{**keys, **row, "hidden": True} for row in _drawn_heads(own, at_class)]
    return rows


def _ranked_heads(own: pd.DataFrame) -> Rows:
    """A row per head; heads are told apart by how far they look."""
    ranked = own.assign(
        rank=own.groupby(["run", "position"])["value"].rank(method="first")
    )
    return [
        {"stage": key[1], "pair": f"head {key[2]:g}", "quantity": "attended_distance"}
        | measured(estimate_mean(list(part["value"])))
        for key, part in ranked.groupby(["position", "stage", "rank"])
    ]


def _drawn_heads(own: pd.DataFrame, at_class: pd.DataFrame) -> Rows:
    rows: Rows = [
        {"quantity": "head", "place": place + 1.0, "value": value}
        for place, value in zip(own["position"], own["value"], strict=True)
    ]
    for block, part in own.groupby("stage", sort=False):
        position = int(part["position"].iloc[0])
        ends = part.groupby("run")["value"].agg(["min", "mean", "max"]).mean()
        values = {
            "mean_head": part["value"].mean(),
            "nearest": ends["min"],
            "mean": ends["mean"],
            "farthest": ends["max"],
            "class_token_share": at_class.loc[
                at_class["stage"] == block, "value"
            ].mean(),
        }
        rows += [
            {"quantity": name, "stage": block, "place": position + 1.0}
            | {"value": value, "farthest": values["farthest"]}
            for name, value in values.items()
        ]
    return rows
