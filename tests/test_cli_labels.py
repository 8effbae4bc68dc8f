"""Several labels an image, from a file to a page: lists in CSV, marked objects, and each command that knows a model."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from test_multi_label import NAMES, pictures, stripes

from cvbow import ImageClassifier, ImageList, LabelsReport, list_images, storage
from cvbow.annotations import has_objects
from cvbow.backends import ColorHistogram
from cvbow.errors import DatasetError
from cvbow.explanation import word_gallery
from cvbow.presets import make_model, next_step
from cvbow.report import write_labels_report
from cvbow_cli.main import cli

SMALL = ["--preset", "bow", "--set", "features=color-statistics", "--set", "n_words=20", "--set", "reduce=none"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a list of their labels, 36 of them to learn from, and a model of it."""
    root = tmp_path_factory.mktemp("labels")
    images, labels = pictures(60)
    rows = ["path,labels,split"]
    for number, (image, names) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(root / f"{number}.png")
        rows.append(f"{number}.png,{'|'.join(names)},{'train' if number < 48 else 'test'}")
    (root / "labels.csv").write_text("\n".join(rows))
    ImageClassifier(ColorHistogram(), n_kept=5).fit(images[:48], labels[:48]).save(root / "model.cvbow")
    return root


def manifest(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text)
    return path


def test_a_list_of_labels(tmp_path: Path) -> None:
    found = list_images(manifest(tmp_path, "labels,path\n b | a10|a2|b,1.jpg\n,2.jpg\na2,3.jpg\n"), several=True)
    assert found.labels == (("a2", "a10", "b"), (), ("a2",))
    assert found.multilabel
    assert found.classes == ("a2", "a10", "b")
    assert found.counts == {"a2": 2, "a10": 1, "b": 1}
    assert repr(found) == "ImageList(3 images, 3 classes, ignored=0)"
    one = list_images(manifest(tmp_path, "path,label,labels\n1.jpg,a|b,c\n"))
    assert one.labels == ("a|b",)  # what has a label has one
    assert not one.multilabel
    assert not ImageList((), (), ()).multilabel


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,labels\n1.jpg,a||b\n", r"line 2: one of the labels in 'a\|\|b' is empty"),
        ("path,labels\n,a\n", "line 2: the path is empty"),
        ("path,labels,labels\n1.jpg,a,b\n", "the column labels occurs 2 times"),
        ("labels\na\n", "no column path; expected"),
        ("path,labels\n1.jpg,a|b\n1.jpg,a\n", r"1.jpg is listed as a\|b and as a"),
        ("path,labels\n", "no images are listed"),
    ],
)
def test_lists_of_labels_with_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        list_images(manifest(tmp_path, text), several=True)


def test_the_same_image_may_be_listed_twice_with_the_same_labels(tmp_path: Path) -> None:
    assert len(list_images(manifest(tmp_path, "path,labels\n1.jpg,a|b\n1.jpg,b|a\n"), several=True)) == 2


def test_where_an_image_has_one_label_a_list_of_several_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="its column labels gives images several labels"):
        list_images(folder / "labels.csv")
    for command in ("stats", "augment"):
        result = run(command, folder / "labels.csv", "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert "gives images several labels" in result.stderr


def test_from_a_list_to_answers(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.cvbow"
    result = run("train", folder / "labels.csv", "-o", model, *SMALL, "--n-jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["n_images"] == 48
    assert document["classes"] == NAMES
    assert document["multilabel"] is True
    told = run("train", folder / "labels.csv", "-o", model, *SMALL, "--n-jobs", 1)
    assert "labels      3: blue, green, red" in told.stdout
    assert "multilabel  " in run("info", model).stdout
    assert json.loads(run("info", model, "--json").stdout)["multilabel"] is True


def test_predictions(folder: Path) -> None:
    images = [folder / f"{number}.png" for number in range(48, 60)]
    rows = json.loads(run("predict", folder / "model.cvbow", *images, "--json").stdout)
    model = ImageClassifier.load(folder / "model.cvbow")
    assert [row["labels"] for row in rows] == model.answer(list(map(str, images))).labels
    assert all(set(row["scores"]) == set(NAMES) for row in rows)
    lines = run("predict", folder / "model.cvbow", *images).stdout.splitlines()
    for row, line in zip(rows, lines, strict=True):
        assert sorted(line.split("\t")[1].split()[::2]) == (row["labels"] or ["no"])
    top = run("predict", folder / "model.cvbow", *images, "--top", 2).stdout.splitlines()
    assert all(len(line.split("\t")[1].split()) == 4 for line in top)


def test_an_image_without_a_label(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(stripes([], np.random.default_rng(1))).save(tmp_path / "none.png")
    assert run("predict", folder / "model.cvbow", tmp_path / "none.png").stdout.endswith("\tno label\n")


class Page(HTMLParser):
    """What a page links to, and what there is to be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors.add(str(found.get("id")))
        if tag == "a":
            self.links.add(str(found["href"]).removeprefix("#"))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.words))


def test_an_evaluation_and_its_page(folder: Path, tmp_path: Path) -> None:
    # Labels of which some are wrong, and one that the model does not know.
    rows = (folder / "labels.csv").read_text().splitlines()
    wrong = [row.replace(",red", ",<i>sky</i>|green", 1) if ",red" in row else row for row in rows]
    listed = folder / "wrong.csv"
    listed.write_text("\n".join(wrong))
    result = run("evaluate", folder / "model.cvbow", listed, "--json", "--report", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["n_images"] == 12
    assert document["unknown_classes"] == ["<i>sky</i>"]
    assert 0 < document["mean_average_precision"] < 1
    assert set(document["per_class"]["red"]) == {
        *("n_images", "average_precision", "average_precision_2007", "precision", "recall", "f1"),
    }
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert "<i>sky" not in text
    assert page.links <= page.anchors
    assert any(anchor.startswith("why") for anchor in page.anchors)
    assert "Images, the worst first" in page.text
    assert "missed <i>sky</i>" in page.text
    told = run("evaluate", folder / "model.cvbow", listed)
    assert "mean average precision" in told.stdout
    assert "unknown labels" in told.stdout


def test_a_page_without_mistakes_and_with_files_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name in NAMES:
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(stripes([name], rng)).save(tmp_path / "data" / name / "1.png")
    (tmp_path / "data" / "red" / "2.png").write_text("no image")
    result = run("evaluate", folder / "model.cvbow", tmp_path / "data", "--report", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    page = Page((tmp_path / "page.html").read_text())
    assert "All labels of all images are right." in page.text
    assert "red/2.png" in page.text.replace(" ", "")
    assert "all labels right        1.0000" in result.stdout


def test_the_worst_images_come_first(folder: Path, tmp_path: Path) -> None:
    model = ImageClassifier.load(folder / "model.cvbow")
    images = [folder / f"{number}.png" for number in range(4)]
    given = model.answer(images).labels
    # Of the images as they are answered, the third has all labels wrong, the second one of them.
    labels: list[list[str]] = [list(names) for names in given]
    labels[2] = [name for name in NAMES if name not in given[2]]
    labels[1] = [name for name in NAMES if (name in given[1]) != (name == "red")]
    report, answers = model.evaluate(images, labels)
    assert isinstance(report, LabelsReport)
    assert int((report.misses + report.false_alarms).sum()) == 4
    write = {"model": model, "report": report, "answers": answers, "paths": images, "title": "t"}
    write_labels_report(tmp_path / "page.html", labels=labels, **write)
    page = (tmp_path / "page.html").read_text()
    worst = page[page.index('id="images"') : page.index('id="calibration"')]
    assert worst.index(">2.png") < worst.index(">1.png")
    assert ">0.png" not in worst
    with pytest.raises(ValueError, match="report must be of these answers and labels"):
        write_labels_report(tmp_path / "page.html", labels=given, **write)
    with pytest.raises(ValueError, match="labels must be as many as paths, got 3 and 4"):
        write_labels_report(tmp_path / "page.html", labels=labels[:3], **write)


def test_explanations(folder: Path, tmp_path: Path) -> None:
    images = [folder / f"{number}.png" for number in range(48, 54)]
    model = ImageClassifier.load(folder / "model.cvbow")
    given = model.answer(list(map(str, images))).labels
    rows = json.loads(run("explain", folder / "model.cvbow", *images, "--json").stdout)
    wanted = [(str(path), name) for path, names in zip(images, given, strict=True) for name in names]
    found = [(row["path"], row["class"]) for row in rows]
    assert set(wanted) <= set(found)
    assert len(found) == sum(max(len(names), 1) for names in given)
    assert run("explain", folder / "model.cvbow", *images, "-o", tmp_path / "why.html").exit_code == 0
    assert "What classes are recognised by" in (tmp_path / "why.html").read_text()
    many = [folder / f"{number}.png" for number in range(12)]
    result = run("explain", folder / "model.cvbow", *many, "-o", tmp_path / "why.png")
    assert result.exit_code == 0
    assert "a picture has room for 12 explanations" in result.stderr


def marked(folder: Path, kind: str) -> Path:
    """Mark a box of each label on pictures, in one of the ways that objects are marked."""
    images, labels = pictures(24)
    places = [
        (f"{number}.png", [(name, 6 * NAMES.index(name)) for name in names]) for number, names in enumerate(labels)
    ]
    (folder / "JPEGImages").mkdir()
    for (name, _), image in zip(places, images, strict=True):
        Image.fromarray(image).save(folder / "JPEGImages" / name)
    if kind == "csv":
        rows = [[f"JPEGImages/{name}", label, 0, top, 18, top + 6] for name, boxes in places for label, top in boxes]
        rows += [[f"JPEGImages/{name}", "", "", "", "", ""] for name, boxes in places if not boxes]
        text = "\n".join(",".join(map(str, row)) for row in [["image", "class", "xmin", "ymin", "xmax", "ymax"], *rows])
        return manifest(folder, text)
    if kind == "coco":
        document: dict[str, Any] = {
            "images": [{"id": place, "file_name": f"JPEGImages/{name}"} for place, (name, _) in enumerate(places)],
            "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES)],
            "annotations": [
                {"id": 10 * place + top, "image_id": place, "category_id": top // 6, "bbox": [0, top, 18, 6]}
                for place, (_, boxes) in enumerate(places)
                for _, top in boxes
            ],
        }
        (folder / "coco.json").write_text(json.dumps(document))
        return folder / "coco.json"
    (folder / "Annotations").mkdir()
    for name, boxes in places:
        root = ElementTree.Element("annotation")
        ElementTree.SubElement(root, "filename").text = name
        for label, top in boxes:
            box = ElementTree.SubElement(root, "object")
            ElementTree.SubElement(box, "name").text = label
            sides = ElementTree.SubElement(box, "bndbox")
            for side, value in (("xmin", 1), ("ymin", top + 1), ("xmax", 18), ("ymax", top + 6)):
                ElementTree.SubElement(sides, side).text = str(value)
        ElementTree.ElementTree(root).write(folder / "Annotations" / f"{Path(name).stem}.xml")
    return folder


@pytest.mark.parametrize("kind", ["csv", "coco", "voc"])
def test_labels_of_marked_objects(kind: str, tmp_path: Path) -> None:
    source = marked(tmp_path, kind)
    assert has_objects(source)
    result = run("train", source, "-o", tmp_path / "model.cvbow", *SMALL, "--n-jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["classes"] == NAMES
    assert json.loads(result.stdout)["n_images"] == 24
    assert "objects are marked on 24 images" in result.stderr
    judged = run("evaluate", tmp_path / "model.cvbow", source, "--json")
    counts = [row["n_images"] for row in json.loads(judged.stdout)["per_class"].values()]
    assert counts == [sum(name in names for names in pictures(24)[1]) for name in NAMES]


def test_class_folders_stay_class_folders(tiny_dataset: Path, tmp_path: Path) -> None:
    (tiny_dataset / "project.xml").write_text("<project/>")
    assert not has_objects(tiny_dataset)
    assert not has_objects(manifest(tmp_path, "path,label\n1.jpg,a\n"))
    result = run("train", tiny_dataset, "-o", tmp_path / "model.cvbow", *SMALL, "--n-jobs", 1, "--json")
    assert "multilabel" not in json.loads(result.stdout)


def test_one_kind_of_object_is_no_two_labels(tmp_path: Path) -> None:
    Image.fromarray(stripes(["red"], np.random.default_rng(0))).save(tmp_path / "1.png")
    source = manifest(tmp_path, "image,class,xmin,ymin,xmax,ymax\n1.png,cell,0,0,4,4\n")
    result = run("train", source, "-o", tmp_path / "model.cvbow")
    assert result.exit_code == 1
    assert "the images have only the label 'cell': give classes in its place" in result.stderr


def test_what_to_try_next_counts_the_images_of_labels() -> None:
    images, labels = pictures(12)
    model = make_model("bow", settings={"features": "color-statistics", "n_words": 5, "reduce": None}).fit(
        images, labels
    )
    assert str(next_step(model, labels)).startswith("half of the classes have ")


def test_words_of_a_model_of_labels(folder: Path) -> None:
    images, labels = pictures(12)
    model = make_model("bow", settings={"features": "color-statistics", "n_words": 5, "reduce": None}).fit(
        images, labels
    )
    one = [stripes([name], np.random.default_rng(0)) for name in NAMES]
    gallery = word_gallery(model, one, NAMES)
    assert gallery.is_linear
    assert gallery.classes == NAMES


def test_a_model_file_from_before_loads_as_one_of_classes(folder: Path, tmp_path: Path) -> None:
    images, labels = pictures(20)
    model = ImageClassifier(ColorHistogram()).fit(images, [str(len(names) > 1) for names in labels])
    model.save(tmp_path / "model.cvbow")
    assert "multilabel" not in storage.inspect(tmp_path / "model.cvbow").metadata
    assert not ImageClassifier.load(tmp_path / "model.cvbow").multilabel


def test_each_label_has_a_place(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(stripes(["blue", "red"], np.random.default_rng(5))).save(tmp_path / "both.png")
    rows = json.loads(run("locate", folder / "model.cvbow", tmp_path / "both.png", "--json").stdout)
    boxes = {row["class"]: row["boxes"][0] for row in rows}
    assert set(boxes) == {"blue", "red"}
    assert boxes["blue"]["ymax"] <= boxes["red"]["ymin"]
