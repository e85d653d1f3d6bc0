import pytest

from transfusion_tf.initialization import InitializationSpec, parse_spec

CANONICAL = [
    "random",
    "transfer",
    "mean_var",
    "mean_var[bn=transfer]",
    "mean_var[bn=mean_var]",
    "sampled",
    "shuffled",
    "shuffled[bn=shuffled]",
    "transfer:block2",
    "transfer:block2+mean_var",
    "transfer:block2+sampled[bn=transfer]",
    "mean_var[strict_reference]",
    "transfer:block2+mean_var[bn=transfer,strict_reference]",
    "gabor",
]
MIXED = "mean_var[bn=transfer,strict_reference]"


@pytest.mark.parametrize("text", CANONICAL)
def test_a_spec_in_canonical_form_is_written_back_as_read(text):
    assert str(parse_spec(text)) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (" transfer : block2 + mean_var ", "transfer:block2+mean_var"),
        ("mean_var[ bn = identity ]", "mean_var"),
        ("transfer:block2+random", "transfer:block2"),
        ("mean_var[strict_reference, bn=transfer]", MIXED),
    ],
)
def test_other_ways_to_write_a_spec_mean_the_same(text, canonical):
    assert parse_spec(text) == parse_spec(canonical)
    assert str(parse_spec(text)) == canonical


def test_a_spec_is_read_into_its_parts():
    assert parse_spec("transfer:block2+mean_var[bn=transfer]") == InitializationSpec(
        scheme="transfer", through="block2", above="mean_var", batch_norm="transfer"
    )
    assert parse_spec("mean_var[strict_reference]").strict_reference
    assert parse_spec("mean_var[strict_reference=True]").strict_reference


def test_only_random_and_gabor_need_no_donor():
    assert [text for text in CANONICAL if not parse_spec(text).needs_donor] == [
        "random",
        "gabor",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("imagenet", "unknown initialization 'imagenet'.*random, transfer, mean_var"),
        ("", "cannot read initialization"),
        ("transfer:", "cannot read initialization"),
        ("mean_var[bn=transfer", "cannot read initialization"),
        ("mean_var[bn=zero]", "identity, transfer, mean_var"),
        ("mean_var[norm=identity]", r"expected \[bn=...\]"),
        ("mean_var[strict_reference=1]", r"cannot read \[strict_reference=1\]"),
        ("mean_var[strict_reference,strict_reference]", "cannot read"),
        ("mean_var[]", "cannot read"),
        ("transfer:block2[strict_reference]", "only mean_var, sampled, shuffled take"),
        ("transfer[bn=identity]", "only mean_var, sampled, shuffled take"),
        ("random:block2", "only transfer takes a stage"),
        ("mean_var+sampled", "only transfer takes a stage"),
        ("transfer+mean_var", "name the last stage to transfer"),
        ("transfer:block2+gabor", "one of random, mean_var, sampled, shuffled"),
    ],
)
def test_a_wrong_spec_is_answered_with_what_would_be_right(text, said):
    with pytest.raises(ValueError, match=said):
        parse_spec(text)
