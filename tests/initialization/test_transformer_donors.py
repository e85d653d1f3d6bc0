import dataclasses

import keras
import numpy as np
import pytest
from skimage.transform import resize

from transfusion_tf.initialization import (
    DonorMismatchError,
    donor_from_file,
    donor_from_model,
    initialize,
)
from transfusion_tf.models import build, named_tensors, stage_names, stages
from transfusion_tf.models.transformer_layers import EMBEDDINGS

NAMES = ("deit_mini", "swin_mini")


def weights(model) -> dict[str, np.ndarray]:
    return {tensor.path: tensor.value() for tensor in named_tensors(model)}


def initialized(model, spec, donor, seed=2) -> dict[str, np.ndarray]:
    initialize(model, spec, donor, seed)
    return weights(model)


def stage_paths(model) -> dict[str, list[str]]:
    """Paths of the weights of each stage."""
    return {
        stage.name: [
            tensor.path
            for tensor in named_tensors(model)
            if tensor.layer in stage.layers
        ]
        for stage in stages(model)
    }


def is_norm(path: str) -> bool:
    return path.split("/")[-1] in ("gamma", "beta")


def is_embedding(path: str) -> bool:
    return path.split("/")[-1] in EMBEDDINGS


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return build(request.param, (64, 64, 3), 5)


@pytest.fixture(scope="module")
def donor(model):
    return donor_from_model(drawn_model(model.name), "donor")


def drawn_model(name, size=64):
    """A model of which every tensor has a mean and a spread of its own."""
    model = build(name, (size, size, 3), 7)
    for index, tensor in enumerate(named_tensors(model)):
        generator = np.random.default_rng(index)
        values = generator.normal(0.1 * (1 + index % 7), 0.2, tensor.shape)
        tensor.variable.assign(values)
    return model


def test_transfer_copies_every_tensor_but_the_heads(model, donor):
    values = initialized(model, "transfer", donor)

    assert set(values) - set(donor.tensors) == {"logits/kernel", "logits/bias"}
    for path, given in donor.tensors.items():
        np.testing.assert_array_equal(values[path], given, err_msg=path)


@pytest.mark.parametrize("above", ["", "+mean_var"])
def test_transfer_through_a_block_is_bit_equal_so_far_and_nowhere_beyond(
    model, donor, above
):
    values = initialized(model, f"transfer:block3{above}", donor)

    names = stage_names(model)
    for stage, paths in stage_paths(model).items():
        below = names.index(stage) <= names.index("block3")
        for path in paths:
            equal = np.array_equal(values[path], donor.tensors[path])
            assert equal == below, path


def test_statistics_are_those_of_every_donor_tensor_embeddings_included(model, donor):
    values = initialized(model, "mean_var", donor)

    for path, given in donor.tensors.items():
        if is_norm(path):
            assert (values[path] == path.endswith("gamma")).all(), path
            continue
        error = given.std() / np.sqrt(given.size)
        assert abs(values[path].mean() - given.mean()) < 5 * error, path
        assert values[path].std() == pytest.approx(
            given.std(), rel=5 / np.sqrt(2 * given.size)
        ), path
        assert not np.isin(values[path], given).all(), path


def test_strict_reference_leaves_embeddings_and_nothing_else_the_donors(model, donor):
    principled = initialized(model, "mean_var", donor)
    values = initialized(model, "mean_var[strict_reference]", donor)

    assert any(is_embedding(path) for path in donor.tensors)
    for path, given in donor.tensors.items():
        expected = given if is_embedding(path) else principled[path]
        np.testing.assert_array_equal(values[path], expected, err_msg=path)


def test_one_draw_of_statistics_serves_the_whole_sweep(model, donor):
    """From one stage to the next only that stage's tensors change."""
    drawn = initialized(model, "mean_var", donor)
    paths = stage_paths(model)

    expected = dict(drawn)
    for stage in stage_names(model):
        expected |= {path: donor.tensors[path] for path in paths[stage]}
        values = initialized(model, f"transfer:{stage}+mean_var", donor)
        for path, found in values.items():
            np.testing.assert_array_equal(found, expected[path], err_msg=path)

    other = initialized(model, "mean_var", donor, seed=3)
    changed = {path for path in drawn if not np.array_equal(drawn[path], other[path])}
    assert {path for path in donor.tensors if not is_norm(path)} <= changed


def test_random_weights_are_those_that_build_gives_for_the_seed(model, donor):
    built = weights(build(model.name, (64, 64, 3), 5, seed=2))

    for path, found in initialized(model, "random", donor).items():
        np.testing.assert_array_equal(found, built[path], err_msg=path)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_a_weights_file_gives_what_was_saved(tmp_path, model, suffix):
    saved = drawn_model(model.name)
    path = tmp_path / f"donor{suffix}"
    (saved.save_weights if suffix == ".weights.h5" else saved.save)(path)

    expected = donor_from_model(saved, "saved")

    assert donor_from_file(path, model).sha256 == expected.sha256
    assert donor_from_file(path, model.name).sha256 == expected.sha256


def resized_by_skimage(places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[side², channels] to [rows * columns, channels], by another bicubic kernel."""
    side = round(len(places) ** 0.5)
    grid = places.reshape(side, side, -1)
    shape = (*size, places.shape[-1])
    return resize(grid, shape, order=3, mode="edge").reshape(-1, places.shape[-1])


def smooth(side: int, channels: int) -> np.ndarray:
    """[side², channels]: waves half as long as the grid, or longer."""
    down, across = np.indices((side, side)) / side
    return np.stack(
        [np.sin(3 * down + 2 * across + channel) for channel in range(channels)],
        axis=-1,
    ).reshape(-1, channels)


def test_position_embeddings_are_resized_and_the_class_token_left_alone():
    saved = drawn_model("deit_mini")
    positions = saved.get_layer("tokens").position_embedding
    extra = np.random.default_rng(0).normal(size=(1, 64))
    positions.assign(np.concatenate([extra, smooth(8, 64)])[None])
    donor = donor_from_model(saved, "donor")
    model = build("deit_mini", (96, 128, 3), 5)

    report = initialize(model, "transfer", donor)

    found = weights(model)["tokens/position_embedding"][0]
    np.testing.assert_array_equal(found[:1], donor.tensors[POSITIONS][0, :1])
    expected = resized_by_skimage(smooth(8, 64), (12, 16))
    np.testing.assert_allclose(found[1:], expected, atol=0.02)
    records = {record.path: record for record in report}
    assert records[POSITIONS].resized_from == (1, 65, 64)
    assert records[POSITIONS].scheme == "transfer"
    assert [path for path in records if records[path].resized_from] == [POSITIONS]
    rows = {row["path"]: row for row in report.to_rows()}
    assert rows[POSITIONS]["resized_from"] == [1, 65, 64]


POSITIONS = "tokens/position_embedding"


def test_bias_tables_are_resized_where_the_window_differs():
    donor = donor_from_model(drawn_model("swin_mini"), "donor")
    table = "block2_attention_windows/relative_position_bias_table"
    # As of a preset with windows of 3 tokens in place of 4.
    tensors = {**donor.tensors, table: smooth(5, 2).astype("float32")}
    model = build("swin_mini", (64, 64, 3), 5)

    values = initialized(model, "transfer", dataclasses.replace(donor, tensors=tensors))

    assert values[table].shape == (49, 2)
    expected = resized_by_skimage(smooth(5, 2), (7, 7))
    np.testing.assert_allclose(values[table], expected, atol=0.03)


@pytest.mark.parametrize("size", [48, 96])
def test_statistics_are_taken_of_the_donors_own_embeddings_at_any_size(size):
    donor = donor_from_model(drawn_model("deit_mini"), "donor")
    model = build("deit_mini", (size, size, 3), 5)
    given = donor.tensors[POSITIONS]

    report = initialize(model, "mean_var", donor)

    found = weights(model)[POSITIONS]
    assert found.shape == (1, 1 + (size // 8) ** 2, 64)
    assert found.mean() == pytest.approx(given.mean(), abs=0.02)
    assert found.std() == pytest.approx(given.std(), rel=0.1)
    assert not any(record.resized_from for record in report)


def test_shuffled_positions_of_another_size_are_the_resized_ones():
    donor = donor_from_model(drawn_model("deit_mini"), "donor")
    model = build("deit_mini", (96, 96, 3), 5)

    transferred = initialized(model, "transfer", donor)[POSITIONS]
    shuffled = initialized(model, "shuffled", donor)[POSITIONS]

    assert not np.array_equal(shuffled, transferred)
    np.testing.assert_array_equal(np.sort(shuffled, None), np.sort(transferred, None))


def test_a_grid_that_was_not_square_cannot_be_resized():
    oblong = build("deit_mini", (64, 96, 3), 5, seed=0)
    model = build("deit_mini", (64, 64, 3), 5)

    with pytest.raises(
        DonorMismatchError,
        match=r"position_embedding \(donor \(1, 97, 64\), model \(1, 65, 64\)\)",
    ):
        initialize(model, "transfer", donor_from_model(oblong, "oblong"))


@pytest.mark.parametrize("spec", ["transfer", "mean_var", "transfer:block1+mean_var"])
def test_a_cut_deit_takes_the_first_blocks_of_a_whole_donor(spec):
    donor = donor_from_model(drawn_model("deit_mini"), "donor")
    whole = initialized(build("deit_mini", (64, 64, 3), 5), spec, donor)

    cut = initialized(build("deit_mini[blocks=2]", (64, 64, 3), 5), spec, donor)

    assert len(cut) < len(whole)
    for path, found in cut.items():
        np.testing.assert_array_equal(found, whole[path], err_msg=path)


def test_a_cut_deit_reads_a_whole_donors_file(tmp_path):
    saved = drawn_model("deit_mini")
    saved.save_weights(tmp_path / "donor.weights.h5")

    donor = donor_from_file(tmp_path / "donor.weights.h5", "deit_mini[blocks=2]")

    expected = weights(saved)
    assert "block2_mlp_output/kernel" in donor.tensors
    assert "block3_mlp_output/kernel" not in donor.tensors
    for path, found in donor.tensors.items():
        np.testing.assert_array_equal(found, expected[path], err_msg=path)


def test_a_whole_deit_does_not_take_a_cut_donor():
    cut = build("deit_mini[blocks=2]", (64, 64, 3), 5, seed=0)
    model = build("deit_mini", (64, 64, 3), 5)

    with pytest.raises(DonorMismatchError, match="only in the model: block3_attention"):
        initialize(model, "transfer", donor_from_model(cut, "cut"))


def test_runs_weights_survive_saving_and_loading(tmp_path, model, donor):
    expected = initialized(model, "transfer:block2+mean_var", donor)
    model.save_weights(tmp_path / "best.weights.h5")
    fresh = build(model.name, (64, 64, 3), 5)

    fresh.load_weights(tmp_path / "best.weights.h5")

    for path, found in weights(fresh).items():
        np.testing.assert_array_equal(found, expected[path], err_msg=path)


def test_gabors_go_into_a_transformers_patches(model):
    random = initialized(model, "random", None)
    values = initialized(model, "gabor", None)

    assert {p for p in values if not np.array_equal(values[p], random[p])} == {
        "patch_embed/kernel"
    }


def test_weights_of_another_precision_policy_are_the_same(model, donor):
    expected = initialized(model, "transfer", donor)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build(model.name, (64, 64, 3), 5)
    finally:
        keras.config.set_dtype_policy("float32")

    for path, found in initialized(mixed, "transfer", donor).items():
        np.testing.assert_array_equal(found, expected[path], err_msg=path)
