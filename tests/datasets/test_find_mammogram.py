"""The tables of CBIS-DDSM name files as no download has them: all forms are found."""

import shutil

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.images import FileImage
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.datasets.readers.cbis_ddsm import find_mammogram
from transfusion_tf.errors import UserError

CASE, SERIES = "Mass-Training_P_00001_LEFT_CC", "1.3.6.1.4.1.9590.100.1.2.4924515"
NAMED = f"{CASE}/1.3.6.1.4.1.9590.100.1.2.4228974994/{SERIES}/000000.dcm"
WORDS = f"{CASE}/07-20-2016-DDSM-NA-30927/1.000000-full mammogram images-24515"


def touch(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    return folder / name


@pytest.mark.parametrize(
    "name",
    [
        NAMED,
        NAMED.replace(".dcm", ".png"),
        NAMED.replace("000000", "1-1"),
        NAMED.replace("000000.dcm", "1-1.png"),
        f"{WORDS}/1-1.dcm",
        f"{CASE}.png",
        f"{SERIES}/1-249.jpg",
        f"jpeg/{SERIES}/1-249.jpg",
    ],
)
def test_the_file_is_found_however_it_was_downloaded(tmp_path, name):
    file = touch(tmp_path, name)
    assert find_mammogram(tmp_path, NAMED) == file


def test_the_full_mammogram_is_told_from_cut_outs_by_its_folder(tmp_path):
    touch(tmp_path, f"{CASE}/07-20-2016-DDSM-NA-1/1.000000-cropped images-2/1-1.dcm")
    file = touch(tmp_path, f"{WORDS}/1-1.dcm")
    assert find_mammogram(tmp_path, NAMED) == file


def test_two_files_that_could_be_it_are_named(tmp_path):
    touch(tmp_path, f"{CASE}/a/b/1-1.dcm")
    touch(tmp_path, f"{CASE}/a/c/1-1.dcm")
    with pytest.raises(UserError, match="2 files could be"):
        find_mammogram(tmp_path, NAMED)


@pytest.mark.parametrize("named", ["x.dcm", f"../{NAMED[:-11]}", f"/{NAMED}"])
def test_a_path_of_another_form_is_refused(tmp_path, named):
    with pytest.raises(UserError, match="should be <case>/<study>/<series>/<file>"):
        find_mammogram(tmp_path, named)


def test_sixteen_bits_keep_their_order(tmp_path):
    ramp = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(32, 32)
    Image.fromarray(ramp).save(tmp_path / f"{CASE}.png")
    image = FileImage(find_mammogram(tmp_path, NAMED), (0.0, 65535.0)).load()
    grey = image[..., 0].ravel().astype(int)
    assert (np.diff(grey) >= 0).all()
    assert (grey[0], grey[-1]) == (0, 255)


def test_a_dicom_download_of_the_sample_is_read(tmp_path):
    """The sample's PNG tree as TCIA's retriever writes it."""
    pydicom = pytest.importorskip("pydicom")
    sample = load_card("cbis_ddsm", source="sample").data_folder()
    shutil.copytree(sample, tmp_path / "data")
    for png in (tmp_path / "data").rglob("*.png"):
        values = np.asarray(Image.open(png)).astype(np.uint16)
        file = pydicom.Dataset()
        file.file_meta = pydicom.dataset.FileMetaDataset()
        file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.1"
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        file.Rows, file.Columns = values.shape
        file.SamplesPerPixel, file.PixelRepresentation = 1, 0
        file.BitsAllocated = file.BitsStored = 16
        file.HighBit = 15
        file.PhotometricInterpretation = "MONOCHROME2"
        file.PixelData = values.tobytes()
        file.save_as(png.with_name("1-1.dcm"), enforce_file_format=True)
        png.unlink()
    theirs = read_card(load_card("cbis_ddsm", source=tmp_path / "data"))
    ours = read_card(load_card("cbis_ddsm", source="sample"))
    assert not theirs.problems
    for one, other in zip(ours.examples, theirs.examples, strict=True):
        assert one.labels == other.labels
        np.testing.assert_array_equal(one.image.load(), other.image.load())
