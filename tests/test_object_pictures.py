"""Pictures of objects: boxes where they are, in the colour of their class, with a legend; whatever the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cvbow.annotations import Objects
from cvbow.images.palette import ORANGE, SKY
from cvbow.report import objects as pictures
from cvbow.report.objects import draw_objects, overlay_objects, write_objects_picture
from cvbow.storage import kind_of

GRAY = np.full((100, 200), 128, np.uint8)
DOG = Objects.of([[50, 20, 150, 80]], ["dog"])


def places(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what has a colour, right and bottom excluded."""
    y, x = np.nonzero((pixels == color).all(axis=2))
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def test_a_box_is_drawn_around_its_pixels() -> None:
    shown = overlay_objects(GRAY, DOG, box=(200, 100))
    assert shown.shape == (100, 200, 3)
    left, _, right, bottom = places(shown[21:], ORANGE)
    assert (left, right, bottom + 21) == pytest.approx((50, 150, 80), abs=2)
    assert (shown[40:60, 60:140] == 128).all(), "the object itself is not painted over"
    larger = overlay_objects(GRAY, DOG, box=(800, 400))
    assert places(larger[90:], ORANGE)[::2] == pytest.approx((200, 600), abs=3)


def test_a_class_has_the_same_colour_in_all_pictures() -> None:
    cat = Objects.of([[50, 20, 150, 80]], ["cat"])
    assert places(overlay_objects(GRAY, cat), ORANGE)
    assert places(overlay_objects(GRAY, cat, classes=["dog", "cat"]), SKY)
    assert not (overlay_objects(GRAY, cat, classes=["dog", "cat"]) == ORANGE).all(axis=2).any()


def test_boxes_outside_of_the_image_are_not_drawn_and_those_that_reach_out_are_cut() -> None:
    outside = Objects.of([[-20, -20, 0, 0], [300, 10, 320, 30], [5, 101, 9, 105]], "dog")
    assert (overlay_objects(GRAY, outside, box=(200, 100)) == 128).all()
    whole = Objects.of([[-1000, -1000, 1e7, 1e7]], "dog")
    left, top, right, bottom = places(overlay_objects(GRAY, whole, box=(200, 100)), ORANGE)
    assert max(left, top, 200 - right, 100 - bottom) <= 2


def test_labels_do_not_hide_each_other() -> None:
    twice = Objects.of([[50, 20, 150, 80]] * 2, ["dog", "cat"], [0.9, 0.8])
    both = overlay_objects(GRAY, twice, box=(200, 100))
    for color in (SKY, ORANGE):
        assert ((both == color).all(axis=2)).sum(axis=1).max() > 40, "the ground of a label"


def test_what_was_marked_is_shown_beside_what_was_found() -> None:
    truth = Objects.of([[10, 10, 40, 90]], ["dog"])
    shown = overlay_objects(GRAY, DOG, truth=truth, box=(200, 100))
    white = (shown > 220).all(axis=2).any(axis=0)  # OpenCV's thin lines are not wholly white
    assert np.flatnonzero(white)[[0, -1]] == pytest.approx([10, 39], abs=1)
    drawn = draw_objects(GRAY, DOG, truth=truth)
    assert drawn.shape[0] == draw_objects(GRAY, DOG).shape[0]
    assert (drawn != draw_objects(GRAY, DOG)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1, 3), (3, 2, 3)])
def test_images_of_any_size(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    objects = Objects.of([[0, 0, 1, 1], [0, 0, 300, 300]], ["a" * 500, "b"], [0.5, 2])
    drawn = draw_objects(image, objects, name="x" * 500)
    assert drawn.shape[1] <= pictures.BOX[0] + 32
    assert drawn.dtype == np.uint8
    assert not image.any()


def test_an_image_without_objects() -> None:
    drawn = draw_objects(GRAY, Objects.of(), name="1.jpg")
    assert (drawn[-60:-20, 20:-20] == 128).all()


def test_a_legend_of_many_classes_takes_several_rows() -> None:
    names = [f"a long name {number}" for number in range(30)]
    many = Objects.of([[0, 0, 9, 9]] * 30, names)
    assert len(draw_objects(GRAY, many)) > len(draw_objects(GRAY, DOG)) + 60


def test_pictures_in_a_file(tmp_path: Path) -> None:
    from cvbow import read_image

    parts = [draw_objects(GRAY, DOG), draw_objects(GRAY[:50, :30], DOG.take([])), draw_objects(GRAY[:90], DOG)]
    write_objects_picture(tmp_path / "a.png", parts)
    written = read_image(tmp_path / "a.png")
    (first, width), (second, beside), (below, last) = (part.shape[:2] for part in parts)
    assert width + beside + last > 2000
    assert written.shape == (max(first, second) + below, width + beside, 3)
    assert (written[:first, :width] == parts[0]).all()
    assert (written[:second, width:] == parts[1]).all()
    assert (written[max(first, second) :, :last] == parts[2]).all()
    assert kind_of(tmp_path / "a.png") == "picture"
