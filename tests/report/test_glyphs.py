"""Names in any script can be read where the font of figures has no glyphs for them."""

import warnings

import numpy as np
import pytest

from transfusion_tf.report import glyphs
from transfusion_tf.report.glyphs import missing_glyphs
from transfusion_tf.report.pictures import keep
from transfusion_tf.report.sample_images import samples_figure

PICTURE = np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("肺炎", "炎肺"), ("정상", "상정"), ("naïve, ζ, Ж", ""), ("حميد", ""), ("", "")],
)
def test_which_characters_have_no_glyph(name, missing):
    assert missing_glyphs(samples_figure({name: [PICTURE]})) == missing


def test_names_without_glyphs_stay_text_for_the_browser_and_are_told_once(
    tmp_path, capsys
):
    glyphs._say.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("肺炎", "正常"):
            keep(samples_figure({name: [PICTURE]}), tmp_path, "samples", "")
            assert name in (tmp_path / "samples.svg").read_text()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_other_names_are_outlines_that_look_the_same_everywhere(tmp_path):
    keep(samples_figure({"normal": [PICTURE]}), tmp_path, "samples", "")
    assert "<text" not in (tmp_path / "samples.svg").read_text()
