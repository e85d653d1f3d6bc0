"""Tables of a user's own, in more than one piece."""

import dataclasses

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


def saved_as(clinic, change, encoding="utf-8"):
    """The clinic's table after `change` of its text, in another encoding."""
    file = clinic.parent / "labels.csv"
    file.write_bytes(change(file.read_text()).encode(encoding))
    return load_card(clinic)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: "sep=;\n" + text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", ",,").replace("\n", ",\n"),  # Unnamed columns.
        lambda text: text + ",,\n,,\n",
        lambda text: text.replace("\n0", "\n.\\0"),
    ],
)
def test_a_table_as_spreadsheets_write_it(clinic, change):
    examples, problems = read_examples(saved_as(clinic, change))
    assert not problems
    assert len(examples) == 48
    assert examples[2].labels == (0, 1, 0, 0, 0)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le"])
def test_another_encoding_is_named_and_then_read(clinic, encoding):
    def accented(text):
        mark = "–" if encoding == "cp1252" else "é"
        return text.replace("patient", f"patient {mark}", 1)

    card = saved_as(clinic, accented, encoding)
    with pytest.raises(UserError, match=f"set reader.encoding = '{encoding}'"):
        read_card(card)
    rewrite(clinic, "[labels]", f'encoding = "{encoding}"\n[labels]')
    rewrite(clinic, '"patient"', '"image"')
    assert len(read_examples(load_card(clinic))[0]) == 48


def test_an_encoding_that_cannot_be_told_is_asked_for(clinic):
    card = saved_as(
        clinic, lambda text: text.replace("patient", "良性", 1), "shift_jis"
    )
    with pytest.raises(UserError, match="what it was saved as, such as 'shift_jis'"):
        read_card(card)


def test_a_spreadsheet_is_no_table(clinic):
    (clinic.parent / "labels.csv").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match="save the sheet as CSV"):
        read_card(load_card(clinic))


def test_names_without_suffix(clinic):
    card = saved_as(clinic, lambda text: text.replace(".png", ""))
    (clinic.parent / "images" / "001.png").rename(clinic.parent / "images" / "001.TIF")
    _, problems = read_examples(card)
    assert "but 000.png: set reader.path_suffix = '.png', or '*'" in problems[0].reason
    rewrite(clinic, "[labels]", 'path_suffix = "*"\n[labels]')
    examples, problems = read_examples(load_card(clinic))
    assert not problems
    assert [e.image.path.name for e in examples[:2]] == ["000.png", "001.TIF"]
    (clinic.parent / "images" / "002.jpg").write_bytes(b"")
    _, problems = read_examples(load_card(clinic))
    assert "2 images could be" in problems[0].reason


@pytest.mark.parametrize("other", [".PNG", ".jpg"])
def test_names_with_another_suffix(clinic, other):
    card = saved_as(clinic, lambda text: text.replace(".png", other))
    _, problems = read_examples(card)
    assert "but 000.png: set reader.path_suffix = '*'" in problems[0].reason
    rewrite(clinic, "[labels]", 'path_suffix = "*"\n[labels]')
    examples, problems = read_examples(load_card(clinic))
    assert not problems
    assert examples[0].image.path.name == "000.png"


@pytest.mark.parametrize("blank", ["", "nan"])
def test_images_without_a_label_may_be_left_out(clinic, blank):
    card = saved_as(clinic, lambda text: text.replace(".png,0", f".png,{blank}"))
    _, problems = read_examples(card)
    assert len(problems) == 10
    assert "labels.blank = 'leave_out'" in problems[0].reason
    rewrite(clinic, "[labels]", '[labels]\nblank = "leave_out"')
    reading = read_card(load_card(clinic))
    assert not reading.problems
    assert reading.left_out_counts() == {"its label is blank": 10}


def test_blank_rows_above_the_header_are_none(clinic):
    table = clinic.parent / "labels.csv"
    before = table.read_text()
    table.write_text(f"\n,,,\n{before}")
    examples, problems = read_examples(load_card(clinic))
    assert (len(examples), len(problems)) == (48, 0)
    assert examples[0].where == "labels.csv, row 4"


@pytest.mark.parametrize(
    ("start", "what"), [(b"\x1f\x8b\x08", "unpack it"), (b"PAR1\x80", "Parquet")]
)
def test_what_is_no_text_is_named(clinic, start, what):
    (clinic.parent / "labels.csv").write_bytes(start)
    with pytest.raises(UserError, match=what):
        read_examples(load_card(clinic))


def test_a_patient_is_one_with_or_without_decimals(clinic):
    table = clinic.parent / "labels.csv"
    rows = read_rows(table)
    for index, row in enumerate(rows):
        row["patient"] = f"{index // 2}" + ".0" * (index % 2)
    write_rows(table, rows)
    examples, _ = read_examples(load_card(clinic))
    assert len({example.patient_id for example in examples}) == 24


def test_a_column_that_is_nearly_there_is_hinted_at(clinic):
    rewrite(clinic, '["grade"]', '["Grades"]')
    with pytest.raises(UserError, match="did you mean 'grade'"):
        read_card(load_card(clinic))


def test_a_header_that_names_a_column_twice_is_an_error(clinic):
    file = clinic.parent / "labels.csv"
    file.write_text(
        file.read_text().replace("image,grade,patient", "image,patient,patient", 1)
    )
    with pytest.raises(UserError, match="names a column twice: patient"):
        read_card(load_card(clinic))


def listed(clinic, cells, **labels):
    """The clinic's card with findings listed in one column."""
    rows = read_rows(clinic.parent / "labels.csv")
    for row, cell in zip(rows, cells, strict=False):
        row["grade"] = cell
    write_rows(clinic.parent / "labels.csv", rows[: len(cells)])
    rewrite(
        clinic,
        '"grade"]',
        '"grade"]\nlabel_separator = "|"\nno_finding = "No Finding"',
    )
    rewrite(clinic, 'kind = "grade"', 'kind = "findings"')
    return load_card(clinic)


def test_findings_may_be_listed_in_one_column(clinic):
    cells = ["mild|severe", "No Finding", "none", "severe | mild", "mild|odd", ""]
    examples, problems = read_examples(listed(clinic, [*cells, "mild|No Finding"]))
    assert [e.labels for e in examples] == [
        (0, 1, 0, 1, 0),
        (0, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (0, 1, 0, 1, 0),
    ]
    assert [(p.where, p.reason.split(";")[0]) for p in problems] == [
        ("labels.csv, row 6", "label 'odd' is outside the classes"),
        (
            "labels.csv, row 7",
            "label '' for 'none' should be 0 or 1 (labels.blank in the card says what "
            "blank means)",
        ),
        ("labels.csv, row 8", "label 'No Finding' is outside the classes"),
    ]


def test_what_stands_between_findings_must_be_said(clinic):
    card = listed(clinic, ["mild|severe"])
    rewrite(clinic, 'label_separator = "|"\nno_finding = "No Finding"\n', "")
    with pytest.raises(UserError, match="label_separator' should say what stands"):
        read_card(load_card(clinic))
    graded = dataclasses.replace(card.labels, kind="grade", referable_from=2)
    with pytest.raises(UserError, match="is for one column of findings"):
        read_card(card.replace(labels=graded))


def test_lists_of_images_say_their_split(clinic):
    names = [row["image"] for row in read_rows(clinic.parent / "labels.csv")]
    (clinic.parent / "tested.txt").write_text("\n".join(names[:10]) + "\n")
    (clinic.parent / "rest.txt").write_text("\r\n".join(names[10:-1]))
    rewrite(
        clinic,
        "[labels]",
        'split_lists = {"tested.txt" = "test", "rest.txt" = "draw"}\n[labels]',
    )
    examples, problems = read_examples(load_card(clinic))
    assert [e.split for e in examples] == ["test"] * 10 + [None] * 37
    (problem,) = problems
    assert problem.reason == f"{names[-1]!r} is named by none of tested.txt, rest.txt"
    (clinic.parent / "rest.txt").write_text(names[0])
    with pytest.raises(UserError, match=rf"both name '{names[0]}'"):
        read_card(load_card(clinic))
    (clinic.parent / "rest.txt").unlink()
    with pytest.raises(UserError, match=r"split_lists'.*rest\.txt"):
        read_card(load_card(clinic))


def test_images_may_lie_in_several_folders(clinic):
    images = clinic.parent / "images"
    for number, path in enumerate(sorted(images.iterdir())):
        folder = clinic.parent / f"part_{number % 3}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    images.rmdir()
    rewrite(clinic, 'image_folder = "images"', 'image_folder = ["images", "part_*"]')
    extra = clinic.parent / "part_1" / "extra.png"
    extra.write_bytes((clinic.parent / "part_0" / "000.png").read_bytes())
    reading = read_card(load_card(clinic))
    assert (len(reading.examples), reading.problems) == (48, ())
    assert {e.image.path.parent.name for e in reading.examples} == {
        "part_0",
        "part_1",
        "part_2",
    }
    (remark,) = reading.remarks
    assert "part_1" in remark.where


def test_a_comma_may_stand_behind_the_last_name(clinic):
    file = clinic.parent / "labels.csv"
    header, *lines = file.read_text().splitlines()
    file.write_text("\n".join([f"{header},", lines[0], f"{lines[1]},", *lines[2:]]))
    examples, problems = read_examples(load_card(clinic))
    assert (len(examples), problems) == (48, [])
