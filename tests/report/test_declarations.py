"""Chapters, charts and sheets as declarations over rows; no run is needed."""

import dataclasses

import pytest

from transfusion_tf.report import style
from transfusion_tf.report.chapter_kinds import ChapterKind, draw
from transfusion_tf.report.charts import Chart, ForEach, Panel
from transfusion_tf.report.charts_layers import Curves, Dots, Lines, Scatter, Strip
from transfusion_tf.report.charts_references import Floor, Level
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.sentences import (
    extremes,
    one_seed_note,
    say_each,
    say_extremes,
    say_listed,
    settled,
)
from transfusion_tf.report.sheets import EFFECT, SPREAD, Column, SheetPlan
from transfusion_tf.report.wording import fill
from transfusion_tf.studies.study_folder import ChapterRecord


def row(model, start, value, **more):
    keys = {"dataset": "retina", "model": model, "initialization": start}
    ends = {"low": value - 0.1, "high": value + 0.1, "std": 0.01, "seeds": 3}
    return keys | {"quantity": "test", "value": value} | ends | more


ROWS = [
    row("tiny", "random", 0.7),
    row("tiny", "transfer", 0.9),
    row("small", "random", 0.6),
    row("small", "transfer", 0.8),
    row("small", "transfer", 0.55, quantity="floor", hidden=True),
]
PAPER = [
    {"model": "tiny", "initialization": "random", "quantity": "test", "value": 0.75}
]
SHEET = SheetPlan(
    (
        Column("Model", word="model", once=True),
        Column("Start", word="initialization"),
        Column("AUC", "test"),
        Column("Paper", "test", if_paper=True),
    ),
    lines=("model", "initialization"),
)
DOTS = Chart(
    Panel(Dots("test", rows="model")), text="AUC on {dataset}", suffix="{model}"
)


def material(**options):
    chapter = ChapterRecord("table1", "", "", "dots", options=options)
    return Material(chapter, (), ())


def table(rows=ROWS, published=()):
    found = LongTable.from_rows(rows, published)
    marks = style.marks(found.values("initialization"))
    return dataclasses.replace(found, marks=marks)


@style.styled
def drawn(chart, rows=ROWS, published=()):
    return list(chart(material(), table(rows, published)))


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def kind(**fields):
    plain = ChapterKind("dots", lambda _: ROWS, charts=DOTS, sheet=SHEET)
    return dataclasses.replace(plain, **fields)


def test_a_new_figure_is_one_declaration(tmp_path):
    view = draw(kind(sentences=(one_seed_note(),)), material(), tmp_path)
    assert [picture.name for picture in view.pictures] == ["table1-tiny"]
    assert view.pictures[0].text == "AUC on retina"
    assert (tmp_path / "table1-tiny.svg").exists()
    assert view.sheet.rows[1] == ("", "transfer", "0.900 ± 0.010")
    assert view.sentences == ()
    assert set(view.colours) == {"random", "transfer"}


def test_what_is_only_drawn_is_not_published():
    published = table().publish()
    assert len(published) == len(ROWS) - 1
    assert "hidden" not in published
    assert "stage" not in published


def test_an_option_chooses_another_kind_of_chapter(tmp_path):
    other = kind(sentences=(lambda _: ["By class."],))
    both = kind(variants={"by_class": other})
    assert draw(both, material(), tmp_path).sentences == ()
    assert draw(both, material(by_class=True), tmp_path).sentences == ("By class.",)


def test_a_word_stands_once_in_its_group():
    sheet = SHEET.sheet(table())
    assert [line[0] for line in sheet.rows] == ["tiny", "", "small", ""]
    assert sheet.heads == ("Model", "Start", "AUC")
    assert sheet.words == 2


def test_the_paper_s_column_is_there_where_the_paper_has_a_value():
    assert SHEET.sheet(table(published=PAPER)).heads[-1] == "Paper"


def test_an_interval_stands_below_its_value():
    assert fill(EFFECT, table().first) == "+0.700\n+0.600 to +0.800"
    alone = table().first | {"std": float("nan")}
    assert fill(SPREAD, alone) == "0.700"
    assert fill(SPREAD, {"value": float("nan")}) == "–"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{count:count} of {name}", "12\u202f345 of a[b]"),
        ("{share:%}, {share:.1%}", "12 %, 12.3 %"),
        ("{low:.2f} and {tiny:.2f}", "−0.50 and 0.00"),
        ("[{name}][, {none:.3f}]", "a[b]"),
        ("[{none:.3f}]", "never"),
        ("{none:.3f}", "never"),
    ],
)
def test_templates_write_numbers_as_people_read_them(template, shown):
    row = {"count": 12345, "name": "a[b]", "share": 0.123, "low": -0.5, "tiny": -1e-9}
    assert fill(template, {**row, "none": float("nan")}, "never") == shown


def test_sentences_list_rows_and_their_extremes():
    listing = say_listed("{model}: {listed}.", "{initialization} {value:.1f}", "test")
    assert listing(table()) == [
        "tiny: random 0.7, transfer 0.9, random 0.6 and transfer 0.8."
    ]
    ends = say_extremes("{most} {high:.1f}[, {least} {low:.1f}]", "{model}", "test")
    assert ends(table()) == ["tiny 0.9, small 0.6"]
    assert ends(table(ROWS[:1])) == ["tiny 0.7"]
    each = say_each("{initialization}", "test", model="small")
    assert each(table()) == ["random", "transfer"]


def test_hollow_marks_are_explained():
    (plain,), (with_paper,) = drawn(DOTS), drawn(DOTS, published=PAPER)
    assert legend_of(plain.figure) == ["random", "transfer"]
    assert legend_of(with_paper.figure)[-1] == "paper: its own data and donors"


def test_there_is_a_figure_for_each_value_that_it_is_made_by():
    chart = dataclasses.replace(DOTS, by=("model",))
    assert [each.suffix for each in drawn(chart)] == ["tiny", "small"]
    alone = dataclasses.replace(DOTS, suffix_if_one=False)
    assert [each.suffix for each in drawn(alone)] == [""]


def test_several_figures_for_each_value_stand_together():
    charts = ForEach(("model",), (DOTS, dataclasses.replace(DOTS, text="Again")))
    assert [each.text for each in drawn(charts)] == ["AUC on retina", "Again"] * 2


def test_a_facet_has_a_panel_for_each_value():
    panel = Panel(Dots("test", rows="initialization"), title="{model}", y="AUC")
    chart = Chart(panel, text="", facet="model", small=1.5, share="y")
    (found,) = drawn(chart)
    titles = [axes.get_title(loc="left") for axes in found.figure.axes]
    assert titles == ["tiny", "small"]
    assert [axes.get_ylabel() for axes in found.figure.axes] == ["AUC", ""]


def test_a_quantity_that_is_missing_is_said():
    panel = Panel((Lines("none", "place", missing="not compared"), Level(1.0)))
    (found,) = drawn(Chart(panel, text=""))
    assert [text.get_text() for text in found.figure.axes[0].texts] == ["not compared"]


@pytest.mark.parametrize("ends", ["bars", "band", ""])
def test_lines_stand_at_their_places(ends):
    rows = [row("tiny", "random", 0.1 * n, place=float(n)) for n in (1, 2, 4)]
    layer = Lines("test", "place", ends=ends, gap=0)
    (found,) = drawn(Chart(Panel(layer), text=""), rows)
    assert list(found.figure.axes[0].lines[0].get_xdata()) == [1.0, 2.0, 4.0]


def test_curves_have_a_band_where_there_are_several_seeds():
    one = [row("tiny", "random", 0.5, place=n, quantity="curve") for n in (0, 1)]
    alone = [each | {"low": None, "high": None} for each in one]
    bands = [
        len(drawn(Chart(Panel(Curves()), text=""), rows)[0].figure.axes[0].collections)
        for rows in (one, alone)
    ]
    assert bands == [1, 0]


def test_runs_that_never_got_there_stand_above_all():
    rows = [
        row("tiny", "random", value, quantity="run", tick="none")
        for value in (100.0, float("nan"))
    ]
    rows.append(row("tiny", "random", 300.0, quantity="longest"))
    layer = Strip("run", "tick", never="never", top="longest")
    (found,) = drawn(Chart(Panel(layer), text="", legend=False), rows)
    (axes,) = found.figure.axes
    assert [text.get_text() for text in axes.texts] == ["never"]
    assert axes.get_ylim()[1] > 300


def test_marks_of_a_scatter_belong_together_by_their_run():
    values = (("x", "a", 1.0), ("x", "b", 2.0), ("y", "b", 20.0), ("y", "a", 10.0))
    rows = [
        row("tiny", "random", value, quantity=quantity, run_a=run)
        for quantity, run, value in values
    ]
    layer = Scatter("x", "y", keys=("run_a",), series="initialization")
    (found,) = drawn(Chart(Panel(layer), text=""), rows)
    line = found.figure.axes[0].lines[0]
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [
        (1.0, 10.0),
        (2.0, 20.0),
    ]


def test_a_floor_reaches_over_all_places():
    rows = [row("tiny", "random", 0.1, quantity="floor", stage=s) for s in "abc"]
    (found,) = drawn(Chart(Panel(Floor("stage")), text=""), rows)
    assert found.figure.axes[0].get_xlim() == (-0.35, 2.35)


def test_sentences_share_their_forms():
    assert extremes({"a": 2.0, "b": float("nan"), "c": 1.0}) == (("c", 1.0), ("a", 2.0))
    assert extremes({"b": float("nan")}) is None
    assert settled(table().where(quantity="test")) == 4
    alone = table([row("tiny", "random", 0.7, seeds=1)])
    assert one_seed_note()(alone)[0].startswith("One seed each")
