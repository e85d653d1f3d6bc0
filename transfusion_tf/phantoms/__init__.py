"""Data sets that are drawn or cut on the spot and need no download."""

from transfusion_tf.phantoms.chest import (
    ChestMetadata,
    chest_metadata,
    draw_chest,
)
from transfusion_tf.phantoms.photographs import (
    PhotographMetadata,
    draw_photograph_crop,
    photograph_metadata,
    photograph_names,
)
from transfusion_tf.phantoms.retina import (
    RetinaMetadata,
    draw_retina,
    retina_metadata,
)
from transfusion_tf.phantoms.skin import (
    SkinMetadata,
    draw_skin,
    skin_metadata,
)
from transfusion_tf.phantoms.textures import draw_texture

__all__ = [
    "ChestMetadata",
    "PhotographMetadata",
    "RetinaMetadata",
    "SkinMetadata",
    "chest_metadata",
    "draw_chest",
    "draw_photograph_crop",
    "draw_retina",
    "draw_skin",
    "draw_texture",
    "photograph_metadata",
    "photograph_names",
    "retina_metadata",
    "skin_metadata",
]
