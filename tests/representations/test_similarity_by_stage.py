import keras
import numpy as np
import pytest

from transfusion_tf.models import build, stage_names
from transfusion_tf.representations import (
    MEASURES,
    Sampling,
    Settings,
    cca,
    compare_all_pairs,
    compare_models,
)

SIZE = 64
IMAGES = np.random.default_rng(0).integers(0, 256, (60, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    return [build("cbr_tiny", (SIZE, SIZE, 3), 2) for _ in range(2)]


# Eleven points a channel: enough to run, few enough to be warned about.
pytestmark = pytest.mark.filterwarnings(
    "ignore::transfusion_tf.representations.RepresentationWarning"
)


@pytest.fixture(scope="module")
def table(models):
    return compare_models(
        *models, IMAGES, points=200, channels=6, repeats=2, progress=False
    )


def test_there_is_a_row_for_each_stage_repeat_and_measure(models, table):
    names = stage_names(models[0])
    assert len(table) == len(names) * 2 * len(MEASURES)
    assert not table.duplicated(["stage", "repeat", "measure"]).any()
    assert list(table.columns) == [
        "stage", "repeat", "measure", "value", "noise_floor", "rank_x", "rank_y",
        "points",
    ]  # fmt: skip


def test_different_models_score_between_the_floor_and_one(table):
    scores = table[table["measure"] == "cca"]
    assert scores["value"].between(0, 1).all()
    assert scores["noise_floor"].mean() < scores["value"].mean() < 0.95


def test_a_model_against_itself_scores_one(models):
    table = compare_models(
        models[0], models[0], IMAGES, points=200, channels=6, repeats=1, progress=False
    )
    np.testing.assert_allclose(table["value"], 1, atol=1e-9)


def test_ranks_are_missing_where_a_measure_has_none(table):
    missing = table["rank_x"].isna().groupby(table["measure"]).all()
    assert missing[missing].index.tolist() == ["cka", "procrustes"]


def test_stages_and_measures_can_be_chosen(models):
    table = compare_models(
        *models, IMAGES, stages=["pool2"], measures=["cca"], points=200, channels=6,
        repeats=1, progress=False,
    )  # fmt: skip
    assert table[["stage", "measure"]].to_numpy().tolist() == [["pool2", "cca"]]


def test_models_of_different_sizes_compare_pooled(models):
    larger = build("cbr_small", (SIZE, SIZE, 3), 2)
    table = compare_models(
        models[0], larger, IMAGES, points=60, channels=6, repeats=1, pooled=True,
        measures=["cca"], progress=False,
    )  # fmt: skip
    assert (table["points"] == 60).all()


def test_an_unknown_measure_lists_the_valid_ones(models):
    with pytest.raises(ValueError, match="unknown measure 'rsa'; valid: cca"):
        compare_models(*models, IMAGES, measures=["rsa"])


def test_measures_are_the_public_functions():
    assert MEASURES["cca"] is cca


# All pairs.


def test_every_pair_of_several_models_is_compared_as_it_would_be_alone(models):
    third = build("cbr_tiny", (SIZE, SIZE, 3), 5, seed=3)
    settings = Settings(
        stages=("pool2",), measures=("cca",), sampling=Sampling(200, 6), repeats=1,
        progress=False,
    )  # fmt: skip
    table = compare_all_pairs(
        dict(zip("abc", [*models, third], strict=True)), IMAGES, settings
    )
    pairs = table[["model_a", "model_b"]].to_numpy().tolist()
    assert pairs == [["a", "b"], ["a", "c"], ["b", "c"]]
    alone = compare_models(
        models[1], third, IMAGES, stages=["pool2"], measures=["cca"], points=200,
        channels=6, repeats=1, progress=False,
    )  # fmt: skip
    assert table["value"].iloc[2] == alone["value"].item()


def test_one_model_makes_no_pair(models):
    with pytest.raises(ValueError, match="2 models or more, got 1"):
        compare_all_pairs({"a": models[0]}, IMAGES, Settings())


def test_settings_know_the_measures():
    with pytest.raises(ValueError, match="measure 'rsa'"):
        Settings(measures=("rsa",))
