"""What the layout promises: an order of layers, doors between them, no circles, an import that costs little."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"cvbow": ROOT / "cvbow", "cvbow_cli": ROOT / "cli" / "cvbow_cli"}

# A layer imports from the tiers above its own in this list; layers of one tier do not know each other.
TIERS = (
    {"errors", "files"},
    {"_checks", "_toml", "storage", "tables"},
    {"progress"},
    {"parallel", "registry"},
    {"model_files"},
    {"images"},
    {"annotations", "augmentation", "networks"},
    {"features"},
    {"dictionary"},
    {"encoders"},
    {"backends"},
    {"classify", "matching"},
    {"detection", "explanation", "retrieval", "segmentation"},
    {"index", "localization"},
    {"duplicates"},
    {"datasets", "presets"},
    {"audit", "export", "tuning"},
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


@functools.cache
def nodes(source: str) -> list[ast.AST]:
    """All of a file's syntax tree; several tests look at every file."""
    return list(ast.walk(ast.parse(source)))


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


def imported_modules(source: str, module: str, *, is_package: bool) -> list[tuple[int, str]]:
    """Every module a file imports, wherever the statement stands, as (line, absolute dotted name)."""
    found = []
    for node in nodes(source):
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
    for line, target in imported_modules(source, module, is_package=is_package):
        other = layer_of(target)
        if target == "cvbow.__version__" or layer == "cvbow_cli":
            continue
        if target == "cvbow" or (other is not None and other not in RANK):
            problems.append(f"line {line}: {module} imports {target}: import from the module that defines it")
        elif other is not None and other != layer and RANK[other] >= RANK[layer]:
            problems.append(f"line {line}: {module} imports {target}")
    return problems


def test_contributing_tells_the_order() -> None:
    tiers = [sorted(layer for layer in tier if not is_private(layer)) for tier in TIERS]
    told = " < ".join(tier[0] if len(tier) == 1 else f"{{{', '.join(tier)}}}" for tier in tiers)
    assert f"\n`{told}`\n" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), told


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


def test_no_two_files_import_each_other() -> None:
    assert not circles(imports_of_files()), "\n".join(" <-> ".join(circle) for circle in circles(imports_of_files()))


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d"}}) == [["b", "c"], ["d"]]


def imports_of_files() -> dict[str, set[str]]:
    """Which files of ours each file imports, wherever the statement stands, by their modules' names."""
    names = {module_name(path): path for path in source_files()}
    found: dict[str, set[str]] = {}
    for module, path in names.items():
        found[module] = set()
        for node in nodes(path.read_text(encoding="utf-8")):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names} & names.keys()
            elif isinstance(node, ast.ImportFrom) and node.module in names:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found[module] |= inner & names.keys()
                if not inner <= names.keys() and node.module != "cvbow":  # the package itself has only its version
                    found[module].add(node.module)
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes from each of which all others of the group can be reached."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(edges[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += edges[node]
        return seen

    reach = {node: reached(node) for node in edges}
    groups = {tuple(sorted(other for other in reach[node] if node in reach[other])) for node in edges}
    return sorted(list(group) for group in groups if group)


def room_of(module: str) -> str:
    """The package whose private names a module may use: ``cvbow.images``, or ``cvbow`` for its own modules."""
    parts = module.split(".")
    is_package = len(parts) > 1 and (PACKAGES["cvbow"] / parts[1]).is_dir()
    return ".".join(parts[:2]) if parts[0] == "cvbow" and is_package else parts[0]


def is_private(name: str) -> bool:
    # os._exit is public, whatever its name.
    return name.startswith("_") and not name.startswith("__") and name != "_exit"


def foreign_private_imports(source: str, module: str) -> list[str]:
    """Imports of another package's underscored modules and names."""
    problems = []
    for node in nodes(source):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            targets = [[*(node.module or "").split("."), alias.name] for alias in node.names]
        else:
            continue
        for parts in targets:
            if parts[0] not in PACKAGES:
                continue
            private = next((n for n, part in enumerate(parts) if is_private(part)), None)
            # A private name belongs to the package that it lies in, with all that is in that package.
            if private is not None and not f"{module}.".startswith(f"{'.'.join(parts[:private])}."):
                problems.append(f"line {node.lineno}: {module} imports {'.'.join(parts)}")
    return problems


def private_names_defined(source: str) -> set[str]:
    """Underscored names that a file defines: functions, methods, attributes of self, fields, constants."""
    found = set()
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return {name for name in found if is_private(name)}


def foreign_private_uses(source: str, module: str, own: set[str]) -> list[str]:
    """Underscored attributes of objects of which the module's package does not define one of that name."""
    problems = []
    for node in nodes(source):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr) or node.attr in own:
            continue
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
            problems.append(f"line {node.lineno}: {module} uses {ast.unparse(node)}")
    return problems


def own_private_names() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in source_files():
        found[room_of(module_name(path))] |= private_names_defined(path.read_text(encoding="utf-8"))
    return found


def test_private_names_stay_in_their_package() -> None:
    own = own_private_names()
    problems = []
    for path in source_files():
        source, module = path.read_text(encoding="utf-8"), module_name(path)
        # A package's __init__ is inside of it.
        inside = f"{module}.__init__" if path.name == "__init__.py" else module
        found = foreign_private_imports(source, inside) + foreign_private_uses(source, module, own[room_of(module)])
        problems += [f"{path.relative_to(ROOT)}, {problem}" for problem in found]
    assert not problems, "\n".join(problems)


def test_no_class_redefines_a_private_name_of_another_package() -> None:
    problems = []
    for cls in sorted(own_classes(), key=repr):
        for base in cls.__mro__[1:]:
            if base.__module__.partition(".")[0] in PACKAGES and room_of(base.__module__) != room_of(cls.__module__):
                shared = {name for name in vars(cls).keys() & vars(base).keys() if is_private(name)} - PYTHONS_OWN
                problems += [f"{cls.__module__}.{cls.__name__} redefines {base.__name__}.{name}" for name in shared]
    assert not problems, "\n".join(problems)


#: Private by their names alone: what ``abc``, ``typing`` and scikit-learn put into classes.
PYTHONS_OWN = {
    "_abc_impl",
    "_is_protocol",
    "_sklearn_auto_wrap_output_keys",
    "_build_request_for_signature",
    "_get_default_requests",
}


def own_classes() -> Iterator[type]:
    for path in source_files():
        module = module_name(path)
        for cls in vars(importlib.import_module(module)).values():
            if inspect.isclass(cls) and cls.__module__ == module:
                yield cls


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("cvbow.encoders.vlad", "from cvbow.dictionary._clusters import check_descriptors"),
        ("cvbow.encoders.vlad", "from cvbow.dictionary import _clusters"),
        ("cvbow.encoders.vlad", "from cvbow.dictionary.kmeans import _seed"),
        ("cvbow_cli.train", "from cvbow._checks import check_int"),
        ("cvbow.images.__init__", "import cvbow.features._grid"),
    ],
)
def test_an_import_of_a_foreign_private_name_is_found(module: str, statement: str) -> None:
    assert foreign_private_imports(statement, module)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("cvbow.encoders.vlad", "from cvbow.encoders._pooling import POOLINGS"),
        ("cvbow.encoders.__init__", "from cvbow.encoders._encoder import Encoder"),
        ("cvbow.encoders.vlad", "from cvbow._checks import check_int"),
        ("cvbow.encoders.vlad", "from cvbow import __version__"),
        ("cvbow.encoders.vlad", "from sklearn.utils._param_validation import Interval"),
    ],
)
def test_an_import_of_an_own_private_name_is_allowed(module: str, statement: str) -> None:
    assert not foreign_private_imports(statement, module)


def test_uses_of_foreign_private_attributes_are_told_from_own_ones() -> None:
    own = private_names_defined("class A:\n    def _mine(self): self._kept = 1")
    assert own == {"_mine", "_kept"}
    assert foreign_private_uses("other._theirs()", "cvbow.images.reading", own)
    assert not foreign_private_uses(
        "other._mine(); self._theirs; other.__class__; a._kept", "cvbow.images.reading", own
    )


#: Attributes that may be asked for by a name in quotes, by the reason.
ASKED_BY_NAME: dict[str, set[tuple[str, str]]] = {
    "a class that users register need not be derived from one of cvbow's": {
        ("cvbow/_checks.py", "getattr(part, 'check_params', None)"),
        ("cvbow/classify/_any_classifier.py", "getattr(classifier, 'learns_from_files', False)"),
        ("cvbow/storage/_classes.py", "getattr(cls, 'added', {})"),
        ("cvbow/storage/_classes.py", "getattr(cls, 'learned', {})"),
        ("cvbow/storage/_classes.py", "getattr(cls, 'transient', {})"),
        ("cvbow/storage/_scikit_learn.py", "getattr(type(estimator), '_parameter_constraints', None)"),
        ("cvbow/segmentation/segmenter.py", "hasattr(classifier, 'fit')"),
        ("cvbow/segmentation/segmenter.py", "hasattr(classifier, 'predict_proba')"),
        ("cvbow/storage/_scikit_learn.py", "hasattr(part, 'fit')"),
        ("cvbow/storage/_classes.py", "getattr(cls, 'unstored', ())"),
        ("cvbow/storage/_classes.py", "hasattr(cls, 'check_state')"),
        ("cvbow/storage/_deserializer.py", "hasattr(cls, 'get_params')"),
    },
    "a dictionary may be any estimator that learns words_": {
        ("cvbow/dictionary/base.py", "getattr(dictionary, 'n_jobs', None)"),
        ("cvbow/dictionary/base.py", "hasattr(dictionary, 'fit')"),
        ("cvbow/dictionary/base.py", "hasattr(dictionary, 'nearest_words')"),
    },
    "a callable need not have a name": {
        ("cvbow/features/functions.py", "getattr(function, '__qualname__', type(function).__name__)"),
    },
    "Python's own protocol of descriptors": {
        ("cvbow/storage/_classes.py", "hasattr(type(found), '__get__')"),
    },
    "not every version of a library, and not every system, has it": {
        ("cvbow/classify/_training_vectors.py", "hasattr(os, 'posix_fallocate')"),
        ("cvbow/experiments/environment.py", "hasattr(os, 'getloadavg')"),
        ("cvbow/features/_opencv.py", "getattr(cv2, 'xfeatures2d', None)"),
        ("cvbow/files.py", "getattr(os, 'O_NONBLOCK', 0)"),
        ("cvbow/features/_opencv.py", "hasattr(kind, 'create')"),
        ("cvbow/parallel/_threads.py", "getattr(library, 'clear_controlling_thread', None)"),
        ("cvbow/retrieval/hamming_embedding.py", "getattr(np, 'bitwise_count', _count_bits)"),
        ("cvbow/files.py", "getattr(os, 'O_NONBLOCK', 0)"),
        ("cvbow/storage/_atomic.py", "getattr(os, 'O_BINARY', 0)"),
        ("cvbow/storage/_atomic.py", "getattr(os, 'O_NOFOLLOW', 0)"),
    },
    "each thread has its own attributes in a threading.local": {
        ("cvbow/networks/engines.py", "hasattr(self.local, 'net')"),
    },
    "a data frame is known by its columns, of whatever package it is": {
        ("cvbow/classify/label_sets.py", "getattr(y, 'columns', None)"),
    },
    "a pipeline of scikit-learn has steps, other classifiers have none": {
        ("cvbow/classify/registry.py", "getattr(classifier, 'steps', None)"),
    },
}


def asked_by_name(source: str) -> list[tuple[int, str]]:
    """Calls of getattr, hasattr and setattr with a literal name, as (line, text)."""
    return [
        (node.lineno, ast.unparse(node))
        for node in nodes(source)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "hasattr", "setattr")
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    ]


def test_what_parts_tell_each_other_is_declared() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in source_files()
        for _, text in asked_by_name(path.read_text(encoding="utf-8"))
    }
    allowed = set().union(*ASKED_BY_NAME.values())
    unknown, gone = found - allowed, allowed - found
    assert not unknown, f"declare the attribute in a base class, or give the reason in ASKED_BY_NAME: {sorted(unknown)}"
    assert not gone, f"no longer in the code: {sorted(gone)}"


def test_a_literal_name_is_found() -> None:
    assert asked_by_name("x = getattr(a, 'b', None)") == [(1, "getattr(a, 'b', None)")]
    assert not asked_by_name("getattr(a, name)")


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
