"""HEIC and AVIF files: pictures in boxes. What the boxes say, and what the streams in them say.

References
----------
ISO/IEC 23008-12, "Image File Format"; ISO/IEC 14496-12 for the boxes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from cvbow.images.codestreams import av1_sizes, hevc_sizes
from cvbow.images.header import Header, UnreadableError, truncated

_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF = frozenset((b"avif", b"avis"))
_CODED = (b"hvc1", b"av01")
#: An entry of the list of items, up to its type, where that is a block of EXIF.
_EXIF_ENTRY = re.compile(rb"(infe[\2\3]...(?:..|....)..)Exif", re.DOTALL)
_MOST_EXTENTS = 100_000
#: Bytes per pixel at the peak, beside the four of a decoded one: with 10 bits and all colours at full resolution.
_EXTRA = 12.0


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


def heif_format(data: bytes) -> str | None:
    """Return "HEIC" or "AVIF"; None for another file of boxes, such as a film, and for what is none."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 4096)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))}
    return "AVIF" if brands & _AVIF else "HEIC" if brands & _HEIC else None


def heif_header(data: bytes, kind: str) -> Header:
    """Return the header of a HEIC or AVIF file; its size is the largest that a box or a stream in it claims.

    Raises
    ------
    UnreadableError
        When the file is damaged, or a picture lies outside it.
    """
    try:
        sizes = [size for size in _sizes(data) if min(size) > 0]
    except (struct.error, IndexError) as error:
        raise truncated() from error
    if not sizes:
        raise UnreadableError("the image has no pixels")
    # Blanked rather than cut out: everything else stays where it was.
    data = _EXIF_ENTRY.sub(rb"\1free", data)
    if data.startswith(b"avis", 8):
        data = data[:8] + b"avif" + data[12:]  # the picture itself, not the first of the film that goes with it
    return Header(kind, data, size=max(sizes, key=lambda size: size[0] * size[1]), extra=_EXTRA)


def _sizes(data: bytes) -> Iterator[tuple[int, int]]:
    boxes = {box.kind: box for box in boxes_of(data, 0, len(data))}
    if b"meta" not in boxes:
        raise UnreadableError("it is a film, or damaged: it has no picture of its own")
    meta = {box.kind: box for box in boxes_of(data, boxes[b"meta"].start + 4, boxes[b"meta"].end)}
    length_bytes = 4
    for outer in boxes_of(data, *meta[b"iprp"][1:]) if b"iprp" in meta else ():
        for box in boxes_of(data, outer.start, outer.end) if outer.kind == b"ipco" else ():
            if box.kind == b"ispe":
                yield struct.unpack_from(">II", data, box.start + 4)
            elif box.kind == b"hvcC":
                length_bytes = (data[box.start + 21] & 3) + 1
                yield from hevc_sizes(_parameter_sets(data, box.start + 22), 2)
            elif box.kind == b"av1C":
                yield from av1_sizes(data[box.start + 4 : box.end])
    kinds = dict(_items(data, meta[b"iinf"])) if b"iinf" in meta else {}
    inside = meta[b"idat"].start if b"idat" in meta else 0
    found = set(_extents(data, meta[b"iloc"], inside)) if b"iloc" in meta else set()
    for item, start, length in sorted(found):
        if kinds.get(item) not in _CODED:
            continue
        if start + length > len(data):
            raise truncated()
        stream = data[start : start + length] if length else data[start:]
        yield from hevc_sizes(stream, length_bytes) if kinds[item] == b"hvc1" else av1_sizes(stream)


def boxes_of(data: bytes, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes that follow one another in a part of a file; the last one ends where the part does."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        size = end - start if size == 0 else size
        if size < head:
            raise UnreadableError("the image data is damaged")
        if start + size > end:
            # Pictures that are not there are found by where they should be; other boxes do not matter.
            size = end - start
        yield _Box(kind, start + head, start + size)
        start += size


def _parameter_sets(data: bytes, start: int) -> bytes:
    """Return the units of a decoder's configuration, each with two bytes of length before it."""
    units = []
    n_arrays, position = data[start], start + 1
    for _ in range(n_arrays):
        (n_units,) = struct.unpack_from(">H", data, position + 1)
        position += 3
        for _ in range(n_units):
            (length,) = struct.unpack_from(">H", data, position)
            units.append(data[position : position + 2 + length])
            position += 2 + length
            if position > len(data):
                raise truncated()
    return b"".join(units)


def _items(data: bytes, box: _Box) -> Iterator[tuple[int, bytes]]:
    """Yield the number and type of each item."""
    for entry in boxes_of(data, box.start + (6 if data[box.start] == 0 else 8), box.end):
        version = data[entry.start]
        number = ">H" if version < 3 else ">I"
        at = entry.start + 4
        yield struct.unpack_from(number, data, at)[0], data[at + struct.calcsize(number) + 2 :][:4]


def _extents(data: bytes, box: _Box, inside: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, start and length of each piece of an item; those of ``idat`` start at `inside`."""
    version, position = data[box.start], box.start + 4
    sizes = struct.unpack_from(">H", data, position)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0

    def take(n: int) -> int:
        nonlocal position
        if position + n > box.end:
            raise truncated()
        position += n
        return int.from_bytes(data[position - n : position], "big")

    position += 2
    left = _MOST_EXTENTS
    for _ in range(take(2 if version < 2 else 4)):
        item = take(2 if version < 2 else 4)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(base_size) + (inside if method == 1 else 0)
        for _ in range(take(2)):
            left -= 1
            if method > 1 or left < 0:
                raise UnreadableError("the image data is damaged")
            take(index_size)
            offset = take(offset_size)
            yield item, base + offset, take(length_size)
