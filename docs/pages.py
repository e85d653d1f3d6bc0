"""Pages of the site that are no files of `docs/`; `mkdocs.yml` names this as a hook."""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
NOTEBOOK = "first_steps"
COMMANDS = ("study", "train", "compare", "export", "prepare_data", "report")
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the packages' pages after the others."""
    reference = [{"Commands": "reference/commands.md"}]
    reference += [{name: f"reference/{name}.md"} for name in _packages()]
    config.nav.append({"Reference": reference})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    notebook = json.loads((ROOT / f"docs/{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
    files.append(File.generated(config, f"{NOTEBOOK}.md", content=_as_page(notebook)))
    for name in _packages():
        content = _reference(name)
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    style = HtmlFormatter().get_style_defs(".highlight")
    files.append(File.generated(config, "highlight.css", content=style))
    content = "# Commands\n\n" + "\n".join(
        f"::: transfusion_tf_experiments.{name}\n    options:\n      members: false\n"
        for name in COMMANDS
    )
    files.append(File.generated(config, "reference/commands.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turns links between files of the repository into links between pages."""
    uri = page.file.src_uri
    sources = {name: source for source, name in PAGES.items()}
    source = sources.get(uri, f"docs/{uri}")
    return _LINK.sub(lambda link: _moved(link, source, uri), markdown)


def _moved(link: re.Match[str], source: str, page: str) -> str:
    """A link of a file of the repository, from the page that the file becomes."""
    text, target, anchor = link[1], link[2], link[3] or ""
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if file not in PAGES and not file.startswith("docs/"):
        return text  # What it leads to is no part of the site.
    target = PAGES.get(file, file.removeprefix("docs/"))
    if target == f"{NOTEBOOK}.ipynb":
        target = f"{NOTEBOOK}.md"
    target = posixpath.relpath(target, posixpath.dirname(page) or ".")
    return f"[{text}]({target}{anchor})"


def _as_page(notebook: dict) -> str:
    """The notebook's text and code, without what it prints."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(
            text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        )
    return "\n\n".join(parts) + "\n"


def _packages() -> Iterator[str]:
    """Names below `transfusion_tf` of what has a page, in alphabetical order."""
    for init in sorted((ROOT / "transfusion_tf").glob("*/__init__.py")):
        yield init.parent.name


def _reference(package: str) -> str:
    """A package's page: itself, then its modules, found without importing them."""
    folder = ROOT / "transfusion_tf" / package
    names = [f"transfusion_tf.{package}"]
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    first, *modules = (f"::: {name}\n" for name in names)
    heading = f"# {names[0]}\n\n"
    options = "    options:\n      members: false\n      show_root_heading: false\n"
    return heading + first + options + "\n" + "\n".join(modules)
