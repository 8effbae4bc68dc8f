"""Average precision as COCO has it: by hand, by properties, and as ``pycocotools`` computes it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbow import Objects, evaluate_detections
from cvbow.annotations import ObjectList
from cvbow.detection import match_objects


def listed(*objects: Objects) -> ObjectList:
    return ObjectList(tuple(Path(f"{place}.jpg") for place in range(len(objects))), objects)


def random_objects(seed: int, n_images: int) -> tuple[ObjectList, list[Objects]]:
    """Boxes among which many overlap, of three classes, some to ignore; the found ones with equal scores among them."""
    random = np.random.default_rng(seed)

    def some(most: int, *, found: bool) -> Objects:
        n = int(random.integers(0, most + 1))
        corners = random.integers(0, 30, (n, 2))
        boxes = np.concatenate([corners, corners + random.integers(5, 25, (n, 2))], axis=1)
        classes = random.choice(["a", "b", "c"], n)
        return Objects.of(
            boxes,
            classes,
            random.integers(1, 8, n) / 8 if found else None,
            None if found else random.random(n) < 0.15,
        )

    truth = listed(*(some(6, found=False) for _ in range(n_images)))
    return truth, [some(9, found=True) for _ in range(n_images)]


def test_by_hand() -> None:
    truth = listed(Objects.of([[0, 0, 10, 10], [20, 0, 30, 10]], "cell"), Objects.of())
    found = [
        Objects.of([[0, 0, 10, 10], [21, 0, 30, 10]], "cell", [0.9, 0.5]),
        Objects.of([[0, 0, 9, 9]], "cell", [0.7]),
    ]
    report = evaluate_detections(truth, found)
    # Precision 1 up to recall 0.5, then 2/3; a box 9 wide of 10 counts up to overlap 0.9.
    whole, half = (51 + 50 * 2 / 3) / 101, 51 / 101
    np.testing.assert_allclose(report.precisions, [[whole] * 9 + [half]])
    assert report.ap50 == pytest.approx(whole)
    assert report.scores.tolist() == [0.9, 0.7, 0.5]
    assert report.hits.tolist() == [True, False, True]
    assert (report.recall_at(0.0), report.recall_at(0.5)) == (0.5, 1.0)
    assert report.as_json()["per_class"]["cell"]["objects"] == 2


def test_nothing_marked_and_nothing_found() -> None:
    nothing = evaluate_detections(listed(Objects.of()), [Objects.of([[0, 0, 1, 1]], "cell")])
    assert np.isnan([nothing.ap50, nothing.ap, nothing.recall_at(1)]).all()
    assert nothing.as_json()["ap50"] is None
    missed = evaluate_detections(listed(Objects.of([[0, 0, 1, 1]], "cell")), [Objects.of()])
    assert (missed.ap50, missed.ap, missed.recall_at(1)) == (0, 0, 0)
    with pytest.raises(ValueError, match="for each of the 1 images, got 0"):
        evaluate_detections(listed(Objects.of()), [])


def test_what_is_to_ignore_is_neither_missed_nor_wrong() -> None:
    truth = listed(Objects.of([[0, 0, 100, 100], [200, 0, 210, 10]], "cell", ignored=[True, False]))
    found = [Objects.of([[5, 5, 15, 15], [50, 50, 60, 60], [200, 0, 210, 10]], "cell", [0.9, 0.8, 0.7])]
    report = evaluate_detections(truth, found)
    assert report.ap == pytest.approx(1)
    assert report.hits.tolist() == [True]
    assert report.n_objects.tolist() == [1]


@given(st.integers(0, 2**31))
def test_what_is_marked_is_found_by_itself(seed: int) -> None:
    truth, _ = random_objects(seed, 3)
    report = evaluate_detections(truth, truth.objects)
    np.testing.assert_allclose(report.precisions, 1)
    for marked in truth.objects:
        rows = match_objects(marked, marked)
        assert (rows >= 0).all()
        regular = rows[~marked.ignored[rows]]
        assert len(set(regular.tolist())) == len(regular)


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_as_pycocotools(seed: int) -> None:
    pytest.importorskip("pycocotools")
    truth, found = random_objects(seed, 5)
    report = evaluate_detections(truth, found)
    expected = coco_precisions(truth, found)
    for name, row in zip(report.classes, report.precisions, strict=True):
        np.testing.assert_allclose(row, expected[name], atol=1e-9)


def coco_precisions(truth: ObjectList, found: list[Objects]) -> dict[str, Any]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = ["a", "b", "c"]
    annotations, results = [], []
    for image, (marked, each) in enumerate(zip(truth.objects, found, strict=True), 1):
        for kind, objects, rows in (("gt", marked, annotations), ("dt", each, results)):
            for box, name, score, ignored in zip(
                objects.boxes, objects.classes, objects.scores, objects.ignored, strict=True
            ):
                sides = box[2:] - box[:2]
                row = {
                    "image_id": image,
                    "category_id": names.index(name) + 1,
                    "bbox": [*box[:2].tolist(), *sides.tolist()],
                    "area": float(sides.prod()),
                    "id": len(rows) + 1,
                }
                rows.append(row | ({"iscrowd": int(ignored)} if kind == "gt" else {"score": float(score)}))
    with contextlib.redirect_stdout(io.StringIO()):
        marks = COCO()
        marks.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(1, len(found) + 1)],
            "categories": [{"id": place + 1} for place in range(3)],
            "annotations": annotations,
        }
        marks.createIndex()
        answers = COCO()
        answers.dataset = {**marks.dataset, "annotations": [{**row, "iscrowd": 0} for row in results]}
        answers.createIndex()
        judge = COCOeval(marks, answers, "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2]
    return {name: precision[:, :, place].mean(axis=1) for place, name in enumerate(names)}
