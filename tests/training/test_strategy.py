"""Devices by name, and what cannot be done with them."""

import os

import pytest
from binaries import run_script

from transfusion_tf.errors import UserError
from transfusion_tf.training import RunOptions
from transfusion_tf.training.distributed.cluster import Cluster
from transfusion_tf.training.strategy import (
    join,
    make_strategy,
    split_cpu,
    threads_in_use,
    use_threads,
)


def test_an_unknown_strategy_lists_the_valid_ones():
    with pytest.raises(UserError, match="auto, one, mirrored, multi_worker"):
        make_strategy("tpu")


@pytest.mark.slow
def test_auto_mirrors_where_the_cpu_was_split():
    script = (
        "from transfusion_tf.training.strategy import make_strategy, split_cpu\n"
        "split_cpu(2)\n"
        "assert make_strategy('auto').num_replicas_in_sync == 2\n"
        "assert make_strategy('one').num_replicas_in_sync == 1\n"
        "split_cpu(2)  # As it is already.\n"
    )
    run_script(script)


def test_splitting_the_cpu_after_tensorflow_has_started_is_an_error():
    make_strategy("one")
    with pytest.raises(UserError, match="--logical_devices=3 comes too late"):
        split_cpu(3)


def test_no_devices_are_an_error():
    with pytest.raises(UserError, match="--logical_devices should be at least 1"):
        split_cpu(0)


def test_as_many_threads_as_there_are_already_are_fine_and_others_come_too_late():
    make_strategy("one")
    before = threads_in_use()
    use_threads(before)
    use_threads(None)
    with pytest.raises(UserError, match=r"--threads=7 comes too late.*has started"):
        use_threads(7)
    assert threads_in_use() == before


@pytest.mark.slow
def test_threads_are_what_tensorflow_then_computes_with():
    script = (
        "import tensorflow as tf\n"
        "from transfusion_tf.training.strategy import threads_in_use, use_threads\n"
        "assert threads_in_use() is None\n"
        "use_threads(1)\n"
        "tf.zeros(1)\n"
        "assert tf.config.threading.get_intra_op_parallelism_threads() == 1\n"
        "use_threads(1)  # As it is already.\n"
    )
    environment = dict(os.environ)
    environment.pop("TF_NUM_INTRAOP_THREADS", None)
    run_script(script, env=environment)


def test_no_threads_are_an_error():
    with pytest.raises(UserError, match="--threads should be at least 1, got 0"):
        RunOptions(threads=0)


def test_workers_that_join_after_tensorflow_has_started_are_an_error():
    make_strategy("one")
    options = RunOptions(cluster=Cluster(("localhost:1", "localhost:2"), 0))
    with pytest.raises(UserError, match="multi_worker comes too late"):
        join(options)


def test_many_workers_must_be_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="needs --workers"):
        join(RunOptions(strategy="multi_worker"))


def test_a_cluster_of_one_needs_no_network():
    options = RunOptions(strategy="multi_worker", cluster=Cluster(("localhost:1",), 0))
    workers = join(options)
    assert (workers.count, workers.is_chief) == (1, True)
