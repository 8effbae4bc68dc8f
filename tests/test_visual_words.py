"""Images as visual words: what is stored of them, boxes, and that they find each other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import BinaryDictionary, KMeansDictionary, VocabularyTree
from cvbow.errors import CvbowError
from cvbow.features import SIFT, Features, LocalFeatures
from cvbow.images import read_image, resize
from cvbow.retrieval import VisualWords, check_box, quantize, stored_points, visual_words

SMALL: dict[str, Any] = {"n_words": 150, "sample": 3000}


def texture(seed: int, shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Blobs and bars at random places: many keypoints, and none alike in two images."""
    rng = np.random.default_rng(seed)
    image = np.full(shape, 128.0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for _ in range(120):
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        sy, sx = rng.uniform(1.5, 7, 2)
        image += rng.uniform(-90, 90) * np.exp(-(((y - cy) / sy) ** 2) - ((x - cx) / sx) ** 2)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [texture(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def fitted(images: list[np.ndarray]) -> VisualWords:
    return VisualWords(**SMALL).fit(images)


def open_scorer(describer: VisualWords, bags: list[dict[str, np.ndarray]], alive: Any = None) -> Any:
    start = np.concatenate([[0], np.cumsum([len(bag["words"]) for bag in bags])]).astype(np.int64)
    arrays = {
        name: np.stack([bag[name] for bag in bags])
        if spec.per == "image"
        else np.concatenate([bag[name] for bag in bags])
        for name, spec in describer.layout().items()
    }
    arrays |= describer.derive(arrays, start, len(bags)) | {"feature_start": start}
    alive = np.ones(len(bags), bool) if alive is None else alive
    return describer.scorer([SimpleNamespace(n_images=len(bags), arrays=arrays)], [alive])


def test_description_has_the_layout(fitted: VisualWords, images: list[np.ndarray]) -> None:
    bag = fitted.describe(images[0])
    layout = fitted.layout()
    assert fitted.has_geometry
    assert set(bag) == set(layout) == {"words", "places", "shapes", "image_size", "signatures"}
    n = len(bag["words"])
    assert n > 50
    for name, spec in layout.items():
        assert bag[name].dtype.str == spec.dtype
        assert bag[name].shape == ((n,) if spec.per == "feature" else ()) + spec.shape
    assert bag["image_size"].tolist() == [160, 120]
    features = SIFT(max_points=1000).extract(images[0])
    words = fitted.dictionary_.predict(features.descriptors)
    order = np.argsort(words, kind="stable")
    np.testing.assert_array_equal(bag["words"], words[order])
    signatures = fitted.embedding_.signatures(features.descriptors, words)
    np.testing.assert_array_equal(bag["signatures"], signatures[order])
    np.testing.assert_allclose(stored_points(bag)[:, :2], features.points[order, :2], atol=160 / 65536)


@pytest.mark.parametrize("embedding_bits", [0, 64])
def test_images_find_their_changed_copies(images: list[np.ndarray], embedding_bits: int) -> None:
    describer = VisualWords(**SMALL, embedding_bits=embedding_bits).fit(images)
    assert ("signatures" in describer.layout()) == bool(embedding_bits)
    scorer = open_scorer(describer, [describer.describe(image) for image in images])
    for row, image in enumerate(images):
        for changed in (image, np.rot90(image), resize(image, (144, 108)), image[20:, 30:]):
            scores = scorer.scores(describer.describe(np.ascontiguousarray(changed)))
            assert scores.argmax() == row
            assert np.sort(scores)[-1] > 1.5 * np.sort(scores)[-2]


def test_the_features_of_a_query_have_several_words(
    fitted: VisualWords, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not fitted.queries_differ, "150 words are too few"
    plain = fitted.describe_query(images[0])
    assert plain.keys() == fitted.layout().keys()
    state = fitted.query_fingerprint()
    monkeypatch.setattr(visual_words, "_PER_ASSIGNMENT", 50)
    assert fitted.queries_differ
    assert fitted.query_fingerprint() != state
    stored, asked = fitted.describe(images[0]), fitted.describe_query(images[0])
    n = len(stored["words"])
    assert asked["words"].shape == asked["nearest"].shape == (4 * n,)
    assert (np.diff(asked["words"]) >= 0).all()
    for name in ("words", "places", "shapes", "signatures"):
        np.testing.assert_array_equal(asked[name][asked["nearest"]], stored[name])
    # Each feature's words, and their signatures, as the dictionary and the embedding have them.
    features = fitted.extractor_.extract(images[0])
    words = fitted.dictionary_.nearest_words(features.descriptors, 4)[0]
    assert sorted(asked["words"].tolist()) == sorted(words.ravel().tolist())
    for row in (0, n // 2, n - 1):
        word = int(words[row, 3])
        bits = fitted.embedding_.signatures(features.descriptors[row : row + 1], words[row, 3:])
        assert bits[0] in asked["signatures"][asked["words"] == word]


def test_queries_of_several_words_find_the_changed_copies(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visual_words, "_PER_ASSIGNMENT", 50)
    for embedding_bits in (0, 64):
        describer = VisualWords(**SMALL, embedding_bits=embedding_bits).fit(images)
        assert describer.queries_differ == bool(embedding_bits)
        describer.set_params(multiple_assignment=4)
        scorer = open_scorer(describer, [describer.describe(image) for image in images])
        for number, image in enumerate(images):
            assert scorer.scores(describer.describe_query(image))[number] == pytest.approx(1)
            changed = resize(np.rot90(image), (110, 90))
            # Without signatures, 150 words with four for each feature tell little.
            assert not embedding_bits or scorer.scores(describer.describe_query(changed)).argmax() == number
        flat = np.full((50, 50), 128, np.uint8)
        assert not scorer.scores(describer.describe_query(flat)).any()


def test_only_dictionaries_that_know_them_give_several_words(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visual_words, "_PER_ASSIGNMENT", 1)
    tree = VisualWords(dictionary=VocabularyTree(branching=4, depth=2), sample=3000).fit(images)
    assert not tree.queries_differ
    orb = LocalFeatures(detector="orb", descriptor="orb")
    binary = VisualWords(orb, dictionary=BinaryDictionary(n_words=9), sample=3000, multiple_assignment=3).fit(images)
    assert binary.queries_differ
    assert len(binary.describe_query(images[0])["words"]) == 3 * len(binary.describe(images[0])["words"])


def test_a_box_leaves_the_features_inside(fitted: VisualWords, images: list[np.ndarray]) -> None:
    whole, box = fitted.describe(images[0]), (40.0, 10.5, 70.0, 60.0)
    part = fitted.describe(images[0], box=box)
    features = SIFT(max_points=1000).extract(images[0])
    x, y = features.points[:, 0] + 0.5, features.points[:, 1] + 0.5
    inside = (x >= 40) & (x < 110) & (y >= 10.5) & (y < 70.5)
    assert 0 < inside.sum() < len(features)
    np.testing.assert_array_equal(part["words"], np.sort(fitted.dictionary_.predict(features.descriptors[inside])))
    assert part["image_size"].tolist() == [160, 120]
    everything = fitted.describe(images[0], box=(-5, -5, 500, 500))
    for name, array in whole.items():
        np.testing.assert_array_equal(everything[name], array)
    nothing = fitted.describe(images[0], box=(0, 0, 0.25, 0.25))
    assert nothing["words"].shape == (0,)
    assert nothing["places"].shape == (0, 2)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 0, 5), "positive width and height"),
        ((0, 0, 5, -1), "positive width and height"),
        ((160, 0, 5, 5), "must overlap the image of 160 x 120 pixels"),
        ((-9, 0, 9, 5), "must overlap"),
        ((0, 0, float("nan"), 5), "four numbers"),
        ((1, 2, 3), "four numbers"),
        ("1,2,3,4", "four numbers"),
        (7, "four numbers"),
    ],
)
def test_impossible_boxes_are_refused(fitted: VisualWords, images: list[np.ndarray], box: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted.describe(images[0], box=box)


def test_boxes_are_cut_to_the_image() -> None:
    assert check_box((-5, 3, 20, 500), (10, 8)) == (0, 3, 10, 5)
    assert check_box((1, 2, 3, 4), (10, 8)) == (1, 2, 3, 4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (64, 64)])
def test_images_without_keypoints_score_zero(fitted: VisualWords, images: list[np.ndarray], shape: Any) -> None:
    blank = fitted.describe(np.full(shape, 77, np.uint8))
    layout = fitted.layout()
    assert all(blank[name].dtype.str == spec.dtype for name, spec in layout.items())
    assert len(blank["words"]) == 0
    scorer = open_scorer(fitted, [blank, *(fitted.describe(image) for image in images[:3])])
    assert scorer.scores(blank).tolist() == [0, 0, 0, 0]
    assert scorer.scores(fitted.describe(images[1]))[0] == 0


def test_the_default_dictionary_has_a_word_for_ten_descriptors(images: list[np.ndarray]) -> None:
    describer = VisualWords(sample=400).fit(images)
    assert len(describer.dictionary_.words_) == describer.n_sampled_ // 10


def test_any_dictionary_and_extractor_will_do(images: list[np.ndarray]) -> None:
    orb = LocalFeatures("orb", "orb", max_points=200)
    for extractor, dictionary in (
        (None, KMeansDictionary(n_words=60)),
        (SIFT(max_points=100), VocabularyTree(branching=4, depth=3)),
        (orb, BinaryDictionary(n_words=50)),
    ):
        describer = VisualWords(extractor, dictionary=dictionary, sample=1500).fit(images[:5])
        assert not hasattr(dictionary, "words_")
        scorer = open_scorer(describer, [describer.describe(image) for image in images])
        for row in (0, 6):
            scores = scorer.scores(describer.describe(images[row]))
            assert scores.argmax() == row
            assert scores.min() >= 0
            assert scores.max() <= 1 + 1e-6


def test_fit_does_not_depend_on_workers_and_changes_nothing(images: list[np.ndarray], fitted: VisualWords) -> None:
    copies = [image.copy() for image in images]
    other = VisualWords(**SMALL, n_jobs=2).fit(copies)
    for image, copy in zip(images, copies, strict=True):
        np.testing.assert_array_equal(image, copy)
        first, second = fitted.describe(image), other.describe(image)
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])
    assert fitted.fingerprint() == other.fingerprint()
    assert fitted.fingerprint() != VisualWords(**SMALL, random_state=1).fit(images).fingerprint()
    assert set(fitted.seconds_) == {"extract", "dictionary", "embedding"}


def test_save_and_load(fitted: VisualWords, images: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "describer.cvbow"
    storage.save(path, kind="index", state=fitted, metadata={})
    again = storage.load(path, kind="index").state
    for name, array in fitted.describe(images[3]).items():
        np.testing.assert_array_equal(again.describe(images[3])[name], array)
    assert again.fingerprint() == fitted.fingerprint()
    assert not hasattr(clone(again), "dictionary_")
    again.embedding_.medians_ = again.embedding_.medians_[1:]
    with pytest.raises(ValueError, match="medians for each word"):
        storage.check_state(again)


def test_bad_files_are_skipped_and_listed(images: list[np.ndarray], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    describer = VisualWords(**SMALL).fit([str(bad), *images, str(tmp_path / "none.jpg")])
    assert [Path(error.path).name for error in describer.skipped_] == ["bad.png", "none.jpg"]
    with pytest.raises(CvbowError, match="the image cannot be read"):
        VisualWords(**SMALL).fit([str(bad)])
    with pytest.raises(CvbowError, match="no points were found in any of the 1 images"):
        VisualWords(**SMALL).fit([np.zeros((40, 40), np.uint8)])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"extractor": "sift"}, "extractor must be an Extractor"),
        ({"dictionary": 7}, "dictionary must be an estimator or None, got 7"),
        ({"embedding_bits": 32}, "embedding_bits must be 0 or 64, got 32"),
        ({"embedding_bits": False}, "embedding_bits must be 0 or 64, got False"),
        ({"tf": "cube"}, "tf must be one of raw, log, sqrt, got 'cube'"),
        ({"idf": None}, "idf must be one of"),
        ({"stop_most": 1.5}, "stop_most must be a number >= 0 and <= 1, got 1.5"),
        ({"stop_most": 0.6, "stop_least": 0.6}, "must not exceed 1 together"),
        ({"multiple_assignment": 0}, "multiple_assignment must be None or an integer >= 1, got 0"),
        ({"max_hamming": -1}, "max_hamming must be an integer >= 0"),
        ({"hamming_sigma": 0}, "hamming_sigma must be a number > 0"),
        ({"n_words": 0}, "n_words must be None or an integer >= 1"),
        ({"sample": 0}, "sample must be an integer >= 1"),
    ],
)
def test_mistakes_are_named(images: list[np.ndarray], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisualWords(**parameters).fit(images)


def test_more_mistakes_are_named(images: list[np.ndarray]) -> None:
    with pytest.raises(NotFittedError):
        VisualWords().describe_query(images[0])
    with pytest.raises(NotFittedError):
        VisualWords().describe(images[0])
    with pytest.raises(NotFittedError):
        VisualWords().layout()
    with pytest.raises(ValueError, match="images must have at least one image"):
        VisualWords().fit([])


@given(
    st.lists(
        st.tuples(
            st.floats(-0.5, 639.25, width=32),
            st.floats(-0.5, 479.25, width=32),
            st.floats(0.25, 4000, width=32),
            st.one_of(st.just(-1.0), st.floats(0, 360, width=32)),
        ),
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_quantised_points_come_back_within_their_steps(points: list[Any], random: Any) -> None:
    rows = np.array(points, np.float32).reshape(-1, 4)
    features = Features(rows, np.zeros((len(rows), 1), np.float32), (640, 480))
    words = np.array([random.randrange(5) for _ in points], np.int32)
    arrays = quantize(features, words)
    order = np.argsort(words, kind="stable")
    np.testing.assert_array_equal(arrays["words"], words[order])
    back, rows = stored_points(arrays), rows[order]
    assert back.dtype == np.float32
    assert (np.abs(back[:, :2] - rows[:, :2]) <= np.array([640, 480]) / 65536 / 2 + 1e-4).all()
    assert (np.abs(np.log2(back[:, 2] / rows[:, 2])) <= 1 / 32 + 1e-5).all()
    turn = np.abs(back[:, 3] - np.maximum(rows[:, 3], 0))
    assert (np.minimum(turn, 360 - turn) <= 180 / 256 + 1e-4).all()
    assert (back[:, 3] < 360).all()


def test_quantised_values_by_hand() -> None:
    points = np.array([[-0.5, 99.5, 4.0, 90.0], [49.5, 24.5, 0.01, -1.0], [999, -7, 1e6, 359.9]], np.float32)
    features = Features(points, np.zeros((3, 1), np.float32), (100, 100))
    arrays = quantize(features, np.array([2, 1, 1], np.int32), np.array([7, 8, 9], np.uint64))
    assert arrays["words"].tolist() == [1, 1, 2]
    assert arrays["signatures"].tolist() == [8, 9, 7]
    assert arrays["places"].tolist() == [[32768, 16384], [65535, 0], [0, 65535]]
    assert arrays["shapes"].tolist() == [[0, 0], [255, 0], [64, 64]]
    with pytest.raises(ValueError, match="one for each of 3 features"):
        quantize(features, np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="signatures must be one for each"):
        quantize(features, np.zeros(3, np.int32), np.zeros(2, np.uint64))


def test_covers_find_themselves_rotated_and_recompressed(shared_data: Path) -> None:
    import cv2

    paths = sorted((shared_data / "dvd_covers" / "Reference").glob("*.jpg"))[:6]
    describer = VisualWords(SIFT(max_points=300), n_words=300, sample=3000).fit([str(path) for path in paths])
    covers = [read_image(path, gray=True) for path in paths]
    scorer = open_scorer(describer, [describer.describe(cover) for cover in covers])
    for row in (0, 5):
        small = np.ascontiguousarray(np.rot90(cv2.resize(covers[row], None, fx=0.7, fy=0.7)))
        damaged = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0)
        assert scorer.scores(describer.describe(damaged)).argmax() == row
