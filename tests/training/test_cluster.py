"""Workers find each other, or say in time who is missing."""

import json
import socket
import threading
import time

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.training.distributed.cluster import Cluster


def free_addresses(count):
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in with_ports]
    for each in with_ports:
        each.close()
    return tuple(addresses)


def meet(*clusters, facts=None):
    """What each of them raised when all meet at once; `facts` of each, or none."""
    facts = facts or [{}] * len(clusters)
    errors = [None] * len(clusters)

    def run(place):
        try:
            clusters[place].meet(facts[place])
        except UserError as error:
            errors[place] = str(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(clusters))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    return errors


def send_to(address, line):
    """A connection on which the line was sent, as soon as somebody listens there."""
    host, port = address.split(":")
    end = time.monotonic() + 300
    while True:
        try:
            connection = socket.create_connection((host, int(port)), 5)
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
    connection.sendall(line.encode() + b"\n")
    return connection


def introduction(workers, place):
    return json.dumps({"worker": place, "facts": {"workers": ",".join(workers)}})


def test_workers_that_all_come_may_go_on():
    workers = free_addresses(3)
    assert meet(*(Cluster(workers, i) for i in (2, 0, 1))) == [None] * 3


def test_the_chief_names_who_did_not_come_and_tells_the_others():
    workers = free_addresses(3)
    errors = meet(Cluster(workers, 0, 2), Cluster(workers, 1, 2))
    assert errors[0].startswith(f"worker 2 ({workers[2]}) did not come within 2 s")
    assert errors[1] == errors[0]


def test_without_a_chief_the_others_end_too():
    (error,) = meet(Cluster(free_addresses(2), 1, 0.5))
    assert "the chief, did not answer within 0.5 s" in error


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        (error,) = meet(Cluster((f"127.0.0.1:{port}", "127.0.0.1:1"), 0, 1))
    assert f"cannot use its port {port}" in error


def test_different_lists_of_workers_are_an_error_on_both():
    first, second, third = free_addresses(3)
    errors = meet(Cluster((first, second), 0), Cluster((first, third), 1))
    message = f"worker 1 ({second}) differs from the chief in workers: {first},{third}"
    assert errors[0].startswith(message)
    assert errors[1] == errors[0]


def test_different_versions_are_an_error_on_both():
    workers = free_addresses(2)
    facts = [{"GPUs": 0, "keras": version} for version in ("3.15.1", "3.16.0")]
    errors = meet(Cluster(workers, 0), Cluster(workers, 1), facts=facts)
    assert "differs from the chief in keras: 3.16.0 instead of 3.15.1" in errors[0]
    assert errors[1] == errors[0]


def test_one_place_twice_is_an_error_on_all():
    workers = free_addresses(3)
    chief = Cluster(workers, 0)
    errors = []
    thread = threading.Thread(target=lambda: errors.extend(meet(chief)))
    thread.start()
    twins = [send_to(workers[0], introduction(workers, 1)) for _ in range(2)]
    thread.join(300)
    assert errors == ["there are two processes with --worker=1"]
    for twin in twins:
        assert json.loads(twin.recv(1000))["trouble"] == errors[0]
        twin.close()


def test_a_worker_that_cannot_be_reached_is_named():
    workers = free_addresses(2)
    errors = []
    thread = threading.Thread(target=lambda: errors.extend(meet(Cluster(workers, 0))))
    thread.start()
    # Nobody listens at its own address.
    with send_to(workers[0], introduction(workers, 1)):
        thread.join(300)
    assert errors[0].startswith(f"the chief cannot reach worker 1 ({workers[1]})")


def test_a_worker_that_ended_while_it_waited_may_come_again():
    workers = free_addresses(3)
    results = []
    chief = threading.Thread(target=lambda: results.extend(meet(Cluster(workers, 0))))
    chief.start()
    send_to(workers[0], introduction(workers, 1)).close()
    results += meet(Cluster(workers, 2), Cluster(workers, 1))
    chief.join(300)
    assert results == [None] * 3


def test_strangers_at_the_port_are_not_taken_for_workers():
    workers = free_addresses(2)
    results = []
    chief = threading.Thread(target=lambda: results.extend(meet(Cluster(workers, 0))))
    chief.start()
    send_to(workers[0], "GET / HTTP/1.1\r\n\r").close()
    results += meet(Cluster(workers, 1))
    chief.join(300)
    assert results == [None] * 2


@pytest.mark.parametrize(
    ("jobs", "task", "place"),
    [
        ({"worker": ["a:1", "b:2"]}, {"type": "worker", "index": 1}, 1),
        ({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "chief", "index": 0}, 0),
        ({"chief": ["a:1"], "worker": ["b:2"]}, {"type": "worker", "index": 0}, 1),
    ],
)
def test_tf_config_says_who_is_there(jobs, task, place):
    environment = {"TF_CONFIG": json.dumps({"cluster": jobs, "task": task})}
    assert Cluster.from_environment(5.0, environment) == Cluster(
        ("a:1", "b:2"), place, 5.0
    )


@pytest.mark.parametrize("text", [None, "", '{"task": {"type": "worker"}}'])
def test_without_a_cluster_in_tf_config_there_is_none(text):
    environment = {} if text is None else {"TF_CONFIG": text}
    assert Cluster.from_environment(5.0, environment) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG should be JSON"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG should be JSON"),
        (
            '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "a chief and workers only, got ps",
        ),
        (
            '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
            "'a' should be host:port",
        ),
    ],
)
def test_what_cannot_be_used_in_tf_config_is_said(text, message):
    with pytest.raises(UserError, match=message):
        Cluster.from_environment(5.0, {"TF_CONFIG": text})


def test_a_place_beyond_the_list_is_an_error():
    with pytest.raises(UserError, match="--worker=2 should be from 0 to 1"):
        Cluster(("a:1", "b:2"), 2)
