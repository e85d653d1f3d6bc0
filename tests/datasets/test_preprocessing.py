"""Fundus photographs without their local mean colour."""

import pickle

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.images import FileImage
from transfusion_tf.datasets.preprocessing import Preprocessed, graham
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.errors import UserError
from transfusion_tf.phantoms import retina


def eye(size=200):
    return retina.draw_retina(3, size=size, lesion_scale=2.0, grade=3)


def test_the_result_is_the_eye_600_pixels_wide():
    image = np.pad(eye(), ((40, 10), (90, 30), (0, 0)))
    result = graham(image)
    assert result.dtype == np.uint8
    assert max(result.shape[:2]) == 600
    assert min(result.shape[:2]) > 560


def test_the_result_does_not_depend_on_a_black_margin():
    inner = np.asarray(Image.fromarray(eye()))
    wide = np.pad(inner, ((0, 0), (77, 33), (0, 0)))
    np.testing.assert_array_equal(graham(inner), graham(wide))


def test_brightness_and_tint_go_away_details_stay():
    result = graham(eye()).astype(float)
    inner = result[200:400, 200:400]
    assert abs(inner.mean() - 128) < 3
    assert inner.std() > 2
    dark = graham((0.6 * eye()).astype(np.uint8)).astype(float)[200:400, 200:400]
    assert abs(dark.mean() - inner.mean()) < 2


def test_outside_the_eye_all_is_mid_grey():
    assert (graham(eye())[:20, :20] == 128).all()


def test_a_dark_image_is_refused():
    with pytest.raises(UserError, match="dark"):
        graham(np.full((50, 50, 3), 3, np.uint8))


def test_a_card_wraps_its_images(tmp_path):
    card = tmp_path / "dataset.toml"
    card.write_text(
        'base = "retina_eyepacs"\nname = "mine"\npreprocessing = "graham"\n'
    )
    card = load_card(card, source="sample")
    example = read_card(card).examples[0]
    assert isinstance(example.image, Preprocessed)
    assert pickle.loads(pickle.dumps(example.image)) == example.image
    plain = example.image.source
    assert isinstance(plain, FileImage)
    assert example.image.fingerprint() != plain.fingerprint()
    np.testing.assert_array_equal(example.image.load(), graham(plain.load()))
    assert any("local mean colour" in choice for choice in card.choices)
