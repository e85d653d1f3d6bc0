"""A study says what it takes on the disk, and is refused where there is less."""

import shutil
from collections import namedtuple

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.studies.disk import bytes_needed, check_disk_space
from transfusion_tf.training import RunConfig, RunOptions, train

RUN = RunConfig(dataset="clinic", model="cbr_tiny", image_size=64)
WEIGHTS = 4 * build("cbr_tiny", (64, 64, 3), 2).count_params()


def test_needs_grow_with_runs_and_with_those_under_way():
    one = bytes_needed([RUN], 1)
    assert bytes_needed([RUN, RUN.replace(seed=1)], 1) - one == 2 * WEIGHTS + (1 << 20)
    two_at_once = bytes_needed([RUN, RUN.replace(seed=1)], 2)
    assert two_at_once - bytes_needed([RUN, RUN.replace(seed=1)], 1) == 9 * WEIGHTS


def test_a_finished_run_takes_no_more_than_was_said(
    clinic_root, prepared, data_root, tmp_path
):
    config = RUN.replace(dataset=str(clinic_root), steps=1, eval_every=1, batch_size=4)
    run = train(
        config, tmp_path / "run", RunOptions(data_root=data_root, progress=False)
    )
    taken = sum(f.stat().st_size for f in run.directory.path.rglob("*"))
    said = bytes_needed([config], 1) - 9 * WEIGHTS
    assert said / 2 < taken < said


def test_too_small_a_disk_is_refused_in_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10_000_000))
    with pytest.raises(UserError, match=r"\(1\) take up to 49 MB .* 10 MB left"):
        check_disk_space([RUN], tmp_path / "new" / "root", 1)
