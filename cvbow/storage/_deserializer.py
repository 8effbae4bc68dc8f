"""The tree of a model file as Python values and estimators.

An object is built only from a class that is registered, by ``cls.__new__(cls)`` and its ``__dict__``: no constructor,
no ``__setstate__`` (but that of scikit-learn's decision tree, once its state has been checked) and no function named
in the file ever runs.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.storage._classes import (
    added,
    build_object,
    check_attribute,
    find_class,
    left_out,
    name_in_version_1,
    transient,
)
from cvbow.storage._container import FORMAT_VERSION
from cvbow.storage._scikit_learn import build_tree
from cvbow.storage._serializer import MAX_DEPTH, SCALARS
from cvbow.storage.arrays import to_dtype

_REALS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_KEYS = {
    "array": ("index",),
    "csr": ("shape", "data", "indices", "indptr"),
    "dict": ("items",),
    "dtype": ("value",),
    "float": ("value",),
    "object": ("class", "state"),
    "scalar": ("type", "value"),
    "tree": ("n_features", "n_classes", "max_depth", "nodes", "values"),
    "tuple": ("items",),
}


class Deserializer:
    """Builds values from a tree; a refusal is a ValueError, whatever else a class makes of a forged state aside.

    ``arrays`` are those of the `Serializer`: a tree must use each of them once, in their order. With ``plain``, arrays
    and objects are refused, as the `Serializer` does. ``version`` is the file's format, and ``warnings`` tell what was
    made up for on the way.
    """

    def __init__(
        self, arrays: Sequence[NDArray[Any]] = (), *, plain: bool = False, version: int = FORMAT_VERSION
    ) -> None:
        self.warnings: list[str] = []
        self._kinds = ("dict", "float", "tuple") if plain else tuple(_KEYS)
        self._arrays = arrays
        self._version = version
        self._used = 0
        self._depth = 0

    def build(self, tree: object, where: str) -> Any:
        """Build one value; `where` names it in errors."""
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:  # one more than was written: the parts of a matrix or tree are entries too
            raise ValueError(f"{where} is nested more than {MAX_DEPTH} levels deep")
        try:
            if isinstance(tree, list):
                return [self.build(item, f"{where}[{i}]") for i, item in enumerate(tree)]
            if not isinstance(tree, dict):
                raise ValueError(f"{where} is not a JSON value")
            if "$" not in tree:
                return {key: self.build(item, f"{where}[{key!a}]") for key, item in tree.items()}
            kind = tree["$"]
            if not isinstance(kind, str) or tuple(tree) != ("$", *_KEYS.get(kind, ())) or kind not in self._kinds:
                raise ValueError(f"{where} is of a kind that is not known: {_show(kind)}")
            return getattr(self, f"_{kind}")(tree, where)
        finally:
            self._depth -= 1

    def finish(self) -> None:
        """ValueError where an array has not been used."""
        if self._used != len(self._arrays):
            raise ValueError("the file holds arrays that nothing refers to")

    def _float(self, tree: dict[str, Any], where: str) -> float:
        if not isinstance(tree["value"], str) or tree["value"] not in _REALS:
            raise ValueError(f"{where} is not a number: {_show(tree['value'])}")
        return _REALS[tree["value"]]

    def _tuple(self, tree: dict[str, Any], where: str) -> tuple[Any, ...]:
        return tuple(self.build(item, f"{where}[{i}]") for i, item in enumerate(_typed(tree["items"], list, where)))

    def _dict(self, tree: dict[str, Any], where: str) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for pair in _typed(tree["items"], list, where):
            if not isinstance(pair, list) or len(pair) != 2:
                raise ValueError(f"{where} has an entry that is not a pair")
            key = self.build(pair[0], f"a key of {where}")
            if isinstance(key, bool) or not isinstance(key, str | int | np.integer) or key in result:
                raise ValueError(f"{where} has a key that is repeated or neither str nor int")
            result[key] = self.build(pair[1], f"{where}[{key!a}]")
        return result

    def _scalar(self, tree: dict[str, Any], where: str) -> Any:
        name, value = tree["type"], self.build(tree["value"], where)
        if name == "str":
            return np.str_(_typed(value, str, where))
        if not isinstance(name, str) or name not in SCALARS:
            raise ValueError(f"{where} is a scalar of a type that is not known: {_show(name)}")
        dtype = np.dtype(name)
        if dtype.kind == "c":
            real, imag = (_typed(part, float, where) for part in _typed(value, list, where))
            value = complex(real, imag)
        else:
            _typed(value, {"b": bool, "i": int, "u": int, "f": float}[dtype.kind], where)
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            raise ValueError(f"{where} is out of the range of {name}")
        with np.errstate(over="ignore"):
            result = SCALARS[name](value)
        if result.item() != value and value == value:
            raise ValueError(f"{where} is not a value of {name}")
        return result

    def _dtype(self, tree: dict[str, Any], where: str) -> np.dtype[Any]:
        return to_dtype(tree["value"])

    def _array(self, tree: dict[str, Any], where: str) -> NDArray[Any]:
        if type(tree["index"]) is not int or tree["index"] != self._used or self._used >= len(self._arrays):
            raise ValueError(f"{where} refers to an array out of turn")
        self._used += 1
        return self._arrays[self._used - 1]

    def _csr(self, tree: dict[str, Any], where: str) -> Any:
        shape = _typed(tree["shape"], list, where)
        if len(shape) != 2 or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
            raise ValueError(f"{where} has a shape that is not that of a matrix")
        data, indices, indptr = (self._part(tree, part, where) for part in ("data", "indices", "indptr"))
        if data.ndim != 1 or data.dtype.kind not in "biufc" or indices.shape != data.shape:
            raise ValueError(f"{where} is not a sparse matrix: its data and indices do not fit")
        if any(part.dtype.kind != "i" or part.dtype.itemsize < 4 for part in (indices, indptr)):
            raise ValueError(f"{where} is not a sparse matrix: its indices are not integers")
        if indptr.shape != (shape[0] + 1,) or indptr[0] != 0 or indptr[-1] != len(data) or np.any(np.diff(indptr) < 0):
            raise ValueError(f"{where} is not a sparse matrix: its rows do not fit its data")
        if len(indices) and (indices.min() < 0 or indices.max() >= shape[1]):
            raise ValueError(f"{where} is not a sparse matrix: a column index is out of range")
        return importlib.import_module("scipy.sparse").csr_matrix((data, indices, indptr), shape=tuple(shape))

    def _tree(self, tree: dict[str, Any], where: str) -> Any:
        features, classes, depth = (_typed(tree[key], int, where) for key in ("n_features", "n_classes", "max_depth"))
        nodes, values = (self._part(tree, part, where) for part in ("nodes", "values"))
        return build_tree(features, classes, depth, nodes, values)

    def _object(self, tree: dict[str, Any], where: str) -> Any:
        name, state = _typed(tree["class"], str, f"the class of {where}"), tree["state"]
        if not isinstance(state, dict) or "$" in state:
            raise ValueError(f"{where} has no state")
        try:
            cls = find_class(name_in_version_1(name) if self._version == 1 else name)
        except ValueError as error:
            raise ValueError(f"{where} {error}") from error
        for key in state:
            check_attribute(key, cls)
            if key in left_out(cls):
                raise ValueError(f"{where} has the attribute {key}, which is never stored")
        attributes = {key: self.build(item, f"{where}.{key}") for key, item in state.items()}
        attributes |= {key: item for key, item in transient(cls).items() if key in attributes}
        attributes = {**added(cls), **attributes}
        attributes |= self._defaults(cls, attributes, where)
        return build_object(cls, attributes)

    def _defaults(self, cls: type, attributes: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Default values of the parameters that the class has got since the file was written."""
        found: dict[str, Any] = {}
        if not hasattr(cls, "get_params"):
            return found
        for parameter in inspect.signature(cls).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.name in attributes:
                continue
            if parameter.default is parameter.empty:
                raise ValueError(f"{where} lacks the parameter {parameter.name}")
            found[parameter.name] = parameter.default
            self.warnings.append(
                f"{where}: the file was written before {cls.__name__} had the parameter {parameter.name}; "
                f"its default {parameter.default!r} is used"
            )
        return found

    def _part(self, tree: dict[str, Any], part: str, where: str) -> NDArray[Any]:
        array = self.build(tree[part], f"{where}.{part}")
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{where}.{part} is not an array")
        return array


def holds_fitted_sklearn(tree: object) -> bool:
    """Tell whether a tree holds a scikit-learn estimator that has learned something."""
    if isinstance(tree, list):
        return any(holds_fitted_sklearn(item) for item in tree)
    if not isinstance(tree, dict):
        return False
    name, state = tree.get("class"), tree.get("state")
    is_sklearn = tree.get("$") == "object" and isinstance(name, str) and name.startswith("sklearn.")
    if is_sklearn and isinstance(state, dict) and any(key.endswith("_") and key[0] != "_" for key in state):
        return True
    return any(holds_fitted_sklearn(item) for item in tree.values())


def _typed(value: Any, kind: type, where: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{where} must be of type {kind.__name__}")
    return value


def _show(value: object) -> str:
    # What comes from a file is shown short and in ASCII, so that it cannot steer a terminal.
    return ascii(value)[:80]
