"""What a process keeps of what is dear to make."""

from transfusion_tf.recent import Recent


def test_what_was_made_is_not_made_again():
    made = []
    recent = Recent(2)
    for key in ("a", "b", "a"):
        recent.get(key, lambda key=key: made.append(key) or key)
    assert made == ["a", "b"]


def test_what_was_asked_for_longest_ago_goes_first():
    recent = Recent(2)
    for key in ("a", "b", "a", "c"):
        recent.get(key, lambda key=key: key.upper())
    assert recent.take("b") is None
    assert (recent.take("a"), recent.take("c")) == ("A", "C")


def test_sizes_count_and_what_is_too_large_is_not_kept():
    recent = Recent(10, size_of=len)
    assert not recent.put("small", "x" * 4)
    assert recent.put("large", "x" * 8)
    assert recent.take("small") is None
    assert recent.put("huge", "x" * 11)
    assert recent.take("huge") is None


def test_what_is_taken_is_handed_out_once():
    recent = Recent(1)
    recent.put("a", 1)
    assert (recent.take("a"), recent.take("a")) == (1, None)
