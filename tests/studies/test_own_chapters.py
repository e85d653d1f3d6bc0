"""Which chapters a study's runs allow, told from their configs alone."""

import pytest

from transfusion_tf.studies import grid, own_chapters
from transfusion_tf.studies.measurements.comparisons import COMPARISONS
from transfusion_tf.training import RunConfig

BASE = RunConfig(dataset="own", model="cbr_tiny", donor="photographs", steps=100)


def chapters_of(*starts, seeds=2, models=("cbr_tiny",), sizes=(None,), **fields):
    """The chapters of a grid, by name."""
    runs = grid(
        BASE.replace(**fields),
        models=models,
        initializations=starts,
        train_examples=sizes,
        seeds=range(seeds),
    )
    return {chapter.name: chapter for chapter in own_chapters(runs)}


def starts_in(chapter):
    return {run.initialization for run in chapter.runs}


def test_one_start_alone_has_its_outputs_and_filters_and_nothing_to_be_compared_with():
    assert set(chapters_of("transfer")) == {
        *("decisions", "confident_errors", "filters", "donor_quality"),
    }


def test_several_models_have_a_chapter_on_what_they_cost():
    assert "costs" in chapters_of("transfer", models=("cbr_tiny", "cbr_small"))
    assert "costs" not in chapters_of("random", "transfer")


def test_random_and_transferred_weights_are_compared_throughout():
    assert list(chapters_of("random", "transfer")) == [
        "differences",
        "convergence",
        "decisions",
        "confident_errors",
        "before_and_after",
        "similarity_by_start",
        "filters",
        "donor_quality",
    ]


def test_gains_are_over_random_weights():
    found = chapters_of("transfer", "mean_var")
    assert "differences" not in found
    assert starts_in(found["convergence"]) == {"transfer", "mean_var"}


def test_similarity_of_models_needs_two_seeds():
    found = chapters_of("random", "transfer", seeds=1)
    assert not {"before_and_after", "similarity_by_start"} & set(found)


def test_similarity_is_of_random_and_whole_donor_weights():
    found = chapters_of("random", "mean_var", "transfer:pool2", "transfer")
    for name in ("before_and_after", "similarity_by_start"):
        assert starts_in(found[name]) == {"random", "transfer"}
        assert found[name].options == {"points": 2048, "channels": 64, "repeats": 1}


def test_partial_donors_make_a_chapter_on_stages():
    found = chapters_of("random", "gabor", "transfer:pool2", "transfer")
    assert starts_in(found["stages"]) == {"random", "transfer:pool2", "transfer"}


def test_only_models_with_partial_donors_are_in_the_chapter_on_stages():
    runs = grid(BASE, models=["cbr_tiny"], initializations=["random", "transfer:pool1"])
    runs += grid(BASE, models=["cbr_small"], initializations=["random", "transfer"])
    (stages,) = [c for c in own_chapters(runs) if c.name == "stages"]
    assert {run.model for run in stages.runs} == {"cbr_tiny"}


def test_sizes_without_partial_donors_are_not_in_the_chapter_on_stages():
    runs = grid(BASE, models=["cbr_tiny"], initializations=["random", "transfer:pool1"])
    runs += grid(
        BASE, models=["cbr_tiny"], initializations=["random"], train_examples=[50]
    )
    (stages,) = [c for c in own_chapters(runs) if c.name == "stages"]
    assert {run.train_examples for run in stages.runs} == {None}


def test_frozen_stages_are_a_chapter_of_their_own():
    found = chapters_of("random", "transfer", "transfer:pool1", freeze="pool1")
    assert len(found["frozen"].runs) == 6
    assert "stages" not in found


def test_two_sizes_make_a_chapter_on_data_and_models_of_the_larger_are_compared():
    found = chapters_of("random", "transfer", sizes=(50, 100))
    assert {run.train_examples for run in found["data_sizes"].runs} == {50, 100}
    for name in ("decisions", "filters"):
        assert {run.train_examples for run in found[name].runs} == {100}
    all_of_them = chapters_of("random", "transfer", sizes=(50, None))
    assert {run.train_examples for run in all_of_them["filters"].runs} == {None}


def test_filters_are_of_one_seed():
    runs = chapters_of("random", "transfer", seeds=3)["filters"].runs
    assert {run.seed for run in runs} == {0}


@pytest.fixture
def of_two_donors():
    donors = ("imagenet", "models/lungs.weights.h5")
    runs = [
        run
        for donor in donors
        for run in grid(
            BASE.replace(donor=donor),
            models=["cbr_tiny"],
            initializations=["random", "transfer", "transfer:pool1"],
            seeds=range(2),
        )
    ]
    return {chapter.name: chapter for chapter in own_chapters(runs)}


def test_two_donors_are_compared_with_one_another(of_two_donors):
    assert {"donor_accuracy", "donor_similarity", "mistakes"} <= set(of_two_donors)
    assert starts_in(of_two_donors["donor_accuracy"]) == {"random", "transfer"}
    assert starts_in(of_two_donors["mistakes"]) == {"transfer"}


def test_chapters_on_what_one_donor_gives_come_once_for_each(of_two_donors):
    assert "stages" not in of_two_donors
    lungs = of_two_donors["stages-lungs"]
    assert lungs.title.endswith("(lungs)")
    used = {run.donor for run in lungs.runs if run.initialization != "random"}
    assert used == {"models/lungs.weights.h5"}
    assert "random" in starts_in(lungs)


def test_models_that_a_donor_has_not_are_in_no_chapter_of_it():
    runs = [
        run
        for model, donor in (("cbr_tiny", "tiny.weights.h5"), ("cbr_small", "small.h5"))
        for run in grid(
            BASE.replace(donor=donor),
            models=[model],
            initializations=["random", "transfer"],
            seeds=range(2),
        )
    ]
    found = {chapter.name: chapter for chapter in own_chapters(runs)}
    models = {run.model for run in found["before_and_after-tiny"].runs}
    assert models == {"cbr_tiny"}


def test_chapters_on_donors_are_of_one_model():
    runs = [
        run
        for donor in ("imagenet", "photographs")
        for run in grid(
            BASE.replace(donor=donor),
            models=["cbr_tiny", "cbr_small"],
            initializations=["transfer"],
        )
    ]
    names = {chapter.name for chapter in own_chapters(runs)}
    assert {"mistakes-cbr_tiny", "mistakes-cbr_small"} <= names


def test_chapters_take_runs_of_the_study_and_measurements_that_there_are(of_two_donors):
    for chapter in of_two_donors.values():
        assert chapter.runs
        assert set(chapter.measurements) <= set(COMPARISONS)
        assert chapter.title
        assert chapter.text
