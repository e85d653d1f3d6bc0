"""Runs whose images are normalised by the statistics of their own training images."""

import keras
import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline import pixel_statistics
from transfusion_tf.models import STANDARD_UNITS, input_scaling_of
from transfusion_tf.studies.measurements.run_models import load_run_model
from transfusion_tf.training import RunConfig, resolve, train
from transfusion_tf.training.resolved_config import (
    donor_input_scaling,
    input_scaling_of_run,
)

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def scaled(config):
    return config.replace(input_scaling="dataset_mean_std", train_examples=8)


def test_resolving_fills_in_the_statistics_of_the_training_images(
    scaled, options, prepared
):
    resolved, _ = resolve(scaled, options.data_root, progress=False)
    assert resolved.pixel_statistics == pixel_statistics(prepared, 8)
    assert RunConfig.from_dict(resolved.to_dict()).run_id == resolved.run_id


def test_other_runs_have_no_statistics(config, options):
    resolved, _ = resolve(config, options.data_root, progress=False)
    assert resolved.pixel_statistics is None


@pytest.mark.slow
def test_a_run_scales_so_wherever_its_weights_are_loaded(scaled, options, tmp_path):
    run = train(scaled, tmp_path / "run", options).directory
    statistics = run.config().pixel_statistics
    expected = (IMAGES / 255 - statistics["mean"]) / statistics["std"]
    for model in (keras.models.load_model(run.final_model), load_run_model(run.path)):
        assert input_scaling_of(model) == "dataset_mean_std"
        layer = model.get_layer("input_scaling_dataset_mean_std")
        np.testing.assert_allclose(layer(IMAGES), expected, atol=1e-5)
    assert donor_input_scaling(str(run.path)) == "dataset_mean_std"


@pytest.mark.parametrize(
    ("model", "units"),
    [
        ("resnet50", "caffe"),
        ("cbr_tiny[input_scaling=minus_one_to_one]", "minus_one_to_one"),
    ],
)
def test_images_are_handed_over_in_the_units_of_the_model_s_donors(
    scaled, options, model, units
):
    resolved, _ = resolve(scaled.replace(model=model), options.data_root)
    assert resolved.pixel_units == units
    assert input_scaling_of_run(resolved) == f"dataset_mean_std_as_{units}"
    again, _ = resolve(resolved, options.data_root)
    assert again == resolved


def test_runs_that_earlier_versions_fed_otherwise_are_others_and_stay_what_they_were(
    scaled, options
):
    resolved, _ = resolve(scaled.replace(model="resnet50"), options.data_root)
    earlier = resolved.to_dict()
    del earlier["pixel_units"]
    found = RunConfig.from_dict(earlier)
    assert found.pixel_units == STANDARD_UNITS
    assert input_scaling_of_run(found) == "dataset_mean_std"
    assert found.run_id != resolved.run_id


def test_runs_whose_donors_expect_standardised_images_keep_their_ids(scaled, options):
    resolved, _ = resolve(scaled, options.data_root)
    assert resolved.pixel_units == STANDARD_UNITS
    assert resolved.replace(pixel_units=None).run_id == resolved.run_id


def test_an_unknown_scaling_lists_the_valid_one(config):
    with pytest.raises(UserError, match="valid: dataset_mean_std"):
        config.replace(input_scaling="imagenet")
