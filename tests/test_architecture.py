"""Data flows down the page: a package imports only from those above it."""

import ast
import configparser
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From DESIGN: top to bottom.
ORDER = (
    "errors",
    "toml_tables",
    "files",
    "locks",
    "recent",
    "phantoms",
    "datasets",
    "input_pipeline",
    "models",
    "initialization",
    "evaluation",
    "representations",
    "training",
    "studies",
    "report",
)
SOURCES = sorted((ROOT / "transfusion_tf").rglob("*.py"))
REPORT = ROOT / "transfusion_tf" / "report"
# What draws numbers that others computed.
DRAWING = (
    *("charts*.py", "chapters/*.py", "pictures.py", "sentences.py", "sheets.py"),
    *("start_marks.py", "style.py"),
)
STATISTICS = {
    *("average", "corrcoef", "histogram", "interp", "mean", "median", "nanmean"),
    *("nanmedian", "nanpercentile", "nanquantile", "nanstd", "nanvar", "percentile"),
    *("polyfit", "quantile", "sem", "std", "var"),
}


def imported_modules(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(module):
    parts = module.split(".")
    if parts[0] != "transfusion_tf" or len(parts) < 2 or parts[1] not in ORDER:
        return None
    return parts[1]


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_nothing_imports_upward(file):
    own = file.relative_to(ROOT / "transfusion_tf").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in ORDER, f"{own} has no place in the order"
    for module in imported_modules(file):
        assert not module.startswith("transfusion_tf_experiments")
        package = package_of(module)
        if package is not None:
            assert ORDER.index(package) <= ORDER.index(own), f"{file} imports {module}"


@pytest.mark.parametrize("package", ["models", "initialization"])
def test_models_and_initialization_run_on_any_keras_backend(package):
    for file in (ROOT / "transfusion_tf" / package).rglob("*.py"):
        assert "tensorflow" not in {m.split(".")[0] for m in imported_modules(file)}


def test_representations_know_neither_data_sets_nor_runs():
    for file in (ROOT / "transfusion_tf" / "representations").rglob("*.py"):
        packages = {package_of(module) for module in imported_modules(file)}
        assert packages.isdisjoint({"datasets", "training"}), file


def test_what_trains_a_run_knows_nothing_of_many_hosts():
    """But for who joins them, names them, and hears that one of them is lost."""
    package = "transfusion_tf.training.distributed"
    importers = {
        file.stem
        for file in (ROOT / "transfusion_tf" / "training").glob("*.py")
        if any(module.startswith(package) for module in imported_modules(file))
    }
    assert importers == {"strategy", "run_options", "run"}


@pytest.mark.parametrize(
    "file",
    sorted(file for pattern in DRAWING for file in REPORT.glob(pattern)),
    ids=lambda file: str(file.relative_to(REPORT)),
)
def test_drawing_modules_compute_no_statistics(file):
    """They are computed in `report/rows/`, from the study's table of measurements."""
    evaluation = "transfusion_tf.evaluation"
    for module in imported_modules(file):
        assert module.split(".")[0] not in {"scipy", "sklearn", "statistics"}, module
        if module.startswith(evaluation):
            allowed = {evaluation, f"{evaluation}.estimates"}
            assert module in allowed or module.endswith(".Estimate"), module
    assert not called_methods(file) & STATISTICS


def called_methods(file):
    """`mean` of `np.mean(values)` and of `values.mean()`."""
    return {
        node.func.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_flags_are_defined_by_binaries_only():
    for file in SOURCES:
        assert "absl" not in {m.split(".")[0] for m in imported_modules(file)}, file


def test_setup_cfg_lists_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    names = {
        "transfusion_tf": "transfusion_tf",
        "experiments": "transfusion_tf_experiments",
    }
    found = {"transfusion_tf_data"}
    for folder, name in names.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join((name, *parts)))
    assert found == listed


def test_every_console_script_exists():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for line in config["options.entry_points"]["console_scripts"].split("\n"):
        if line:
            module = line.split("=")[1].split(":")[0].strip()
            assert importlib.util.find_spec(module)
