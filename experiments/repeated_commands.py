"""A command that was carried out before, on all that it was carried out on then.

There is nothing to train, to compare or to draw, and neither TensorFlow nor Keras is
imported to find that out.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import flags

import transfusion_tf
import transfusion_tf_data
from transfusion_tf import files
from transfusion_tf.report.freshness import (
    is_current,
    library_versions,
    source_digest,
)

FLAGS = flags.FLAGS

_NAME = "command.json"
_LIBRARIES = (
    "tensorflow",
    "keras",
    "keras-hub",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "pillow",
    "scikit-image",
    "scikit-learn",
    "matplotlib",
    "jinja2",
)
# Larger files are known by their size and time.
_MOST_HASHED_BYTES = 1 << 20


def asked_for() -> dict[str, Any]:
    """What is asked for, and of which program; to be taken before anything is done."""
    values = _flag_values()
    packages = (transfusion_tf, transfusion_tf_data)
    folders = [Path(__file__).parent, *(Path(str(p.__path__[0])) for p in packages)]
    return {
        "flags": values,
        "folder": os.getcwd(),
        "source": source_digest(*folders),
        "libraries": library_versions(_LIBRARIES),
        "files": _states(word for v in values.values() for word in v.split(",")),
    }


def earlier_report(asked: Mapping[str, Any]) -> Path | None:
    """The report of this very command, if it would come out the same again.

    That is so where flags, source, libraries, data and files that it names are as they
    were when it was carried out, and runs, tables and report are as it left them.

    Args:
      asked: from `asked_for`.
    """
    try:
        for stamp in sorted(Path(FLAGS.root).absolute().glob(f"studies/*/{_NAME}")):
            folder = stamp.parent
            before = files.read_json(stamp)
            if (
                before["asked"] == asked
                and before["named"] == _named(folder)
                and is_current(folder, show_images=FLAGS.show_images)
                and _data_are_the_same(folder)
            ):
                return folder / "report.html"
    except (OSError, ValueError, KeyError, TypeError):
        # Whatever it is, carrying the command out will say it.
        return None
    return None


def remember(asked: Mapping[str, Any], folder: Path) -> None:
    """Notes that the command has been carried out and its report written.

    Only where nothing is left to be tried again.

    Args:
      asked: from `asked_for`, as it was before.
      folder: `<root>/studies/<name>`.
    """
    notes = [
        note
        for chapter in files.read_json(folder / "study.json").get("chapters", [])
        for note in chapter.get("notes") or ()
    ]
    if any("was left out" in note for note in notes):
        (folder / _NAME).unlink(missing_ok=True)
        return
    files.write_json(folder / _NAME, {"asked": dict(asked), "named": _named(folder)})


def _flag_values() -> dict[str, str]:
    """Of the shared flags and the binary's own; libraries define some too."""
    values = {}
    modules = FLAGS.flags_by_module_dict()
    for name in ("root", "study"):
        for flag in modules[str(FLAGS.find_module_defining_flag(name))]:
            value = flag.value
            values[flag.name] = (
                ",".join(value) if isinstance(value, list) else str(value)
            )
    return values


def _named(folder: Path) -> dict[str, Any]:
    """The state of cards and weight files that the study's runs name."""
    configs = _configs(folder)
    return _states(
        config.get(key) for config in configs for key in ("dataset", "donor")
    )


def _states(names: Iterable[str | None]) -> dict[str, Any]:
    """What tells files, and those in folders, from others at the same place."""
    found = {}
    for name in sorted({name for name in names if name}):
        path = Path(os.path.expanduser(name))
        # A folder such as --root is no input, a preset's or a run's has a config.
        whole = os.path.isfile(path / "config.json")
        for file in sorted(path.iterdir()) if whole else [path]:
            # Of a name that no file can have it says no, where `Path` raises.
            if os.path.isfile(file):
                found[str(file)] = _state(file)
    return found


def _state(file: Path) -> list[Any]:
    status = file.stat()
    if status.st_size > _MOST_HASHED_BYTES:
        return [status.st_size, status.st_mtime_ns]
    return [status.st_size, hashlib.sha256(file.read_bytes()).hexdigest()]


def _configs(folder: Path) -> list[Mapping[str, Any]]:
    record = files.read_json(folder / "study.json")
    runs = folder.parent.parent / "runs"
    return [
        files.read_json(runs / run / "config.json")
        for run in [*record["runs"], *record["donor_runs"]]
    ]


def _data_are_the_same(folder: Path) -> bool:
    """Whether the data sets' tables and images are those that runs were trained on."""
    from transfusion_tf.datasets import data_fingerprint, load_card

    seen = set()
    for config in _configs(folder):
        augmentation = config["augmentation"]
        key = json.dumps(
            [
                config["dataset"],
                config["source"],
                config["image_size"],
                config.get("aspect"),
                augmentation,
            ]
        )
        if key in seen:
            continue
        seen.add(key)
        card = load_card(config["dataset"], config["source"])
        crop = dataclasses.replace(
            card.augmentation, random_crop=augmentation["random_crop"]
        )
        card = card.replace(
            image_size=config["image_size"],
            aspect=config.get("aspect") or card.aspect,
            augmentation=crop,
        )
        if data_fingerprint(card) != config["data"]:
            return False
    return True
