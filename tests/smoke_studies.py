"""What the smoke tests of all papers share: how they run, what a chapter must be."""

import binaries
import numpy as np
import pandas as pd
from report.seen import empty_axes

from transfusion_tf_experiments import named_studies


def run_binary(root, *arguments):
    """`transfusion-study` in a process of its own, one run after another."""
    return binaries.run("study", f"--root={root}", "--jobs=1", *arguments)


def run_study(workspace, name, **options):
    """What the binary runs, in this process: models of other studies are built."""
    from transfusion_tf import studies
    from transfusion_tf.training import RunOptions

    study = named_studies.make(name, "smoke", **options)
    result = studies.run_study(
        study,
        workspace,
        options=RunOptions(data_root=workspace / "data", progress=False),
    )
    assert not result.failed
    return result


def run_and_report(workspace, name, **options):
    """The study's folder, with its claims and its report."""
    from transfusion_tf.report import write_report

    result = run_study(workspace, name, **options)
    write_report(result.path)
    return result.path


def modification_times(workspace):
    """Of every file of runs and analyses: none changes where nothing is repeated."""
    files = [*workspace.glob("runs/*/*"), *workspace.glob("analyses/*")]
    assert files
    return {path: path.stat().st_mtime_ns for path in files}


def assert_is_drawn(folder, name, column="value"):
    """The chapter has numbers that vary, and pictures with marks in them."""
    numbers = pd.read_csv(folder / "tables" / f"{name}.csv")[column].dropna()
    assert len(numbers)
    assert np.isfinite(numbers).all()
    assert not np.allclose(numbers, numbers.iloc[0])
    figures = folder / "figures"
    pictures = [*figures.glob(f"{name}.svg"), *figures.glob(f"{name}-*.svg")]
    assert pictures
    for picture in pictures:
        assert empty_axes(picture) == [], picture
