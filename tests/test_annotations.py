"""Objects on images: their formats there and back, what is refused, what boxes have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notes import Notes
from PIL import Image

from cvbow.annotations import ObjectList, Objects, iou, read_objects, suppress, write_objects, write_voc, write_yolo
from cvbow.errors import DatasetError, ImageError
from cvbow.progress import reporting
from cvbow.storage import kind_of

HEAD = "image,class,xmin,ymin,xmax,ymax"


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n" * bool(lines), encoding="utf-8")
    return path


def picture(path: Path, width: int, height: int, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("L", (width, height)).save(path, exif=exif)
    return path


def values(images: ObjectList) -> list[tuple[str, Any]]:
    return [
        (path.name, [(o["class"], o["score"], o["xmin"], o["ymin"], o["xmax"], o["ymax"]) for o in objects.as_json()])
        for path, objects in zip(images.paths, images.objects, strict=True)
    ]


# Objects


def test_objects_hold_what_they_are_given() -> None:
    objects = Objects.of([[1, 2, 3, 5], [0, 0, 1, 1]], ["b", "a10"], ignored=[True, False])
    assert objects.boxes.dtype == np.float64
    assert objects.scores.tolist() == [1, 1]
    assert objects.labels == ("a10", "b")
    assert objects.take([1]).as_json() == [{"class": "a10", "score": 1, "xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1}]
    assert objects.take(objects.ignored).classes.tolist() == ["b"]
    assert len(objects.take([])) == 0
    assert repr(objects) == "Objects(2 of a10, b)"
    none = Objects.of()
    assert (none.boxes.shape, none.classes.shape, none.labels, none.as_json()) == ((0, 4), (0,), (), [])
    assert len(none.within(1, 1)) == 0
    both = Objects.joined([objects, none, objects.take([1])])
    assert (both.classes.tolist(), both.ignored.tolist()) == (["b", "a10", "a10"], [True, False, False])
    assert len(Objects.joined([])) == 0
    assert Objects.of([[0, 0, 1, 1]] * 2, "dog").classes.tolist() == ["dog", "dog"]


def test_objects_do_not_share_the_memory_of_boxes() -> None:
    boxes = np.array([[0.0, 0, 1, 1]])
    objects = Objects.of(boxes, "a")
    boxes[:] = 7
    assert objects.boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 0, 0, 1]], "a"), r"xmin < xmax and ymin < ymax, got \(0, 0, 0, 1\)"),
        (([[0, 2, 1, 1]], "a"), "xmin < xmax and ymin < ymax"),
        (([[0, 0, np.nan, 1]], "a"), "must be finite"),
        (([[0, 0, np.inf, 1]], "a"), "must be finite"),
        (([[0, 0, 1]], "a"), r"boxes must have the shape \(n, 4\), got \(1, 3\)"),
        (([[0, 0, 1, 1]], ["a", "b"]), "classes must be one for each of the 1 boxes"),
        (([[0, 0, 1, 1]], ["a"], [1, 2]), "scores must be one for each"),
        (([[0, 0, 1, 1]], ["a"], [np.nan]), "scores must be finite"),
        (([[0, 0, 1, 1]], ["a"], [1], []), "ignored must be one for each"),
    ],
)
def test_objects_refuse(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objects.of(*arguments)


def test_boxes_are_cut_to_the_image_and_those_outside_are_named() -> None:
    objects = Objects.of([[-5, 2, 30, 8], [1, 1, 2, 2]], ["a", "b"], [0.5, 0.25])
    cut = objects.within(20, 6)
    assert cut.boxes.tolist() == [[0, 2, 20, 6], [1, 1, 2, 2]]
    assert cut.scores.tolist() == [0.5, 0.25]
    assert objects.boxes[0, 0] == -5
    with pytest.raises(ValueError, match=r"1 x 6 pixels, got a b at \(1, 1, 2, 2\)"):
        objects.within(1, 6)


def test_a_list_tells_its_classes_and_labels() -> None:
    a = Objects.of([[0, 0, 1, 1]] * 3, ["b10", "b2", "b2"])
    images = ObjectList((Path("1"), Path("2")), (a, Objects.of()))
    assert (images.classes, images.labels, images.n_objects, len(images)) == (("b2", "b10"), (("b2", "b10"), ()), 3, 2)
    assert repr(images) == "ObjectList(3 objects on 2 images, 2 classes)"
    with pytest.raises(ValueError, match="one length, got 1 and 2"):
        ObjectList((Path("1"),), (a, a))


# Boxes


def cells(box: list[int]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


@st.composite
def whole_boxes(draw: st.DrawFn) -> list[int]:
    x, y, w, h = (draw(st.integers(low, 6)) for low in (-3, -3, 1, 1))
    return [x, y, x + w, y + h]


@given(st.lists(whole_boxes(), max_size=4), st.lists(whole_boxes(), max_size=4))
def test_overlaps_are_those_of_counted_pixels(a: list[list[int]], b: list[list[int]]) -> None:
    found = iou(a, b)
    assert found.shape == (len(a), len(b))
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            common, whole = cells(one) & cells(other), cells(one) | cells(other)
            assert found[i, j] == pytest.approx(len(common) / len(whole))


def test_boxes_without_an_area_have_nothing_in_common() -> None:
    assert iou([[1, 1, 1, 1]], [[1, 1, 1, 1], [0, 0, 2, 2]]).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="second must have the shape"):
        iou([[0, 0, 1, 1]], [[0, 0, 1]])


@given(st.lists(st.tuples(whole_boxes(), st.integers(0, 3)), max_size=12), st.sampled_from([0, 0.2, 0.5, 1]))
def test_suppression_keeps_the_best_of_those_that_overlap(found: list[Any], overlap: float) -> None:
    boxes, scores = [box for box, _ in found], [score for _, score in found]
    chosen = suppress(boxes, scores, overlap).tolist()
    order = sorted(range(len(boxes)), key=lambda row: (-scores[row], row))
    expected: list[int] = []
    for row in order:
        if all(iou([boxes[row]], [boxes[other]])[0, 0] <= overlap for other in expected):
            expected.append(row)
    assert chosen == expected


def test_suppression_refuses() -> None:
    with pytest.raises(ValueError, match="scores must be one for each of the 1 boxes"):
        suppress([[0, 0, 1, 1]], [], 0.5)
    with pytest.raises(ValueError, match="overlap must be a number >= 0 and <= 1, got 2"):
        suppress([[0, 0, 1, 1]], [1], 2)


# A CSV


def test_a_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "boxes.csv",
        "\ufeffymax, image ,class,xmin,ymin,xmax,score,who,ignored",
        "4.5,b/2.jpg,dog,1,2,3,0.5,x,1",
        "9,1.jpg,cat,0,0,9",
        ",3.jpg",
        "",
        "8,b/2.jpg,cat,0,0,8",
    )
    images = read_objects(path)
    assert images.paths == (tmp_path / "b" / "2.jpg", tmp_path / "1.jpg", tmp_path / "3.jpg")
    assert values(images) == [
        ("2.jpg", [("dog", 0.5, 1, 2, 3, 4.5), ("cat", 1, 0, 0, 8, 8)]),
        ("1.jpg", [("cat", 1, 0, 0, 9, 9)]),
        ("3.jpg", []),
    ]
    assert images.objects[0].ignored.tolist() == [True, False]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "the file is empty; expected the columns image,class,xmin,ymin,xmax,ymax"),
        ((HEAD,), "no images are listed below the header"),
        (("image,class,xmin,ymin,xmax",), "no column ymax; expected the columns .* found 'image,class,xmin,ymin,xmax'"),
        ((HEAD + ",ymax",), "the column ymax occurs 2 times"),
        ((HEAD, "a.jpg,dog,0,0,5,5", "a.jpg,dog,0,0,x,5"), "line 3: xmax must be a number, got 'x'"),
        ((HEAD, "a.jpg,dog,0,0,nan,5"), "line 2: xmax must be a number, got 'nan'"),
        ((HEAD, "a.jpg,dog,0,0,5"), "line 2: ymax must be a number, got ''"),
        ((HEAD, "a.jpg,dog,5,0,5,5"), "line 2: xmax must be above xmin, got 5 and 5"),
        ((HEAD, "a.jpg,dog,0,7,5,5"), "line 2: ymax must be above ymin, got 5 and 7"),
        ((HEAD, ",dog,0,0,5,5"), "line 2: the image is empty"),
        ((HEAD, "a.jpg,,0,0,5,5"), "line 2: the class is empty"),
        ((HEAD + ",score", "a.jpg,dog,0,0,5,5,high"), "line 2: score must be a number, got 'high'"),
        ((HEAD + ",ignored", "a.jpg,dog,0,0,5,5,yes"), "line 2: ignored must be 0 or 1, got 'yes'"),
    ],
)
def test_a_csv_that_is_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        read_objects(write(tmp_path / "boxes.csv", *lines))
    assert caught.value.path == str(tmp_path / "boxes.csv")


def test_what_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        read_objects(tmp_path / "none.csv")
    for path in (tmp_path, write(tmp_path / "boxes.txt")):
        with pytest.raises(DatasetError, match=r"expected a \.csv file with the columns .* or a folder"):
            read_objects(path)


# COCO


def coco(path: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "1.jpg"}, {"id": "x", "file_name": "2.jpg"}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 4, "name": "never"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4.5]},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 1, "score": 0.25},
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def mark(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], **changes}]


def test_coco(tmp_path: Path) -> None:
    images = read_objects(coco(tmp_path / "instances.json"))
    assert images.paths == (tmp_path / "1.jpg", tmp_path / "2.jpg")
    assert values(images) == [("1.jpg", [("dog", 1, 1, 2, 4, 6.5), ("dog", 0.25, 0, 0, 1, 1)]), ("2.jpg", [])]
    assert images.objects[0].ignored.tolist() == [False, True]
    assert images.classes == ("dog",)


@pytest.mark.parametrize("place", ["annotations/../val2017", "annotations/images", "annotations", "images", "."])
def test_coco_finds_its_images(tmp_path: Path, place: str) -> None:
    picture(tmp_path / place / "1.jpg", 4, 4)
    (found, _) = read_objects(coco(tmp_path / "annotations" / "instances_val2017.json")).paths
    assert found.is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "it has no list images; expected COCO's JSON"),
        ({"images": [], "annotations": []}, "no images are listed"),
        ({"annotations": [5]}, r"annotations\[0\] must be an object, got 5"),
        ({"annotations": mark(image_id=8)}, r"annotations\[0\] \(id 5\): there is no image with the id 8"),
        ({"annotations": mark(category_id=8)}, "there is no category with the id 8"),
        ({"annotations": mark(image_id=None)}, "image_id must be a number or a text, got None"),
        ({"annotations": mark(bbox=[1, 2, 3])}, "bbox must be x, y, width and height"),
        ({"annotations": mark(bbox=[1, 2, 0, 3])}, "width must be above 0, got 0"),
        ({"annotations": mark(bbox=[1, 2, 3, "a"])}, "height must be a number, got 'a'"),
        ({"annotations": mark(bbox=[1, 2, 3, 1e999])}, "height must be a number, got inf"),
        ({"annotations": mark(iscrowd=2)}, "iscrowd must be 0 or 1, got 2"),
        ({"categories": [{"id": 3}]}, r"categories\[0\]: name must be a text, got None"),
        ({"categories": [{"id": 3, "name": "a"}] * 2}, r"categories\[1\]: the id 3 occurs twice"),
        ({"images": [{"id": 7, "file_name": "a\0"}]}, "file_name must be a text"),
    ],
)
def test_coco_that_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_objects(coco(tmp_path / "a.json", **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "the file is empty"), ("{", "not JSON"), ("[" * 100_000, "not JSON"), ("[]", "it has no list images")],
)
def test_json_that_is_no_coco(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_objects(tmp_path / "a.json")


# There and back

TEXT = st.text("abc é,\"'|", min_size=1).map(str.strip).filter(bool)
SIDE = st.integers(-100, 1000).map(lambda value: value / 8)


@st.composite
def object_lists(draw: st.DrawFn) -> list[tuple[str, list[Any]]]:
    names = draw(st.lists(st.text("abc.- é", min_size=1).map(str.strip).filter(bool), unique=True, min_size=1))
    one = st.tuples(SIDE, SIDE, st.integers(1, 99), st.integers(1, 99), TEXT, st.sampled_from([1, 0.1]), st.booleans())
    return [(name, draw(st.lists(one, max_size=3))) for name in names]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_what_is_written_is_read_again(suffix: str, tmp_path: Path, quick: None) -> None:
    @given(object_lists())
    def check(given_: list[tuple[str, list[Any]]]) -> None:
        paths = tuple(tmp_path / f"{name}.jpg" for name, _ in given_)
        objects = tuple(
            Objects.of(
                [(x, y, x + w, y + h) for x, y, w, h, *_ in rows],
                [row[4] for row in rows],
                [row[5] for row in rows],
                [row[6] for row in rows],
            )
            for _, rows in given_
        )
        images = ObjectList(paths, objects)
        write_objects(tmp_path / f"a{suffix}", images)
        again = read_objects(tmp_path / f"a{suffix}")
        assert (again.paths, values(again)) == (paths, values(images))
        assert [o.ignored.tolist() for o in again.objects] == [o.ignored.tolist() for o in objects]

    check()


def test_what_coco_is_told_of_images(tmp_path: Path) -> None:
    turned = picture(tmp_path / "sub" / "1.jpg", 30, 20, orientation=6)
    elsewhere = tmp_path / "none.jpg"
    path = tmp_path / "sub" / "a.json"
    write_objects(path, ObjectList((turned, elsewhere), (Objects.of([[0, 0, 2, 3]], "dog"), Objects.of())))
    written = json.loads(path.read_text())
    assert written["images"] == [
        {"id": 1, "file_name": "1.jpg", "width": 20, "height": 30},
        {"id": 2, "file_name": elsewhere.as_posix()},
    ]
    assert written["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 3], "area": 6, "iscrowd": 0}
    ]
    assert written["categories"] == [{"id": 1, "name": "dog"}]
    assert kind_of(path) == "objects"
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json"):
        write_objects(tmp_path / "a.txt", ObjectList((), ()))


@pytest.mark.parametrize(("write", "place"), [(write_voc, "Annotations"), (write_yolo, "labels")])
def test_files_for_each_image_are_read_again(write: Any, place: str, tmp_path: Path, quick: None) -> None:
    for number in range(3):
        picture(tmp_path / "images" / f"{number}.jpg", 64, 32)

    @settings(max_examples=20)
    @given(object_lists())
    def check(given_: list[tuple[str, list[Any]]]) -> None:
        paths = tuple(tmp_path / "images" / f"{number}.jpg" for number in range(3))
        names = [f"n{place}" for place in range(7)]
        objects = tuple(
            Objects.of(
                [(x, y, x + w, y + h) for x, y, w, h, *_ in rows],
                [names[len(row[4]) % 7] for row in rows],
                [row[5] for row in rows] if write is write_yolo else None,
                [row[6] for row in rows] if write is write_voc else None,
            )
            for _, rows in [*given_, *[("", [])] * 3][:3]
        )
        images = ObjectList(paths, objects)
        write(tmp_path / place, images)
        again = read_objects(tmp_path)
        assert again.paths == paths
        for ours, theirs in zip(objects, again.objects, strict=True):
            np.testing.assert_allclose(theirs.boxes, ours.boxes, rtol=1e-9, atol=1e-6)
            assert theirs.classes.tolist() == ours.classes.tolist()
            np.testing.assert_array_equal(theirs.scores, ours.scores)
            np.testing.assert_array_equal(theirs.ignored, ours.ignored)

    check()
    kinds = {kind_of(path) for path in (tmp_path / place).glob("[0-9].*")}
    assert kinds == ({"objects"} if write is write_voc else {None})


def test_files_for_each_image_that_cannot_be_named(tmp_path: Path) -> None:
    twice = ObjectList((tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.png"), (Objects.of(), Objects.of()))
    lines = ObjectList((picture(tmp_path / "1.jpg", 9, 9),), (Objects.of([[0, 0, 2, 3]], "a\nb"),))
    for write in (write_voc, write_yolo):
        with pytest.raises(ValueError, match="two are called '1'"):
            write(tmp_path / "out", twice)
        with pytest.raises(ValueError, match="one line of text"):
            write(tmp_path / "out", lines)
    with pytest.raises(ImageError, match="its size cannot be read"):
        write_yolo(tmp_path / "out", ObjectList((tmp_path / "gone.jpg",), (Objects.of([[0, 0, 2, 3]], "a"),)))
    with pytest.raises(ValueError, match="must not be called classes"):
        write_yolo(tmp_path / "out", ObjectList((tmp_path / "classes.jpg",), (Objects.of(),)))
    assert not (tmp_path / "out").exists()


# VOC


def voc(*objects: str, filename: str = "1.jpg") -> str:
    return f"<annotation><filename>{filename}</filename>{''.join(objects)}</annotation>"


def voc_object(box: str = "1 2 30 40", name: str = "dog", more: str = "") -> str:
    sides = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=True))
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object>{part}<name>{name}</name><bndbox>{sides}</bndbox>{more}</object>"


@pytest.mark.parametrize("place", ["Annotations", "JPEGImages", "images", "."])
def test_voc(tmp_path: Path, place: str) -> None:
    picture(tmp_path / place / "1.jpg", 50, 50)
    picture(tmp_path / place / "10.PNG", 50, 50)
    folder = tmp_path / "Annotations"
    difficult = voc_object("5.5 6 7 8", "cat", "<difficult>1</difficult>")
    write(folder / "2.xml", voc(voc_object(), difficult, filename=r"C:\photos\1.jpg"))
    write(folder / "10.xml", voc(filename="other.jpg"))
    write(folder / "11.xml", voc(filename="gone.jpg"))
    for source in (folder, tmp_path):
        images = read_objects(source)
        assert values(images) == [
            ("1.jpg", [("dog", 1, 0, 1, 30, 40), ("cat", 1, 4.5, 5, 7, 8)]),
            ("10.PNG", []),
            ("gone.jpg", []),
        ]
        assert [path.is_file() for path in images.paths] == [True, True, False]
        assert images.objects[0].ignored.tolist() == [False, True]


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation><filename>&b;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("<annotation>", "the file is not XML"),
        ("\0\1", "the file is not XML"),
        ("<html/>", "expected the element annotation, found 'html'"),
        (LAUGHS, "a DOCTYPE is not allowed"),
        (voc(voc_object("1 2 x 40")), "object 1: xmax must be a number, got 'x'"),
        (voc(voc_object(), voc_object("9 2 8 40")), "object 2: xmax must be above xmin, got 8 and 8"),
        (voc(voc_object(name="")), "object 1: it has no name"),
        (voc("<object><name>a</name></object>"), "object 1: it has no bndbox"),
        (voc(voc_object(more="<difficult>2</difficult>")), "difficult must be 0 or 1, got '2'"),
    ],
)
def test_voc_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "1.xml").write_text(text)
    with pytest.raises(DatasetError, match=message) as caught:
        read_objects(tmp_path)
    assert caught.value.path == str(tmp_path / "1.xml")


def test_a_doctype_is_refused_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_bytes(f'<?xml version="1.0" encoding="utf-16"?>{LAUGHS}'.encode("utf-16"))
    with pytest.raises(DatasetError, match="a DOCTYPE is not allowed"):
        read_objects(tmp_path)


# YOLO


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("classes.txt", ["dog", "black cat"]),
        ("labels/classes.txt", ["dog", "black cat"]),
        ("data.yaml", ["train: ../images", "nc: 2", "names: ['dog', \"black cat\"]  # two", "more: [x]"]),
        ("data.yaml", ["names:", "- dog", "- black cat", "", "train: x"]),
        ("../data.yaml", ["names:", "  1: 'black cat'", "  0: dog", "path: x"]),
        ("data.yaml", ["names: {0: dog, 1: black cat}"]),
        ("data.yaml", ["names: [", "  dog,", "  black cat,", "]"]),
    ],
)
def test_yolo(tmp_path: Path, name: str, lines: list[str]) -> None:
    folder = tmp_path / "set"
    picture(folder / "images" / "sub" / "1.jpg", 100, 50, orientation=8)
    picture(folder / "images" / "2.png", 100, 50)
    write(folder / "labels" / "sub" / "1.txt", "1 0.5 0.5 0.5 0.5", "", "0 0.125 0.25 0.25 0.5 0.75")
    write(folder / name, *lines)
    assert values(read_objects(folder)) == [
        ("2.png", []),
        ("1.jpg", [("black cat", 1, 12.5, 25, 37.5, 75), ("dog", 0.75, 0, 0, 12.5, 50)]),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "line 1: expected CLASS X Y WIDTH HEIGHT"),
        ("2 0.5 0.5 0.5 0.5", "the class must be a number below 2, got '2'"),
        ("-1 0.5 0.5 0.5 0.5", "the class must be a number below 2, got '-1'"),
        ("0 0.5 0.5 0 0.5", "the width must be above 0, got 0"),
        ("0 0.5 0.5 0.1 inf", "height must be a number, got 'inf'"),
    ],
)
def test_yolo_that_is_refused(tmp_path: Path, line: str, message: str) -> None:
    picture(tmp_path / "images" / "1.png", 100, 50)
    write(tmp_path / "classes.txt", "dog", "cat")
    write(tmp_path / "labels" / "1.txt", line)
    with pytest.raises(DatasetError, match=message) as caught:
        read_objects(tmp_path)
    assert caught.value.path == str(tmp_path / "labels" / "1.txt")


def test_yolo_without_names_or_images(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1.png", 100, 50)
    labels = write(tmp_path / "labels" / "other.txt", "0 0.5 0.5 0.5 0.5")
    with pytest.raises(DatasetError, match=r"classes\.txt or data\.yaml, found neither"):
        read_objects(tmp_path)
    write(tmp_path / "data.yaml", "names: {0: dog, 2: cat}")
    with pytest.raises(DatasetError, match="expected the names of the classes, found none"):
        read_objects(tmp_path)
    write(tmp_path / "classes.txt", "dog")
    with pytest.raises(DatasetError, match="there is no image for it") as caught:
        read_objects(tmp_path)
    assert caught.value.path == str(labels)


def test_yolo_notes_images_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "images" / "1.png", "no image")
    write(tmp_path / "labels" / "1.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "classes.txt", "dog")
    notes = Notes()
    with reporting(notes):
        assert values(read_objects(tmp_path)) == [("1.png", [])]
    assert notes.lines == [f"1 image of {tmp_path} cannot be read, and its objects are left out"]


def test_the_boxes_of_real_sets(shared_data: Path) -> None:
    for name, n_images, n_objects in (("kangaroo", 110, 171), ("bccd", 243, 3258)):
        images = read_objects(shared_data / name / "train" / "boxes.csv")
        assert (len(images), images.n_objects) == (n_images, n_objects)
        assert all(path.is_file() for path in images.paths)
