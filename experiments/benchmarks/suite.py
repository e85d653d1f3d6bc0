"""Benchmarks by name, each in a process of its own: `make bench`.

  python -m transfusion_tf_experiments.benchmarks                     all of them
  python -m transfusion_tf_experiments.benchmarks evaluation saving   some

Prints ratios from interleaved runs; nothing is asserted, as speeds depend on the
machine and on what else it does. All take about 15 minutes on 2 quiet cores. The
results are also written as tables to <results>/benchmarks.md and benchmarks.csv.
"""

import ast
import concurrent.futures
import importlib
import multiprocessing
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.flags import FLAGS
from transfusion_tf_experiments.process import import_tensorflow, start

# In the order in which they run.
BENCHMARKS = (
    "start_up",
    "preparing",
    "input_pipeline",
    "pipeline_memory",
    "training_step",
    "training_loop",
    "many_runs",
    "jobs",
    "evaluation",
    "saving",
    "representations",
    "pytorch_gap",
    "gpu",
)

flags.DEFINE_string(
    "results", "workspace/benchmarks", "Folder that the tables are written to."
)
flags.DEFINE_bool("list_benchmarks", False, "Say what there is and what it costs.")


def listing() -> str:
    """A paragraph a benchmark: what it measures, its command and its cost."""
    paragraphs = []
    for name in BENCHMARKS:
        source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        text = ast.get_docstring(ast.parse(source)) or ""
        title, _, rest = text.partition("\n\n")
        costs = [line for line in rest.splitlines() if line.startswith("Cost: ")]
        paragraphs.append("\n  ".join([f"{name}: {title}", *costs]))
    return "\n".join(paragraphs)


def run(names: Sequence[str], folder: Path) -> list[str]:
    """Runs benchmarks one after the other and writes what they measured.

    Returns:
      The names of those that failed; their tracebacks were printed.
    """
    from transfusion_tf_experiments.benchmarks.benchmark_results import write_tables

    results, failed, machine = [], [], ""
    for name in names:
        print(f"\n=== {name}", flush=True)
        start_time = time.perf_counter()
        try:
            machine, measured = _in_a_process(name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        results += measured
        print(f"({time.perf_counter() - start_time:.0f} s)", flush=True)
        # After each, so that a run that is cut short leaves what it has.
        tables = write_tables(results, folder, machine)
    if results:
        print("\nTables: " + ", ".join(str(path) for path in tables))
    return failed


def _in_a_process(name: str) -> tuple[str, list[Result]]:
    """So that no benchmark finds threads, memory or settings of another."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_run_one, name).result()


def _run_one(name: str) -> tuple[str, list[Result]]:
    import_tensorflow()
    logging.set_verbosity(logging.ERROR)
    # As a terminal is, so that a log file too shows how far it is.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    from joblib.externals import loky

    from transfusion_tf.training import provenance

    versions = provenance.versions()
    machine = (
        f"{provenance.machine()}; TensorFlow {versions['tensorflow']}, "
        f"Keras {versions['keras']}"
    )
    results = importlib.import_module(f"{__package__}.{name}").main()
    # Those that drew images would keep this process from ending for minutes.
    loky.get_reusable_executor().shutdown(kill_workers=True)
    return machine, results


def _main(arguments: Sequence[str]) -> None:
    from transfusion_tf.errors import UserError, one_of

    if FLAGS.list_benchmarks:
        print(listing())
        return
    for name in arguments:
        if name not in BENCHMARKS:
            raise one_of("benchmark", name, BENCHMARKS)
    start_time = time.perf_counter()
    failed = run(arguments or BENCHMARKS, Path(FLAGS.results))
    print(f"All together {(time.perf_counter() - start_time) / 60:.0f} minutes")
    if failed:
        raise UserError(f"these failed, see above: {', '.join(failed)}")


def main() -> None:
    """Entry point of `python -m transfusion_tf_experiments.benchmarks`."""
    start(_main, __doc__ or "")
