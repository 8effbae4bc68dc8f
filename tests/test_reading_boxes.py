"""HEIC, AVIF and JPEG 2000: read where a decoder is there, and what is missing is named where it is not."""

from __future__ import annotations

import base64
import io
import re
import struct
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, features
from synthetic import textured

from cvbow.errors import ImageError
from cvbow.images import decoding, read_image
from cvbow.images.codestreams import av1_sizes, hevc_sizes, jpeg2000_header, jpeg2000_tiles
from cvbow.images.formats import read_header

#: 64 x 48 pixels, whose quarters are red, green, blue and white, coded as 64 x 64 and cut; to be turned by 90 degrees
#: to the right, which both its own boxes and its EXIF block say. Written by pillow-heif.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAA"
    "AAAERAAAIAAQAAAAAB7AABAAAAAAAAAO8AAgAAAAAC2wABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVp"
    "bmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGE"
    "ABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkA"
    "AAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEH"
    "BpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAARttZGF0AAAA"
    "6ygBrw7g6DMASXr8rO//38/kPk5Y5gaAolbmH9C/pfb4H/6Y/YPwM+zA6QsyKHZq34Kv7BIlkW/jLn/vaF/943XPPegj16v/aZ9uR9vTF/Uy88"
    "1q6Pfo5/EFsn9BYW7AIFdD6HlPRyvzEBqZXX7A8Od2ejth6yMDJJkAZG6oWedb5ToWiJwXqjQFr6hKmMZp8X5NdX2H0EAeH7MHelRNYCmJUBby"
    "OIQSgTpbBdI5sSV8Qg+JfdZ5bNxdeJOcK2sG9C0B43iujgcyCg6BrQrQcQWgN5MG8tuaeYobn95+0zqg1eEm2K35l5qsuJAAAAAGRXhpZgAATU"
    "0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA="
)
COLOR = np.stack([textured(52, 68, seed) for seed in range(3)], axis=2)

needs_avif = pytest.mark.skipif(
    "avif" not in features.modules or not features.check("avif"), reason="needs a Pillow with AVIF"
)
needs_jpeg2000 = pytest.mark.skipif(not features.check_codec("jpg_2000"), reason="needs a Pillow with OpenJPEG")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reason_of(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(data)
    return caught.value.reason


def test_heic_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert reason_of(HEIC) == "HEIC files need the extra: pip install 'cvbow[heif]'"


def test_heic_is_turned_once() -> None:
    pytest.importorskip("pillow_heif")
    image = read_image(HEIC)
    assert image.shape == (64, 48, 3)
    corners = image[[5, 5, -5, -5], [5, -5, 5, -5]].astype(int)
    wanted = np.array([(30, 30, 220), (220, 30, 30), (240, 240, 240), (30, 200, 30)])
    assert np.abs(corners - wanted).max() <= 3
    assert image.flags.writeable
    assert image.flags.c_contiguous
    gray = read_image(HEIC, gray=True)
    assert gray.shape == (64, 48)


def test_heic_that_is_damaged_or_too_large() -> None:
    at = HEIC.index(b"ispe") + 8
    large = bytearray(HEIC)
    struct.pack_into(">II", large, at, 30_000, 30_000)
    assert reason_of(bytes(large)) == "a 30000x30000 image is over the limit of 100000000 pixels (max_pixels)"
    struct.pack_into(">II", large, at, 9_000, 9_000)
    assert reason_of(bytes(large)).startswith("a 9000x9000 image of this kind takes 1296 MB to decode")
    assert reason_of(HEIC[:-60]) == "the image data is truncated"
    assert reason_of(HEIC[:400]) in ("the image data is truncated", "the image has no pixels")
    assert reason_of(HEIC[:28]) == "it is a film, or damaged: it has no picture of its own"


def bits_of(value: int) -> str:
    """Exp-Golomb."""
    text = f"{value + 1:b}"
    return "0" * (len(text) - 1) + text


def sps(width: int, height: int, layers: int = 0) -> bytes:
    """A sequence parameter set of HEVC as far as its size, with the bytes that keep a start code from appearing."""
    text = f"{0:04b}{layers:03b}1" + "0" * 96 + "11" * layers + ("00" * (8 - layers) if layers else "")
    text += "1" * 96 * layers + bits_of(0) + bits_of(1) + bits_of(width) + bits_of(height)
    text += "1" * (-len(text) % 8)
    unit = int(text, 2).to_bytes(len(text) // 8, "big")
    safe = bytearray()
    for byte in unit:
        if safe.endswith(b"\0\0") and byte < 4:
            safe.append(3)
        safe.append(byte)
    return b"\x42\x01" + bytes(safe)


@pytest.mark.parametrize("layers", [0, 2])
def test_the_size_that_a_stream_claims_is_found_wherever_it_stands(layers: int) -> None:
    """A decoder takes its memory by it, whatever the box around it says."""
    unit = sps(40_000, 30_000, layers)
    other = b"\x26\x01 a slice"
    stream = b"".join(struct.pack(">I", len(part)) + part for part in (other, unit, other))
    assert list(hevc_sizes(stream, 4)) == [(40_000, 30_000)]
    assert list(hevc_sizes(b"\0\0\xff\xff", 4)) == []
    start = HEIC.index(b"mdat") + 4
    inside = struct.pack(">I", len(unit)) + unit
    forged = HEIC[:start] + inside + HEIC[start + len(inside) :]
    assert reason_of(forged) == "a 40000x30000 image is over the limit of 100000000 pixels (max_pixels)"


def test_streams_of_nothing_but_units_end() -> None:
    assert reason_of_stream(bytes(4 * 200_000)) == "the image data is damaged"


def reason_of_stream(stream: bytes) -> str:
    from cvbow.images.header import UnreadableError

    with pytest.raises(UnreadableError) as caught:
        list(hevc_sizes(stream, 4))
    return str(caught.value)


@needs_avif
@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    upright = read_image(encoded(Image.fromarray(COLOR), "PNG", exif=exif))
    found = read_image(encoded(Image.fromarray(COLOR), "AVIF", exif=exif, quality=100, subsampling="4:4:4"))
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 2


@needs_avif
def test_avif_of_each_kind() -> None:
    alpha = Image.fromarray(np.dstack([COLOR, np.full(COLOR.shape[:2], 0, np.uint8)]))
    assert (read_image(encoded(alpha, "AVIF", quality=100)) == 255).all()
    gray = read_image(encoded(Image.fromarray(COLOR[..., 0]), "AVIF", quality=100))
    assert gray.shape == COLOR.shape[:2]
    film = encoded(Image.fromarray(COLOR), "AVIF", save_all=True, append_images=[Image.fromarray(COLOR[::-1].copy())])
    assert np.abs(read_image(film).astype(int) - COLOR).mean() < 20


@needs_avif
@pytest.mark.parametrize("size", [(16, 16), (641, 359), (70, 1030)])
def test_avif_says_its_size_twice(size: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, "red"), "AVIF", speed=10)
    header = read_header(data)
    assert header.size == size
    assert list(av1_sizes(data[data.index(b"mdat") + 4 :])) == [size]
    large = bytearray(data)
    struct.pack_into(">II", large, data.index(b"ispe") + 8, 30_000, 30_000)
    assert "over the limit of 100000000 pixels" in reason_of(bytes(large))
    assert reason_of(data[:-10]) == "the image data is truncated"


def test_avif_where_pillow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ftyp, ispe = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", b"\0\0\0\x14ispe\0\0\0\0\0\0\0\x08\0\0\0\x08"
    box = b"meta\0\0\0\0" + struct.pack(">I4sI4s", 16 + len(ispe), b"iprp", 8 + len(ispe), b"ipco") + ispe
    monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    monkeypatch.delattr("PIL.AvifImagePlugin", raising=False)
    data = ftyp + struct.pack(">I", 4 + len(box)) + box
    assert reason_of(data) == "AVIF files need Pillow 11.3 or later: pip install --upgrade pillow"
    monkeypatch.setattr(decoding.features, "check_codec", lambda name: False)
    data = b"\xff\x4f\xff\x51" + struct.pack(">HH8IH3B", 41, 0, 9, 9, 0, 0, 9, 9, 0, 0, 1, 7, 1, 1)
    data += b"\xff\x90\0\x0a" + bytes(8)
    assert reason_of(data).startswith("JPEG 2000 files need a Pillow that is built with OpenJPEG")


@needs_jpeg2000
@pytest.mark.parametrize("kind", ["jp2", "codestream", "tiles"])
def test_jpeg_2000_without_loss(kind: str) -> None:
    options: dict[str, Any] = {"jp2": {}, "codestream": {"no_jp2": True}, "tiles": {"tile_size": (32, 32)}}[kind]
    for pixels in (COLOR, COLOR[..., 0]):
        data = encoded(Image.fromarray(pixels), "JPEG2000", **options)
        np.testing.assert_array_equal(read_image(data), pixels)
        assert reason_of(data[: len(data) // 2]) in ("the image data is truncated", "the image data is damaged")
    if kind != "tiles":  # Pillow writes tiles of 16 bits wrongly
        deep = Image.fromarray(COLOR[..., 0].astype(np.uint16) * 257)
        np.testing.assert_array_equal(read_image(encoded(deep, "JPEG2000", **options)), COLOR[..., 0])
    alpha = Image.fromarray(np.dstack([COLOR, np.zeros(COLOR.shape[:2], np.uint8)]))
    assert (read_image(encoded(alpha, "JPEG2000", **options)) == 255).all()


@needs_jpeg2000
def test_jpeg_2000_is_limited_by_what_its_stream_says() -> None:
    data = encoded(Image.fromarray(COLOR), "JPEG2000")
    at = data.index(b"\xff\x4f\xff\x51")
    assert jpeg2000_header(data[at:]) == ((68, 52), 1, 15.0)
    for side, reason in ((30_000, "over the limit of 100000000 pixels"), (7_000, "takes 931 MB to decode")):
        large = bytearray(data)
        struct.pack_into(">6I", large, at + 8, side, side, 0, 0, side, side)
        assert reason in reason_of(bytes(large))
    tiles = encoded(Image.fromarray(COLOR), "JPEG2000", tile_size=(17, 13))
    assert jpeg2000_header(tiles[tiles.index(b"\xff\x4f\xff\x51") :]) == ((68, 52), 16, 15 / 16)


@needs_jpeg2000
def test_jpeg_2000_without_some_of_its_tiles_is_truncated() -> None:
    """A decoder leaves them black, and says nothing."""
    data = encoded(Image.fromarray(COLOR), "JPEG2000", tile_size=(32, 32), no_jp2=True)
    starts = [match.start() for match in re.finditer(rb"\xff\x90\x00\x0a", data)]
    assert jpeg2000_tiles(data) == len(starts) == 6
    without_last = data[: starts[-1]] + b"\xff\xd9"
    assert reason_of(without_last) == "the image data is truncated"
    twice = data[: starts[1]] + data[starts[0] : starts[1]] + data[starts[2] :]
    assert reason_of(twice) == "the image data is truncated"
    large = bytearray(data)
    struct.pack_into(">2I", large, 8, 9_000, 9_000)
    assert reason_of(bytes(large)) == "the image data is truncated"


def test_other_files_of_boxes_are_unknown() -> None:
    for brand in (b"isom", b"mp42", b"qt  "):
        assert "not an image in a known format" in reason_of(b"\0\0\0\x14ftyp" + brand + bytes(40))
