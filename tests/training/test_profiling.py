"""`--profile_steps` leaves a trace that TensorBoard's profiler reads."""

import re

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from transfusion_tf.training.profiling import profiler


def traced(folder, span, steps):
    """The events that a profile of so many small steps left, by name, with stats."""

    @tf.function
    def step(x):
        return tf.linalg.matmul(x, x, name="product")

    with profiler(span, folder) as at:
        for number in range(steps):
            at(number)
            step(tf.ones([8, 8]))
    events = []
    for file in folder.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
        for plane in space.planes:
            names = {key: value.name for key, value in plane.stat_metadata.items()}
            for line in plane.lines:
                for event in line.events:
                    stats = {
                        names[stat.metadata_id]: stat.int64_value
                        for stat in event.stats
                    }
                    events.append((plane.event_metadata[event.metadata_id].name, stats))
    return events


def test_the_trace_lies_where_tensorboard_looks(tmp_path):
    traced(tmp_path, (1, 3), 4)
    (file,) = tmp_path.rglob("*.xplane.pb")
    place = str(file.relative_to(tmp_path))
    assert re.fullmatch(r"plugins/profile/[\d_]+/[^/]+\.xplane\.pb", place)


@pytest.mark.parametrize(
    ("span", "steps", "marked"),
    [((1, 3), 5, [1, 2]), ((3, 99), 5, [3, 4]), ((7, 9), 5, [])],
    ids=["in the middle", "past the end", "never reached"],
)
def test_every_step_of_the_span_is_marked(tmp_path, span, steps, marked):
    events = traced(tmp_path, span, steps)
    found = [stats["step_num"] for name, stats in events if name == "train"]
    assert sorted(found) == marked


def test_operations_are_in_it(tmp_path):
    names = [name for name, _ in traced(tmp_path, (1, 3), 4)]
    assert any(re.search(r"product.*MatMul", name) for name in names)
