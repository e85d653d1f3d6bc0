"""Archives in MedMNIST's layout: what is in them, and which are refused, and why."""

import io
import zipfile

import numpy as np
import pytest

from transfusion_tf.datasets import card_names, load_card, prepare
from transfusion_tf.datasets.card_families import family_cards
from transfusion_tf.datasets.draft_card import write_draft_card
from transfusion_tf.datasets.npz_arrays import open_npz
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.datasets.validation import find_gaps, separate
from transfusion_tf.errors import UserError

# Kind, classes, channels, and images of all splits, from MedMNIST's own tables.
SETS = {
    "pathmnist": ("class", 9, 3, 107_180),
    "chestmnist": ("findings", 14, 1, 112_120),
    "dermamnist": ("class", 7, 3, 10_015),
    "octmnist": ("class", 4, 1, 109_309),
    "pneumoniamnist": ("class", 2, 1, 5_856),
    "retinamnist": ("grade", 5, 3, 1_600),
    "breastmnist": ("class", 2, 1, 780),
    "bloodmnist": ("class", 8, 3, 17_092),
    "tissuemnist": ("class", 8, 1, 236_386),
    "organamnist": ("class", 11, 1, 58_830),
    "organcmnist": ("class", 11, 1, 23_583),
    "organsmnist": ("class", 11, 1, 25_211),
}
SPLITS = {"train": "train", "val": "validation", "test": "test"}


def drawn(classes, kind="class", channels=1, side=28, splits=tuple(SPLITS)):
    """Arrays of an archive: in each split an image of each class, brighter each."""
    arrays = {}
    for number, split in enumerate(splits):
        values = 40 * number + np.arange(classes, dtype=np.uint8)
        images = np.empty((classes, side, side, channels), np.uint8)
        images[:] = values[:, None, None, None]
        images[:, : side // 2] += 100
        labels = np.eye(classes) if kind == "findings" else np.arange(classes)[:, None]
        arrays[f"{split}_images"] = images if channels == 3 else images[..., 0]
        arrays[f"{split}_labels"] = labels.astype(np.uint8)
    return arrays


def own_card(folder, arrays, **changes):
    """A drafted card of an archive, with the archive then changed."""
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "own.npz", **arrays)
    path = write_draft_card(folder / "own.npz")
    if changes:
        changed = {**arrays, **changes}
        kept = {name: array for name, array in changed.items() if array is not None}
        np.savez_compressed(folder / "own.npz", **kept)
    return load_card(path)


@pytest.mark.parametrize("name", SETS)
def test_each_set_reads_at_each_size(tmp_path, name):
    kind, classes, channels, total = SETS[name]
    for card_name, side in zip(
        family_cards()[f"medmnist/{name}"], (28, 64, 128, 224), strict=True
    ):
        assert card_name in card_names()
        card = load_card(card_name, source=tmp_path)
        assert card.name == (name if side == 28 else f"{name}_{side}")
        assert (card.labels.kind, len(card.labels.classes)) == (kind, classes)
        assert card.image_size == max(32, side)
        assert card.metric == "mean_auc"
        assert sum(card.reader["examples"].values()) == total
        arrays = drawn(classes, kind, channels, side)
        np.savez_compressed(tmp_path / f"{card.name}.npz", **arrays)
        reading = read_card(card)
        assert not reading.problems
        assert not find_gaps(card, reading.examples)
        assert not separate(card, reading.examples)[1]
        assert [e.split for e in reading.examples] == [
            split for split in SPLITS.values() for _ in range(classes)
        ]
        labels = np.array([example.labels for example in reading.examples])
        assert (labels == np.tile(np.eye(classes), (3, 1))).all()
        example = reading.examples[classes + 1]
        image = example.image.load()
        assert image.shape == (side, side, 3)
        assert (image[-1] == 41).all()
        assert len(reading.remarks) == 3  # So few images are not the published ones.


def test_the_published_checksums_differ_and_are_of_known_files():
    cards = [load_card(card) for cards in family_cards().values() for card in cards]
    assert len({card.download.md5 for card in cards}) == len(cards) == 48
    by_name = {card.name: card.download for card in cards}
    assert by_name["pathmnist"].md5 == "a8b06965200029087d5bd730944a56c1"
    assert by_name["breastmnist_64"].url.endswith("/breastmnist_64.npz?download=1")


def test_a_missing_file_is_asked_for_by_name_and_place(tmp_path, monkeypatch):
    card = load_card("medmnist/breastmnist_64", source=tmp_path)
    with pytest.raises(UserError, match=r"(?s)breastmnist_64\.npz in .*Put the file"):
        read_card(card)
    monkeypatch.delenv("TRANSFUSION_DATA", raising=False)
    with pytest.raises(
        UserError, match=r"\$TRANSFUSION_DATA/medmnist/breastmnist_64\.npz"
    ):
        read_card(load_card("medmnist/breastmnist_64"))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_are_the_array_s_in_whatever_order_they_are_asked_for(tmp_path, save):
    rng = np.random.default_rng(0)
    # Several times what lies between two kept states, and a part that packs well.
    images = rng.integers(0, 256, (400, 64, 64), np.uint8)
    images[100:200] = 7
    save(tmp_path / "a.npz", images=images)
    array = open_npz(tmp_path / "a.npz")["images"]
    assert array.shape == images.shape
    for index in rng.permutation(400):
        assert (array.image(index, "error")[..., 0] == images[index]).all()


CLASSES = 3
GOOD = drawn(CLASSES)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("val_images", None, "no array 'val_images'; it has train_images"),
        ("test_labels", None, "no array 'test_labels'"),
        ("train_images", np.array([{}, 1, 2]), "holds Python objects"),
        ("train_labels", np.array([{}, 1, 2]), "holds Python objects"),
        ("val_images", GOOD["val_images"] / 255, "holds float64; images are uint8"),
        ("val_images", GOOD["val_images"].astype(np.uint16), "intensity"),
        ("val_images", GOOD["val_images"].astype(str), "images are uint8"),
        ("test_images", np.zeros((3, 28), np.uint8), r"has the shape \[3, 28\]"),
        ("test_images", np.zeros((3, 9, 9, 2), np.uint8), r"\[3, 9, 9, 2\]; images"),
        ("test_images", np.zeros((3, 9, 9, 9, 3), np.uint8), r"\[n, height, width\]"),
        ("test_images", np.zeros((0, 9, 9), np.uint8), r"has the shape \[0, 9, 9\]"),
        ("train_images", np.asfortranarray(GOOD["train_images"]), "column by column"),
        ("train_labels", np.zeros((4, 1), np.uint8), "for 3 images in 'train_images'"),
        ("train_labels", np.zeros((3, 2), np.uint8), r"should be \[3, 1\] or \[3, 3\]"),
        ("train_labels", np.zeros(3, complex), "labels are whole numbers"),
        ("train_labels", np.uint8(1), r"has the shape \[\]"),
        ("val_patients", np.arange(4), "for 3 images in 'val_images'"),
        ("val_patients", np.zeros(3), "patients are whole numbers or text"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_by_name(tmp_path, name, array, message):
    card = own_card(tmp_path, GOOD, **{name: array})
    with pytest.raises(UserError, match=message) as caught:
        read_card(card)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "row", "message"),
    [
        (np.array([[0], [1], [7]]), 2, "label '7' is outside the classes"),
        (np.array([0, -1, 2]), 1, "label '-1' is outside the classes"),
        (np.array([[0.0], [np.nan], [2.0]]), 1, "label 'nan' is outside the classes"),
        (np.array([[0.5], [1.0], [2.0]]), 0, "label '0.5' is outside the classes"),
        (np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]]), 1, "exactly one"),
    ],
)
def test_a_label_that_means_nothing_is_named_with_its_row(
    tmp_path, labels, row, message
):
    card = own_card(tmp_path, GOOD, val_labels=labels)
    (problem,) = read_card(card).problems
    assert problem.where == f"own.npz, val_labels, row {row}"
    assert message in problem.reason


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_array_is_refused_whole_and_the_others_are_not(tmp_path, save):
    noise = np.random.default_rng(0).integers(0, 256, (3, 99, 99), np.uint8)
    card = own_card(tmp_path, GOOD | {"val_images": noise})
    file = tmp_path / "own.npz"
    save(file, **GOOD | {"val_images": noise})
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo("val_images.npy")
    content = bytearray(file.read_bytes())
    content[info.header_offset + info.compress_size // 2] ^= 0xFF
    file.write_bytes(content)
    for example in read_card(card).examples:
        if example.split == "validation":
            with pytest.raises(UserError, match="'val_images' is damaged"):
                example.image.load()
        else:
            example.image.load()
    with pytest.raises(UserError, match="'val_images' is damaged"):
        prepare(card, tmp_path / "data", workers=1, progress=False)
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_an_archive_that_is_gone_or_changed_is_told(tmp_path):
    card = own_card(tmp_path, GOOD)
    image = read_card(card).examples[0].image
    assert image.load()[0, 0, 0] == 100
    brighter = GOOD | {"train_images": GOOD["train_images"] + 1}
    np.savez_compressed(tmp_path / "own.npz", **brighter)
    assert image.load()[0, 0, 0] == 101
    (tmp_path / "own.npz").unlink()
    with pytest.raises(UserError, match="No such file"):
        image.load()


def test_what_is_no_archive_or_claims_too_much_is_refused(tmp_path):
    card = own_card(tmp_path, GOOD)
    file = tmp_path / "own.npz"
    whole = file.read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"own\.npz is damaged, or not an \.npz"):
            read_card(card)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000)}
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("train_images.npy", header.getvalue())
    with pytest.raises(UserError, match="'train_images' claims"):
        read_card(card)


@pytest.mark.parametrize(
    ("splits", "meant"),
    [
        (("train", "val", "test"), {"train", "validation", "test"}),
        (("train", "test"), {None, "test"}),
        (("train",), {None}),
        (("a", "b"), {None}),
    ],
)
def test_an_own_archive_may_have_any_of_the_splits(tmp_path, splits, meant):
    card = own_card(tmp_path, drawn(CLASSES, splits=splits))
    examples = read_card(card).examples
    assert {example.split for example in examples} == meant
    assert len(examples) == CLASSES * len(splits)


def test_an_own_archive_may_say_who_its_images_are_of(tmp_path):
    arrays = drawn(9, splits=("train",))
    card = own_card(tmp_path, arrays, train_patients=np.arange(9) // 3)
    reading = read_card(card)
    assert [e.patient_id for e in reading.examples] == list("000111222")
    assert not reading.remarks
    arrays = drawn(9) | {f"{split}_patients": np.arange(9) for split in SPLITS}
    own_card(tmp_path / "astride", drawn(9))
    np.savez(tmp_path / "astride/own.npz", **arrays)
    card = load_card(tmp_path / "astride")
    assert separate(card, read_card(card).examples)[1]  # Of patients in two splits.


def test_labels_of_an_own_archive_say_their_kind(tmp_path):
    several = drawn(CLASSES, "findings")
    assert own_card(tmp_path / "hot", several).labels.kind == "class"
    several["train_labels"][0] = 1
    card = own_card(tmp_path / "many", several)
    assert card.labels.kind == "findings"
    assert read_card(card).examples[0].labels == (1, 1, 1)
    names = GOOD | {f"{s}_labels": np.array(["a", "b", "c"]) for s in SPLITS}
    card = own_card(tmp_path / "names", names)
    assert card.labels.classes == ("a", "b", "c")
    assert len(read_card(card).examples) == 9


def test_labels_that_are_false_and_true_are_drafted_as_they_are_read(tmp_path):
    true = GOOD | {f"{s}_labels": np.array([True, False, True]) for s in SPLITS}
    card = own_card(tmp_path, true)
    assert [e.labels for e in read_card(card).examples[:2]] == [(0, 1), (1, 0)]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, **GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("val_labels.npy", archive.read("train_labels.npy"))
    with pytest.raises(UserError, match=r"own\.npz has two arrays 'val_labels'"):
        open_npz(path)


def test_deep_images_go_by_the_card_s_rule_and_are_finite(tmp_path):
    deep = GOOD | {"val_images": np.zeros((3, 28, 28), np.float32)}
    deep["val_images"][:, :14] = 0.5
    deep["val_images"][1] = np.nan
    card = own_card(tmp_path, deep).replace(intensity=(0.0, 1.0))
    first, second, _ = (
        e.image for e in read_card(card).examples if e.split == "validation"
    )
    assert first.load()[0, 0, 0] == 128
    with pytest.raises(UserError, match="not finite"):
        second.load()


def test_arrays_that_are_not_used_are_remarked_on(tmp_path):
    card = own_card(tmp_path, GOOD, extra=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "own.npz", "a") as archive:
        archive.writestr("README.txt", "no array")
        archive.writestr("__MACOSX/._extra.npy", "no array")
    (remark,) = read_card(card).remarks
    assert "not used: extra" in remark.reason


def test_a_small_set_under_a_larger_one_s_name_is_remarked_on(tmp_path):
    np.savez_compressed(tmp_path / "breastmnist_64.npz", **drawn(2, side=28))
    remarks = read_card(load_card("medmnist/breastmnist_64", source=tmp_path)).remarks
    enlarged = [remark.reason for remark in remarks if "enlarged" in remark.reason]
    assert enlarged == ["images of 28x28 pixels are enlarged to 64x64"] * 3


def test_an_own_archive_becomes_the_images_that_are_in_it(tmp_path):
    card = own_card(tmp_path, drawn(CLASSES, channels=3, side=64))
    prepared = prepare(card, tmp_path / "data", workers=1, progress=False)
    counts = {split: counts["images"] for split, counts in prepared.counts().items()}
    assert counts == {"train": 3, "validation": 3, "test": 3}


def test_a_draft_says_why_an_archive_is_none_of_images(tmp_path):
    for arrays, message in (
        ({"x": np.zeros(3)}, "no pair of arrays such as train_images and train_labels"),
        (GOOD | {"train_labels": np.zeros((3, 2))}, r"different widths: \[1, 2\]"),
        (drawn(1), "'train_labels': nothing looks like labels"),
        (
            GOOD | {"train_labels": np.zeros(3, "M8[s]")},
            r"'train_labels' holds datetime64\[s\]",
        ),
    ):
        np.savez(tmp_path / "own.npz", **arrays)
        with pytest.raises(UserError, match=message):
            write_draft_card(tmp_path)
    np.savez(tmp_path / "pneumoniamnist.npz", **GOOD)
    with pytest.raises(UserError, match=r"name one of own\.npz, pneumoniamnist\.npz"):
        write_draft_card(tmp_path)
    draft = write_draft_card(tmp_path / "pneumoniamnist.npz").read_text()
    assert "--dataset=medmnist/pneumoniamnist" in draft
