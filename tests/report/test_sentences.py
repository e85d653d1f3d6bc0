"""Sentences that chapters share."""

import pytest

from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.sentences import say_settled

NONE = (float("nan"), float("nan"))


@pytest.mark.parametrize(
    ("intervals", "sentence"),
    [
        ([(-0.1, 0.1)], "its interval includes zero"),
        ([(0.01, 0.1)], "its interval leaves out zero"),
        ([(-0.2, -0.1), (-0.1, 0.1)], "the interval leaves out zero in 1 of 2"),
        ([NONE, NONE], "so few runs have no interval"),
        ([(-0.2, -0.1), (-0.1, 0.1), NONE], "the interval leaves out zero in 1 of 2"),
    ],
)
def test_intervals_that_leave_out_zero_are_counted_where_they_are_several(
    intervals, sentence
):
    rows = [{"low": low, "high": high} for low, high in intervals]
    assert say_settled(LongTable.from_rows(rows)) == sentence
