"""Cards are checked on load, and every complaint names file, key and remedy."""

import pytest

from transfusion_tf.datasets import card_names, load_card
from transfusion_tf.errors import UserError

_PHANTOMS = ("retina", "chest")


def test_every_card_of_the_package_loads():
    phantoms = {f"phantom_{kind}{size}" for kind in _PHANTOMS for size in ("", "_64")}
    assert {*phantoms, "photographs", "drawn_textures"} <= set(card_names())
    for name in card_names():
        assert load_card(name).name == name.split("/")[-1]


def test_a_folder_stands_for_the_card_in_it(clinic):
    assert load_card(clinic.parent) == load_card(clinic)


def test_defaults_are_filled_in(clinic):
    card = load_card(clinic)
    assert card.labels.referable_from == 2
    assert card.metric == "referable_auc"
    assert card.augmentation.flip_vertical


def test_stored_images_are_five_percent_larger_where_they_are_cropped(clinic):
    card = load_card(clinic)
    assert card.stored_size == 34
    text = clinic.read_text().replace('policy = "retina"', 'policy = "none"')
    clinic.write_text(text)
    assert load_card(clinic).stored_size == 32
    text = text.replace('policy = "none"', "random_crop = 1.25")
    clinic.write_text(text)
    assert load_card(clinic).stored_size == 40


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ("image_size = 32", "image_sise = 64", "image_sise", "did you mean"),
        ("image_size = 32", "image_size = '64'", "image_size", "whole number"),
        ("image_size = 32", "image_size = true", "image_size", "whole number"),
        ("image_size = 32", "image_size = 10", "image_size", "32 to 4096"),
        ("image_size = 32", "", "image_size", "missing"),
        ('name = "clinic"', 'name = "my clinic"', "name", "underscores"),
        ('kind = "grade"', 'kind = "grades"', "labels.kind", "one of grade"),
        ('"mild", ', '"none", ', "labels.classes", "differ"),
        ("train = 0.5", "train = 0.9", "splits", "sum to 1"),
        ('policy = "retina"', 'policy = "eye"', "augmentation.policy", "one of"),
        ('policy = "retina"', "hue = 3", "augmentation.hue", "0 to 0.5"),
        (
            'policy = "retina"',
            "random_crop = 256",
            "augmentation.random_crop",
            "1 to 2",
        ),
        ('policy = "retina"', "grayscale = 20", "augmentation.grayscale", "0 to 1"),
        ('kind = "grade"', 'kind = "grade"\nreferable_from = 5', "referable", "1 to 4"),
        ('policy = "retina"', "layers = [3]", "augmentation.layers[0]", "a table"),
        ('kind = "grade"', 'kind = "grde"', "labels.kind", "did you mean 'grade'"),
        ("image_size = 32", 'image_size = 64\npath = "."', "unknown key", "'path'"),
        ('file = "labels.csv"', "", "reader.file", "missing"),
        ('file = "labels.csv"', 'files = "l.csv"', "reader.files", "mean 'file'"),
        ('kind = "csv"', 'kind = "cvs"', "reader.kind", "csv, class_folders"),
    ],
)
def test_a_bad_key_is_named_with_what_would_be_right(clinic, old, new, key, remedy):
    from transfusion_tf.datasets import read_examples

    assert old in clinic.read_text()
    clinic.write_text(clinic.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        read_examples(load_card(clinic))
    message = str(caught.value)
    assert str(clinic) in message
    assert key in message
    assert remedy in message


def test_text_that_is_not_toml_names_the_line(clinic):
    clinic.write_text("name = \n")
    with pytest.raises(UserError, match=r"not valid TOML.*line 1"):
        load_card(clinic)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="did you mean 'phantom_retina'"):
        load_card("phantom_retin")
    with pytest.raises(UserError, match="no such file"):
        load_card("no/such/dataset.toml")


def test_a_field_that_a_flag_changes_is_checked_too(clinic):
    with pytest.raises(UserError, match=r"image_size = 8: .*32"):
        load_card(clinic).replace(image_size=8)


def test_classes_are_not_one_name_in_two_unicode_forms(clinic):
    text = clinic.read_text()
    clinic.write_text(text.replace('"none", "mild"', '"b\u00e9nin", "be\u0301nin"'))
    with pytest.raises(UserError, match="names that differ"):
        load_card(clinic)
