"""DICOM comes out as pydicom's own functions show it."""

import io

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets.dicom import dicom_facts
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


GREY = COLOR[..., 0]


def shown(path, rule="error"):
    return read_rgb(path, rule)[..., 0]


SHAPES = {
    "PixelSpacing": [0.4, 0.2],
    "ImagerPixelSpacing": [0.4, 0.2],
    "NominalScannedPixelSpacing": [0.4, 0.2],
    "PixelAspectRatio": [2, 1],
}


@pytest.mark.parametrize("name", SHAPES)
def test_pixels_that_are_no_squares_become_such_the_longer_way_up(tmp_path, name):
    """A disc of 20 mm that was stored with half as many rows is round again."""
    rows, columns = np.mgrid[:100:2, :100] + 0.5 - 50
    disc = np.where(rows**2 + columns**2 < 40**2, 255, 0).astype(np.uint8)
    path = write(tmp_path / "a.dcm", disc, **{name: SHAPES[name]})
    seen = shown(path) > 127
    assert seen.shape == (100, 100)
    assert abs(int(seen.any(axis=1).sum()) - int(seen.any(axis=0).sum())) <= 2
    path = write(tmp_path / "b.dcm", disc.T, **{name: SHAPES[name][::-1]})
    np.testing.assert_array_equal(shown(path) > 127, seen.T)


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": [0.143, 0.1431]},
        {"PixelSpacing": [0, 0.2]},
        {"PixelSpacing": None},
        {"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]},
        {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.4]},
    ],
)
def test_pixels_that_are_squares_stay(tmp_path, tags):
    path = write(tmp_path / "a.dcm", GREY, **tags)
    np.testing.assert_array_equal(shown(path), GREY)


def test_the_shape_of_an_enhanced_images_pixels_is_in_its_groups(tmp_path):
    measures, group = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = [0.2, 0.6]
    group.PixelMeasuresSequence = [measures]
    path = write(tmp_path / "a.dcm", GREY, SharedFunctionalGroupsSequence=[group])
    assert shown(path).shape == (GREY.shape[0], 3 * GREY.shape[1])


@pytest.mark.parametrize("spacing", [[1e-4, 1e4], [1, 0.01], ["inf", 0.2]])
def test_a_header_of_impossible_pixels_is_refused(tmp_path, spacing):
    path = write(tmp_path / "a.dcm", GREY, PixelSpacing=spacing)
    with pytest.raises(UserError, match="PixelSpacing makes its pixels"):
        read_rgb(path)


def test_a_falling_slope_turns_eight_bits_upside_down(tmp_path):
    tags = {"RescaleSlope": -1, "RescaleIntercept": 255}
    path = write(tmp_path / "a.dcm", GREY, **tags)
    np.testing.assert_array_equal(shown(path), 255 - GREY)
    tags["PhotometricInterpretation"] = "MONOCHROME1"
    np.testing.assert_array_equal(shown(write(path, GREY, **tags)), GREY)


def table(values, bits):
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(values), 0, bits]
    item.LUTData = np.array(values, np.uint16).tobytes()
    item["LUTData"].VR = "OW"
    return [item]


def test_a_modality_table_is_applied_to_eight_bits_without_a_window(tmp_path):
    path = write(
        tmp_path / "a.dcm", GREY, ModalityLUTSequence=table(range(255, -1, -1), 8)
    )
    np.testing.assert_array_equal(shown(path), 255 - GREY)
    deep = table(range(0, 512, 2), 16)
    path = write(tmp_path / "b.dcm", GREY, ModalityLUTSequence=deep)
    with pytest.raises(UserError, match="more than 8 bits"):
        read_rgb(path)
    np.testing.assert_array_equal(shown(path, (0.0, 510.0)), GREY)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_table_takes_the_place_of_a_window_whatever_its_bits(tmp_path, bits):
    entries = np.arange(4096) >> (12 - min(bits, 12))
    path = write(tmp_path / "a.dcm", RAMP, VOILUTSequence=table(entries, bits))
    expected = np.rint(entries * 255 / (2**bits - 1))
    np.testing.assert_array_equal(shown(path)[0], expected)


def test_values_that_do_not_end_below_their_highest_bit_are_refused(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP << 4, HighBit=15)
    with pytest.raises(UserError, match=r"12 bits end at bit 15 \(HighBit\)"):
        read_rgb(path, "minmax")


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_what_stands_above_the_stored_bits_is_no_value(tmp_path, dtype):
    values = (RAMP - 2048 * (dtype == np.int16)).astype(dtype)
    littered = (values.view(np.uint16) & 0x0FFF) | 0xA000
    plain = write(tmp_path / "a.dcm", values, BitsStored=12, HighBit=11)
    path = write(tmp_path / "b.dcm", littered.view(dtype), BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(shown(path, "minmax"), shown(plain, "minmax"))
    assert len(np.unique(shown(path, "minmax"))) == 256


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("padding", "tags"),
    [
        (-2000, {"PixelPaddingValue": -2000}),
        (-1990, {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1980}),
        (3000, {"PixelPaddingValue": 3000}),
    ],
)
def test_padding_is_black_and_no_part_of_what_is_stretched(
    tmp_path, photometric, padding, tags
):
    values = RAMP.astype(np.int16)[:, :1000]
    framed = np.pad(values, 3, constant_values=padding)
    tags = tags | {"PhotometricInterpretation": photometric}
    path = write(tmp_path / "a.dcm", framed, **tags)
    alone = write(tmp_path / "b.dcm", values, PhotometricInterpretation=photometric)
    for rule in ("minmax", (0.0, 999.0)):
        image = shown(path, rule)
        np.testing.assert_array_equal(image[3:-3, 3:-3], shown(alone, rule))
        assert image[:3].max() == image[:, -3:].max() == 0
    alone = write(path, np.full((4, 4), padding, np.int16), **tags)
    with pytest.raises(UserError, match="nothing but padding"):
        read_rgb(alone, "minmax")


def without_preamble(path, meta=False):
    data = pydicom.dcmread(path)
    if not meta:
        del data.file_meta
    data.preamble = None
    data.save_as(path, implicit_vr=False, little_endian=True)
    return path


@pytest.mark.parametrize("meta", [False, True])
def test_a_data_set_without_preamble_is_dicom(tmp_path, meta):
    path = write(tmp_path / "a.dcm", RAMP, **WINDOW)
    whole = read_rgb(path)
    bare = without_preamble(path, meta)
    assert bare.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_rgb(bare), whole)
    bare.write_bytes(bare.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        read_rgb(bare)


def test_few_bits_use_all_of_eight(tmp_path):
    path = write(tmp_path / "a.dcm", GREY >> 4, BitsStored=4, HighBit=3)
    np.testing.assert_array_equal(shown(path), (GREY >> 4) * 17)


def test_a_slope_without_an_intercept_counts(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP, RescaleSlope=2)
    assert shown(path, (0.0, 8190.0))[0, 2048] == 128
    with pytest.raises(UserError, match="RescaleSlope is 0"):
        read_rgb(write(path, RAMP, RescaleSlope=0, RescaleIntercept=1), "minmax")


def test_floating_point_pixels_need_a_rule(tmp_path):
    values = np.linspace(0, 1, 72, dtype=np.float32).reshape(8, 9)
    path = write(tmp_path / "a.dcm", GREY)
    data = pydicom.dcmread(path)
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(data, name)
    data.BitsAllocated = 32
    data.FloatPixelData = values.tobytes()
    data.save_as(path)
    with pytest.raises(UserError, match="more than 8 bits"):
        read_rgb(path)
    np.testing.assert_array_equal(shown(path, "minmax"), np.rint(values * 255))


def test_planes_and_palettes_give_the_colours_that_were_stored(tmp_path):
    planes = np.moveaxis(COLOR, -1, 0)
    path = write(tmp_path / "a.dcm", COLOR, PlanarConfiguration=1)
    data = pydicom.dcmread(path)
    data.PixelData = planes.tobytes()
    data.save_as(path)
    np.testing.assert_array_equal(read_rgb(path), COLOR)
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, channel in zip(("Red", "Green", "Blue"), palette.T, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        deep = channel.astype(np.uint16) * 257
        tags[f"{name}PaletteColorLookupTableData"] = deep.tobytes()
    path = write(tmp_path / "b.dcm", GREY, **tags)
    np.testing.assert_array_equal(read_rgb(path), palette[GREY])


def test_the_window_of_an_enhanced_image_of_one_frame_is_found(tmp_path):
    expected = read_rgb(write(tmp_path / "a.dcm", RAMP, **WINDOW))
    window, groups = pydicom.Dataset(), pydicom.Dataset()
    for name, value in WINDOW.items():
        setattr(window, name, value)
    groups.FrameVOILUTSequence = [window]
    tags = {"SharedFunctionalGroupsSequence": [groups], "NumberOfFrames": 1}
    path = write(tmp_path / "b.dcm", RAMP, **tags)
    np.testing.assert_array_equal(read_rgb(path), expected)


def test_a_jpeg_in_it_whose_data_end_too_early_is_damaged(tmp_path):
    pytest.importorskip("simplejpeg")
    buffer = io.BytesIO()
    picture = Image.fromarray(np.kron(GREY, np.ones((9, 9), np.uint8)))
    picture.save(buffer, "JPEG")
    jpeg = buffer.getvalue()
    path = write(tmp_path / "a.dcm", np.asarray(picture))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    for content in (jpeg, jpeg[:-300] + b"\xff\xd9"):
        data.PixelData = pydicom.encaps.encapsulate([content])
        data["PixelData"].VR = "OB"
        data.save_as(path)
        if content == jpeg:
            assert np.abs(shown(path).astype(int) - np.asarray(picture)).mean() < 5
            continue
        with pytest.raises(UserError, match="damaged"):
            read_rgb(path)


def test_what_made_an_image_is_known_from_its_header(tmp_path):
    path = write(tmp_path / "a.dcm", RAMP, Modality="DX", Manufacturer="Maker")
    assert dicom_facts(path) == ("MONOCHROME2 12", "DX Maker")


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
