"""The name of a study of one's own: that of its data, once for each question."""

import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.training import RunConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def question(runs: Iterable[RunConfig]) -> str:
    """What runs compare, as a hash: their configs, whatever seeds they have."""
    configs = {
        json.dumps(dataclasses.asdict(run.replace(seed=0)), sort_keys=True)
        for run in runs
    }
    return hashlib.sha256("\n".join(sorted(configs)).encode()).hexdigest()[:16]


def free_name(base: str, runs: Iterable[RunConfig], root: str | Path) -> str:
    """The name `base`, or `base-2`, ... where studies of other questions have it.

    A study that is asked again, with more seeds too, keeps its name.

    Args:
      base: the data set's name.
      runs: unresolved configs.
      root: the studies lie in `<root>/studies/`.
    """
    asked = question(runs)

    def free(name: str) -> bool:
        record = Path(root) / "studies" / name / "study.json"
        return not record.exists() or files.read_json(record).get("question") == asked

    names = itertools.chain([base], (f"{base}-{n}" for n in itertools.count(2)))
    return next(filter(free, names))


def named(name: str, runs: Iterable[RunConfig], root: str | Path) -> str:
    """The name, as `--name` gives it.

    Raises:
      UserError: it cannot be a folder's, or a study of another question has it.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--name={name}: give letters, digits, '.', '_' and '-', and a letter or a "
            "digit first"
        )
    if free_name(name, runs, root) != name:
        folder = Path(root) / "studies" / name
        raise UserError(
            f"--name={name}: {folder} holds a study of another question; give another "
            "name, or remove that folder (its runs stay)"
        )
    return name
