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

SIZE = 64
# CBR's first and last pools at this size.
FIRST, LAST = 32 * 32, 4 * 4
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)


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
    [sample] = samples(reader, Sampling(points=200, channels=8))
    assert {points.shape for points in sample.values()} == {(200, 8)}


def test_a_stage_with_fewer_channels_gives_all_it_has(reader):
    [sample] = samples(reader, Sampling(points=200, channels=60))
    assert sample["pool1"].shape == (200, 32)
    assert sample["pool4"].shape == (200, 60)


@pytest.mark.filterwarnings("ignore:the points asked for need")
def test_no_position_is_drawn_twice(reader):
    [sample] = samples(reader, Sampling(points=FIRST, channels=None))
    [all_but_one] = samples(reader, Sampling(points=FIRST - 1, channels=None))
    whole = len(np.unique(sample["pool1"], axis=0))
    assert len(np.unique(all_but_one["pool1"], axis=0)) >= whole - 1


def test_every_model_gives_the_same_points_and_channels(model):
    readers = [StageReader(model), StageReader(model)]
    [(first, second)] = sample_activations(
        readers, IMAGES, Sampling(points=200, channels=8), progress=False
    )
    for name, points in first.items():
        np.testing.assert_array_equal(points, second[name])


def test_the_last_partial_batch_is_read_too(reader):
    sampling = Sampling(points=37 * LAST, channels=8)
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


@pytest.mark.filterwarnings("ignore:the points asked for need")
def test_a_stage_takes_no_more_images_than_give_the_points(reader):
    one = Sampling(points=100, channels=None)
    two = Sampling(points=FIRST + 100, channels=None)
    assert len(images_of_pool1_points(reader, one)) == 1
    assert len(images_of_pool1_points(reader, two)) == 2


def test_more_images_can_be_asked_of_every_stage(reader):
    spread = Sampling(points=100, channels=None, min_images=10)
    assert len(images_of_pool1_points(reader, spread)) == 10


def test_too_few_images_warn_and_give_fewer_points(reader):
    sampling = Sampling(points=50 * LAST, channels=8)
    with pytest.warns(RepresentationWarning, match="need 50 images, 40 are given"):
        [sample] = samples(reader, sampling)
    assert len(sample["pool1"]) == 50 * LAST
    assert len(sample["pool4"]) == 40 * LAST


def test_a_stream_of_batches_gives_each_repeat_its_own_images(reader):
    stream = iter(np.split(IMAGES, 8))
    sampling = Sampling(points=20 * LAST, channels=None)
    first, second = samples(reader, sampling, images=stream, repeats=2)
    whole = reader.read(IMAGES)["pool4"].numpy()
    np.testing.assert_allclose(
        first["pool4"], whole[:20].reshape(20 * LAST, -1), atol=1e-5
    )
    np.testing.assert_allclose(
        second["pool4"], whole[20:].reshape(20 * LAST, -1), atol=1e-5
    )


def test_a_stream_that_runs_out_says_how_many_images_are_needed(reader):
    stream = iter([IMAGES[:10], IMAGES[10:20]])
    with pytest.raises(ValueError, match=r"ran out after 20.*need 45"):
        samples(reader, Sampling(15 * LAST, 8), images=stream, repeats=3)


def test_images_of_another_rank_are_an_error(reader):
    with pytest.raises(ValueError, match=r"expected\s+\[images, height, width, 3\]"):
        samples(reader, Sampling(), images=IMAGES[0])


def test_activations_that_are_not_finite_name_stage_and_model(reader):
    images = np.full((40, SIZE, SIZE, 3), 3e38, np.float32)
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
