"""The page of an evaluation leads from a number of mistakes to these, and from a mistake to its reason."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from headless_browser import Browser, has_browser

from cvbow import ImageClassifier, explain
from cvbow.backends import BagEncoder, ColorHistogram
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT
from cvbow.report import _mistakes as mistakes_of_page
from cvbow.report import write_evaluation_report
from cvbow.report._gallery import Answered
from cvbow.report._mistakes import by_pair, explain_mistakes

#: Of these the model does not know one.
CLASSES = ("checker", "horizontal", "spots", "vertical")


def texture(name: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    waves = {"checker": (x // 6 + y // 6) % 2, "horizontal": y // 6 % 2, "vertical": x // 6 % 2}
    pattern = waves.get(name, (x % 12 < 4) & (y % 12 < 4))
    return np.clip(60 + 130 * pattern + rng.normal(0, 12, (48, 48)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reasons")


@pytest.fixture(scope="module")
def images(folder: Path) -> tuple[list[Path], list[str]]:
    """Textures, of which some lie in the folder of another class."""
    paths, labels = [], []
    for number, name in enumerate(CLASSES):
        for seed in range(6):
            path = folder / f"{name}{seed}.png"
            cv2.imwrite(str(path), texture(name, seed + 10 * number))
            paths.append(path)
            labels.append(CLASSES[(number + 1) % 4] if seed < 2 else name)
    return paths, labels


@pytest.fixture(scope="module")
def model() -> ImageClassifier:
    backend = BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=12)))
    names = [name for name in CLASSES if name != "spots"]
    learned = [texture(name, seed) for name in names for seed in range(50, 56)]
    return ImageClassifier(backend, "linear-svm").fit(learned, np.repeat(names, 6))


@pytest.fixture(scope="module")
def page(folder: Path, images: tuple[list[Path], list[str]], model: ImageClassifier) -> Path:
    return write(folder / "report.html", model, *images)


def write(path: Path, model: ImageClassifier, paths: list[Path], labels: list[str], **options: int) -> Path:
    report, answers = model.evaluate(paths, labels)
    write_evaluation_report(
        path, model=model, report=report, answers=answers, paths=paths, labels=labels, title="textures", **options
    )
    return path


def links(document: str) -> tuple[set[str], set[str]]:
    """What the page's links lead to, and what is there."""
    return set(re.findall(r'href="#([^"]*)"', document)), set(re.findall(r' id="([^"]*)"', document))


def test_every_number_of_mistakes_leads_to_them(
    page: Path, images: tuple[list[Path], list[str]], model: ImageClassifier
) -> None:
    document = page.read_text()
    targets, there = links(document)
    assert targets <= there
    paths, labels = images
    answers = model.predict(paths)
    wrong = [(truth, answer) for truth, answer in zip(labels, answers, strict=True) if truth != answer]
    assert len(set(wrong)) > 3
    names = [*model.classes_, "spots"]
    anchors = {f"from{names.index(truth)}to{names.index(answer)}" for truth, answer in wrong}
    matrix = document[document.index('id="confusion"') : document.index('id="classes"')]
    assert set(re.findall(r'href="#([^"]*)"', matrix)) == anchors
    # Each mistake has its reason, with the image, and heat for each class that the model knows.
    reasons = document[document.index('id="reasons"') : document.index('id="skipped"')].split('<figure class="reason"')
    assert len(reasons) == len(wrong) + 1
    assert sorted(text.count("<img") for text in reasons[1:]) == sorted(2 + (pair[0] != "spots") for pair in wrong)
    assert {f"why{number + 1}" for number in range(len(wrong))} < targets


def test_the_scores_are_those_of_the_explanation(page: Path, model: ImageClassifier, folder: Path) -> None:
    reasons = page.read_text().partition('id="reasons"')[2].split('<figure class="reason"')
    (reason,) = (text for text in reasons if "checker0<wbr>" in text or "checker0.png" in text)
    scores = [float(value) for value in re.findall(r'</bdi>: <data value="([^"]*)"', reason)]
    answer, truth = explain(model, folder / "checker0.png", ["checker", "horizontal"])  # type: ignore[misc]
    assert scores == [answer.score, truth.score]


def test_the_reasons_are_as_many_as_wanted(
    folder: Path, images: tuple[list[Path], list[str]], model: ImageClassifier
) -> None:
    document = write(folder / "few.html", model, *images, most_reasons=3).read_text()
    targets, there = links(document)
    assert targets <= there
    assert {name for name in there if name.startswith("why")} == {"why1", "why2", "why3"}
    assert "The reasons of 3 of" in document
    document = write(folder / "none.html", model, *images, most_reasons=0).read_text()
    assert "reasons" not in links(document)[1]
    with pytest.raises(ValueError, match="most_reasons must be an integer >= 0"):
        write(folder / "none.html", model, *images, most_reasons=-1)


def test_reasons_that_take_long_are_left_out(
    folder: Path, images: tuple[list[Path], list[str]], model: ImageClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = [Answered(path, path.name, label, "checker", 0.5) for path, label in zip(*images, strict=True)]
    answered = [each for each in answered if each.truth != "checker"]
    trees = ImageClassifier(ColorHistogram(), "random-forest").fit(
        [texture(name, 0) for name in CLASSES] * 2, list(CLASSES) * 2
    )
    linked, said = explain_mistakes(trees, answered, 5)
    assert linked == answered
    assert "reasons take long" in said
    monkeypatch.setattr(mistakes_of_page, "_SECONDS", -1)
    linked, said = explain_mistakes(model, answered, 5)
    assert linked == answered
    assert "No mistake is explained." in said


def test_how_scores_are_shared_out_is_said(images: tuple[list[Path], list[str]]) -> None:
    names = [name for name in CLASSES if name != "spots"]
    learned = [texture(name, seed) for name in names for seed in range(50, 56)]
    model = ImageClassifier(ColorHistogram(), "rbf-svm").fit(learned, np.repeat(names, 6))
    answered = [Answered(images[0][0], "", "vertical", "checker", 0.5)]
    assert explain(model, images[0][0]).method == "mean gradient"  # type: ignore[union-attr]
    linked, said = explain_mistakes(model, answered, 5)
    assert linked[0].anchor == "why1"
    assert "shared out by its mean gradient" in said


def test_an_image_that_vanished_has_no_reason(images: tuple[list[Path], list[str]], model: ImageClassifier) -> None:
    paths = [images[0][0], images[0][0].with_name("gone.png"), images[0][6]]
    answered = [Answered(path, path.name, "vertical", "checker", 0.5) for path in paths]
    linked, said = explain_mistakes(model, answered, 5)
    assert [each.anchor for each in linked] == ["why1", "", "why3"]
    assert "The reasons of 2 of 3 mistakes" in said


def test_of_many_mistakes_each_kind_has_some(images: tuple[list[Path], list[str]]) -> None:
    path = images[0][0]
    pairs = [(0, 1)] * 10 + [(1, 0)] * 2 + [(2, 1)]
    answered = [Answered(path, str(place), f"class {pair[0]}", "b", 0.5) for place, pair in enumerate(pairs)]
    content, anchors = by_pair(answered, pairs, 6)
    assert anchors == {(0, 1): "from0to1", (1, 0): "from1to0", (2, 1): "from2to1"}
    shown = re.findall(r'class="path"><bdi>(\d+)<', content)
    assert shown == ["0", "1", "2", "10", "11", "12"]
    assert "6 of 13 mistakes" in content
    assert ">3 of 10<" in content
    content, anchors = by_pair([Answered(path.with_name("gone.png"), "", "a", "b", 0.5)], [(0, 1)])
    assert (content, anchors) == ("", {})


def test_three_hundred_mistakes_are_less_than_15_mb(folder: Path) -> None:
    # Noise is the worst that there is for a picture's size.
    rng = np.random.default_rng(0)
    paths = []
    for number in range(320):
        paths.append(folder / f"noise{number}.bmp")
        cv2.imwrite(str(paths[-1]), rng.integers(0, 256, (200, 200, 3), np.uint8))
    pixels = [cv2.imread(str(path)) for path in paths[:8]]
    model = ImageClassifier(ColorHistogram(), "linear-svm").fit(pixels, ["a", "b"] * 4)
    labels = [{"a": "b", "b": "a"}[name] for name in model.predict(paths)]
    size = write(folder / "noise.html", model, paths, labels).stat().st_size
    assert size < 15_000_000


def test_no_mistakes_need_no_reasons(folder: Path, model: ImageClassifier) -> None:
    path = folder / "right.png"
    cv2.imwrite(str(path), texture("checker", 50))
    document = write(folder / "right.html", model, [path], ["checker"]).read_text()
    assert {"confused", "reasons"}.isdisjoint(links(document)[1])


@pytest.mark.skipif(not has_browser(), reason="no Chromium to drive")
@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_matrix_to_a_mistake_to_its_reason(page: Path, browser: Browser, width: int) -> None:
    browser.resize(width)
    browser.open(page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    for selector, target in ((".confusion td.miss a", "h3"), ("h3:target + .gallery a", "figure.reason")):
        browser.click(selector)
        found = browser.run(
            "const target = document.querySelector(':target');"
            "return target && [target.matches(arguments[0]), target.getBoundingClientRect().top, innerHeight]",
            target,
        )
        assert found
        assert found[0]
        assert 0 <= found[1] < found[2]
    # The reason's pictures are there, and as large as they can be seen.
    sizes = browser.run(
        "return [...document.querySelectorAll(':target img')].map(each => [each.naturalWidth, each.width])"
    )
    assert len(sizes) >= 2
    assert min(min(size) for size in sizes) > 60
