"""Records are read without TensorFlow as TensorFlow reads them."""

import io

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.datasets.readers.tf_records import (
    TfRecordImage,
    parse_example,
    records,
)
from transfusion_tf.errors import UserError


@pytest.fixture
def file(tmp_path):
    """Two records that TensorFlow wrote."""
    import tensorflow as tf

    path = tmp_path / "x.tfrecord"
    buffer = io.BytesIO()
    Image.fromarray(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3)).save(
        buffer, "PNG"
    )
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label in (7, -1):
            feature = {
                "image": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[buffer.getvalue()])
                ),
                "label": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[label, 300])
                ),
                "weight": tf.train.Feature(
                    float_list=tf.train.FloatList(value=[0.5, 2.0])
                ),
                "name": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[b"a", "é".encode()])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    return path


def test_numbers_and_texts_are_those_that_were_written(file):
    found = []
    for _, data in records(file):
        values = parse_example(data)
        found.append((values["label"], [bytes(text) for text in values["name"]]))
        del values
    texts = [b"a", "é".encode()]
    assert found == [([7, 300], texts), ([-1, 300], texts)]


def test_an_image_is_decoded_at_its_offset(file):
    offsets = [offset for offset, _ in records(file)]
    image = TfRecordImage(file, offsets[1]).load()
    np.testing.assert_array_equal(image.ravel(), np.arange(3072).astype(np.uint8))


def test_another_key_is_an_error(file):
    with pytest.raises(UserError, match="no image 'picture'"):
        TfRecordImage(file, 0, key="picture").load()


def test_a_file_that_ends_inside_a_record_is_an_error(file):
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match="cut off inside the record"):
        list(records(file))


def test_bytes_that_are_no_example_are_an_error():
    with pytest.raises(UserError, match="damaged record"):
        parse_example(memoryview(b"\x0a\xff\x01"))


def test_a_number_without_end_is_an_error_at_once():
    with pytest.raises(UserError, match="more than 64 bits"):
        parse_example(memoryview(b"\xff" * 10**6))


def test_labels_agree_with_tensorflow_datasets():
    import tensorflow_datasets as tfds

    card = load_card("imagenette", source="sample")
    builder = tfds.builder_from_directory(
        card.data_folder() / "imagenette" / "full-size-v2" / "1.0.0"
    )
    read_config = tfds.ReadConfig(interleave_cycle_length=1)
    dataset = builder.as_dataset(
        split="train", shuffle_files=False, read_config=read_config
    )
    theirs = [int(row["label"]) for row in dataset.as_numpy_iterator()]
    ours = [e.labels.index(1) for e in read_card(card).examples if e.split is None]
    assert ours == theirs
