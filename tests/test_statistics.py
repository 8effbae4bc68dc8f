"""The mean and spread of a set against NumPy, and what a summary says of folders with odd things in them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from synthetic import textured

from cvbow.errors import DatasetError, ImageError
from cvbow.images import (
    ImageList,
    ImageStatistics,
    list_images,
    montage,
    read_image,
    resize,
    summarize_images,
)
from cvbow.images.montages import fit_square
from cvbow.parallel import executor

RNG = np.random.default_rng(2)
STACK = RNG.integers(0, 256, (23, 5, 4, 3), dtype=np.uint8)


@given(st.lists(st.integers(0, 23), max_size=5))
def test_parts_merge_to_the_statistics_of_the_whole(cuts: list[int]) -> None:
    total = ImageStatistics()
    bounds = [0, *sorted(cuts), 23]
    for start, end in itertools.pairwise(bounds):
        part = ImageStatistics().update(STACK[start:end])
        total.merge(part)
        assert part.n_images == end - start
    assert total.n_images == 23
    np.testing.assert_allclose(total.mean, STACK.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(total.std, STACK.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(total.channel_mean, STACK.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(total.channel_std, STACK.std(axis=(0, 1, 2)), rtol=1e-12)


def test_a_small_spread_far_from_zero_is_not_lost() -> None:
    # The textbook's mean of squares less square of the mean would leave nothing of it.
    values = 1e9 + np.array([4.0, 7.0, 13.0, 16.0])
    statistics = ImageStatistics().update(values.reshape(4, 1, 1))
    assert statistics.std.tolist() == [[np.sqrt(22.5)]]
    assert ImageStatistics().update([np.full((2, 2), 0.1)] * 9).std.max() < 1e-16


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_gray_counts_as_three_equal_channels(order: tuple[int, int]) -> None:
    images = [STACK[0], STACK[1, ..., 0]]
    expected = np.stack([STACK[0], np.repeat(STACK[1, ..., :1], 3, axis=2)])
    together, apart = ImageStatistics(), ImageStatistics()
    for i in order:
        together.add(images[i])
        apart.merge(ImageStatistics().update([images[i]]))
    for statistics in (together, apart):
        np.testing.assert_allclose(statistics.mean, expected.mean(axis=0))
        np.testing.assert_allclose(statistics.std, expected.std(axis=0))


def test_results_and_parts_are_left_alone() -> None:
    part = ImageStatistics().update(STACK[:2])
    total = ImageStatistics()
    total.merge(part)
    total.mean[:] = 0
    total.merge(part)
    np.testing.assert_array_equal(part.mean, STACK[:2].mean(axis=0))
    np.testing.assert_array_equal(total.mean, part.mean)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ImageStatistics().mean, "there are no statistics yet: add an image first"),
        (lambda: ImageStatistics().channel_std, "there are no statistics yet: add an image first"),
        (lambda: ImageStatistics().add(np.zeros(3)), "image must have shape"),
        (lambda: ImageStatistics().update([np.zeros((2, 2)), np.zeros((2, 3))]), "size of those before"),
        (lambda: montage([]), "rows must have at least one row"),
        (lambda: montage([("a", [])], side=2), "side must be an integer >= 8"),
        (lambda: fit_square(np.zeros((2, 2), np.float32)), "image must be a uint8 array"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_thumbnails_shrink_by_area_and_grow_by_whole_pixels() -> None:
    image = textured(40, 80)
    np.testing.assert_array_equal(fit_square(image, 20), resize(image, (20, 10), interpolation="area"))
    small = STACK[0]
    np.testing.assert_array_equal(fit_square(small, 17)[1::3, 1::3], small)
    assert fit_square(small, 17).shape == (15, 12, 3)


def test_montage_lays_images_out_in_rows() -> None:
    dark, light = np.zeros((16, 16), np.uint8), np.full((16, 16, 3), 200, np.uint8)
    sheet = montage([("", [dark, light, dark])], side=16, columns=2)
    assert sheet.shape == (6 + 2 * 22, 6 + 2 * 22, 3)
    assert (sheet[6:22, 6:22] == 0).all()
    assert (sheet[6:22, 28:44] == 200).all()
    assert (sheet[28:44, 6:22] == 0).all()
    sheet[6:22, 6:44] = 255
    sheet[28:44, 6:22] = 255
    assert (sheet == 255).all()


def test_captions_are_drawn_above_their_row_and_inside_the_sheet() -> None:
    white = np.full((32, 32), 255, np.uint8)
    with_text = montage([("a class", [white]), ("a name that is far too long for this", [white])], side=32)
    ink = (with_text < 128).any(axis=2)
    rows = ink.any(axis=1)
    # Ink only in the two strips of captions, and none in the margins.
    assert rows[6:26].any()
    assert rows[64:84].any()
    assert not rows[26:64].any()
    assert not rows[84:].any()
    assert not ink[:, :5].any()
    assert not ink[:, -6:].any()


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two classes, gray and colour, of several sizes, with files that cannot be read; one lies sideways."""
    root = tmp_path / "mixed"
    for label, count in (("b2", 20), ("b10", 21)):
        (root / label).mkdir(parents=True)
        for number in range(count):
            height, width = 20 + number % 3, 30
            Image.fromarray(textured(height, width, number)).save(root / label / f"{number}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.stack([textured(20, 30)] * 3, axis=2)).save(root / "b2" / "0.jpg", exif=exif)
    (root / "b2" / "1.jpg").write_bytes(b"")
    (root / "b10" / "7.png").write_bytes((root / "b10" / "8.png").read_bytes()[:-60])
    return root


def test_a_summary_says_what_is_there(mixed: Path) -> None:
    images = list_images(mixed)
    summary = summarize_images(images, size=(15, 10))
    found = summary.as_dict()
    assert found["n_images"] == 41
    assert [(Path(row["path"]).name, row["reason"]) for row in found["skipped"]] == [
        ("1.jpg", "the file is empty"),
        ("7.png", "the image data is truncated"),
    ]
    assert list(found["classes"].items()) == [("b2", 21), ("b10", 20)]
    assert found["channels"] == {"1": 40, "3": 1}
    read = [read_image(path) for path in images.paths if path.name not in ("1.jpg",) and not path.match("b10/7.png")]
    widths, ratios = [i.shape[1] for i in read], [i.shape[1] / i.shape[0] for i in read]
    assert found["sizes"]["width"] == {
        "min": 20, "median": np.median(widths), "mean": pytest.approx(np.mean(widths)), "max": 30
    }  # fmt: skip
    assert found["aspect_ratios"]["median"] == pytest.approx(np.median(ratios))
    assert (found["aspect_ratios"]["wide"], found["aspect_ratios"]["tall"], found["aspect_ratios"]["square"]) == (
        40, 1, 0
    )  # fmt: skip
    assert sum(row["count"] for row in found["sizes"]["most_frequent"]) == 41
    small = [resize(np.stack([i] * 3, axis=2) if i.ndim == 2 else i, (15, 10)).astype(float) for i in read]
    np.testing.assert_allclose(summary.statistics.mean, np.mean(small, axis=0))
    np.testing.assert_allclose(summary.statistics.std, np.std(small, axis=0))
    assert found["mean"] == pytest.approx(np.mean(small, axis=(0, 1, 2)).tolist())


def test_workers_change_nothing(mixed: Path) -> None:
    images = list_images(mixed)
    one = summarize_images(images)
    with executor("processes"):
        others = [summarize_images(images, n_jobs=2)]
    others.append(summarize_images(images, n_jobs=3))
    for other in others:
        assert other.as_dict() == one.as_dict()
        np.testing.assert_array_equal(other.statistics.mean, one.statistics.mean)
        np.testing.assert_array_equal(other.statistics.std, one.statistics.std)
        np.testing.assert_array_equal(other.montage, one.montage)
    assert one.as_dict()["mean_image_size"] == [30, 21]


def test_large_images_are_brought_to_256(tmp_path: Path) -> None:
    Image.fromarray(textured(300, 600)).save(tmp_path / "a.png")
    summary = summarize_images(list_images(tmp_path, flat=True))
    assert summary.as_dict()["mean_image_size"] == [256, 128]
    assert summary.counts == {}


def test_what_a_summary_writes(mixed: Path, tmp_path: Path) -> None:
    summary = summarize_images(list_images(mixed))
    files = summary.write(tmp_path / "new" / "folder")
    assert [Path(name).name for name in files] == ["mean.png", "std.png", "montage.png", "stats.json"]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(Path(f).name for f in files)
    # The mark tells a later run that the file may be replaced.
    assert json.loads(Path(files[3]).read_text(encoding="utf-8")) == {"generator": "cvbow", **summary.as_dict()}
    np.testing.assert_allclose(read_image(files[0]), summary.statistics.mean, atol=0.5)
    np.testing.assert_allclose(read_image(files[1]), np.minimum(2 * summary.statistics.std, 255), atol=0.51)
    np.testing.assert_array_equal(read_image(files[2]), summary.montage)


def test_errors_of_a_set(mixed: Path) -> None:
    images = list_images(mixed)
    with pytest.raises(ImageError, match="the file is empty"):
        summarize_images(images, strict=True)
    missing = ImageList((Path("nowhere.png"),), ("",), (None,))
    with pytest.raises(DatasetError, match=r"none of its 1 images can be read.*there is no such file"):
        summarize_images(missing)
    with pytest.raises(ValueError, match="per_class"):
        summarize_images(images, per_class=0)


def test_a_folder_without_classes_is_listed_only_when_asked(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.png"):
        Image.fromarray(textured(8, 8)).save(tmp_path / name)
    with pytest.raises(DatasetError, match="no class folder"):
        list_images(tmp_path)
    found = list_images(tmp_path, flat=True)
    assert [path.name for path in found.paths] == ["img2.png", "img10.png"]
    assert found.labels == ("", "")
    (tmp_path / "a").mkdir()
    Image.fromarray(textured(8, 8)).save(tmp_path / "a" / "b.png")
    assert list_images(tmp_path, flat=True).labels == ("a",)
