"""A graph of ONNX operators, written one operator after the other; a value is known by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

#: A slice that ends here ends with the axis.
END = int(np.iinfo(np.int64).max)


class Graph:
    """Operators and constants; what was asked for before is not computed again."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], tuple[str, NDArray[Any]]] = {}
        self._known: dict[tuple[object, ...], str] = {}

    @property
    def initializers(self) -> list[TensorProto]:
        """The constants."""
        return [numpy_helper.from_array(array, name) for name, array in self._constants.values()]

    def constant(self, value: ArrayLike, dtype: Any = np.float32) -> str:
        """Return a constant, of float32 unless another type is named."""
        array = np.array(value, dtype, order="C")
        key = array.dtype.str, array.shape, array.tobytes()
        return self._constants.setdefault(key, (f"constant_{len(self._constants)}", array))[0]

    def integers(self, *values: int) -> str:
        """Return a constant of integers, (n,), as shapes, axes and places are."""
        return self.constant(values, np.int64)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Return the one result of an operator."""
        key = (kind, *inputs, *sorted((name, str(value)) for name, value in attributes.items()))
        if key not in self._known:
            output = f"{kind.lower()}_{len(self.nodes)}"
            self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
            self._known[key] = output
        return self._known[key]

    def output(self, name: str, value: str) -> None:
        """Give a value the name that it leaves the graph by."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def to(self, value: str, dtype: Any) -> str:
        """Return a value in another type."""
        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, value: str, *lengths: int) -> str:
        """Return a value in another shape: 0 stands for the input's length there, -1 for what is left."""
        return self.op("Reshape", value, self.integers(*lengths))

    def transpose(self, value: str, *axes: int) -> str:
        """Return a value with its axes in another order."""
        return self.op("Transpose", value, perm=list(axes))

    def unsqueeze(self, value: str, *axes: int) -> str:
        """Return a value with more axes, of length 1, at these places of the result."""
        return self.op("Unsqueeze", value, self.integers(*axes))

    def lengths(self, value: str, first: int, stop: int) -> str:
        """Return the lengths of some axes, int64."""
        return self.op("Shape", value, start=first, end=stop)

    def cut(self, value: str, axis: int, start: int, stop: int) -> str:
        """Return what lies from start to stop along an axis."""
        return self.op("Slice", value, self.integers(start), self.integers(stop), self.integers(axis))

    def row(self, table: str, number: int) -> str:
        """Return a row of a table."""
        return self.op("Gather", table, self.constant(number, np.int64), axis=0)

    def take(self, value: str, places: ArrayLike, axis: int) -> str:
        """Return what lies at places (n,) of an axis."""
        return self.op("Gather", value, self.constant(places, np.int64), axis=axis)

    def concat(self, axis: int, *values: str) -> str:
        """Return values side by side along an axis."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def sum(self, value: str, axis: int) -> str:
        """Return sums along an axis, which stays with length 1."""
        return self.op("ReduceSum", value, self.integers(axis), keepdims=1)

    def ones(self, value: str, dtype: Any = np.float32) -> str:
        """Return ones in the shape of a value of the type."""
        zeros = self.op("Mul", value, self.constant(0, dtype))
        return self.op("Add", zeros, self.constant(1, dtype))

    def over(self, value: str, by: str) -> str:
        """Return a value over another one, of float32, that is not negative; zero where that is zero."""
        positive = self.op("Greater", by, self.constant(0))
        safe = self.op("Where", positive, by, self.constant(1))
        return self.op("Where", positive, self.op("Div", value, safe), self.constant(0))
