"""What is to be seen of a view: marks inside the axes, numbers in the sentences."""

import re
from xml.etree import ElementTree

import numpy as np
from matplotlib.text import Text

from transfusion_tf.report.chapter_kinds import chapter_table
from transfusion_tf.report.charts import several

# Matplotlib names the groups of an SVG after the artists. Besides these there are
# images, and bars: patches, as are the background, which is the first, and the sides,
# which are straight lines.
_MARKS = re.compile(
    r"^(PathCollection|LineCollection|PolyCollection|FillBetweenPolyCollection"
    r"|QuadMesh|line2d)"
)
_IMAGE = "{http://www.w3.org/2000/svg}image"
_PATH = "{http://www.w3.org/2000/svg}path"


def empty_axes(svg):
    """Names of the axes of a picture in which nothing is drawn; unseen ones aside."""
    root = ElementTree.parse(svg).getroot()
    axes = {
        group.get("id"): group
        for group in root.iter()
        if re.fullmatch(r"axes_\d+", group.get("id") or "")
    }
    seen = {name: group for name, group in axes.items() if len(group)}
    assert seen, svg
    return [name for name, group in seen.items() if not _has_marks(group)]


def quotes_its_table(view):
    """Whether half of a view's numbers, rounded as they are, stand in its table.

    Others are thresholds, and means over rows. Counts are not looked at: some number
    of a table is always as small as they are.
    """
    sentences = re.sub(r"\[.*?\]", "", " ".join(view.sentences))  # names of models
    said = re.findall(r"\d+\.\d+|\d+(?= %)", sentences)
    values = view.table.select_dtypes("number").to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    found = [text for text in said if _is_among(text, values)]
    return bool(said) and 2 * len(found) >= len(said)


def words_shown(kind, material):
    """All that a chapter's charts, sheet and sentences say, however they are drawn."""
    table = chapter_table(kind, material)
    drawn = [
        figure for chart in several(kind.charts) for figure in chart(material, table)
    ]
    words = [text for sentences in kind.sentences for text in sentences(table)]
    for each in drawn:
        words += [each.text, *(text.get_text() for text in each.figure.findobj(Text))]
    sheet = kind.sheet.sheet(table)
    return [*words, *sheet.heads, sheet.caption]


def _has_marks(group):
    names = [child.get("id") or "" for child in group]
    patches = [child for child in group if child.get("id", "").startswith("patch")]
    return (
        any(_bends(patch.find(_PATH)) for patch in patches[1:])
        or any(_MARKS.match(name) for name in names)
        or group.find(f".//{_IMAGE}") is not None
    )


def _is_among(text, values):
    half = 0.51 * 10.0 ** -len(text.partition(".")[2])
    scaled = np.abs(np.concatenate([values, 100 * values]))
    return bool((np.abs(scaled - float(text)) < half).any())


def _bends(path):
    return len(re.findall("[LCQ]", path.get("d"))) > 1
