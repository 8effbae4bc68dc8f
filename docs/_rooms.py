"""The pages of the library: one for each room, made from what its ``__all__`` names."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import cvbow

#: The rooms in the order that an image goes through them, then what they stand on.
ROOMS = {
    "From files to pixels": ("images", "annotations", "augmentation", "datasets"),
    "From pixels to vectors": ("features", "dictionary", "encoders", "networks", "backends", "presets"),
    "From vectors to answers": ("classify", "detection", "segmentation", "localization"),
    "Reasons and reports": ("explanation", "report", "audit"),
    "Finding the same thing": ("matching", "retrieval", "index", "duplicates"),
    "Trials and export": ("tuning", "experiments", "export", "demo"),
    "The ground": ("errors", "storage", "model_files", "files", "parallel", "progress", "registry", "tables"),
}


def public_rooms() -> list[str]:
    """Every room of the library, as the folders say, whether a page names it or not."""
    return sorted(module.name for module in pkgutil.iter_modules(cvbow.__path__) if not module.name.startswith("_"))


def write_rooms(folder: Path) -> None:
    """Write ``index.rst`` and a page for each room; Sphinx makes those of classes and functions itself."""
    named = [room for rooms in ROOMS.values() for room in rooms]
    if sorted(named) != public_rooms():
        raise ValueError(f"docs/_rooms.py names the rooms {sorted(named)}, and cvbow has {public_rooms()}")
    folder.mkdir(exist_ok=True)
    for room in named:
        _write(folder / f"cvbow.{room}.rst", _room(room))
    _write(folder / "index.rst", _index())


def _write(path: Path, text: str) -> None:
    # A file that stays as it is is not read again by Sphinx.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _title(text: str, mark: str = "=") -> str:
    return f"{text}\n{mark * len(text)}\n"


def _index() -> str:
    lines = [
        _title("The library"),
        "Each room of the library has a page, in the order in which an image goes through them. What is imported most",
        "is in ``cvbow`` itself as well: " + ", ".join(_link(name) for name in sorted(cvbow._HOME)) + ".",
    ]
    for heading, rooms in ROOMS.items():
        lines += ["", _title(heading, "-"), ".. list-table::", "   :widths: 20 80", ""]
        for room in rooms:
            summary = (importlib.import_module(f"cvbow.{room}").__doc__ or "").split("\n\n")[0].replace("\n", " ")
            lines += [f"   * - :doc:`cvbow.{room}`", f"     - {summary}"]
        lines += ["", ".. toctree::", "   :hidden:", "", *(f"   cvbow.{room} <cvbow.{room}>" for room in rooms)]
    return "\n".join(lines) + "\n"


def _link(name: str) -> str:
    home = cvbow._HOME[name]
    value = getattr(cvbow, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        return f":py:obj:`~{home}.{name}`"
    return f":py:data:`~{home}.{name}`"


def _room(room: str) -> str:
    module = importlib.import_module(f"cvbow.{room}")
    found: dict[str, list[str]] = {"Classes": [], "Functions": [], "Values": []}
    for name in module.__all__:
        value = getattr(module, name)
        kind = "Classes" if inspect.isclass(value) else "Functions" if inspect.isroutine(value) else "Values"
        found[kind].append(name)
    lines = [_title(f"cvbow.{room}"), f".. currentmodule:: cvbow.{room}", "", inspect.cleandoc(module.__doc__ or "")]
    for kind in ("Classes", "Functions"):
        if found[kind]:
            lines += ["", _title(kind, "-"), ".. autosummary::", "   :nosignatures:"]
            # A class has a page of its own.
            lines += [*(["   :toctree: ."] if kind == "Classes" else []), "", *(f"   {name}" for name in found[kind])]
    lines += [f"\n.. autofunction:: {name}" for name in found["Functions"]]
    if found["Values"]:
        said = _comments(module, found["Values"])
        lines += ["", _title("Values", "-")]
        for name in found["Values"]:
            lines += [f".. py:data:: {name}", "", *(f"   {line}" for line in _value(module, name, said)), ""]
    return "\n".join(lines) + "\n"


def _value(module: ModuleType, name: str, said: dict[str, list[str]]) -> Iterator[str]:
    """What a constant or a registry is: the comment above it, and the names that it has or the value that it is."""
    yield from said.get(name, ())
    yield ""
    value: Any = getattr(module, name)
    if hasattr(value, "keys"):
        yield "Has " + ", ".join(f"``{key}``" for key in value) + "."
    elif len(text := repr(value)) <= 300 and " at 0x" not in text:
        yield f"``{text}``"


def _comments(module: ModuleType, values: list[str]) -> dict[str, list[str]]:
    """The comments ``#:`` above the values of a room, wherever in it they stand."""
    assigned = re.compile(rf"^(?:{'|'.join(values)})\b", re.MULTILINE)
    names = [module.__name__]
    if hasattr(module, "__path__"):
        names += [part.name for part in pkgutil.iter_modules(module.__path__, module.__name__ + ".")]
    found = {}
    for name in names:
        analyzer = ModuleAnalyzer.for_module(name)
        if not assigned.search(analyzer.code):
            continue  # a twentieth of a second for each of some three hundred modules
        for (scope, value), lines in analyzer.find_attr_docs().items():
            if not scope:
                found[value] = [line for line in lines if line]
    return found
