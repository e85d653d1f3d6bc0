"""transfusion-data from the command line, on a messy folder."""

import functools
import subprocess
import sys

import binaries
import pytest
from support import read_rows, write_rows

pytestmark = pytest.mark.slow


run = functools.partial(binaries.run, "prepare_data")


@pytest.fixture
def messy(clinic):
    """One bad label and one damaged image of 48."""
    rows = read_rows(clinic.parent / "labels.csv")
    rows[10]["grade"] = "9"
    write_rows(clinic.parent / "labels.csv", rows)
    (clinic.parent / "images" / "003.png").write_bytes(b"damaged")
    return clinic


def test_bad_rows_stop_it_until_they_may_be_left_out(messy, tmp_path):
    place = f"--data_root={tmp_path / 'data'}"
    stopped = run("prepare", str(messy), place)
    assert stopped.returncode == 2
    assert "row 12" in stopped.stderr
    assert "images/003.png" in stopped.stderr
    assert "problems-" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    built = run("prepare", str(messy), place, "--max_bad_fraction=0.05")
    assert built.returncode == 0
    assert "2 images could not be used and were left out" in built.stdout


def test_audit_prints_what_it_found_and_where_the_page_is(messy, tmp_path):
    done = run("audit", str(messy), f"--data_root={tmp_path / 'data'}")
    assert done.returncode == 0
    page = tmp_path / "data" / "clinic" / "audit" / "audit.html"
    assert done.stdout.splitlines()[-1] == str(page)
    assert page.exists()


def test_an_audit_says_nothing_but_what_it_found(clinic, tmp_path):
    """In a process of its own: TensorFlow, which it does not need, would chat."""
    script = (
        "import sys\n"
        "from transfusion_tf_experiments.prepare_data import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'tensorflow' not in sys.modules\n"
    )
    arguments = ["audit", str(clinic), f"--data_root={tmp_path / 'data'}"]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--workers=1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_init_writes_a_card_once(clinic):
    clinic.unlink()
    assert run("init", str(clinic.parent)).returncode == 0
    assert clinic.exists()
    again = run("init", str(clinic.parent))
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_show_draws_each_class(clinic, tmp_path):
    done = run("show", str(clinic), f"--data_root={tmp_path / 'data'}")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith("samples.png")
