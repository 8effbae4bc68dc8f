"""NumPy arrays as ``.npy`` bytes whose header is computed, never parsed.

``numpy.load`` reads what is written here. Reading goes the other way round: the manifest gives dtype, shape and
memory order, the header follows from them, and the bytes in the file must equal it. No header from a file is evaluated.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SCALAR = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<c(?:8|16)|<U[1-9][0-9]{0,6}")
_FIELD = re.compile(r"\|[iu]1|<[iu][248]|<f[248]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MAX_DIMENSIONS = 32  # NumPy 1 ends here; NumPy 2 would go to 64
_MAX_EMPTY = 1 << 31
_MAX_FIELDS = 64
_LAST_CODE_POINT = 0x10FFFF

Spec = str | list[list[str]]


@dataclass(frozen=True)
class ArrayRecord:
    """Dtype, shape and memory order of one array: all that its ``.npy`` header says.

    Attributes
    ----------
    dtype : numpy.dtype
        Little-endian bool, integer, float, complex or unicode, or a packed structure of integers and floats.
    shape : tuple of int
    fortran : bool
        Columns first. Kept because BLAS may round differently for the other order.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @classmethod
    def of(cls, array: NDArray[Any]) -> ArrayRecord:
        """Describe an array that `storable` returned."""
        return cls(array.dtype, array.shape, bool(array.flags.f_contiguous and not array.flags.c_contiguous))

    @classmethod
    def from_json(cls, record: object) -> ArrayRecord:
        """Check a record of a manifest; ValueError where it is not one that `to_json` gives."""
        if not isinstance(record, dict) or list(record) != ["dtype", "shape", "fortran"]:
            raise ValueError("an array's record must hold dtype, shape and fortran")
        shape, fortran = record["shape"], record["fortran"]
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("an array's shape must be a list of non-negative integers")
        if len(shape) > _MAX_DIMENSIONS or any(n >= 1 << 62 for n in shape):
            raise ValueError("an array's shape is out of bounds")
        # An empty array takes no bytes, so the length of the file does not bound its other axes.
        if 0 in shape and math.prod(n for n in shape if n) > _MAX_EMPTY:
            raise ValueError("an array's shape is out of bounds")
        if type(fortran) is not bool or (fortran and (sum(n != 1 for n in shape) < 2 or 0 in shape)):
            raise ValueError("an array's memory order is wrong for its shape")
        return cls(to_dtype(record["dtype"]), tuple(shape), fortran)

    def to_json(self) -> dict[str, Any]:
        """Give the record as it stands in the manifest."""
        return {"dtype": dtype_spec(self.dtype), "shape": list(self.shape), "fortran": self.fortran}

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, without the header."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def header(self) -> bytes:
        """The ``.npy`` header, version 1.0, padded to a multiple of 64 bytes."""
        spec = dtype_spec(self.dtype)
        descr = spec if isinstance(spec, str) else [tuple(field) for field in spec]
        text = f"{{'descr': {descr!r}, 'fortran_order': {self.fortran}, 'shape': {self.shape!r}, }}"
        text += " " * (-(len(text) + 11) % 64) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("ascii")

    def empty(self) -> NDArray[Any]:
        """Allocate the array; check `nbytes` against the file first."""
        return np.empty(self.shape, self.dtype, order="F" if self.fortran else "C")


def storable(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Give `array` in the form that is written: allowed dtype, little-endian, packed, contiguous, values unchanged.

    Arrays of objects that are all str (class names, often) become unicode arrays. A copy is made only where needed.

    Raises
    ------
    TypeError
        For a dtype that a model file cannot hold; the message begins with `where`.
    """
    if array.dtype == object:
        array = _strings(array, where)
    dtype = stored_dtype(array.dtype, where)
    if dtype.names is None:
        array = array.astype(dtype, copy=False)
    elif dtype != array.dtype:
        fields = array
        array = np.empty(fields.shape, dtype)
        for name in dtype.names:
            array[name] = fields[name]
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return array
    return array.copy(order="C")


def stored_dtype(dtype: np.dtype[Any], where: str) -> np.dtype[Any]:
    """Give the little-endian and packed form of a dtype; TypeError, beginning with `where`, where it has none."""
    if dtype.names is None:
        stored = dtype.newbyteorder("<")
    else:
        stored = np.dtype([(name, dtype[name].newbyteorder("<")) for name in dtype.names])
    try:
        to_dtype(dtype_spec(stored))
    except ValueError:
        raise TypeError(f"{where} has dtype {dtype}, which a model file cannot hold") from None
    return stored


def dtype_spec(dtype: np.dtype[Any]) -> Spec:
    """Give a stored dtype as it stands in the manifest; `to_dtype` is the way back."""
    if dtype.names is None:
        return dtype.str
    return [[name, dtype[name].str] for name in dtype.names]


def raw_bytes(array: NDArray[Any], *, c_order: bool = False) -> memoryview:
    """View a contiguous array as its bytes, in memory order or (at the price of a copy) in C order."""
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array) if c_order else array.T
    return array.reshape(-1).view(np.uint8).data


def check_values(array: NDArray[Any]) -> None:
    """ValueError for bytes that NumPy itself would never have written: a bool of 7, a character beyond Unicode."""
    if array.dtype.kind == "b" and np.any(np.frombuffer(raw_bytes(array), np.uint8) > 1):
        raise ValueError("an array of bool holds other values than 0 and 1")
    if array.dtype.kind == "U" and np.any(np.frombuffer(raw_bytes(array), "<u4") > _LAST_CODE_POINT):
        raise ValueError("an array of text holds characters that do not exist")


def to_dtype(spec: object) -> np.dtype[Any]:
    """Turn a manifest's dtype into NumPy's; ValueError for everything that a model file does not hold."""
    if isinstance(spec, str) and _SCALAR.fullmatch(spec):
        return np.dtype(spec)
    if isinstance(spec, list) and 0 < len(spec) <= _MAX_FIELDS and all(_is_field(field) for field in spec):
        names = [field[0] for field in spec]
        if len(set(names)) == len(names):
            return np.dtype([(name, dtype) for name, dtype in spec])
    raise ValueError(f"the dtype {ascii(spec)[:80]} is not one that a model file holds")


def _is_field(field: object) -> bool:
    if not isinstance(field, list) or len(field) != 2 or not all(isinstance(part, str) for part in field):
        return False
    return bool(_NAME.fullmatch(field[0]) and _FIELD.fullmatch(field[1]))


def _strings(array: NDArray[Any], where: str) -> NDArray[Any]:
    if not all(isinstance(item, str) for item in array.flat):
        raise TypeError(f"{where} is an array of objects; a model file holds such an array only where all are str")
    text = array.astype(np.str_)
    # NumPy drops NULs at the end of a string, which would make two classes one.
    if not np.array_equal(text.astype(object), array):
        raise TypeError(f"{where} holds a str that ends in NUL, which an array of text cannot keep")
    return text
