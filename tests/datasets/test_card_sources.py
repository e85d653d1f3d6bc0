"""Where a card's data lie, cards that build on others, and what a card chose."""

import pytest

from transfusion_tf.datasets import load_card, read_examples
from transfusion_tf.errors import UserError


def test_without_data_the_error_says_where_to_put_them_and_how_to_try(monkeypatch):
    monkeypatch.delenv("TRANSFUSION_DATA", raising=False)
    with pytest.raises(UserError) as caught:
        read_examples(load_card("chexpert"))
    message = str(caught.value)
    assert "TRANSFUSION_DATA is not set" in message
    assert "--source=FOLDER" in message
    assert "--source=sample" in message
    assert "CheXpert-v1.0/" in message


def test_a_folder_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFUSION_DATA", str(tmp_path))
    with pytest.raises(UserError, match=rf"Create {tmp_path}/aptos2019"):
        read_examples(load_card("aptos2019"))


def test_the_environment_variable_leads_to_the_data(monkeypatch, tmp_path):
    sample = load_card("aptos2019").path.parent / "sample"
    (tmp_path / "aptos2019").symlink_to(sample)
    monkeypatch.setenv("TRANSFUSION_DATA", str(tmp_path))
    examples, problems = read_examples(load_card("aptos2019"))
    assert len(examples) == 22
    assert not problems


def test_a_source_stands_in_for_the_cards_folder():
    sample = load_card("aptos2019").path.parent / "sample"
    examples, _ = read_examples(load_card("aptos2019", source=sample))
    assert len(examples) == 22


def test_a_sample_is_never_taken_for_the_data():
    card = load_card("aptos2019", source="sample")
    assert card.note.startswith("A tiny drawn sample")


def test_a_card_without_a_sample_says_so(clinic):
    with pytest.raises(UserError, match="no sample/ beside it"):
        load_card(clinic, source="sample")


def test_a_users_own_card_reads_beside_itself(clinic):
    assert load_card(clinic).data_folder() == clinic.parent


def test_a_card_may_build_on_another(tmp_path):
    card = tmp_path / "dataset.toml"
    card.write_text('base = "chexpert"\nname = "mine"\nlabels.uncertain = "ones"\n')
    mine, other = load_card(card), load_card("chexpert")
    assert mine.labels.uncertain == "ones"
    assert mine.labels.classes == other.labels.classes
    assert mine.reader == other.reader
    examples, _ = read_examples(load_card(card, source="sample"))
    assert len(examples) == 46


def test_a_file_of_classes_stays_beside_the_card_that_names_it(tmp_path):
    card = tmp_path / "dataset.toml"
    card.write_text('base = "imagenet_resized_64x64"\nname = "mine"\n')
    assert len(load_card(card).labels.classes) == 1000
    # The sample has four of them, in a file of its own.
    assert len(load_card(card, source="sample").labels.classes) == 4


def test_an_unknown_base_lists_the_known_ones(tmp_path):
    card = tmp_path / "dataset.toml"
    card.write_text('base = "chexprt"\nname = "mine"\n')
    with pytest.raises(UserError, match=r"'base'.*chexpert.*'chexprt'"):
        load_card(card)


def test_choices_are_sentences_of_the_card_and_of_its_settings(tmp_path):
    card = load_card("chexpert")
    assert "Frontal and lateral views are both used, each image on its own." in (
        card.choices
    )
    assert "Uncertain labels (-1) count as absent (U-Zeros)." in card.choices
    assert "Blank labels count as absent." in card.choices


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('labels.uncertain = "zero"', "labels.uncertain"),
        ('labels.values.X = "2"', "labels.values.X"),
        ('splits.conflict = "drop"', "splits.conflict"),
        ('preprocessing = "grahm"', "preprocessing"),
        ("choices = [1]", "choices"),
        ('labels.classes = "gone.txt"', "labels.classes"),
    ],
)
def test_a_bad_key_is_named(tmp_path, line, key):
    card = tmp_path / "dataset.toml"
    card.write_text(f'base = "chexpert"\nname = "mine"\n{line}\n')
    with pytest.raises(UserError, match=key):
        load_card(card)
