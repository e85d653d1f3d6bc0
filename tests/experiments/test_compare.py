"""`transfusion-compare` as a user meets it."""

import dataclasses
import re
import subprocess
import sys

import binaries
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfusion_tf_experiments import model_comparison

REQUEST = model_comparison.Request(
    root="workspace",
    data_root=None,
    images=None,
    out=None,
    points=300,
    channels=8,
    repeats=2,
    seed=0,
    batch_size=16,
    pooled=False,
    trained_weights="final",
    batch_norm_statistics="estimated",
    stages=None,
    command="transfusion-compare as it was typed",
)


def request(**changes):
    return dataclasses.replace(REQUEST, **changes)


@pytest.fixture
def run_ids(trained_root):
    return sorted(folder.name for folder in (trained_root / "runs").iterdir())


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twelve images of unequal sizes, in two folders."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(12):
        part = folder / str(index % 2)
        part.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (40 + index, 50, 3), np.uint8)
        Image.fromarray(pixels).save(part / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def model_files(tmp_path_factory):
    """Two `.keras` files whose layers belong to no family with known stages."""
    folder = tmp_path_factory.mktemp("models")
    paths = []
    for name in ("one", "two"):
        keras.utils.set_random_seed(len(paths))
        model = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(8, 3, activation="relu", name="edges"),
                keras.layers.Conv2D(8, 3, strides=2, name="parts"),
                keras.layers.GlobalAveragePooling2D(name="features"),
                keras.layers.Dense(2, name="answers"),
            ]
        )
        paths.append(str(folder / f"{name}.keras"))
        model.save(paths[-1])
    return paths


def test_help_is_printed_without_importing_tensorflow():
    script = (
        "import sys\n"
        "from transfusion_tf_experiments import compare\n"
        "sys.argv = ['transfusion-compare', '--help']\n"
        "try:\n    compare.main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert 'keras' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for flag in ("--points", "--stages", "--images", "--data_root"):
        assert flag in done.stdout


@pytest.mark.slow
def test_two_runs_are_compared_with_one_command(trained_root, run_ids, tmp_path):
    done = binaries.run(
        *("compare", *run_ids[:2], f"--root={trained_root}", f"--out={tmp_path}"),
        *("--points=300", "--channels=8", "--repeats=2"),
    )
    assert done.returncode == 0, done.stderr
    table, page = done.stdout.strip().splitlines()[0], done.stdout.split()[-1]
    assert table.split()[:4] == ["stage", "points", "CCA", "SVCCA"]
    assert page == str(tmp_path / "comparison.html")


@pytest.mark.slow
class TestTwoRuns:
    @pytest.fixture(scope="class")
    def written(self, trained_root, tmp_path_factory):
        ids = sorted(folder.name for folder in (trained_root / "runs").iterdir())
        out = tmp_path_factory.mktemp("page")
        page, text, notes = model_comparison.compare(
            [ids[0], str(trained_root / "runs" / ids[1])],
            request(root=str(trained_root), out=str(out), points=400),
        )
        return page, text, notes

    def test_the_page_holds_everything_it_shows(self, written):
        html = written[0].read_text()
        assert html.count('src="data:image/') >= 8
        for word in ("http://", "https://", "<script", "<link"):
            assert word not in html
        (command,) = re.findall(r"<pre>(.*?)</pre>", html)
        shown = re.sub(r"</?span>", "", command)
        assert shown == "transfusion-compare as it was typed"
        assert "representations of gabor and random?" in html
        assert "estimated alike for both on up to 256 training images" in html

    def test_tables_come_as_csv_markdown_and_latex(self, written):
        folder = written[0].parent / "tables"
        for name in ("scores", "repeats", "stage_pairs", "filters"):
            for suffix in (".csv", ".md", ".tex"):
                assert (folder / f"{name}{suffix}").stat().st_size
        scores = pd.read_csv(folder / "scores.csv")
        assert set(scores["measure"]) == {"cca", "svcca", "pwcca", "cka", "procrustes"}
        assert {"value", "std", "noise_floor"} <= set(scores.columns)
        assert len(pd.read_csv(folder / "stage_pairs.csv")) == 16

    def test_every_filter_has_its_gabor_fit(self, written):
        filters = pd.read_csv(written[0].parent / "tables" / "filters.csv")
        assert filters.groupby("initialization").size().tolist() == [32, 32]
        shares = filters.groupby("initialization")["explained_before"].mean()
        assert shares["gabor"] > 0.9 > shares["random"]

    def test_too_few_images_are_said_on_the_page_and_in_the_terminal(self, written):
        page, _, notes = written
        assert any("are given: stages have" in note for note in notes)
        assert "are given: stages have" in page.read_text()


@pytest.mark.slow
def test_one_run_is_compared_before_and_after_training_below_the_root(
    trained_root, run_ids
):
    page, text, _ = model_comparison.compare(
        run_ids[:1], request(root=str(trained_root))
    )
    assert page == trained_root / "comparisons" / run_ids[0] / "comparison.html"
    html = page.read_text()
    assert "before training" in html
    assert f"{run_ids[0]}, from its seed and donor" in html
    scores = pd.read_csv(page.parent / "tables" / "scores.csv")
    stages = scores["stage"].drop_duplicates().tolist()
    assert stages == ["pool1", "pool2", "pool3", "pool4"]
    assert [line.split()[0] for line in text.splitlines()] == ["stage", *stages]


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, True])
def test_two_model_files_are_compared_on_a_folder_of_images(
    model_files, photographs, tmp_path, pooled
):
    page, _, _ = model_comparison.compare(
        model_files,
        request(
            images=str(photographs), out=str(tmp_path), pooled=pooled,
            stages=("edges", "features"), points=12 if pooled else 300, channels=4,
        ),
    )  # fmt: skip
    scores = pd.read_csv(tmp_path / "tables" / "scores.csv")
    assert scores["stage"].drop_duplicates().tolist() == ["edges", "features"]
    assert "First-layer filters" not in page.read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "need --images"),
        ({"images": "nowhere"}, "nowhere is no folder"),
        ({"images": "."}, "name layers .*such as rescaling, edges, parts"),
        ({"images": ".", "stages": ("conv9",)}, "no stage 'conv9'; name layers"),
        ({"images": ".", "points": 0}, "points must be 1 or more"),
        ({"images": ".", "channels": -1}, "--channels should be 0 or more"),
    ],
)
def test_a_mistake_with_files_says_what_is_right(
    model_files, photographs, monkeypatch, changes, message
):
    monkeypatch.chdir(photographs)
    with pytest.raises(ValueError, match=message):
        model_comparison.compare(model_files, request(**changes))


def test_one_model_file_alone_has_nothing_to_be_compared_with(model_files):
    with pytest.raises(ValueError, match="give a second"):
        model_comparison.compare(model_files[:1], REQUEST)


def test_a_model_file_that_would_run_code_is_refused(
    tmp_path, photographs, model_files
):
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Lambda(lambda x: 2 * x)]
    )
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="can be loaded safely"):
        model_comparison.compare(
            [str(tmp_path / "lambda.keras"), model_files[0]],
            request(images=str(photographs)),
        )


def test_an_unknown_run_lists_those_there_are(tmp_path):
    (tmp_path / "runs" / "there").mkdir(parents=True)
    (tmp_path / "runs" / "there" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no run in .*; there: there"):
        model_comparison.compare(["gone"], request(root=str(tmp_path)))


@pytest.mark.slow
def test_a_mistake_is_one_message_and_an_exit_code(tmp_path):
    done = binaries.run("compare", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: 'nothing' is no run directory")
    assert "Traceback" not in done.stderr
