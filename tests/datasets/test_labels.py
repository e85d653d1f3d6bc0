"""What a cell means is what the card says, and nothing else passes."""

import unicodedata

import numpy as np
import pytest

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.datasets.readers.labels import many_labels, one_label
from transfusion_tf.datasets.validation import assign_splits
from transfusion_tf.errors import UserError

NAN = float("nan")


@pytest.fixture
def findings(tmp_path):
    """A card over CheXpert's five findings with other label settings."""

    def card(**settings):
        lines = [f"labels.{key} = {value!r}" for key, value in settings.items()]
        file = tmp_path / "dataset.toml"
        file.write_text('base = "chexpert"\nname = "mine"\n' + "\n".join(lines))
        return load_card(file, source="sample")

    return card


@pytest.mark.parametrize(
    ("uncertain", "expected"),
    [("zeros", 0.0), ("ones", 1.0), ("ignore", NAN)],
)
def test_an_uncertain_label_follows_the_policy(findings, uncertain, expected):
    labels = many_labels(findings(uncertain=uncertain), ["-1.0", "1.0", "0.0", "", "1"])
    np.testing.assert_array_equal(labels, [expected, 1, 0, 0, 1])


def test_without_a_policy_an_uncertain_label_is_named(findings):
    with pytest.raises(
        UserError, match=r"'-1\.0' for 'Atelectasis'.*labels\.uncertain"
    ):
        many_labels(findings(uncertain="error"), ["-1.0", "1", "0", "", ""])


def test_false_and_true_are_0_and_1_in_any_case(findings):
    labels = many_labels(findings(), ["True", "FALSE", "true", "False", "TRUE"])
    assert labels == (1, 0, 1, 0, 1)


@pytest.mark.parametrize("cell", ["yes", "no", "t", "Y", "positive", "Truee", "true "])
def test_other_words_mean_what_the_card_says_and_nothing_else(findings, cell):
    cells = [cell, "True", "0", "1", "0"]
    with pytest.raises(UserError, match=f"label '{cell}' for 'Atelectasis' should be"):
        many_labels(findings(), cells)
    card = findings(**{f"values.'{cell}'": "1"})
    assert many_labels(card, cells) == (1, 1, 0, 1, 0)


def test_what_the_card_says_of_true_comes_first(findings):
    card = findings(**{"values.True": "0"})
    assert many_labels(card, ["True", "False", "1", "0", "0"]) == (0, 0, 1, 0, 0)
    with pytest.raises(UserError, match="'TRUE'"):
        many_labels(card, ["TRUE", "0", "1", "0", "0"])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["", "", "0", "-1", "0"], [0, 1, 0, 0, 0]),
        (["", "0", "0", "-1", "1"], [0, 0, 0, 0, 1]),
    ],
)
def test_a_finding_may_be_what_is_there_where_no_other_is(findings, cells, expected):
    # Feature reuse's code: "converting to 0: 'No Finding' every label that has only
    # zeros", after "we replace NaNs and -1s with 0s".
    card = findings(if_none="Cardiomegaly", uncertain="zeros")
    np.testing.assert_array_equal(many_labels(card, cells), expected)
    assert "Cardiomegaly is present where no other label is." in card.choices


def test_what_is_there_where_nothing_else_is_has_to_be_a_finding(findings):
    with pytest.raises(UserError, match="if_none"):
        findings(if_none="Nothing")


def test_multiclass_adds_an_output_a_finding_and_keeps_certain_rows_apart(findings):
    card = findings(uncertain="multiclass")
    assert card.labels.classes[5:] == (
        "Atelectasis uncertain",
        "Cardiomegaly uncertain",
        "Consolidation uncertain",
        "Edema uncertain",
        "Pleural Effusion uncertain",
    )
    labels = many_labels(card, ["-1", "1", "0", "", "1.0"])
    np.testing.assert_array_equal(labels, [NAN, 1, 0, 0, 1, 1, 0, 0, 0, 0])


def test_multiclass_leaves_what_is_unknown_unknown(findings):
    card = findings(uncertain="multiclass", blank="ignore")
    labels = many_labels(card, ["", "1", "0", "0", "1"])
    assert np.isnan(labels[0])
    assert np.isnan(labels[5])


def test_no_metric_counts_the_uncertain_outputs(findings):
    card = findings(uncertain="multiclass")
    examples = read_card(card).examples
    training = np.array(assign_splits(card, examples)) == "train"
    auxiliary = np.array([e.labels[5:] for e in examples])
    assert np.isfinite(auxiliary[training]).all()
    assert np.isnan(auxiliary[~training]).all()


def test_the_policy_is_among_the_choices(findings):
    assert any("U-MultiClass" in c for c in findings(uncertain="multiclass").choices)
    assert any("U-Ones" in c for c in findings(uncertain="ones").choices)


def test_values_map_what_stands_in_the_data_to_classes():
    card = load_card("cbis_ddsm")
    assert one_label(card, "BENIGN_WITHOUT_CALLBACK") == (1, 0)
    assert one_label(card, "MALIGNANT") == (0, 1)


def test_with_values_a_number_is_not_taken_for_a_class():
    """TI-RADS 0 would be the first class, and a bare 1 is benign, not the second."""
    card = load_card("thyroid_ddti")
    assert one_label(card, "1") == (1, 0)
    with pytest.raises(UserError, match=r"'0' is not among the card's labels\.values"):
        one_label(card, "0")


def labelled(clinic, **settings):
    """The clinic's card with other settings in [labels]."""
    lines = [f"labels.{key} = {value!r}\n" for key, value in settings.items()]
    base = clinic.read_text().split("[labels]")[0]
    clinic.write_text(f'labels.kind = "class"\n{"".join(lines)}{base}')
    return load_card(clinic)


@pytest.mark.parametrize(
    ("classes", "cell", "position"),
    [
        (["1", "0"], "0.0", 1),
        (["1", "0"], "1.0", 0),
        (["3", "2", "1", "0"], "3", 0),
        (["3", "2", "1", "0"], "0.00", 3),
        (["01", "02"], "1", 0),
        (["1", "2"], "02", 1),
        (["1.5", "2.5"], "2.50", 1),
        (["0", "1"], "1,0", 1),
        (["-1", "1"], "-1.0", 0),
        (["-1", "1"], "+1", 1),
        (["1", "2"], "2.000000000000000000e+00", 1),  # As NumPy writes tables.
        (["1", "01"], "01", 1),
        (["9007199254740993", "9007199254740992"], "9007199254740992", 1),
    ],
)
def test_numbers_match_by_their_value(clinic, classes, cell, position):
    labels = one_label(labelled(clinic, classes=classes), cell)
    assert labels.index(1) == position


@pytest.mark.parametrize(
    ("classes", "cell"),
    [
        (["1", "2"], "0"),  # The first, were it a position.
        (["1", "2"], "1.5"),
        (["10", "20"], "1"),
        (["1", "01"], "1.0"),  # Either.
        (["none", "some"], "1"),
        (["none", "some"], "0"),
    ],
)
def test_a_number_that_is_no_name_is_no_position(clinic, classes, cell):
    with pytest.raises(UserError, match="outside the classes"):
        one_label(labelled(clinic, classes=classes), cell)


@pytest.mark.parametrize(("first", "cell"), [(0, "1"), (0, "1.0"), (1, "2")])
def test_a_card_may_ask_for_positions(clinic, first, cell):
    card = labelled(clinic, classes=["none", "some"], count_from=first)
    assert one_label(card, cell) == (0, 1)
    with pytest.raises(UserError, match=f"or {first} to {first + 1}"):
        one_label(card, str(first + 2))


def test_positions_and_names_that_are_numbers_do_not_go_together(clinic):
    with pytest.raises(UserError, match=r"labels\.count_from"):
        labelled(clinic, classes=["1", "0"], count_from=0)


def test_values_match_by_their_value(clinic):
    labels = {"classes": ["no", "yes"], "values.0": "no", "values.1": "yes"}
    assert one_label(labelled(clinic, **labels), "1.0") == (0, 1)


def test_accents_have_one_form(clinic):
    card = labelled(clinic, classes=["malin", unicodedata.normalize("NFD", "bénin")])
    for form in ("NFC", "NFD"):
        assert one_label(card, unicodedata.normalize(form, "bénin")) == (0, 1)


def test_a_name_that_is_nearly_a_class_is_hinted_at(clinic):
    with pytest.raises(UserError, match="did you mean 'malignant'"):
        one_label(labelled(clinic, classes=["benign", "malignant"]), "Malignnat")


def test_a_number_is_no_hint_at_another(clinic):
    with pytest.raises(UserError, match=r"valid: 1, 1\.0$"):
        one_label(labelled(clinic, classes=["1", "1.0"]), "0.0")


def test_columns_named_as_classes_stand_in_their_order(clinic):
    text = clinic.read_text().replace('["grade"]', '["1", "0"]')
    clinic.write_text(text)
    card = labelled(clinic, classes=["0", "1"])
    with pytest.raises(UserError, match="column '1' stands where class '0' is"):
        read_card(card)


@pytest.mark.parametrize("cell", ["²", "٣", "1e0", " 1", "+-1", "0x1"])
def test_a_number_is_plain_digits(clinic, cell):
    with pytest.raises(UserError, match="outside the classes"):
        one_label(load_card(clinic), cell)


def test_the_sample_has_each_kind_of_label_in_training(findings):
    card = findings(uncertain="multiclass", blank="ignore")
    examples = read_card(card).examples
    training = np.array(assign_splits(card, examples)) == "train"
    labels = np.array([e.labels for e in examples])[training]
    for index in range(5):
        own, uncertain = labels[:, index], labels[:, 5 + index]
        assert {0.0, 1.0} <= set(own[np.isfinite(own)])
        assert (uncertain == 1).any()
        assert (np.isnan(own) & np.isnan(uncertain)).any()
