"""By what a file that cvbow has written is known again: not by its name, but by its first bytes."""

from __future__ import annotations

import contextlib
import os
import re

from cvbow.files import open_file

#: What a picture has in its field "Software", a page in its meta element "generator", and a JSON file as its first key.
GENERATOR = "cvbow"
#: What each array of a file of heat maps has in a field of its entry.
HEAT_MARK = b"cvbow-heat"

_HEAD = 4096
_MODEL = re.compile(
    rb'PK\x03\x04.{26}manifest\.json.{20}\{"format":"cvbow","format_version":[0-9]+,"kind":"([a-z]{1,40})"', re.DOTALL
)
_KINDS = {
    "picture": re.compile(rb"\x89PNG\r\n\x1a\n.*?tEXtSoftware\x00" + GENERATOR.encode(), re.DOTALL),
    "page": re.compile(rb'<!DOCTYPE html>.*?<meta name="generator" content="' + GENERATOR.encode() + rb'"', re.DOTALL),
    "summary": re.compile(rb'\{\s*"generator": "' + GENERATOR.encode() + rb'"'),
    "result": re.compile(rb'\{\s*"kind": "cvbow-'),
    "objects": re.compile(
        rb'(?:\{\s*"info": \{\s*"generator": "|<annotation>\s*<source>\s*<database>)' + GENERATOR.encode() + rb'["<]'
    ),
    "heat": re.compile(rb"PK\x03\x04.*?\x63\x62\x0a\x00" + HEAT_MARK, re.DOTALL),
    "recipes": re.compile(rb'generator = "' + GENERATOR.encode() + rb'"'),
    # The head of a message: field 1, the version of the format, and field 2, who made it.
    "onnx": re.compile(rb"\x08[\x00-\x7f]\x12" + bytes([len(GENERATOR)]) + GENERATOR.encode()),
    "manifest": re.compile(rb'\{"format":"cvbow-index"'),
}


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Tell what of cvbow's a file is: the kind of a model file, "picture", "page", "summary" of a set of images,
    "result" of a benchmark, "heat" of maps, "objects" found on images, "recipes" of models, "onnx" for an exported
    model, or "manifest" of an index.

    Only its head is read: one that is damaged further on is still cvbow's. None where it is something else, or cannot
    be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow.storage import kind_of, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "example.cvbow")
    ...     _ = save(path, kind="example", state=None, metadata={})
    ...     kind_of(path)
    'example'
    """
    head = b""
    with contextlib.suppress(OSError), open_file(path) as file:
        head = file.read(_HEAD)
    model = _MODEL.match(head)
    if model is not None:
        return model[1].decode()
    return next((kind for kind, mark in _KINDS.items() if mark.match(head)), None)


def check_suffix(path: str | os.PathLike[str], *suffixes: str) -> None:
    """Raise ValueError unless the path ends in one of the suffixes: a file's name must not belie its format."""
    if os.path.splitext(path)[1].casefold() not in suffixes:
        raise ValueError(f"the file to write must end in {' or '.join(suffixes)}, got {os.fspath(path)!r}")
