"""Reader `xml_cases`: an XML file a case beside its images, as DDTI comes."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import is_helper
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, LeftOut, Problem, Rows
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE, Text

# An annotation has a few thousand points; more is no annotation.
_MAX_BYTES = 20_000_000


@dataclass(frozen=True, kw_only=True, config=TABLE)
class XmlCasesOptions:
    """Options of the reader `xml_cases`."""

    folder: check.Places
    """Where cases and images lie."""
    label_element: Text
    """The element that holds the label, mapped by `labels.values`."""
    number_element: Text | None = None
    """An element that must say the case as the file's name does."""
    image_pattern: check.Pattern
    """Its first group in an image's name is the case, its second the image's number."""
    image_element: Text = "_"
    """The path of elements that name images of the case by number; each must be
    there."""
    missing: Text = "error"
    """A case whose label is blank: `error`, `leave_out`, or the label that it has."""


def read_xml_cases(card: DatasetCard) -> Rows:
    """`<case>.xml` with the label, and any number of images a case."""
    options = check.reader_options(card, XmlCasesOptions)
    folder = check.require(card, "folder", card.data_folder(), options.folder)
    images: dict[str, dict[str, Path]] = {}
    cases: list[Path] = []
    for path in sorted(folder.iterdir(), key=_numerically):
        if path.is_dir() or is_helper(path.name):
            continue
        if path.suffix.lower() == ".xml":
            cases.append(path)
            continue
        match = re.fullmatch(options.image_pattern, path.name)
        if match and path.suffix.lower() in IMAGE_SUFFIXES:
            images.setdefault(match.group(1), {})[match.group(2)] = path
        else:
            yield Problem(
                path.name,
                f"no case and no image (reader.image_pattern: "
                f"{options.image_pattern!r})",
                images=int(path.suffix.lower() in IMAGE_SUFFIXES),
            )
    if not cases:
        raise UserError(f"{card.path}: key 'reader.folder': no .xml file in {folder}")
    for path in cases:
        own = images.pop(path.stem, {})
        try:
            yield from _case(card, options, path, own)
        except UserError as error:
            yield Problem(path.name, str(error), images=len(own))
    for case, found in images.items():
        for path in found.values():
            yield Problem(path.name, f"no {case}.xml, so no label")


def _numerically(path: Path) -> list[Any]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def _case(
    card: DatasetCard, options: XmlCasesOptions, file: Path, images: dict[str, Path]
) -> Rows:
    root = _parse(file)
    if options.number_element is not None:
        number = _only(root, options.number_element)
        if number != file.stem:
            raise UserError(f"the file says that it is case {number!r}")
    for element in root.findall(options.image_element):
        number = (element.text or "").strip()
        if number not in images:
            raise UserError(f"it annotates image {number!r}, which is not there")
    if not images:
        raise UserError("no image of this case")
    cell = _only(root, options.label_element)
    if not cell and options.missing == "leave_out":
        for path in images.values():
            yield LeftOut(path.name, f"its case has no {options.label_element}")
        return
    if not cell and options.missing != "error":
        cell = options.missing
    labels = one_label(card, cell)
    for path in images.values():
        image = FileImage(path, card.intensity)
        where = f"{path.name} ({file.name})"
        yield Example(path.stem, file.stem, labels, None, image, where)


def _only(root: ElementTree.Element, name: str) -> str:
    found = root.findall(name)
    if len(found) != 1:
        raise UserError(f"{len(found)} elements <{name}>; one is expected")
    return (found[0].text or "").strip()


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, *_: Any) -> None:
        # Entities can blow up, or name other files.
        raise UserError("it declares a document type, which is refused")


def _parser() -> ElementTree.XMLParser:
    return ElementTree.XMLParser(target=_NoDoctype())


def _parse(file: Path) -> ElementTree.Element:
    if file.stat().st_size > _MAX_BYTES:
        raise UserError(f"more than {_MAX_BYTES // 10**6} MB; not an annotation")
    try:
        return ElementTree.parse(file, _parser()).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"not XML that can be read: {error}") from None
