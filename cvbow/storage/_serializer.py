"""Python values and estimators as a tree of plain JSON values.

None, bool, int, finite float, str, list and dict with str keys stand for themselves. Everything else is an object
whose key ``"$"`` names its kind: ``float`` (inf and nan), ``tuple``, ``dict``, ``scalar``, ``dtype``, ``array``,
``csr``, ``object``, ``tree``. Arrays are numbered in the order in which they are met and kept beside the tree.
"""

from __future__ import annotations

import inspect
import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.storage._classes import added, check_attribute, is_cache, left_out, stored_name, transient
from cvbow.storage.arrays import dtype_spec, storable, stored_dtype

MAX_DEPTH = 50
SCALARS: dict[str, Any] = {
    np.dtype(code).name: np.dtype(code).type for code in ("?", *"bBhHiI", "i8", "u8", "f2", "f4", "f8", "c8", "c16")
}
"""NumPy's scalar types by name, str aside."""

_MAX_INT_BITS = 4096  # Python itself refuses to parse integers of more than 4300 digits


class Serializer:
    """Turns values into a tree, and collects the ``arrays`` that its entries refer to, ready to be written.

    With ``plain``, arrays and objects are refused and NumPy scalars become Python's: for what a reader shows without
    building.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        self.arrays: list[NDArray[Any]] = []
        self._open: set[int] = set()

    def serialize(self, value: object, where: str) -> Any:
        """Serialize one value; `where` names it in errors.

        TypeError for a value of a type that a model file cannot hold; ValueError for one that contains itself, is
        nested too deep, or cannot be kept exactly.
        """
        if value is None or type(value) is bool:
            return value
        if type(value) is int:
            if value.bit_length() > _MAX_INT_BITS:
                raise ValueError(f"{where} must be an integer of at most {_MAX_INT_BITS} bits")
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$": "float", "value": str(value)}
        if type(value) is str:
            return _check_text(value, where)
        if isinstance(value, np.generic):
            return self._scalar(value, where)
        if isinstance(value, os.PathLike):
            return self.serialize(os.fspath(value), where)  # comes back as text
        if id(value) in self._open:
            raise ValueError(f"{where} contains itself")
        if len(self._open) >= MAX_DEPTH:
            raise ValueError(f"{where} is nested more than {MAX_DEPTH} levels deep")
        self._open.add(id(value))
        try:
            return self._container(value, where)
        finally:
            self._open.remove(id(value))

    def _container(self, value: object, where: str) -> Any:
        if type(value) is list:
            return [self.serialize(item, f"{where}[{i}]") for i, item in enumerate(value)]
        if type(value) is tuple:
            return {"$": "tuple", "items": [self.serialize(item, f"{where}[{i}]") for i, item in enumerate(value)]}
        if type(value) is dict:
            return self._dict(value, where)
        if not self.plain:
            if isinstance(value, np.ndarray):
                return self._array(value, where)
            if isinstance(value, np.dtype):
                return {"$": "dtype", "value": dtype_spec(stored_dtype(value, where))}
            if type(value).__module__.startswith("scipy.sparse"):
                return self._sparse(value, where)
            if (type(value).__module__, type(value).__name__) == ("sklearn.tree._tree", "Tree"):
                return self._tree(value, where)
            name = stored_name(type(value))
            if name is not None:
                return self._object(value, name, where)
        raise TypeError(f"{where} is {_refused(value)}{' in its metadata' * self.plain}")

    def _scalar(self, value: np.generic, where: str) -> Any:
        name = "str" if isinstance(value, np.str_) else value.dtype.name
        if name != "str" and name not in SCALARS:
            raise TypeError(f"{where} is a numpy.{type(value).__name__}, which a model file cannot hold")
        plain = value.item()
        if self.plain:
            return self.serialize(plain, where)
        parts = [plain.real, plain.imag] if isinstance(plain, complex) else plain
        return {"$": "scalar", "type": name, "value": self.serialize(parts, where)}

    def _dict(self, value: dict[Any, Any], where: str) -> Any:
        if all(type(key) is str for key in value) and "$" not in value:
            return {_check_text(key, where): self.serialize(item, f"{where}[{key!r}]") for key, item in value.items()}
        items = []
        for key, item in value.items():
            if type(key) is not str and type(key) is not int and not isinstance(key, np.integer | np.str_):
                raise TypeError(f"{where} has the key {key!r}; a model file holds dicts with str and int keys only")
            items.append([self.serialize(key, f"a key of {where}"), self.serialize(item, f"{where}[{key!r}]")])
        return {"$": "dict", "items": items}

    def _array(self, value: NDArray[Any], where: str) -> Any:
        if type(value) is not np.ndarray and type(value) is not np.memmap:
            raise TypeError(f"{where} is a {type(value).__name__}; a model file holds plain arrays only")
        self.arrays.append(storable(np.asarray(value), where))
        return {"$": "array", "index": len(self.arrays) - 1}

    def _sparse(self, value: Any, where: str) -> Any:
        if type(value).__name__ != "csr_matrix":
            raise TypeError(f"{where} is a {type(value).__name__}; a model file holds only csr_matrix")
        # SciPy picks the index type when it builds one, so the one that it would pick is what has to be written.
        small = max(*value.shape, value.nnz) <= np.iinfo(np.int32).max
        index = np.dtype(np.int32 if small else np.int64)
        tree: dict[str, Any] = {"$": "csr", "shape": [int(n) for n in value.shape]}
        for part, dtype in (("data", value.data.dtype), ("indices", index), ("indptr", index)):
            tree[part] = self._array(getattr(value, part).astype(dtype, copy=False), f"{where}.{part}")
        return tree

    def _tree(self, value: Any, where: str) -> Any:
        if value.n_outputs != 1:
            raise TypeError(f"{where} is a tree with {value.n_outputs} outputs; a model file holds trees with one")
        state = value.__getstate__()
        tree: dict[str, Any] = {"$": "tree", "n_features": int(value.n_features)}
        tree |= {"n_classes": int(value.max_n_classes), "max_depth": int(value.max_depth)}
        return tree | {part: self._array(state[part], f"{where}.{part}") for part in ("nodes", "values")}

    def _object(self, value: object, name: str, where: str) -> Any:
        never, replaced, later = left_out(type(value)), transient(type(value)), added(type(value))
        state: dict[str, Any] = {}
        # Sorted: the order in which `fit` happened to set its attributes is no part of the model.
        for key in sorted(vars(value)):
            item = replaced.get(key, vars(value)[key])
            as_before = key in later and type(item) is type(later[key]) and item == later[key]
            if key not in never and not as_before and not is_cache(key, type(value)):
                check_attribute(key, type(value))
                state[key] = self.serialize(item, f"{where}.{key}")
        return {"$": "object", "class": name, "state": state}


def _refused(value: object) -> str:
    """Say what a value is, and where it is a part of somebody's own, what would let a model file hold it."""
    if inspect.isroutine(value):
        name = f"{value.__module__}.{value.__qualname__}"
        return f"the function {name}, which a model file cannot hold: make it a class, and register that"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    advice = ""
    if type(value).__module__.partition(".")[0] not in ("builtins", "cvbow", "numpy", "scipy", "sklearn"):
        advice = f": register the class, as in DETECTORS['name'] = {type(value).__name__}, or by cvbow.storage.storable"
    return f"a {kind}, which a model file cannot hold{advice}"


def _check_text(value: str, where: str) -> str:
    # JSON writes a character beyond the first 65,536 as two surrogates: two lone ones in a row would become one.
    if not value.isascii() and value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") != value:
        raise ValueError(f"{where} is a str with surrogates that stand for another character")
    return value
