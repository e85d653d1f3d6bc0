"""What numbers were made with: source, versions, machine, time."""

import datetime
import functools
import hashlib
import os
import platform
import subprocess
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import transfusion_tf


def machine() -> str:
    """Processor, cores and devices, in words."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    parts = [f"{platform.system()}, {processor}, {cores} CPU cores", *gpus]
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Of everything that numbers depend on."""
    return {
        "transfusion_tf": transfusion_tf.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


@functools.cache
def commit() -> str | None:
    """The commit of the source tree, `-dirty` where it was changed; None outside."""
    folder = Path(transfusion_tf.__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def source_fingerprint() -> str:
    """What tells one state of this package's source from another."""
    folder = Path(transfusion_tf.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
