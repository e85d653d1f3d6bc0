"""The numbers that the hidden-representations paper prints (Juodelyte et al., 2023).

Rows as `Chapter.published` takes them; AUCs are shares, not per cent.
"""

from collections.abc import Mapping
from typing import Any

from transfusion_tf_experiments.papers.hidden_representations_scales import (
    IMAGENET,
    RADIMAGENET,
)

Row = dict[str, Any]

DATA = "its seven targets, ImageNet and RadImageNet donors"

# Target: card, images, classes, pixels.
_TABLE1 = {
    "chest": ("chest_kermany", 5_856, 2, 112),
    "breast": ("breast_busi_780", 780, 2, 224),
    "thyroid": ("thyroid_ddti", 480, 2, 224),
    "mammograms": ("cbis_ddsm", 3_568, 2, 224),
    "knee": ("knee_mrnet", 5_222, 3, 112),
    "pcam-small": ("pcam_small", 10_000, 2, 96),
    "isic": ("isic2018", 10_015, 7, 112),
}

# Columns of table 2, as the views here call them.
_STARTS = (
    IMAGENET,
    f"{IMAGENET}, head first",
    RADIMAGENET,
    f"{RADIMAGENET}, head first",
    "random",
)

# Target: mean AUC and ± of each, times 100.
_TABLE2: Mapping[str, tuple[tuple[float, float], ...]] = {
    "thyroid": ((52.3, 8.9), (58.5, 5.1), (50.2, 4.1), (49.4, 5.9), (52.9, 5.1)),
    "breast": ((90.5, 3.8), (89.8, 3.0), (88.2, 4.2), (72.4, 22.1), (51.2, 10.0)),
    "chest": ((98.7, 0.4), (98.6, 0.6), (98.8, 0.2), (98.7, 0.3), (82.5, 1.0)),
    "mammograms": ((63.4, 4.3), (68.8, 2.0), (62.0, 12.2), (66.2, 6.3), (49.6, 3.7)),
    "knee": ((91.5, 1.1), (89.0, 3.1), (89.3, 6.3), (63.8, 5.7), (68.3, 11.0)),
    "isic": ((94.2, 1.3), (93.1, 2.3), (90.8, 0.8), (90.6, 0.7), (84.0, 2.3)),
    "pcam-small": ((93.8, 1.1), (93.2, 2.5), (87.1, 2.3), (86.0, 1.9), (73.4, 8.2)),
}


def table1() -> tuple[Row, ...]:
    """Images, classes and pixels of the seven targets."""
    return tuple(
        {
            **{"dataset": card, "target": target, "data": DATA},
            **{"quantity": quantity, "value": value},
        }
        for target, (card, *values) in _TABLE1.items()
        for quantity, value in zip(
            ("images", "classes", "image_size"), values, strict=True
        )
    )


def table2() -> tuple[Row, ...]:
    """Test AUC by target, donor and way of fine-tuning."""
    return tuple(
        {
            **{"dataset": _TABLE1[target][0], "target": target, "data": DATA},
            **{"initialization": start, "quantity": "test"},
            **{"value": round(mean / 100, 4), "spread": round(spread / 100, 4)},
        }
        for target, cells in _TABLE2.items()
        for start, (mean, spread) in zip(_STARTS, cells, strict=True)
    )
