"""The numbers that the feature-reuse paper prints (Matsoukas et al., CVPR 2022).

Rows as `Chapter.published` takes them; `spread` is what stands behind the paper's ±,
over five runs.
"""

from typing import Any

Row = dict[str, Any]

# Data set: card, metric, images, Fréchet Inception distance to ImageNet.
_DATA = {
    "APTOS 2019": ("aptos2019", "quadratic kappa", 3_662, 160),
    "CBIS-DDSM": ("cbis_ddsm", "AUC", 10_239, 155),
    "ISIC 2019": ("isic2019", "recall", 25_333, 141),
    "CheXpert": ("chexpert_14_by_patient", "AUC", 224_316, 181),
    "PatchCamelyon": ("patch_camelyon", "AUC", 327_680, 202),
}

_STATISTICS = "mean_var"

# Model, start: value and ± of each data set, in that order.
_TABLE1 = {
    ("deit_s", "random"): (
        *((0.684, 0.017), (0.907, 0.005), (0.576, 0.013)),
        *((0.740, 0.006), (0.921, 0.002)),
    ),
    ("deit_s", "mean_var"): (
        *((0.721, 0.016), (0.895, 0.005), (0.607, 0.017)),
        *((0.734, 0.002), (0.916, 0.005)),
    ),
    ("deit_s", "transfer"): (
        *((0.894, 0.017), (0.949, 0.011), (0.824, 0.008)),
        *((0.792, 0.001), (0.962, 0.003)),
    ),
    ("swin_t", "random"): (
        *((0.689, 0.022), (0.898, 0.005), (0.597, 0.080)),
        *((0.780, 0.001), (0.936, 0.002)),
    ),
    ("swin_t", "mean_var"): (
        *((0.722, 0.017), (0.900, 0.004), (0.654, 0.008)),
        *((0.785, 0.000), (0.948, 0.013)),
    ),
    ("swin_t", "transfer"): (
        *((0.906, 0.005), (0.961, 0.007), (0.833, 0.008)),
        *((0.805, 0.000), (0.968, 0.006)),
    ),
    ("inception_v3", "random"): (
        *((0.835, 0.012), (0.923, 0.003), (0.668, 0.008)),
        *((0.794, 0.001), (0.956, 0.006)),
    ),
    ("inception_v3", "mean_var"): (
        *((0.796, 0.014), (0.907, 0.014), (0.629, 0.013)),
        *((0.787, 0.001), (0.956, 0.003)),
    ),
    ("inception_v3", "transfer"): (
        *((0.873, 0.007), (0.939, 0.010), (0.758, 0.011)),
        *((0.797, 0.000), (0.958, 0.004)),
    ),
    ("resnet50", "random"): (
        *((0.845, 0.022), (0.919, 0.005), (0.664, 0.016)),
        *((0.796, 0.000), (0.948, 0.008)),
    ),
    ("resnet50", "mean_var"): (
        *((0.848, 0.006), (0.933, 0.006), (0.635, 0.012)),
        *((0.794, 0.001), (0.959, 0.003)),
    ),
    ("resnet50", "transfer"): (
        *((0.888, 0.004), (0.957, 0.003), (0.795, 0.011)),
        *((0.800, 0.001), (0.960, 0.006)),
    ),
}

# Millions, as table 1 prints them.
_PARAMETERS = {"deit_s": 22, "swin_t": 29, "inception_v3": 24, "resnet50": 25}


def table1(statistics: str = _STATISTICS) -> tuple[Row, ...]:
    """Test metrics by model, start and data set; parameters.

    Args:
      statistics: the spec of stats transfer, which a scale may give options.
    """
    specs = {_STATISTICS: statistics}
    rows = [
        {
            **{"model": model, "initialization": specs.get(start, start)},
            "dataset": card,
            **{"quantity": "test", "value": value, "spread": spread},
            "data": f"{data} ({metric})",
        }
        for (model, start), values in _TABLE1.items()
        for (data, (card, metric, *_)), (value, spread) in zip(
            _DATA.items(), values, strict=True
        )
    ]
    rows += [
        {"model": model, "quantity": "parameters", "value": millions * 1_000_000}
        for model, millions in _PARAMETERS.items()
    ]
    return tuple(rows)


def figure1() -> tuple[Row, ...]:
    """Distances to ImageNet, and both gains, which follow from table 1."""
    rows: list[Row] = [
        {
            **{"dataset": card, "quantity": "frechet_distance", "value": distance},
            "data": data,
        }
        for data, (card, _, _, distance) in _DATA.items()
    ]
    for model in _PARAMETERS:
        random, statistics, weights = (
            [value for value, _ in _TABLE1[(model, start)]]
            for start in ("random", "mean_var", "transfer")
        )
        for index, (data, (card, *_)) in enumerate(_DATA.items()):
            shared = {"model": model, "dataset": card, "data": data}
            shared["initialization"] = "transfer"
            gain = weights[index] / random[index]
            reuse = 1 - statistics[index] / weights[index]
            rows += [
                {**shared, "quantity": "relative_gain", "value": round(gain, 4)},
                {**shared, "quantity": "feature_reuse_share", "value": round(reuse, 4)},
            ]
    return tuple(rows)
