"""What the layout promises: an order of layers, files of a readable length, an import that costs little."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"cvbow": ROOT / "cvbow", "cvbow_cli": ROOT / "cli" / "cvbow_cli"}
MAX_LINES = 600

# A layer imports from the tiers above its own in this list; layers of one tier do not know each other.
TIERS = (
    {"errors", "files"},
    {"_checks", "_toml", "storage", "tables"},
    {"parallel", "registry"},
    {"images"},
    {"augmentation", "networks"},
    {"features"},
    {"dictionary"},
    {"encoders"},
    {"backends"},
    {"classify", "matching"},
    {"retrieval"},
    {"index"},
    {"duplicates"},
    {"datasets", "presets"},
    {"demo", "experiments"},
    {"report"},
    {"cvbow_cli"},
)
RANK = {layer: rank for rank, tier in enumerate(TIERS) for layer in tier}

HEAVY_FOR_THE_LIBRARY = ("click", "matplotlib", "onnxruntime", "pandas", "sklearn.svm", "torch")
HEAVY_FOR_HELP = (*HEAVY_FOR_THE_LIBRARY[1:], "cv2", "scipy", "sklearn")


def source_files() -> list[Path]:
    files = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))
    assert files, "no source files: the test looks in the wrong place"
    return files


def layer_of(module: str) -> str | None:
    """The layer a dotted module belongs to; None for `cvbow` itself and for what is not ours."""
    parts = module.split(".")
    if parts[0] == "cvbow_cli":
        return "cvbow_cli"
    return parts[1] if parts[0] == "cvbow" and len(parts) > 1 else None


def module_name(path: Path) -> str:
    name, folder = next((n, f) for n, f in PACKAGES.items() if path.is_relative_to(f))
    parts = [name, *path.relative_to(folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(tree: ast.AST, module: str, *, is_package: bool) -> list[tuple[int, str]]:
    """Every module a file imports, wherever the statement stands, as (line, absolute dotted name)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: len(module.split(".")) + is_package - node.level]
                base = ".".join([*above, base] if base else above)
            # "from cvbow import images" names a layer; "from cvbow import __version__" the package itself.
            found += [(node.lineno, f"{base}.{alias.name}" if base == "cvbow" else base) for alias in node.names]
    return found


def broken_order(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """The imports of one file that go against the order of the layers."""
    layer = layer_of(module)
    if layer is None:
        return []
    problems = []
    for line, target in imported_modules(ast.parse(source), module, is_package=is_package):
        other = layer_of(target)
        if target == "cvbow.__version__" or layer == "cvbow_cli":
            continue
        if target == "cvbow" or (other is not None and other not in RANK):
            problems.append(f"line {line}: {module} imports {target}: import from the module that defines it")
        elif other is not None and other != layer and RANK[other] >= RANK[layer]:
            problems.append(f"line {line}: {module} imports {target}")
    return problems


def test_every_module_has_a_place_in_the_order() -> None:
    found = {layer for path in source_files() if (layer := layer_of(module_name(path))) is not None}
    assert found <= set(RANK), f"give these a tier in TIERS: {sorted(found - set(RANK))}"


def test_layers_import_only_from_the_layers_before_them() -> None:
    problems = [
        f"{path.relative_to(ROOT)}, {problem}"
        for path in source_files()
        for problem in broken_order(
            path.read_text(encoding="utf-8"), module_name(path), is_package=path.name == "__init__.py"
        )
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("cvbow.errors", "import cvbow.parallel"),
        ("cvbow.images.reading", "from cvbow.features import SIFT"),
        ("cvbow.images.reading", "from ..features.sift import SIFT"),
        ("cvbow.images.reading", "from cvbow import features"),
        ("cvbow.images.reading", "def f():\n    from .. import encoders"),
        ("cvbow.classify.image", "from ..retrieval import ImageIndex"),
        ("cvbow.classify.image", "from cvbow import ImageClassifier"),
        ("cvbow.classify.image", "import cvbow"),
        ("cvbow.report.page", "from cvbow_cli.main import cli"),
    ],
)
def test_an_import_to_the_right_is_found(module: str, statement: str) -> None:
    assert broken_order(statement, module)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("cvbow.classify.image", "from ..backends import BagEncoder"),
        ("cvbow.classify.image", "from .metrics import evaluate"),
        ("cvbow.storage.container", "from cvbow import __version__"),
        ("cvbow.images.reading", "import cv2, numpy as np"),
        ("cvbow_cli.main", "from cvbow import ImageClassifier"),
    ],
)
def test_an_import_to_the_left_is_allowed(module: str, statement: str) -> None:
    assert not broken_order(statement, module)


def test_a_package_resolves_its_own_relative_imports() -> None:
    assert broken_order("from ..features import SIFT", "cvbow.images", is_package=True)
    assert not broken_order("from .features import grid", "cvbow.images", is_package=True)


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    long = {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > MAX_LINES}
    assert not long, f"more than {MAX_LINES} lines: split by concept: {long}"


def loaded_after(code: str) -> tuple[set[str], str]:
    """The modules in memory after `code` ran in a fresh interpreter, and all that it printed."""
    marker = "modules loaded: "
    report = f"import sys, json\nprint({marker!r} + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed, _, modules = done.stdout.rpartition(marker)
    return set(json.loads(modules)), printed + done.stderr


def test_import_is_light_and_quiet() -> None:
    loaded, printed = loaded_after("import cvbow")
    assert "cvbow" in loaded
    assert not loaded.intersection(HEAVY_FOR_THE_LIBRARY)
    assert printed == ""


def test_help_loads_no_scientific_library() -> None:
    loaded, printed = loaded_after("from cvbow_cli.main import cli\ncli(['--help'], standalone_mode=False)")
    assert "Usage:" in printed
    assert not loaded.intersection(HEAVY_FOR_HELP)


def test_every_public_name_resolves() -> None:
    import cvbow

    assert len(set(cvbow.__all__)) == len(cvbow.__all__)
    missing = [name for name in cvbow.__all__ if not hasattr(cvbow, name)]
    assert not missing
    assert set(cvbow.__all__) <= set(dir(cvbow))


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import cvbow

    with pytest.raises(AttributeError, match="no_such_name"):
        cvbow.no_such_name  # noqa: B018
