"""DICOM comes out as pydicom's own functions show it."""

import numpy as np
import pytest

from transfusion_tf.datasets.images import read_rgb
from transfusion_tf.errors import UserError

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import FileDataset, FileMetaDataset  # noqa: E402
from pydicom.pixels import apply_modality_lut, apply_voi_lut  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian  # noqa: E402

RAMP = np.tile(np.arange(4096, dtype=np.uint16), (4, 1))
COLOR = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)


def write(path, values, **tags):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = values.shape[:2]
    data.SamplesPerPixel = 3 if values.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * values.itemsize
    data.BitsStored = 12 if values.dtype == np.uint16 else data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


WINDOW = {"WindowCenter": 1000, "WindowWidth": 800}


@pytest.mark.parametrize(
    "tags",
    [
        WINDOW,
        WINDOW | {"RescaleSlope": 2, "RescaleIntercept": -1024},
        WINDOW | {"VOILUTFunction": "SIGMOID"},
        WINDOW | {"VOILUTFunction": "LINEAR_EXACT"},
        WINDOW | {"PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": [1000, 5], "WindowWidth": [800, 9]},
    ],
)
def test_rescaling_window_and_inversion_are_pydicoms(tmp_path, tags):
    path = write(tmp_path / "a.dcm", RAMP, **tags)
    data = pydicom.dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    slope, start = data.get("RescaleSlope", 1), data.get("RescaleIntercept", 0)
    expected = (shown.astype(float) - start) / (4095 * slope) * 255
    if data.PhotometricInterpretation == "MONOCHROME1":
        expected = 255 - expected
    assert np.abs(read_rgb(path)[..., 0] - expected).max() <= 0.5 + 1e-6


def test_without_a_window_the_card_must_say(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP)
    with pytest.raises(UserError, match="more than 8 bits"):
        read_rgb(path)
    assert len(np.unique(read_rgb(path, "minmax"))) == 256


def test_the_cards_window_is_in_rescaled_units_and_goes_before_the_files(tmp_path):
    tags = WINDOW | {"RescaleSlope": 1, "RescaleIntercept": -1000}
    row = read_rgb(write(tmp_path / "a.dcm", RAMP, **tags), (0.0, 1000.0))[0, :, 0]
    assert row[1000] == 0
    assert row[2000] == 255
    assert row[1500] == 128


def test_eight_bits_and_colour_stay_as_they_are(tmp_path):
    np.testing.assert_array_equal(read_rgb(write(tmp_path / "a.dcm", COLOR)), COLOR)
    grey = write(tmp_path / "b.dcm", COLOR[..., 0])
    np.testing.assert_array_equal(read_rgb(grey)[..., 2], COLOR[..., 0])


def test_run_lengths_are_decoded(tmp_path):
    data = pydicom.dcmread(write(tmp_path / "a.dcm", RAMP))
    data.compress(pydicom.uid.RLELossless)
    data.save_as(tmp_path / "b.dcm")
    np.testing.assert_array_equal(
        read_rgb(tmp_path / "b.dcm", "minmax"), read_rgb(tmp_path / "a.dcm", "minmax")
    )


def test_the_name_does_not_matter(tmp_path):
    path = write(tmp_path / "a.png", COLOR)
    np.testing.assert_array_equal(read_rgb(path), COLOR)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"NumberOfFrames": 3}, r"3 frames.*file of its own"),
        ({"Rows": 40000, "Columns": 40000}, r"40000×40000 pixels"),
        ({"Rows": 100}, "damaged"),
    ],
)
def test_headers_that_promise_too_much_are_refused(tmp_path, tags, message):
    with pytest.raises(UserError, match=message):
        read_rgb(write(tmp_path / "a.dcm", COLOR, **tags))


def test_a_cut_off_file_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        read_rgb(path, "minmax")
