import dataclasses
import functools
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.datasets.readers import read_card, read_examples
from transfusion_tf.errors import UserError
from transfusion_tf.phantoms import chest_metadata, draw_chest
from transfusion_tf.phantoms.canvas import random_stream
from transfusion_tf.phantoms.chest import (
    PREVALENCES,
    chest_severities,
    film_count,
)
from transfusion_tf.phantoms.chest_anatomy import draw_build, draw_view
from transfusion_tf.phantoms.chest_findings import FINDINGS, plan_findings
from transfusion_tf.phantoms.chest_outlines import Chest

HEALTHY = (0.0, 0.0, 0.0, 0.0, 0.0)
FILMS = range(12)
POLICIES = ("zeros", "ones", "ignore", "multiclass")


def _with(finding, severity=0.8):
    return [severity * (name == finding) for name in FINDINGS]


@functools.cache
def _healthy(index):
    """A film without findings, [128, 128], greys."""
    return draw_chest(index, size=128, findings=HEALTHY)[..., 0].astype(float)


def _whiter(index, finding, severity=0.8):
    """How much whiter a finding makes a film, [128, 128], greys."""
    sick = draw_chest(index, size=128, findings=_with(finding, severity))[..., 0]
    return sick - _healthy(index)


def _centre(change):
    """(x, y) of the change's centre of mass, in [-1, 1], y down."""
    axis = (np.arange(len(change)) + 0.5) * 2 / len(change) - 1
    weight = np.abs(change) * (np.abs(change) > 8)
    x, y = (weight * axis).sum(), (weight * axis[:, None]).sum()
    return np.array([x, y]) / weight.sum()


def _one_sided(change):
    """Share of the change that lies in the half of the film with more of it."""
    weight = np.abs(change) * (np.abs(change) > 8)
    half = weight[:, : len(change) // 2].sum() / weight.sum()
    return max(half, 1 - half)


def _outlines(index, severities):
    build = draw_build(random_stream(0, index))
    plan = plan_findings(random_stream(1, index), severities, 1.0)
    return Chest(build, draw_view(random_stream(2, index)), plan.distortion())


def _card(**reader):
    card = load_card("phantom_chest_64")
    return card.replace(reader={**card.reader, **reader})


def test_three_patients_have_one_two_and_three_films():
    names = [chest_metadata(i).example_id for i in range(7)]
    assert names == [
        "p00000_film1",
        "p00001_film1",
        "p00001_film2",
        "p00002_film1",
        "p00002_film2",
        "p00002_film3",
        "p00003_film1",
    ]
    assert [chest_metadata(i).patient_id for i in (1, 2)] == ["p00001", "p00001"]


def test_film_count_is_where_the_next_patient_begins():
    for patients in range(1, 10):
        count = film_count(patients)
        assert chest_metadata(count).example_id == f"p{patients:05d}_film1"


def test_metadata_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        chest_metadata(0).findings = HEALTHY


def test_findings_come_as_often_as_stated():
    found = np.array([chest_metadata(i).findings for i in range(4000)])
    assert set(np.unique(found)) == {0, 1}
    np.testing.assert_allclose(found.mean(axis=0), PREVALENCES, atol=0.025)


def test_findings_are_independent_of_each_other():
    found = np.array([chest_metadata(i).findings for i in range(2000)], int)
    for one, other in itertools.combinations(found.T, 2):
        table = np.bincount(2 * one + other, minlength=4).reshape(2, 2)
        assert stats.chi2_contingency(table).pvalue > 0.002


def test_findings_of_a_patients_films_are_independent_too():
    """Films 6k + 3 to 6k + 5 are of one patient."""
    films = [chest_metadata(6 * k + turn) for k in range(700) for turn in (3, 4)]
    found = np.array([film.findings for film in films]).reshape(-1, 2, 5)
    for finding in range(5):
        correlation = np.corrcoef(found[..., finding].T)[0, 1]
        assert abs(correlation) < 0.1


def test_uncertain_labels_come_as_often_as_asked_for_whatever_is_drawn():
    films = [chest_metadata(i, uncertain_share=0.2) for i in range(2000)]
    findings = np.array([film.findings for film in films])
    labels = np.array([film.labels for film in films])
    unsure = labels == -1
    np.testing.assert_array_equal(labels[~unsure], findings[~unsure])
    for state in (0, 1):
        drawn = unsure[findings == state]
        low, high = stats.binom.interval(0.999, len(drawn), 0.2)
        assert low <= drawn.sum() <= high


def test_the_uncertain_share_does_not_change_what_is_drawn():
    few, many = (
        [chest_metadata(i, uncertain_share=s).findings for i in range(50)]
        for s in (0.0, 0.9)
    )
    assert few == many


def test_severities_are_of_the_findings_that_are_there():
    for index in range(50):
        severities = np.array(chest_severities(index))
        np.testing.assert_array_equal(severities > 0, chest_metadata(index).findings)
        assert severities.max() <= 1


def test_drawing_twice_gives_the_same_bytes():
    first = draw_chest(7, seed=3, size=96)
    draw_chest(8, seed=3, size=96)
    np.testing.assert_array_equal(first, draw_chest(7, seed=3, size=96))


@pytest.mark.parametrize(("index", "seed"), [(6, 3), (8, 3), (7, 4)])
def test_another_index_or_seed_gives_another_image(index, seed):
    here = draw_chest(7, seed=3, size=96).astype(float)
    assert np.abs(here - draw_chest(index, seed=seed, size=96)).mean() > 2


@pytest.mark.parametrize("size", [16, 64, 67, 127, 224])
def test_any_size_is_drawn_in_grey_bytes(size):
    image = draw_chest(0, size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert (image == image[..., :1]).all()


def test_an_image_is_drawn_with_its_own_findings():
    index = next(i for i in range(100) if sum(chest_metadata(i).findings) == 2)
    own = draw_chest(index, size=64)
    severities = chest_severities(index)
    np.testing.assert_array_equal(own, draw_chest(index, size=64, findings=severities))
    assert not np.array_equal(own, draw_chest(index, size=64, findings=HEALTHY))


@pytest.mark.parametrize("index", [4, 5])
def test_the_same_chest_appears_at_every_size(index):
    def reduced(image):
        small = Image.fromarray(image).resize((56, 56), Image.Resampling.BOX)
        return np.asarray(small, dtype=float)

    large = reduced(draw_chest(index, size=448))
    small = reduced(draw_chest(index, size=112))
    other = reduced(draw_chest(index + 20, size=112))
    assert np.abs(large - small).mean() < 0.3 * np.abs(large - other).mean()


def test_lungs_are_darker_than_heart_and_abdomen_and_air_is_darkest():
    for index in FILMS:
        image = _healthy(index)
        lungs = np.median(image[45:60, 25:40]), np.median(image[45:60, 92:105])
        heart, abdomen = np.median(image[75:85, 62:74]), np.median(image[118:, 45:80])
        assert max(lungs) + 40 < min(heart, abdomen)
        assert image[:3, :3].mean() < min(lungs)


def test_films_of_a_patient_are_more_alike_than_those_of_two():
    """Films 6k + 3 and 6k + 4 are of one patient, 6k + 6 is of the next."""
    own, other = [], []
    for k in range(20):
        a, b, c = (
            draw_chest(6 * k + turn, size=64, findings=HEALTHY).astype(float)
            for turn in (3, 4, 6)
        )
        own.append(np.abs(a - b).mean())
        other.append(np.abs(a - c).mean())
    assert np.mean(own) < 0.95 * np.mean(other)


def test_atelectasis_raises_one_dome_and_whitens_the_lung_above_it():
    for index in FILMS:
        change = _whiter(index, "Atelectasis")
        # Not the vessels and the mediastinum, which are pulled over.
        change[change < 20] = 0
        change[:, 42:-42] = 0
        assert _centre(change)[1] > 0.15
        assert _one_sided(change) > 0.8
        healthy = _outlines(index, HEALTHY)
        sick = _outlines(index, _with("Atelectasis"))
        tops = [
            [c.diaphragm(side, np.array([0.5]))[0] for side in (-1, 1)]
            for c in (healthy, sick)
        ]
        lifted = np.sort(np.subtract(*tops))
        assert lifted[0] == 0
        assert lifted[1] > 0.1


def test_cardiomegaly_is_a_heart_wider_than_half_the_thorax():
    for index in FILMS:
        ratios = []
        for severities in (HEALTHY, _with("Cardiomegaly", 0.05)):
            chest = _outlines(index, severities)
            ratios.append(np.ptp(chest.heart()[:, 0]) / (2 * chest.build.half_width))
        assert ratios[0] < 0.5 < ratios[1]
        change = _whiter(index, "Cardiomegaly", 1.0)
        x, y = _centre(change)
        assert abs(x) < 0.4
        assert 0 < y < 0.6


def test_consolidation_is_a_white_patch_in_one_lung():
    for index in FILMS:
        change = _whiter(index, "Consolidation")
        assert _one_sided(change) > 0.9
        assert abs(_centre(change)[0]) > 0.2
        assert 0.01 < (change > 12).mean() < 0.12


def test_edema_whitens_both_lungs_around_the_hila():
    for index in FILMS:
        change = _whiter(index, "Edema")
        assert _one_sided(change) < 0.75
        x, y = _centre(change)
        assert abs(x) < 0.2
        assert abs(y - 0.1) < 0.15


def test_an_effusion_fills_the_angle_and_rises_with_its_severity():
    for index in FILMS:
        small, large = (_whiter(index, "Pleural Effusion", s) for s in (0.3, 1.0))
        assert _centre(small)[1] > 0.4
        assert abs(_centre(small)[0]) > 0.3 or _one_sided(small) < 0.75
        assert (large > 12).sum() > 1.5 * (small > 12).sum()


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_finding_shows_more_where_it_is_severer(finding):
    shown = [
        sum(np.abs(_whiter(i, finding, severity)).sum() for i in FILMS)
        for severity in (0.2, 0.6, 1.0)
    ]
    assert shown[0] < shown[1] < shown[2]


@pytest.mark.parametrize("finding", FINDINGS)
def test_finding_scale_makes_findings_more_marked(finding):
    healthy, small, large = (
        np.array(
            [
                draw_chest(i, size=64, findings=findings, finding_scale=scale)
                for i in FILMS
            ],
            float,
        )
        for findings, scale in (
            (HEALTHY, 1.0),
            (_with(finding, 0.5), 1.0),
            (_with(finding, 0.5), 1.5),
        )
    )
    assert np.abs(small - healthy).sum() < np.abs(large - healthy).sum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": -1}, "negative"),
        ({"index": 0, "seed": -1}, "negative"),
        ({"index": 0, "size": 8}, "16 pixels"),
        ({"index": 0, "finding_scale": 0.0}, "positive"),
        ({"index": 0, "findings": (1.0, 0.0)}, "five values"),
        ({"index": 0, "findings": (-1.0, 0.0, 0.0, 0.0, 0.0)}, "five values"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_chest(**arguments)


def test_an_impossible_share_is_refused():
    with pytest.raises(ValueError, match="uncertain_share is 1"):
        chest_metadata(0, uncertain_share=1.5)


def test_the_card_has_the_labels_of_chexpert():
    for name in ("phantom_chest", "phantom_chest_64"):
        assert load_card(name).labels.classes == load_card("chexpert").labels.classes


def test_patients_lie_in_one_split_each_and_all_splits_have_some():
    examples, problems = read_examples(load_card("phantom_chest_64"))
    assert len(examples) == 900
    assert problems == []
    splits = {}
    for example in examples:
        splits.setdefault(example.patient_id, set()).add(example.split)
    assert all(len(names) == 1 for names in splits.values())
    shares = [
        np.mean([example.split == name for example in examples])
        for name in ("train", "validation", "test")
    ]
    np.testing.assert_allclose(shares, [0.6, 0.15, 0.25], atol=0.06)


def test_training_rows_are_uncertain_in_the_share_asked_for_and_no_others():
    card = _card(patients=600, uncertain_share=0.15)
    card = card.replace(labels=dataclasses.replace(card.labels, uncertain="ignore"))
    examples, _ = read_examples(card)
    unknown = {
        split: np.isnan([e.labels for e in examples if e.split == split])
        for split in ("train", "validation", "test")
    }
    train = unknown["train"]
    low, high = stats.binom.interval(0.999, train.size, 0.15)
    assert low <= train.sum() <= high
    assert unknown["validation"].sum() == unknown["test"].sum() == 0


def _prepared(tmp_path, policy):
    tmp_path.mkdir()
    text = load_card("phantom_chest_64").path.read_text()
    text = text.replace('uncertain = "zeros"', f'uncertain = "{policy}"')
    file = tmp_path / "dataset.toml"
    file.write_text(text.replace("patients = 450", "patients = 30"))
    return prepare(load_card(file), tmp_path, workers=1, progress=False)


@pytest.mark.slow
def test_the_card_is_prepared_with_every_meaning_of_uncertain(tmp_path):
    built = {p: _prepared(tmp_path / p, p) for p in POLICIES}
    labels = {p: b.labels(b.examples("train")) for p, b in built.items()}
    unsure = np.isnan(labels["ignore"])
    assert 0 < unsure.mean() < 0.25
    assert (labels["zeros"][unsure] == 0).all()
    assert (labels["ones"][unsure] == 1).all()
    np.testing.assert_array_equal(np.isnan(labels["multiclass"][:, :5]), unsure)
    np.testing.assert_array_equal(labels["multiclass"][:, 5:], unsure)
    for policy in POLICIES:
        certain = labels[policy][:, :5][~unsure]
        np.testing.assert_array_equal(certain, labels["zeros"][~unsure])
        test = built[policy].labels(built[policy].examples("test"))
        assert np.isin(test[:, :5], (0, 1)).all()


def test_without_a_meaning_for_uncertain_each_such_row_is_named():
    card = _card(patients=30)
    card = card.replace(labels=dataclasses.replace(card.labels, uncertain="error"))
    reading = read_card(card)
    assert reading.problems
    assert reading.problems[0].where.startswith("drawing ")
    assert "labels.uncertain in the card says" in reading.problems[0].reason


def test_other_classes_are_refused():
    card = load_card("phantom_chest_64")
    labels = dataclasses.replace(card.labels, classes=("Edema", "Pneumonia"))
    with pytest.raises(UserError, match="Atelectasis, Cardiomegaly"):
        read_card(card.replace(labels=labels))


@pytest.mark.parametrize(
    ("option", "value"),
    [("patients", 0), ("uncertain_share", 1.5), ("finding_scale", -1)],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(UserError, match=f"reader.{option}"):
        read_card(_card(**{option: value}))
