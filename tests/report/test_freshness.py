"""A report is drawn again exactly where something that it is made of has changed."""

import importlib.metadata
import shutil
import subprocess
import sys

import pytest

from transfusion_tf.report import write_report
from transfusion_tf.report.freshness import is_current, mark_current, source_digest


@pytest.fixture(scope="module")
def written(planted_study, plant, tmp_path_factory):
    """A root whose one study has a report."""
    study = planted_study(tmp_path_factory.mktemp("planted"), patients=30, steps=40)
    for seed in (0, 1):
        study.add("cbr_tiny", "random", seed, plant())
    study.add_donor()
    write_report(study.write())
    return study.root


@pytest.fixture
def root(written, tmp_path):
    """A copy of it that a test may change."""
    shutil.rmtree(tmp_path)
    shutil.copytree(written, tmp_path)
    return tmp_path


def folder_of(root):
    return root / "studies" / "planted"


def drawn_again(root, *, show_images=True):
    """Whether `write_report` writes the page."""
    page = folder_of(root) / "report.html"
    before = page.stat().st_mtime_ns if page.exists() else None
    assert write_report(folder_of(root), show_images=show_images) == page
    return page.stat().st_mtime_ns != before


def test_the_same_study_is_not_drawn_again(root):
    # Elsewhere it is another: the page says where its runs lie.
    assert drawn_again(root)
    assert not drawn_again(root)


def replace_text(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def first(root, pattern):
    return sorted(root.glob(pattern))[0]


CHANGES = {
    "a run's status": lambda root: replace_text(
        first(root, "runs/*random-0*/status.json"), "99.4", "99.5"
    ),
    "a run's numbers": lambda root: first(
        root, "runs/*random-0*/predictions.parquet"
    ).write_bytes(first(root, "runs/*random-1*/predictions.parquet").read_bytes()),
    "a run that is gone": lambda root: shutil.rmtree(first(root, "runs/*random-1*")),
    "a donor's record": lambda root: replace_text(
        first(root, "runs/*random-99*/dataset.json"), "Photographs", "Pictures"
    ),
    "the study's record": lambda root: replace_text(
        folder_of(root) / "study.json", "fundus images", "photographs"
    ),
    "a table beside the record": lambda root: (
        folder_of(root) / "claims.csv"
    ).write_text("a\n"),
    "a figure that is gone": lambda root: first(
        root, "studies/*/figures/*.svg"
    ).unlink(),
    "a figure cut off": lambda root: first(root, "studies/*/figures/*.svg").write_text(
        ""
    ),
    "a table that someone edited": lambda root: replace_text(
        folder_of(root) / "tables" / "results.csv", "cbr_tiny", "cbr_huge"
    ),
    "the page": lambda root: replace_text(
        folder_of(root) / "report.html", "fundus", "fungus"
    ),
    "no page": lambda root: (folder_of(root) / "report.html").unlink(),
    "half a stamp": lambda root: (folder_of(root) / "report.json").write_text("{"),
    "no stamp": lambda root: (folder_of(root) / "report.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_makes_it_stale(root, change):
    make_current(root)
    CHANGES[change](root)
    assert not is_current(folder_of(root), show_images=True)


def make_current(root):
    """Marks the copy, whose place is another, as the report that was written there."""
    mark_current(folder_of(root), show_images=True)
    assert is_current(folder_of(root), show_images=True)


def test_a_stale_report_is_mended(root):
    make_current(root)
    figure = first(root, "studies/*/figures/*.svg")
    before = figure.read_bytes()
    figure.write_text("")
    assert drawn_again(root)
    assert figure.read_bytes() == before
    assert not drawn_again(root)


def test_images_that_are_to_be_left_out_make_it_stale(root):
    make_current(root)
    assert not is_current(folder_of(root), show_images=False)
    assert drawn_again(root, show_images=False)
    assert not is_current(folder_of(root), show_images=True)


def test_another_library_makes_it_stale(root, monkeypatch):
    make_current(root)
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda name: "99" if name == "matplotlib" else version(name),
    )
    assert not is_current(folder_of(root), show_images=True)


def test_any_change_of_the_source_is_seen(tmp_path):
    for name in ("a.py", "page.html"):
        (tmp_path / name).write_text("one")
    before = source_digest(tmp_path)
    (tmp_path / "a.pyc").write_text("compiled")
    assert source_digest(tmp_path) == before
    digests = {before}
    for name, text in (("a.py", "two"), ("page.html", "two"), ("b.py", "")):
        (tmp_path / name).write_text(text)
        digests.add(source_digest(tmp_path))
    assert len(digests) == 4


def test_what_a_run_weighs_does_not_matter(root):
    make_current(root)
    run = first(root, "runs/*random-0*")
    (run / "best.weights.h5").write_bytes(b"weights")
    (run / ".lock").write_bytes(b"")
    assert is_current(folder_of(root), show_images=True)


def test_runs_may_lie_elsewhere_and_be_linked(root, tmp_path_factory):
    run, elsewhere = (
        first(root, "runs/*random-0*"),
        tmp_path_factory.mktemp("elsewhere"),
    )
    shutil.move(run, elsewhere)
    run.symlink_to(elsewhere / run.name)
    make_current(root)
    CHANGES["a run's status"](root)
    assert not is_current(folder_of(root), show_images=True)


def test_looking_imports_nothing_that_draws():
    code = (
        "import transfusion_tf.report.freshness, sys;"
        "print({'matplotlib', 'pandas', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
