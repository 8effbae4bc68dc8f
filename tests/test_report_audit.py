"""The page of an audit: what is most worth seeing first, all of it somewhere, and marked findings as CSV."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from headless_browser import Browser, has_browser
from test_report import HOSTILE, Element, cells, headline, parse, part
from test_report_reasons import texture

from cvbow import ImageClassifier
from cvbow.audit import COLUMNS, KINDS, Audit, Finding
from cvbow.backends import BagEncoder, ColorHistogram
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT
from cvbow.report import _mistakes as in_time
from cvbow.report import write_audit_report
from cvbow.report.audit import _KINDS

CLASSES = ("checker", "horizontal", "vertical")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[str, list[str]]:
    """Textures of each class, as files."""
    found: dict[str, list[str]] = {}
    for name in CLASSES:
        (folder / name).mkdir()
        for seed in range(4):
            path = folder / name / f"{seed}.png"
            cv2.imwrite(str(path), texture(name, seed))
            found.setdefault(name, []).append(str(path))
    return found


@pytest.fixture(scope="module")
def model(images: dict[str, list[str]]) -> ImageClassifier:
    backend = BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=12)))
    paths = [path for name in CLASSES for path in images[name]]
    return ImageClassifier(backend, "linear-svm").fit(paths, np.repeat(CLASSES, 4))


@pytest.fixture(scope="module")
def audit(images: dict[str, list[str]], model: ImageClassifier) -> Audit:
    """One finding of each kind, and two about labels."""
    a, b, c = (images[name] for name in CLASSES)
    findings = [
        Finding("leak", (a[0], a[1]), 1.0, "checker", "drop", "The same bytes."),
        Finding("duplicate", (b[0], b[1]), 0.97, "horizontal", "keep one", "The same picture, mirrored."),
        Finding("label", (c[0],), 0.93, "horizontal", "vertical", "Looks like vertical (93 %)."),
        Finding("label", (c[1],), 0.71, "checker", "vertical", "Looks like vertical (71 %)."),
        Finding("stranger", (c[2],), 0.8, "vertical", None, "Like no other."),
        Finding("shortcut", tuple(a + b), 0.99, "checker", None, "All are PNG."),
        Finding("picture", (b[2],), 0.6, "horizontal", "drop", "Blurred."),
        Finding("class", (a[3], b[3]), 0.5, "checker", "horizontal", "Not told apart."),
        Finding("unreadable", (f"{a[0]}x",), 1.0, "checker", "drop", "The file is empty."),
    ]
    near = {c[0]: (b[0], c[3]), c[1]: (a[0], c[3])}
    return Audit(13, 83.2, findings, dict.fromkeys(CLASSES, 4), [], near, model)


@pytest.fixture(scope="module")
def page(folder: Path, audit: Audit) -> Path:
    path = folder / "page.html"
    write_audit_report(path, audit, title="textures")
    return path


def kinds_on(document: Element) -> list[str]:
    return [str(section.attributes["id"]) for section in document.all("section")]


def lines(document: Element) -> list[str]:
    """The lines of CSV that can be marked."""
    return [str(box.attributes["value"]) for box in document.all("input", look="mark")]


def test_every_kind_has_its_place_on_the_page() -> None:
    assert sorted(_KINDS) == sorted(KINDS)


def test_what_is_most_worth_seeing_comes_first(page: Path, audit: Audit) -> None:
    document = parse(page.read_text())
    order = ["shortcut", "leak", "label", "duplicate", "class", "stranger", "picture", "unreadable"]
    assert kinds_on(document) == order
    numbers = headline(document)
    assert numbers["Images"] == [13]
    assert numbers["Findings"] == [9, 83.2]
    assert numbers["Labels"] == [2]
    assert [part(document, kind).one("h2").text for kind in ("leak", "label")] == ["Leaks (1)", "Labels (2)"]
    assert [card.one(look="score").text for card in part(document, "label").all("article")] == ["0.93", "0.71"]
    advice = {kind: part(document, kind).one("article").one("b").text for kind in ("shortcut", "leak", "stranger")}
    assert advice == {"shortcut": "checker", "leak": "checker: drop", "stranger": "vertical"}
    assert part(document, "label").all("article")[0].one("b").text == "horizontal → vertical"
    # Every finding can be copied, as the command writes it.
    assert sorted(lines(document)) == sorted(finding.as_csv() for finding in audit.findings)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page.read_text())


def test_the_images_of_a_finding_stand_beside_each_other(page: Path, images: dict[str, list[str]]) -> None:
    document = parse(page.read_text())
    (leak,) = part(document, "leak").all("article")
    said = [figure.one("figcaption").text for figure in leak.all("figure")]
    assert said == ["to test withchecker/0.png", "to train onchecker/1.png"]
    label = part(document, "label").all("article")[0]
    said = [re.sub(r"[+\u2212].*", "", figure.one("figcaption").text) for figure in label.all("figure")]
    assert said == [
        "in questionvertical/0.png",
        "vertical ",
        "horizontal ",
        "nearest horizontalhorizontal/0.png",
        "nearest verticalvertical/3.png",
    ]
    assert len(label.all("img")) == 5
    (shortcut,) = part(document, "shortcut").all("article")
    assert len(shortcut.all("img")) == 6
    assert "and 2 other images" in shortcut.text
    # Of what cannot be read there is no image, and of an image that has gone there is a note.
    assert not part(document, "unreadable").all("img")
    assert "The file is empty." in part(document, "unreadable").text


def test_an_image_that_has_gone_leaves_a_note(folder: Path, audit: Audit, model: ImageClassifier) -> None:
    findings = [Finding("label", (str(folder / "gone.png"),), 0.9, "checker", "vertical", "Looks like vertical.")]
    write_audit_report(folder / "gone.html", Audit(1, 1, findings, {"checker": 1}, model=model), title="gone")
    (card,) = parse((folder / "gone.html").read_text()).all("article")
    assert [frame.text for frame in card.all(look="frame")] == ["there is no such file"]


@pytest.mark.parametrize("why", ["no model", "another model", "slow", "long"])
def test_heat_is_there_where_it_is_soon_found(
    why: str, folder: Path, audit: Audit, images: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = audit.model
    if why == "no model":
        model = None
    elif why == "long":
        monkeypatch.setattr(in_time, "_SECONDS", -1)
    else:
        names = ["a", "b"] if why == "another model" else ["horizontal", "vertical"]
        learned = [images["horizontal"][0], images["vertical"][0]] * 2
        model = ImageClassifier(ColorHistogram(), "random-forest").fit(learned, names * 2)
    found = Audit(13, 1, audit.findings, audit.counts, [], audit.neighbours, model)
    write_audit_report(folder / "cold.html", found, title="cold")
    cards = part(parse((folder / "cold.html").read_text()), "label").all("article")
    assert [len(card.all("img")) for card in cards] == [3, 3]


def test_the_labels_of_which_only_one_set_has_are_explained(
    folder: Path, audit: Audit, images: dict[str, list[str]]
) -> None:
    finding = Finding("label", (images["vertical"][0],), 0.9, "checker | other", "checker | vertical", "A set.")
    write_audit_report(folder / "sets.html", Audit(1, 1, [finding], {}, model=audit.model), title="sets")
    (card,) = parse((folder / "sets.html").read_text()).all("article")
    said = [figure.one("figcaption").text for figure in card.all("figure")]
    assert len(said) == 2
    assert said[1].startswith("vertical ")


def test_what_has_no_room_is_in_a_list(folder: Path, images: dict[str, list[str]]) -> None:
    paths = [path for name in CLASSES for path in images[name]]
    findings = [
        Finding(kind, (paths[number % 12],), 1 - number / 1000, "a", None, f"Number {number}.")
        for kind in ("stranger", "picture")
        for number in range(40)
    ]
    audit = Audit(40, 1, findings, {"a": 40})
    write_audit_report(folder / "list.html", audit, title="list", most_shown=7)
    document = parse((folder / "list.html").read_text())
    for kind in ("stranger", "picture"):
        assert len(part(document, kind).all("article")) == 7
        assert part(document, kind).one("summary").text == "33 more"
        assert [row[3].text for row in cells(part(document, kind))] == [f"Number {number}." for number in range(7, 40)]
    assert sorted(lines(document)) == sorted(finding.as_csv() for finding in findings)
    # Where pictures would be too many bytes, as many of one kind as of another give theirs up.
    write_audit_report(folder / "list.html", audit, title="list", limit=30_000)
    document = parse((folder / "list.html").read_text())
    shown = {kind: len(part(document, kind).all("article")) for kind in ("stranger", "picture")}
    assert 0 < shown["picture"] <= shown["stranger"] <= shown["picture"] + 1 < 20
    assert len(lines(document)) == 80
    write_audit_report(folder / "list.html", audit, title="list", most_shown=0)
    document = parse((folder / "list.html").read_text())
    assert not document.all("article")
    assert "open" in part(document, "stranger").one("details").attributes


def test_findings_of_ten_thousand_images_stay_below_20_mb(folder: Path, tmp_path: Path) -> None:
    # Noise is the worst that there is for a picture's size, and long names in another script for a list's.
    rng = np.random.default_rng(0)
    path = str(tmp_path / "noise.png")
    cv2.imwrite(path, rng.integers(0, 256, (200, 200, 3), np.uint8))
    script = "\u65e5"
    names = [f"{tmp_path}/{20 * script}/{30 * script}{number}.png" for number in range(10_000)]
    findings = [
        Finding(kind, (path, path, name), 0.5, 20 * script, "drop", 60 * script)
        for kind in KINDS
        for name in names[:: 1 if kind == "duplicate" else 20]
    ]
    write_audit_report(tmp_path / "large.html", Audit(10_000, 1, findings, {"a": 10_000}), title="large")
    text = (tmp_path / "large.html").read_text()
    assert len(text.encode()) < 20_000_000
    assert text.count("<article") > 100
    assert "have no room here" in text


def test_names_that_are_no_html(tmp_path: Path) -> None:
    findings = [
        Finding(kind, (f"{tmp_path}/{name}",), 0.5, name, HOSTILE[0], f"It is {name}.")
        for kind in KINDS
        for name in [*HOSTILE, "half \udcff"]
    ]
    write_audit_report(tmp_path / "hostile.html", Audit(5, 1, findings, {"a": 5}), title=HOSTILE[0])
    text = (tmp_path / "hostile.html").read_text()
    document = parse(text)
    assert len(document.all("script")) == 1
    assert {row[0].text for row in cells(part(document, "unreadable"))} == {*HOSTILE, "half \ufffd"}
    # A name that is no text cannot be copied: it would be another one.
    expected = sorted(finding.as_csv() for finding in findings if "half" not in finding.paths[0])
    assert sorted(lines(document)) == expected
    # No script runs but the page's own.
    policy = re.search(r"script-src 'sha256-([^']+)'", text)
    assert policy is not None
    digest = hashlib.sha256(text.partition("<script>")[2].partition("</script>")[0].encode()).digest()
    assert policy[1] == base64.b64encode(digest).decode()


def test_nothing_found_is_a_page_too(tmp_path: Path) -> None:
    write_audit_report(tmp_path / "none.html", Audit(5, 1, [], {"a": 5}), title="none")
    text = (tmp_path / "none.html").read_text()
    assert "Nothing was found." in text
    assert "<script" not in text
    assert "script-src" not in text


def test_bad_parameters(tmp_path: Path, audit: Audit) -> None:
    with pytest.raises(ValueError, match="most_shown must be an integer >= 0, got -1"):
        write_audit_report(tmp_path / "a.html", audit, title="a", most_shown=-1)
    with pytest.raises(ValueError, match="limit must be an integer >= 1, got 0"):
        write_audit_report(tmp_path / "a.html", audit, title="a", limit=0)
    with pytest.raises(ValueError, match="html"):
        write_audit_report(tmp_path / "a.pdf", audit, title="a", most_shown=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not has_browser(), reason="no Chromium to drive")
@pytest.mark.parametrize("width", [1280, 390])
def test_findings_are_searched_marked_and_copied(page: Path, browser: Browser, audit: Audit, width: int) -> None:
    browser.resize(width)
    browser.open(page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    state = "return document.getElementById('state').textContent"
    assert browser.run(state) == "9 of 9 shown, 0 marked"
    assert browser.run("return document.getElementById('copy').disabled")
    search = "find.value = arguments[0]; find.dispatchEvent(new Event('input'))"
    browser.run(search, "LOOKS vertical")
    assert browser.run(state) == "2 of 9 shown, 0 marked"
    shown = "return [...document.querySelectorAll('section:not([hidden])')].map(each => each.id)"
    assert browser.run(shown) == ["label"]
    browser.click("#mark")
    assert browser.run(state) == "2 of 9 shown, 2 marked"
    browser.run(search, "")
    # What is marked stays so when other findings are shown, and the boxes answer to the keyboard.
    browser.click("#leak .mark")
    assert browser.run(state) == "9 of 9 shown, 3 marked"
    assert browser.run("return document.activeElement.matches('#leak .mark')")
    browser.click("#copy")
    rows = list(csv.reader(io.StringIO(browser.run("return document.getElementById('copied').value"))))
    assert rows[0] == list(COLUMNS)
    wanted = [finding for finding in audit.findings if finding.kind in ("leak", "label")]
    assert [row[0] for row in rows[1:]] == [finding.paths[0] for finding in wanted]
    # Pictures are as large as they can be seen, and the list of a kind is open to a search.
    sizes = browser.run("return [...document.querySelectorAll('article img')].map(each => each.width)")
    assert min(sizes) >= 96
    assert browser.run("return document.querySelector('.tools').getBoundingClientRect().top") >= 0
