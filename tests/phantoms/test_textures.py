import numpy as np
import pytest
from PIL import Image

from transfusion_tf.phantoms import draw_texture


def test_drawing_twice_gives_the_same_bytes():
    first = draw_texture(3, 5, seed=2, size=48)
    draw_texture(4, 5, seed=2, size=48)
    np.testing.assert_array_equal(first, draw_texture(3, 5, seed=2, size=48))


@pytest.mark.parametrize(
    "other", [(4, 5, 2), (3, 6, 2), (3, 5, 3)], ids=["class", "image", "seed"]
)
def test_another_class_image_or_seed_is_another_drawing(other):
    class_index, image_index, seed = other
    first = draw_texture(3, 5, seed=2, size=48)
    second = draw_texture(class_index, image_index, seed=seed, size=48)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("size", [1, 32, 67, 224])
def test_any_size_is_drawn_as_bytes(size):
    image = draw_texture(0, 0, size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


def test_the_same_texture_appears_at_every_size():
    for index in range(6):
        large = Image.fromarray(draw_texture(index, 0, size=128))
        large = np.asarray(large.resize((64, 64), Image.Resampling.BOX), float)
        small = draw_texture(index, 0, size=64).astype(float)
        correlation = np.corrcoef(large.ravel(), small.ravel())[0, 1]
        assert correlation > 0.9


def test_colour_alone_does_not_tell_the_class():
    """Mean colours vary more within a class than between classes."""
    drawn = [[draw_texture(c, i, size=16) for i in range(8)] for c in range(24)]
    colors = np.array(drawn, float).mean(axis=(2, 3))
    within, between = colors.std(axis=1).mean(), colors.mean(axis=1).std(axis=0).mean()
    assert within > 2 * between


def test_neighbours_in_raw_pixels_are_mostly_of_other_classes():
    """Position, scale, turn and light are each image's own."""
    drawn = [[draw_texture(c, i, size=24) for i in range(6)] for c in range(12)]
    pixels = np.array(drawn, float).reshape(72, -1)
    distances = ((pixels[:, None] - pixels[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(distances, np.inf)
    classes = np.repeat(np.arange(12), 6)
    assert (classes[distances.argmin(axis=1)] == classes).mean() < 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 0, 8), "negative"),
        ((0, -1, 0, 8), "negative"),
        ((0, 0, 0, 0), "at least 1 pixel"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    class_index, image_index, seed, size = arguments
    with pytest.raises(ValueError, match=message):
        draw_texture(class_index, image_index, seed=seed, size=size)
