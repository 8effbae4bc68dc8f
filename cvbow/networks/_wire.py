"""The wire format of protocol buffers: fields within spans of bytes, and the bytes of fields.

References
----------
Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: Where a message begins and ends.
Span = tuple[int, int]


def messages(data: bytes, place: Span, wanted: int) -> Iterator[Span]:
    """Yield where the messages, or texts, of one field lie."""
    for field, value in fields(data, place):
        if field == wanted:
            yield span(value)


def texts(data: bytes, place: Span, wanted: int) -> list[str]:
    """Return the texts of one field."""
    return [data[start:end].decode("utf-8") for start, end in messages(data, place, wanted)]


def span(value: int | Span) -> Span:
    """Return the value of a field that is a message; IndexError if it is a number."""
    if isinstance(value, int):
        raise IndexError("a number where a message should be")
    return value


def fields(data: bytes, place: Span) -> Iterator[tuple[int, int | Span]]:
    """Yield (number, value) of the fields of a message: an integer, or where a string or message begins and ends."""
    for number, value, _ in parts(data, place):
        if value is not None:
            yield number, value


def parts(data: bytes, place: Span) -> Iterator[tuple[int, int | Span | None, Span]]:
    """Yield number, value, and place of all fields of a message: None for numbers of fixed length."""
    position, end = place
    while position < end:
        start = position
        value: int | Span | None = None
        key, position = read_varint(data, position)
        kind = key & 7
        if kind == VARINT:
            value, position = read_varint(data, position)
        elif kind == BYTES:
            length, position = read_varint(data, position)
            if position + length > end:
                raise IndexError("a field reaches over the end of its message")
            value = (position, position + length)
            position += length
        elif kind in (FIXED32, FIXED64):
            position += 4 if kind == FIXED32 else 8
        else:
            raise IndexError("a field of a kind that there is not")
        yield key >> 3, value, (start, position)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the integer that begins at a position, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise IndexError("a number without an end")


def varint(number: int) -> bytes:
    """Return the bytes of an integer."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def message(field: int, content: bytes) -> bytes:
    """Return a field that is a message, a text or bytes."""
    return varint(field << 3 | BYTES) + varint(len(content)) + content
