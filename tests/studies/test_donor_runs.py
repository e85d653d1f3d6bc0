"""What a donor's name stands for, and which runs are compared with one another."""

import dataclasses
import itertools
import json
import zipfile

import pytest
from support import write_clinic

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import InitializationReport
from transfusion_tf.models import build
from transfusion_tf.studies.donor_runs import (
    check_that_donors_differ,
    donor_card_records,
    is_dataset,
    pretraining_run,
    with_default_donor,
    with_donor_card,
)
from transfusion_tf.studies.measurements.comparisons import COMPARISONS
from transfusion_tf.studies.measurements.model_states import ModelStates
from transfusion_tf.studies.plan import check_before_data
from transfusion_tf.training import RunConfig, RunDirectory

BASE = RunConfig(dataset="phantom_retina_few", model="resnet50")


@pytest.fixture
def card(tmp_path):
    """A donor card whose weights expect other pixels than ResNet50's own."""
    (tmp_path / "weights.h5").write_bytes(b"weights")
    path = tmp_path / "scanner.toml"
    path.write_text(
        'title = "Scanner"\nfile = "weights.h5"\ninput_scaling = "caffe_over_255"\n'
    )
    return str(path)


@pytest.mark.parametrize(
    ("model", "initialization", "donor"),
    [
        ("efficientnet_lite0", "transfer", "imagenet"),
        ("resnet50[slim_after=block2,width=0.5]", "mean_var", "imagenet"),
        ("cbr_tiny", "transfer:pool1", "drawn_textures"),
        ("cbr_tiny", "gabor", None),
        ("resnet50", "random", None),
    ],
)
def test_a_run_that_names_no_donor_has_the_best_that_its_model_can_have(
    model, initialization, donor
):
    run = BASE.replace(model=model, initialization=initialization)
    assert with_default_donor(run).donor == donor
    named = run.replace(donor="photographs")
    assert with_default_donor(named) == named


def test_a_card_stands_for_its_file_and_the_pixels_that_it_expects(card, tmp_path):
    config = with_donor_card(BASE.replace(donor=card, initialization="transfer"))
    assert config.donor == str(tmp_path / "weights.h5")
    assert config.model == "resnet50[input_scaling=caffe_over_255]"


def test_random_weights_beside_it_get_the_same_pixels(card):
    config = with_donor_card(BASE.replace(donor=card))
    assert (config.donor, config.model) == (
        None,
        "resnet50[input_scaling=caffe_over_255]",
    )


def test_the_architecture_s_own_scaling_needs_no_option(card, tmp_path):
    text = (tmp_path / "scanner.toml").read_text()
    (tmp_path / "scanner.toml").write_text(text.replace("caffe_over_255", "caffe"))
    assert with_donor_card(BASE.replace(donor=card)).model == "resnet50"


def test_a_model_that_asks_for_other_pixels_is_refused(card):
    model = "resnet50[input_scaling=zero_to_one]"
    with pytest.raises(UserError, match=r"'zero_to_one', but donor scanner"):
        with_donor_card(BASE.replace(donor=card, model=model))


def test_the_card_s_pixels_are_the_units_of_images_that_a_run_standardises(card):
    run = BASE.replace(donor=card, input_scaling="dataset_mean_std")
    assert with_donor_card(run).model == "resnet50[input_scaling=caffe_over_255]"


@pytest.mark.parametrize("name", ["radimagenet_notop.h5", "best.weights.h5", "w.pth"])
def test_a_bare_file_without_a_known_scaling_is_an_error_that_lists_the_choices(
    tmp_path, name
):
    file = tmp_path / name
    file.write_bytes(b"weights")
    config = BASE.replace(donor=str(file), initialization="transfer")
    with pytest.raises(UserError, match=r"Name one of none, .*caffe, caffe_over_255"):
        with_donor_card(config)
    # The model's name says, or the run that the file is of, or no weights are read.
    said = config.replace(model="resnet50[input_scaling=caffe]")
    assert with_donor_card(said) is said
    assert with_donor_card(config.replace(initialization="random")).donor == str(file)
    (tmp_path / "config.json").write_text("{}")
    assert with_donor_card(config) is config


def test_a_data_set_s_card_is_no_weight_file(tmp_path):
    card = write_clinic(tmp_path / "clinic", patients=4)
    config = BASE.replace(donor=str(card), initialization="transfer")
    assert with_donor_card(config) is config


def test_a_keras_file_says_which_pixels_it_takes(tmp_path):
    for model, known in (("own", True), ("foreign", False)):
        file = tmp_path / f"{model}.keras"
        layer = "input_scaling_caffe" if known else "rescaling"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", json.dumps({"name": layer}))
        config = BASE.replace(donor=str(file), initialization="transfer")
        if known:
            assert with_donor_card(config) is config
        else:
            with pytest.raises(UserError, match="does not say which pixels"):
                with_donor_card(config)


@pytest.fixture
def report():
    return InitializationReport("transfer", 0, "a", "1f", None, "caffe", ())


def test_two_donors_of_equal_fingerprint_are_an_error(report):
    runs = [BASE.replace(donor=donor) for donor in ("radimagenet", "copy.toml")]
    with pytest.raises(UserError, match=r"radimagenet and copy\.toml are the same"):
        check_that_donors_differ((run, report) for run in runs)
    other_pixels = dataclasses.replace(report, input_scaling="caffe_over_255")
    check_that_donors_differ([(runs[0], report), (runs[1], other_pixels)])
    other_weights = dataclasses.replace(report, donor_sha256="2f")
    check_that_donors_differ([(runs[0], report), (runs[1], other_weights)])
    check_that_donors_differ([(runs[0], report), (runs[0], report)])


def test_a_study_of_a_donor_and_its_copy_ends_before_it_begins(tmp_path):
    model = build("cbr_tiny", (32, 32, 3), 2)
    for name in ("one", "two"):
        model.save_weights(tmp_path / f"{name}.weights.h5")
        (tmp_path / f"{name}.toml").write_text(
            f'title = "x"\nfile = "{name}.weights.h5"\ninput_scaling = "caffe"\n'
        )
    base = RunConfig(
        dataset="phantom_retina_few",
        model="cbr_tiny",
        initialization="transfer",
        image_size=32,
    )
    runs = [
        base.replace(donor=str(tmp_path / f"{name}.toml")) for name in ("one", "two")
    ]
    with pytest.raises(
        UserError, match=r"one.toml and .*two.toml are the same weights"
    ):
        check_before_data(runs)
    check_before_data(runs[:1])


def test_a_donor_is_pretrained_on_the_pixels_that_its_recipient_takes():
    model = "resnet50[slim_after=block2,width=0.5,input_scaling=zero_to_one]"
    donor = pretraining_run(BASE.replace(donor="photographs", model=model))
    assert donor.model == "resnet50[input_scaling=zero_to_one]"


def test_other_donors_stay_as_they_are():
    for donor in (None, "imagenet", "photographs"):
        config = BASE.replace(donor=donor)
        assert with_donor_card(config) is config


def test_a_card_is_no_data_set(card):
    assert not is_dataset(card)
    assert not is_dataset("radimagenet")
    assert is_dataset("photographs")


def test_the_report_learns_what_the_card_says(card, tmp_path):
    runs = [BASE.replace(donor=card), BASE.replace(donor=card, initialization="gabor")]
    (record,) = donor_card_records(runs)
    assert record["title"] == "Scanner"
    assert record["input_scaling"] == "caffe_over_255"
    assert record["weights"] == str(tmp_path / "weights.h5")
    assert donor_card_records(runs[:1]) == []


def test_two_donors_do_not_start_from_the_same_random_weights():
    names = ("photographs", "phantom_chest_donor", "phantom_chest_donor_few")
    runs = [pretraining_run(BASE.replace(donor=name)) for name in names]
    assert len({run.seed for run in runs}) == len(names)
    # Of no run that a study compares: those have small seeds.
    assert all(run.seed >= 10_007 for run in runs)


def test_the_medical_donor_is_trained_as_the_natural_one():
    photographs, chest = (
        pretraining_run(BASE.replace(donor=name, model="cbr_tiny"))
        for name in ("photographs", "phantom_chest_donor")
    )
    same = photographs.replace(dataset=chest.dataset, seed=chest.seed)
    assert chest == same


@pytest.fixture
def runs(tmp_path):
    """Two folds of random weights and of two donors."""
    found = {}
    for fold in (0, 1):
        for start, donor in (("random", None), ("transfer", "a"), ("transfer", "b")):
            run = RunDirectory(tmp_path / f"{donor}-{fold}")
            run.path.mkdir()
            model = "cbr_tiny" if donor != "b" else "cbr_tiny[input_scaling=caffe]"
            config = BASE.replace(
                **{"model": model, "initialization": start, "donor": donor},
                **{"fold": fold, "seed": fold, "data": "f00d"},
            )
            (run.path / "config.json").write_text(json.dumps(config.to_dict()))
            found[(donor, fold)] = run
    return found


def grouped(comparison, runs):
    """The runs that are compared with one another."""
    parts = COMPARISONS[comparison].parts(list(runs.values()), "data", {})
    return sorted(sorted(content["runs"]) for content, _ in parts)


def test_folds_are_compared_across_donors_whatever_pixels_they_take(runs):
    found = grouped("fold_trained", runs)
    assert found == [["None-0", "a-0", "b-0"], ["None-1", "a-1", "b-1"]]


def test_random_starts_are_compared_across_folds(runs):
    assert grouped("random_initial", runs) == [["None-0", "None-1"]]


@pytest.mark.parametrize("comparison", ["before_after", "fold_initial", "layer_cka"])
def test_models_in_other_states_are_another_table(comparison, runs):
    asked = [
        {},
        {"trained_weights": "best"},
        {"batch_norm_statistics": "stored"},
    ]
    made_of = [
        [
            content
            for content, _ in COMPARISONS[comparison].parts(
                [*runs.values()], "data", options
            )
        ]
        for options in asked
    ]
    assert all(a != b for a, b in itertools.combinations(made_of, 2))
    said = {COMPARISONS[comparison].said(options) for options in asked}
    assert len(said) == 3


@pytest.mark.parametrize("name", ["trained_weights", "batch_norm_statistics"])
def test_a_state_that_there_is_not_is_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=f"{name.replace('_', ' ')}.*'last'.*valid"):
        ModelStates.of({name: "last"})


def test_a_population_is_of_one_model(runs):
    found = grouped("population_trained", runs)
    assert found == [["None-0", "None-1", "a-0", "a-1"], ["b-0", "b-1"]]
