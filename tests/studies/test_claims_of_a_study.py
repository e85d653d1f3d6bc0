"""A study's folder is all that its claims need to be judged again."""

import shutil

import pandas as pd
import pytest
from planted_study import Plant, PlantedStudy

from transfusion_tf.report import write_report
from transfusion_tf.studies.claims import Claim, Gate, claim_to_dict
from transfusion_tf.studies.contrasts import Constant, Ratio, on_test, speed_over


def claims(random, transfer):
    """Of a gain on test, of a speed, and one behind a closed gate."""
    gain = on_test(transfer) - on_test(random)
    speed = speed_over(transfer, random)
    ratio = Ratio(on_test(transfer), on_test(random)) - Constant(1.0)
    never = Gate("random weights are not better", on_test(random) - on_test(transfer))
    return [
        Claim("Transfer gains.", "table 1", "on test", "AUC", "above", gain),
        Claim(
            "Both learn alike.",
            "figure 2",
            "steps",
            "doublings of speed",
            "alike",
            speed,
        ),
        Claim(
            "It pays.", "figure 3", "gain", "of RI", "at_least", ratio, gates=(never,)
        ),
    ]


@pytest.fixture
def study(tmp_path):
    """A study of three seeds of two starts, with these claims; its root."""
    root = tmp_path / "here"
    study = PlantedStudy(root, patients=40, steps=100)
    starts = {"random": Plant(0.5, 90), "transfer": Plant(2.5, 20)}
    study.grid(["cbr_tiny"], starts)
    random, transfer = tuple(study.runs[:3]), tuple(study.runs[3:])
    ids = {run: run for run in study.runs}
    chapter = {"name": "table1", "view": "accuracy", "runs": study.runs}
    study.write(
        chapters=[chapter],
        claims=[claim_to_dict(claim, ids) for claim in claims(random, transfer)],
    )
    return root


def judged(root):
    folder = root / "studies" / "planted"
    write_report(folder)
    return pd.read_csv(folder / "claims.csv")


def test_claims_are_judged_again_elsewhere_as_they_were(study, tmp_path):
    first = judged(study)
    assert list(first["verdict"]) == ["holds", "does not hold", "not decided here"]
    assert first["reason"].iloc[-1] == "random weights are not better"
    study.rename(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "studies" / "planted"
    for file in folder.iterdir():
        if file.is_dir():
            shutil.rmtree(file)
        elif file.name != "study.json":
            file.unlink()
    pd.testing.assert_frame_equal(judged(tmp_path / "elsewhere"), first)


def test_another_run_is_counted_when_they_are_judged_again(study):
    first = judged(study)
    (run, *_) = sorted((study / "runs").glob("*random-0*"))
    shutil.rmtree(run)
    again = judged(study)
    assert set(first["seeds"]) == {3}
    assert set(again["seeds"]) == {2}
