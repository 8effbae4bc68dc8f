"""TIFF directories: the orientation in an EXIF block, and the header of a TIFF file.

Python decoders warn about every odd tag of a TIFF, and ``warnings`` cannot be silenced for one thread alone.
So the file's first directory is read here, and the decoder is handed a new one that holds only the tags that
decoding needs. That also gives the size and the bit depth before anything is decoded.

References
----------
Adobe, "TIFF, Revision 6.0" (1992); CIPA DC-008, "Exchangeable image file format" (2019), tag 0x0112.
"""

from __future__ import annotations

import math
import struct
from typing import Literal, NamedTuple

from cvbow.images.header import Header, UnreadableError, truncated

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# The kinds of values: their bytes, and those that are unsigned integers.
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_NUMBERS = {**_INTEGERS, 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}
_TEXT, _SHORT, _LONG, _LONG8 = 2, 3, 4, 16

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _PLANAR, _EXTRA, _FORMAT = 274, 277, 278, 284, 338, 339
_LEAST, _MOST = 340, 341
_MAKE, _MODEL = 271, 272

# Bytes that one byte can stand for at most: not compressed, LZW (a code of 12 bits, a string of 4096), JPEG (a block in
# two bits), deflate, PackBits. A fax of white lines has no such limit.
_MOST_UNPACKED = {1: 1, 5: 2731, 7: 512, 8: 1032, 32946: 1032, 32773: 64}

# What decoding needs. Orientation is left out on purpose: it is applied once, here, for every format alike.
_SINGLE = {_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, 266, _SAMPLES, _ROWS_PER_STRIP, _PLANAR, 292, 293, 317}
_SINGLE |= {322, 323, 332, 512, 513, 514, 515}
_KEPT = _SINGLE | {_BITS, _STRIPS, _STRIP_BYTES, 320, _TILES, _TILE_BYTES, _EXTRA, _FORMAT, 347}
_KEPT |= {517, 518, 519, 520, 521, 529, 530, 531, 532, 50674}
_READ = _KEPT | {_ORIENTATION, _LEAST, _MOST, _MAKE, _MODEL}
# Samples without a fixed range that are brought to one, by NumPy's names. Unsigned ones of 1 to 16 bits have one.
_UNSIGNED, _SIGNED, _FLOATING, _UNDEFINED = 1, 2, 3, 4
_RANGELESS = {_UNSIGNED: ("u4",), _UNDEFINED: ("u4",), _SIGNED: ("i1", "i2", "i4"), _FLOATING: ("f4", "f8")}
_ALPHA: dict[int, Literal["premultiplied", "straight"]] = {1: "premultiplied", 2: "straight"}


class _Entry(NamedTuple):
    kind: int
    length: int
    raw: bytes | None  # None: the value lies outside the file


class _Directory(NamedTuple):
    endian: str
    entries: dict[int, _Entry]
    #: Whether there is another directory after it.
    goes_on: bool

    def integers(self, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return the integers of a tag, or `default` where the tag is missing."""
        entry = self.entries.get(tag)
        if entry is None or entry.length == 0:
            return default
        if entry.raw is None:
            raise truncated()
        if entry.kind not in _INTEGERS:
            raise UnreadableError("the image data is damaged")
        return struct.unpack(f"{self.endian}{entry.length}{_INTEGERS[entry.kind]}", entry.raw)

    def stated_range(self) -> tuple[float, float] | None:
        """Return the smallest and the largest value that samples are said to have; None where nothing fit is said."""
        ends = []
        for tag, pick in ((_LEAST, min), (_MOST, max)):
            entry = self.entries.get(tag)
            if entry is None or entry.raw is None or not entry.length or entry.kind not in _NUMBERS:
                return None
            ends.append(float(pick(struct.unpack(f"{self.endian}{entry.length}{_NUMBERS[entry.kind]}", entry.raw))))
        low, high = ends
        return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None

    def text(self, tag: int) -> str:
        """Return the text of a tag; empty where there is none, or something else."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind != _TEXT or entry.raw is None:
            return ""
        return entry.raw.partition(b"\0")[0].decode("latin-1").strip()

    @property
    def orientation(self) -> int:
        """The orientation, 1 to 8; upright where the tag makes no sense, as that does not harm the pixels."""
        try:
            orientation = self.integers(_ORIENTATION, (1,))[0]
        except UnreadableError:
            return 1
        return orientation if 1 <= orientation <= 8 else 1


def exif_orientation(block: bytes) -> int:
    """Return the orientation (1 to 8) that an EXIF block asks for.

    Parameters
    ----------
    block : bytes
        The block, which is a TIFF file without pixels, with or without its ``Exif`` prefix.

    Returns
    -------
    int
        1 (upright) where the block is damaged or does not say.
    """
    try:
        return _read_directory(block.removeprefix(b"Exif\0\0")).orientation
    except (struct.error, UnreadableError):
        return 1


def exif_camera(block: bytes) -> str:
    """Return the make and the model of the camera that an EXIF block names; empty where it names none."""
    try:
        directory = _read_directory(block.removeprefix(b"Exif\0\0"))
    except (struct.error, UnreadableError):
        return ""
    make, model = directory.text(_MAKE), directory.text(_MODEL)
    # Many a model begins with its make.
    return model if model.casefold().startswith(make.casefold()) else f"{make} {model}".strip()


def tiff_header(data: bytes) -> Header:
    """Return the header of a TIFF's first page, with a directory that decoders read without complaint.

    Raises
    ------
    UnreadableError
        When the directory is damaged, data lie outside the file, or the pixels are of a kind that is not read.
    """
    try:
        directory = _read_directory(data)
    except struct.error as error:
        raise truncated() from error

    size = directory.integers(_WIDTH, (0,))[0], directory.integers(_HEIGHT, (0,))[0]
    bits = directory.integers(_BITS, (1,))
    samples = directory.integers(_SAMPLES, (1,))[0]
    photometric = directory.integers(_PHOTOMETRIC, (0,))[0]
    rangeless = _rangeless(set(bits), set(directory.integers(_FORMAT, (_UNSIGNED,))))
    _check_extent(directory, len(data))

    gray = samples == 1 and photometric in (0, 1)
    rgb = samples in (3, 4) and photometric == 2
    chunky = directory.integers(_PLANAR, (1,))[0] == 1
    deep = (max(bits) == 16 and rgb) or rangeless is not None
    if deep and not chunky and samples > 1:
        raise UnreadableError(f"{max(bits)}-bit TIFF planes stored one after another are not supported")
    if rangeless is not None and not (gray or rgb):
        raise UnreadableError(f"a TIFF with {samples} {_words_of(rangeless)} samples in a pixel is not supported")
    # Pillow reads 16-bit white-is-zero as if it were black-is-zero, or not at all: present it as the latter.
    inverted = max(bits) > 8 and gray and photometric == 0
    entries = {tag: entry for tag, entry in directory.entries.items() if tag in _KEPT and entry.length}
    if inverted:
        entries[_PHOTOMETRIC] = _Entry(_SHORT, 1, struct.pack(directory.endian + "H", 1))

    return Header(
        format="TIFF",
        data=_with_directory(data, directory.endian, entries),
        size=size,
        orientation=directory.orientation,
        bits=max(bits),
        needs_opencv=deep,
        # Only the plain kinds: OpenCV reads a palette or CMYK its own way.
        allows_opencv=chunky and max(bits) in (8, 16) and (rgb or (gray and photometric == 1)),
        inverted=inverted,
        # A strip that is the whole image is unpacked beside it; OpenCV takes twice the size of deep channels.
        extra=samples * max(bits) / 4 if rangeless else 8.0 if deep else 4.0,
        short=_is_short(directory, size, sum(bits) if len(bits) > 1 else bits[0] * samples),
        alpha=_ALPHA.get(directory.integers(_EXTRA, (0,))[0], "none"),
        rangeless=rangeless,
        exif=data,
        several=directory.goes_on,
        stated=None if rangeless is None else directory.stated_range(),
    )


def _rangeless(bits: set[int], kinds: set[int]) -> str | None:
    """Return the type of samples that have no fixed range, None for those that have one, or refuse them."""
    kind, most = max(kinds), max(bits)
    if kinds <= {_UNSIGNED, _UNDEFINED} and most <= 16:
        return None
    letter = {_SIGNED: "i", _FLOATING: "f"}.get(kind, "u")
    name = f"{letter}{most // 8}"
    if len(bits) > 1 or len(kinds) > 1 or most % 8 or name not in _RANGELESS.get(kind, ()):
        what = _words_of(name) if kind in _RANGELESS else f"{most}-bit complex"
        raise UnreadableError(f"{what} samples are not supported; save it with 8 or 16 bits per channel")
    return name


def _words_of(name: str) -> str:
    kind = {"u": "", "i": " signed", "f": " floating-point"}[name[0]]
    return f"{8 * int(name[1:])}-bit{kind}"


def _check_extent(directory: _Directory, length: int) -> None:
    # Some decoders leave strips that lie past the end of the file black, without a word.
    for offsets_tag, sizes_tag in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        offsets, sizes = directory.integers(offsets_tag, ()), directory.integers(sizes_tag, ())
        if any(offset >= length for offset in offsets):
            raise truncated()
        if any(offset + size > length for offset, size in zip(offsets, sizes, strict=False)):
            raise truncated()


def _is_short(directory: _Directory, size: tuple[int, int], bits: int) -> bool:
    """Whether this cannot be a whole image: too few strips for its height, or too few bytes for its pixels.

    OpenCV leaves what is missing black, without a word.
    """
    compression = directory.integers(_COMPRESSION, (1,))[0]
    strips, tiles = directory.integers(_STRIPS, ()), directory.integers(_TILES, ())
    width, height = size
    if strips and not tiles:
        rows = max(1, directory.integers(_ROWS_PER_STRIP, (height,))[0])
        if len(strips) < -(-height // rows):
            return True
    amount = sum(directory.integers(_TILE_BYTES if tiles else _STRIP_BYTES, ()))
    most = _MOST_UNPACKED.get(compression)
    # Where there is color at half the resolution, a pixel has half its bits.
    return most is not None and amount > 0 and width * height * bits > 16 * most * amount


def _read_directory(data: bytes) -> _Directory:
    if data[:4] not in MAGICS:
        raise UnreadableError("the image data is damaged")
    endian = "<" if data[:2] == b"II" else ">"
    big = b"+" in data[2:4]
    head, start, entry, step, room, pointer = ("Q", 8, "HHQ", 20, 8, "Q") if big else ("H", 4, "HHI", 12, 4, "I")
    (position,) = struct.unpack_from(endian + pointer, data, start)
    if position > len(data):
        raise truncated()
    (count,) = struct.unpack_from(endian + head, data, position)
    position += struct.calcsize(endian + head)

    entries: dict[int, _Entry] = {}
    for _ in range(count):
        tag, kind, values = struct.unpack_from(endian + entry, data, position)
        if kind in _BYTES and tag in _READ and tag not in entries:
            at, size = position + step - room, _BYTES[kind] * values
            if size > room:
                (at,) = struct.unpack_from(endian + pointer, data, at)
            entries[tag] = _Entry(kind, values, data[at : at + size] if at + size <= len(data) else None)
        position += step
    after = data[position : position + room]
    return _Directory(endian, entries, len(after) == room and any(after))


def _with_directory(data: bytes, endian: str, entries: dict[int, _Entry]) -> bytes:
    """Append a directory to the file and point the file's header at it; the old one is left where it is.

    The file becomes a plain TIFF even where it was a BigTIFF, whose big-endian kind Pillow does not know.
    """
    padding = b"\0" * (-len(data) % 2)
    start = len(data) + len(padding)
    after = start + 2 + 12 * len(entries) + 4
    table, values = struct.pack(endian + "H", len(entries)), b""
    for tag in sorted(entries):
        kind, length, raw = entries[tag]
        if raw is None:
            raise truncated()
        if tag in _SINGLE:
            length, raw = 1, raw[: _BYTES[kind]]
        if kind == _LONG8:
            numbers = struct.unpack(f"{endian}{length}Q", raw)
            kind, raw = _LONG, struct.pack(f"{endian}{length}I", *(min(number, 0xFFFFFFFF) for number in numbers))
        table += struct.pack(endian + "HHI", tag, kind, length)
        if len(raw) <= 4:
            table += raw.ljust(4, b"\0")
        else:
            table += struct.pack(endian + "I", after + len(values))
            values += raw + b"\0" * (len(raw) % 2)
    front = data[:2] + struct.pack(endian + "HI", 42, start)
    return b"".join((front, data[len(front) :], padding, table, bytes(4), values))
