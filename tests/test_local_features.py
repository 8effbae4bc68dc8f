"""Every detector with every descriptor, and what LocalFeatures does between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import clone
from synthetic import textured

from cvbow import storage
from cvbow.backends import BagEncoder
from cvbow.dictionary import BinaryDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import (
    DESCRIPTORS,
    DETECTORS,
    SIFT,
    Descriptor,
    Detector,
    LocalFeatures,
    _opencv,
    make_descriptor,
    make_detector,
)
from cvbow.features._orientation import main_directions
from cvbow.features.corners import HarrisDetector
from cvbow.features.descriptors import PatchDescriptor
from cvbow.images import read_image

OWN_ONLY = ("akaze", "kaze")
PAIRS = [
    (detector, descriptor)
    for detector in DETECTORS
    for descriptor in DESCRIPTORS
    if descriptor not in OWN_ONLY or detector == descriptor
]


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    pixels = textured(150, 170, 2)
    y, x = np.indices(pixels.shape)
    pixels[np.hypot(x - 60, y - 60) <= 9] = 250
    pixels[np.hypot(x - 110, y - 90) <= 14] = 5
    pixels.flags.writeable = False
    return pixels


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_gives_sorted_points(name: str, image: NDArray[np.uint8]) -> None:
    detector = make_detector(name)
    found = detector.detect(image)
    assert len(found) >= 1
    assert found.detector is detector
    assert (np.diff(found.responses) <= 0).all()
    x, y, size, angle = found.points.T
    assert ((x >= 0) & (x <= 169) & (y >= 0) & (y <= 149) & (size > 0)).all()
    if detector.has_angle:
        assert ((angle >= 0) & (angle <= 360)).all()
        assert len(np.unique(angle)) > 1
    else:
        assert (angle == -1).all()
    limited = detector.detect(image, limit=5)
    assert len(limited) == min(5, len(found))
    if name not in ("orb", "grid"):
        # A limit takes the first of all; ORB shares it out among its levels.
        np.testing.assert_array_equal(limited.points, found.points[:5])
    color = np.repeat(image[..., None], 3, axis=2)
    np.testing.assert_array_equal(detector.detect(color).points, found.points)
    assert set(vars(clone(detector))) == set(detector.get_params())


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(
    "odd",
    [
        np.zeros((1, 1), np.uint8),
        textured(2, 2),
        textured(7, 9),
        textured(16, 16),
        textured(24, 33),
        textured(33, 24),
        textured(1, 200),
        textured(200, 3),
        textured(9, 200),
        np.full((64, 64, 3), 255, np.uint8),
    ],
    ids=lambda odd: "x".join(map(str, odd.shape)),
)
def test_every_detector_takes_every_image(name: str, odd: NDArray[np.uint8]) -> None:
    found = make_detector(name).detect(odd)
    assert found.points.shape == (len(found), 4)
    assert found.points.dtype == found.responses.dtype == np.float32
    assert np.isfinite(found.points).all()
    if odd.min() == odd.max() and name != "grid":
        assert len(found) == 0


@pytest.mark.parametrize(("detector", "descriptor"), PAIRS)
def test_every_pair_that_makes_sense(detector: str, descriptor: str, image: NDArray[np.uint8]) -> None:
    extractor = LocalFeatures(detector, descriptor, max_points=8)
    features = extractor.extract(image)
    kind = DESCRIPTORS[descriptor]
    assert features.descriptors.dtype == (np.uint8 if kind.is_binary else np.float32)
    assert features.descriptors.shape == (len(features), extractor.descriptor_size)
    assert features.image_size == (170, 150)
    assert extractor.is_binary is kind.is_binary
    # Points that could not be described are gone; those that are left stand where they were.
    found = extractor.detect(image)
    rows = [np.flatnonzero((found.points == point).all(axis=1)) for point in features.points]
    assert all(len(row) for row in rows)
    for odd in (np.zeros((40, 40), np.uint8), textured(12, 9)):
        empty = extractor.extract(odd)
        assert empty.descriptors.shape == (len(empty), extractor.descriptor_size)
        assert empty.descriptors.dtype == features.descriptors.dtype


@pytest.mark.parametrize("name", [name for name in DESCRIPTORS if name not in OWN_ONLY])
def test_rows_stay_with_their_points(name: str, image: NDArray[np.uint8]) -> None:
    descriptor = make_descriptor(name)
    found = make_detector("fast").detect(image).with_angles(30.0)
    # From the border to the middle, weakest first: what OpenCV drops is in between, and it may sort by level.
    mixed = found.take(np.random.default_rng(0).permutation(len(found))[:40])
    rows, descriptors = descriptor.describe(image, mixed)
    assert (np.diff(rows) > 0).all()
    for row, expected in list(zip(rows.tolist(), descriptors, strict=True))[:6]:
        alone, its_own = descriptor.describe(image, mixed.take(np.array([row])))
        assert len(alone) == 1
        np.testing.assert_allclose(its_own[0].astype(float), expected.astype(float), atol=1e-5)


@pytest.mark.parametrize("name", OWN_ONLY)
def test_a_descriptor_that_reads_its_own_scale_space_refuses_other_points(name: str, image: NDArray[np.uint8]) -> None:
    for detector in DETECTORS:
        if detector == name:
            continue
        with pytest.raises(ValueError, match=f"^descriptor {name} can describe only the points of detector {name}: "):
            LocalFeatures(detector, name).extract(image)
    with pytest.raises(ValueError, match="got those of FASTDetector"):
        make_descriptor(name).describe(image, make_detector("fast").detect(image))
    # In two steps it gives what it gives in one.
    together = LocalFeatures(name, name).extract(image)
    found = make_detector(name).detect(image, limit=1000)
    rows, descriptors = make_descriptor(name).describe(image, found)
    np.testing.assert_array_equal(found.points[rows], together.points)
    np.testing.assert_allclose(descriptors.astype(float), together.descriptors.astype(float), atol=1e-6)
    upright = LocalFeatures(name, name, orientation="upright").extract(image)
    assert len(upright) > 5
    assert (upright.points[:, 3] == -1).all()
    assert (upright.descriptors[0] != together.descriptors[0]).any()


@pytest.mark.parametrize("pair", [("sift", "sift"), ("sift", "rootsift"), ("orb", "orb"), ("brisk", "brisk")])
@pytest.mark.parametrize("limit", [None, 20])
def test_one_step_gives_what_two_give(pair: tuple[str, str], limit: int | None, image: NDArray[np.uint8]) -> None:
    together = LocalFeatures(*pair, max_points=limit).extract(image)
    found = make_detector(pair[0]).detect(image, limit=limit)
    rows, descriptors = make_descriptor(pair[1]).describe(image, found)
    assert len(together) > 5
    np.testing.assert_array_equal(found.points[rows], together.points)
    # With none of the finest points left, OpenCV describes SIFT's in a pyramid that it has not doubled first.
    atol = 0.03 if limit is not None and "sift" in pair else 1e-6
    np.testing.assert_allclose(descriptors.astype(float), together.descriptors.astype(float), atol=atol)


def test_sift_is_the_extractor_of_that_name(image: NDArray[np.uint8]) -> None:
    for root, limit in ((True, 30), (False, None)):
        expected = SIFT(max_points=limit, root=root).extract(image)
        features = LocalFeatures("sift", "rootsift" if root else "sift", max_points=limit).extract(image)
        np.testing.assert_allclose(features.points, expected.points, atol=1e-5)
        np.testing.assert_allclose(features.descriptors, expected.descriptors, atol=0.03 if limit else 1e-5)


def test_large_points_are_described_in_a_level_that_fits() -> None:
    # The same picture at twice the size: a point of twice the size has the same descriptor.
    small = np.rint(ndimage.gaussian_filter(textured(120, 120, 7).astype(float), 2)).astype(np.uint8)
    large = cv2.resize(small, (480, 480), interpolation=cv2.INTER_CUBIC)
    for descriptor in ("sift", "orb", "patch"):
        results = []
        for picture, factor in ((small, 1), (large, 4)):
            found = make_detector("grid").set_params(step=12 * factor, point_size=40.0 * factor).detect(picture)
            results.append(make_descriptor(descriptor).describe(picture, found))
        (rows, first), (other_rows, second) = results
        both, mine, theirs = np.intersect1d(rows, other_rows, return_indices=True)
        assert len(both) >= 9
        if descriptor == "orb":
            differ = np.unpackbits(first[mine] ^ second[theirs], axis=1).mean(axis=1)
            # Of random bits half differ.
            assert np.median(differ) < 0.25
        else:
            assert np.median((first[mine] * second[theirs]).sum(axis=1)) > 0.93


def test_gradient_directions_turn_with_the_image() -> None:
    image = np.rint(ndimage.gaussian_filter(textured(121, 121, 5).astype(float), 1)).astype(np.uint8)
    plain = make_detector("grid").set_params(step=20, point_size=30.0).detect(image)
    sides = np.full(len(plain), 30, np.float32)
    angles = main_directions(image, plain.points, sides)
    turned = plain.points.copy()
    # A quarter turn to the right takes (x, y) to (120 - y, x), and adds 90 degrees clockwise.
    turned[:, 0], turned[:, 1] = 120 - plain.points[:, 1], plain.points[:, 0]
    others = main_directions(np.ascontiguousarray(np.rot90(image, -1)), turned, sides)
    assert len(np.unique(angles.round())) > 5
    np.testing.assert_allclose((others - angles - 90 + 180) % 360 - 180, 0, atol=0.5)
    ramp = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))
    one = plain.take(np.array([12]))
    np.testing.assert_allclose(main_directions(ramp, one.points, sides[:1]), 0, atol=1e-3)
    np.testing.assert_allclose(main_directions(ramp.T.copy(), one.points, sides[:1]), 90, atol=1e-3)
    assert main_directions(np.zeros((100, 100), np.uint8), one.points, sides[:1]) == [0]


def test_orientation(image: NDArray[np.uint8]) -> None:
    angles = {
        (detector, how): LocalFeatures(detector, "sift", orientation=how).extract(image).points[:, 3]
        for detector in ("harris", "sift")
        for how in ("detector", "gradient", "upright")
    }
    assert (angles["harris", "detector"] == -1).all()
    assert (angles["harris", "gradient"] >= 0).all()
    np.testing.assert_array_equal(angles["sift", "detector"], angles["sift", "gradient"])
    assert (angles["sift", "upright"] == -1).all()
    # A point with two directions comes once where directions do not count.
    upright = LocalFeatures("sift", "sift", orientation="upright").extract(image).points
    assert len(np.unique(upright, axis=0)) == len(upright) < len(angles["sift", "detector"])


def test_patches_by_hand() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[:, 20:] = 100
    found = make_detector("grid").set_params(step=100, point_size=8.0).detect(image)
    assert found.points[0, :2].tolist() == [19.5, 19.5]
    patch = PatchDescriptor(patch_size=8).describe(image, found)[1][0].reshape(8, 8)
    expected = np.repeat([[-1] * 4 + [1] * 4], 8, axis=0) / 8
    np.testing.assert_allclose(patch, expected, atol=1e-6)
    # At 90 degrees the patch's x axis points down in the image: there the image does not change.
    turned = PatchDescriptor(patch_size=8).describe(image, found.with_angles(90.0))[1][0].reshape(8, 8)
    np.testing.assert_allclose(turned, -expected.T, atol=1e-6)


def test_points_come_back_in_the_coordinates_of_the_image(image: NDArray[np.uint8]) -> None:
    extractor = LocalFeatures("harris", "patch", max_side=85)
    features, found = extractor.extract(image), extractor.detect(image)
    np.testing.assert_allclose(features.points, found.points)
    assert features.points[:, 0].max() > 100
    assert features.points[0, 2] == pytest.approx(64)


def test_parameters_of_the_parts_are_within_reach(image: NDArray[np.uint8]) -> None:
    extractor = LocalFeatures(HarrisDetector(), PatchDescriptor())
    extractor.set_params(detector__k=0.1, descriptor__patch_size=4, max_points=None)
    assert extractor.descriptor_size == 16
    assert extractor.detector.k == 0.1  # type: ignore[union-attr]
    assert len(extractor.extract(image)) != len(LocalFeatures("harris", max_points=None).extract(image))
    spread, strong = (
        LocalFeatures("fast", selection=how, max_points=20).extract(image) for how in ("anms", "strongest")
    )
    assert len(spread) == len(strong) == 20
    assert np.std(spread.points[:, :2]) != np.std(strong.points[:, :2])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"detector": "surf"}, r"detector must be one of sobel, .*, grid, got 'surf'"),
        ({"descriptor": 3}, r"descriptor must be one of sift, .*, patch, got 3"),
        ({"selection": "best"}, "selection must be one of strongest, anms, got 'best'"),
        ({"orientation": None}, "orientation must be one of detector, gradient, upright, got None"),
        ({"max_points": 0}, "max_points must be None or an integer >= 1, got 0"),
        ({"magnify": 0}, "magnify must be a number > 0, got 0"),
        ({"detector": HarrisDetector(k=3)}, "k must be a number >= 0 and <= 0.25, got 3"),
        ({"descriptor": PatchDescriptor(patch_size=1)}, "patch_size must be an integer >= 2, got 1"),
    ],
)
def test_parameters_that_break_their_rule(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalFeatures(**parameters).extract(textured(40, 40))


def test_an_algorithm_that_opencv_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_opencv, "_modules", lambda cv2: ())
    with pytest.raises(ImportError, match=f"^OpenCV {cv2.__version__} as installed has no KAZE; "):
        make_detector("kaze").set_params(threshold=0.1)._create(None)  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="has no AGAST"):
        make_detector("agast").detect(textured(40, 40))


def test_every_part_can_be_stored(tmp_path: Path, image: NDArray[np.uint8]) -> None:
    parts: list[Detector | Descriptor] = [kind() for kind in (*DETECTORS.values(), *DESCRIPTORS.values())]
    for part in parts:
        storage.save(tmp_path / "part.cvbow", kind="part", state=part, metadata={})
        assert repr(storage.load(tmp_path / "part.cvbow", kind="part").state) == repr(part)
    images = [image, np.ascontiguousarray(image[::-1]), np.ascontiguousarray(image[:, ::-1])]
    encoder = BagEncoder(LocalFeatures("orb", "orb"), BagOfWords(BinaryDictionary(n_words=20))).fit(images)
    storage.save(tmp_path / "bag.cvbow", kind="backend", state=encoder, metadata={})
    loaded = storage.load(tmp_path / "bag.cvbow", kind="backend").state
    vectors = encoder.transform(images)
    np.testing.assert_array_equal(loaded.transform(images), vectors)
    assert vectors.shape == (3, 20)
    assert vectors.any(axis=1).all()


def test_both_versions_of_opencv_find_the_same_in_a_photograph(shared_data: Path) -> None:
    photograph = read_image(shared_data / "oxford_affine" / "leuven" / "img1.png", gray=True)
    # As counted with OpenCV 4.10 and 5.0.
    for name, n in COUNTS.items():
        assert abs(len(make_detector(name).detect(photograph)) / n - 1) < 0.02, name


COUNTS = {"sift": 2312, "orb": 11767, "fast": 5628}
