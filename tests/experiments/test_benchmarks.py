"""Benchmarks: how results are made and shown. What they measure is not asserted."""

import importlib.util
import subprocess
import sys

import pytest

from transfusion_tf_experiments.benchmarks import suite
from transfusion_tf_experiments.benchmarks.benchmark_results import (
    Result,
    markdown,
    write_tables,
)
from transfusion_tf_experiments.benchmarks.interleaved import (
    measure,
    ratios,
    speed_results,
)


def benchmarks(*arguments):
    command = [sys.executable, "-m", "transfusion_tf_experiments.benchmarks"]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False
    )


def test_variants_take_turns_and_the_warm_up_does_not_count():
    calls = []
    seconds = measure(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        rounds=2,
        warm_up=1,
    )
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_work_may_say_how_much_of_its_time_counts():
    assert measure({"a": lambda: 0.25}, rounds=3)["a"] == [0.25] * 3


def test_ratios_are_taken_round_by_round():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_speeds_are_shares_of_the_baseline_s(capsys):
    seconds = {"alone": [1.0, 2.0, 4.0], "ours": [2.0, 2.0, 5.0]}
    (result,) = speed_results(
        "decoding", seconds, baseline="alone", images=10, targets={"ours": "1.00"}
    )
    assert (result.least, result.value, result.largest) == (0.5, 0.8, 1.0)
    assert result.what == "decoding: ours"
    assert result.against == "speed of alone"
    assert "5.0 images/s" in capsys.readouterr().out


def test_the_table_shows_median_range_and_target():
    rows = [
        Result.of("a", [1.0, 2.0, 4.0], against="b", target="at least 1"),
        Result.of("start", [12.345], unit="s"),
    ]
    assert markdown(rows).splitlines()[2:] == [
        "| a | b | 2.00 | 1.00 to 4.00 | at least 1 |",
        "| start |  | 12.3 s |  |  |",
    ]


def test_tables_are_written_as_markdown_and_csv(tmp_path):
    rows = [Result.of("a, with a comma", [1.0])]
    paths = write_tables(rows, tmp_path / "new", "2 cores")
    texts = {path.name: path.read_text() for path in paths}
    assert texts["benchmarks.md"].startswith("2 cores\n")
    assert '"a, with a comma",1.0' in texts["benchmarks.csv"]


def test_every_benchmark_is_a_module_that_says_its_command_and_cost():
    package = suite.__package__
    text = suite.listing()
    for name in suite.BENCHMARKS:
        assert importlib.util.find_spec(f"{package}.{name}")
        assert f"{name}: " in text
    assert text.count("Cost: ") == len(suite.BENCHMARKS)


def test_listing_and_help_import_no_tensorflow():
    script = (
        "import sys\n"
        "from transfusion_tf_experiments.benchmarks import suite\n"
        "sys.argv = ['benchmarks', sys.argv[1]]\n"
        "try:\n    suite.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    for argument, expected in (
        ("--list_benchmarks", "pipeline_memory: "),
        ("--help", "--results"),
    ):
        command = [sys.executable, "-c", script, argument]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_an_unknown_benchmark_is_one_message():
    done = benchmarks("speed")
    assert done.returncode == 2
    assert "unknown benchmark 'speed'; valid: start_up" in done.stderr


def test_one_that_fails_is_named_and_the_others_run(tmp_path, monkeypatch, capsys):
    def in_a_process(name):
        if name == "bad":
            raise ValueError("no")
        return "2 cores", [Result.of(name, [1.0])]

    monkeypatch.setattr(suite, "_in_a_process", in_a_process)
    assert suite.run(["bad", "good"], tmp_path) == ["bad"]
    assert "| good |" in (tmp_path / "benchmarks.md").read_text()
    assert "ValueError: no" in capsys.readouterr().err


@pytest.mark.slow
def test_a_benchmark_runs_by_name(tmp_path):
    done = benchmarks("gpu", f"--results={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "=== gpu" in done.stdout
    assert (tmp_path / "benchmarks.csv").read_text().startswith("what,value")
