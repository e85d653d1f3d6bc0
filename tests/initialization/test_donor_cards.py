"""Donors from weight files, named by a card of a few lines."""

import hashlib
from pathlib import Path

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import DonorUnavailableError
from transfusion_tf.initialization.donor_cards import (
    donor_card_names,
    is_donor_card,
    load_donor_card,
)

FIVE_LINES = """
title = "ResNet50 of our scanner"
file = "scanner_notop.h5"
input_scaling = "caffe"
color = "gray"
sha256 = "{}"
"""


@pytest.fixture
def card_file(tmp_path):
    """A card beside its weights."""
    (tmp_path / "scanner_notop.h5").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    path = tmp_path / "scanner" / "donor.toml"
    path.parent.mkdir()
    path.write_text(FIVE_LINES.format(digest).replace('"scanner_', '"../scanner_'))
    return path


def test_five_lines_say_all_of_a_donor(card_file):
    card = load_donor_card(card_file)
    assert (card.name, card.title) == ("scanner", "ResNet50 of our scanner")
    assert (card.input_scaling, card.color) == ("caffe", "gray")
    assert card.weights().read_bytes() == b"weights"


def test_a_file_that_is_not_the_one_is_refused(card_file):
    (card_file.parent.parent / "scanner_notop.h5").write_bytes(b"other weights")
    with pytest.raises(UserError, match=r"has SHA-256 .* another file, or damaged"):
        load_donor_card(card_file).weights()


def test_a_file_that_is_not_there_is_named(card_file):
    (card_file.parent.parent / "scanner_notop.h5").unlink()
    with pytest.raises(DonorUnavailableError, match=r"no file .*scanner_notop\.h5"):
        load_donor_card(card_file).weights()


@pytest.mark.parametrize("name", ["radimagenet", "radimagenet_caffe"])
@pytest.mark.parametrize("folder", ["", "RadImageNet_models"])
@pytest.mark.parametrize("mark", ["_", "-"])
def test_radimagenet_is_found_by_both_names_in_both_places(
    monkeypatch, tmp_path, name, folder, mark
):
    monkeypatch.setenv("TRANSFUSION_DATA", str(tmp_path))
    file = tmp_path / "radimagenet" / folder / f"RadImageNet-ResNet50{mark}notop.h5"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not the weights")
    card = load_donor_card(name)
    # Of the archive of April 2023, as a user recorded it.
    assert card.sha256.startswith("1f1d1c9fe6ab6980")
    with pytest.raises(UserError, match=rf"{file.name} has SHA-256 .*card of your own"):
        card.weights()


@pytest.mark.parametrize("name", ["radimagenet", "radimagenet_caffe"])
def test_without_it_the_error_names_all_places_and_a_readme(
    monkeypatch, tmp_path, name
):
    monkeypatch.setenv("TRANSFUSION_DATA", str(tmp_path))
    with pytest.raises(DonorUnavailableError) as error:
        load_donor_card(name).weights()
    text = str(error.value)
    assert text.count("RadImageNet-ResNet50_notop.h5") == 2
    assert text.count("RadImageNet-ResNet50-notop.h5") == 2
    readme = Path(text.partition("how to obtain it: ")[2])
    assert readme.parent.name == name
    assert "RadImageNet-ResNet50_notop.h5" in readme.read_text()


def test_a_folder_that_is_not_set_is_named_with_the_way_to_the_file(monkeypatch):
    monkeypatch.delenv("TRANSFUSION_DATA", raising=False)
    with pytest.raises(DonorUnavailableError, match=r"TRANSFUSION_DATA.*README"):
        load_donor_card("radimagenet").weights()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('input_scaling = "caffe"', "", "key 'input_scaling' is missing"),
        ('"caffe"', '"torch"', "'input_scaling' should be one of none, .*'torch'"),
        ('"gray"', '"blue"', "'color' should be one of color, gray, got 'blue'"),
        ("title", "titel", "unknown key 'titel'; did you mean 'title'"),
        ('color = "gray"', "color = 1", "'color' should be one of color, gray, got 1"),
        ("sha256 = ", "md5 = ", "unknown key 'md5'; valid: .*sha256"),
        ("sha256 = ", 'note = "x"\nsha256 = "12"\n#', "64 hexadecimal digits"),
        ("title = ", "title = = ", "not valid TOML"),
    ],
)
def test_a_card_that_is_wrong_is_one_clear_error(card_file, before, after, message):
    text = card_file.read_text()
    assert before in text
    card_file.write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=message):
        load_donor_card(card_file)


def test_the_package_s_own_cards_are_sound():
    assert {"radimagenet", "radimagenet_caffe"} <= set(donor_card_names())
    cards = {name: load_donor_card(name) for name in donor_card_names()}
    assert cards["radimagenet"].input_scaling == "caffe_over_255"
    assert cards["radimagenet_caffe"].input_scaling == "caffe"
    assert {card.color for card in cards.values()} == {"gray"}


def test_an_unknown_card_lists_those_there_are():
    with pytest.raises(UserError, match="radimagenet, radimagenet_caffe"):
        load_donor_card("radiology")


def test_a_card_of_a_data_set_is_no_donor_card(card_file):
    from transfusion_tf.datasets import load_card

    assert is_donor_card("radimagenet")
    assert is_donor_card(str(card_file))
    assert not is_donor_card("photographs")
    assert not is_donor_card(str(load_card("photographs").path))
    assert not is_donor_card("imagenet")
    assert not is_donor_card(None)
