"""What holds of every image that is read: a limit and a background, which workers share and models keep."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from synthetic import textured

from cvbow import ImageClassifier, storage
from cvbow.backends import BagEncoder, CensusPyramid, ChannelUnion, ColorHistogram, MultiCrop, RawPixels
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import SIFT, DenseSIFT
from cvbow.images import Reading, decoding, options, read_image, reading_as, reading_now
from cvbow.images.formats import read_header
from cvbow.images.header import UnreadableError
from cvbow.index import ImageIndex
from cvbow.parallel import executor, prefetched, run
from cvbow.retrieval import ImageVectors, VisualWords
from cvbow_cli.main import cli

COLOR = np.stack([textured(24, 32, seed) for seed in range(3)], axis=2)
ALPHA = textured(24, 32, 9)
ORANGE = (255, 128, 0)


def encoded(image: Image.Image, kind: str, **chosen: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **chosen)
    return buffer.getvalue()


def laid(color: NDArray[Any], alpha: NDArray[Any], background: tuple[int, ...]) -> NDArray[np.uint8]:
    share = alpha[..., None] / 255
    return np.rint(color * share + np.array(background) * (1 - share)).astype(np.uint8)


# ---- the background ----


@pytest.mark.parametrize("background", ["white", "gray", "black", "#ff8000"])
def test_transparent_images_are_laid_onto_the_background(background: str) -> None:
    color = Reading(background=background).color
    rgba = Image.fromarray(np.dstack([COLOR, ALPHA]))
    with reading_as(background=background):
        for kind in ("PNG", "TIFF"):
            np.testing.assert_allclose(read_image(encoded(rgba, kind)), laid(COLOR, ALPHA, color), atol=1)
        webp = read_image(encoded(rgba, "WEBP", lossless=True, exact=True))
        np.testing.assert_allclose(webp, laid(COLOR, ALPHA, color), atol=1)
        np.testing.assert_allclose(read_image(np.dstack([COLOR, ALPHA])), laid(COLOR, ALPHA, color), atol=1)
        one = encoded(Image.fromarray(COLOR), "PNG", transparency=tuple(COLOR[3, 4].tolist()))
        assert tuple(read_image(one)[3, 4]) == color
        assert (read_image(one) != COLOR).any(axis=2).sum() == 1
    assert reading_now() == Reading()


def test_gray_images_stay_gray_on_gray_and_get_the_colour_of_another() -> None:
    gray = Image.fromarray(np.dstack([COLOR[..., 0], ALPHA]))
    assert gray.mode == "LA"
    palette = Image.fromarray(COLOR[..., 0]).convert("P")
    palette.putpalette([value for level in range(256) for value in (level, level, level)])
    files = {
        "alpha": encoded(gray, "PNG"),
        "palette": encoded(palette, "PNG", transparency=int(COLOR[0, 0, 0])),
        "one level": encoded(Image.fromarray(COLOR[..., 0]), "PNG", transparency=int(COLOR[0, 0, 0])),
    }
    for name, data in files.items():
        with reading_as(background="black"):
            assert read_image(data).shape == (24, 32)
            assert name == "alpha" or read_image(data)[0, 0] == 0
        with reading_as(background="#ff8000"):
            image = read_image(data)
            assert image.shape == (24, 32, 3)
            assert name == "alpha" or tuple(image[0, 0]) == ORANGE
            assert read_image(data, gray=True).shape == (24, 32)


def test_sixteen_bits_on_a_background() -> None:
    import cv2

    samples = np.dstack([COLOR[..., ::-1], np.zeros(COLOR.shape[:2], np.uint8)]).astype(np.uint16) * 257
    with reading_as(background="#ff8000"):
        for suffix in (".png", ".tif"):
            found = read_image(cv2.imencode(suffix, samples)[1].tobytes())
            assert suffix == ".tif" or (found == np.array(ORANGE)).all()


@pytest.mark.parametrize("background", ["", "red", "#12345", "#gggggg", "#ff8000 ", (0, 0, 0), None])
def test_a_background_is_a_name_or_a_colour(background: Any) -> None:
    with pytest.raises(ValueError, match="background must be white, gray, black or a colour such as #ff8000, got"):
        Reading(background=background)


# ---- in force ----


def background_here(_: int) -> str:
    return reading_now().background


@pytest.mark.parametrize("how", ["threads", "processes"])
def test_workers_read_as_whoever_gives_them_work(how: str) -> None:
    with executor(how):
        with reading_as(background="black"):
            assert list(run(background_here, range(4), n_jobs=2)) == ["black"] * 4
        assert list(run(background_here, range(4), n_jobs=2)) == ["white"] * 4
    with reading_as(background="gray", max_pixels=7):
        assert list(prefetched(background_here, range(4), n_jobs=2)) == ["gray"] * 4
        with reading_as(background="black"):
            assert reading_now() == Reading(max_pixels=7, background="black")


def test_the_limit_holds_inside_the_block_and_an_argument_goes_first(tmp_path: Path) -> None:
    Image.fromarray(COLOR).save(tmp_path / "a.png")
    images = [tmp_path / "a.png"]
    backend = ColorHistogram(n_jobs=2).fit(images)
    with reading_as(max_pixels=24 * 32 - 1):
        assert "over the limit of 767 pixels (max_pixels)" in backend.encode_images(images).skipped[0].reason
        assert read_image(images[0], max_pixels=24 * 32).shape == COLOR.shape
    assert not backend.encode_images(images).skipped
    with pytest.raises(ValueError, match="max_pixels must be an integer >= 1"), reading_as(max_pixels=0):
        pass


# ---- decoding at a smaller size ----


def photograph(tmp_path: Path, side: int = 400) -> Path:
    path = tmp_path / "large.jpg"
    Image.fromarray(textured(side, side * 3 // 4, 3)).convert("RGB").save(path, quality=90)
    return path


def test_only_jpegs_above_the_default_limit_are_decoded_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photograph(tmp_path)
    whole = read_image(path)
    assert whole.shape == (400, 300, 3)
    np.testing.assert_array_equal(read_image(path, shrunk_to=10), whole)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 400 * 300 - 1)
    for shrunk_to, side in ((10, 50), (25, 50), (26, 100), (50, 100), (51, 200), (100, 200), (101, 400), (900, 400)):
        for gray in (False, True):
            image = read_image(path, gray=gray, shrunk_to=shrunk_to)
            assert image.shape[0] == side
            assert image.ndim == (2 if gray else 3)
    np.testing.assert_array_equal(read_image(path), whole)
    quarter = read_image(path, shrunk_to=50, gray=True)
    means = whole.mean(axis=2).reshape(100, 4, 75, 4).mean(axis=(1, 3))
    assert np.abs(quarter - means).mean() < 2
    png = encoded(Image.fromarray(whole), "PNG")
    np.testing.assert_array_equal(read_image(png, shrunk_to=10), whole)


def test_what_waits_for_the_last_scan_counts_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(encoded(Image.fromarray(COLOR), "JPEG", progressive=True, subsampling=0))
    frame = data.find(b"\xff\xc2\0\x11\x08")
    struct.pack_into(">HH", data, frame + 5, 16_000, 16_000)
    header, size = read_header(bytes(data)), (16_000, 16_000)
    with pytest.raises(UnreadableError, match="takes 2560 MB to decode, over the limit of 2048 MB"):
        decoding._check_size(header, size, False, 16_000**2)
    decoding._check_size(header, size, False, 16_000**2, scale=8)
    monkeypatch.setattr(decoding, "_MEMORY", 0)
    monkeypatch.setattr(decoding, "_MEMORY_PER_PIXEL", 3)
    with pytest.raises(UnreadableError, match="takes 796 MB"):
        decoding._check_size(header, size, False, 16_000**2, scale=8)


def test_backends_say_what_they_shrink_to() -> None:
    bag = BagEncoder(DenseSIFT(max_side=100), BagOfWords(KMeansDictionary(n_words=5)))
    census = CensusPyramid(max_side=300)
    assert (bag.shrinks_to, census.shrinks_to, RawPixels().shrinks_to) == (100, 300, None)
    assert ChannelUnion([("a", bag), ("b", census)]).shrinks_to == 300
    assert ChannelUnion([("a", bag), ("b", ColorHistogram())]).shrinks_to is None
    # Its crops are parts of the image, shrunk by less.
    assert MultiCrop(bag).shrinks_to is None


# ---- models ----


def icons(tmp_path: Path) -> tuple[list[Path], list[str]]:
    """White figures on a transparent ground: on white there is nothing to see."""
    paths, labels = [], []
    y, x = np.mgrid[:48, :48]
    for number in range(6):
        for label, inside in (
            ("disc", (x - 24) ** 2 + (y - 24) ** 2 < (8 + 2 * number) ** 2),
            ("stripes", (x + y) // (3 + number) % 2 == 0),
        ):
            pixels = np.full((48, 48, 4), 255, np.uint8)
            pixels[..., 3] = inside * 255
            paths.append(tmp_path / f"{label}{number}.png")
            labels.append(label)
            Image.fromarray(pixels).save(paths[-1])
    return paths, labels


def model(**chosen: Any) -> ImageClassifier:
    return ImageClassifier(RawPixels(size=8, n_components=None), "linear-svm", **chosen)


def test_a_model_reads_as_it_learned(tmp_path: Path) -> None:
    paths, labels = icons(tmp_path)
    path = tmp_path / "black.cvbow"
    trained = model(background="black").fit(paths, labels)
    trained.save(path)
    loaded = ImageClassifier.load(path)
    assert loaded.background == "black"
    expected = trained.predict_proba(paths)
    np.testing.assert_array_equal(loaded.predict_proba(paths), expected)
    with reading_as(background="white"):
        np.testing.assert_array_equal(loaded.predict_proba(paths), expected)
    arrays = []
    for each in paths:
        alpha = np.asarray(Image.open(each))[..., 3]
        arrays.append(np.repeat(alpha[..., None], 3, axis=2))
    np.testing.assert_array_equal(model().fit(arrays, labels).predict_proba(arrays), expected)
    assert storage.inspect(path).metadata["background"] == "black"
    # On white, each image is one colour.
    white = model().fit(paths, labels)
    assert len(np.unique(white.predict_proba(paths), axis=0)) == 1


def test_models_on_white_are_the_files_that_they_were(tmp_path: Path) -> None:
    paths, labels = icons(tmp_path)
    trained = model().fit(paths, labels)
    digest = trained.save(tmp_path / "a.cvbow")
    del vars(trained)["background"]  # as in a model from before there was one
    trained.background = "white"
    assert trained.save(tmp_path / "b.cvbow") == digest
    text = (tmp_path / "a.cvbow").read_bytes()
    assert b"background" not in text
    stored = storage.load(tmp_path / "a.cvbow", kind="classifier")
    assert stored.warnings == ()
    assert stored.state.background == "white"
    assert stored.state.get_params()["background"] == "white"


def test_a_model_refuses_what_is_no_background() -> None:
    with pytest.raises(ValueError, match="background must be white"):
        model(background="pink").fit([COLOR, COLOR], ["a", "b"])


def test_what_is_cached_on_one_background_is_not_taken_for_another(tmp_path: Path) -> None:
    paths, _ = icons(tmp_path)
    backend = ColorHistogram(memory=tmp_path / "cache").fit(paths)
    white = backend.transform(paths)
    with reading_as(background="black"):
        black = backend.transform(paths)
    assert (white != black).any(axis=1).all()
    np.testing.assert_array_equal(backend.transform(paths), white)


@pytest.mark.parametrize("kind", ["words", "vectors", "vectors with words"])
def test_an_index_reads_as_it_learned(kind: str, tmp_path: Path) -> None:
    rough = [tmp_path / f"rough{number}.png" for number in range(4)]
    for number, path in enumerate(rough):
        # White texture of which alpha is all that can be seen.
        alpha = textured(160, 160, number)
        Image.fromarray(np.dstack([np.full((160, 160, 3), 255, np.uint8), alpha])).save(path)
    words = VisualWords(SIFT(max_points=100), n_words=20)
    makers = {
        "words": words,
        "vectors": ImageVectors(ColorHistogram(), whiten=False),
        "vectors with words": ImageVectors(ColorHistogram(), whiten=False, local=words),
    }
    describer = makers[kind].set_params(background="black").fit(rough)
    with ImageIndex.build(tmp_path / "index", describer) as index:
        assert not index.add(rough).empty
    with ImageIndex.open(tmp_path / "index") as index:
        assert index.describer.background == "black"
        assert index.search(rough[2], k=1)[0].path.endswith("rough2.png")
        seen = index.describe(0)
        if "words" in kind:
            assert len(seen["words"]) > 10


# ---- the command line ----


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_commands_take_both(tmp_path: Path) -> None:
    paths, labels = icons(tmp_path)
    for path, label in zip(paths, labels, strict=True):
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "set" / label / path.name)
    folder, stored = tmp_path / "set", tmp_path / "m.cvbow"
    chosen = ("--set", "n_words=8", "--set", "min_side=48", "--quiet")
    done = invoke("train", folder, "-o", stored, "--background", "black", *chosen)
    assert done.exit_code == 0, done.output
    assert json.loads(invoke("info", stored, "--json").stdout)["background"] == "black"
    done = invoke("evaluate", stored, folder, "--json")
    assert json.loads(done.stdout)["accuracy"] >= 0.9
    some = sorted(folder.rglob("*.png"))[0]
    done = invoke("predict", stored, some, "--max-pixels", 100)
    assert done.exit_code == 1
    assert "a 48x48 image is over the limit of 100 pixels (max_pixels)" in done.stderr
    assert invoke("predict", stored, some).exit_code == 0
    done = invoke("stats", folder, "-o", tmp_path / "stats", "--background", "black", "--json")
    assert max(json.loads(done.stdout)["std"]) > 20
    done = invoke("stats", folder, "-o", tmp_path / "stats2", "--json")
    assert max(json.loads(done.stdout)["std"]) == 0
    done = invoke("stats", folder, "-o", tmp_path / "stats3", "--background", "pink")
    assert done.exit_code == 2
    assert "background must be white, gray, black or a colour such as #ff8000, got 'pink'" in done.stderr
    assert reading_now() == Reading()
    assert Reading().max_pixels == options.MAX_PIXELS
