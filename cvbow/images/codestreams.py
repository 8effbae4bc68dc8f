"""The size of the pictures in a coded stream, as the stream itself says it.

A container says a size too, but a decoder takes its memory by what the stream says.

References
----------
ITU-T H.265 (HEVC), 7.3; AV1 Bitstream & Decoding Process Specification, 5.5; ITU-T T.800 (JPEG 2000), A.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from cvbow.images.header import UnreadableError, truncated

Size = tuple[int, int]

#: How a codestream of JPEG 2000 begins.
CODESTREAM = b"\xff\x4f\xff\x51"
_START_OF_TILE, _END = b"\xff\x90", b"\xff\xd9"
_PARAMETERS, _SEQUENCE = 33, 1
#: Bytes of a header that are looked at; and units that a stream may have.
_LOOKED_AT, _MOST_UNITS = 256, 100_000


class _Bits:
    """Reads numbers of any number of bits, highest bit first."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, n: int) -> int:
        self.left -= n
        if self.left < 0:
            raise truncated()
        return self.value >> self.left & (1 << n) - 1

    def exponential(self) -> int:
        """Take a number in Exp-Golomb code: as many zeros as bits follow the next one."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def hevc_sizes(data: bytes, length_bytes: int) -> Iterator[Size]:
    """Yield the (width, height) of each set of parameters in a stream of units with their lengths before them."""
    position = 0
    for _ in range(_MOST_UNITS):
        length = int.from_bytes(data[position : position + length_bytes], "big")
        position += length_bytes
        if position + length > len(data):
            return  # not what the decoder goes by either
        if length and data[position] >> 1 & 63 == _PARAMETERS:
            yield _hevc_size(data[position + 2 : position + min(length, _LOOKED_AT)])
        position += length
        if position >= len(data):
            return
    raise UnreadableError("the image data is damaged")


def _hevc_size(unit: bytes) -> Size:
    bits = _Bits(unit.replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(96)  # profile and level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    bits.take(2 * (8 - layers) if layers else 0)
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.exponential()
    if bits.exponential() == 3:  # all colours at full resolution: they may be coded apart
        bits.take(1)
    return bits.exponential(), bits.exponential()


def av1_sizes(data: bytes) -> Iterator[Size]:
    """Yield the largest (width, height) that each sequence header in a stream allows."""
    position = 0
    for _ in range(_MOST_UNITS):
        if position >= len(data):
            return
        kind, extended, sized = data[position] >> 3 & 15, data[position] >> 2 & 1, data[position] >> 1 & 1
        position += 1 + extended
        length = len(data) - position
        if sized:
            length = shift = 0
            while True:
                if position >= len(data) or shift > 28:
                    return
                byte = data[position]
                length |= (byte & 127) << shift
                position, shift = position + 1, shift + 7
                if byte < 128:
                    break
        if kind == _SEQUENCE:
            yield _av1_size(_Bits(data[position : position + min(length, _LOOKED_AT)]))
        position += length
    raise UnreadableError("the image data is damaged")


def _av1_size(bits: _Bits) -> Size:
    bits.take(4)
    if bits.take(1):  # the short header of a still picture
        bits.take(5)
    else:
        model = delay = 0
        if bits.take(1):
            bits.take(64)
            if bits.take(1):
                bits.exponential()
            model = bits.take(1)
            if model:
                delay = bits.take(5) + 1
                bits.take(42)
        display = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if model and bits.take(1):
                bits.take(2 * delay + 1)
            if display and bits.take(1):
                bits.take(4)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(across) + 1, bits.take(down) + 1


class Jpeg2000(NamedTuple):
    """What a JPEG 2000 codestream says before its pixels.

    Attributes
    ----------
    size : (width, height)
    n_tiles : int
        Parts that the image is coded in.
    tile_bytes : float
        Bytes per pixel of the image that decoding one of them takes.
    """

    size: Size
    n_tiles: int
    tile_bytes: float


def jpeg2000_header(stream: bytes) -> Jpeg2000:
    """Return what a JPEG 2000 codestream says of its image; UnreadableError where that cannot be."""
    try:
        right, bottom, left, top, tile_width, tile_height, start_x, start_y = struct.unpack_from(">8I", stream, 8)
        (n,) = struct.unpack_from(">H", stream, 40)
        depths = [stream[42 + 3 * number] for number in range(n)]
    except (struct.error, IndexError) as error:
        raise truncated() from error
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or not (tile_width and tile_height) or start_x > left or start_y > top:
        raise UnreadableError("the image has no pixels, or damaged sizes")
    n_tiles = -(-(right - start_x) // tile_width) * -(-(bottom - start_y) // tile_height)
    # Four bytes for each sample of a tile, and the sample itself.
    share = min(tile_width, width) * min(tile_height, height) / (width * height)
    return Jpeg2000((width, height), n_tiles, share * sum(4 + (1 if (depth & 127) < 8 else 2) for depth in depths))


def jpeg2000_tiles(stream: bytes) -> int:
    """Return how many tiles have a part in a JPEG 2000 codestream; decoders leave out the others without a word."""
    position, tiles = 2, set()
    for _ in range(_MOST_UNITS):
        marker = stream[position : position + 2]
        if marker == _START_OF_TILE and position + 12 <= len(stream):
            tile, length = struct.unpack_from(">HI", stream, position + 4)
            tiles.add(tile)
            if length == 0:  # to the end
                break
            position += max(length, 12)
        elif len(marker) == 2 and marker[0] == 0xFF and marker != _END and position + 4 <= len(stream) and not tiles:
            position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
        else:
            break
    return len(tiles)
