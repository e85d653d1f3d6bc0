"""Cards of a collection whose sets come in several sizes, declared once for each set.

`data/<family>/family.toml` has `sizes`, in pixels; `url`, where a set's `{file}` is
published; `card`, the keys of all its cards; and under `sets`, for each set, the keys
of its own, with the MD5 of its file at each size. The card `<family>/<set>` is of the
first size, `<family>/<set>_<size>` of another.
"""

import functools
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transfusion_tf.toml_tables import laid_over, read_toml

# The least that models take: smaller images are enlarged.
_LEAST_SIZE = 32


@functools.cache
def family_cards() -> Mapping[str, tuple[str, ...]]:
    """The cards of each set, by the name of its first: the smallest one."""
    found = {}
    for file in sorted(_data_folder().glob("*/family.toml")):
        family = read_toml(file)
        for name in family["sets"]:
            sizes = (_stem(family, name, size) for size in family["sizes"])
            cards = tuple(f"{file.parent.name}/{stem}" for stem in sizes)
            found[cards[0]] = cards
    return found


def is_family_card(name: str) -> bool:
    """Whether it is a card of a family."""
    return any(name in cards for cards in family_cards().values())


def family_card(name: str) -> tuple[Path, dict[str, Any]]:
    """The file that declares a family's card, and the keys of that card."""
    first, cards = next(pair for pair in family_cards().items() if name in pair[1])
    folder, _, own_name = first.partition("/")
    path = _data_folder() / folder / "family.toml"
    family = read_toml(path)
    place = cards.index(name)
    size = family["sizes"][place]
    own = dict(family["sets"][own_name])
    md5 = own.pop("md5")[place]
    stem = _stem(family, own_name, size)
    file = f"{stem}.npz"
    side = max(size, _LEAST_SIZE)
    values = laid_over(family["card"], own)
    values |= {
        "name": stem,
        "title": f"{own['title']} ({size} px)",
        "image_size": side,
        "reader": values["reader"] | {"file": file},
        "download": {"url": family["url"].format(file=file), "file": file, "md5": md5},
    }
    if side > size:
        values["choices"].append(f"Images of {size} px are enlarged to {side} px.")
    return path, values


def _stem(family: Mapping[str, Any], name: str, size: int) -> str:
    return name if size == family["sizes"][0] else f"{name}_{size}"


def _data_folder() -> Path:
    return Path(str(importlib.resources.files("transfusion_tf_data")))
