"""A graph of ONNX operators, written one operator after the other; a value is known by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

#: The operator set, of 2021: runtimes of the last years have it.
OPSET = 17
#: Where a model's own functions are.
DOMAIN = "cvbow"
#: A slice that ends here ends with the axis.
END = int(np.iinfo(np.int64).max)


class Graph:
    """Operators and constants; what was asked for before is not computed again."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], tuple[str, NDArray[Any]]] = {}
        self._adopted: list[TensorProto] = []
        self._known: dict[tuple[object, ...], str] = {}
        self._functions: dict[tuple[str, bytes], FunctionProto] = {}
        self._n_made = 0
        self._is_inside = False

    @property
    def initializers(self) -> list[TensorProto]:
        """The constants."""
        return [numpy_helper.from_array(array, name) for name, array in self._constants.values()] + self._adopted

    def adopt(self, constants: Iterable[TensorProto]) -> None:
        """Take constants over from another graph, under names that no others have."""
        self._adopted += constants

    def constant(self, value: ArrayLike, dtype: Any = np.float32) -> str:
        """Return a constant, of float32 unless another type is named."""
        array = np.array(value, dtype, order="C")
        key = array.dtype.str, array.shape, array.tobytes()
        return self._constants.setdefault(key, (f"constant_{len(self._constants)}", array))[0]

    def table(self, rows: NDArray[np.floating], precision: str) -> str:
        """Return a large constant (m, k), float32, that the file holds in "fp32", "fp16" or "int8".

        Of 8 bits, each row has a step of its own, a 127th of its largest value.
        """
        if precision == "fp16":
            return self.to(self.constant(rows, np.float16), np.float32)
        if precision == "int8":
            steps = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny) / 127
            levels = self.constant(np.rint(rows / steps[:, None]), np.int8)
            return self.op("DequantizeLinear", levels, self.constant(steps), axis=0)
        return self.constant(rows)

    def integers(self, *values: int) -> str:
        """Return a constant of integers, (n,), as shapes, axes and places are."""
        return self.constant(values, np.int64)

    def fresh(self, name: str) -> str:
        """Return a name that begins so, and that nothing else has."""
        self._n_made += 1
        return f"{name}_{self._n_made - 1}"

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Return the one result of an operator."""

        def build() -> str:
            output = self.fresh(kind.lower())
            self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
            return output

        return self.once((kind, *inputs, *sorted((name, str(value)) for name, value in attributes.items())), build)

    def once(self, key: tuple[object, ...], build: Callable[[], str]) -> str:
        """Return what is built, or what was built before under the same key."""
        if key not in self._known:
            self._known[key] = build()
        return self._known[key]

    def inner(self, name: str, inputs: Sequence[ValueInfoProto], build: Callable[[], Sequence[str]]) -> GraphProto:
        """Return a graph inside this one, whose values it knows; ``build`` writes it and says what comes out."""
        outside, self.nodes = self.nodes, []
        known = dict(self._known)
        outputs = []
        for number, value in enumerate(build()):
            # Each output has a name of its own, also where it comes from outside.
            outputs.append(f"{name}_{number}_out")
            self.nodes.append(helper.make_node("Identity", [value], [outputs[-1]]))
        nodes, self.nodes, self._known = self.nodes, outside, known
        return helper.make_graph(nodes, name, inputs, [helper.make_empty_tensor_value_info(each) for each in outputs])

    def either(self, condition: str, build: Callable[[], str], otherwise: Callable[[], str]) -> str:
        """Return what is built where a condition, bool (), holds, and otherwise something else."""
        name = f"if_{self._n_made}"
        then, other = (
            self.inner(f"{name}_{word}", (), lambda made=made: [made()])  # type: ignore[misc]
            for word, made in (("then", build), ("else", otherwise))
        )
        return self.op("If", condition, then_branch=then, else_branch=other)

    def for_each(self, count: str, build: Callable[[str], str]) -> str:
        """Return what is built for each number, int64 (), below a count, one behind the other along a new axis."""
        name = f"loop_{self._n_made}"
        number, goes_on = f"{name}_number", f"{name}_goes_on"
        inputs = [
            helper.make_tensor_value_info(number, TensorProto.INT64, []),
            helper.make_tensor_value_info(goes_on, TensorProto.BOOL, []),
        ]
        body = self.inner(name, inputs, lambda: [goes_on, build(number)])
        return self.op("Loop", count, "", body=body)

    def for_each_row(self, table: str, build: Callable[[str], str]) -> str:
        """Return what is built for each row (k,) of a table (n, k), one behind the other along a new axis."""
        count = self.op("Squeeze", self.lengths(table, 0, 1))
        return self.for_each(count, lambda number: build(self.op("Gather", table, number, axis=0)))

    def function(self, name: str, build: Callable[..., str], *values: str) -> str:
        """Return what is built of some values, as one operator that a function of the model's own stands for.

        Whatever else goes into it, such as constants, becomes an input as well; what differs in nothing else is one
        function. There are no graphs inside, and functions inside are written out.
        """
        if self._is_inside:
            return build(*values)
        outside, self.nodes = self.nodes, []
        known, self._is_inside = dict(self._known), True
        result = build(*values)
        nodes, self.nodes, self._known, self._is_inside = self.nodes, outside, known, False
        given: dict[str, str] = {}
        body = [_renamed(node, given) for node in nodes]
        made = {output for node in body for output in node.output}
        free = {old: new for old, new in given.items() if new not in made}
        content = b"".join(node.SerializeToString() for node in body)
        called = self._functions.get((name, content))
        if called is None:
            number = sum(other == name for other, _ in self._functions)
            opset = helper.make_opsetid("", OPSET)
            inputs, outputs = list(free.values()), [given[result]]
            called = helper.make_function(DOMAIN, f"{name}{number or ''}", inputs, outputs, body, [opset])
            self._functions[name, content] = called
        return self.op(called.name, *free, domain=DOMAIN)

    @property
    def functions(self) -> list[FunctionProto]:
        """The functions that were made."""
        return list(self._functions.values())

    def output(self, name: str, value: str) -> None:
        """Give a value the name that it leaves the graph by."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def to(self, value: str, dtype: Any) -> str:
        """Return a value in another type."""
        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def whole(self, value: str) -> str:
        """Return the nearest whole numbers, int64, of two the even one, as Python rounds."""
        return self.to(self.op("Round", value), np.int64)

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

    def order(self, numbers: str) -> str:
        """Return the places of integers (n,) in ascending order, int64 (n,)."""
        return self.once(("order", numbers), lambda: self._top(numbers, self.lengths(numbers, 0, 1), largest=0))

    def largest(self, values: str, k: int) -> str:
        """Return the places of the k largest values along the last axis, the largest first, int64 (..., k)."""
        return self.once(("largest", values, k), lambda: self._top(values, self.integers(k), largest=1))

    def _top(self, values: str, k: str, largest: int) -> str:
        found, places = self.fresh("top"), self.fresh("places")
        self.nodes.append(helper.make_node("TopK", [values, k], [found, places], axis=-1, largest=largest))
        return places

    def ones(self, value: str, dtype: Any = np.float32) -> str:
        """Return ones in the shape of a value of the type."""
        zeros = self.op("Mul", value, self.constant(0, dtype))
        return self.op("Add", zeros, self.constant(1, dtype))

    def over(self, value: str, by: str) -> str:
        """Return a value over another one, both of float32; zero where that is zero."""

        def build(value: str, by: str) -> str:
            zero = self.constant(0)
            is_zero = self.op("Equal", by, zero)
            safe = self.op("Where", is_zero, self.constant(1), by)
            return self.op("Where", is_zero, zero, self.op("Div", value, safe))

        return self.function("DivideUnlessZero", build, value, by)


def _renamed(node: NodeProto, given: dict[str, str]) -> NodeProto:
    """Return an operator of a function with names that count values in the order of their use; ``given`` gets more."""
    copy = NodeProto()
    copy.CopyFrom(node)
    for names in (copy.input, copy.output):
        names[:] = [name and given.setdefault(name, f"v{len(given)}") for name in names]
    return copy
