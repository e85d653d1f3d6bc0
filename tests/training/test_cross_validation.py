"""A run of one fold: what it trains on, chooses by and is tested on."""

import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.studies.measurements.run_images import run_dataset
from transfusion_tf.training import resolve, train


def patients(prepared, split):
    return set(prepared.examples(split)["patient_id"])


@pytest.fixture(scope="module")
def fold(config, options, tmp_path_factory):
    """A finished run of fold 1 of 4."""
    config = config.replace(fold=1, folds=4, steps=2)
    return train(config, tmp_path_factory.mktemp("folds") / "run", options)


def test_a_run_is_tested_on_its_fold_and_on_nothing_else(
    config, fold, prepared, data_root
):
    _, dealt = resolve(fold.directory.config(), data_root, prepared=prepared)
    table = fold.directory.predictions("test")
    assert list(table["example_id"]) == list(dealt.examples("test")["example_id"])
    counts = fold.directory.dataset()["counts"]
    assert counts == dealt.counts()
    assert sum(count["images"] for count in counts.values()) == len(prepared.index)
    assert fold.run_id != resolve(config, data_root)[0].run_id


def test_analyses_of_a_run_see_its_own_fold(fold, data_root):
    found = run_dataset(fold.directory.path, data_root)
    table = fold.directory.predictions("test")
    assert patients(found, "test") == set(table["patient_id"])


def test_every_example_is_tested_on_once_and_no_patient_on_two_sides(
    config, prepared, data_root
):
    tested = []
    for number in range(4):
        _, dealt = resolve(
            config.replace(fold=number, folds=4), data_root, prepared=prepared
        )
        sides = [patients(dealt, split) for split in ("train", "validation", "test")]
        assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
        tested += list(dealt.examples("test")["example_id"])
    assert sorted(tested) == sorted(prepared.index["example_id"])


def test_with_the_papers_protocol_the_weights_are_chosen_on_the_test_fold(
    config, prepared, data_root
):
    config = config.replace(fold=0, fold_protocol="paper")
    _, dealt = resolve(config, data_root, prepared=prepared)
    assert list(dealt.examples("validation")["example_id"]) == list(
        dealt.examples("test")["example_id"]
    )
    shares = [len(dealt.examples(split)) for split in ("train", "test")]
    assert shares[1] / shares[0] == pytest.approx(0.25, abs=0.05)


def test_a_data_set_in_a_fold_can_be_dealt_again_or_made_whole(
    config, prepared, data_root
):
    first = prepared.in_fold(0)
    second = prepared.in_fold(1)
    again = first.in_fold(1)
    assert again.index.equals(second.index)
    _, whole = resolve(config, data_root, prepared=first)
    assert whole is prepared


def test_stored_images_and_labels_stay_with_their_examples(prepared):
    before = prepared.index.set_index("example_id").drop(columns="split")
    after = prepared.in_fold(2).index.set_index("example_id").drop(columns="split")
    assert after.sort_index().equals(before.sort_index())
    rows = prepared.in_fold(2).examples("train", 5)
    assert len(rows) == 5
    assert np.isfinite(prepared.labels(rows)).all()


def test_more_folds_than_patients_are_refused(config, prepared, data_root):
    with pytest.raises(UserError, match="number of patients"):
        resolve(config.replace(fold=0, folds=500), data_root, prepared=prepared)


def test_a_run_shorter_than_its_interval_of_evaluations_has_five(
    config, prepared, data_root
):
    for steps, asked, found in ((40, 150, 8), (3, 150, 1), (150, 150, 150)):
        short = config.replace(steps=steps, eval_every=asked)
        resolved, _ = resolve(short, data_root, prepared=prepared)
        assert resolved.eval_every == found


def test_lengths_in_epochs_are_counted_by_the_fold_s_own_images(
    config, prepared, data_root
):
    config = config.replace(
        fold=0,
        batch_size=7,
        steps=200,
        eval_every=10,
        steps_per_epoch=10,
        head_steps=20,
    )
    lengths = {}
    for protocol in ("separate", "paper"):
        resolved, dealt = resolve(
            config.replace(fold_protocol=protocol), data_root, prepared=prepared
        )
        own = -(-len(dealt.examples("train")) // 7)
        assert (resolved.steps, resolved.eval_every) == (20 * own, own)
        assert resolved.head_steps == 2 * own
        again, _ = resolve(resolved, data_root, prepared=prepared)
        assert again == resolved
        lengths[protocol] = own
    assert lengths["paper"] > lengths["separate"] != 10


def test_without_epochs_lengths_are_steps(config, prepared, data_root):
    config = config.replace(fold=0, steps=200, eval_every=10)
    resolved, _ = resolve(config, data_root, prepared=prepared)
    assert (resolved.steps, resolved.eval_every) == (200, 10)
