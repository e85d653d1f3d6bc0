"""What chapters compute over runs, and what becomes of what cannot be computed."""

import pandas as pd
import pytest

from transfusion_tf.report import write_report
from transfusion_tf.studies import Chapter, Study, run_study
from transfusion_tf.studies.measurements.comparison_options import (
    sampling_options,
    stage_settings,
)
from transfusion_tf.studies.measurements.comparison_results import similarity_rows
from transfusion_tf.studies.measurements.comparisons import COMPARISONS
from transfusion_tf.training import RunConfig, RunOptions

pytestmark = pytest.mark.slow

STARTS = ("mean_var[strict_reference]", "transfer:pool1+mean_var", "transfer")


@pytest.fixture(scope="module")
def study_of(clinic_root, tmp_path_factory):
    """A chapter of one view over a run from each start; shares what it trains."""
    root = tmp_path_factory.mktemp("workspace")

    def run(view, measurements, dataset=clinic_root, **options):
        base = RunConfig(
            dataset=str(dataset),
            model="cbr_tiny",
            donor="photographs_few",
            donor_steps=2,
            batch_size=4,
            steps=2,
            eval_every=2,
        )
        runs = tuple(base.replace(initialization=start) for start in STARTS)
        chapter = Chapter(
            name="figure0",
            title="A",
            text="B",
            view=view,
            runs=runs,
            measurements=measurements,
            options=options,
        )
        study = Study(name=view, title="A study", runs=runs, chapters=(chapter,))
        result = run_study(
            study, root, options=RunOptions(root / "data", progress=False)
        )
        assert not result.failed
        return root, result

    return run


def tables(root, result, kind):
    record = pd.read_json(result.path / "study.json", typ="series")
    paths = record["chapters"][0]["analyses"][kind]
    return [pd.read_csv(root / path) for path in paths]


def test_statistics_are_compared_with_weights_however_their_spec_is_written(study_of):
    root, result = study_of(
        "layer_similarity", ("layer_cka", "layer_cka_pairs"), kind="stage", images=16
    )
    (pairs,) = tables(root, result, "layer_cka_pairs")
    starts = [run.config().initialization for run in result.runs]
    named = dict(zip(starts, [run.path.name for run in result.runs], strict=True))
    assert set(pairs["run_a"]) == {named["mean_var[strict_reference]"]}
    assert set(pairs["run_b"]) == {named["transfer"]}
    # Weights below a stage are not all weights.
    assert len(tables(root, result, "layer_cka")) == 1


def test_what_cannot_be_computed_is_left_out_and_said(study_of, clinic_root, tmp_path):
    text = (clinic_root / "dataset.toml").read_text()
    text = text.replace("clinic", "untested", 1)
    text = text.replace(
        "validation = 0.25\ntest = 0.25", "validation = 0.5\ntest = 0.0"
    )
    for name in ("labels.csv", "images"):
        (tmp_path / name).symlink_to(clinic_root / name)
    (tmp_path / "dataset.toml").write_text(text)

    _, result = study_of("robustness", ("robustness",), dataset=tmp_path, kind="stage")

    assert {len(run.status()["test"]) for run in result.runs} == {0}
    reason = "robustness was left out: data set 'untested' has no test examples"
    assert reason in (result.path / "study.json").read_text()
    assert reason in write_report(result.path).read_text().replace("&#39;", "'")


def test_svcca_is_a_choice_of_a_chapter_and_comparisons_by_cca_stay_what_they_were():
    chosen = sampling_options({"similarity_measure": "svcca"})
    assert stage_settings(chosen).measures == ("svcca",)
    assert "measure" not in sampling_options({})
    assert stage_settings(sampling_options({})).measures == ("cca",)
    table = pd.DataFrame(
        {"run": ["a"], "stage": ["pool1"], "repeat": [0], "measure": ["svcca"]}
        | {"value": [0.7], "noise_floor": [0.1]}
    )
    rows = similarity_rows("initial", "trained")(table)
    assert list(rows["quantity"]) == ["cca", "cca_noise_floor"]
    assert set(rows["unit"]) == {"SVCCA"}
    said = COMPARISONS["before_after"].said
    assert "SVCCA" in said({"similarity_measure": "svcca"})
    assert "SVCCA" not in said({})
