"""Attended distance of a DeiT's own attention; its units and its tokens."""

import numpy as np
import pytest

from transfusion_tf.models import build
from transfusion_tf.representations import (
    attended_distance,
    model_attention,
    model_parts,
)

pytest.importorskip("keras_hub")

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def deit():
    return build("deit_mini", (64, 64, 3), 5, seed=0)


@pytest.mark.slow
def test_every_head_of_every_block_has_its_distance_in_pixels(deit):
    table = model_attention(deit, IMAGES, batch_size=2, progress=False)
    assert len(table) == 6 * 4
    assert set(table["images"]) == {5}
    # Random weights attend nearly everywhere alike: the mean distance of a 8 × 8 grid.
    everywhere = np.full((1, 1, 65, 65), 1 / 65)
    expected = attended_distance(everywhere, 8).distance.item()
    np.testing.assert_allclose(table["distance"], expected, rtol=0.1)
    np.testing.assert_allclose(table["class_token_share"], 1 / 65, rtol=0.2)


@pytest.mark.slow
def test_images_need_not_be_square():
    model = build("deit_mini", (64, 96, 3), 5, seed=0)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    table = model_attention(model, images, progress=False)
    everywhere = np.full((1, 1, 97, 97), 1 / 97)
    expected = attended_distance(everywhere, 8, grid=(8, 12)).distance.item()
    np.testing.assert_allclose(table["distance"], expected, rtol=0.1)


@pytest.mark.parametrize("options", [{"most_images": 0}, {"batch_size": 0}])
def test_no_images_are_no_attention(options):
    with pytest.raises(ValueError, match="must be 1 or more"):
        model_attention(None, IMAGES, **options)


@pytest.mark.slow
def test_a_deits_units_are_the_halves_of_its_blocks(deit):
    halves = [f"block{n}_{half}" for n in range(1, 7) for half in ("attention", "mlp")]
    units = model_parts(deit, "unit")
    names = [unit.name for unit in units]
    assert names == ["patch_embed", "tokens", *halves, "logits"]
    assert units[-2].output is deit.get_layer("block6_mlp_add").output
    held = [id(v) for unit in units for v in unit.weights]
    assert sorted(held) == sorted(id(variable) for variable in deit.weights)


@pytest.mark.slow
def test_other_models_have_no_attention_to_show():
    with pytest.raises(ValueError, match="no DeiT"):
        model_attention(build("cbr_tiny", (64, 64, 3), 5), IMAGES, progress=False)
