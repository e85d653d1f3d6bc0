"""Tables of comparisons of models, as rows of measurements.

`transfusion_tf.studies.comparison_tables` keeps a table for each run, or group of runs,
that chapters have compared; each kind of table has its own columns. Here they become
rows, without the columns that describe runs.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from transfusion_tf.representations import average_travel
from transfusion_tf.representations.measure_names import MEASURE_NAMES


def similarity_rows(before: str, after: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Of pairs of models: the measure, and the noise floor below it.

    Mean canonical correlations are called `cca`, in whatever directions they were
    sought (`svcca`, `pwcca`): a chapter asks for one of these, and the unit says which.
    """

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        one_run = "run_a" not in table
        places = _network_order(table)
        common = pd.DataFrame(
            {
                "run": table["run" if one_run else "run_a"],
                "run_b": table["run" if one_run else "run_b"],
                "stage": table["stage"],
                "position": places,
                "repeat": table["repeat"],
            }
        ).assign(weights=before, weights_b=after)
        names = table["measure"].where(~table["measure"].str.endswith("cca"), "cca")
        units = table["measure"].map(MEASURE_NAMES)
        return pd.concat(
            [
                common.assign(quantity=names, value=table["value"], unit=units),
                common.assign(
                    quantity=names + "_noise_floor",
                    value=table["noise_floor"],
                    unit=units,
                ),
            ],
            ignore_index=True,
        )

    return convert


def _network_order(table: pd.DataFrame) -> pd.Series:
    """Places of the stages from the input up, in which order tables list them."""
    orders: dict[str, dict[str, int]] = {}
    places = []
    models = table["model"] if "model" in table else [""] * len(table)
    for model, stage in zip(models, table["stage"], strict=True):
        order = orders.setdefault(model, {})
        places.append(order.setdefault(stage, len(order)))
    return pd.Series(places, index=table.index, dtype="int64")


def layer_similarity_rows(
    before: str, after: str
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Every layer of one model against every layer of another."""

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        one_run = "run_a" not in table
        return pd.DataFrame(
            {
                "run": table["run" if one_run else "run_a"],
                "run_b": table["run" if one_run else "run_b"],
                "stage": table["stage_a"],
                "item": table["layer_a"] + " – " + table["layer_b"],
                "position": table["position_a"],
                "stage_b": table["stage_b"],
                "position_b": table["position_b"],
                "value": table["cka"],
            }
        ).assign(weights=before, weights_b=after, quantity="layer_cka", unit="CKA")

    return convert


def travel_rows(table: pd.DataFrame) -> pd.DataFrame:
    """How far each part's tensors came from their initial values in training."""
    # Earlier versions took units, and did not say so.
    kind = table["kind"].iloc[0] if "kind" in table else "unit"
    parts = average_travel(table, kind)
    common = pd.DataFrame(
        {
            "run": parts["run"],
            "run_b": parts["run"],
            "stage": parts["stage"],
            "position": parts["position"],
            "item": parts["part"],
        }
    ).assign(weights="initial", weights_b="trained", unit="")
    return pd.concat(
        [
            common.assign(quantity=f"travel_{name}", value=parts[name])
            for name in ("distance", "rms", "relative")
        ],
        ignore_index=True,
    )


def gabor_rows(quantities: Mapping[str, str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """How much of each first filter's energy the best Gabor accounts for.

    Args:
      quantities: column of the table -> name of the quantity.
    """

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        common = pd.DataFrame(
            {"run": table["run"], "item": table["filter"].astype(str)}
        ).assign(unit="share")
        parts = [
            common.assign(quantity=name, value=table[column])
            for column, name in quantities.items()
        ]
        return pd.concat(parts, ignore_index=True)

    return convert


def agreement_rows(table: pd.DataFrame) -> pd.DataFrame:
    """How alike the mistakes of two runs are, beside what independent ones would give;
    and how much of its predictions each has right, once from either side.
    """
    sides = table[["run", "run_b"]]
    other = sides.rename(columns={"run": "run_b", "run_b": "run"})
    names = {
        "prediction_similarity": "similarity",
        "prediction_similarity_independent": "independent",
        "prediction_similarity_excess": "excess",
        "prediction_accuracy": "accuracy",
    }
    columns = [
        (name + end, column + end)
        for name, column in names.items()
        for end in ("", "_low", "_high")
        if column + end in table
    ]
    parts = [
        sides.assign(quantity=name, value=table[column]) for name, column in columns
    ]
    if "accuracy_b" in table:
        parts.append(
            other.assign(quantity="prediction_accuracy", value=table["accuracy_b"])
        )
    return pd.concat(parts, ignore_index=True).assign(
        weights="best", weights_b="best", split="test", unit="share of the images"
    )


def part_rows(
    quantities: Mapping[str, tuple[str, str]], weights: str = "trained"
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Of each part of a network, from the input up.

    A part has several rows where its table has `tokens`, a kind of tokens each, or
    `head`, an attention head each.

    Args:
      quantities: column -> name of the quantity, and its unit.
      weights: of the model that was looked at.
    """

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        items = table["head"].astype(str) if "head" in table else table["part"]
        if "tokens" in table:
            items = items + ", " + table["tokens"]
        common = pd.DataFrame(
            {
                "run": table["run"],
                "stage": table["stage" if "stage" in table else "block"],
                "position": table["position"],
                "item": items,
            }
        ).assign(weights=weights)
        parts = [
            common.assign(quantity=name, unit=unit, value=table[column])
            for column, (name, unit) in quantities.items()
            if column in table
        ]
        return pd.concat(parts, ignore_index=True)

    return convert


def image_distance_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Distance of each data set's images to the source's; corrected for their number
    where that could be done.
    """
    corrected = table["corrected"].fillna(table["value"])
    columns: Mapping[str, pd.Series] = {
        "frechet_distance": corrected,
        "frechet_distance_low": table["low"],
        "frechet_distance_high": table["high"],
    }
    parts: Sequence[pd.DataFrame] = [
        pd.DataFrame({"dataset": table["dataset"], "value": values}).assign(
            quantity=name, unit="Fréchet distance"
        )
        for name, values in columns.items()
    ]
    return pd.concat(parts, ignore_index=True)
