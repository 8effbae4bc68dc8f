"""What classes are recognised by, and the page of explanations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from headless_browser import Browser, has_browser
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow import ImageClassifier
from cvbow.backends import BagEncoder, ColorHistogram
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.explanation import Explanation, Recognition, WordShare, explanations, shown_image
from cvbow.features import DenseSIFT
from cvbow.report.explanation_page import write_explanation_page
from cvbow_cli.main import cli


def explanation(heat: NDArray[np.float32], words: list[WordShare], path: str | None = None) -> Explanation:
    points = np.zeros((0, 4), np.float32)
    return Explanation(path, "a", None, 0.0, 0.0, 0.0, points, np.zeros(0), words, heat, "exact")


def word(number: int, share: float, *boxes: tuple[int, int, int, int]) -> WordShare:
    return WordShare(number, "all", share, len(boxes), np.array(boxes, np.intp))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**31))
def test_heat_keeps_its_sum_and_place(height: int, width: int, seed: int) -> None:
    heat = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    found = Recognition()
    found.add(np.full((height, width), 51, np.uint8), explanation(heat, []))
    (reasons,) = found.classes()
    assert reasons.heat.shape == reasons.image.shape == (96, 96)
    size = np.abs(heat).sum(dtype=float)
    assert reasons.heat.sum() == pytest.approx(heat.sum(dtype=float), abs=1e-9 * size)
    np.testing.assert_allclose(reasons.image, 0.2, rtol=1e-9)
    # A pixel that is repeated is the same heat: 96 times as large, each part is a square.
    large = np.kron(heat[:3, :2].astype(float), np.ones((96, 96)))
    expected = large.reshape(96, -1, 96, large.shape[1] // 96).sum(axis=(1, 3)) / 96**2
    found = Recognition()
    found.add(np.zeros(heat[:3, :2].shape, np.uint8), explanation(heat[:3, :2], []))
    np.testing.assert_allclose(found.classes()[0].heat, expected, atol=1e-12)


def test_means_by_hand() -> None:
    found = Recognition()
    image, heat = np.zeros((10, 10), np.uint8), np.ones((10, 10), np.float32)
    found.add(image, explanation(heat, [word(1, 2.0, (0, 0, 4, 4), (1, 1, 5, 5)), word(0, -1.0, (2, 2, 3, 3))], "x"))
    found.add(image + 255, explanation(heat * 3, [word(1, 5.0, (6, 6, 9, 9))], "y"))
    (reasons,) = found.classes()
    assert (reasons.class_name, reasons.against, reasons.n_images) == ("a", None, 2)
    assert reasons.heat.sum() == pytest.approx(200)
    np.testing.assert_allclose(reasons.image, 0.5)
    first, second = reasons.words
    assert (first.word, first.share, first.n_points, first.n_images, first.paths) == (1, 3.5, 3, 2, ("y", "x"))
    assert first.boxes.tolist() == [[6, 6, 9, 9], [0, 0, 4, 4]]
    assert (second.word, second.share, second.n_points, second.n_images, second.paths) == (0, -0.5, 1, 1, ("x",))
    with pytest.raises(ValueError, match="image must be of the size of the heat"):
        found.add(image[:5], explanation(heat, []))


@pytest.mark.parametrize("sign", [1, -1])
def test_of_many_images_those_stay_that_gave_most(sign: int) -> None:
    found = Recognition()
    heat = np.ones((4, 4), np.float32)
    shares = np.random.default_rng(0).permutation(200) - 20
    for share in shares:
        found.add(heat.astype(np.uint8), explanation(heat, [word(0, float(sign * share), (0, 0, 1, 1))], str(share)))
    ((only,),) = (reasons.words for reasons in found.classes())
    assert only.paths == ("179", "178", "177", "176", "175", "174")
    assert only.share == pytest.approx(sign * shares.mean())


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImageClassifier]:
    """Images of noise in two classes; those of one have a stamp at the lower right, as the model has learned."""
    folder = tmp_path_factory.mktemp("stamped")
    rng = np.random.default_rng(0)
    paths, labels = [], []
    for name in ("plain", "stamped"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(10):
            pixels = cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3), np.uint8), (0, 0), 2)
            if name == "stamped":
                pixels[44:56, 60:76] = 0
                pixels[46:54:4, 62:74] = 255
            paths.append(folder / "images" / name / f"{number}.png")
            labels.append(name)
            cv2.imwrite(str(paths[-1]), pixels)
    backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=30)))
    model = ImageClassifier(backend, "linear-svm").fit(paths, labels)
    model.save(folder / "model.cvbow")
    return folder, model


def test_a_stamp_is_seen_at_once(stamped: tuple[Path, ImageClassifier]) -> None:
    folder, model = stamped
    paths = sorted((folder / "images" / "stamped").iterdir())
    found = Recognition()
    for path, whys in zip(paths, explanations(model, paths, "stamped"), strict=True):
        assert isinstance(whys, list)
        found.add(shown_image(model, path), whys[0])
    (reasons,) = found.classes()
    # A point is described by 16 pixels: those that see the stamp begin up to 8 pixels outside of it.
    rows, columns = (np.arange(96) + 0.5) * 60 / 96, (np.arange(96) + 0.5) * 80 / 96
    near = np.outer((rows > 44 - 8) & (rows < 56 + 8), (columns > 60 - 8) & (columns < 76 + 8))
    assert near.mean() < 0.2
    assert near.ravel()[reasons.heat.argmax()]
    assert reasons.heat[near].clip(0).sum() > 0.5 * reasons.heat.clip(0).sum()
    # All patches of the word that gave most touch the stamp.
    left, top, right, bottom = reasons.words[0].boxes.T
    assert (right > 60).all()
    assert (left < 76).all()
    assert (bottom > 44).all()
    assert (top < 56).all()
    assert reasons.words[0].n_images == 10


def explain(*arguments: object) -> Any:
    result = CliRunner().invoke(cli, ["explain", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_page_of_a_folder(stamped: tuple[Path, ImageClassifier], tmp_path: Path) -> None:
    folder, _ = stamped
    page = tmp_path / "why.html"
    result = explain(folder / "model.cvbow", folder / "images", "-o", page)
    assert result.exit_code == 0
    assert f"page     {page}" in result.stdout
    document = page.read_text()
    assert "<script" not in document
    assert set(re.findall(r'href="#([^"]*)"', document)) == {"classes", "images"}
    classes, images = document.split('id="images"')
    assert classes.count('<figure class="reason">') == 2
    assert "mean heat" in classes
    assert images.count('<figure class="reason">') == 20
    assert all(f"{number}.png" in images for number in range(10))
    # One image is no class: there is no mean of it.
    path = folder / "images" / "plain" / "0.png"
    result = explain(folder / "model.cvbow", path, "--class", "stamped", "--against", "plain", "-o", page, "--force")
    assert result.exit_code == 0
    document = page.read_text()
    assert "recognised" not in document
    assert "<bdi>stamped</bdi>, not <bdi>plain</bdi>" in document
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    result = explain(folder / "model.cvbow", bad, "-o", tmp_path / "none.html")
    assert result.exit_code == 1
    assert not (tmp_path / "none.html").exists()


def test_a_full_page_has_some_of_each_class(stamped: tuple[Path, ImageClassifier], tmp_path: Path) -> None:
    _, model = stamped
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 30, 3), np.uint8)
    heat = rng.normal(size=(30, 30)).astype(np.float32)
    whys = [explanation(heat, [word(0, 1.0, (0, 0, 9, 9))]) for _ in range(12)]
    whys += [Explanation(None, "b", *list(vars(whys[0]).values())[2:]) for _ in range(3)]
    page = tmp_path / "why.html"
    write_explanation_page(page, model, ((pixels, why) for why in whys), title="full", limit=10**6)
    whole = page.read_text()
    assert whole.count('<figure class="reason">') == 2 + 15
    size = len(whole.partition('id="images"')[2])
    write_explanation_page(page, model, ((pixels, why) for why in whys), title="full", limit=size * 3 // 4)
    document = page.read_text().partition('id="images"')[2]
    assert "of 15 explanations: more would make the page too large." in document
    shown = [int(n) for n in re.findall(r'<span class="hint">(\d+) of 12</span>', document)]
    assert len(shown) == 1
    assert '<bdi>b</bdi> <span class="hint">3</span>' in document
    assert document.count('<figure class="reason">') == shown[0] + 3
    write_explanation_page(page, model, [(pixels, whys[0])], title="full", limit=1)
    assert "0 of 1 explanations" in page.read_text()


def test_a_page_of_images_with_nothing_in_them(tmp_path: Path) -> None:
    white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    model = ImageClassifier(ColorHistogram()).fit([white, black] * 3, ["white", "black"] * 3)
    why = explanation(np.zeros((1, 1), np.float32), [])
    page = tmp_path / "why.html"
    write_explanation_page(page, model, [(white[:1, :1], why)] * 2, title="<nothing>")
    document = page.read_text()
    assert "Nothing was found in it." in document
    assert "&lt;nothing&gt;" in document


@pytest.mark.skipif(not has_browser(), reason="no Chromium to drive")
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps_in_a_browser(stamped: tuple[Path, ImageClassifier], tmp_path: Path, width: int) -> None:
    folder, _ = stamped
    page = tmp_path / "why.html"
    assert explain(folder / "model.cvbow", folder / "images", "-o", page).exit_code == 0
    with Browser(width=width) as browser:
        browser.open(page)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        boxes = browser.run(
            "return [...document.querySelectorAll('.reason img')].map(each => {"
            " const box = each.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; })"
        )
    left, top, right, bottom = np.array(boxes).T
    assert len(boxes) > 40
    overlaps = (
        (left[:, None] < right - 0.5)
        & (left < right[:, None] - 0.5)
        & (top[:, None] < bottom - 0.5)
        & (top < bottom[:, None] - 0.5)
    )
    assert overlaps.sum() == len(boxes)  # each with itself
