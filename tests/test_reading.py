from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import types
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tiffs import tags_for, tiff

from cvbow.errors import ImageError
from cvbow.images import content_hash, read_bytes, read_image
from cvbow.images.pixels import is_pillow_image

RNG = np.random.default_rng(7)
H, W = 13, 17
RGB = RNG.integers(0, 256, (H, W, 3)).astype(np.uint8)
GRAY = RGB[..., 0].copy()
ALPHA = RNG.integers(0, 256, (H, W)).astype(np.uint8)
ALPHA[0, :3] = 0, 128, 255
DEEP = RNG.integers(0, 65536, (H, W, 4)).astype(np.uint16)
DEEP[0, :6, 0] = 0, 128, 129, 255, 65406, 65407  # both sides of the first and the last rounding step
KNOWN_FORMATS = "not an image in a known format (JPEG, PNG, GIF, TIFF, BMP, PNM, WebP, HEIC, AVIF, JPEG 2000)"
TRUNCATED = "the image data is truncated"
DAMAGED = "the image data is damaged"


def encode(pixels: NDArray[np.uint8] | Image.Image, form: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def encode_opencv(suffix: str, pixels: NDArray[np.uint16]) -> bytes:
    order = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(order))
    assert done
    return data.tobytes()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    rows: list[bytes], size: tuple[int, int], depth: int, kind: int, *, before: bytes = b"", after: bytes = b""
) -> bytes:
    """Build a PNG by hand, with extra chunks before and after the pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")


def deep_png(samples: NDArray[np.uint16], kind: int, *, before: bytes = b"") -> bytes:
    rows = [row.astype(">u2").tobytes() for row in samples]
    return png(rows, (samples.shape[1], samples.shape[0]), 16, kind, before=before)


def on_white(color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    opacity = alpha.astype(float) / 255
    if color.ndim == 3:
        opacity = opacity[..., None]
    return np.rint(color * opacity + 255 * (1 - opacity)).astype(np.uint8)


def eight_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return np.rint(samples / 257).astype(np.uint8)


def reason_of(source: bytes | Path, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source, **options)
    return caught.value.reason


# ---- formats without loss ----

LOSSLESS = {
    "png": ("PNG", {}),
    "bmp": ("BMP", {}),
    "pnm": ("PPM", {}),
    "tiff": ("TIFF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff deflate, predictor": ("TIFF", {"compression": "tiff_deflate", "tiffinfo": {317: 2}}),
    "tiff packbits": ("TIFF", {"compression": "packbits"}),
    "bigtiff": ("TIFF", {"big_tiff": True}),
}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("pixels", [RGB, GRAY], ids=["rgb", "gray"])
def test_lossless_formats_give_back_their_pixels(tmp_path: Path, name: str, pixels: NDArray[np.uint8]) -> None:
    form, options = LOSSLESS[name]
    path = tmp_path / "picture.dat"  # the content decides, not the suffix
    path.write_bytes(encode(pixels, form, **options))
    found = read_image(path)
    np.testing.assert_array_equal(found, pixels)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert found.flags.owndata


def test_lossless_webp_and_gif() -> None:
    np.testing.assert_array_equal(read_image(encode(RGB, "WEBP", lossless=True)), RGB)
    np.testing.assert_array_equal(read_image(encode(GRAY, "GIF")), GRAY)


def test_accepts_str_path_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(RGB, "PNG"))
    for source in (path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(read_image(source), RGB)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_one_bit_images_become_black_and_white(form: str) -> None:
    bits = GRAY > 127
    options = {"compression": "group4"} if form == "TIFF" else {}
    found = read_image(encode(Image.fromarray(bits), form, **options))
    np.testing.assert_array_equal(found, np.where(bits, 255, 0))


def test_plain_pnm() -> None:
    text = b"P3\n# a comment\n2 1\n255\n" + b" ".join(b"%d" % value for value in (1, 2, 3, 250, 251, 252))
    np.testing.assert_array_equal(read_image(text), [[[1, 2, 3], [250, 251, 252]]])


def test_interlaced_png() -> None:
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    for pixels, depth in ((RGB, 8), (DEEP[..., :3], 16)):
        parts = [pixels[top::down, left::across] for top, left, down, across in passes]
        rows = [row.astype(">u2" if depth == 16 else "u1").tobytes() for part in parts if part.size for row in part]
        data = png(rows, (W, H), depth, 2)
        interlaced = chunk(b"IHDR", data[16:28] + b"\x01")
        expected = eight_bits(pixels) if depth == 16 else pixels
        np.testing.assert_array_equal(read_image(data[:8] + interlaced + data[33:]), expected)


def test_bmp_stored_from_the_top() -> None:
    data = bytearray(encode(RGB, "BMP"))
    flipped = RGB[::-1]
    struct.pack_into("<i", data, 22, -H)
    np.testing.assert_array_equal(read_image(bytes(data)), flipped)


# ---- JPEG ----


def test_jpeg_colour_is_what_pillow_decodes() -> None:
    data = encode(RGB, "JPEG", quality=90)
    np.testing.assert_array_equal(read_image(data), np.array(Image.open(io.BytesIO(data))))


def test_jpeg_gray_is_the_luma_that_opencv_decodes() -> None:
    smooth = cv2.GaussianBlur(RNG.integers(0, 256, (64, 48, 3)).astype(np.uint8), (0, 0), 3)
    data = encode(smooth, "JPEG", quality=95)
    found = read_image(data, gray=True)
    reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert found.shape == (64, 48)
    assert np.abs(found.astype(int) - reference).max() <= 1
    # Taken before the conversion to RGB, so close to the luma of the RGB image, which has been rounded and clipped.
    assert np.abs(found.astype(int) - read_image(read_image(data), gray=True)).max() <= 2


def test_gray_jpeg_stays_two_dimensional() -> None:
    data = encode(GRAY, "JPEG")
    np.testing.assert_array_equal(read_image(data), np.array(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(read_image(data, gray=True), read_image(data))


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(form: str) -> None:
    ink = np.dstack([255 - RGB, np.zeros((H, W), np.uint8)])
    ink[:, W // 2 :] = 0, 0, 0, 255
    data = encode(Image.fromarray(ink, "CMYK"), form, **({"quality": 100} if form == "JPEG" else {}))
    found = read_image(data)
    assert found.shape == (H, W, 3)
    np.testing.assert_array_equal(found, np.array(Image.open(io.BytesIO(data)).convert("RGB")))
    assert found[:, -4:].max() <= 4  # black ink is black, not inverted
    assert read_image(data, gray=True).shape == (H, W)


def test_multi_picture_jpeg_gives_the_first() -> None:
    data = encode(RGB, "MPO", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    np.testing.assert_array_equal(read_image(data), np.array(Image.open(io.BytesIO(data))))


# ---- luma ----


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_luma_of_colour(form: str) -> None:
    found = read_image(encode(RGB, form), gray=True)
    np.testing.assert_array_equal(found, cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY))
    assert np.abs(found - RGB @ [0.299, 0.587, 0.114]).max() <= 0.51
    np.testing.assert_array_equal(found, read_image(RGB, gray=True))


# ---- sixteen bits ----

DEEP_FILES = {
    "png gray": (deep_png(DEEP[..., 0], 0), eight_bits(DEEP[..., 0])),
    "png rgb": (deep_png(DEEP[..., :3], 2), eight_bits(DEEP[..., :3])),
    "png gray, alpha": (
        deep_png(DEEP[..., [0, 3]], 4),
        on_white(eight_bits(DEEP[..., 0]), eight_bits(DEEP[..., 3])),
    ),
    "png rgb, alpha": (deep_png(DEEP, 6), on_white(eight_bits(DEEP[..., :3]), eight_bits(DEEP[..., 3]))),
    "png opencv": (encode_opencv(".png", DEEP[..., :3]), eight_bits(DEEP[..., :3])),
    "tiff opencv": (encode_opencv(".tiff", DEEP[..., :3]), eight_bits(DEEP[..., :3])),
    "tiff opencv, alpha": (
        encode_opencv(".tiff", DEEP),
        None,  # which kind of alpha, if any, is up to the version that wrote it
    ),
    "pgm": (b"P5 %d %d 65535\n" % (W, H) + DEEP[..., 0].astype(">u2").tobytes(), eight_bits(DEEP[..., 0])),
    "ppm": (b"P6 %d %d 65535\n" % (W, H) + DEEP[..., :3].astype(">u2").tobytes(), eight_bits(DEEP[..., :3])),
}
for _endian, _name in (("<", "little"), (">", "big")):
    _one, _three = DEEP[..., 0].astype(_endian + "u2"), DEEP[..., :3].astype(_endian + "u2")
    for _big in (False, True):
        _suffix = f"{_name} endian{', bigtiff' if _big else ''}"
        DEEP_FILES[f"tiff gray, {_suffix}"] = (
            tiff(tags_for(W, H, [16], 1), _one.tobytes(), endian=_endian, big=_big),
            eight_bits(DEEP[..., 0]),
        )
        DEEP_FILES[f"tiff white is zero, {_suffix}"] = (
            tiff(tags_for(W, H, [16], 0), _one.tobytes(), endian=_endian, big=_big),
            255 - eight_bits(DEEP[..., 0]),
        )
        DEEP_FILES[f"tiff rgb, {_suffix}"] = (
            tiff(tags_for(W, H, [16, 16, 16], 2), _three.tobytes(), endian=_endian, big=_big),
            eight_bits(DEEP[..., :3]),
        )


@pytest.mark.parametrize("name", DEEP_FILES)
def test_sixteen_bits_are_rounded_to_eight(name: str) -> None:
    data, expected = DEEP_FILES[name]
    found = read_image(data)
    if expected is None:
        assert found.shape == (H, W, 3)
        return
    np.testing.assert_array_equal(found, expected)
    assert found.flags.owndata
    assert found.flags.c_contiguous


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_sixteen_bit_tiff_with_a_fourth_channel(extra: int) -> None:
    samples = DEEP.copy()
    if extra == 1:  # premultiplied: no colour exceeds its alpha
        samples[..., :3] = np.minimum(samples[..., :3], samples[..., 3:])
    tags = tags_for(W, H, [16] * 4, 2, t338=extra)
    found = read_image(tiff(tags, samples.astype("<u2").tobytes()))
    color, alpha = eight_bits(samples[..., :3]), eight_bits(samples[..., 3])
    expected = {0: color, 1: color + (255 - alpha[..., None]), 2: on_white(color, alpha)}[extra]
    np.testing.assert_array_equal(found, expected)


def test_twelve_bit_tiff_uses_its_own_range() -> None:
    values = np.array([[0, 1, 2048, 4095]], np.uint16)
    packed = bytes.fromhex("000001800fff")
    np.testing.assert_array_equal(read_image(tiff(tags_for(4, 1, [12], 1), packed)), np.rint(values / 4095 * 255))


def test_sixteen_bit_planes_stored_apart_are_refused() -> None:
    data = tiff(tags_for(W, H, [16] * 3, 2, t284=2), DEEP[..., :3].tobytes())
    assert "stored one after another" in reason_of(data)


# ---- transparency ----


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_onto_white(form: str) -> None:
    rgba = np.dstack([RGB, ALPHA])
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    np.testing.assert_array_equal(read_image(encode(rgba, form, **options)), on_white(RGB, ALPHA))


def test_gray_with_alpha_stays_gray() -> None:
    image = Image.merge("LA", (Image.fromarray(GRAY), Image.fromarray(ALPHA)))
    for form in ("PNG", "TIFF"):
        np.testing.assert_array_equal(read_image(encode(image, form)), on_white(GRAY, ALPHA))


def indexed(palette: list[int]) -> tuple[Image.Image, NDArray[np.uint8], NDArray[np.uint8]]:
    index = RNG.integers(0, len(palette) // 3, (H, W)).astype(np.uint8)
    image = Image.fromarray(index)
    image.putpalette(palette)
    return image, index, np.array(palette, np.uint8).reshape(-1, 3)[index]


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "BMP"])
def test_palette_becomes_colour(form: str) -> None:
    image, _, expected = indexed([255, 0, 0, 0, 255, 0, 9, 8, 7, 200, 100, 50])
    np.testing.assert_array_equal(read_image(encode(image, form)), expected)


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "BMP"])
def test_palette_of_grays_is_gray(form: str) -> None:
    image, _, expected = indexed([250] * 3 + [3] * 3 + [90] * 3)
    np.testing.assert_array_equal(read_image(encode(image, form)), expected[..., 0])


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_palette_with_one_transparent_entry(form: str) -> None:
    image, index, expected = indexed([255, 0, 0, 0, 255, 0, 9, 8, 7])
    expected[index == 2] = 255
    np.testing.assert_array_equal(read_image(encode(image, form, transparency=2)), expected)


def test_palette_with_an_alpha_per_entry() -> None:
    image, index, expected = indexed([255, 0, 0, 0, 255, 0, 9, 8, 7])
    alphas = np.array([255, 60, 0], np.uint8)
    data = encode(image, "PNG", transparency=alphas.tobytes())
    np.testing.assert_array_equal(read_image(data), on_white(expected, alphas[index]))
    np.testing.assert_array_equal(
        read_image(data, gray=True), cv2.cvtColor(on_white(expected, alphas[index]), cv2.COLOR_RGB2GRAY)
    )


def test_palette_of_grays_with_transparency_stays_gray() -> None:
    image, index, expected = indexed([250] * 3 + [3] * 3 + [90] * 3)
    expected[index == 1] = 255
    np.testing.assert_array_equal(read_image(encode(image, "PNG", transparency=1)), expected[..., 0])


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_transparent_gray_of_any_depth(depth: int) -> None:
    top = 2**depth - 1
    samples = RNG.integers(0, top + 1, (4, 8)).astype(np.uint16)
    samples[0, 0] = 1
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        rows = [bytes(pack_bits(row, depth)) for row in samples]
    data = png(rows, (8, 4), depth, 0, before=chunk(b"tRNS", struct.pack(">H", 1)))
    expected = np.where(samples == 1, 255, np.rint(samples / top * 255)).astype(np.uint8)
    np.testing.assert_array_equal(read_image(data), expected)


def pack_bits(row: NDArray[np.uint16], depth: int) -> NDArray[np.uint8]:
    bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8))


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_colour(depth: int) -> None:
    samples = DEEP[..., :3] if depth == 16 else RGB.astype(np.uint16)
    key = samples[3, 4]
    rows = [row.astype(">u2" if depth == 16 else "u1").tobytes() for row in samples]
    data = png(rows, (W, H), depth, 2, before=chunk(b"tRNS", struct.pack(">HHH", *key)))
    expected = eight_bits(samples) if depth == 16 else RGB.copy()
    expected[(samples == key).all(axis=2)] = 255
    assert (expected[3, 4] == 255).all()
    np.testing.assert_array_equal(read_image(data), expected)


# ---- several frames ----


def test_first_frame_of_animations_and_documents() -> None:
    rest = [Image.fromarray(255 - RGB), Image.fromarray(RGB[::-1].copy())]
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encode(RGB, form, save_all=True, append_images=rest, **options)
        assert Image.open(io.BytesIO(data)).n_frames == 3
        np.testing.assert_array_equal(read_image(data), RGB)


def test_first_frame_of_an_animated_gif() -> None:
    first, _, expected = indexed([255, 0, 0, 0, 255, 0, 9, 8, 7])
    second = first.copy()
    second.putpalette([1, 2, 3, 4, 5, 6, 0, 0, 250])
    data = encode(first, "GIF", save_all=True, append_images=[second], disposal=2, comment=b"two frames", loop=0)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    np.testing.assert_array_equal(read_image(data), expected)


def test_invalid_animation_control_does_not_matter() -> None:
    rows = [row.tobytes() for row in RGB]
    control = chunk(b"acTL", struct.pack(">II", 0, 0))
    np.testing.assert_array_equal(read_image(png(rows, (W, H), 8, 2, before=control + control)), RGB)


def test_gif_frame_larger_than_the_screen_enlarges_the_image() -> None:
    data = bytearray(encode(GRAY, "GIF"))
    struct.pack_into("<HH", data, 6, 2, 3)
    np.testing.assert_array_equal(read_image(bytes(data)), GRAY)


# ---- orientation ----

UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def exif(orientation: int, endian: str = "<") -> bytes:
    """Build an EXIF block by hand, with a second tag whose value lies outside the directory."""
    head = (b"II" if endian == "<" else b"MM") + struct.pack(endian + "HI", 42, 8)
    entries = struct.pack(endian + "HHII", 0x10F, 2, 8, 8 + 2 + 24 + 4)
    entries += struct.pack(endian + "HHIHH", 0x112, 3, 1, orientation, 0)
    return b"Exif\0\0" + head + struct.pack(endian + "H", 2) + entries + struct.pack(endian + "I", 0) + b"someone\0"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [RGB, GRAY], ids=["rgb", "gray"])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(orientation: int, pixels: NDArray[np.uint8], form: str) -> None:
    options = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {"tiffinfo": {274: orientation}}}[form]
    if form != "TIFF":
        options["exif"] = exif(orientation)
    found = read_image(encode(pixels, form, **options))
    if form == "WEBP" and pixels.ndim == 2:
        pixels = np.dstack([pixels] * 3)
    np.testing.assert_array_equal(found, UPRIGHT[orientation](pixels))
    assert found.flags.c_contiguous
    assert found.flags.owndata


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("gray", [False, True])
def test_orientation_of_jpeg_is_what_pillow_and_opencv_make_of_it(orientation: int, endian: str, gray: bool) -> None:
    smooth = cv2.resize(RGB, (48, 24), interpolation=cv2.INTER_CUBIC)
    data = encode(smooth, "JPEG", quality=95, exif=exif(orientation, endian))
    found = read_image(data, gray=gray)
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    reference = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    assert found.shape[:2] == (turned.height, turned.width) == reference.shape[:2]
    if not gray:
        np.testing.assert_array_equal(found, np.array(turned))
        reference = reference[..., ::-1]
    assert np.abs(found.astype(int) - reference).max() <= 3


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_out_of_range_means_upright(value: int) -> None:
    np.testing.assert_array_equal(read_image(encode(RGB, "PNG", exif=exif(value))), RGB)
    np.testing.assert_array_equal(read_image(tiff(tags_for(W, H, [8] * 3, 2, t274=value), RGB.tobytes())), RGB)


def test_damaged_exif_is_ignored_without_a_warning() -> None:
    whole = exif(6)
    plain = encode(RGB, "JPEG")
    for block in (whole[:9], whole[:20], whole[:30], b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0II*\0" + b"\xff" * 60):
        segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
        data = plain[:2] + segment + plain[2:]
        np.testing.assert_array_equal(read_image(data), read_image(plain))


# ---- refusals ----


def test_missing_file(tmp_path: Path) -> None:
    for function in (read_image, read_bytes, content_hash):
        with pytest.raises(FileNotFoundError):
            function(tmp_path / "none.jpg")


def test_folder(tmp_path: Path) -> None:
    assert reason_of(tmp_path) == "it is a folder, not an image"


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert caught.value.path == str(path)
    assert str(caught.value) == f"{path}: the file is empty"
    assert reason_of(b"") == "the file is empty"


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(RGB, "JPEG"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # as root no file is unreadable

        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    monkeypatch.undo()
    assert caught.value.reason == "permission denied"


def test_other_failures_of_the_file_system(tmp_path: Path) -> None:
    assert reason_of(tmp_path / ("a" * 300)).startswith("the file cannot be read (")
    (tmp_path / "file").touch()
    assert reason_of(tmp_path / "file" / "a.jpg").startswith("the file cannot be read (")
    assert reason_of(tmp_path / "a\0.jpg") == "it is not a valid file name"
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert reason_of(loop).startswith("the file cannot be read (")


@pytest.mark.parametrize(
    "content",
    [
        b"This is a text that somebody has named photo.jpg.\n",
        b"BM is how this text begins, yet it is no bitmap at all",
        b"P9 2 2 255 ....",
        b"Pf\n2 2\n-1.0\n" + bytes(16),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7\n",
        b"8BPS\0\1" + bytes(40),
        b"SIMPLE  =                    T" + b" " * 3000,
        b"\0\0\0\x20ftypisom" + bytes(40),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8",
        b"\0" * 1000,
    ],
)
def test_other_formats_are_not_even_tried(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    assert reason_of(path) == KNOWN_FORMATS


SMOOTH = cv2.resize(RGB, (96, 80), interpolation=cv2.INTER_CUBIC)
WHOLE = {
    "jpeg": encode(SMOOTH, "JPEG"),
    "progressive jpeg": encode(SMOOTH, "JPEG", progressive=True),
    "jpeg with exif": encode(SMOOTH, "JPEG", exif=exif(6)),
    "png": encode(SMOOTH, "PNG"),
    "16-bit png": encode_opencv(".png", SMOOTH.astype(np.uint16) * 257),
    "gif": encode(Image.fromarray(SMOOTH).quantize(64), "GIF"),
    "tiff": encode(SMOOTH, "TIFF"),
    "tiff lzw": encode(SMOOTH, "TIFF", compression="tiff_lzw"),
    "16-bit tiff": encode_opencv(".tiff", SMOOTH.astype(np.uint16) * 257),
    "webp": encode(SMOOTH, "WEBP"),
    "lossless webp": encode(SMOOTH, "WEBP", lossless=True),
    "bmp": encode(SMOOTH, "BMP"),
    "pgm": encode(SMOOTH[..., 0], "PPM"),
    "16-bit ppm": b"P6 96 80 60000\n" + bytes(96 * 80 * 6),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(WHOLE[name][: int(len(WHOLE[name]) * share)])
    assert reason_of(path) == TRUNCATED
    with pytest.raises(ImageError):
        read_image(path, gray=True)


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg"])
def test_jpeg_cut_anywhere_is_refused(name: str) -> None:
    data = WHOLE[name]
    # libjpeg would fill the rest with gray. Only the end marker, two bytes, may be missing.
    for length in range(4, len(data) - 2, 7):
        with pytest.raises(ImageError):
            read_image(data[:length])


@pytest.mark.parametrize("name", WHOLE)
def test_trailing_garbage_does_no_harm(name: str) -> None:
    np.testing.assert_array_equal(read_image(WHOLE[name] + b"\0\xff garbage" * 9), read_image(WHOLE[name]))


def test_huge_png_of_a_few_kilobytes(tmp_path: Path) -> None:
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(2501)) for _ in range(20000)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    assert path.stat().st_size < 60_000
    assert reason_of(path) == "a 20000x20000 image is over the limit of 100000000 pixels (max_pixels)"


def patched(data: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


BOMBS = {
    "jpeg": patched(WHOLE["jpeg"], WHOLE["jpeg"].index(b"\xff\xc0") + 5, ">HH", 60000, 60000),
    "gif": patched(encode(GRAY, "GIF"), 6, "<HH", 60000, 60000),
    "bmp": patched(WHOLE["bmp"], 18, "<ii", 60000, 60000),
    "webp": patched(WHOLE["webp"], 26, "<HH", 16000, 16000),
    "tiff": tiff(tags_for(60000, 60000, [8], 1), bytes(100)),
    "pgm": b"P5 60000 60000 255 " + bytes(100),
}


@pytest.mark.parametrize("name", BOMBS)
def test_size_is_checked_before_decoding(name: str) -> None:
    side = 16000 if name == "webp" else 60000
    assert reason_of(BOMBS[name]) == f"a {side}x{side} image is over the limit of 100000000 pixels (max_pixels)"


def test_gif_frame_counts_towards_the_size() -> None:
    data = encode(GRAY, "GIF")
    frame = data.index(b",")
    assert reason_of(patched(data, frame + 5, "<HH", 30000, 30000)).startswith("a 30000x30000 image is over")


@pytest.mark.parametrize("name", WHOLE)
def test_limit_is_inclusive(name: str) -> None:
    assert read_image(WHOLE[name], max_pixels=96 * 80).shape[:2] in ((80, 96), (96, 80))
    assert (
        reason_of(WHOLE[name], max_pixels=96 * 80 - 1) == "a 96x80 image is over the limit of 7679 pixels (max_pixels)"
    )


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many"])
def test_limit_must_be_a_positive_integer(value: object) -> None:
    with pytest.raises(ValueError, match="max_pixels must be None or an integer >= 1, got"):
        read_image(WHOLE["png"], max_pixels=value)


@pytest.mark.parametrize("name", WHOLE)
def test_pillows_own_limit_neither_warns_nor_refuses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_image(WHOLE[name])
    # Warned about from here; refused at twice as much, which only WebP's reader insists on.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 80 - 1)
    np.testing.assert_array_equal(read_image(WHOLE[name]), expected)


def test_large_tiff_that_only_pillow_can_read_is_refused_by_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    image, _, _ = indexed([255, 0, 0, 0, 255, 0])
    data = encode(image, "TIFF")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert reason_of(data) == "a TIFF of this kind is over the decoder's limit of 100 pixels"


def test_image_without_pixels() -> None:
    assert reason_of(png([], (0, 5), 8, 2)) == "the image has no pixels (0x5)"
    assert reason_of(patched(WHOLE["bmp"], 18, "<ii", 0, 7)) == "the image has no pixels (0x7)"
    at = WHOLE["jpeg"].index(b"\xff\xc0") + 5
    assert reason_of(patched(WHOLE["jpeg"], at, ">HH", 0, 96)) == "the image has no pixels (96x0)"
    assert reason_of(b"P5 0 3 255 ") == "the image has no pixels"
    assert reason_of(tiff(tags_for(0, 3, [8], 1), b"..")) == "the image has no pixels (0x3)"
    assert reason_of(b"GIF89a\1\0\1\0\0\0\0;") == "the image has no frame"


def test_unsupported_kinds_say_so() -> None:
    at = WHOLE["jpeg"].index(b"\xff\xc0") + 4
    assert reason_of(patched(WHOLE["jpeg"], at, "B", 12)) == "this kind of JPEG file is not supported"
    assert reason_of(tiff(tags_for(4, 4, [8] * 3, 99), bytes(48))) == "this kind of TIFF file is not supported"


def test_wrong_checksum_of_the_pixels_is_refused() -> None:
    data = bytearray(WHOLE["png"])
    data[data.index(b"IDAT") + 20] ^= 1
    assert reason_of(bytes(data)) == "the image data is damaged (wrong checksum)"


@pytest.mark.parametrize("gray", [False, True])
def test_jpeg_whose_pixels_end_before_its_end_marker_is_refused(gray: bool) -> None:
    for name in ("jpeg", "jpeg with exif"):
        data = WHOLE[name]
        start = data.index(b"\xff\xda") + 14
        for share in (0.1, 0.5, 0.9):
            cut = data[: start + int((len(data) - start) * share)]
            assert reason_of(cut + b"\xff\xd9", gray=gray) == TRUNCATED
        at = data.index(b"\xff\xc0") + 5
        assert reason_of(patched(data, at, ">H", 200), gray=gray) == TRUNCATED


@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"restart_marker_rows": 1}]
)
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 16), (33, 2), (2, 65)])
@pytest.mark.parametrize("quality", [5, 75, 100])
def test_whole_jpegs_are_never_taken_for_truncated(
    options: dict[str, int], size: tuple[int, int], quality: int
) -> None:
    for pixels in (np.zeros((*size, 3), np.uint8), RNG.integers(0, 256, (*size, 3)).astype(np.uint8)):
        for channels in (pixels, pixels[..., 0]):
            data = encode(channels, "JPEG", quality=quality, **(options if channels.ndim == 3 else {}))
            np.testing.assert_array_equal(read_image(data), np.array(Image.open(io.BytesIO(data))))


def test_baseline_jpeg_with_a_scan_per_channel() -> None:
    # Neither Pillow nor OpenCV writes these: the three scans of a gray image's data, one per channel, make one.
    gray = encode(cv2.resize(GRAY, (16, 16)), "JPEG", qtables=[[8] * 64])
    frame, scan = gray.index(b"\xff\xc0"), gray.index(b"\xff\xda")
    head = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 16, 16, 3) + b"".join(bytes((i, 0x11, 0)) for i in (1, 2, 3))
    scans = b""
    for channel in (1, 2, 3):
        scans += b"\xff\xda" + struct.pack(">HBBB", 8, 1, channel, 0) + b"\0\x3f\0" + gray[scan + 10 : -2]
    data = gray[:frame] + head + gray[frame + 13 : scan] + scans + b"\xff\xd9"
    found = read_image(data)
    np.testing.assert_array_equal(found, np.array(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(read_image(data, gray=True), read_image(gray))


@pytest.mark.parametrize("kind", ["rgb", "gray", "alpha", "interlaced", "one row"])
def test_png_whose_pixels_end_early_is_refused(kind: str) -> None:
    rows = [row.tobytes() for row in RGB]
    if kind == "gray":
        assert reason_of(png([row.tobytes() for row in GRAY[:-1]], (W, H), 8, 0)) == TRUNCATED
    elif kind == "alpha":
        rgba = np.dstack([RGB, ALPHA])
        assert reason_of(png([row.tobytes() for row in rgba[:3]], (W, H), 8, 6)) == TRUNCATED
    elif kind == "interlaced":
        data = png([RGB[top::8, left::8].reshape(2, -1).tobytes() for top, left in ((0, 0),)], (W, H), 8, 2)
        assert reason_of(data[:8] + chunk(b"IHDR", data[16:28] + b"\x01") + data[33:]) == TRUNCATED
    else:
        assert (
            reason_of(png(rows[: 0 if kind == "one row" else -1], (W, 1 if kind == "one row" else H), 8, 2))
            == TRUNCATED
        )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_black_png_is_whole(mode: str) -> None:
    image = Image.new(mode, (300, 700), 0)
    expected = 255 if mode in ("LA", "RGBA") else 0
    assert (read_image(encode(image, "PNG")) == expected).all()


def test_damaged_pixels_are_refused() -> None:
    broken = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 2, 0, 0, 0))
    assert reason_of(broken + chunk(b"IDAT", b"no zlib stream") + chunk(b"IEND", b"")) == DAMAGED


def test_text_bombs_are_never_unpacked() -> None:
    rows = [row.tobytes() for row in RGB]
    packed = zlib.compress(bytes(80_000_000), 9)
    extra = chunk(b"zTXt", b"Comment\0\0" + packed) + chunk(b"iTXt", b"k\0\1\0\0\0" + packed)
    extra += chunk(b"iCCP", b"p\0\0" + packed) + chunk(b"zTXt", b"a\0\0broken")
    np.testing.assert_array_equal(read_image(png(rows, (W, H), 8, 2, before=extra, after=extra)), RGB)


def test_lack_of_memory_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", refuse)
    assert reason_of(WHOLE["png"]) == "there is not enough memory to decode it"


def test_name_stands_for_bytes_in_messages(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"shelf/book\.jpg: the image data is truncated"):
        read_image(WHOLE["jpeg"][:300], name=Path("shelf/book.jpg"))
    with pytest.raises(ImageError, match="<bytes>: "):
        read_image(b"no image")


@pytest.mark.parametrize("source", [None, 3, [[1, 2], [3, 4]]])
def test_other_types_are_refused(source: object) -> None:
    with pytest.raises(ValueError, match="source must be a path, bytes or an array, got"):
        read_image(source)


# ---- arrays ----


def test_arrays_are_copied_never_changed() -> None:
    for source in (RGB, GRAY, RGB[::2, ::-1], np.dstack([RGB, ALPHA])):
        kept = source.copy()
        for gray in (False, True):
            found = read_image(source, gray=gray)
            assert not np.may_share_memory(found, source)
            assert found.flags.c_contiguous
            assert found.flags.owndata
            found[:] = 7
            np.testing.assert_array_equal(source, kept)


def test_arrays_of_every_kind() -> None:
    np.testing.assert_array_equal(read_image(RGB[::2, ::-1]), RGB[::2, ::-1])
    np.testing.assert_array_equal(read_image(GRAY[..., None]), GRAY)
    np.testing.assert_array_equal(read_image(np.dstack([RGB, ALPHA])), on_white(RGB, ALPHA))
    np.testing.assert_array_equal(read_image(DEEP[..., :3]), eight_bits(DEEP[..., :3]))
    np.testing.assert_array_equal(read_image(DEEP[..., 0].astype(">u2")), eight_bits(DEEP[..., 0]))
    for kind in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(read_image((RGB / 255).astype(kind)), RGB)
    np.testing.assert_array_equal(read_image(RGB, gray=True), cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"shape \(H, W\).*got shape \(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"got shape \(4,\)"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"got shape \(1, 2, 2, 3\)"),
        (np.zeros((0, 4), np.uint8), r"at least one pixel, got shape \(0, 4\)"),
        (np.full((2, 2), 1.5), r"within \[0, 1\] when it is floating point, got \[1\.5, 1\.5\]"),
        (np.full((2, 2), -0.1), r"within \[0, 1\]"),
        (np.full((2, 2), np.nan), r"within \[0, 1\]"),
        (np.zeros((2, 2), np.int64), "got dtype int64"),
        (np.zeros((2, 2), bool), "got dtype bool"),
        (np.zeros((2, 2), np.uint32), "got dtype uint32"),
        (np.zeros((2, 2), complex), "got dtype complex128"),
    ],
)
def test_arrays_that_are_no_images(source: NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_image(source)


# ---- hashing, sharing, threads ----


def test_one_read_serves_hash_and_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["png"])
    data = read_bytes(path)
    assert data == WHOLE["png"]
    assert content_hash(data) == content_hash(path) == content_hash(str(path))
    np.testing.assert_array_equal(read_image(data, name=path), SMOOTH)


def test_content_hash_tells_contents_apart() -> None:
    assert content_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash(RGB) == content_hash(np.asfortranarray(RGB)) == content_hash(RGB[::-1][::-1])
    variants = [RGB, RGB.reshape(W, H, 3), RGB.view(np.int8), RGB[::-1], RGB.tobytes(), RGB.astype(np.uint16)]
    assert len({content_hash(variant) for variant in variants}) == len(variants)


def test_threads_agree() -> None:
    jobs = [WHOLE[name] for name in WHOLE] * 6
    expected = [read_image(data) for data in jobs]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(read_image, jobs), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_import_is_light() -> None:
    code = "import sys, cvbow.images; sys.exit(', '.join({'PIL', 'cv2'} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


# ---- damage ----

SEEDS = [
    encode(GRAY, "PNG"),
    encode(RGB, "PNG", exif=exif(5)),
    encode(indexed([255, 0, 0, 0, 255, 0, 9, 8, 7])[0], "PNG", transparency=b"\0\x80"),
    encode(RGB, "PNG", save_all=True, append_images=[Image.fromarray(255 - RGB)]),
    deep_png(DEEP[..., [0, 3]], 4),
    encode(RGB, "JPEG", exif=exif(8)),
    encode(GRAY, "JPEG", progressive=True),
    encode(Image.fromarray(np.dstack([RGB, ALPHA]), "CMYK"), "JPEG"),
    encode(indexed([255, 0, 0, 0, 255, 0, 9, 8, 7])[0], "GIF", transparency=1, comment=b"c", disposal=2),
    encode(RGB, "TIFF", compression="tiff_lzw", tiffinfo={274: 3}),
    encode(Image.fromarray(np.dstack([RGB, ALPHA])), "TIFF"),
    encode(indexed([255, 0, 0, 0, 255, 0])[0], "TIFF"),
    tiff(tags_for(W, H, [16] * 3, 2), DEEP[..., :3].tobytes(), endian=">", big=True),
    encode(RGB, "WEBP", exif=exif(2)),
    encode(np.dstack([RGB, ALPHA]), "WEBP", lossless=True),
    encode(RGB, "BMP"),
    encode(indexed([255, 0, 0, 0, 255, 0])[0], "BMP"),
    encode(RGB, "PPM"),
    b"P2 3 2 1000\n1 2 3 500 999 1000",
]


def repaired(data: bytes) -> bytes:
    """Recompute the checksums of a PNG, so that damage gets past them."""
    fixed, position = bytearray(data), 8
    while data.startswith(b"\x89PNG") and position + 12 <= len(fixed):
        end = position + 8 + int.from_bytes(fixed[position : position + 4], "big")
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(bytes(fixed[position + 4 : end])))
        position = end + 4
    return bytes(fixed)


@settings(max_examples=200)
@given(data=st.data(), seed=st.sampled_from(SEEDS), repair=st.booleans(), gray=st.booleans())
def test_damage_gives_an_image_or_an_image_error(data: st.DataObject, seed: bytes, repair: bool, gray: bool) -> None:
    # Half of the damage goes to the first bytes, where the structure is.
    place = st.one_of(st.integers(0, min(len(seed), 100) - 1), st.integers(0, len(seed) - 1))
    changed = bytearray(seed)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=0, max_size=6)):
        changed[at] = value
    if data.draw(st.booleans()):
        del changed[data.draw(place) :]
    damaged = repaired(bytes(changed)) if repair else bytes(changed)
    try:
        found = read_image(damaged, gray=gray, max_pixels=1_000_000)
    except ImageError:
        pass
    else:
        assert found.dtype == np.uint8
        assert found.size > 0
        assert found.ndim == 2 if gray else found.ndim == 2 or found.shape[2:] == (3,)
        assert found.flags.c_contiguous
        assert found.flags.writeable


@given(st.binary(max_size=200), st.sampled_from([seed[:12] for seed in SEEDS] + [b""]))
def test_random_bytes_are_refused(tail: bytes, head: bytes) -> None:
    with contextlib.suppress(ImageError):
        read_image(head + tail, max_pixels=1_000_000)


def pillow_images() -> dict[str, Image.Image]:
    color, alpha = Image.fromarray(RGB), Image.fromarray(ALPHA)
    turned = color.copy()
    turned.getexif()[0x0112] = 6  # Orientation: turn it by 90 degrees.
    palette = color.quantize(16)
    clear = palette.copy()
    clear.info["transparency"] = 3
    return {
        "L": Image.fromarray(GRAY),
        "1": Image.fromarray(GRAY).convert("1"),
        "LA": Image.merge("LA", (Image.fromarray(GRAY), alpha)),
        "RGB": color,
        "RGBA": Image.merge("RGBA", (*color.split(), alpha)),
        "P": palette,
        "P, one colour clear": clear,
        "I;16": Image.fromarray(DEEP[..., 0]),
        "I;16, one value clear": Image.open(
            io.BytesIO(encode(Image.fromarray(DEEP[..., 0]), "png", transparency=int(DEEP[3, 4, 0])))
        ),
        "turned": turned,
    }


@pytest.mark.parametrize("name", pillow_images())
@pytest.mark.parametrize("gray", [False, True])
def test_an_image_of_pillow_is_read_like_its_file(name: str, gray: bool) -> None:
    image = pillow_images()[name]
    data = encode(image, "png", exif=image.getexif()) if name == "turned" else encode(image, "png")
    before = image.tobytes()
    np.testing.assert_array_equal(read_image(image, gray=gray), read_image(data, gray=gray))
    assert image.tobytes() == before


def test_pillow_may_be_in_the_middle_of_its_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", types.ModuleType("PIL.Image"))
    assert not is_pillow_image(RGB)
    np.testing.assert_array_equal(read_image(RGB), RGB)


def test_a_broken_image_of_pillow_is_an_image_error() -> None:
    broken = Image.open(io.BytesIO(encode(RGB, "png")[:-60]))
    with pytest.raises(ImageError, match="image: "):
        read_image(broken)


def test_modes_of_pillow_that_no_png_has() -> None:
    alpha = Image.merge("LA", (Image.fromarray(GRAY), Image.fromarray(ALPHA)))
    assert np.abs(read_image(alpha.convert("La")).astype(int) - read_image(alpha)).max() <= 2
    np.testing.assert_array_equal(read_image(Image.fromarray(RGB).convert("CMYK")), RGB)
    np.testing.assert_array_equal(read_image(Image.fromarray(GRAY.astype(np.float32) / 255)), GRAY)
    wide = Image.fromarray(DEEP[..., 0].astype(np.int32))
    np.testing.assert_array_equal(read_image(wide), read_image(DEEP[..., 0]))
    with pytest.raises(ValueError, match="source must be uint8, uint16, or floating point"):
        read_image(Image.fromarray(np.full((2, 2), -1, np.int32)))
    assert content_hash(Image.fromarray(RGB)) == content_hash(RGB) != content_hash(Image.fromarray(RGB[::-1]))
