"""The detector: it finds what it learned, is the same always, and what is odd has an answer or a clear error."""

from __future__ import annotations

import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
from marked_images import BAR, SQUARE, marked_images
from notes import Notes
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from cvbow import CvbowError, ImageError, ModelFileError, ObjectDetector, Objects, evaluate_detections, read_objects
from cvbow.annotations import ObjectList, iou
from cvbow.progress import reporting

SMALL = {"n_cells": 16, "n_words": 16, "n_levels": 2, "n_rounds": 1}
IMAGES, MARKED = marked_images(7)


@pytest.fixture(scope="module")
def detector() -> ObjectDetector:
    return ObjectDetector(**SMALL).fit(IMAGES, MARKED)


def test_it_finds_both_classes_where_they_are(detector: ObjectDetector) -> None:
    images, marked = marked_images(6, seed=5)
    truth = ObjectList(tuple(Path(str(place)) for place in range(6)), tuple(marked))
    found = detector.detect(images)
    report = evaluate_detections(truth, found)
    assert report.ap50 > 0.9
    for objects, image in zip(found, images, strict=True):
        assert (np.diff(objects.scores) <= 0).all()
        assert ((objects.scores >= 0) & (objects.scores <= 1)).all()
        assert (objects.boxes >= 0).all()
        assert (objects.boxes <= [*image.shape[1::-1]] * 2).all()
    assert detector.classes_.tolist() == [BAR, SQUARE]
    assert (detector.n_images_, detector.n_objects_) == (7, 12)
    assert {window.shape[0] < window.shape[1] for window in detector.windows_ if window.class_index == 0} == {True}


def test_the_same_for_any_number_of_workers_and_after_loading(detector: ObjectDetector, tmp_path: Path) -> None:
    path = tmp_path / "model.cvbow"
    digest = detector.save(path)
    again = ObjectDetector(**SMALL, n_jobs=2).fit(IMAGES, MARKED)
    assert again.save(tmp_path / "again.cvbow") == digest
    assert (tmp_path / "again.cvbow").read_bytes() == path.read_bytes()
    loaded = ObjectDetector.load(path, n_jobs=2)
    for one, other in zip(detector.detect(IMAGES), loaded.detect(IMAGES), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.classes.tolist() == other.classes.tolist()


def test_gray_images_and_files(detector: ObjectDetector, tmp_path: Path) -> None:
    gray = [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in IMAGES]
    found = ObjectDetector(**SMALL).fit(gray, MARKED).detect(gray[:1])[0]
    assert iou(found.boxes[:1], MARKED[0].boxes).max() > 0.5
    cv2.imwrite(str(tmp_path / "a.png"), IMAGES[0][..., ::-1])
    np.testing.assert_array_equal(detector.detect([tmp_path / "a.png"])[0].boxes, detector.detect(IMAGES[:1])[0].boxes)
    assert detector.detect([]) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 200), (9, 9, 3), (300, 10, 3)])
def test_images_that_hold_no_window(detector: ObjectDetector, shape: tuple[int, ...]) -> None:
    found = detector.detect([np.full(shape, 90, np.uint8)])[0]
    assert (found.boxes[:, 2:] <= shape[1::-1]).all()


def test_a_huge_image_takes_no_more_memory_than_it_should(detector: ObjectDetector) -> None:
    huge = np.zeros((6000, 8000, 3), np.uint8)
    huge[1000:3000, 2000:4000] = (200, 40, 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = detector.detect([huge])[0]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1_000_000  # kilobytes
    assert (found.boxes <= [8000, 6000] * 2).all()


def test_objects_at_the_image_s_edge_and_beyond(tmp_path: Path) -> None:
    reaching = [each.take(np.ones(len(each), bool)) for each in MARKED]
    first = MARKED[0].boxes.copy()
    first[0, 0] = -20
    reaching[0] = Objects.of(first, MARKED[0].classes)
    notes = Notes()
    with reporting(notes):
        detector = ObjectDetector(**SMALL).fit(IMAGES[:4], reaching[:4])
    assert "1 box cut at the border of the image" in notes.lines
    assert len(detector.detect(IMAGES[:1])[0])
    outside = [Objects.of([[500, 500, 510, 510]], SQUARE), *MARKED[1:]]
    with pytest.raises(ValueError, match=r"image 0: boxes must lie on the image, which has 128 x 96 pixels, got a squ"):
        ObjectDetector(**SMALL).fit(IMAGES, outside)


def test_what_cannot_be_learned_from(tmp_path: Path) -> None:
    detector = ObjectDetector(**SMALL)
    with pytest.raises(CvbowError, match="no object is marked on any of the 2 images"):
        detector.fit(IMAGES[:2], [Objects.of(), Objects.of([[0, 0, 9, 9]], "a", ignored=[True])])
    with pytest.raises(ValueError, match="objects must be as many as images, 2, got 1"):
        detector.fit(IMAGES[:2], MARKED[:1])
    with pytest.raises(ValueError, match="objects must be Objects, got list at position 0"):
        detector.fit(IMAGES[:1], [[]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="objects must be a sequence of Objects"):
        detector.fit(IMAGES[:1], MARKED[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one image"):
        detector.fit([], [])
    with pytest.raises(CvbowError, match="the image cannot be read"):
        detector.fit([tmp_path / "none.png"], MARKED[:1])
    with pytest.raises(NotFittedError):
        detector.detect(IMAGES)
    for name, value in {"n_shapes": 0, "n_cells": 1.5, "n_levels": 0, "max_side": 5, "n_words": "many"}.items():
        with pytest.raises(ValueError, match=name):
            ObjectDetector(**{name: value}).fit(IMAGES, MARKED)


def test_images_that_cannot_be_read_are_left_out(detector: ObjectDetector, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "empty.png").touch()
    bad = [tmp_path / "bad.png", tmp_path / "empty.png"]
    learned = ObjectDetector(**SMALL).fit([*bad, *IMAGES[:3]], [MARKED[0], MARKED[0], *MARKED[:3]])
    assert [error.path for error in learned.skipped_] == [str(path) for path in bad]
    assert learned.n_images_ == 3
    with pytest.raises(ImageError, match=r"bad\.png"):
        ObjectDetector(**SMALL).fit([*bad, *IMAGES], [MARKED[0], MARKED[0], *MARKED], strict=True)
    found = list(detector.stream([IMAGES[0], bad[1], IMAGES[1]]))
    assert isinstance(found[1], ImageError)
    assert isinstance(found[2], Objects)
    with pytest.raises(ImageError, match="the file is empty"):
        detector.detect(bad[1:])


def plain(value: int) -> NDArray[np.uint8]:
    return np.full((40, 60, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("images", "objects"),
    [
        ([plain(90)], [Objects.of([[0, 0, 60, 40]], "all")]),
        ([plain(90), plain(20)], [Objects.of([[3, 3, 4, 4]], "pixel"), Objects.of()]),
        ([plain(90)] * 3, [Objects.of([[0, 0, 60, 1]], "line")] * 3),
        ([np.zeros((1, 1), np.uint8)], [Objects.of([[0, 0, 1, 1]], "pixel")]),
        ([plain(1), plain(2)], [Objects.of([[1, 1, 30, 30]], "a"), Objects.of([[1, 1, 30, 30]], "b", ignored=[False])]),
    ],
    ids=["the whole image", "one pixel", "a line", "an image of one pixel", "one of each class"],
)
def test_hardly_anything_to_learn_from(images: list[NDArray[np.uint8]], objects: list[Objects], tmp_path: Path) -> None:
    detector = ObjectDetector(**SMALL).fit(images, objects)
    detector.save(tmp_path / "model.cvbow")
    for found, image in zip(ObjectDetector.load(tmp_path / "model.cvbow").detect(images), images, strict=True):
        assert (found.boxes[:, 2:] <= image.shape[1::-1]).all()


def test_what_is_to_ignore_is_no_negative(detector: ObjectDetector) -> None:
    """Half of the squares are to ignore: the other half is still found with certainty."""
    half = [
        Objects.of(each.boxes, each.classes, None, (each.classes == SQUARE) & (number % 2 == 1))
        for number, each in enumerate(MARKED)
    ]
    learned = ObjectDetector(**SMALL).fit(IMAGES, half)
    assert learned.n_objects_ == 9
    for found in learned.detect(IMAGES[:4]):
        assert found.scores[found.classes == SQUARE].max() > 0.5


def test_a_file_of_something_else(detector: ObjectDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "model.cvbow")
    content = (tmp_path / "model.cvbow").read_bytes()
    (tmp_path / "half.cvbow").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError):
        ObjectDetector.load(tmp_path / "half.cvbow")
    for change in ({"looks_": detector.looks_[:1]}, {"windows_": []}, {"n_images_": 0}):
        other = ObjectDetector(**SMALL)
        vars(other).update(vars(detector) | change)
        with pytest.raises(ValueError, match=next(iter(change))):
            other.save(tmp_path / "other.cvbow")


def test_kangaroos(shared_data: Path) -> None:
    """A few photographs: learned by heart, they are found."""
    marked = read_objects(shared_data / "kangaroo" / "train" / "boxes.csv")
    paths, objects = marked.paths[:5], marked.objects[:5]
    detector = ObjectDetector(n_words=32, n_levels=2, n_rounds=1, n_shapes=1, max_side=240).fit(paths, objects)
    report = evaluate_detections(ObjectList(paths, objects), detector.detect(paths))
    assert report.ap50 > 0.5
