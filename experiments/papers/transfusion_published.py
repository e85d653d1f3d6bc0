"""The numbers that the Transfusion paper prints (Raghu et al., NeurIPS 2019).

Rows as `Chapter.published` takes them. AUCs are shares, not per cent; `spread` is
what stands behind the paper's ±. They are of the paper's data (RETINA is private).
"""

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]

RETINA = "RETINA, ImageNet donors"
CHEXPERT = "CheXpert, ImageNet donors"

_FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
)

# Model: AUC from random weights, ±, AUC of transfer, ±, parameters, ImageNet top-5, ±.
_TABLE1 = {
    "resnet50": (96.4, 0.05, 96.7, 0.04, 23_570_408, 92.0, 0.06),
    "inception_v3": (96.6, 0.13, 96.7, 0.05, 22_881_424, 93.9, None),
    "cbr_large_t": (96.2, 0.04, 96.2, 0.04, 8_532_480, 77.5, 0.03),
    "cbr_large_w": (95.8, 0.04, 95.8, 0.05, 8_432_128, 75.1, 0.3),
    "cbr_small": (95.7, 0.04, 95.8, 0.01, 2_108_672, 67.6, 0.3),
    "cbr_tiny": (95.8, 0.03, 95.8, 0.01, 1_076_480, 73.5, 0.05),
}

# (Model, start): AUC and ± by finding.
_TABLE2 = {
    ("resnet50", "random"): (
        *((79.52, 0.31), (75.23, 0.35), (85.49, 1.32), (88.34, 1.17), (88.70, 0.13)),
    ),
    ("resnet50", "transfer"): (
        *((79.76, 0.47), (74.93, 1.41), (84.42, 0.65), (88.89, 1.66), (88.07, 1.23)),
    ),
    ("cbr_large_t", "random"): (
        *((81.52, 0.25), (74.83, 1.66), (88.12, 0.25), (87.97, 1.40), (88.37, 0.01)),
    ),
    ("cbr_large_t", "transfer"): (
        *((80.89, 1.68), (76.84, 0.87), (86.15, 0.71), (89.03, 0.74), (88.44, 0.84)),
    ),
    ("cbr_large_w", "random"): (
        *((79.79, 0.79), (74.63, 0.69), (86.71, 1.45), (84.80, 0.77), (86.53, 0.54)),
    ),
    ("cbr_large_w", "transfer"): (
        *((80.70, 0.31), (77.23, 0.84), (86.87, 0.33), (89.57, 0.34), (87.29, 0.69)),
    ),
    ("cbr_small", "random"): (
        *((80.43, 0.72), (74.36, 1.06), (88.07, 0.60), (86.20, 1.35), (86.14, 1.78)),
    ),
    ("cbr_small", "transfer"): (
        *((80.18, 0.85), (75.24, 1.43), (86.48, 1.13), (89.09, 1.04), (87.88, 1.01)),
    ),
    ("cbr_tiny", "random"): (
        *((80.81, 0.55), (75.17, 0.73), (85.31, 0.82), (84.87, 1.13), (85.56, 0.89)),
    ),
    ("cbr_tiny", "transfer"): (
        *((80.02, 1.06), (75.74, 0.71), (84.28, 0.82), (89.81, 1.08), (87.69, 0.75)),
    ),
}

# (Model, start): AUC by number of training images.
_TABLE4 = {
    ("resnet50", "transfer"): {5_000: 94.6, 10_000: 94.8, 50_000: 95.7, 100_000: 96.0},
    ("resnet50", "random"): {5_000: 92.2, 10_000: 93.3, 50_000: 95.3, 100_000: 95.9},
    ("cbr_large_t", "random"): {5_000: 93.6},
    ("cbr_large_t", "transfer"): {5_000: 93.9},
    ("cbr_large_w", "random"): {5_000: 93.6},
    ("cbr_large_w", "transfer"): {5_000: 93.7},
    ("resnet50", "transfer:conv1"): {5_000: 92.9},
    ("resnet50", "mean_var"): {10_000: 94.4, 50_000: 95.5, 100_000: 95.8},
}

# Model: stages, CCA between models from the same donor, between random starts.
_TABLE5 = {
    "resnet50": (
        ("conv1", "block1", "block2", "block3", "block4"),
        (0.865, 0.559, 0.421, 0.343, 0.313),
        (0.647, 0.369, 0.277, 0.256, 0.276),
    ),
    "cbr_small": (
        ("pool1", "pool2", "pool3", "pool4"),
        (0.825, 0.709, 0.477, 0.395),
        (0.723, 0.541, 0.401, 0.349),
    ),
}

# Model: R² at the lowest stage and at higher ones, pairs of random starts and mixed.
_FIGURE4 = {
    "resnet50": ("conv1", 0.838, 0.752, 0.008, 0.001),
    "cbr_small": ("pool1", 0.197, 0.160, 0.079, 0.322),
}

# (Model, start): steps until the test AUC passes 0.91.
_FIGURE8 = {
    ("resnet50", "random"): 69_069,
    ("resnet50", "gabor"): 25_425,
    ("resnet50[slim_after=block2,width=0.5]", "transfer:block2"): 8_208,
    ("resnet50", "transfer"): 8_008,
    ("cbr_large_w", "random"): 104_104,
    ("cbr_large_w", "gabor"): 82_082,
    ("cbr_large_w", "transfer"): 19_419,
}


def table1() -> tuple[Row, ...]:
    """AUC of referable disease, parameters, and the donors' ImageNet accuracy."""
    rows: list[Row] = []
    for model, values in _TABLE1.items():
        random, random_spread, transfer, spread, parameters, top5, top5_spread = values
        rows += [
            _auc(model, "random", "test", random, random_spread),
            _auc(model, "transfer", "test", transfer, spread),
            {"model": model, "quantity": "parameters_table1", "value": parameters}
            | {"data": RETINA},
            {
                **{"model": model, "quantity": "donor/top5_accuracy"},
                **{"value": _share(top5), "spread": _share(top5_spread)},
                "data": "ImageNet",
            },
        ]
    return tuple(rows)


def table2() -> tuple[Row, ...]:
    """AUC of five findings on CheXpert."""
    return tuple(
        _auc(model, start, f"auc/{finding}", value, spread, CHEXPERT)
        for (model, start), values in _TABLE2.items()
        for finding, (value, spread) in zip(_FINDINGS, values, strict=True)
    )


def table4(sizes: Mapping[int, int], smallest_only: bool = False) -> tuple[Row, ...]:
    """AUC by number of training images; table 3 is its column of the smallest.

    Args:
      sizes: the paper's numbers -> those of the runs that stand beside them.
      smallest_only: gives table 3, which has neither `mean_var` nor conv1 alone.
    """
    return tuple(
        _auc(model, start, "test", value, None)
        | {"train_examples": sizes[size], "paper_train_examples": size}
        for (model, start), values in _TABLE4.items()
        for size, value in values.items()
        if size in sizes
        if not smallest_only or (size == 5_000 and start in ("random", "transfer"))
    )


def table5() -> tuple[Row, ...]:
    """Mean CCA between trained models, by stage."""
    return tuple(
        {
            **{"model": model, "stage": stage, "pair": pair},
            **{"quantity": "cca", "value": value, "data": RETINA},
        }
        for model, (stages, transfer, random) in _TABLE5.items()
        for pair, values in (
            ("transfer – transfer", transfer),
            ("random – random", random),
        )
        for stage, value in zip(stages, values, strict=True)
    )


def figure4() -> tuple[Row, ...]:
    """R² of similarity after training on similarity at initialization."""
    return tuple(
        {
            **{"model": model, "stage": stage, "pair": pair},
            **{"quantity": "r_squared", "value": value, "data": RETINA},
        }
        for model, (lowest, *values) in _FIGURE4.items()
        for (stage, pair), value in zip(
            (
                (lowest, "random – random"),
                (lowest, "random – transfer"),
                ("higher stages", "random – random"),
                ("higher stages", "random – transfer"),
            ),
            values,
            strict=True,
        )
    )


def figure8(models: Iterable[str] = ("resnet50", "cbr_large_w")) -> tuple[Row, ...]:
    """Steps until the test AUC passes 0.91."""
    wanted = tuple(models)
    return tuple(
        {
            **{"model": model, "initialization": start},
            **{"quantity": "steps", "value": steps, "data": RETINA},
        }
        for (model, start), steps in _FIGURE8.items()
        if model.partition("[")[0] in wanted
    )


def _auc(
    model: str,
    start: str,
    quantity: str,
    percent: float,
    spread: float | None,
    data: str = RETINA,
) -> Row:
    return {
        **{"model": model, "initialization": start, "quantity": quantity},
        **{"value": _share(percent), "spread": _share(spread), "data": data},
    }


def _share(percent: float | None) -> float | None:
    return None if percent is None else round(percent / 100, 6)
