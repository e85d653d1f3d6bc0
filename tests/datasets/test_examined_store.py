"""An image is decoded once, for audit and preparing together, whoever comes first."""

import functools
import os
import shutil
import sqlite3

import pytest
from support import read_rows, write_rows

from transfusion_tf.datasets import DatasetError, load_card, prepare
from transfusion_tf.datasets.audit import audit
from transfusion_tf.datasets.examined_store import JPEGS, STORE


def build(card_path, root, **changes):
    card = load_card(card_path).replace(**changes)
    return prepare(card, root, workers=1, progress=False)


def look(card_path, root):
    return audit(load_card(card_path), root, workers=1, progress=False)


def make_unreadable(card_path, *but):
    """Whoever decodes the images again fails; they look as they did."""
    for path in (card_path.parent / "images").iterdir():
        stat = path.stat()
        if path.name not in but:
            path.write_bytes(bytes(stat.st_size))
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def shards(prepared):
    return [path.read_bytes() for path in sorted(prepared.path.glob("*.tfrecord*"))]


def test_what_the_audit_decoded_is_prepared_without_decoding(clinic, tmp_path):
    alone = build(clinic, tmp_path / "alone")
    look(clinic, tmp_path / "data")
    make_unreadable(clinic)
    assert shards(build(clinic, tmp_path / "data")) == shards(alone)


def test_what_was_prepared_is_audited_without_decoding(clinic, tmp_path):
    alone = look(clinic, None)
    build(clinic, tmp_path / "data")
    make_unreadable(clinic)
    found = look(clinic, tmp_path / "data")
    assert found.rows.equals(alone.rows)
    assert found.near.equals(alone.near)


def test_once_prepared_the_images_are_stored_once(clinic, tmp_path):
    look(clinic, tmp_path / "data")
    folder = tmp_path / "data" / "clinic"
    assert (folder / JPEGS).exists()
    build(clinic, tmp_path / "data")
    assert sorted(path.name for path in folder.glob("examined*")) == [STORE]


def test_a_row_that_fails_costs_nobody_elses_work(clinic, tmp_path):
    bad = clinic.parent / "images" / "007.png"
    content = bad.read_bytes()
    bad.write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="1 problem"):
        build(clinic, tmp_path / "data")
    make_unreadable(clinic)
    bad.write_bytes(content)
    assert len(build(clinic, tmp_path / "data").index) == 48


def test_an_image_that_changed_is_decoded_anew(clinic, tmp_path):
    look(clinic, tmp_path / "data")
    image = clinic.parent / "images" / "007.png"
    image.write_bytes((clinic.parent / "images" / "008.png").read_bytes())
    assert shards(build(clinic, tmp_path / "data")) == shards(
        build(clinic, tmp_path / "alone")
    )


def test_an_image_is_known_by_its_place_not_its_name(clinic, tmp_path):
    """Files of one name, size and time in two folders."""
    folder = clinic.parent
    (folder / "images" / "other").mkdir()
    one, other = folder / "images" / "000.png", folder / "images" / "001.png"
    size = max(one.stat().st_size, other.stat().st_size)
    moved = folder / "images" / "other" / "000.png"
    moved.write_bytes(other.read_bytes())
    for path in (one, moved):
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
        os.utime(path, (1, 1))
    rows = read_rows(folder / "labels.csv")
    rows[1]["image"] = "other/000.png"
    write_rows(folder / "labels.csv", rows)
    look(clinic, tmp_path / "data")
    assert shards(build(clinic, tmp_path / "data")) == shards(
        build(clinic, tmp_path / "alone")
    )


@pytest.mark.parametrize("name", [STORE, JPEGS])
@pytest.mark.parametrize("damage", ["garbage", "of another", "no table", "folder"])
def test_a_store_that_is_damaged_costs_no_more_than_time(
    clinic, tmp_path, name, damage
):
    alone = build(clinic, tmp_path / "alone")
    found = look(clinic, tmp_path / "data")
    store = tmp_path / "data" / "clinic" / name
    if damage == "garbage":
        store.write_bytes(b"garbage" * 1000)
    elif damage == "folder":
        store.unlink()
        store.mkdir()
    else:
        with sqlite3.connect(store) as file:
            ((table,),) = file.execute("SELECT name FROM sqlite_schema WHERE sql > ''")
            another = f"(SELECT content, crc32 FROM {table} ORDER BY key LIMIT 1)"
            if damage == "no table":
                file.execute(f"DROP TABLE {table}")
            else:
                file.execute(f"UPDATE {table} SET (content, crc32) = {another}")
    assert look(clinic, tmp_path / "data").rows.equals(found.rows)
    assert shards(build(clinic, tmp_path / "data")) == shards(alone)


def test_what_was_made_with_other_options_is_not_taken_and_not_kept(clinic, tmp_path):
    build(clinic, tmp_path / "data")
    small = build(clinic, tmp_path / "data", image_size=48)
    assert shards(small) == shards(build(clinic, tmp_path / "alone", image_size=48))
    with sqlite3.connect(tmp_path / "data" / "clinic" / STORE) as file:
        assert file.execute("SELECT count(*) FROM measures").fetchone() == (48,)


def test_whoever_else_writes_costs_no_more_than_time(clinic, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sqlite3, "connect", functools.partial(sqlite3.connect, timeout=0)
    )
    alone = build(clinic, tmp_path / "alone")
    look(clinic, tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / "clinic" / STORE) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert shards(build(clinic, tmp_path / "data")) == shards(alone)
        other.execute("DELETE FROM measures")
    assert (tmp_path / "data" / "clinic" / STORE).exists()


def test_the_room_that_the_shards_need_is_left_to_them(clinic, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=48 * 34 * 34 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    look(clinic, tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / "clinic" / JPEGS) as file:
        assert file.execute("SELECT count(*) FROM jpegs").fetchone() == (0,)
