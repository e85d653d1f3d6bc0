"""From a template and plain values to a page."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from transfusion_tf.report import wording

_TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, context: Mapping[str, Any]) -> str:
    """The page of a file in `templates/`; a value that is not given raises.

    Values are escaped in all but Markdown, which marks those of others itself (`text`).
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: not str(name).endswith(".md"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["without_folders"] = wording.without_folders
    environment.filters["text"] = _markdown_text
    return environment.get_template(template).render(context)


def _markdown_text(value: object) -> str:
    """Text that Markdown takes for nothing else: in one line, its marks escaped."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(value).split()))
