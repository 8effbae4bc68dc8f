from __future__ import annotations

import base64
import copy
import io
import os
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tiny_images import write_dataset

import cvbow
from cvbow.classify import Answers, ClassificationReport, ImageClassifier, classification_report, reliability
from cvbow.errors import ImageError
from cvbow.images import list_images
from cvbow.presets import SETTINGS, parse_setting
from cvbow.report import write_evaluation_report
from cvbow.report._classes import MOST_CLASSES
from cvbow.report._html import escape, percent

VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}
HOSTILE = [
    '<script>alert("1")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt; & 日本 é \u202eevil",
    "</title>",
]


class Element:
    def __init__(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self.tag = tag
        self.attributes = dict(attributes)
        assert len(self.attributes) == len(attributes), f"an attribute of <{tag}> is given twice"
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str | None = None, *, look: str | None = None) -> list[Element]:
        """Every element below this one with a tag and a class, in the order of the document."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                looks = (child.attributes.get("class") or "").split()
                if tag in (None, child.tag) and (look is None or look in looks):
                    found.append(child)
                found += child.all(tag, look=look)
        return found

    def one(self, tag: str | None = None, *, look: str | None = None) -> Element:
        (found,) = self.all(tag, look=look)
        return found


class Builder(HTMLParser):
    """A tree of a document, and a failure for a tag that is not closed, or closed where another is open."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", [])
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, attrs)
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(document: str) -> Element:
    builder = Builder()
    builder.feed(document)
    builder.close()
    assert builder.open == [builder.root], f"<{builder.open[-1].tag}> is never closed"
    ids = [element.attributes["id"] for element in builder.root.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    return builder.root


def part(page: Element, key: str) -> Element:
    (found,) = (element for element in page.all("section") if element.attributes["id"] == key)
    return found


def cells(table: Element) -> list[list[Element]]:
    return [[cell for cell in row.children if isinstance(cell, Element)] for row in table.one("tbody").all("tr")]


def value(element: Element) -> float:
    return float(element.one("data").attributes["value"] or "")


def headline(page: Element) -> dict[str, list[float]]:
    figures = page.one("dl").all("div")
    return {f.one("dt").text: [float(d.attributes["value"] or "") for d in f.all("data")] for f in figures}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ImageClassifier:
    images = list_images(write_dataset(tmp_path_factory.mktemp("train"), per_class=4))
    settings = {"n_words": 8, "sample": 500, "reduce": None, "max_iter": 3}
    return cvbow.make_model("fast", settings=settings, n_jobs=1).fit(images.paths, images.labels)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Forty images that differ in their shade and shape."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(40):
        pixels = np.full((20 + 8 * i, 60, 3), (6 * i, 255 - 6 * i, 90), np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i:02d}.png")
    return sorted(folder.iterdir())


def made_up(
    n_classes: int, n: int, *, names: Sequence[str] | None = None, strength: float = 2.0, seed: int = 0
) -> tuple[list[str], list[str], Answers]:
    """Class names, true labels, and the answers of a classifier that is better the larger `strength`."""
    rng = np.random.default_rng(seed)
    names = sorted(names or [f"class {i}" for i in range(n_classes)])
    truth = np.r_[np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)]
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), truth] += strength
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = Answers(np.array(names)[probabilities.argmax(axis=1)], probabilities, np.arange(n), [])
    return names, [names[i] for i in truth], answers


def knowing(model: ImageClassifier, names: Sequence[str]) -> ImageClassifier:
    """The model as if it had learned other classes."""
    other = copy.copy(model)
    other.classes_ = np.array(names)
    return other


def write(
    path: Path, model: ImageClassifier, names: Sequence[str], labels: list[str], answers: Answers, paths: list[Path]
) -> tuple[Element, ClassificationReport, str]:
    report = classification_report([labels[i] for i in answers.rows], answers.probabilities, names, answers.labels)
    model = knowing(model, names)
    write_evaluation_report(
        path, model=model, report=report, answers=answers, paths=paths, labels=labels, title="A & <b>", most_reasons=0
    )
    document = path.read_text(encoding="utf-8")
    return parse(document), report, document


def repeated(pictures: list[Path], n: int) -> list[Path]:
    return [pictures[i % len(pictures)] for i in range(n)]


# ---- the whole page ----


def test_page_of_a_real_evaluation(model: ImageClassifier, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "test", per_class=5, seed=1)
    (folder / "checker" / "03.png").write_bytes(b"")
    images = list_images(folder)
    report, answers = model.evaluate(images.paths, images.labels)
    path = tmp_path / "report.html"
    write_evaluation_report(
        path, model=model, report=report, answers=answers, paths=images.paths, labels=images.labels, title="textures"
    )
    page = parse(path.read_text(encoding="utf-8"))
    assert page.one("h1").text == page.one("head").one("title").text == "textures"
    assert headline(page)["Images"] == [14]
    assert headline(page)["Accuracy"] == [np.mean(np.delete(images.labels, 3) == answers.labels)]
    skipped = cells(part(page, "skipped").one("table"))
    assert [[cell.text for cell in row] for row in skipped] == [
        [os.path.join("checker", "03.png"), "the file is empty"]
    ]
    # Every image is a mistake or a right answer; none of them is more than the two galleries hold.
    shown = {figure.one(look="path").text for figure in page.all("figure")}
    right = int(np.trace(report.confusion))
    assert len(shown) == (14 - right) + min(right, 8)
    assert os.path.join("checker", "03.png") not in shown
    assert sorted(os.listdir(tmp_path)) == ["report.html", "test"]


def test_figures_are_those_of_the_report(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(7, 200)
    page, report, _ = write(tmp_path / "r.html", model, names, labels, answers, repeated(pictures, 200))
    assert headline(page) == {
        "Accuracy": [report.accuracy],
        "Mean class accuracy": [report.mean_class_accuracy, report.class_accuracy_std],
        "Top 5": [report.top5_accuracy],
        "Log loss": [report.log_loss],
        "Images": [200],
        "Skipped": [0],
    }
    assert 0.2 < report.accuracy < 0.95  # so that there is something to see
    assert f"{100 * report.accuracy:.1f}" in page.one("dl").text


def test_page_needs_nothing_else(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(5, 60)
    page, _, document = write(tmp_path / "r.html", model, names, labels, answers, repeated(pictures, 60))
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")
    addresses = [
        element.attributes[name] or ""
        for element in page.all()
        for name in ("src", "href", "srcset", "action", "data", "poster")
        if name in element.attributes
    ]
    assert addresses
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in addresses)
    assert not re.search(r"@import|url\(|@font-face", document)
    assert not [name for element in page.all() for name in element.attributes if name.startswith("on")]
    style = page.one("style").text
    assert "prefers-color-scheme: dark" in style
    assert style.count("{") == style.count("}")
    defined, used = set(re.findall(r"(--[\w-]+):", style)), set(re.findall(r"var\((--[\w-]+)", style))
    assert used <= defined
    targets = {element.attributes["id"] for element in page.all("section")}
    assert {f"#{target}" for target in targets} == {link.attributes["href"] for link in page.one("nav").all("a")}


def test_hostile_names_stay_text(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    folder = tmp_path / "it's <i>&amp;"
    folder.mkdir()
    paths = []
    for i in range(30):
        paths.append(folder / f"<b onclick='x'>{i}\u202e.png")
        paths[-1].write_bytes(pictures[i].read_bytes())
    names, labels, answers = made_up(4, 30, names=HOSTILE, strength=0.5)
    answers.skipped.append(ImageError(folder / "<u>\udcff.png", "it is <s>not</s> an image"))
    page, report, document = write(tmp_path / "r.html", model, names, labels, answers, paths)
    for tag in ("script", "b", "i", "u", "s"):
        assert not page.all(tag)
    assert page.one("h1").text == page.one("head").one("title").text == "A & <b>"
    assert {row[0].text for row in cells(part(page, "classes").one("table"))} == set(report.classes) == set(HOSTILE)
    head = part(page, "confusion").one("thead").all("th")[1:]
    assert [cell.text for cell in head] == [cell.attributes["title"] for cell in head] == names
    figures = part(page, "mistakes").all("figure")
    assert figures
    assert {figure.one(look="path").text for figure in figures} <= {path.name for path in paths}
    assert all(len(figure.all("img")) == 1 for figure in figures)
    (skipped,) = cells(part(page, "skipped").one("table"))
    assert [cell.text for cell in skipped] == ["<u>\ufffd.png", "it is <s>not</s> an image"]
    assert document.encode("utf-8").decode("utf-8") == document
    # A name that turns the writing direction is fenced off from what follows it.
    turned = [e for e in page.all() if any(isinstance(c, str) and "\u202e" in c for c in e.children)]
    assert {element.tag for element in turned} <= {"bdi", "span"}


@given(st.text(st.characters(codec=None), max_size=20))
def test_escaped_text_is_read_back(text: str) -> None:
    page = parse(f'<p title="{escape(text)}">{escape(text)}</p>'.encode().decode())
    element = page.one("p")
    expected = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", text)
    assert element.text == element.attributes["title"] == expected


def test_percent() -> None:
    assert parse(percent(0.12345)).text == "12.3\u202f%"
    assert value(parse(percent(1 / 3))) == 1 / 3
    assert percent(float("nan")) == "–"  # noqa: RUF001


# ---- confusion matrix and classes ----


@pytest.mark.parametrize(("n_classes", "n"), [(2, 50), (7, 200), (60, 1500), (MOST_CLASSES, 400)])
def test_confusion_matrix_holds_every_count(
    model: ImageClassifier, tmp_path: Path, pictures: list[Path], n_classes: int, n: int
) -> None:
    names, labels, answers = made_up(n_classes, n)
    page, report, _ = write(tmp_path / "r.html", model, names, labels, answers, repeated(pictures, n))
    table = part(page, "confusion").one("table")
    rows = cells(table)
    assert [cell.text for cell in table.one("thead").all("th")[1:]] == report.classes
    assert [row[0].text for row in rows] == report.classes
    numbers = [[int(cell.text or 0) for cell in row[1:]] for row in rows]
    assert np.array_equal(numbers, report.confusion)


def test_shade_is_the_share_of_the_row(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    truth = ["a"] * 100 + ["b"] * 10 + ["c"] * 2
    answer = ["a"] * 98 + ["b"] * 2 + ["b"] * 7 + ["a"] * 3 + ["b"] * 2
    probabilities = np.full((112, 3), 0.1)
    probabilities[np.arange(112), [ord(name) - ord("a") for name in answer]] = 0.8
    answers = Answers(np.array(answer), probabilities, np.arange(112), [])
    page, _, _ = write(tmp_path / "r.html", model, ["a", "b", "c"], truth, answers, repeated(pictures, 112))
    looks = [[cell.attributes.get("class") for cell in row[1:]] for row in cells(part(page, "confusion").one("table"))]
    # Shades end at 2, 5, 10, 20, 40, 60, 80 and 100 % of the row.
    assert looks == [["hit s8", "miss s1", None], ["miss s5", "hit s7", None], [None, "miss s8", "hit"]]
    titles = [cell.attributes.get("title") for cell in part(page, "confusion").all("td")]
    assert titles[1] == "a → b: 2 of 100 (2.0\u202f%)"


def test_very_many_classes_give_the_most_frequent_confusions(
    model: ImageClassifier, tmp_path: Path, pictures: list[Path]
) -> None:
    n = MOST_CLASSES + 1
    names, labels, answers = made_up(n, 3000, strength=1.5)
    page, report, _ = write(tmp_path / "r.html", model, names, labels, answers, repeated(pictures, 3000))
    rows = cells(part(page, "confusion").one("table"))
    assert len(rows) == 100
    wrong = report.confusion - np.diag(np.diag(report.confusion))
    assert [int(row[2].text) for row in rows] == sorted(wrong.ravel().tolist(), reverse=True)[:100]
    index = {name: i for i, name in enumerate(report.classes)}
    for row in rows:
        i, j = index[row[0].text], index[row[1].text]
        assert i != j
        assert int(row[2].text) == report.confusion[i, j]
        assert value(row[3]) == report.confusion[i, j] / report.confusion[i].sum()


def test_classes_from_the_worst_to_the_best(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(9, 300, strength=1.0)
    # The model knows a class that no image has, and an image has a class that the model does not know.
    known = [*names, "zebra"]
    probabilities = np.c_[answers.probabilities, np.zeros(300)]
    labels[0] = "yak"
    answers = Answers(answers.labels, probabilities, answers.rows, [])
    page, report, _ = write(tmp_path / "r.html", model, known, labels, answers, repeated(pictures, 300))
    rows = cells(part(page, "classes").one("table"))
    assert sorted(row[0].one("bdi").text for row in rows) == sorted([*known, "yak"])
    assert rows[0][0].text == "yak not known to the model"
    assert [cell.text for cell in rows[-1]] == ["zebra", "0", "–", "–", "–"]  # noqa: RUF001
    recalls = [value(row[2]) for row in rows[:-1]]
    assert recalls == sorted(recalls)
    for row in rows[:-1]:
        i = report.classes.index(row[0].one("bdi").text)
        others = np.delete(report.confusion[i], i)
        assert int(row[1].text) == report.confusion[i].sum()
        assert value(row[2]) == report.recall[i]
        if report.confusion[:, i].sum():
            assert value(row[3]) == report.precision[i]
        assert others.any()
        name = row[4].one("bdi").text
        assert name != report.classes[i]
        assert int(row[4].one("span").text) == report.confusion[i, report.classes.index(name)] == others.max()


# ---- calibration ----


def test_reliability_by_hand() -> None:
    measured = reliability(np.array([0.05, 0.3, 0.31, 0.99, 1.0]), np.array([False, True, False, True, True]))
    assert measured.counts.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert measured.accuracy[[0, 3, 9]].tolist() == [0, 0.5, 1]
    assert measured.confidence[[0, 3, 9]] == pytest.approx([0.05, 0.305, 0.995])
    assert measured.calibration_error == pytest.approx((0.05 + 2 * 0.195 + 2 * 0.005) / 5)
    assert measured.mean_confidence == pytest.approx(0.53)
    assert measured.mean_accuracy == pytest.approx(0.6)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_reliability_against_a_loop(answers: list[tuple[float, bool]], n_bins: int) -> None:
    confidence = np.array([c for c, _ in answers])
    right = np.array([r for _, r in answers])
    error = 0.0
    for i in range(n_bins):
        inside = [
            (c, r) for c, r in answers if i / n_bins <= c and (c < (i + 1) / n_bins or (i == n_bins - 1 and c <= 1))
        ]
        if inside:
            error += abs(sum(r for _, r in inside) - sum(c for c, _ in inside)) / len(answers)
    measured = reliability(confidence, right, n_bins=n_bins)
    assert measured.counts.sum() == len(answers)
    assert measured.calibration_error == pytest.approx(error, abs=1e-9)
    assert measured.mean_confidence == pytest.approx(confidence.mean(), abs=1e-9)
    assert measured.mean_accuracy == pytest.approx(right.mean(), abs=1e-9)


def test_diagram_shows_the_bins(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(4, 300)
    page, _, _ = write(tmp_path / "r.html", model, names, labels, answers, repeated(pictures, 300))
    section = part(page, "calibration")
    chosen = answers.probabilities.max(axis=1)
    measured = reliability(chosen, np.array(labels) == answers.labels)
    assert value(section.one("strong")) == measured.calibration_error
    rows = cells(section.one("table"))
    assert [int(row[1].text) for row in rows] == measured.counts.tolist()
    filled = np.flatnonzero(measured.counts)
    assert 3 <= len(filled) < 10
    assert [value(rows[i][2]) for i in filled] == measured.confidence[filled].tolist()
    assert [value(rows[i][3]) for i in filled] == measured.accuracy[filled].tolist()
    drawing = section.one("svg")
    frame = {name: float(drawing.one(look="frame").attributes[name] or "") for name in ("x", "y", "width", "height")}
    points = [(float(c.attributes["cx"] or ""), float(c.attributes["cy"] or "")) for c in drawing.all("circle")]
    x = [(cx - frame["x"]) / frame["width"] for cx, _ in points]
    y = [1 - (cy - frame["y"]) / frame["height"] for _, cy in points]
    assert x == pytest.approx(measured.confidence[filled], abs=0.001)
    assert y == pytest.approx(measured.accuracy[filled], abs=0.001)
    heights = [float(bar.attributes["height"] or "") for bar in drawing.all(look="bar")]
    counts = measured.counts[filled]
    assert np.argmax(heights) == np.argmax(counts)
    assert heights == pytest.approx(np.maximum(1, max(heights) * counts / counts.max()), abs=0.1)


# ---- galleries ----


def pixels_of(figure: Element) -> NDArray[np.uint8]:
    source = figure.one("img").attributes["src"] or ""
    image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2], validate=True)))
    assert image.format == "JPEG"
    assert [str(side) for side in image.size] == [figure.one("img").attributes[name] for name in ("width", "height")]
    return np.asarray(image)


def test_the_surest_mistakes_come_first(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(6, 40, strength=0.2)
    # What was read is not what was given: row 3 of the answers is image 8.
    rows = np.arange(0, 40)[np.r_[0:3, 8:40]]
    answers = Answers(answers.labels[rows], answers.probabilities[rows], rows, [])
    page, _, _ = write(tmp_path / "r.html", model, names, labels, answers, pictures)
    confidence = answers.probabilities.max(axis=1)
    right = np.array([labels[row] == label for row, label in zip(rows, answers.labels, strict=True)])
    for key, positions, most in (
        ("mistakes", np.flatnonzero(~right)[np.argsort(-confidence[~right])], 24),
        ("unsure", np.flatnonzero(right)[np.argsort(confidence[right])], 8),
    ):
        figures = part(page, key).all("figure")
        assert len(positions) > most or key == "unsure"
        assert len(figures) == min(most, len(positions)) > 0
        for figure, i in zip(figures, positions, strict=False):
            path = pictures[rows[i]]
            assert figure.one(look="path").text == path.name
            assert value(figure) == confidence[i]
            said = [element.text for element in figure.one("figcaption").all("bdi")][:-1]
            truth = labels[rows[i]]
            assert said == ([truth] if right[i] else [truth, answers.labels[i]])
            with Image.open(path) as image:
                width, height = image.size
                colour = np.asarray(image)[0, 0]
            thumbnail = pixels_of(figure)
            assert np.abs(thumbnail.reshape(-1, 3).astype(int) - colour).max() < 12
            assert max(thumbnail.shape[:2]) <= 128
            assert thumbnail.shape[1] / thumbnail.shape[0] == pytest.approx(width / height, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 8), (128, 128)),
        ((5, 3), (125, 75)),
        ((64, 64), (128, 128)),
        ((65, 30), (65, 30)),
        ((128, 100, 3), (128, 100)),
        ((300, 600, 3), (64, 128)),
        ((1, 4000), (1, 128)),
    ],
)
def test_thumbnail_fits_its_square(
    model: ImageClassifier, tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, int]
) -> None:
    path = tmp_path / "p.png"
    pixels = np.zeros(shape, np.uint8)
    pixels[:, -1:] = 250
    Image.fromarray(pixels).save(path)
    answers = Answers(np.array(["a"]), np.array([[0.9, 0.1]]), np.arange(1), [])
    page, _, _ = write(tmp_path / "r.html", model, ["a", "b"], ["b"], answers, [path])
    thumbnail = pixels_of(part(page, "mistakes").one("figure"))
    assert thumbnail.shape[:2] == expected
    if shape == (8, 8):  # enlarged pixel by pixel, not blurred
        assert thumbnail[:, :112].max() < 10 < 240 < thumbnail[:, 112:].min()


def test_an_image_that_vanished_is_left_out(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(3, 20, strength=0.5)
    wrong = np.flatnonzero(np.array(labels) != answers.labels)
    assert len(wrong) >= 4
    paths = list(pictures[:20])
    paths[wrong[0]] = tmp_path / "gone.png"
    paths[wrong[1]] = tmp_path / "damaged.png"
    paths[wrong[1]].write_bytes(pictures[0].read_bytes()[:50])
    page, report, _ = write(tmp_path / "r.html", model, names, labels, answers, paths)
    assert len(part(page, "mistakes").all("figure")) == len(wrong) - 2
    assert report.n_images == 20
    assert headline(page)["Skipped"] == [0]


def test_all_images_vanished(model: ImageClassifier, tmp_path: Path) -> None:
    names, labels, answers = made_up(3, 20, strength=0.5)
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    page, _, _ = write(tmp_path / "r.html", model, names, labels, answers, paths)
    assert not page.all("img")
    assert "can be read any more" in part(page, "mistakes").text
    assert "can be read any more" in part(page, "unsure").text


def test_no_mistakes_at_all(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(2, 20, strength=50.0)
    page, report, _ = write(tmp_path / "r.html", model, names, labels, answers, pictures[:20])
    assert report.accuracy == 1
    assert "There are no mistakes." in part(page, "mistakes").text
    assert not part(page, "mistakes").all("figure")
    assert len(part(page, "unsure").all("figure")) == 8
    assert {row[4].text for row in cells(part(page, "classes").one("table"))} == {"–"}  # noqa: RUF001


def test_nothing_but_mistakes(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    probabilities = np.tile([0.8, 0.2], (6, 1))
    answers = Answers(np.array(["a"] * 6), probabilities, np.arange(6), [])
    page, _, _ = write(tmp_path / "r.html", model, ["a", "b"], ["b"] * 6, answers, pictures[:6])
    assert headline(page)["Accuracy"] == [0]
    assert "There are no right answers." in part(page, "unsure").text
    assert value(part(page, "calibration").one("strong")) == pytest.approx(0.8)


# ---- skipped files, recipe ----


def test_skipped_files_are_listed_with_their_reasons(
    model: ImageClassifier, tmp_path: Path, pictures: list[Path]
) -> None:
    names, labels, answers = made_up(3, 10)
    folder = pictures[0].parent
    answers.skipped.extend(
        [ImageError(folder / "x.png", "the file is empty"), ImageError("elsewhere/y.jpg", "too large")]
    )
    page, _, _ = write(tmp_path / "r.html", model, names, labels, answers, pictures[:10])
    rows = cells(part(page, "skipped").one("table"))
    assert [[cell.text for cell in row] for row in rows] == [
        ["x.png", "the file is empty"],
        ["elsewhere/y.jpg", "too large"],
    ]
    assert headline(page)["Skipped"] == [2]
    assert str(folder) in part(page, "recipe").text


def test_none_skipped(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(3, 10)
    page, _, _ = write(tmp_path / "r.html", model, names, labels, answers, pictures[:10])
    assert not part(page, "skipped").all("table")
    assert "every image could be read" in part(page, "skipped").text


def test_recipe_and_versions(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(3, 10)
    page, _, _ = write(tmp_path / "r.html", model, names, labels, answers, pictures[:10])
    section = part(page, "recipe")
    settings = {row[0].text: row[1].text for row in cells(section.one("table"))}
    assert list(settings) == list(model.shown_recipe)
    assert settings["preset"] == "fast"
    assert settings["n_words"] == "8"
    for key, text in settings.items():
        if key in SETTINGS:  # what stands here can be given to --set
            parsed: Any = parse_setting(f"{key}={text}")[1]
            expected = model.shown_recipe[key]
            assert (list(parsed) if isinstance(parsed, tuple) else parsed) == expected, key
    for text in (cvbow.__version__, np.__version__, f"{model.backend_.vector_length} numbers"):
        assert text in section.text


def test_model_without_a_recipe(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(3, 10)
    plain = ImageClassifier(model.backend_, model.classifier_)
    plain.backend_ = model.backend_
    page, _, _ = write(tmp_path / "r.html", plain, names, labels, answers, pictures[:10])
    assert "BagEncoder" in part(page, "recipe").one("pre").text


# ---- writing, and what does not fit ----


def test_an_old_page_is_replaced_and_a_failure_leaves_it(
    model: ImageClassifier, tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, labels, answers = made_up(3, 10)
    path = tmp_path / "r.html"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            write(path, model, names, labels, answers, pictures[:10])
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.html"]
    write(path, model, names, labels, answers, pictures[:10])
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert os.listdir(tmp_path) == ["r.html"]


def test_a_missing_folder_is_named(model: ImageClassifier, tmp_path: Path, pictures: list[Path]) -> None:
    names, labels, answers = made_up(3, 10)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write(tmp_path / "nowhere" / "r.html", model, names, labels, answers, pictures[:10])


def test_parts_that_do_not_belong_together_are_refused(
    model: ImageClassifier, tmp_path: Path, pictures: list[Path]
) -> None:
    names, labels, answers = made_up(3, 10, strength=1.0)
    report = classification_report(labels, answers.probabilities, names, answers.labels)
    good: dict[str, Any] = {
        "model": knowing(model, names),
        "report": report, "answers": answers, "paths": pictures[:10], "labels": labels, "title": "t"
    }  # fmt: skip
    path = tmp_path / "r.html"
    for change, message in (
        ({"labels": labels[:9]}, "labels must be as many as paths, got 9 and 10"),
        ({"labels": labels[::-1]}, "report must be of these answers"),
        ({"labels": ["new", *labels[1:]]}, "report must be of these answers"),
        ({"answers": Answers(answers.labels[:9], answers.probabilities, answers.rows, [])}, "report must be of these"),
        ({"model": model}, "report must be of these answers"),
        ({"paths": pictures[:5], "labels": labels[:5]}, "answers must have rows below 5"),
    ):
        with pytest.raises(ValueError, match=message):
            write_evaluation_report(path, **(good | change))
    assert not path.exists()
    write_evaluation_report(path, **good)
    assert path.exists()
