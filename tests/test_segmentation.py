"""Segmentation: super-pixels, masks and their counts against plain computations, and a model from masks to masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_images import scene
from numpy.typing import NDArray
from PIL import Image

from cvbow import CvbowError, DatasetError, ImageError, ModelFileError, Segmenter, make_classifier, storage
from cvbow.segmentation import (
    Segmented,
    boundary_f,
    encode_mask,
    find_superpixels,
    make_scribbles,
    mask_color,
    pair_masks,
    read_mask,
)
from cvbow.segmentation._known import count_values
from cvbow.segmentation._smoothing import smooth
from cvbow.segmentation.measures import TOLERANCE, count_pixels, ious

UInt8 = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scenes() -> list[tuple[UInt8, UInt8]]:
    return [scene(seed) for seed in range(8)]


def small(**changes: Any) -> Segmenter:
    quick = make_classifier("boosted-trees", n_trees=30, learning_rate=0.2)
    return Segmenter(**({"classifier": quick, "n_words": 16, "n_directions": 8, "n_rounds": 2} | changes))


@pytest.fixture(scope="module")
def model(scenes: list[tuple[UInt8, UInt8]]) -> Segmenter:
    images, masks = zip(*scenes[:5], strict=True)
    return small().fit(images, masks, classes=["noise", "stripes"])


# Super-pixels


@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(4, 12), st.booleans())
def test_superpixels_cover_any_image(height: int, width: int, size: int, plain: bool) -> None:
    random = np.random.default_rng(height * 61 + width)
    image = np.full((height, width, 3), 7, np.uint8) if plain else random.integers(0, 256, (height, width, 3), np.uint8)
    found = find_superpixels(image, size)
    assert found.labels.shape == (height, width)
    np.testing.assert_array_equal(np.unique(found.labels), np.arange(found.n))
    assert found.area.sum() == height * width
    for label in range(found.n):
        y, x = np.nonzero(found.labels == label)
        np.testing.assert_allclose(found.centers[label], [x.mean(), y.mean()], rtol=1e-5)


def test_neighbours_and_their_common_borders() -> None:
    found = find_superpixels(scene(0)[0], 10)
    borders = np.zeros((found.n, found.n))
    for one, other in ((found.labels[:, :-1], found.labels[:, 1:]), (found.labels[:-1], found.labels[1:])):
        for a, b in zip(one.ravel(), other.ravel(), strict=True):
            if a != b:
                borders[a, b] += 1
                borders[b, a] += 1
    np.testing.assert_array_equal(found.borders.toarray(), borders)
    step = (borders > 0) | np.eye(found.n, dtype=bool)
    reached = np.linalg.matrix_power(step.astype(float), 3) > 0
    np.testing.assert_array_equal(found.neighbourhoods(3)[2].toarray() > 0, reached)
    values = np.random.default_rng(0).random((found.labels.size, 2), np.float32)
    sums = [values[found.labels.ravel() == label].sum(axis=0) for label in range(found.n)]
    np.testing.assert_allclose(found.sums(values), sums, rtol=1e-5)


def test_pixels_of_a_mask_are_counted_where_the_shrunk_image_has_them() -> None:
    labels = np.array([[0, 1], [2, 2]], np.int32)
    mask = np.zeros((4, 6), np.uint8)
    mask[0, 3:] = 9
    mask[3] = 255
    counts = count_values(labels, mask)
    assert counts.shape == (3, 256)
    assert counts.sum() == mask.size
    assert counts[0, 0] == 6
    assert (counts[1, 0], counts[1, 9]) == (3, 3)
    assert (counts[2, 0], counts[2, 255]) == (6, 6)


def test_smoothing_draws_a_lone_super_pixel_to_its_likes(model: Segmenter) -> None:
    described, _ = model.describer_.describe(np.full((60, 60, 3), 128, np.uint8))
    n = described.pixels.n
    probabilities = np.tile(np.array([0.9, 0.1], np.float32), (n, 1))
    probabilities[n // 2] = 0.4, 0.6
    assert smooth(described, probabilities, 0.0) is probabilities
    found = smooth(described, probabilities, 3.0)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert found[n // 2, 0] > 0.5


# Masks


def test_masks_are_written_and_read_as_they_are(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(8, 32)
    path = tmp_path / "mask.png"
    path.write_bytes(encode_mask(values))
    np.testing.assert_array_equal(read_mask(path), values)
    assert storage.kind_of(path) == "picture"
    with Image.open(path) as image:
        assert image.mode == "P"
        colors = np.asarray(image.convert("RGB"))
    assert [tuple(color.tolist()) for color in colors.reshape(-1, 3)] == [mask_color(value) for value in range(256)]
    assert len({mask_color(value) for value in range(256)}) > 250
    Image.fromarray(values).save(path)  # gray
    np.testing.assert_array_equal(read_mask(path), values)
    Image.fromarray(values > 100).save(path)  # of one bit
    np.testing.assert_array_equal(read_mask(path), values > 100)
    Image.fromarray(values.astype(np.uint16)).save(path)
    np.testing.assert_array_equal(read_mask(path), values)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.zeros((4, 4, 3), np.uint8), "gray or palette"),
        (np.full((4, 4), 300, np.uint16), "up to 300"),
        (b"no image", "not a mask"),
        (b"", "empty"),
    ],
)
def test_what_is_no_mask(tmp_path: Path, content: Any, said: str) -> None:
    path = tmp_path / "mask.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(content).save(path)
    with pytest.raises(ImageError, match=said):
        read_mask(path)


def test_arrays_that_are_no_masks() -> None:
    for array in (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2)), np.zeros((0, 2), np.uint8), np.full((2, 2), -1)):
        with pytest.raises(ValueError, match="a mask must"):
            read_mask(array)


def test_images_and_masks_belong_together_by_name(tmp_path: Path) -> None:
    for name in (
        "images/b/10.jpg",
        "images/b/2.jpg",
        "images/3.jpeg",
        "masks/b/2.png",
        "masks/b/10.png",
        "masks/4.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = pair_masks(tmp_path / "images", tmp_path / "masks")
    assert [path.stem for path in found.images] == [path.stem for path in found.masks] == ["2", "10"]
    assert [path.name for path in found.without_mask] == ["3.jpeg"]
    assert [path.name for path in found.without_image] == ["4.png"]
    (tmp_path / "images" / "3.png").touch()
    with pytest.raises(DatasetError, match="one name, '3'"):
        pair_masks(tmp_path / "images", tmp_path / "masks")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no images"):
        pair_masks(tmp_path / "empty", tmp_path / "masks")
    with pytest.raises(FileNotFoundError):
        pair_masks(tmp_path / "gone", tmp_path / "masks")
    with pytest.raises(DatasetError, match="no mask has the name"):
        pair_masks(tmp_path / "images" / "b", tmp_path / "masks")


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_scribbles_say_nothing_that_is_not_so(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = np.kron(random.choice([0, 1, 7, 255], (3, 4)), np.ones((12, 15))).astype(np.uint8)
    found = make_scribbles(mask, strokes=2, random_state=seed)
    known = found != 255
    np.testing.assert_array_equal(found[known], mask[known])
    assert set(np.unique(found)) - {255} == set(np.unique(mask)) - {255}
    np.testing.assert_array_equal(found, make_scribbles(mask, strokes=2, random_state=seed))


# Measures


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_measures_of_classes_against_a_plain_computation(seed: int, n_classes: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(-1, n_classes, (6, 7))
    found = random.integers(0, n_classes, (6, 7))
    confusion = count_pixels(truth, found, n_classes)
    for value, iou in enumerate(ious(confusion)):
        true, other = truth == value, (found == value) & (truth >= 0)
        union = (true | other).sum()
        assert iou == (None if not union else pytest.approx((true & other).sum() / union))


def test_borders() -> None:
    truth = np.zeros((200, 300), int)
    truth[50:150, 100:200] = 1
    reach = TOLERANCE * np.hypot(200, 300)
    for shift, expected in ((0, 1.0), (int(reach), 1.0), (int(reach) + 1, None)):
        figure = boundary_f(truth, np.roll(truth, shift, axis=1))
        assert figure == pytest.approx(expected) if expected else 0.4 < figure < 0.7, shift
    nothing = np.zeros_like(truth)
    assert boundary_f(nothing, nothing) == 1.0
    assert boundary_f(truth, nothing) == boundary_f(nothing, truth) == 0.0
    unknown = np.where(np.arange(300) > 60, -1, 0) + nothing
    assert boundary_f(unknown, truth) == 1.0, "what was found where nothing is known does not count"


# The model


def iou(found: UInt8, truth: UInt8) -> float:
    return float(((found > 0) & (truth > 0)).sum() / ((found > 0) | (truth > 0)).sum())


def test_a_model_finds_what_it_learned(model: Segmenter, scenes: list[tuple[UInt8, UInt8]]) -> None:
    images, masks = zip(*scenes[5:], strict=True)
    assert min(iou(model.predict(image), mask) for image, mask in zip(images, masks, strict=True)) > 0.65
    report = model.evaluate(images, masks)
    assert list(report.iou) == ["noise", "stripes"]
    assert report.confusion.sum() == sum(mask.size for mask in masks)
    found = model.predict(images[0])
    assert report.images[0]["pixel_accuracy"] == pytest.approx((found == masks[0]).mean())
    assert report.images[0]["iou"]["stripes"] == pytest.approx(iou(found, masks[0]))
    assert report.mean_iou == pytest.approx(np.mean([value for value in report.iou.values() if value is not None]))


def test_probabilities_and_uncertainty(model: Segmenter, scenes: list[tuple[UInt8, UInt8]]) -> None:
    found = model.segment(scenes[6][0])
    probabilities = model.predict_proba(scenes[6][0])
    assert probabilities.shape == (2, 72, 96)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-4)
    np.testing.assert_array_equal(found.mask(), (probabilities[1] * np.float32(model.factors_[1]) > probabilities[0]))
    entropy = -(probabilities * np.log2(np.maximum(probabilities, 1e-12))).sum(axis=0)
    np.testing.assert_allclose(found.uncertainty(), np.clip(entropy, 0, 1), atol=1e-4)


@pytest.mark.parametrize("size", [(9, 13), (4, 4), (3, 40), (1, 1)])
def test_planes_are_enlarged_as_opencv_does(size: tuple[int, int]) -> None:
    planes = np.random.default_rng(0).random((2, 4, 5), np.float32)
    found = Segmented(planes, size, np.array([0, 1]), np.ones(2)).probabilities()
    if size >= (4, 5):
        enlarged = [cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes]
        np.testing.assert_allclose(found, enlarged, atol=1e-5)
    assert found.shape == (2, *size)
    assert planes.min() <= found.min() <= found.max() <= planes.max()


def test_the_same_for_any_number_of_workers(
    scenes: list[tuple[UInt8, UInt8]], model: Segmenter, tmp_path: Path
) -> None:
    images, masks = zip(*scenes[:5], strict=True)
    again = small(n_jobs=3).fit(images, masks, classes=["noise", "stripes"])
    assert again.save(tmp_path / "again.cvbow") == model.save(tmp_path / "model.cvbow")
    assert (tmp_path / "again.cvbow").read_bytes() == (tmp_path / "model.cvbow").read_bytes()
    loaded = Segmenter.load(tmp_path / "model.cvbow", n_jobs=2)
    for image, found in zip(images, loaded.segment_images(list(images)), strict=True):
        assert isinstance(found, Segmented)
        np.testing.assert_array_equal(found.mask(), model.predict(image))
    metadata = storage.inspect(tmp_path / "model.cvbow").metadata
    assert metadata["classes"] == ["noise", "stripes"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (5, 5), (13, 200), (2, 2, 3)])
@pytest.mark.parametrize("plain", [True, False])
def test_images_of_any_size(model: Segmenter, shape: tuple[int, ...], plain: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8) if not plain else np.full(shape, 200, np.uint8)
    found = model.segment(image)
    assert found.mask().shape == shape[:2]
    assert np.isfinite(found.probabilities()).all()
    assert found.uncertainty().min() >= 0


def test_tiny_and_plain_images_are_learned_from() -> None:
    images = [np.full((6, 6), value, np.uint8) for value in (0, 10, 240, 250)] + [np.zeros((1, 1), np.uint8)]
    masks = [np.full((6, 6), value, np.uint8) for value in (3, 3, 5, 5)] + [np.full((1, 1), 3, np.uint8)]
    found = Segmenter("decision-tree", n_words=4, n_rounds=2).fit(images, masks)
    assert found.classes_.tolist() == [3, 5]
    assert found.class_names_ == ["3", "5"]
    assert set(np.unique(found.predict(images[0]))) <= {3, 5}


def test_one_image_is_enough(scenes: list[tuple[UInt8, UInt8]]) -> None:
    image, mask = scenes[0]
    found = small().fit([image], [mask])
    assert len(found.rounds_) == 1
    assert iou(found.predict(image), mask) > 0.65


def test_scribbles_are_learned_from(scenes: list[tuple[UInt8, UInt8]]) -> None:
    images = [image for image, _ in scenes[:5]]
    scribbled = [make_scribbles(mask, random_state=number) for number, (_, mask) in enumerate(scenes[:5])]
    found = small().fit(images, scribbled)
    assert found.factors_.tolist() == [1, 1], "scribbles do not say how large classes are"
    assert np.mean([iou(found.predict(image), mask) for image, mask in scenes[5:]]) > 0.5


def test_a_class_may_be_missing_from_a_part_of_the_images() -> None:
    made = [scene(seed, shape=shape) for seed, shape in enumerate(["disc", "disc", "disc", "square"])]
    masks = [mask * (2 if number == 3 else 1) for number, (_, mask) in enumerate(made)]
    found = small().fit([image for image, _ in made], masks)
    assert found.classes_.tolist() == [0, 1, 2]
    probabilities = found.predict_proba(made[3][0])
    assert probabilities.shape[0] == 3
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-4)


def test_masks_that_cannot_be_used(tmp_path: Path, scenes: list[tuple[UInt8, UInt8]]) -> None:
    images, masks = [image for image, _ in scenes[:4]], [mask for _, mask in scenes[:4]]
    wrong = masks[0][:, :-1]
    found = small(n_rounds=1).fit(images, [wrong, *masks[1:]])
    assert found.n_images_ == 3
    (error,) = found.skipped_
    assert "the mask is 95 x 72 pixels, and its image 96 x 72" in error.reason
    with pytest.raises(ImageError, match="95 x 72"):
        small().fit(images, [wrong, *masks[1:]], strict=True)
    with pytest.raises(CvbowError, match="none of the 1 images could be used"):
        small().fit(images[:1], [wrong])
    high = masks[0].copy()
    high[0, 0] = 7
    found = small(n_rounds=1).fit(images, [high, *masks[1:]], classes=["noise", "stripes"])
    assert "has the value 7" in found.skipped_[0].reason
    photograph = np.random.default_rng(0).integers(0, 255, masks[0].shape, np.uint8)
    assert "JPEG" in small(n_rounds=1).fit(images, [photograph, *masks[1:]]).skipped_[0].reason
    report = found.evaluate(images, [high, wrong, *masks[2:]])
    assert [error.reason.split()[2] for error in report.skipped] == ["has", "is"]
    assert len(report.images) == 2
    with pytest.raises(ImageError, match=r"classes are 0 \(noise\), 1 \(stripes\)"):
        found.evaluate(images, [high, *masks[1:]], strict=True)
    with pytest.raises(CvbowError, match="none of the 1 images"):
        found.evaluate(images[:1], [high])
    gone = tmp_path / "gone.png"
    assert "no such file" in found.evaluate([gone, images[1]], masks[:2]).skipped[0].reason


def test_masks_of_one_class(scenes: list[tuple[UInt8, UInt8]]) -> None:
    images, masks = [image for image, _ in scenes[:3]], [mask for _, mask in scenes[:3]]
    with pytest.raises(CvbowError, match=r"two classes, and all are of the value 0; 255 stands for what is unknown"):
        small().fit(images, [255 * mask for mask in masks])
    with pytest.raises(CvbowError, match="there are none"):
        small().fit(images, [mask * 0 + 255 for mask in masks])
    found = small(unknown=None, n_rounds=1).fit(images, [255 * mask for mask in masks])
    assert found.classes_.tolist() == [0, 255]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classifier": "boosted"}, "classifier"),
        ({"classifier": 3}, "predict_proba"),
        ({"superpixel_size": 2}, "superpixel_size"),
        ({"n_rounds": 0}, "n_rounds"),
        ({"n_folds": 1}, "n_folds"),
        ({"smoothing": -1}, "smoothing"),
        ({"unknown": 256}, "unknown"),
        ({"max_side": 10}, "max_side"),
    ],
)
def test_parameters_that_break_their_rule(changes: dict[str, Any], said: str) -> None:
    image = np.zeros((30, 30), np.uint8)
    with pytest.raises(ValueError, match=said):
        Segmenter(**changes).fit([image], [image])


def test_what_does_not_belong_together(scenes: list[tuple[UInt8, UInt8]]) -> None:
    image, mask = scenes[0]
    with pytest.raises(ValueError, match="as many, got 1 and 2"):
        small().fit([image], [mask, mask])
    for names in (["a", "a"], ["a", "b/c"], ["", "b"]):
        with pytest.raises(ValueError, match="classes must be"):
            small().fit([image], [mask], classes=names)


def test_a_file_that_is_no_segmenter(model: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "model.cvbow"
    storage.save(path, kind="segmenter", state={"rounds": 1}, metadata={})
    with pytest.raises(ModelFileError, match="no trained segmenter"):
        Segmenter.load(path)


def test_other_classifiers(scenes: list[tuple[UInt8, UInt8]]) -> None:
    images, masks = zip(*scenes[:4], strict=True)
    for name in ("standardized-svm", "naive-bayes"):
        found = small(classifier=name).fit(images, masks)
        assert iou(found.predict(scenes[6][0]), scenes[6][1]) > 0.6, name


def test_horses(shared_data: Path) -> None:
    """From twelve masks, on eight small images of the training part."""
    folder = shared_data / "weizmann_horses" / "train"
    pairs = pair_masks(folder / "images", folder / "masks")
    found = small(max_side=128, superpixel_size=6, n_words=40).fit(pairs.images[:12], pairs.masks[:12])
    masks = [read_mask(path) for path in pairs.masks[12:20]]
    figures = [iou(found.predict(path), mask) for path, mask in zip(pairs.images[12:20], masks, strict=True)]
    assert np.mean(figures) > 0.45, figures
