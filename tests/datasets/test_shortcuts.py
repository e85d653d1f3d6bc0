"""What files give away is found, and named; what they don't raises no alarm."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfusion_tf.datasets.images import FileImage
from transfusion_tf.datasets.shortcuts import file_properties, find_shortcuts


def table(patients, per=2, seed=0):
    """Properties that tell nothing, the class and the patient of each image."""
    draw = np.random.default_rng(seed)
    of = np.repeat(np.arange(patients), per)
    sick = of % 3 == 0
    properties = pd.DataFrame(
        {
            "width": draw.integers(200, 900, len(of)),
            "format": draw.choice(["PNG", "JPEG"], len(of)),
        }
    )
    return properties, sick, of


def found(properties, sick, of):
    labels = np.stack([~sick, sick], axis=1).astype(float)
    return find_shortcuts(properties, labels, ("healthy", "sick"), of.astype(str))


def test_properties_that_tell_nothing():
    reported = sum(bool(found(*table(60, seed=seed))) for seed in range(20))
    assert reported <= 1


@pytest.mark.parametrize("column", ["width", "format"])
def test_a_property_that_goes_with_a_class(column):
    properties, sick, of = table(60)
    planted = {"width": (1024, 512), "format": ("BMP", "GIF")}[column]
    properties.loc[::3, column] = np.where(sick, *planted)[::3]
    (shortcut,) = found(properties, sick, of)
    assert shortcut.name == "sick"  # The other class is its reverse.
    assert shortcut.alone[0][0] == column
    assert 0.5 < shortcut.at_least < shortcut.auc < 0.9
    assert any(str(value) in shortcut.contrast for value in planted)


def test_what_tells_patients_tells_no_class():
    properties, sick, of = table(60, per=6)
    properties["width"] = 200 + 11 * of
    assert not found(properties, sick, of)


def test_too_few_patients_are_no_evidence():
    properties, sick, of = table(24)
    properties["width"] = np.where(sick, 1024, 512)
    assert not found(properties, sick, of)


def test_findings_are_judged_one_by_one_where_they_are_known():
    properties, sick, of = table(90)
    properties["width"] = np.where(sick, 1024, 512)
    other = np.random.default_rng(1).integers(0, 2, len(of)).astype(float)
    given = np.where(of % 7 == 0, np.nan, sick)
    labels = np.stack([other, given], axis=1)
    reported = find_shortcuts(properties, labels, ("other", "given"), of.astype(str))
    assert [shortcut.name for shortcut in reported] == ["given"]
    assert reported[0].auc == 1


def test_properties_of_files(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (64, 96), np.uint8)
    grey[:8] = 0
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(grey).convert("RGB").save(tmp_path / "b.jpg", quality=50)
    np.save(tmp_path / "c.npy", grey)
    images = [FileImage(path) for path in sorted(tmp_path.iterdir())]
    rows = pd.DataFrame({"width": [96] * 3, "height": [64] * 3})
    rows = rows.assign(mean_red=0.5, mean_green=0.5, mean_blue=0.5)
    thumbnails = np.random.default_rng(1).integers(0, 255, (3, 32, 32), np.uint8)
    thumbnails[0, :4] = 0
    thumbnails[1, :, -2:] = 255
    properties = file_properties(images, rows, thumbnails)
    assert properties["format"].tolist() == ["PNG", "JPEG", ".npy"]
    assert properties["bits and channels"].tolist() == ["L", "RGB", ""]
    assert "jfif" in properties["metadata"][1]
    assert properties["aspect ratio"].tolist() == [1.5] * 3
    assert properties["border above and below, in %"].tolist() == [12.5, 0, 0]
    assert properties["border at the sides, in %"].tolist() == [0, 6.2, 0]
    compression = properties["JPEG compression"].tolist()
    assert compression[1] > compression[0] == 0
