"""Images in every format that cvbow reads, and ways to break their files."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, features

__all__ = ["mutated", "seed_images"]

Seeds = Sequence[tuple[str, bytes]]
#: Sides that are forged: small ones, a pixel off, powers of two, and those of an image that is just within the limit.
_SIDES = (0, 1, 2, 255, 256, 1000, 4096, 9999, 10_000, 16_383, 30_000, 65_500, 65_535, 1 << 20, 1 << 31, (1 << 32) - 1)


def seed_images(data: Path | None) -> list[tuple[str, bytes]]:
    """Return whole files as (name, content): made here, and some photographs from under `data`."""
    rng = np.random.default_rng(7)
    y, x = np.indices((48, 64))
    waves = 128 + 50 * np.sin(x / 5) + 50 * np.cos(y / 3)
    pixels = np.clip(waves[..., None] + rng.normal(0, 15, (48, 64, 3)), 0, 255).astype(np.uint8)
    color = Image.fromarray(pixels)
    gray, palette = color.convert("L"), color.quantize(32)
    alpha = color.convert("RGBA")
    alpha.putalpha(gray)
    exif = Image.Exif()
    exif[0x0112] = 6

    def saved(image: Image.Image, kind: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    def by_opencv(suffix: str, array: np.ndarray, *options: int) -> bytes:
        return cv2.imencode(suffix, array, list(options))[1].tobytes()

    deep = pixels.astype(np.uint16) * 257
    frames = [palette, palette.rotate(90), palette.rotate(180)]
    seeds = {
        "jpeg": saved(color, "JPEG", exif=exif),
        "jpeg gray": saved(gray, "JPEG"),
        "jpeg 4:4:4": saved(color, "JPEG", subsampling=0, quality=95),
        "jpeg progressive": saved(color, "JPEG", progressive=True),
        "jpeg restarts": saved(color, "JPEG", restart_marker_rows=1),
        "jpeg cmyk": saved(color.convert("CMYK"), "JPEG"),
        "png": saved(color, "PNG"),
        "png gray": saved(gray, "PNG"),
        "png 1 bit": saved(gray.convert("1"), "PNG"),
        "png rgba": saved(alpha, "PNG"),
        "png palette": saved(palette, "PNG", transparency=3),
        "png 16 bit": by_opencv(".png", deep),
        "png 16 bit gray": by_opencv(".png", deep[..., 0]),
        "png interlaced": _interlaced_png(pixels[..., 0]),
        "gif": saved(palette, "GIF"),
        "gif animated": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "tiff": saved(color, "TIFF"),
        "tiff lzw": saved(color, "TIFF", compression="tiff_lzw"),
        "tiff deflate": saved(color, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": saved(color, "TIFF", compression="jpeg"),
        "tiff group4": saved(gray.convert("1"), "TIFF", compression="group4"),
        "tiff packbits": saved(palette, "TIFF", compression="packbits"),
        "tiff big": saved(gray, "TIFF", big_tiff=True),
        "tiff 16 bit": by_opencv(".tif", deep, cv2.IMWRITE_TIFF_COMPRESSION, 5),
        "tiff tiled": _tiled_tiff(pixels[..., 0]),
        "bmp": saved(color, "BMP"),
        "bmp palette": saved(palette, "BMP"),
        "bmp rle": _rle_bmp(48, 64),
        "ppm": saved(color, "PPM"),
        "pgm": saved(gray, "PPM"),
        "pbm": saved(gray.convert("1"), "PPM"),
        "ppm text": b"P3\n# text\n4 3\n255\n" + b" ".join(b"%d" % value for value in range(36)) + b"\n",
        "pgm 16 bit": b"P5 64 48 65535\n" + deep[..., 0].astype(">u2").tobytes(),
        "webp": saved(color, "WEBP"),
        "webp lossless": saved(alpha, "WEBP", lossless=True),
        "webp animated": saved(color, "WEBP", save_all=True, append_images=[color.rotate(90)]),
        "tiff float": by_opencv(".tif", pixels.astype(np.float32) * 3 - 100, cv2.IMWRITE_TIFF_COMPRESSION, 8),
        "tiff double gray": by_opencv(".tif", pixels[..., 0] / 255, cv2.IMWRITE_TIFF_COMPRESSION, 1),
        "tiff 32 bit": by_opencv(".tif", pixels[..., 0].astype(np.int32) * 70_000, cv2.IMWRITE_TIFF_COMPRESSION, 5),
    }
    if "avif" in features.modules and features.check("avif"):
        seeds |= {
            "avif": saved(color, "AVIF", exif=exif),
            "avif alpha": saved(alpha, "AVIF", subsampling="4:4:4"),
            "avif animated": saved(color, "AVIF", save_all=True, append_images=[color.rotate(90)]),
        }
    if features.check_codec("jpg_2000"):
        seeds |= {
            "jpeg 2000": saved(color, "JPEG2000"),
            "jpeg 2000 codestream": saved(gray, "JPEG2000", no_jp2=True),
            "jpeg 2000 tiles": saved(alpha, "JPEG2000", tile_size=(32, 32)),
        }
    seeds |= _heic(pixels)
    # One colour: a few bytes that stand for any number of pixels, once another size is forged.
    flat = Image.new("RGB", (256, 256), (200, 40, 90))
    seeds |= {
        "jpeg flat": saved(flat, "JPEG"),
        "jpeg flat progressive": saved(flat, "JPEG", progressive=True, subsampling=0),
        "png flat": saved(flat, "PNG"),
        "webp flat": saved(flat, "WEBP", lossless=True),
        "gif flat": saved(flat.quantize(4), "GIF"),
        "tiff flat": saved(flat, "TIFF", compression="tiff_lzw"),
        "tiff flat float": by_opencv(".tif", np.full((256, 256), 0.5, np.float32), cv2.IMWRITE_TIFF_COMPRESSION, 8),
    }
    if "avif" in features.modules and features.check("avif"):
        seeds["avif flat"] = saved(flat, "AVIF")
    if features.check_codec("jpg_2000"):
        seeds["jpeg 2000 flat"] = saved(flat, "JPEG2000")
    found = list(seeds.items())
    if data is not None:
        for folder in (
            "scene15/train",
            "oxford_affine",
            "kth_tips_gray",
            "dvd_covers/Reference",
            "cifar10_small/train",
        ):
            files = sorted(path for path in (data / folder).rglob("*") if path.suffix in (".jpg", ".png"))
            step = max(1, len(files) // 4)
            found += [(f"{folder} {path.name}", path.read_bytes()) for path in files[::step][:4]]
    return found


def _heic(pixels: np.ndarray) -> dict[str, bytes]:
    """HEIC files as phones write them: one picture, with alpha, and of tiles; none where their encoder is missing."""
    try:
        import pillow_heif
    except ImportError:
        return {}

    def saved(array: np.ndarray, **options: object) -> bytes:
        buffer = io.BytesIO()
        image = Image.fromarray(array)
        pillow_heif.from_pillow(image).save(buffer, **options)
        return buffer.getvalue()

    alpha = np.dstack([pixels, pixels[..., 0]])
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "heic": saved(pixels, exif=exif.tobytes()),
        "heic alpha": saved(alpha),
        "heic 4:4:4": saved(pixels, chroma=444),
        "heic large": saved(np.tile(pixels, (10, 10, 1)), quality=20),
        "heic flat": saved(np.full((256, 256, 3), 90, np.uint8)),
    }


def mutated(seeds: Seeds, seed: int, number: int) -> tuple[str, bytes]:
    """Return file `number`: its name, which ends in what was done to it, and its content."""
    rng = np.random.default_rng((seed, number))
    name, content = seeds[int(rng.integers(len(seeds)))]
    kinds = list(_MUTATIONS)
    kind = kinds[int(rng.integers(len(kinds)))]
    data = bytearray(content)
    _MUTATIONS[kind](data, rng, seeds)
    if rng.random() < 0.25:
        _flip_bytes(data, rng, seeds)
        kind += " and flipped bytes"
    # With wrong checksums a PNG is refused at once: half of them are made right.
    if data.startswith(b"\x89PNG") and rng.random() < 0.5:
        _correct_checksums(data)
    return f"{name} | {kind}", bytes(data)


def _flip_bytes(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    for _ in range(int(rng.integers(1, 17))):
        if data:
            # More often near the front, where the sizes and tables are.
            end = len(data) if rng.random() < 0.5 else min(len(data), 256)
            data[int(rng.integers(end))] = int(rng.integers(256))


def _flip_bits(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def _truncate(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    del data[int(rng.integers(len(data))) :]


def _swap_header(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    other = seeds[int(rng.integers(len(seeds)))][1]
    length = int(rng.choice((2, 4, 8, 16, 32, 64, 128, 512)))
    data[:length] = other[:length]


def _cut_out(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    start = int(rng.integers(len(data)))
    del data[start : start + int(rng.integers(1, 64))]


def _repeat(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    start = int(rng.integers(len(data)))
    piece = data[start : start + int(rng.integers(1, 512))]
    data[start:start] = piece * int(rng.integers(1, 50))


def _zero(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    start = int(rng.integers(len(data)))
    end = min(len(data), start + int(rng.integers(1, 128)))
    data[start:end] = bytes(end - start) if rng.random() < 0.5 else b"\xff" * (end - start)


def _extreme_numbers(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(min(len(data), 400)))
        value = int(rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
        width = 1 if value < 256 else 2 if value < 65536 else 4
        data[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def _forge_size(data: bytearray, rng: np.random.Generator, seeds: Seeds) -> None:
    """Claim another size, in the header's own terms; where the format is none of these, flip bytes."""
    # Half of them are 100 megapixels, just within the limit.
    width, height = (10_000, 10_000) if rng.random() < 0.5 else (int(rng.choice(_SIDES)) for _ in range(2))
    start = bytes(data[:12])
    if start.startswith(b"\x89PNG"):
        struct.pack_into(">II", data, 16, width, height)
        _correct_checksums(data)
    elif start.startswith(b"\xff\xd8"):
        frame = re.search(rb"\xff[\xc0-\xc2]\0[\x08-\x20]\x08", data)
        if frame:
            struct.pack_into(">HH", data, frame.end(), height & 0xFFFF, width & 0xFFFF)
    elif start.startswith(b"GIF"):
        struct.pack_into("<HH", data, 6, width & 0xFFFF, height & 0xFFFF)
        frame = data.find(b",\0\0\0\0", 13)
        if frame > 0 and rng.random() < 0.8:
            struct.pack_into("<HH", data, frame + 5, width & 0xFFFF, height & 0xFFFF)
    elif start.startswith(b"BM"):
        struct.pack_into("<II", data, 18, width, height)
    elif start.startswith((b"II*\0", b"II+\0")):
        _forge_tiff(data, rng, width, height)
    elif start.startswith(b"RIFF"):
        _forge_webp(data, width, height)
    elif start[4:8] == b"ftyp":
        for at in (match.end() for match in re.finditer(rb"ispe\0\0\0\0", bytes(data))):
            if at + 8 <= len(data) and rng.random() < 0.8:
                struct.pack_into(">II", data, at, width & 0xFFFFFFFF, height & 0xFFFFFFFF)
    elif b"\xff\x4f\xff\x51" in data:
        at = data.index(b"\xff\x4f\xff\x51")
        if at + 32 <= len(data):
            # The image, and half the time its tiles.
            sides = (width & 0xFFFFFFFF, height & 0xFFFFFFFF)
            struct.pack_into(">II", data, at + 8, *sides)
            if rng.random() < 0.5:
                struct.pack_into(">II", data, at + 24, *sides)
        if (box := data.find(b"ihdr")) > 0:
            struct.pack_into(">II", data, box + 4, height & 0xFFFFFFFF, width & 0xFFFFFFFF)
    elif re.match(rb"P[1-6]", start):
        data[:] = re.sub(
            rb"(P\d\s+)(#[^\n]*\n)?(\d+)(\s+)(\d+)", rb"\g<1>%d %d" % (width, height), bytes(data), count=1
        )
    else:
        _flip_bytes(data, rng, seeds)


def _forge_tiff(data: bytearray, rng: np.random.Generator, width: int, height: int) -> None:
    big = data[2] == 43
    (position,) = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)
    (count,) = struct.unpack_from("<Q" if big else "<H", data, position)
    first, step, value = (position + 8, 20, 12) if big else (position + 2, 12, 8)
    # Width, height, rows per strip, width and height of a tile.
    wanted = {256: width, 257: height}
    if rng.random() < 0.7:
        wanted |= {278: height, 322: width, 323: height}
    for entry in range(first, min(first + count * step, len(data) - step + 1), step):
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in wanted:
            struct.pack_into("<HH", data, entry, tag, 4)
            struct.pack_into("<I", data, entry + value, wanted[tag] & 0xFFFFFFFF)


def _forge_webp(data: bytearray, width: int, height: int) -> None:
    wide, high = max(width - 1, 0) & 0x3FFF, max(height - 1, 0) & 0x3FFF
    if data[12:16] == b"VP8X":
        data[24:27], data[27:30] = wide.to_bytes(3, "little"), high.to_bytes(3, "little")
    for kind, offset in ((b"VP8 ", 14), (b"VP8L", 9)):
        at = data.find(kind)
        if at < 0 or at + 20 > len(data):
            continue
        if kind == b"VP8 ":
            struct.pack_into("<HH", data, at + offset, (wide + 1) & 0x3FFF, (high + 1) & 0x3FFF)
        else:
            packed = int.from_bytes(data[at + offset : at + offset + 4], "little") & 0xF0000000
            struct.pack_into("<I", data, at + offset, packed | wide | high << 14)


def _correct_checksums(data: bytearray) -> None:
    position = 8
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            return
        data[end - 4 : end] = zlib.crc32(data[position + 4 : end - 4]).to_bytes(4, "big")
        position = end


_MUTATIONS: dict[str, Callable[[bytearray, np.random.Generator, Seeds], None]] = {
    "flipped bytes": _flip_bytes,
    "flipped bits": _flip_bits,
    "truncated": _truncate,
    "header swapped": _swap_header,
    "piece cut out": _cut_out,
    "piece repeated": _repeat,
    "piece overwritten": _zero,
    "extreme numbers": _extreme_numbers,
    "size forged": _forge_size,
}


def _interlaced_png(gray: np.ndarray) -> bytes:
    """Adam7, which neither Pillow nor OpenCV writes."""
    rows = b""
    for top, left, down, across in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)):
        rows += b"".join(b"\0" + row.tobytes() for row in gray[top::down, left::across])
    rows += b"".join(b"\0" + row.tobytes() for row in gray[1::2])

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = struct.pack(">IIBBBBB", gray.shape[1], gray.shape[0], 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _tiled_tiff(gray: np.ndarray) -> bytes:
    """Tiles of 16 x 16 pixels, deflated, which Pillow does not write."""
    height, width = gray.shape
    tiles = [
        zlib.compress(np.ascontiguousarray(gray[top : top + 16, left : left + 16]).tobytes())
        for top in range(0, height, 16)
        for left in range(0, width, 16)
    ]
    offsets, position = [], 8
    for tile in tiles:
        offsets.append(position)
        position += len(tile)
    tables = struct.pack(f"<{2 * len(tiles)}I", *offsets, *map(len, tiles))
    tags = [(256, width), (257, height), (258, 8), (259, 8), (262, 1), (277, 1), (322, 16), (323, 16)]
    directory = struct.pack("<H", len(tags) + 2)
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory += struct.pack("<HHII", 324, 4, len(tiles), position)
    directory += struct.pack("<HHII", 325, 4, len(tiles), position + 4 * len(tiles)) + bytes(4)
    start = struct.pack("<2sHI", b"II", 42, position + len(tables))
    return start + b"".join(tiles) + tables + directory


def _rle_bmp(height: int, width: int) -> bytes:
    """Eight bits, run-length encoded, which Pillow and OpenCV do not write."""
    rows = b"".join(bytes((width // 2, row, width - width // 2, 255 - row, 0, 0)) for row in range(height))
    body = rows + b"\0\1"
    colors = b"".join(bytes((i, i, i, 0)) for i in range(256))
    start = 14 + 40 + len(colors)
    head = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0) + colors + body
