"""The formats that are read, recognised by their first bytes, and what their headers say.

A decoder is shown no metadata: text, colour profiles, EXIF blocks and animation do not change the pixels that
cvbow wants, yet they are where damaged files make decoders warn, allocate, or give up.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from cvbow.images import tiff
from cvbow.images.codestreams import CODESTREAM, jpeg2000_header, jpeg2000_tiles
from cvbow.images.header import Header, UnreadableError, truncated
from cvbow.images.heif import boxes_of, heif_format, heif_header

_UNKNOWN = "not an image in a known format (JPEG, PNG, GIF, TIFF, BMP, PNM, WebP, HEIC, AVIF, JPEG 2000)"
_JPEG2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
_PNG_PALETTE = 3
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_GIF_FRAME, _GIF_EXTENSION, _GIF_END = 0x2C, 0x21, 0x3B
_BMP_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))


def read_header(data: bytes) -> Header:
    """Recognise the format of `data` and read its header.

    Raises
    ------
    UnreadableError
        When the format is none of those that are read, or the header shows that the file is damaged.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _gif(data)
    if data.startswith(tiff.MAGICS):
        return tiff.tiff_header(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return _bmp(data)
    if re.match(rb"P[1-6][\s#]", data):
        return Header("PPM", data, bits=16)  # more than eight bits come scaled to sixteen
    if data.startswith((_JPEG2000, CODESTREAM)):
        return _jpeg2000(data)
    boxed = heif_format(data)
    if boxed is not None:
        return heif_header(data, boxed)
    raise UnreadableError(_UNKNOWN)


_EXIF = b"Exif\0\0"
_EXIF_SEGMENT = re.compile(rb"(\xff\xe1..)Exif\0\0", re.DOTALL)
_APP1, _START_OF_SCAN = 0xE1, 0xDA
_BASELINE = frozenset((0xC0, 0xC1))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH = frozenset((0x00, 0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))


def _jpeg(data: bytes) -> Header:
    end = channels = 0
    extra, exif = 0.0, b""
    for marker, start, end in jpeg_segments(data):
        if marker in _FRAMES:
            extra = _coefficients(data, start)
        if marker == _APP1 and data.startswith(_EXIF, start):
            exif = exif or data[start:end]
        elif marker in _BASELINE:
            channels = data[start + 5] if start + 5 < len(data) else 0
        elif marker == _START_OF_SCAN and start < len(data) and data[start] == channels:
            data, extra = _without_end(data), 0.0
    if exif:
        # Blanked rather than cut out: every other segment stays where it was.
        data = _EXIF_SEGMENT.sub(rb"\1\0\0\0\0\0\0", data[:end]) + data[end:]
    return Header("JPEG", data, orientation=tiff.exif_orientation(exif), extra=max(extra, 3.0), exif=exif)


def _coefficients(data: bytes, start: int) -> float:
    """Return the bytes per pixel that the coefficients of a frame take, where they wait for all scans: two each."""
    sampling = data[start + 7 : start + 6 + 3 * data[start + 5] : 3] if start + 5 < len(data) else b""
    areas = [(factors >> 4) * (factors & 15) for factors in sampling]
    across, down = max((f >> 4 for f in sampling), default=1), max((f & 15 for f in sampling), default=1)
    return 2 * sum(areas) / max(across * down, 1)


def _without_end(data: bytes) -> bytes:
    """Replace the end marker of a JPEG whose pixels all come in one scan.

    Where the pixels end before the marker, libjpeg fills the rest with gray and says nothing; where the file just ends,
    it asks for more, which is an error. A whole image needs no marker, but the decoder reads ahead by a few bytes.
    """
    return data[:-2] + bytes(16) if data.endswith(b"\xff\xd9") else data


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment's contents, up to and including the start of the scan."""
    position = 2
    while position + 4 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:
            position += 1  # junk between segments, or fill bytes
        elif marker in _NO_LENGTH:
            position += 2
        else:
            end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            yield marker, position + 4, end
            if marker == _START_OF_SCAN:
                return
            position = end


def jpeg_fault(data: bytes) -> str:
    """Return the reason why the header of a JPEG was refused."""
    for marker, start, _ in jpeg_segments(data):
        if marker in _FRAMES and start + 5 <= len(data):
            height, width = struct.unpack_from(">HH", data, start + 1)
            if not (height and width):
                return f"the image has no pixels ({width}x{height})"
        if marker == _START_OF_SCAN:
            return "the image data is damaged"
    return "the image data is truncated"


def _png(data: bytes) -> Header:
    kept = [data[:8]]
    width = height = depth = kind = 0
    transparent: tuple[int, ...] | None = None
    exif, animated = b"", False
    for name, body, chunk in _png_chunks(data):
        if (name == b"IHDR") != (len(kept) == 1) or (name == b"IHDR" and len(body) != 13):
            raise UnreadableError("the image data is damaged")
        if name == b"IHDR":
            width, height, depth, kind = struct.unpack_from(">IIBB", body)
        elif name == b"eXIf":
            exif = exif or body
            continue
        elif name == b"acTL":
            animated = int.from_bytes(body[:4], "big") > 1
            continue
        elif name == b"tRNS" and kind != _PNG_PALETTE:
            # Compared with the samples here: Pillow compares before it scales 1, 2 and 4 bits to 8.
            if len(body) == (2 if kind == 0 else 6):
                transparent = struct.unpack(f">{len(body) // 2}H", body)
            continue
        elif name not in (b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            continue
        kept.append(chunk)
    return Header(
        "PNG",
        b"".join(kept),
        size=(width, height),
        orientation=tiff.exif_orientation(exif),
        bits=depth,
        gray=kind in (0, 4),
        needs_opencv=depth == 16 and kind != 0,
        transparent=transparent,
        # OpenCV takes twice the size of 16-bit channels.
        extra=3.0 if depth < 16 or kind == 0 else 8.0 if kind == 2 else 12.0,
        exif=exif,
        several=animated,
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (name, body, whole chunk) up to IEND; the checksum of each chunk that matters has been verified."""
    position = 8
    while True:
        head = data[position : position + 8]
        if len(head) < 8:
            raise truncated()
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        end = position + 12 + length
        if end > len(data):
            raise truncated()
        chunk = data[position:end]
        # Critical chunks have a capital first letter; of the others only transparency is used.
        if (name[:1].isupper() or name == b"tRNS") and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise UnreadableError("the image data is damaged (wrong checksum)")
        yield name, chunk[8:-4], chunk
        if name == b"IEND":
            return
        position = end


def png_ends_early(data: bytes) -> bool:
    """Whether the pixels of a PNG are fewer than its header says, though its stream is well formed.

    Pillow leaves the missing rows zero and says nothing.
    """
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    missing = 0
    for top, left, down, across in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            missing += rows * (1 + (columns * bits + 7) // 8)  # each row starts with the number of its filter
    unpacker = zlib.decompressobj()
    for name, body, _ in _png_chunks(data):
        rest = body if name == b"IDAT" else b""
        while rest and missing > 0:
            missing -= len(unpacker.decompress(rest, 1 << 20))
            rest = unpacker.unconsumed_tail
    return missing - len(unpacker.flush()) > 0


def _gif(data: bytes) -> Header:
    """Cut the way to the first frame down to what shows it.

    A frame larger than the screen enlarges the image, so the size is known only at the frame.
    """
    transparency = b""
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        position = screen = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        while data[position] != _GIF_FRAME:
            if data[position] == _GIF_END:
                raise UnreadableError("the image has no frame")
            position += 1
            if data[position - 1] != _GIF_EXTENSION:
                continue  # junk between blocks
            if data[position : position + 2] == b"\xf9\x04":
                # Only the flag and the index of transparency: timing and disposal concern later frames.
                transparency = b"\x21\xf9\x04" + bytes((data[position + 2] & 1, 0, 0, data[position + 5], 0))
            position += 1
            while data[position]:
                position += 1 + data[position]
            position += 1
        left, top, across, down = struct.unpack_from("<HHHH", data, position + 1)
    except (struct.error, IndexError) as error:
        raise truncated() from error
    width, height = max(width, left + across), max(height, top + down)
    if max(width, height) > 0xFFFF:
        raise UnreadableError("the image data is damaged")
    start = data[:6] + struct.pack("<HH", width, height) + data[10:screen]
    kept = start + transparency + data[position:]
    return Header("GIF", kept, size=(width, height), several=_gif_goes_on(data, position))


def _gif_goes_on(data: bytes, position: int) -> bool:
    """Tell whether there is another frame after the one that begins at a position."""
    try:
        position += 11 + (3 << (data[position + 9] & 7) + 1 if data[position + 9] & 0x80 else 0)
        while True:
            while data[position]:
                position += 1 + data[position]
            position += 1
            if data[position] != _GIF_EXTENSION:
                return data[position] == _GIF_FRAME
            position += 2
    except IndexError:
        return False


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if len(data) < 30 or 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise truncated()
    exif = b""
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        width, height = (packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1
    elif kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        exif = _webp_exif(data)
    else:
        raise UnreadableError("the image data is damaged")
    animated = kind == b"VP8X" and data[20] & 2 != 0
    extra = 14.0 if animated else 3.0
    return Header(
        "WEBP",
        data,
        size=(width, height),
        orientation=tiff.exif_orientation(exif),
        allows_opencv=not animated,
        extra=extra,
        exif=exif,
        several=animated,
    )


def _webp_exif(data: bytes) -> bytes:
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if data.startswith(b"EXIF", position):
            return data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    return b""


def _bmp(data: bytes) -> Header:
    try:
        if data[14] == 12:
            width, height = struct.unpack_from("<HH", data, 18)
        else:
            # A negative height means that rows are stored from the top.
            width, height = struct.unpack_from("<ii", data, 18)
    except struct.error as error:
        raise truncated() from error
    return Header("BMP", data, size=(width, abs(height)))


def _jpeg2000(data: bytes) -> Header:
    start = 0
    if data.startswith(_JPEG2000):
        start = next((box.start for box in boxes_of(data, 0, len(data)) if box.kind == b"jp2c"), len(data))
    stream = data[start:]
    if not stream.startswith(CODESTREAM):
        raise truncated() if CODESTREAM.startswith(stream) else UnreadableError("the image data is damaged")
    found = jpeg2000_header(stream[:65_536])
    short = jpeg2000_tiles(stream) < found.n_tiles
    return Header("JPEG 2000", data, size=found.size, bits=16, extra=max(found.tile_bytes, 3.0), short=short)
