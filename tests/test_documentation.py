import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
# Where a path in a text may start.
PLACES = (ROOT, ROOT / "transfusion_tf")
PATH = re.compile(r"`([\w.]+(?:/[\w.-]+)+/?)`")


@pytest.mark.parametrize("text", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_and_folders_that_the_text_names_are_there(text):
    named = set(PATH.findall((ROOT / text).read_text()))
    assert len(named) > 10
    assert not [path for path in named if not any((p / path).exists() for p in PLACES)]


@pytest.mark.slow
def test_the_notebook_runs_and_leaves_nothing_behind(tmp_path, monkeypatch):
    for name, variable in (("home", "IPYTHONDIR"), ("run", "JUPYTER_RUNTIME_DIR")):
        monkeypatch.setenv(variable, str(tmp_path / name))
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    notebook = nbformat.read(ROOT / "docs/first_steps.ipynb", as_version=4)

    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(here)}},
    ).execute()

    shown = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    assert "pool4" in shown[1]
    assert "cka" in shown[-2]
    assert "mean_var" in shown[-1]
    assert not [*here.iterdir(), *temporary.iterdir()]
