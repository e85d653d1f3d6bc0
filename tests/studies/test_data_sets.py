"""The data sets of a study: each opened once."""

from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.training import RunConfig, RunOptions


def test_the_runs_of_a_study_share_a_pass_over_their_images(
    clinic_root, prepared, data_root
):
    data_sets = DataSets(RunOptions(data_root=data_root, progress=False))
    scaled = RunConfig(
        dataset=str(clinic_root),
        model="cbr_tiny",
        input_scaling="dataset_mean_std",
        train_examples=8,
    )
    first, other, fewer = (
        data_sets.resolve(scaled.replace(**changes)).pixel_statistics
        for changes in ({}, {"seed": 1}, {"train_examples": 4})
    )
    assert other is first
    assert fewer != first
