"""Arguments that are not there, were swapped, or are of another kind: of each is told what it is, and who takes it."""

from __future__ import annotations

import os
from typing import Any

import click

from cvbow import storage
from cvbow.images import IMAGE_SUFFIXES
from cvbow.tables import printable

__all__ = ["IndexPath", "InputPath", "ModelPath", "argument_model", "refuse_as_images"]

#: What a file or a folder is, by the kind that ``storage.kind_of`` knows, and what to do with it.
_KINDS = {
    "classifier": ("a model of images' classes", "cvbow predict takes it"),
    "detector": ("a detector of objects", "cvbow detect run takes it"),
    "segmenter": ("a model of pixels", "cvbow segment apply takes it"),
    "index": ("an index of images", "cvbow index search takes it"),
    "onnx": ("an exported model", "it is for ONNX Runtime; cvbow takes the .cvbow file that it was made of"),
    "image": ("an image", "the model comes first, then the images"),
    "csv": ("a table", "the model comes first; cvbow train makes one of a table of images"),
    "folder": ("a folder", "the model is a file, and comes first"),
}
_MODELS = ("classifier", "detector", "segmenter")


def _kind_of(path: str) -> str | None:
    """Tell what is at a path; None where that is not known, or nothing is there."""
    if os.path.isdir(path):
        is_index = storage.kind_of(os.path.join(path, "manifest.json")) == "manifest"
        return "index" if is_index else "folder"
    suffix = os.path.splitext(path)[1].casefold()
    kind = storage.kind_of(path)
    if kind in (*_MODELS, "onnx"):
        return kind
    return "image" if suffix in IMAGE_SUFFIXES else "csv" if suffix == ".csv" else None


def _said(path: str, kind: str) -> str:
    what, advice = _KINDS[kind]
    return f"{printable(path)} is {what}: {advice}"


class InputPath(click.Path):
    """The path of what a command reads, which is there."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=True, file_okay=file_okay, dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the path; that nothing is there is said as the library says it."""
        if not os.path.exists(value):
            what = " or ".join(["file"] * self.file_okay + ["folder"] * self.dir_okay)
            self.fail(f"{printable(os.fsdecode(value))}: there is no such {what}", param, ctx)
        return super().convert(value, param, ctx)


class ModelPath(InputPath):
    """The path of a model file, which is there; ``kind`` is what it holds, None for any."""

    def __init__(self, kind: str | None = "classifier") -> None:
        super().__init__()
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the path; a file that is no file of cvbow's, or a damaged one, is told by who reads it."""
        path = os.fsdecode(super().convert(value, param, ctx))
        kind = _kind_of(path)
        if kind is not None and kind != self.kind and not (self.kind is None and kind in _MODELS):
            self.fail(_said(path, kind), param, ctx)
        return path


class IndexPath(InputPath):
    """The path of an index, which is there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the path; a folder that is no index is told by who reads it."""
        path = os.fsdecode(super().convert(value, param, ctx))
        kind = _kind_of(path)
        if kind == "image":
            self.fail(f"{printable(path)} is an image: the index comes first, then the images", param, ctx)
        if kind in _MODELS:
            self.fail(_said(path, kind), param, ctx)
        return path


argument_model = click.argument("model", metavar="MODEL", type=ModelPath())


def refuse_as_images(path: str) -> None:
    """Raise UsageError for a model or an index in the place of images."""
    if os.path.splitext(path)[1].casefold() not in IMAGE_SUFFIXES:
        kind = _kind_of(path)
        if kind in (*_MODELS, "index"):
            raise click.UsageError(f"{printable(path)} is {_KINDS[kind][0]}, where images are expected")
