"""From a template and plain values to a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from transfusion_tf.report import wording

_TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, context: Mapping[str, Any]) -> str:
    """The page of a file in `templates/`: escaped; a value that is not given raises."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["without_folders"] = wording.without_folders
    return environment.get_template(template).render(context)
