"""Tables of a user's own, in more than one piece."""

import pytest
from support import read_rows, write_rows

from transfusion_tf.datasets import load_card, read_examples
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.errors import UserError


def rewrite(card, old, new):
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new, 1))


def test_a_split_column_may_hold_other_words(clinic):
    file = clinic.parent / "labels.csv"
    rows = read_rows(file)
    for index, row in enumerate(rows):
        row["part"] = "hold-out" if index < 10 else "rest"
    write_rows(file, rows)
    rewrite(
        clinic,
        "[labels]",
        'split_column = "part"\nsplit_values = {"hold-out" = "test", rest = "draw"}\n'
        "[labels]",
    )
    examples, problems = read_examples(load_card(clinic))
    assert not problems
    assert [e.split for e in examples] == ["test"] * 10 + [None] * 38
    rows[0]["part"] = "other"
    write_rows(file, rows)
    _, problems = read_examples(load_card(clinic))
    assert [p.reason for p in problems] == ["split 'other' is none of hold-out, rest"]


def test_several_tables_each_in_its_split(clinic):
    rows = read_rows(clinic.parent / "labels.csv")
    write_rows(clinic.parent / "a.csv", rows[:40])
    write_rows(clinic.parent / "b.csv", rows[40:])
    rewrite(
        clinic,
        'file = "labels.csv"',
        'tables = [{file = "a.csv", split = "draw"}, {file = "b.csv", split = "test"}]',
    )
    examples, problems = read_examples(load_card(clinic))
    assert not problems
    assert [e.split for e in examples].count("test") == 8
    assert examples[-1].where == "b.csv, row 9"


def test_a_patient_may_be_part_of_a_column(clinic):
    rewrite(
        clinic,
        'patient_column = "patient"',
        "patient_column = \"patient\"\npatient_pattern = 'p(\\d+)'",
    )
    examples, _ = read_examples(load_card(clinic))
    assert examples[-1].patient_id == "23"


def test_the_first_place_that_exists_is_read(clinic):
    rewrite(clinic, 'file = "labels.csv"', 'file = ["gone.csv", "labels.csv"]')
    assert len(read_examples(load_card(clinic))[0]) == 48
    rewrite(clinic, '"labels.csv"', '"gone too.csv"')
    with pytest.raises(UserError, match=r"gone\.csv or .*gone too\.csv"):
        read_card(load_card(clinic))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("tables = [{}]", "'reader.tables[0].file' is missing"),
        ('tables = [{file = "x"}]', "'reader.file' should be absent"),
        ('filters = [{column = "grade"}]', "'reader.filters[0].keep' is missing"),
        (
            "filters = [{columns = 1}]",
            "'reader.filters[0].columns'; did you mean 'column'",
        ),
        ('join = {file = "x.csv"}', "'reader.join.on' is missing"),
        (
            'split_values = {a = "hold"}',
            "one of train, validation, test, draw, got 'hold'",
        ),
        (
            "patient_pattern = 'p'",
            "'reader.patient_pattern' should be a regular expression",
        ),
        ('root = "nowhere"', "'reader.root': no file or folder"),
    ],
)
def test_an_option_that_is_not_right_is_named(clinic, option, message):
    rewrite(clinic, "[labels]", f"{option}\n[labels]")
    with pytest.raises(UserError) as caught:
        read_card(load_card(clinic))
    assert message in str(caught.value)
    assert str(clinic) in str(caught.value)


def test_a_header_that_names_a_column_twice_is_an_error(clinic):
    file = clinic.parent / "labels.csv"
    file.write_text(
        file.read_text().replace("image,grade,patient", "image,patient,patient", 1)
    )
    with pytest.raises(UserError, match="names a column twice: patient"):
        read_card(load_card(clinic))
