"""Near-duplicates: pictures made here, copied in every way that counts, beside others that are only alike."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvbow.backends import RawPixels
from cvbow.dictionary import KMeansDictionary
from cvbow.duplicates import MIN_SCORE, Duplicates, find_copies, find_duplicates
from cvbow.duplicates._candidates import alike, alike_in_part
from cvbow.duplicates.closer_look import largest_difference
from cvbow.duplicates.thumbnails import (
    SIDE,
    Agreement,
    agreement,
    details,
    gray_thumbnail,
    thumbnail_map,
    window_map,
)
from cvbow.duplicates.turning import TURNS, turn_map, turned, undone
from cvbow.duplicates.windows import PLACES, Windows, likely_windows, whole_vectors
from cvbow.images import read_image, to_gray
from cvbow.index import ImageIndex
from cvbow.retrieval import ImageVectors, VisualWords

Image = NDArray[np.uint8]


@functools.cache
def picture(seed: int, size: tuple[int, int] = (180, 150), *, finest: float = 1.0, color: bool = False) -> Image:
    """Noise at all scales down to `finest` pixels, as photographs have: below 8 there are many keypoints."""
    rng = np.random.default_rng(seed)
    width, height = size
    total = np.zeros((height, width, 3))
    scale = 64.0
    while scale >= finest:
        noise = rng.normal(size=(height + 200, width + 200, 3 if color else 1)).astype(np.float32)
        blurred = cv2.GaussianBlur(noise, (0, 0), scale).reshape(height + 200, width + 200, -1)
        total += (blurred / blurred.std())[100:-100, 100:-100] * scale**0.7
        scale /= 2
    total = (total - total.mean()) / total.std()
    image = np.clip(128 + 45 * total, 0, 255).astype(np.uint8)
    image = image if color else np.ascontiguousarray(image[:, :, 0])
    # It is made once: no test may change it for the others.
    image.flags.writeable = False
    return image


def resized(image: Image, zoom: float) -> Image:
    height, width = image.shape[:2]
    kind = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (round(width * zoom), round(height * zoom)), interpolation=kind))


def cropped(image: Image, share: float = 0.8, at: tuple[float, float] = (0.5, 0.5)) -> Image:
    height, width = image.shape[:2]
    h, w = round(height * share), round(width * share)
    y, x = round((height - h) * at[1]), round((width - w) * at[0])
    return np.ascontiguousarray(image[y : y + h, x : x + w])


def jpeg(image: Image, quality: int) -> Image:
    """The image as JPEG leaves it, its colours stored at half the size."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    data = cv2.imencode(".jpg", image if image.ndim == 2 else image[:, :, ::-1], options)[1]
    return read_image(data.tobytes())


def save(path: Path, image: Image, quality: int = 95) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image if image.ndim == 2 else image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures, 0 with five copies, 1 in colour with a smaller copy, 2 cropped twice, 3 the same file twice; 8
    to 11 have hardly a keypoint, and 8 and 9 copies.
    """
    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        finest = 1.0 if number < 8 else 16.0
        image = picture(number, finest=finest, color=number == 1)
        save(folder / f"{number:02d}.jpg", image)
        if number == 0:
            save(folder / "00-half.jpg", resized(image, 0.5))
            save(folder / "00-large.jpg", resized(image, 1.5))
            save(folder / "00-coarse.jpg", image, quality=30)
            save(folder / "00-part.jpg", cropped(image, 0.8, (0, 1)))
            save(folder / "00-strip.jpg", np.ascontiguousarray(image[30:110]))
        elif number == 1:
            save(folder / "01-small.jpg", resized(image, 0.7))
        elif number == 2:
            save(folder / "02-left.jpg", cropped(image, 0.8, (0, 0)))
            save(folder / "02-right.jpg", cropped(image, 0.8, (1, 0.5)))
        elif number == 3:
            shutil.copy(folder / "03.jpg", folder / "03-twin.jpg")
        elif number == 8:
            save(folder / "08-part.jpg", cropped(image, 0.8, (1, 0)))
        elif number == 9:
            save(folder / "09-coarse.jpg", resized(image, 0.6), quality=30)
    return folder


EXPECTED = {
    ("00-coarse.jpg", "00-half.jpg", "00-large.jpg", "00-part.jpg", "00-strip.jpg", "00.jpg"),
    ("01-small.jpg", "01.jpg"),
    ("02-left.jpg", "02-right.jpg", "02.jpg"),
    ("03-twin.jpg", "03.jpg"),
    ("08-part.jpg", "08.jpg"),
    ("09-coarse.jpg", "09.jpg"),
}


@pytest.fixture(scope="module")
def words(photos: Path) -> VisualWords:
    dictionary = KMeansDictionary(n_words=100, max_iter=3)
    return VisualWords(dictionary=dictionary).fit(sorted(photos.glob("0[0-7].jpg")))


@pytest.fixture(scope="module")
def index(photos: Path, words: VisualWords, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageIndex]:
    path = tmp_path_factory.mktemp("index") / "photos.index"
    with ImageIndex.build(path, words, root=photos) as built:
        built.add(sorted(photos.glob("*.jpg")))
        yield built


def names(found: Duplicates) -> set[tuple[str, ...]]:
    return {tuple(Path(path).name for path in group.paths) for group in found.groups}


def summary(found: Duplicates) -> list[object]:
    return [(group.paths, group.score, [vars(pair) for pair in group.pairs]) for group in found.groups]


# --- the whole --------------------------------------------------------------------------------------------------------


def test_every_copy_and_nothing_else(index: ImageIndex) -> None:
    found = find_duplicates(index)
    assert names(found) == EXPECTED
    assert (found.n_images, found.unseen) == (23, [])
    assert [len(group.paths) for group in found.groups] == [6, 3, 2, 2, 2, 2]
    reasons = {(Path(pair.first).name, Path(pair.second).name): pair for pair in found.pairs}
    assert reasons["03-twin.jpg", "03.jpg"].reason == "identical"
    assert reasons["03-twin.jpg", "03.jpg"].score == 1
    for name in ("00-coarse.jpg", "00-half.jpg", "00-large.jpg"):
        assert reasons[name, "00.jpg"].reason == "copy"
        assert reasons[name, "00.jpg"].score > 0.95
    part = reasons["00-part.jpg", "00.jpg"]
    assert part.reason == "part"
    assert part.n_inliers is not None
    assert part.overlap == pytest.approx((1, 0.64), abs=0.02)
    assert reasons["00-strip.jpg", "00.jpg"].overlap == pytest.approx((1, 80 / 150), abs=0.02)
    smooth = reasons["08-part.jpg", "08.jpg"]
    assert smooth.reason == "part"
    assert smooth.overlap == pytest.approx((1, 0.64), abs=0.05)
    for group in found.groups:
        assert group.score == min(pair.score for pair in group.pairs) >= 0.75
        assert {path for pair in group.pairs for path in (pair.first, pair.second)} == set(group.paths)


def test_smooth_pictures_have_few_keypoints(index: ImageIndex) -> None:
    # Otherwise the tests above say nothing about how those are found.
    for name in ("08.jpg", "08-part.jpg"):
        assert len(index.describe(index.row(name))["words"]) < 10


def test_the_number_of_workers_changes_nothing(index: ImageIndex) -> None:
    assert summary(find_duplicates(index, n_jobs=2)) == summary(find_duplicates(index))


def test_parameters_decide(index: ImageIndex) -> None:
    # Thumbnails alone find large parts.
    assert names(find_duplicates(index, candidates=0, few_features=0)) == EXPECTED
    most = find_duplicates(index, min_overlap=0.9).pairs
    assert {pair.reason for pair in most} == {"identical", "copy"}
    assert {pair.reason for pair in find_duplicates(index, min_score=1).pairs} == {"identical"}
    whole = {pair.reason for pair in find_duplicates(index, min_part_score=1).pairs}
    assert whole == {"identical", "copy"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("candidates", -1),
        ("min_score", 1.5),
        ("min_part_score", 2),
        ("min_overlap", -0.1),
        ("max_difference", 2.5),
        ("few_features", 2.5),
        ("n_jobs", 0),
    ],
)
def test_a_bad_parameter_is_named(index: ImageIndex, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        find_duplicates(index, **{name: value})


def test_removed_images_and_lost_files(photos: Path, words: VisualWords, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(photos, copies)
    with ImageIndex.build(tmp_path / "some.index", words, root=copies) as some:
        assert find_duplicates(some).groups == []
        some.add(sorted(copies.glob("0[1238]*.jpg")))
        some.remove(["02.jpg", "08-part.jpg"])
        found = find_duplicates(some)
        assert names(found) == {("01-small.jpg", "01.jpg"), ("02-left.jpg", "02-right.jpg"), ("03-twin.jpg", "03.jpg")}
        for path in copies.glob("*.jpg"):
            path.unlink()
        found = find_duplicates(some)
        assert ("03-twin.jpg", "03.jpg") in names(found)
        # The twin that stands for both is one of them.
        assert (len(found.groups), len(found.unseen)) == (1, 6)
        assert str(copies / "01.jpg") in {error.path for error in found.unseen}


def test_an_index_of_vectors_alone(photos: Path, tmp_path: Path) -> None:
    describer = ImageVectors(RawPixels(), whiten=False).fit(sorted(photos.glob("*.jpg")))
    with ImageIndex.build(tmp_path / "vectors.index", describer, root=photos) as built:
        built.add(sorted(photos.glob("*.jpg")))
        found = find_duplicates(built, candidates=20)
    assert names(found) <= EXPECTED | {("00-coarse.jpg", "00-half.jpg", "00-large.jpg", "00-part.jpg", "00.jpg")}
    assert names(found) >= EXPECTED - {max(EXPECTED, key=len), ("02-left.jpg", "02-right.jpg", "02.jpg")}
    assert all(pair.n_inliers is None for pair in found.pairs)


def test_flat_images_are_only_found_by_their_bytes(words: VisualWords, tmp_path: Path) -> None:
    for name, image in {
        "black": np.zeros((90, 120)),
        "gray": np.full((90, 120), 128),
        "dark": np.ones((90, 120)),
    }.items():
        save(tmp_path / f"{name}.png", image.astype(np.uint8))
    shutil.copy(tmp_path / "black.png", tmp_path / "night.png")
    with ImageIndex.build(tmp_path / "flat.index", words) as built:
        built.add(sorted(tmp_path.glob("*.png")))
        assert names(find_duplicates(built)) == {("black.png", "night.png")}


def test_photographs(shared_data: Path, words: VisualWords, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    paths = sorted((shared_data / "scene15" / "train").glob("*/*.jpg"))[::60]
    for number, path in enumerate(paths):
        image = read_image(path, gray=True)
        copies = [
            resized(image, rng.uniform(0.5, 1.5)),
            image,
            cropped(image, 0.8, (rng.uniform(), rng.uniform())),
        ]
        save(tmp_path / f"{number:02d}-copy.jpg", copies[number % 3], quality=30 if number % 3 == 1 else 90)
        shutil.copy(path, tmp_path / f"{number:02d}.jpg")
    with ImageIndex.build(tmp_path / "photos.index", words) as built:
        built.add(sorted(tmp_path.glob("*.jpg")))
        found = find_duplicates(built)
    assert names(found) == {(f"{number:02d}-copy.jpg", f"{number:02d}.jpg") for number in range(len(paths))}
    assert min(pair.score for pair in found.pairs) > 0.9


def test_names_of_one_file_are_no_copies(photos: Path, words: VisualWords, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photos / "03.jpg", folder / "03.jpg")
    shutil.copy(photos / "03.jpg", folder / "03-twin.jpg")
    (folder / "00-symbolic.jpg").symlink_to(folder / "03.jpg")
    (folder / "01-chain.jpg").symlink_to("00-symbolic.jpg")
    (folder / "hard.jpg").hardlink_to(folder / "03.jpg")
    (tmp_path / "linked").symlink_to(folder)
    with ImageIndex.build(tmp_path / "links.index", words, root=tmp_path) as built:
        built.add([*sorted(folder.glob("*.jpg")), tmp_path / "linked" / "03.jpg"])
        found = find_duplicates(built)
    (several,) = found.links
    # A file comes before the links to it, and stands for all.
    assert several[:3] == ("photos/03.jpg", "photos/hard.jpg", "linked/03.jpg")
    assert set(several[3:]) == {"photos/00-symbolic.jpg", "photos/01-chain.jpg"}
    assert [group.paths for group in found.groups] == [("photos/03-twin.jpg", "photos/03.jpg")]
    assert (found.n_images, found.n_files) == (6, 2)


def form(
    entries: int, *, height: int = 420, fields: int = 12, checked: bool = False, other: int | None = None
) -> Image:
    """A form of the shape of A4, filled in differently for every number, field `other` by the next number."""
    zoom = height / 420
    image = np.full((height, round(height / 1.4)), 250, np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * zoom), round(y * zoom)

    for line, y in enumerate(np.linspace(40, 390, fields)):
        rng = np.random.default_rng((entries + (line == other), line))
        cv2.putText(image, f"Field {chr(65 + line)}:", at(15, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45 * zoom, 30, 1)
        cv2.line(image, at(110, y + 4), at(280, y + 4), 120, 1)
        text = "".join(map(chr, rng.integers(97, 122, rng.integers(4, 12))))
        cv2.putText(image, text, at(115, y), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 0.5 * zoom, 20, 1)
    cv2.rectangle(image, at(270, 10), at(280, 20), 60, 1)
    if checked:
        cv2.line(image, at(270, 10), at(280, 20), 40, 1)
        cv2.line(image, at(280, 10), at(270, 20), 40, 1)
    return image


def shirt(color: tuple[int, int, int]) -> Image:
    """A product of one colour on light ground."""
    texture = np.random.default_rng(0).integers(-20, 20, (240, 240, 3)).astype(np.int16)
    corners = np.array([[60, 50], [180, 50], [210, 100], [175, 115], [170, 210], [70, 210], [65, 115], [30, 100]])
    image = cv2.fillPoly(np.full((240, 240, 3), 240, np.uint8), [corners], color)
    image[120::15, 70:170] = np.array(color) // 2
    return np.clip(image + texture, 0, 255).astype(np.uint8)


def test_other_colours_and_other_entries_are_other_pictures(words: VisualWords, tmp_path: Path) -> None:
    for name, color in (("red", (200, 40, 40)), ("blue", (40, 90, 200)), ("green", (30, 117, 40))):
        save(tmp_path / f"shirt-{name}.jpg", shirt(color))
    red = read_image(tmp_path / "shirt-red.jpg")
    save(tmp_path / "shirt-red-small.jpg", resized(red, 0.6), quality=40)
    save(tmp_path / "shirt-red-gray.jpg", to_gray(red))
    for entries in range(3):
        save(tmp_path / f"form-{entries}.jpg", form(entries))
    save(tmp_path / "form-0-coarse.jpg", form(0), quality=25)
    with ImageIndex.build(tmp_path / "all.index", words, root=tmp_path) as built:
        built.add(sorted(tmp_path.glob("*.jpg")))
        found, careless = find_duplicates(built), find_duplicates(built, max_difference=2)
        colors = find_duplicates(built, colors="any")
    assert names(found) == {("form-0-coarse.jpg", "form-0.jpg"), ("shirt-red-small.jpg", "shirt-red.jpg")}
    assert max(pair.difference for pair in found.pairs) < 0.2
    # Thumbnails alone do not tell them apart.
    assert len(careless.pairs) > len(found.pairs)
    assert max(pair.difference for pair in careless.pairs) > 0.6
    # Gray is one of the colours that do not count; what is filled in does, whatever its colour.
    same = {name for group in names(colors) for name in group}
    assert {"shirt-red-gray.jpg", "shirt-red-small.jpg", "shirt-red.jpg"} <= same
    assert ("form-0-coarse.jpg", "form-0.jpg") in names(colors)


def test_recoloured_photographs(shared_data: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    folders = ("dvd_covers/Reference", "kangaroo/train/images", "flowers5/train/roses", "buildings/images")
    paths = [sorted((shared_data / folder).glob("*.jpg"))[number] for folder in folders for number in (3, 7)]
    expected: dict[str, set[tuple[str, ...]]] = {"strict": set(), "any": set()}
    for number, path in enumerate(paths):
        image = resized(read_image(path), 320 / max(read_image(path).shape))
        copies = [jpeg(image, 40), resized(image, 0.5), cropped(image, 0.8, (rng.uniform(), rng.uniform()))]
        others = [recoloured(image, 60), np.ascontiguousarray(image[:, :, ::-1]), to_gray(image)]
        names_of = [f"{number}-{name}.jpg" for name in ("a", "copy", "other")]
        for name, made in zip(names_of, (image, copies[number % 3], others[number % 3]), strict=True):
            save(tmp_path / name, made, quality=80)
        expected["strict"].add(tuple(names_of[:2]))
        expected["any"].add(tuple(names_of))
    for colors, groups in expected.items():
        assert names(find_copies(sorted(tmp_path.glob("*.jpg")), colors=colors)) == groups


# --- files without an index -------------------------------------------------------------------------------------------


def test_copies_among_files(photos: Path) -> None:
    paths = sorted(photos.glob("*.jpg"))
    found = find_copies(paths)
    assert names(found) == EXPECTED
    assert (found.n_images, found.unseen, found.links) == (23, [], [])
    assert {pair.reason for pair in found.pairs} == {"identical", "copy", "part"}
    assert {pair.turned for pair in found.pairs} == {""}
    assert all(isinstance(path, str) for group in found.groups for path in group.paths)
    assert summary(find_copies(paths, n_jobs=2)) == summary(found)


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A picture, the same laid in eight ways, a mirrored crop of another one, and that."""
    folder = tmp_path_factory.mktemp("laid")
    image, other = picture(20, color=True), picture(21)
    return [
        save(folder / "a.jpg", image),
        *(save(folder / f"a{turn}.jpg", turned(resized(image, 0.8), turn)) for turn in range(8)),
        save(folder / "b-part.jpg", turned(cropped(other, 0.75, (0.2, 0.8)), 5)),
        save(folder / "b.jpg", other),
    ]


def test_turned_and_mirrored_pictures_are_told(laid: list[Path]) -> None:
    found = find_copies(laid)
    told = {Path(pair.second).name: pair.turned for pair in found.pairs if Path(pair.first).name == "a.jpg"}
    assert told == {f"a{turn}.jpg": name for turn, name in enumerate(TURNS)}
    assert {pair.reason for pair in found.pairs} == {"copy"}
    upright = find_copies(laid, turned=False)
    assert names(upright) == {("a.jpg", "a0.jpg")}


def test_a_turned_part_is_found_where_it_is_near(laid: list[Path]) -> None:
    near = np.full((11, 2), -1)
    near[10, 1] = 9
    (pair,) = [pair for pair in find_copies(laid, near).pairs if pair.reason == "part"]
    assert (Path(pair.first).name, Path(pair.second).name) == ("b-part.jpg", "b.jpg")
    # It is laid as the whole by being turned as it was: a mirrored one is so by itself.
    assert pair.turned == TURNS[5]
    assert pair.overlap == pytest.approx((1, 0.75**2), abs=0.02)
    assert find_copies(laid, near, turned=False).pairs[0].reason == "copy"


def test_files_that_are_gone_twice_or_of_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    twin, bad = tmp_path / "twin.jpg", tmp_path / "bad.jpg"
    shutil.copy(photos / "03.jpg", twin)
    bad.write_bytes(b"no image")
    lost = tmp_path / "lost.jpg"
    paths = [bad, photos / "03.jpg", photos / "00.jpg", twin, lost, photos / "00.jpg", bad.with_name("bad-too.jpg")]
    shutil.copy(bad, paths[-1])
    near = np.full((7, 3), 0)
    near[2] = 3, 5, 6
    found = find_copies(paths, near)
    assert found.links == [(str(photos / "00.jpg"), str(photos / "00.jpg"))]
    assert (found.n_images, found.n_files) == (7, 6)
    assert [(group.paths, group.score) for group in found.groups] == [
        ((str(bad), str(paths[-1])), 1.0),
        ((str(photos / "03.jpg"), str(twin)), 1.0),
    ]
    assert [error.path for error in found.unseen] == [str(bad), str(lost)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"near": [[0]]}, r"near must be integers of shape \(2, k\), got int64 of shape \(1, 1\)"),
        ({"near": [[0.5], [1]]}, r"near must be integers of shape \(2, k\), got float64"),
        ({"near": [[2], [0]]}, "near must be positions from -1 to 1, got 2"),
        ({"near": [[0], [-2]]}, "near must be positions from -1 to 1, got -2"),
        ({"turned": 1}, "turned must be True or False, got 1"),
        ({"colors": "gray"}, "colors must be one of strict, any, got 'gray'"),
        ({"max_difference": -1}, "max_difference must be a number >= 0"),
        ({"n_jobs": 0}, "n_jobs must be"),
    ],
)
def test_a_bad_parameter_of_copies_is_named(photos: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_copies([photos / "00.jpg", photos / "01.jpg"], **options)


def test_nothing_to_compare(photos: Path) -> None:
    for paths in ([], [photos / "00.jpg"]):
        found = find_copies(paths)
        assert (found.groups, found.n_images, found.unseen) == ([], len(paths), [])


# --- the closer look --------------------------------------------------------------------------------------------------


def differing(a: Image, b: Image) -> float:
    return largest_difference(a, b, np.eye(3))


@pytest.mark.parametrize(("height", "colors"), [(600, "strict"), (1600, "strict"), (700, "any")])
def test_a_form_that_was_filled_in_differently(height: int, colors: str) -> None:
    blank = form(1, height=height, fields=6)
    coarse = jpeg(resized(blank, 0.8), 50)
    assert largest_difference(blank, coarse, np.eye(3), colors=colors) < 0.2
    for other in (form(1, height=height, fields=6, other=2), form(1, height=height, fields=6, checked=True)):
        for image in (blank, coarse):
            assert largest_difference(image, jpeg(other, 75), np.eye(3), colors=colors) > 0.5


def test_what_an_unsharp_copy_lacks_is_no_difference() -> None:
    image = form(1, height=1600, fields=6)
    unsharp = resized(resized(image, 0.4), 2.5)
    assert differing(image, unsharp) < 0.3
    # Where it is as sharp as the other, it is told what was added.
    assert differing(image, resized(resized(form(1, height=1600, fields=6, other=2), 0.4), 2.5)) > 0.5


def recoloured(image: Image, degrees: float, where: slice = np.s_[:]) -> Image:
    """Turn the hue, of a part of the rows at will."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[where, :, 0] += np.uint8(round(degrees / 360 * 256) % 256)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def test_colours_against_what_compression_leaves() -> None:
    red, gray = shirt((200, 40, 40)), shirt((130, 120, 120))
    for image in (red, gray):
        for quality in (30, 60, 95):
            assert differing(image, jpeg(image, quality)) < 0.2
        assert differing(image, jpeg(resized(image, 0.5), 50)) < 0.2
        # A little more contrast, brighter: colours grow with it.
        brighter = np.clip((image.astype(float) - 128) * 0.9 + 120, 0, 255).astype(np.uint8)
        assert differing(image, brighter) < 0.3
    for degrees in (30, 90, 180):
        assert differing(red, jpeg(recoloured(red, degrees), 75)) > 0.5
        # The lower half alone.
        assert differing(red, jpeg(recoloured(red, degrees, np.s_[120:]), 75)) > 0.5
    assert differing(red, to_gray(red)) > 0.9
    assert differing(red, shirt((180, 90, 90))) > 0.5
    # A gray product has no colour to lose.
    assert differing(gray, to_gray(gray)) < 0.3


def test_any_colours_are_a_mixture_of_channels() -> None:
    image = picture(4, (256, 256), color=True)
    swapped = np.ascontiguousarray(image[:, :, ::-1])
    for other in (swapped, to_gray(image), recoloured(image, 60), 255 - image):
        assert largest_difference(image, jpeg(other, 90), np.eye(3), colors="any") < 0.4
        assert differing(image, other) > 0.7
    changed = swapped.copy()
    changed[100:124, 60:84] = picture(5, (256, 256), color=True)[100:124, 60:84]
    assert largest_difference(image, changed, np.eye(3), colors="any") > 0.5
    flat = np.full((90, 70, 3), 128, np.uint8)
    assert largest_difference(flat, flat, np.eye(3), colors="any") == 0


def test_the_largest_difference_is_where_it_is() -> None:
    image = picture(4, (256, 256), color=True)
    assert differing(image, image) == pytest.approx(0, abs=1e-4)
    assert differing(image, resized(image, 0.5)) < 0.1
    # Contrast and brightness of the whole are no difference, and colours follow the contrast.
    assert differing(to_gray(image), (to_gray(image) // 2 + 40).astype(np.uint8)) < 0.1
    assert differing(image, (image // 2 + 40).astype(np.uint8)) <= 0.2
    assert differing(image, to_gray(image)) > 0.8
    other = image.copy()
    other[100:124, 60:84] = picture(5, (256, 256), color=True)[100:124, 60:84]
    assert differing(image, other) > 0.5
    assert differing(other, image) == pytest.approx(differing(image, other), abs=0.05)
    # Another colour in one place, of the same brightness.
    shifted = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    shifted[100:140, 60:100, 1:] = 255 - shifted[100:140, 60:100, 1:]
    assert differing(image, np.asarray(cv2.cvtColor(shifted, cv2.COLOR_YCrCb2RGB), np.uint8)) > 0.5
    flat = np.full((90, 70, 3), 128, np.uint8)
    assert differing(flat, flat) == 0


def test_a_part_is_looked_at_where_it_lies() -> None:
    image = picture(6, (300, 240), color=True)
    part = np.ascontiguousarray(image[40:220, 30:260])
    to_part, to_image = thumbnail_map((230, 180)), thumbnail_map((300, 240))
    there = to_image @ np.array([[1, 0, 30], [0, 1, 40], [0, 0, 1]]) @ np.linalg.inv(to_part)
    for a, b, matrix in ((part, image, there), (image, part, np.linalg.inv(there))):
        assert largest_difference(a, b, matrix) < 0.2
    part[60:84, 90:114] = 255 - part[60:84, 90:114]
    for a, b, matrix in ((part, image, there), (image, part, np.linalg.inv(there))):
        assert largest_difference(a, b, matrix) > 0.6


# --- thumbnails -------------------------------------------------------------------------------------------------------


def test_a_thumbnail_is_the_mean_of_what_each_pixel_covers() -> None:
    image = picture(0, (SIDE * 3, SIDE * 2))
    expected = image.reshape(SIDE, 2, SIDE, 3).mean((1, 3))
    np.testing.assert_allclose(gray_thumbnail(image), expected, atol=0.51)
    color = picture(1, (200, 100), color=True)
    np.testing.assert_array_equal(gray_thumbnail(color), gray_thumbnail(to_gray(color)))
    for odd in (image[:1], image[:, :1], image[:1, :1], image):
        made = gray_thumbnail(np.ascontiguousarray(odd))
        assert (made.shape, made.dtype) == ((SIDE, SIDE), np.uint8)


def test_maps_keep_the_edges() -> None:
    to = thumbnail_map((200, 100))
    corners = np.array([[-0.5, -0.5, 1], [199.5, 99.5, 1]])
    np.testing.assert_allclose((corners @ to.T)[:, :2], [[-0.5, -0.5], [SIDE - 0.5, SIDE - 0.5]])
    window = window_map(np.array([0.25, 0.5, 0.5, 0.25]))
    corners = np.array([[-0.5, -0.5, 1], [SIDE - 0.5, SIDE - 0.5, 1]])
    expected = [[SIDE / 4 - 0.5, SIDE / 2 - 0.5], [SIDE * 0.75 - 0.5, SIDE * 0.75 - 0.5]]
    np.testing.assert_allclose((corners @ window.T)[:, :2], expected)


def test_details_against_opencv() -> None:
    thumbs = np.stack([gray_thumbnail(picture(seed)) for seed in range(3)] + [np.full((SIDE, SIDE), 90, np.uint8)])
    vectors = details(thumbs, 16)
    for image, vector in zip(thumbs[:3], vectors, strict=False):
        small = image.reshape(16, 4, 16, 4).mean((1, 3)).astype(np.float32)
        expected = -cv2.Laplacian(small, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(vector.reshape(16, 16), expected / np.linalg.norm(expected), atol=1e-4)
    np.testing.assert_allclose((vectors**2).sum(axis=1), [1, 1, 1, 0], rtol=1e-5)


def compared(whole: Image, part: Image, shift: tuple[float, float], zoom: float = 1.0) -> Agreement | None:
    """Agreement under the true map: pixel p of the part is pixel zoom p + shift of the whole."""
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]], [0, 0, 1]])
    to_part, to_whole = (thumbnail_map((image.shape[1], image.shape[0])) for image in (part, whole))
    return agreement(gray_thumbnail(part), gray_thumbnail(whole), to_whole @ matrix @ np.linalg.inv(to_part))


def test_agreement_of_a_part() -> None:
    image = picture(5, (300, 200))
    part = np.ascontiguousarray(image[40:180, 30:240])
    found = compared(image, part, (30, 40))
    assert found is not None
    assert found.detail > 0.95
    assert found.similarity > 0.99
    assert found.overlap == pytest.approx((1, 210 * 140 / 60000), abs=0.01)
    # Slightly wrong maps are put right.
    near = compared(image, part, (33, 37))
    assert near is not None
    assert near.detail > 0.95
    # The other way round it is the same.
    to_part, to_whole = thumbnail_map((210, 140)), thumbnail_map((300, 200))
    there = to_part @ np.array([[1, 0, -30], [0, 1, -40], [0, 0, 1]]) @ np.linalg.inv(to_whole)
    back = agreement(gray_thumbnail(image), gray_thumbnail(part), there)
    assert back is not None
    assert back.overlap == pytest.approx(found.overlap[::-1], abs=0.01)
    assert back.detail == pytest.approx(found.detail, abs=0.01)


def test_agreement_of_different_pictures() -> None:
    # The same bright sky over the same dark ground.
    horizon = np.where(np.arange(150) < 70, 60, -60)[:, None]
    a, b = (np.clip(0.4 * picture(seed).astype(float) + 80 + horizon, 0, 255).astype(np.uint8) for seed in (0, 1))
    found = agreement(gray_thumbnail(a), gray_thumbnail(b), np.eye(3))
    assert found is not None
    assert found.similarity > 0.85
    assert found.detail < 0.7


@pytest.mark.parametrize(
    "matrix", [np.diag([1e-9, 1, 1]), np.diag([0.05, 0.05, 1]), [[1, 0, 500], [0, 1, 0], [0, 0, 1]]]
)
def test_agreement_without_enough_in_common(matrix: object) -> None:
    small = gray_thumbnail(picture(0))
    assert agreement(small, small, np.asarray(matrix, float), refine=False) is None


def window_of(whole: Image, window: NDArray[np.float64]) -> Image:
    x, y, width, height = window * SIDE
    matrix = np.array([[width / SIDE, 0, x + width / SIDE / 2 - 0.5], [0, height / SIDE, y + height / SIDE / 2 - 0.5]])
    return np.asarray(
        cv2.warpAffine(
            whole, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def test_windows_against_opencv() -> None:
    whole = gray_thumbnail(picture(7, finest=4))
    vectors = PLACES.vectors(whole)
    assert vectors.shape == (len(PLACES), 63)
    for number in range(0, len(PLACES), 37):
        part = window_of(whole, PLACES.window(number))
        ((_, found), *_) = likely_windows(whole, vectors, whole_vectors(part[None]))
        np.testing.assert_allclose(found, PLACES.window(number), atol=1e-9)
    assert likely_windows(whole, vectors, whole_vectors(255 - whole[None])) == []
    flat = np.full((1, SIDE, SIDE), 9, np.uint8)
    assert not whole_vectors(flat).any()
    assert likely_windows(flat[0], PLACES.vectors(flat[0]), whole_vectors(whole[None])) == []


def test_a_window_by_the_cosine_transform_of_its_cells() -> None:
    whole = gray_thumbnail(picture(7))
    cells = whole.reshape(8, 8, 8, 8).mean((1, 3)).astype(np.float32)
    v, u = np.mgrid[:8, :8]
    expected = (cv2.dct(cells) * np.hypot(u, v)).ravel()[1:]
    np.testing.assert_allclose(whole_vectors(whole[None])[0], expected / np.linalg.norm(expected), atol=1e-5)
    np.testing.assert_allclose(PLACES.vectors(whole)[0], expected / np.linalg.norm(expected), atol=1e-5)
    coarse = whole_vectors(whole[None], coarse=True)[0]
    kept = expected[(np.hypot(u, v) < 6).ravel()[1:]]
    np.testing.assert_allclose(coarse, kept / np.linalg.norm(kept), atol=1e-5)
    assert whole_vectors(whole[None][:0], coarse=True).shape == (0, len(coarse))


def test_a_window_is_moved_to_where_the_part_lies() -> None:
    whole = gray_thumbnail(picture(7, finest=2))
    there = np.array([0.13, 0.26, 0.65, 0.7])
    ((_, found), *_) = likely_windows(whole, PLACES.vectors(whole), whole_vectors(window_of(whole, there)[None]))
    np.testing.assert_allclose(found, there, atol=0.055)


def test_candidates_by_thumbnails() -> None:
    images = [picture(seed, finest=8) for seed in range(6)]
    thumbs = np.stack([gray_thumbnail(image) for image in [*images, resized(images[2], 0.5), cropped(images[4], 0.8)]])
    assert alike(thumbs) == [(2, 6, 0)]
    for windows in (PLACES, Windows(0.7)):
        pairs = alike_in_part(thumbs, windows)
        assert (4, 7) in pairs
        assert all(whole != part for whole, part in pairs)
        assert not {(2, 3), (3, 2)} & pairs
        assert alike_in_part(thumbs[4:5], windows) == set()
        assert (1, 2) in alike_in_part(thumbs[[0, 4, 7]], windows)
        assert alike_in_part(thumbs, windows, n_jobs=2) == pairs
        # The part of 4 is a part of it, mirrored, if it is mirrored back.
        mirrored = thumbs.copy()
        mirrored[7] = mirrored[7, :, ::-1]
        assert (4, 7) not in alike_in_part(mirrored, windows)
        assert (4, 7) in alike_in_part(mirrored, windows, 4)
    assert alike(thumbs[:0]) == []


def test_the_eight_ways_to_lay_a_picture() -> None:
    image = picture(0, (5, 4), color=True)
    np.testing.assert_array_equal(turned(image, TURNS.index("mirrored")), cv2.flip(image, 1))
    clockwise = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
    np.testing.assert_array_equal(turned(image, TURNS.index("turned by 90 degrees")), clockwise)
    flipped = turned(image, TURNS.index("mirrored and turned by 180 degrees"))
    np.testing.assert_array_equal(flipped, cv2.flip(image, 0))
    assert len({turned(image, turn).tobytes() for turn in range(8)}) == 8
    small = gray_thumbnail(picture(0))
    y, x = 12, 50
    for turn in range(8):
        np.testing.assert_array_equal(turned(turned(image, turn), undone(turn)), image)
        to_x, to_y, _ = (turn_map(turn) @ [x, y, 1]).astype(int)
        assert turned(small, turn)[to_y, to_x] == small[y, x]


def test_alike_however_it_is_turned() -> None:
    images = [gray_thumbnail(picture(seed, finest=8)) for seed in range(3)]
    thumbs = np.stack([*images, *(turned(images[1], turn) for turn in range(8))])
    assert {(1, 3 + turn, turn) for turn in range(8)} <= set(alike(thumbs, range(8)))
    assert all(1 <= a < b for a, b, _ in alike(thumbs, range(8)))
    # 2 is like no other; a turned one before its original gives the turn back.
    assert (0, 1, undone(1)) in alike(thumbs[[4, 1]], range(8))
    assert alike(thumbs[:4]) == [(1, 3, 0)]


def test_copies_stay_upright() -> None:
    image = picture(3)
    small = gray_thumbnail(image)
    height, width = image.shape
    for degrees, same in ((0, True), (0.3, True), (2, False), (5, False)):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
        turned = np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)
        judged = agreement(small, gray_thumbnail(turned), np.eye(3))
        # Beyond what a map is refined by, the details as they lie say that it is another picture.
        assert (judged is not None and judged.detail >= MIN_SCORE) == same
    slanted = cv2.warpAffine(image, np.array([[1, 0.05, 0], [0, 1, 0]]), (width, height), borderMode=cv2.BORDER_REFLECT)
    assert agreement(small, gray_thumbnail(np.asarray(slanted, np.uint8)), np.eye(3)) is None
