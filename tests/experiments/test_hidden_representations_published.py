"""The authors' published results, in files of their format that are drawn here."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from binaries import run

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation.estimates import NO_SPREAD
from transfusion_tf.report.published_page import PublishedResults, write_published
from transfusion_tf_experiments.papers.hidden_representations_published import (
    judged,
    published_measurements,
)

TARGETS = ("isic", "pcam-small", "chest", "thyroid", "breast", "knee", "mammograms")
STAGES = ("conv1", "block1", "block2", "block3", "block4")
FOLDS = tuple(f"fold{number}" for number in range(1, 6))
NATURAL, MEDICAL = "ImageNet", "RadImageNet"
# Level of each result, before what folds differ by.
AUC = {NATURAL: 0.9, MEDICAL: 0.8, "random": 0.6}
KEPT = {NATURAL: 0.7, MEDICAL: 0.4}
BEFORE, AFTER, RANDOM, EARLY = 0.5, 0.4, 0.45, 0.1
SIMILAR, INDEPENDENT = 0.8, 0.7


def jitter(*key):
    """Small and of mean 0 over folds, the same wherever it is asked for."""
    numbers = np.arange(5) - 2.0
    turn = sum(map(ord, "".join(map(str, key[:-1])))) % 5
    return 0.001 * np.roll(numbers, turn)[FOLDS.index(key[-1])]


def aucs():
    """`AUC.csv`; natural donors lead by 0.1 more on targets in colour."""
    for target, fold in itertools.product(TARGETS, FOLDS):
        for source, level in AUC.items():
            more = 0.05 * (target in ("isic", "pcam-small")) * (source == NATURAL)
            for way in ("freezeFalse", "freezeTrue")[: 1 + (source != "random")]:
                value = level + more + jitter(target, source, fold)
                freeze = "" if source == "random" else way
                yield target, source, freeze, fold, value


def ccas(target):
    """`CCA_<target>.csv`; lowest two stages have EARLY more before and after."""
    for fold in FOLDS:
        for way in ("freezeFalse", "freezeTrue"):
            tuned = {s: f"{target}-{s}-{way}" for s in (NATURAL, MEDICAL)}
            yield tuned[NATURAL], tuned[MEDICAL], fold, target, *[AFTER] * 5
            for source, name in tuned.items():
                early = [KEPT[source] + EARLY] * 2
                yield name, source, fold, target, *early, *[KEPT[source]] * 3
            # Of these nothing is asked.
            yield tuned[NATURAL], "random", fold, target, *[0.1] * 5
        for source in (NATURAL, MEDICAL):
            whole, first = (f"{target}-{source}-freeze{way}" for way in (False, True))
            yield whole, first, fold, target, *[0.2] * 5
            yield source, "random", fold, target, *[0.1] * 5
        level = BEFORE + jitter(target, fold)
        yield NATURAL, MEDICAL, fold, target, RANDOM, RANDOM, level, level, level
        yield "random", "random", fold, target, *[RANDOM + jitter("r", fold)] * 5


def similarities():
    """`similarity.csv`."""
    for target, fold in itertools.product(TARGETS, FOLDS):
        for way in ("freezeFalse", "freezeTrue"):
            keys = (target, NATURAL, MEDICAL, way, fold)
            yield *keys, "real", SIMILAR + jitter(target, fold)
            yield *keys, "rand", INDEPENDENT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The repository with its results."""
    root = tmp_path_factory.mktemp("revisiting-transfer")
    results = root / "results"
    results.mkdir()
    tables = {
        "AUC": (aucs(), ["target", "source", "freeze", "fold", "AUC"]),
        "similarity": (
            similarities(),
            ["target", "model1", "model2", "freeze", "fold", "prob", "value"],
        ),
    }
    for target in TARGETS:
        columns = ["model1", "model2", "fold", "stimuli", *STAGES]
        tables[f"CCA_{target}"] = (ccas(target), columns)
    for name, (rows, columns) in tables.items():
        pd.DataFrame(rows, columns=columns).to_csv(results / f"{name}.csv", index=False)
    return root


@pytest.fixture(scope="module")
def claims(folder):
    return judged(folder)


@pytest.fixture(scope="module")
def table(claims):
    return claims.set_index("claim")


def find(table, *words):
    """The one claim whose text has these words."""
    (found,) = [c for c in table.index if all(word in c for word in words)]
    return table.loc[found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Two of seven targets have 0.05 more.
        (("at least as well",), 0.1 + 0.05 * 2 / 7),
        (("wider on targets in colour",), 0.05),
        (("better than random",), 0.85 + 0.05 / 7 - 0.6),
        (("less alike after",), (3 * BEFORE + 2 * RANDOM) / 5 - AFTER),
        (("head was trained first",), (3 * BEFORE + 2 * RANDOM) / 5 - AFTER),
        (("less alike than two random",), RANDOM - AFTER),
        (("no more alike than random",), 0.0),
        (("err alike",), SIMILAR - INDEPENDENT),
    ],
)
def test_every_effect_is_that_of_their_files(table, words, expected):
    row = find(table, *words)
    assert row["estimate"] == pytest.approx(expected, abs=1e-9)
    assert row["low"] < expected + 1e-12
    assert row["high"] > expected - 1e-12
    assert row["seeds"] == 5
    assert row["verdict"] == "holds"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("changes the natural donor less", KEPT[NATURAL] - KEPT[MEDICAL]),
        ("Early layers change less", EARLY),
    ],
)
def test_what_is_the_same_in_every_fold_is_not_decided(table, words, expected):
    row = find(table, words)
    assert row["estimate"] == pytest.approx(expected, abs=1e-9)
    assert (row["verdict"], row["reason"]) == ("not decided here", NO_SPREAD)


def test_a_line_through_their_folds_is_that_of_figure_6(table):
    row = find(table, "keeps of its donor")
    # Similarities do not differ, so there is no line through them.
    assert row["verdict"] == "not asked"


def test_what_they_did_not_publish_is_not_asked(table):
    row = find(table, "Gabor")
    assert row["verdict"] == "not asked"
    assert row["reason"] == "no run of this kind has a result"


def test_intervals_count_that_folds_share_training_images(folder, table):
    """Nadeau and Bengio: (1 / 5 + 1 / 4) of the variance, for five folds."""
    row = find(table, "err alike")
    values = pd.read_csv(folder / "results" / "similarity.csv")
    whole = values[(values["freeze"] == "freezeFalse") & (values["prob"] == "real")]
    by_fold = whole.groupby("fold")["value"].mean()
    half = 2.7764451 * np.sqrt((1 / 5 + 1 / 4) * by_fold.var(ddof=1))
    assert row["high"] - row["estimate"] == pytest.approx(half, rel=1e-6)


def test_the_command_judges_a_folder_and_writes_its_page(folder, tmp_path):
    done = run("report", f"--published={folder}", "--root=ws", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "ws" / "published" / "hidden_representations" / "published.html"
    assert Path(done.stdout.strip()) == page
    # Five grey targets 0.9 - 0.8, two in colour 0.95 - 0.8: (0.5 + 0.3) / 7.
    claim = "A natural donor does at least as well as a medical one."
    kept = pd.read_csv(page.with_name("published_claims.csv")).set_index("claim")
    assert kept.loc[claim, "estimate"] == pytest.approx(0.114286, abs=1e-6)
    assert f"holds: {claim}" in done.stderr
    html = page.read_text()
    assert "+0.114 AUC" in html
    # Its own folder's name, and no place of the machine.
    assert folder.name in html
    assert str(folder) not in html


def test_the_command_without_their_files_says_what_it_wants(tmp_path):
    done = run("report", "--published=nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: no file nowhere/AUC.csv" in done.stderr
    assert not list(tmp_path.iterdir())


def test_rows_that_a_second_run_appended_count_once(folder, tmp_path):
    copy = tmp_path / "results"
    copy.mkdir()
    for file in (folder / "results").iterdir():
        lines = file.read_text().splitlines()
        (copy / file.name).write_text("\n".join([*lines, *lines[1:9]]) + "\n")
    # The folder of the results alone will do.
    ours, theirs = (published_measurements(each).rows for each in (copy, folder))
    pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "before", "after", "message"),
    [
        ("AUC", "target,", "targets,", "no column target"),
        ("AUC", "isic,ImageNet", "isic,CheXNet", "neither source 'CheXNet'"),
        ("AUC", "isic,ImageNet", "aptos,ImageNet", "aptos-imagenet-fold1 is no run"),
        ("CCA_knee", "block4", "block5", "no column block4"),
        ("similarity", None, None, "no file .*similarity.csv: .*git clone"),
    ],
)
def test_files_that_are_not_theirs_are_an_error(
    folder, tmp_path, name, before, after, message
):
    for file in (folder / "results").iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    changed = tmp_path / f"{name}.csv"
    if before is None:
        changed.unlink()
    else:
        changed.write_text(changed.read_text().replace(before, after, 1))
    with pytest.raises(UserError, match=message):
        published_measurements(tmp_path)


def test_the_page_has_their_findings_beside_a_study_s(claims, tmp_path):
    ours = claims.assign(verdict="does not hold", estimate=claims["estimate"] - 1)
    results = PublishedResults("The paper", "a folder", claims, ("A note.",))
    page = write_published(results, tmp_path, ours).read_text()
    assert "In this study: −0.900 share of the images" in page
    assert page.count("does not hold") >= len(claims)
    assert "A note." in page
    kept = pd.read_csv(tmp_path / "published_claims.csv")
    assert list(kept["here_verdict"].unique()) == ["does not hold"]
    assert kept["here_estimate"].dropna().to_numpy() == pytest.approx(
        kept["estimate"].dropna().to_numpy() - 1
    )
    alone = write_published(results, tmp_path / "alone").read_text()
    assert "In this study" not in alone
