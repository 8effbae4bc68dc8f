"""What an editor and a type checker know of `cvbow.`: its names load when they are used, so __init__.pyi tells them."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import jedi
import pytest

import cvbow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_cache_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("jedi.settings.cache_directory", str(tmp_path))


def test_the_stub_names_what_the_package_has() -> None:
    tree = ast.parse((ROOT / "cvbow" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    stub = {alias.name: node.module for node in imports for alias in node.names if alias.asname == alias.name}
    assert stub == cvbow._HOME
    assert all(name in importlib.import_module(home).__all__ for name, home in cvbow._HOME.items())


def editor(code: str) -> jedi.Script:
    return jedi.Script(code, environment=jedi.InterpreterEnvironment())


def test_an_editor_completes_the_names() -> None:
    found = {completion.name for completion in editor("import cvbow\ncvbow.").complete()}
    assert found >= set(cvbow.__all__)
    assert [completion.name for completion in editor("import cvbow\ncvbow.Bag").complete()] == [
        "BagEncoder",
        "BagOfWords",
    ]


@pytest.mark.parametrize("name", ["BagEncoder", "ImageClassifier", "ImageIndex", "list_images", "make_model"])
def test_an_editor_shows_the_parameters(name: str) -> None:
    (signature,) = editor(f"import cvbow\ncvbow.{name}(").get_signatures()
    expected = inspect.signature(getattr(cvbow, name)).parameters
    assert [parameter.name for parameter in signature.params] == list(expected)
    assert signature.docstring().strip()


def test_a_type_checker_knows_the_names(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy, of the dependency group lint")
    script = tmp_path / "script.py"
    script.write_text("import cvbow\ncvbow.BagEncoder()\nreveal_type(cvbow.LinearSVM())\ncvbow.BagEncodr\n")
    done = subprocess.run([sys.executable, "-m", "mypy", script], cwd=ROOT, capture_output=True, text=True, check=False)
    first, second, third, *_ = done.stdout.splitlines()
    assert 'Missing positional arguments "extractor", "encoder" in call to "BagEncoder"' in first
    assert 'Revealed type is "cvbow.classify.' in second
    assert 'Module has no attribute "BagEncodr"' in third
