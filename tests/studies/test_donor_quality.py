"""What donors are worth: what is measured, the gates, and what is kept."""

import numpy as np
import pandas as pd
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.studies.donor_quality import DonorQuality, donor_qualities
from transfusion_tf.studies.measurements.donor_measures import (
    donor_parts,
    donor_rows,
    measure_donor,
    random_accuracies,
)
from transfusion_tf.studies.measurements.table import Measurements, as_rows
from transfusion_tf.training import RunConfig, RunDirectory

GOOD = {
    "donor_validation": 0.5,
    "donor_validation_low": 0.4,
    "donor_validation_high": 0.6,
    "donor_chance": 0.1,
    "donor_probe_gain": 0.1,
    "donor_probe_gain_low": 0.06,
    "donor_probe_gain_high": 0.14,
    "donor_gabor_share": 0.3,
    "donor_gabor_chance": 0.2,
    "donor_kernel_scale": 0.4,
}


def rows_of(name="photographs", **values):
    known = GOOD | {f"donor_{key}": value for key, value in values.items()}
    table = [
        {"quantity": key, "value": value, "unit": "accuracy", "item": ""}
        for key, value in known.items()
    ]
    return pd.DataFrame(table).assign(model="cbr_tiny", donor=name, donor_run="")


def test_a_donor_that_passes_both_gates_is_not_weak():
    donor = DonorQuality.of(rows_of())
    assert donor.weaknesses == ()
    assert donor.line() == (
        "donor photographs (cbr_tiny): validation accuracy 0.50 (chance 0.10), 5-shot "
        "probe +0.100 [+0.060, +0.140] over random weights, Gabor share 0.30 (chance "
        "0.20), kernels’ scale moved by 0.40 doublings: passes its gates"
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"probe_gain_low": 0.019}, "+0.100 [+0.019, +0.140], is not settled to be"),
        ({"probe_gain_low": np.nan}, "is not settled to be above 0.02"),
        ({"validation": 0.18}, "0.18, not settled to be 10 % of the way from chance"),
        ({"validation_low": 0.09}, "0.50, not settled to be 10 % of the way"),
    ],
)
def test_a_donor_below_a_gate_is_weak(values, why):
    donor = DonorQuality.of(rows_of(**values))
    (weakness,) = donor.weaknesses
    assert why in weakness
    assert donor.line().endswith(": weak")
    assert "photographs (cbr_tiny) is weak" in donor.verdict()


def test_of_published_weights_the_probe_alone_decides():
    rows = rows_of("imagenet")
    own = rows["quantity"].str.contains("validation|donor_chance")
    donor = DonorQuality.of(rows[~own])
    assert donor.weaknesses == ()
    assert "own validation not known" in donor.line()


def test_a_study_has_each_of_its_donors():
    measured = as_rows([rows_of(), rows_of("imagenet", probe_gain_low=0.0)])
    first, second = donor_qualities(Measurements(measured))
    assert (first.donor, second.donor) == ("photographs", "imagenet")
    assert not first.weaknesses
    assert second.weaknesses


@pytest.mark.slow
def test_a_run_and_what_it_began_from_are_measured(trained_root, small_probe):
    run = min((trained_root / "runs").iterdir())
    table = measure_donor(run).set_index("quantity")["value"]
    random = random_accuracies(RunDirectory(run).config().model, range(3))
    assert table["donor_probe_random"] == pytest.approx(random.mean())
    gain = table["donor_probe"] - table["donor_probe_random"]
    assert table["donor_probe_gain"] == pytest.approx(gain)
    assert table["donor_probe_chance"] == pytest.approx(1 / 3)
    # Steps of Adam change kernels' scale by little, and best may be the start itself.
    moved = table["donor_kernel_scale"]
    assert moved < 0.01
    assert (moved > 0) == (RunDirectory(run).status()["best_step"] > 0)
    validation = table["donor_validation_low":"donor_validation_high"]
    assert validation.between(0, 1).all()
    assert table["donor_gabor_share"] > 0


@pytest.mark.slow
def test_features_of_the_whole_donor_are_read_and_its_table_names_it(
    trained_root, small_probe
):
    run = min((trained_root / "runs").iterdir())
    config = RunDirectory(run).config()
    recipient = config.replace(
        donor=str(run), donor_weights=run.name, initialization="transfer"
    )
    same = recipient.replace(seed=3)
    parts = list(donor_parts([recipient, same, config.replace(donor=None)]))
    assert parts[0][0] == parts[1][0]
    assert len(parts) == 2
    table = donor_rows(parts[0][1]())
    assert set(table["donor_run"]) == {run.name}
    assert set(table["model"]) == {config.model}
    assert len(as_rows([table])) == len(table)


def test_a_donor_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="say which model it is for"):
        measure_donor(tmp_path)
    with pytest.raises(UserError, match="neither 'imagenet' nor a file"):
        measure_donor("nothing.h5", "cbr_tiny")


def test_slimmed_recipients_of_one_donor_share_its_table():
    slim = "cbr_small[slim_after=pool2,width=0.5]"
    configs = [
        RunConfig(dataset="d", model=model, donor="a.h5", donor_weights="b")
        for model in ("cbr_small", slim)
    ]
    (first, _), (second, _) = donor_parts(configs)
    assert first == second
