"""Built data that are not as they were built are named before anything is trained."""

import os
import shutil

import pandas as pd
import pytest
import tensorflow as tf

from transfusion_tf.datasets import contents, prepare
from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline.record_reader import record_reader


@pytest.fixture
def copied(prepared, tmp_path):
    """A copy of built data: opens it, and its folder."""
    folder = tmp_path / "data" / prepared.card.name
    parent = prepared.path.parent
    shutil.copytree(parent, folder / parent.name)

    def reopen():
        return prepare(prepared.card, tmp_path / "data", progress=False)

    return reopen, folder / parent.name / prepared.path.name


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def rewrite(path, change):
    change(pd.read_parquet(path)).to_parquet(path, index=False)


def swap_labels(index):
    labels = [name for name in index if name.startswith("label/")]
    index[labels] = index[labels].sample(frac=1, random_state=0).to_numpy()
    return index


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": lambda path: flip(path, len(path.read_bytes()) // 2),
    "gone": lambda path: path.unlink(),
}
INDEX_DAMAGES = DAMAGES | {
    "labels of others": lambda path: rewrite(path, swap_labels),
    "no column": lambda path: rewrite(path, lambda t: t.drop(columns="offset")),
    "not a table": lambda path: path.write_text("{}"),
}


@pytest.mark.parametrize("damage", sorted(INDEX_DAMAGES.keys() - {"gone"}))
def test_a_damaged_index_is_named(copied, damage):
    reopen, folder = copied
    INDEX_DAMAGES[damage](folder / "index.parquet")
    with pytest.raises(UserError, match=r"damaged: .*index\.parquet .*remove the fol"):
        reopen()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_damaged_shard_of_any_split_is_named(copied, split, damage):
    reopen, folder = copied
    (shard,) = folder.glob(f"*-{split}.tfrecord*")
    DAMAGES[damage](shard)
    with pytest.raises(UserError, match=rf"damaged: .*-{split}\.tfrecord"):
        reopen()


@pytest.mark.parametrize("damage", sorted(INDEX_DAMAGES.keys() - {"labels of others"}))
def test_damage_to_what_tells_damage_is_named(copied, damage):
    reopen, folder = copied
    if damage == "no column":
        (folder / "contents.json").write_text('{"dataset_info.json": {}}')
    else:
        INDEX_DAMAGES[damage](folder / "contents.json")
    with pytest.raises(UserError, match=r"prepared data are damaged"):
        reopen()


def test_what_is_whole_opens_and_opens_again_after_it_was_touched(copied, prepared):
    reopen, folder = copied
    assert reopen().index.equals(prepared.index)
    (folder / "index.parquet").touch()
    (folder / "samples.png").write_bytes(b"")
    assert reopen().path == folder
    flip(folder / "index.parquet", 99)
    with pytest.raises(UserError, match="damaged"):
        reopen()


def test_in_large_data_a_bit_that_flips_by_itself_is_found_when_its_record_is_read(
    copied, monkeypatch
):
    reopen, folder = copied
    monkeypatch.setattr(contents, "_READ_IN_A_MOMENT", 0)
    whole = reopen()
    row = whole.examples("test").iloc[1]
    shard = folder / row["file"]
    stat = shard.stat()
    flip(shard, row["offset"] + 200)
    with pytest.raises(UserError, match="damaged"):
        reopen()
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    read = record_reader(reopen(), whole.examples("test"))
    read(tf.constant([0, 2], tf.int64))
    with pytest.raises(UserError, match=f"record at {row['offset']}"):
        read(tf.constant([1], tf.int64))
