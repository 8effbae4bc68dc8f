"""What is read of an image file beside its pixels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvbow import read_image
from cvbow.images import FileFacts

FORMATS = {"JPEG": "jpeg", "PNG": "png", "GIF": "gif", "TIFF": "tiff", "BMP": "bmp", "PPM": "ppm", "WEBP": "webp"}


def encoded(kind: str, n_pictures: int = 1, **options: Any) -> bytes:
    pictures = [Image.new("RGB", (6, 4), (60 * number, 0, 90)) for number in range(n_pictures)]
    file = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if n_pictures > 1 else {}
    pictures[0].save(file, kind, **more, **options)
    return file.getvalue()


def exif(make: str = "", model: str = "", orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[0x010F], block[0x0110], block[0x0112] = make, model, orientation
    return block.tobytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_of_a_plain_file(kind: str) -> None:
    data = encoded(FORMATS[kind])
    assert FileFacts.of(data) == FileFacts(len(data), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("SONY", "DSC-W5", "SONY DSC-W5"),
        ("", "Pixel", "Pixel"),
        ("", "", ""),
    ],
)
def test_the_camera_by_make_and_model(kind: str, make: str, model: str, camera: str) -> None:
    facts = FileFacts.of(encoded(FORMATS[kind], exif=exif(make, model, 6)))
    assert (facts.camera, facts.orientation) == (camera, 6)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_more_pictures_than_one(kind: str) -> None:
    assert FileFacts.of(encoded(FORMATS[kind], 3)).several
    assert not FileFacts.of(encoded(FORMATS[kind], 1)).several


def test_of_no_image_there_is_only_the_size() -> None:
    assert FileFacts.of(b"not an image") == FileFacts(12)
    assert FileFacts.of(encoded("png")[:20]).format == ""


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "JPEG", "WEBP", "PNG"])
def test_no_front_of_a_file_is_too_short_to_be_told_of(kind: str) -> None:
    whole = encoded(FORMATS[kind], **({} if kind in ("GIF",) else {"exif": exif("a", "b", 3)}))
    for length in range(0, len(whole), 3):
        assert FileFacts.of(whole[:length]).n_bytes == length


def test_a_model_that_is_no_text_is_none() -> None:
    data = encoded("jpeg", exif=exif("Canon", "EOS"))
    # The type of the first entry, which is the make: 2 is a text, 7 is of no type.
    at = data.index(b"\x0f\x01\x02\x00") if b"\x0f\x01\x02\x00" in data else data.index(b"\x01\x0f\x00\x02")
    damaged = bytearray(data)
    damaged[at + 2 : at + 4] = damaged[at + 2 : at + 4].replace(b"\x02", b"\x07")
    assert FileFacts.of(bytes(damaged)).camera == "EOS"


def test_pixels_are_as_they_were() -> None:
    data = encoded("jpeg", exif=exif("Canon", "EOS", 6))
    assert np.array_equal(read_image(data), np.rot90(read_image(encoded("jpeg")), -1))
