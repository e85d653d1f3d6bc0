"""The chapter on confident errors: the images of each class, or why there are none."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report.test_html import Page

from transfusion_tf.report import write_report
from transfusion_tf.report.sample_images import overlay
from transfusion_tf.studies import own_chapters
from transfusion_tf.studies.measurements.confident_errors import COLUMNS

TABLE = "analyses/confident_errors-0.csv"


def encoded(pixels, kind):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def error(name, missed, place=None, predicted=None):
    draw = np.random.default_rng(place)
    line = {"class": name, "images": 40, "missed": missed}
    if place is not None:
        line |= {
            "place": place,
            "predicted": predicted,
            "probability": 0.9 - place / 10,
            "change": 1.0,
            "gap": 0.02,
            "example_id": f"/home/ann/scans/patient{place}.png",
            "image": encoded(draw.integers(0, 255, (8, 8, 3), np.uint8), "JPEG"),
            "saliency": encoded(draw.integers(0, 255, (8, 8), np.uint8), "PNG"),
        }
    return line


@pytest.fixture
def page_of(study, plant):
    """Writes the page of a study whose errors are given."""

    def write(lines, signal=1.5, **options):
        run = study.add("cbr_tiny", "random", 0, plant(signal))
        (chapter,) = (
            each
            for each in own_chapters([run.config()])
            if each.name == "confident_errors"
        )
        table = pd.DataFrame(lines, columns=list(COLUMNS))
        table.insert(0, "run", run.path.name)
        (study.root / "analyses").mkdir()
        table.to_csv(study.root / TABLE, index=False)
        values = {
            "name": chapter.name,
            "title": chapter.title,
            "text": chapter.text,
            "view": chapter.view,
            "runs": [run.path.name],
            "analyses": {"confident_errors": [TABLE]},
        }
        folder = study.write(chapters=[values], after_paper=False)
        return Page(write_report(folder, **options).read_text())

    return write


def pictures(page):
    return sum("image/jpeg" in reference for reference in page.references)


SAMPLES = 20  # Of the study itself.
ERRORS = [
    error("none", 0),
    # What pandas takes for missing, and for a number.
    error("NA", 30, 0, "1"),
    error("NA", 30, 1, "None"),
    error("1", 3, 0, "NA"),
]


def test_each_error_is_shown_with_its_map_its_prediction_and_its_probability(page_of):
    page = page_of(ERRORS)
    assert pictures(page) == SAMPLES + 2 * 3
    assert "cbr_tiny from random, seed 0" in page.text
    for said in (
        "NA: 30 of 40 test images missed",
        "predicted 1 0.90 predicted None 0.80",
        "1: 3 of 40 test images missed predicted NA 0.90",
        "here to within 0.02",
    ):
        assert said in page.text
    assert "has learned nothing that can be compared: what its" not in page.text
    # Which patients they are is no business of the page.
    assert "ann" not in page.text.split("Accuracy")[1]
    assert "/home" not in page.text


def test_images_are_left_out_on_request_and_the_counts_stay(page_of):
    page = page_of(ERRORS, show_images=False)
    assert pictures(page) == 0
    assert "Images were left out of this report on request." in page.text
    assert "NA 40 30 75 %" in page.text


def test_pixels_of_a_run_at_chance_are_said_to_mean_nothing(page_of):
    page = page_of(ERRORS, signal=0.0)
    assert "has learned nothing that can be compared: what its" in page.text


def test_a_run_without_errors_has_a_sentence(page_of):
    page = page_of([error("none", 0), error("mild", 0)])
    assert pictures(page) == SAMPLES
    assert "It misses no test image." in page.text
    assert "nothing to draw" not in page.text


def test_what_was_not_computed_is_said(page_of, study):
    page_of(ERRORS)
    (study.root / TABLE).unlink()
    page = Page(write_report(study.root / "studies" / "planted").read_text())
    assert f"The comparison {TABLE} has not been made yet." in page.text
    assert pictures(page) == SAMPLES


def test_what_speaks_for_the_prediction_is_orange_and_against_it_blue():
    image = np.full((4, 4, 3), 128, np.uint8)
    saliency = np.full((2, 2), 128, np.uint8)
    assert np.ptp(overlay(image, saliency), axis=2).max() == 0
    for value, strongest in ((255, 0), (1, 2)):
        shown = overlay(image, np.full((2, 2), value, np.uint8))
        assert set(shown.argmax(axis=2).flat) == {strongest}
