"""Matrices in the text formats of OpenCV's FileStorage, YAML and XML.

Read and written without OpenCV, whose parser corrupts memory on some damaged files (seen with 5.0), and whose YAML
header differs between versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

#: OpenCV's letters for the types of a matrix's values.
_TYPES = {
    "u": np.uint8,
    "c": np.int8,
    "w": np.uint16,
    "s": np.int16,
    "i": np.int32,
    "h": np.float16,
    "f": np.float32,
    "d": np.float64,
}
_YAML_START = re.compile(r"^[^\s:#]+:[ \t]*!!opencv-matrix", re.MULTILINE)
_YAML_MATRIX = re.compile(
    r"^(?P<name>[^\s:#]+):[ \t]*!!opencv-matrix\s+rows:\s*(?P<rows>\d{1,9})\s+cols:\s*(?P<cols>\d{1,9})\s+"
    r'dt:\s*"?(?P<dt>\w+)"?\s+data:\s*\[(?P<data>[^\]]*)\]',
    re.MULTILINE,
)
#: Values to a line.
_LINE = 5


def write_matrix(matrix: NDArray[Any], name: str, *, xml: bool = False) -> str:
    """Return the text of a file with one matrix, (rows, columns) float32 or uint8; no digit is lost."""
    letter, form = ("u", "{}".format) if matrix.dtype == np.uint8 else ("f", "{:.8e}".format)
    values = [form(value) for value in matrix.ravel().tolist()]
    # Short lines: some versions of OpenCV limit their length.
    lines = [values[top : top + _LINE] for top in range(0, len(values), _LINE)]
    rows, columns = matrix.shape
    if xml:
        data = "\n".join("    " + " ".join(line) for line in lines)
        return (
            f'<?xml version="1.0"?>\n<opencv_storage>\n<{name} type_id="opencv-matrix">\n  <rows>{rows}</rows>\n'
            f"  <cols>{columns}</cols>\n  <dt>{letter}</dt>\n  <data>\n{data}</data></{name}>\n</opencv_storage>\n"
        )
    data = ",\n       ".join(", ".join(line) for line in lines)
    return (
        f"%YAML:1.0\n---\n{name}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: {letter}\n"
        f"   data: [ {data} ]\n"
    )


def read_matrices(text: str) -> dict[str, NDArray[Any]]:
    """Return the matrices at the top level of a YAML or XML file, by name.

    Raises
    ------
    ValueError
        Where the text is neither, or a matrix is not what it says.
    """
    if text.lstrip().startswith("<"):
        return _read_xml(text)
    if not text.startswith("%YAML"):
        raise ValueError("it begins neither as YAML nor as XML")
    found = {match["name"]: _matrix(match["name"], match) for match in _YAML_MATRIX.finditer(text)}
    if len(found) != len(_YAML_START.findall(text)):
        raise ValueError("it has a matrix that is not complete, or two of one name")
    return found


def _read_xml(text: str) -> dict[str, NDArray[Any]]:
    if "<!DOCTYPE" in text:
        raise ValueError("it has a document type, which OpenCV does not write")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"the XML is damaged: {error}") from error
    found = {}
    for element in root:
        if element.get("type_id") == "opencv-matrix":
            parts = {key: (element.findtext(key) or "").strip() for key in ("rows", "cols", "dt", "data")}
            found[element.tag] = _matrix(element.tag, {**parts, "dt": parts["dt"].strip('"')})
    return found


def _matrix(name: str, parts: Mapping[str, str] | re.Match[str]) -> NDArray[Any]:
    letter = parts["dt"].removeprefix("1")
    if letter not in _TYPES:
        raise ValueError(f"the matrix {name!a} has values of the type {parts['dt']!a}, which are not numbers")
    try:
        shape = int(parts["rows"]), int(parts["cols"])
        values = np.array(parts["data"].replace(",", " ").split(), np.float64)
    except ValueError:
        raise ValueError(f"the matrix {name!a} has a value that is not a number") from None
    if len(values) != shape[0] * shape[1]:
        raise ValueError(f"the matrix {name!a} must have {shape[0]} x {shape[1]} values, but has {len(values)}")
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = values.astype(_TYPES[letter])
    if matrix.dtype.kind in "iu" and not np.array_equal(matrix, values):
        raise ValueError(f"the matrix {name!a} has a value that its type {letter} cannot hold")
    return matrix.reshape(shape)
