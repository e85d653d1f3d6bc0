"""Apache Beam's own local runner builds what the workers here build."""

import pytest

from transfusion_tf.datasets import DatasetError, load_card, prepare

pytest.importorskip("apache_beam")

RUNNERS = {
    "one thread": [],
    "two processes": [
        "--runner=DirectRunner",
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ],
}


def build(card, root, **options):
    return prepare(card, root, workers=1, progress=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    "runner",
    ["one thread", pytest.param("two processes", marks=pytest.mark.exhaustive)],
)
def test_a_phantom_comes_out_the_same_byte_for_byte(tmp_path, runner):
    card = load_card("phantom_retina_64")
    card = card.replace(reader={**card.reader, "patients": 60})
    here = build(card, tmp_path / "here")
    there = build(card, tmp_path / "there", beam_pipeline_options=RUNNERS[runner])
    for file in here.path.iterdir():
        assert (there.path / file.name).read_bytes() == file.read_bytes()
    assert there.index.equals(here.index)


@pytest.mark.slow
def test_bad_rows_are_left_out_or_stop_it_as_here(clinic, tmp_path):
    for name in ("003.png", "007.png"):
        (clinic.parent / "images" / name).write_bytes(b"damaged")
    card = load_card(clinic)
    with pytest.raises(DatasetError, match="2 problems"):
        build(card, tmp_path / "there", beam_pipeline_options=[])
    assert not list((tmp_path / "there").rglob("*.tfrecord*"))
    options = {"max_bad_fraction": 0.05}
    there = build(card, tmp_path / "there", beam_pipeline_options=[], **options)
    here = build(card, tmp_path / "here", **options)
    assert there.left_out.equals(here.left_out)
    assert there.index.equals(here.index)
