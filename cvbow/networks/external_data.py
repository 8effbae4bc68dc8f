"""ONNX networks whose weights lie in files of their own, put together into one.

The engines look for such files in the current folder, where they read a network from memory, and would take whatever
lies there. A network that is put together knows no other files, and its hash is one of all its weights.

References
----------
ONNX, ``docs/ExternalData.md``, and ``onnx.proto`` for the numbers of the fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath

from cvbow.networks._wire import Span, messages, parts, read_varint, span, texts
from cvbow.networks._wire import message as wrapped

#: The fields in which tensors may lie, however deep: of each kind of message, numbers and kinds of what is in it.
_WITHIN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_KEY, _VALUE = 1, 2
#: Bytes of a value, by the number of the tensor's type.
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
#: What a protocol buffer may hold.
_LIMIT = (1 << 31) - 1


def external_files(data: bytes) -> tuple[str, ...]:
    """Return the names of the files with weights, as an ONNX file has them: relative to its folder.

    Raises
    ------
    ValueError
        If the file is damaged, or names a file outside its folder.
    """
    found: dict[str, None] = {}

    def name(location: str) -> bytes | None:
        found[location] = None
        return None

    _put_together(data, name)
    return tuple(found)


def with_external_data(data: bytes, read: Callable[[str], bytes]) -> bytes:
    """Return an ONNX file with the weights that lie in other files put into it; ``read`` returns such a file's content.

    ValueError if the file is damaged, a file is too short, or the whole is larger than an ONNX file may be.
    """
    return _put_together(data, read)


def _put_together(data: bytes, read: Callable[[str], bytes | None]) -> bytes:
    try:
        whole = _message(data, (0, len(data)), "model", read)
    except (IndexError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("the file is damaged") from error
    if len(whole) > _LIMIT:
        raise ValueError("with its weights it has more than 2 GB, which is more than a network may have in one piece")
    return whole


def _message(data: bytes, place: Span, kind: str, read: Callable[[str], bytes | None]) -> bytes:
    """Return a message as it is, but for the tensors in it whose values lie elsewhere."""
    if kind == "tensor":
        return _tensor(data, place, read)
    pieces: list[bytes] = []
    same = place[0]  # up to here, all is taken over
    for number, value, (start, end) in parts(data, place):
        within = _WITHIN[kind].get(number)
        if within is not None:
            inner = span(value if value is not None else 0)
            changed = _message(data, inner, within, read)
            if changed != data[inner[0] : inner[1]]:
                pieces += [data[same:start], wrapped(number, changed)]
                same = end
    return b"".join((*pieces, data[same : place[1]]))


def _tensor(data: bytes, place: Span, read: Callable[[str], bytes | None]) -> bytes:
    found = list(parts(data, place))
    if not any(number == _LOCATION and value == 1 for number, value, _ in found):
        return data[place[0] : place[1]]
    name = (texts(data, place, _NAME) or ["a tensor"])[0]
    entries = dict(
        ((texts(data, entry, _KEY) or [""])[0], (texts(data, entry, _VALUE) or [""])[0])
        for entry in messages(data, place, _EXTERNAL)
    )
    location = _checked(entries.get("location", ""))
    content = read(location)
    if content is None:
        return data[place[0] : place[1]]
    offset = _number(entries.get("offset", "0"))
    length = _number(entries.get("length", str(max(len(content) - offset, 0))))
    kinds = [value for number, value, _ in found if number == _TYPE]
    size = _SIZES.get(kinds[-1]) if kinds and isinstance(kinds[-1], int) else None
    needed = length if size is None else size * math.prod(_dims(data, place))
    if length != needed:
        raise ValueError(f"{location} has {length} bytes for {name}, which needs {needed}")
    if offset + length > len(content):
        raise ValueError(f"{location} ends before the values of {name}, at {len(content)} bytes")
    kept = [data[start:end] for number, _, (start, end) in found if number not in (_RAW, _EXTERNAL, _LOCATION)]
    return b"".join((*kept, wrapped(_RAW, content[offset : offset + length])))


def _dims(data: bytes, place: Span) -> list[int]:
    found: list[int] = []
    for number, value, _ in parts(data, place):
        if number == _DIMS and isinstance(value, int):
            found.append(value)
        elif number == _DIMS:  # one after the other in one field
            position, end = span(value if value is not None else 0)
            while position < end:
                length, position = read_varint(data, position)
                found.append(length)
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"it has weights in another file at a place that is no number: {text[:30]!a}")
    return int(text)


def _checked(location: str) -> str:
    for path in (PurePosixPath(location), PureWindowsPath(location)):
        if not location or "\0" in location or path.anchor or ".." in path.parts:
            raise ValueError(f"its weights lie outside its folder, which is refused: {location[:200]!a}")
    return location
