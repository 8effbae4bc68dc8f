"""What docstrings promise: examples that run, every parameter named, no public method without words."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import Any, is_typeddict

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "cvbow").rglob("*.py")}
WITH_EXAMPLES = sorted(module for module, path in FILES.items() if ">>> " in path.read_text(encoding="utf-8"))
ROOMS = sorted({room for module in FILES if not (room := module.split(".")[1]).startswith("_")})
PUBLIC: dict[str, Any] = {
    f"{room}.{name}": getattr(module, name)
    for room in ROOMS
    for module in [importlib.import_module(f"cvbow.{room}")]
    for name in module.__all__
}
CLASSES = [name for name, value in PUBLIC.items() if inspect.isclass(value) and not is_typeddict(value)]
FUNCTIONS = [name for name, value in PUBLIC.items() if inspect.isfunction(value)]


def ours(kind: type) -> list[type]:
    """The class and those of its bases that are cvbow's."""
    return [base for base in inspect.getmro(kind) if base.__module__.startswith("cvbow.")]


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(name, marks=pytest.mark.pandas if name == "cvbow.classify.answers" else ())
        for name in WITH_EXAMPLES
    ],
)
def test_examples_run_as_they_are_printed(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # With no names but its own, as in a reader's session.
    examples = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), globs={})
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    printed: list[str] = []
    for example in examples:
        runner.run(example, out=printed.append)
    assert not runner.failures, "".join(printed)
    assert runner.tries > 0
    assert not list(tmp_path.iterdir()), "examples leave no files"


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_an_example(name: str) -> None:
    assert "\nExamples\n--------\n>>> " in inspect.cleandoc(PUBLIC[name].__doc__)


@pytest.mark.parametrize("name", CLASSES + FUNCTIONS)
def test_every_parameter_is_named(name: str) -> None:
    """As an entry of a numpydoc section; in a short text of a function, by a word, unless there is but one."""
    described = ours(PUBLIC[name]) if name in CLASSES else [PUBLIC[name]]
    doc = "\n".join(inspect.cleandoc(part.__doc__ or "") for part in described)
    try:
        parameters = list(inspect.signature(PUBLIC[name]).parameters.values())
    except ValueError:  # of an exception that takes what any exception takes
        return
    has_section = name in CLASSES or "\nParameters\n---" in doc
    pattern = r"^([\w, ]+, )?{name}(, [\w, ]+)?( : .*)?$" if has_section else r"\b{name}\b"
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and not re.search(pattern.format(name=parameter.name), doc, re.MULTILINE)
    ]
    assert not missing or (len(parameters) == 1 and not has_section)


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_is_described(name: str) -> None:
    """In its own docstring or in that of what it overrides."""
    kinds = (property, classmethod, staticmethod, functools.cached_property)
    methods = {
        method
        for base in ours(PUBLIC[name])
        for method, value in vars(base).items()
        if not method.startswith("_")
        and method not in getattr(base, "__dataclass_fields__", ())
        and (inspect.isfunction(value) or isinstance(value, kinds))
    }
    assert not [method for method in sorted(methods) if not inspect.getdoc(getattr(PUBLIC[name], method))]
