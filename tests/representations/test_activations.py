import keras
import numpy as np
import pytest

from transfusion_tf.models import build, stages
from transfusion_tf.representations import (
    RepresentationWarning,
    Sampling,
    StageReader,
    sample_activations,
)
from transfusion_tf.representations.sampling import Plan

SIZE = 64
# CBR's first and last pools at this size.
FIRST, LAST = 32 * 32, 4 * 4
RNG = np.random.default_rng(0)
GREYS = np.broadcast_to(
    np.arange(0, 256, 2, np.uint8)[:, None, None, None], (128, SIZE, SIZE, 3)
)
IMAGES = RNG.integers(0, 256, (80, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build("cbr_tiny", (SIZE, SIZE, 3), 2)


@pytest.fixture(scope="module")
def reader(model):
    return StageReader(model)


def samples(reader, sampling, images=IMAGES, **options):
    """One model's sample of each repeat."""
    drawn = sample_activations([reader], images, sampling, progress=False, **options)
    return [of_models[0] for of_models in drawn]


def distance_to_nearest(points, among):
    return np.abs(points[:, None] - among[None]).max(axis=2).min(axis=1)


def test_reading_gives_the_stages_outputs(model, reader):
    read = reader.read(IMAGES[:3])
    for stage in stages(model):
        single = keras.Model(model.input, stage.output)
        np.testing.assert_allclose(
            read[stage.name], single(IMAGES[:3].astype("float32")), atol=1e-5
        )


def test_an_unknown_stage_lists_the_valid_ones(model):
    with pytest.raises(ValueError, match=r"no stage 'block9'.*pool1, pool2"):
        StageReader(model, ["block9"])


def test_every_point_is_an_activation_of_an_image_given(reader):
    [sample] = samples(reader, Sampling(points=30, channels=None))
    whole = reader.read(IMAGES)
    for name, points in sample.items():
        activations = whole[name].numpy().reshape(-1, points.shape[1])
        assert distance_to_nearest(points[:3], activations).max() < 1e-5


def test_all_stages_give_the_points_and_channels_asked_for(reader):
    [sample] = samples(reader, Sampling(points=FIRST, channels=8))
    assert {points.shape for points in sample.values()} == {(FIRST, 8)}


class Stages:
    """Stages of so many positions each, as a reader has them."""

    def __init__(self, *sides):
        self.names = tuple(f"stage{number}" for number in range(len(sides)))
        self._sides = dict(zip(self.names, sides, strict=True))

    def positions(self, name):
        return self._sides[name] ** 2

    def channels(self, name):
        return 64


def plan_of(sides, points, images=None, **options):
    """Images and points of each stage of a plan."""
    plan = Plan.of(Stages(*sides), Sampling(points=points, **options), images)
    return list(plan.images.values()), list(plan.points.values())


# ResNet50's stages at three sizes of image: conv1, block1 to block4.
AT_587 = (294, 147, 74, 37, 19)
AT_224 = (112, 56, 28, 14, 7)
AT_64 = (32, 16, 8, 4, 2)


@pytest.mark.parametrize(
    ("sides", "points", "images"),
    [
        (AT_587, 10_000, [1, 4, 16, 63, 239]),
        (AT_224, 10_000, [1, 4, 16, 64, 256]),
        (AT_224, 30_000, [2, 8, 32, 128, 512]),
        (AT_64, 2_000, [2, 8, 32, 128, 512]),
    ],
)
def test_stages_have_as_many_points_of_whole_images(sides, points, images):
    """Appendix C: "Pick the number of datapoints n so that n h w = p"."""
    found, of_stages = plan_of(sides, points)
    assert found == images
    assert of_stages == [n * side**2 for n, side in zip(images, sides, strict=True)]
    assert of_stages == pytest.approx([of_stages[0]] * len(sides), rel=0.015)


@pytest.mark.parametrize(
    ("size", "images"),
    [
        (96, [4, 17, 69, 278, 1111]),
        (112, [3, 13, 51, 204, 625]),
        (224, [1, 3, 13, 51, 204]),
    ],
)
def test_the_follow_up_rounds_to_whole_images_of_every_stage(size, images):
    """`batch_size=round(p / (h * w))` with p = 10000, in its `src/CCA.py`."""
    sides = [-(-size // stride) for stride in (2, 4, 8, 16, 32)]
    assert plan_of(sides, 10_000, equal_points=False)[0] == images


def test_where_images_are_few_all_stages_have_fewer_points():
    with pytest.warns(RepresentationWarning, match="need 1280 images, 712 are given"):
        images, points = plan_of(AT_64, 5_000, images=712)
    assert points == [2_048] * 5
    assert images == [2, 8, 32, 128, 512]


def test_the_points_of_a_stage_are_all_positions_of_whole_images(reader):
    [sample] = samples(reader, Sampling(points=2 * FIRST, channels=None), images=GREYS)
    whole = reader.read(GREYS)
    for name, points in sample.items():
        of_images = whole[name].numpy()
        count, rest = divmod(len(points), of_images[0, ..., 0].size)
        assert rest == 0, name
        for image in points.reshape(count, *of_images.shape[1:]):
            nearest = np.abs(of_images - image).max(axis=(1, 2, 3)).min()
            assert nearest < 1e-5, name


def test_a_stage_with_fewer_channels_gives_all_it_has(reader):
    [sample] = samples(reader, Sampling(points=200, channels=60))
    assert sample["pool1"].shape == (FIRST, 32)
    assert sample["pool4"].shape == (FIRST, 60)


def test_every_model_gives_the_same_points_and_channels(model):
    readers = [StageReader(model), StageReader(model)]
    [(first, second)] = sample_activations(
        readers, IMAGES, Sampling(points=200, channels=8), progress=False
    )
    for name, points in first.items():
        np.testing.assert_array_equal(points, second[name])


def test_the_last_partial_batch_is_read_too(reader):
    sampling = Sampling(points=37 * LAST, channels=8, equal_points=False)
    [sample] = samples(reader, sampling, batch_size=16)
    assert len(sample["pool4"]) == 37 * LAST


def test_repeats_draw_new_images_and_channels(reader):
    first, second = samples(reader, Sampling(points=200, channels=8), repeats=2)
    assert all(not np.allclose(first[name], second[name]) for name in first)


def test_a_seed_repeats_the_sample(reader):
    sampling = Sampling(points=200, channels=8)
    [first] = samples(reader, sampling, seed=5)
    [again] = samples(reader, sampling, seed=5)
    [other] = samples(reader, sampling, seed=6)
    np.testing.assert_array_equal(first["pool2"], again["pool2"])
    assert not np.allclose(first["pool2"], other["pool2"])


def test_pooled_points_are_means_over_an_image(reader):
    sampling = Sampling(points=len(IMAGES), channels=None, pooled=True)
    [sample] = samples(reader, sampling)
    means = reader.read(IMAGES)["pool3"].numpy().mean(axis=(1, 2))
    assert sample["pool3"].shape == means.shape
    assert distance_to_nearest(sample["pool3"], means).max() < 1e-4


def images_of_pool1_points(reader, sampling):
    """Which of ten images of one grey each the points of `pool1` come from."""
    grey = np.arange(10, dtype=np.uint8) * 25
    images = np.broadcast_to(grey[:, None, None, None], (10, SIZE, SIZE, 3))
    middles = reader.read(images)["pool1"].numpy()[:, 16, 16]
    [points] = [sample["pool1"] for sample in samples(reader, sampling, images=images)]
    gaps = np.abs(points[:, None] - middles[None]).max(axis=2)
    return set(gaps.argmin(axis=1)[gaps.min(axis=1) < 1e-5])


@pytest.mark.filterwarnings("ignore:.* are given")
def test_a_stage_takes_no_more_images_than_give_the_points(reader):
    one = Sampling(points=100, channels=None)
    two = Sampling(points=2 * FIRST - 100, channels=None, equal_points=False)
    assert len(images_of_pool1_points(reader, one)) == 1
    assert len(images_of_pool1_points(reader, two)) == 1


def test_more_images_can_be_asked_of_every_stage(reader):
    spread = Sampling(points=100, channels=None, min_images=10, equal_points=False)
    assert len(images_of_pool1_points(reader, spread)) == 10


def test_too_few_images_warn_and_give_fewer_points(reader):
    sampling = Sampling(points=2 * FIRST, channels=8)
    with pytest.warns(RepresentationWarning, match="need 128 images, 80 are given"):
        [sample] = samples(reader, sampling)
    assert {len(points) for points in sample.values()} == {FIRST}


def test_a_stream_of_batches_gives_each_repeat_its_own_images(reader):
    stream = iter(np.split(IMAGES[:40], 8))
    sampling = Sampling(points=20 * LAST, channels=None, equal_points=False)
    first, second = samples(reader, sampling, images=stream, repeats=2)
    whole = reader.read(IMAGES[:40])["pool4"].numpy()
    np.testing.assert_allclose(
        first["pool4"], whole[:20].reshape(20 * LAST, -1), atol=1e-5
    )
    np.testing.assert_allclose(
        second["pool4"], whole[20:].reshape(20 * LAST, -1), atol=1e-5
    )


def test_a_stream_that_runs_out_says_how_many_images_are_needed(reader):
    stream = iter([IMAGES[:10], IMAGES[10:20]])
    sampling = Sampling(15 * LAST, 8, equal_points=False)
    with pytest.raises(ValueError, match=r"ran out after 20.*need 45"):
        samples(reader, sampling, images=stream, repeats=3)


def test_images_of_another_rank_are_an_error(reader):
    with pytest.raises(ValueError, match=r"expected\s+\[images, height, width, 3\]"):
        samples(reader, Sampling(), images=IMAGES[0])


def test_activations_that_are_not_finite_name_stage_and_model(reader):
    images = np.full((80, SIZE, SIZE, 3), 3e38, np.float32)
    with pytest.raises(ValueError, match=r"pool1 in model 'cbr_tiny' are NaN or inf"):
        samples(reader, Sampling(points=100, channels=8), images=images)


def test_weights_that_are_nan_are_named(model):
    broken = keras.models.clone_model(model)
    kernel = next(v for v in broken.trainable_variables if len(v.shape) == 4)
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match=f"{kernel.path} holds NaN"):
        StageReader(broken)


def test_positions_that_do_not_match_are_an_error(reader):
    larger = StageReader(build("cbr_tiny", (96, 96, 3), 2))
    with pytest.raises(ValueError, match="compare them pooled"):
        next(sample_activations([reader, larger], IMAGES, Sampling()))


@pytest.mark.parametrize("option", ["points", "channels", "min_images"])
def test_a_sampling_of_nothing_is_an_error(option):
    with pytest.raises(ValueError, match=f"{option} must be 1 or more"):
        Sampling(**{option: 0})
