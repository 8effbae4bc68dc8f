"""The bytes of a ZIP archive around members that are stored one after the other: a function of their names and sizes.

Always in ZIP64 form, so that there is one form for every size (PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.3).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from cvbow.storage.arrays import ArrayRecord

MANIFEST = b"manifest.json"

_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64, _UNIX = 45, 3 << 8  # the version that reads ZIP64; the system whose file modes are meant
_DATE, _TIME = 0x21, 0  # 1980-01-01 00:00: when a file was written is no part of it


def member_name(number: int) -> bytes:
    """Name of the array with this number."""
    return b"arrays/%05d.npy" % number


def members_of(text: int, records: Sequence[ArrayRecord]) -> list[tuple[bytes, int, int]]:
    """Name, size and offset of every member."""
    sizes = [(MANIFEST, text), *((member_name(i), len(r.header) + r.nbytes) for i, r in enumerate(records))]
    members, offset = [], 0
    for name, size in sizes:
        members.append((name, size, offset))
        offset += local_size(name) + size
    return members


def local_size(name: bytes) -> int:
    """Length of a `local_header`."""
    return 30 + len(name) + 20


def local_header(name: bytes, size: int, crc: int) -> bytes:
    """Header before a member."""
    fixed = (_ZIP64, 0, 0, _TIME, _DATE, crc, _FULL32, _FULL32, len(name), 20)
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", *fixed) + name + struct.pack("<2H2Q", 1, 16, size, size)


def directory_size(members: Sequence[tuple[bytes, int, int]]) -> int:
    """Length of a `directory`."""
    return sum(46 + len(name) + 28 for name, _, _ in members) + 56 + 20 + 22


def directory(members: Sequence[tuple[bytes, int, int]], crcs: Sequence[int]) -> bytes:
    """All that follows the last member: the central directory and its three ends."""
    entries = []
    for (name, size, offset), crc in zip(members, crcs, strict=True):
        described = (_UNIX | _ZIP64, _ZIP64, 0, 0, _TIME, _DATE, crc, _FULL32, _FULL32, len(name), 28, 0, 0, 0)
        entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *described, 0o100644 << 16, _FULL32)
        entries.append(entry + name + struct.pack("<2H3Q", 1, 24, size, size, offset))
    central = b"".join(entries)
    name, size, offset = members[-1]
    start = offset + local_size(name) + size
    count = len(members)
    fixed = (_UNIX | _ZIP64, _ZIP64, 0, 0, count, count, len(central), start)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, *fixed)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start + len(central), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, _FULL16, _FULL16, _FULL32, _FULL32, 0)
    return central + end64 + locator + end
