"""Objects in the XML files of the PASCAL VOC challenge.

M. Everingham, L. Van Gool, C. Williams, J. Winn and A. Zisserman, "The PASCAL visual object classes (VOC) challenge",
IJCV 2010. Its boxes count pixels from 1 and name the last one: here xmin and ymin are one less.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from cvbow.annotations._marks import SIDES, Gathered, rows_of, to_number
from cvbow.annotations._sizes import size_of
from cvbow.annotations.objects import ObjectList, Objects
from cvbow.errors import DatasetError
from cvbow.files import read_file
from cvbow.images import IMAGE_SUFFIXES, natural_key
from cvbow.storage import GENERATOR

#: Where images lie, from the folder of the XML files.
_FOLDERS = (".", "../JPEGImages", "../images", "..")


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses what could declare entities: a few lines of them can stand for gigabytes."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Refuse the declaration of a document type."""
        raise ValueError("a DOCTYPE is not allowed")


def xml_files(folder: Path) -> list[Path]:
    """Return the XML files of a folder, or of the folder ``Annotations`` in it, in natural order."""
    for place in (folder, folder / "Annotations", folder / "annotations"):
        found = sorted(place.glob("*.xml"), key=lambda path: natural_key(path.name))
        if found:
            return found
    return []


def read_voc(files: list[Path]) -> ObjectList:
    """Read the objects of XML files that lie in one folder; DatasetError that names the file."""
    folder = files[0].parent
    images = _Images(folder)
    gathered = Gathered()
    for file in files:
        try:
            root = _parse(file)
            named = (root.findtext("filename") or "").strip()
            path = images.find(file, named)
            gathered.image(path)
            for number, element in enumerate(root.findall("object"), 1):
                try:
                    _add(gathered, path, element)
                except ValueError as error:
                    raise ValueError(f"object {number}: {error}") from None
        except ValueError as error:
            raise DatasetError(file, str(error)) from None
    return gathered.listed()


def voc_text(path: Path, objects: Objects) -> bytes:
    """Return the XML of the objects on one image, with its size where it can be read; scores have no place there."""
    root = ElementTree.Element("annotation")
    source = ElementTree.SubElement(root, "source")
    _append(source, {"database": GENERATOR})
    _append(root, {"folder": path.parent.name, "filename": path.name})
    size = size_of(path)
    if size is not None:
        _append(ElementTree.SubElement(root, "size"), {"width": size[0], "height": size[1]})
    for name, (xmin, ymin, xmax, ymax), _, ignored in rows_of(objects):
        element = ElementTree.SubElement(root, "object")
        _append(element, {"name": name, "difficult": int(ignored)})
        sides = (xmin + 1, ymin + 1, xmax, ymax)
        _append(ElementTree.SubElement(element, "bndbox"), dict(zip(SIDES, map(repr, sides), strict=True)))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8")
    return text + b"\n"


def _append(element: ElementTree.Element, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        ElementTree.SubElement(element, name).text = str(value)


def _parse(file: Path) -> ElementTree.Element:
    try:
        content = read_file(file)
    except OSError as error:
        raise DatasetError(file, f"the file cannot be read ({(error.strerror or 'error').lower()})") from error
    if not content:
        raise ValueError("the file is empty")
    try:
        root = ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"the file is not XML ({error})") from None
    if root.tag != "annotation":
        raise ValueError(f"expected the element annotation, found {root.tag[:60]!r}")
    return root


def _add(gathered: Gathered, path: Path, element: ElementTree.Element) -> None:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise ValueError("it has no name")
    box = element.find("bndbox")
    if box is None:
        raise ValueError("it has no bndbox")
    xmin, ymin, xmax, ymax = (to_number(side, (box.findtext(side) or "").strip()) for side in SIDES)
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("", "0", "1"):
        raise ValueError(f"difficult must be 0 or 1, got {difficult[:60]!r}")
    gathered.add(path, (xmin - 1, ymin - 1, xmax, ymax), name, ignored=difficult == "1")


class _Images:
    """Finds the image of an XML file: by the name that it gives, or by its own without suffix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A name is looked for among those that are there: it may hold what no path may.
        self.listed = [(place, _names(place)) for place in (_resolved(folder, step) for step in _FOLDERS)]

    def find(self, file: Path, named: str) -> Path:
        """Return where it lies, or where it should: one that is missing is reported when it is read."""
        name = os.path.basename(named.replace("\\", "/"))
        for place, names in self.listed:
            if name in names:
                return place / name
        for place, names in self.listed:
            for suffix in sorted(IMAGE_SUFFIXES):
                for other in (file.stem + suffix, file.stem + suffix.upper()):
                    if other in names:
                        return place / other
        return self.folder / (name.replace("\0", "") or f"{file.stem}.jpg")


def _resolved(folder: Path, step: str) -> Path:
    return folder if step == "." else Path(os.path.normpath(folder.absolute() / step))


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()
