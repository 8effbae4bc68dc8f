"""TIFF files built by hand, of kinds that no library here writes."""

from __future__ import annotations

import struct

Tags = dict[int, tuple[int, list[int]]]
_LETTERS = {3: "H", 4: "I", 11: "f", 12: "d"}


def tiff(tags: Tags, pixels: bytes, *, endian: str = "<", big: bool = False) -> bytes:
    """Build a one-strip TIFF by hand; kinds are 3 (16 bits), 4 (32 bits), 11 (float) and 12 (double)."""
    start = 16
    tags = {**tags, 273: (4, [start]), 279: (4, [len(pixels)])}
    table, values = b"", b""
    head, entry, room, pointer = ("Q", "HHQ", 8, "Q") if big else ("H", "HHI", 4, "I")
    position = start + len(pixels) + len(pixels) % 2
    width = struct.calcsize(endian + head) + len(tags) * (struct.calcsize(endian + entry) + room) + room
    for tag in sorted(tags):
        kind, numbers = tags[tag]
        raw = struct.pack(f"{endian}{len(numbers)}{_LETTERS[kind]}", *numbers)
        table += struct.pack(endian + entry, tag, kind, len(numbers))
        if len(raw) <= room:
            table += raw.ljust(room, b"\0")
        else:
            table += struct.pack(endian + pointer, position + width + len(values))
            values += raw
    table = struct.pack(endian + head, len(tags)) + table + struct.pack(endian + pointer, 0)
    magic = b"II" if endian == "<" else b"MM"
    front = magic + (
        struct.pack(endian + "HHHQ", 43, 8, 0, position) if big else struct.pack(endian + "HI", 42, position)
    )
    return front.ljust(start, b"\0") + pixels + b"\0" * (len(pixels) % 2) + table + values


def tags_for(width: int, height: int, bits: list[int], photometric: int, **extra: int) -> Tags:
    tags = {256: (3, [width]), 257: (3, [height]), 258: (3, bits), 259: (3, [1]), 262: (3, [photometric])}
    return {
        **tags,
        277: (3, [len(bits)]),
        278: (3, [height]),
        **{int(tag[1:]): (3, [value]) for tag, value in extra.items()},
    }
