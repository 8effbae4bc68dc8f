"""``cvbow detect``: what it prints, the JSON documents, the files and the page, and mistakes as one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from headless_browser import Browser, has_browser
from marked_images import BAR, SQUARE, write_marked

from cvbow import ObjectDetector, Objects, evaluate_detections, read_image, read_objects
from cvbow.annotations import ObjectList
from cvbow.report.detection import write_detection_report
from cvbow_cli.main import cli


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, their boxes and a detector."""
    folder = tmp_path_factory.mktemp("detect")
    marked = read_objects(write_marked(folder / "images", 6))
    detector = ObjectDetector(n_cells=16, n_words=16, n_levels=2, n_rounds=1).fit(marked.paths, marked.objects)
    detector.save(folder / "model.cvbow")
    return folder


def test_train_and_info(tmp_path: Path) -> None:
    source = write_marked(tmp_path / "images", 3)
    with source.open("a") as file:
        file.write("missing.png,square,1,1,9,9\n")
    result = run("detect", "train", source, "-o", tmp_path / "m.cvbow", "--shapes", 1, "--max-side", 100, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["classes"] == [BAR, SQUARE]
    assert (document["n_images"], document["n_objects"]) == (3, 6)
    assert [Path(each["path"]).name for each in document["skipped"]] == ["missing.png"]
    shown = run("info", tmp_path / "m.cvbow")
    assert re.search(r"square +\d+ x \d+ cells", shown.stdout)
    assert re.search(r"n_objects +6", shown.stdout)
    again = run("detect", "train", source, "-o", source)
    assert again.exit_code == 2
    assert run("detect", "train", source, "-o", tmp_path / "n.cvbow", "--strict").exit_code == 1


def test_run(folder: Path, tmp_path: Path) -> None:
    model, image = folder / "model.cvbow", folder / "images" / "00.png"
    result = run("detect", "run", model, image, "--json")
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)
    assert row["path"] == str(image)
    assert list(row["objects"][0]) == ["class", "score", "xmin", "ymin", "xmax", "ymax"]
    assert {each["class"] for each in row["objects"]} == {BAR, SQUARE}
    printed = run("detect", "run", model, image, folder / "images" / "04.png", "-o", tmp_path / "found.png")
    assert re.search(r"00\.png\tsquare [01]\.\d+\t\d+ \d+ \d+ \d+\n", printed.stdout)
    assert read_image(tmp_path / "found.png").shape[0] > 2 * 96
    none = run("detect", "run", model, image, "--score", 1)
    assert none.stdout == f"{image}\tnothing\n"
    pictures = run("detect", "run", model, folder / "images", "--pictures", tmp_path / "all")
    assert pictures.exit_code == 0
    assert len(list((tmp_path / "all").glob("*.png"))) == 6


@pytest.mark.parametrize("name", ["boxes.csv", "boxes.json"])
def test_boxes_are_written_and_read_again(folder: Path, tmp_path: Path, name: str) -> None:
    result = run("detect", "run", folder / "model.cvbow", folder / "images" / "00.png", "-o", tmp_path / name)
    assert result.exit_code == 0
    found = read_objects(tmp_path / name)
    assert [path.name for path in found.paths] == ["00.png"]
    assert {BAR, SQUARE} == set(found.classes)
    assert found.objects[0].scores.max() > 0.5


def test_files_of_voc_and_yolo(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "images", tmp_path / "images")
    words = ["detect", "run", folder / "model.cvbow", tmp_path / "images"]
    words += ["--voc", tmp_path / "Annotations", "--yolo", tmp_path / "labels"]
    done = run(*words, "-o", tmp_path / "boxes.csv")
    assert done.exit_code == 0, done.output
    csv, yolo = read_objects(tmp_path / "boxes.csv"), read_objects(tmp_path)
    voc = read_objects(tmp_path / "Annotations")
    assert csv.n_objects > 0
    for other in (yolo, voc):
        assert [path.name for path in other.paths] == [path.name for path in csv.paths]
        for ours, theirs in zip(csv.objects, other.objects, strict=True):
            np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1e-3)
            assert theirs.classes.tolist() == ours.classes.tolist()
    again = run(*words)
    assert again.exit_code == 2
    assert "0.txt is there" in again.output or "--force replaces it" in again.output
    (tmp_path / "images" / "more").mkdir()
    first = next(path for path in (tmp_path / "images").iterdir() if path.is_file())
    shutil.copy(first, tmp_path / "images" / "more")
    assert "two of these have one name" in run(*words).output


def test_an_image_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    result = run("detect", "run", folder / "model.cvbow", tmp_path / "bad.png", folder / "images" / "00.png", "--json")
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    assert list(rows[0]) == ["path", "error"]
    assert rows[1]["objects"]


def test_evaluate(folder: Path, tmp_path: Path) -> None:
    model, source, page = folder / "model.cvbow", folder / "images" / "boxes.csv", tmp_path / "page.html"
    result = run("detect", "evaluate", model, source, "--json", "--report", page)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["ap50"] > 0.9
    assert document["ap"] <= document["ap50"]
    assert set(document["per_class"]) == {BAR, SQUARE}
    assert document["skipped"] == []
    text = page.read_text()
    for wanted in ("AP at 0.5", "Recall against false alarms", "the most mistakes first", "00.png"):
        assert wanted in text
    assert run("detect", "evaluate", model, source).stdout.count("square") == 1
    strange = tmp_path / "strange.csv"
    strange.write_text(f"image,class,xmin,ymin,xmax,ymax\n{folder / 'images' / '00.png'},dog,1,1,9,9\n")
    other = run("detect", "evaluate", model, strange)
    assert "the detector does not know dog" in other.stderr
    assert re.search(r"dog +1 +0\.000", other.stdout)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("image,class,xmin,ymin,xmax,ymax\n", "no images are listed"),
        ("image,class,xmin,ymin,xmax,ymax\n00.png,,,,,\n", "no object is marked on any of the 1 images"),
        ("image,class,xmin,ymin,xmax,ymax\n00.png,a,900,900,910,910\n", "boxes must lie on the image"),
        ("image,class,xmin,ymin,xmax,ymax\n00.png,a,5,5,5,9\n", "xmax must be above xmin"),
    ],
)
def test_mistakes_are_one_line(folder: Path, tmp_path: Path, content: str, message: str) -> None:
    source = folder / "images" / "wrong.csv"
    source.write_text(content)
    result = run("detect", "train", source, "-o", tmp_path / "m.cvbow", "--quiet")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "m.cvbow").exists()


def test_another_kind_of_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.cvbow").write_bytes(b"PK")
    assert run("detect", "run", tmp_path / "other.cvbow", folder / "images" / "00.png").exit_code == 1
    assert (
        "is a detector of objects: cvbow detect run takes it" in run("evaluate", folder / "model.cvbow", folder).stderr
    )
    kept = tmp_path / "mine.png"
    kept.write_bytes(b"mine")
    refused = run("detect", "run", folder / "model.cvbow", folder / "images" / "00.png", "-o", kept)
    assert refused.exit_code == 2
    assert kept.read_bytes() == b"mine"


def test_a_page_of_nothing(tmp_path: Path) -> None:
    truth = ObjectList((tmp_path / "gone.png",), (Objects.of(),))
    report = evaluate_detections(truth, [Objects.of()])
    write_detection_report(tmp_path / "page.html", report, truth, [Objects.of()], title="<nothing>")
    text = (tmp_path / "page.html").read_text()
    assert "&lt;nothing&gt;" in text
    assert "None of the images can be read any more" in text
    with pytest.raises(ValueError, match="for each of the 1 images"):
        write_detection_report(tmp_path / "page.html", report, truth, [], title="")


@pytest.mark.skipif(not has_browser(), reason="needs chromium and its driver")
def test_the_page_fits_a_phone(folder: Path, tmp_path: Path) -> None:
    truth = read_objects(folder / "images" / "boxes.csv")
    found = [each.take(np.arange(len(each)) > 0) for each in truth.objects]
    report = evaluate_detections(truth, found)
    write_detection_report(tmp_path / "page.html", report, truth, found, title="a model on " + "boxes" * 9)
    with Browser(width=390) as browser:
        browser.open(tmp_path / "page.html")
        assert browser.run("return document.documentElement.scrollWidth") <= 390
        assert browser.run("return document.querySelectorAll('#images figure img').length") == 6
        captions = browser.run(
            "return [...document.querySelectorAll('#images figcaption')].map((each) => each.textContent)"
        )
        assert "1 missed" in captions[0]
        assert not [text for text in captions if "false alarm" in text or " 0 " in text]
        # Every column is seen without scrolling.
        box, table = browser.run(
            "return ['.scroll', 'table'].map((each) => document.querySelector('#classes ' + each).offsetWidth)"
        )
        assert table <= box
