"""What reading takes: conversions go a few rows at a time, and what would take too much is refused from its header."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from synthetic import textured

from cvbow.errors import ImageError
from cvbow.images import decoding, read_image
from cvbow.images.formats import read_header

COLOR = np.stack([textured(37, 29, seed) for seed in range(3)], axis=2)
ALPHA = np.dstack([COLOR, textured(37, 29, 9)])


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def deep(suffix: str, channels: int) -> bytes:
    samples = np.dstack([COLOR, COLOR[..., 0]])[..., :channels].astype(np.uint16) * 251 + 7
    return cv2.imencode(suffix, samples[..., 0] if channels == 1 else samples)[1].tobytes()


FILES = {
    "palette": encoded(Image.fromarray(COLOR).quantize(16), "GIF"),
    "transparent palette": encoded(Image.fromarray(COLOR).quantize(16), "PNG", transparency=3),
    "one transparent colour": encoded(Image.fromarray(COLOR), "PNG", transparency=tuple(COLOR[3, 4].tolist())),
    "alpha": encoded(Image.fromarray(ALPHA), "PNG"),
    "gray with alpha": encoded(Image.fromarray(ALPHA).convert("LA"), "PNG"),
    "cmyk": encoded(Image.fromarray(COLOR).convert("CMYK"), "JPEG"),
    "jpeg": encoded(Image.fromarray(COLOR), "JPEG"),
    "one bit": encoded(Image.fromarray(COLOR).convert("1"), "PNG"),
    "16-bit gray png": deep(".png", 1),
    "16-bit png": deep(".png", 3),
    "16-bit png with alpha": deep(".png", 4),
    "16-bit tiff": deep(".tif", 3),
    "webp": encoded(Image.fromarray(COLOR), "WEBP"),
}


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_a_few_rows_at_a_time_give_what_all_at_once_do(name: str, gray: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_image(FILES[name], gray=gray)
    for rows in (1, 5, 36):
        monkeypatch.setattr(decoding, "_BAND", rows * 29)
        np.testing.assert_array_equal(read_image(FILES[name], gray=gray), whole)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_large_webp_takes_another_decoder_with_the_same_pixels(
    alpha: bool, lossless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.fromarray(ALPHA if alpha else COLOR), "WEBP", lossless=lossless)
    expected = read_image(data)
    monkeypatch.setattr(decoding, "_ANIMATION", 10**9)
    monkeypatch.setattr(decoding, "_decode_pillow", None)
    np.testing.assert_array_equal(read_image(data), expected)


def forged_jpeg(**options: Any) -> bytes:
    data = bytearray(encoded(Image.fromarray(COLOR), "JPEG", **options))
    frame = max(data.find(b"\xff\xc0\0\x11\x08"), data.find(b"\xff\xc2\0\x11\x08"))
    struct.pack_into(">HH", data, frame + 5, 10_000, 10_000)
    return bytes(data)


def forged_png(data: bytes) -> bytes:
    import zlib

    head = b"IHDR" + struct.pack(">II", 10_000, 10_000) + data[24:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


@pytest.mark.parametrize(
    ("data", "needed"),
    [
        (forged_jpeg(progressive=True, subsampling=0), 1000),
        (forged_png(FILES["16-bit png"]), 1200),
        (forged_png(FILES["16-bit png with alpha"]), 1600),
    ],
)
def test_what_takes_too_much_memory_is_refused_from_its_header(data: bytes, needed: int) -> None:
    with pytest.raises(ImageError, match=f"a 10000x10000 image of this kind takes {needed} MB .* limit of 800 MB"):
        read_image(data)
    # Whoever allows more pixels allows more memory.
    decoding._check_size(read_header(data), (10_000, 10_000), False, 200_000_000)


def test_animated_webp_has_a_limit_of_its_own() -> None:
    frame = Image.fromarray(COLOR)
    data = bytearray(encoded(frame, "WEBP", save_all=True, append_images=[frame.rotate(90)]))
    assert read_image(bytes(data)).shape == COLOR.shape
    data[24:27] = data[27:30] = (9_999).to_bytes(3, "little")
    with pytest.raises(ImageError, match="takes 1800 MB to decode"):
        read_image(bytes(data))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("one_strip", [False, True])
def test_a_tiff_with_too_little_in_it_is_truncated(compression: str | None, one_strip: bool) -> None:
    """OpenCV, which takes over for large ones, would leave the missing rows black without a word."""
    data = bytearray(encoded(Image.fromarray(COLOR), "TIFF", **({"compression": compression} if compression else {})))
    assert read_image(bytes(data)).shape == COLOR.shape
    (position,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, position)
    wanted = {256: 9_900, 257: 9_900, **({278: 9_900} if one_strip else {})}
    for entry in range(position + 2, position + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, entry)
        if tag in wanted:
            struct.pack_into("<HHII", data, entry, tag, 4, 1, wanted[tag])
    with pytest.raises(ImageError, match="the image data is truncated"):
        read_image(bytes(data))


def test_one_colour_is_not_too_little(tmp_path: Path) -> None:
    """The fewest bytes that a whole image can have pass every check."""
    flat = Image.new("RGB", (1200, 1000), (9, 40, 200))
    options: list[tuple[str, dict[str, Any]]] = [
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
        ("TIFF", {"compression": "jpeg"}),
        ("WEBP", {"lossless": True}),
        ("PNG", {"optimize": True}),
        ("JPEG", {"progressive": True, "quality": 5}),
    ]
    for kind, chosen in options:
        assert read_image(encoded(flat, kind, **chosen)).shape == (1000, 1200, 3)
    one_strip = encoded(flat, "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 1000})
    assert read_image(one_strip).shape == (1000, 1200, 3)
    fax = encoded(Image.new("1", (1200, 1000), 1), "TIFF", compression="group4")
    assert (read_image(fax) == 255).all()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to know the peak of memory")
def test_memory_stays_within_eight_bytes_a_pixel(tmp_path: Path) -> None:
    """A transparent palette: once it took 27."""
    image = Image.new("P", (4000, 3000), 5)
    image.putpalette(bytes(range(256)) * 3)
    image.save(tmp_path / "a.png", transparency=3, compress_level=1)
    code = (
        "import sys\n"
        "from cvbow.images import read_image\n"
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM'))\n"
        "import cv2, cvbow.images.decoding\n"
        "before = peak()\n"
        "shape = read_image(sys.argv[1]).shape\n"
        "print(shape, peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True, check=True)
    shape, _, taken = done.stdout.strip().rpartition(" ")
    assert shape == "(3000, 4000, 3)"
    assert 3 * 12e6 < int(taken) < 8 * 12e6
