"""What the smoke tests of all papers share: the binary, and what a chapter must be."""

import binaries
import numpy as np
import pandas as pd
from matplotlib import image


def run_binary(root, *arguments):
    """`transfusion-study` in a process of its own."""
    return binaries.run("study", f"--root={root}", *arguments)


def assert_is_drawn(folder, name, column="value"):
    """The chapter has numbers that vary, and pictures that are not blank."""
    numbers = pd.read_csv(folder / "tables" / f"{name}.csv")[column].dropna()
    assert len(numbers)
    assert np.isfinite(numbers).all()
    assert not np.allclose(numbers, numbers.iloc[0])
    figures = folder / "figures"
    pictures = [*figures.glob(f"{name}.png"), *figures.glob(f"{name}-*.png")]
    assert pictures
    for picture in pictures:
        assert image.imread(picture).std() > 0.01, picture
