"""Words in mirrored pairs: an image's vector is its mirror's, and what two encodings would give."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from cvbow import storage
from cvbow.backends import BagEncoder
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary, MirrorPCA, SphericalDictionary
from cvbow.encoders import LLC, VLAD, BagOfWords, Encoder, FisherVector, SpatialPyramid
from cvbow.features import SIFT, DenseSIFT, Features, Mirror, WhitenedPatches

#: Two values change places, one keeps its own, two change their signs.
MIRROR = Mirror(np.array([1, 0, 2, 3, 4]), np.array([1, 1, 1, -1, -1]))
PAIRING = {
    "fisher": FisherVector(GaussianMixtureDictionary(n_words=6)),
    "fisher of whole powers": FisherVector(GaussianMixtureDictionary(n_words=4), power=1, normalization="none"),
    "vlad": VLAD(KMeansDictionary(n_words=6)),
    "vlad on axes": VLAD(KMeansDictionary(n_words=6), residual_pca=3, unit_residuals=True, intra_normalization=False),
    "bow": BagOfWords(KMeansDictionary(n_words=10)),
    "bow by mini-batches": BagOfWords(KMeansDictionary(n_words=10, algorithm="mini-batch"), normalization="power"),
    "tf-idf": BagOfWords(KMeansDictionary(n_words=10), weighting="tf-idf", normalization="l2"),
    "counts": BagOfWords(KMeansDictionary(n_words=10, init="k-means++"), normalization="none"),
}
GRIDS = ("1x1", "2x2", "3x1")


def bag(seed: int, n: int = 80) -> Features:
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(0, 63, n), rng.uniform(0, 47, n), np.full(n, 8), np.full(n, -1)])
    return Features(points.astype(np.float32), rng.normal(0.3, 1, (n, 5)).astype(np.float32), (64, 48))


def mirrored(features: Features) -> Features:
    points = features.points.copy()
    points[:, 0] = 63 - points[:, 0]
    return Features(points, MIRROR.apply(features.descriptors), features.image_size)


def both(features: Features) -> Features:
    """Return one bag with the features and their mirrors."""
    other = mirrored(features)
    return Features(
        np.concatenate([features.points, other.points]),
        np.concatenate([features.descriptors, other.descriptors]),
        features.image_size,
    )


@functools.cache
def fitted(name: str, grids: tuple[str, ...] = GRIDS) -> Encoder:
    pyramid = SpatialPyramid(PAIRING[name], grids=grids, level_weights="cells")
    return pyramid.fit_pairs([bag(seed) for seed in range(10)], MIRROR)


def unpaired(encoder: Any) -> Any:
    """Return a copy of a fitted pyramid whose words are not known to be pairs."""
    copied = copy.deepcopy(encoder)
    del copied.encoder_.dictionary_.mirror_
    return copied


@pytest.mark.parametrize("name", PAIRING)
@given(st.integers(0, 1000))
def test_an_image_and_its_mirror_have_one_vector(name: str, seed: int) -> None:
    encoder, features = fitted(name), bag(100 + seed)
    vector = encoder.encode(features)
    assert vector.shape == (encoder.vector_length,)
    np.testing.assert_allclose(encoder.encode(mirrored(features)), vector, atol=2e-4 * np.abs(vector).max())


@pytest.mark.parametrize("name", [name for name in PAIRING if name not in ("tf-idf", "vlad on axes")])
def test_products_are_those_of_bags_that_hold_the_mirrors_too(name: str) -> None:
    """One encoding of half as many values has the products of the long vectors of descriptors and their mirrors."""
    encoder = fitted(name)
    long = unpaired(encoder)
    if name.startswith("bow") or name == "counts":
        assert long.vector_length == 2 * encoder.vector_length
    bags = [bag(seed) for seed in range(20, 26)]
    short = np.stack([encoder.encode(features) for features in bags])
    expected = np.stack([long.encode(both(features)) for features in bags])
    products = expected @ expected.T
    np.testing.assert_allclose(short @ short.T, products, atol=2e-4 * np.abs(products).max())


def test_empty_cells_and_bags() -> None:
    encoder = fitted("fisher")
    assert not encoder.encode(bag(0).take(np.arange(0))).any()
    one = encoder.encode(bag(0).take(np.array([3])))
    assert np.isfinite(one).all()
    assert one.any()


@pytest.mark.parametrize("dictionary", [GaussianMixtureDictionary(n_words=6), KMeansDictionary(n_words=6)])
def test_the_second_half_of_the_words_are_the_mirrors_of_the_first(dictionary: Any) -> None:
    descriptors = bag(0, 500).descriptors
    dictionary.fit(descriptors, mirror=MIRROR)
    words = dictionary.words_
    assert len(np.unique(words, axis=0)) == 6
    np.testing.assert_array_equal(MIRROR.apply(words[:3]), words[3:])
    dictionary.check_state()
    # The nearest word of a mirrored descriptor is the mirror of its nearest word.
    found, other = dictionary.predict(descriptors), dictionary.predict(MIRROR.apply(descriptors))
    assert ((found + 3) % 6 == other).mean() > 0.99


def test_the_mixture_of_pairs_is_that_of_descriptors_and_mirrors() -> None:
    descriptors = np.asarray(bag(1, 600).descriptors)
    together = np.concatenate([descriptors, MIRROR.apply(descriptors)])
    paired = GaussianMixtureDictionary(n_words=4, tol=0, max_iter=5).fit(descriptors, mirror=MIRROR)
    assert paired.score(descriptors) == pytest.approx(paired.score(together), abs=1e-5)
    # One more step of plain EM on both together, from the pairs: what the step with pairs does.
    more = GaussianMixtureDictionary(n_words=4, tol=0, max_iter=6).fit(descriptors, mirror=MIRROR)
    posteriors = paired.posteriors(together).astype(np.float64)
    mass = posteriors.sum(axis=0)
    np.testing.assert_allclose(more.weights_, mass / mass.sum(), rtol=1e-4)
    np.testing.assert_allclose(more.means_, (posteriors.T @ together) / mass[:, None], atol=2e-4)


def test_a_fit_without_a_mirror_forgets_it() -> None:
    descriptors = bag(0, 200).descriptors
    dictionary = KMeansDictionary(n_words=4).fit(descriptors, mirror=MIRROR)
    assert dictionary.mirror is not None
    assert dictionary.fit(descriptors).mirror is None
    np.testing.assert_array_equal(dictionary.words_, KMeansDictionary(n_words=4).fit(descriptors).words_)


@given(st.integers(2, 8), st.integers(0, 100))
def test_pca_makes_a_mirror_a_change_of_signs(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(1, rng.uniform(0.2, 2, k), (200, k)).astype(np.float32)
    order = np.arange(k)
    order[[0, 1]] = 1, 0
    mirror = Mirror(order, np.array([1, 1, *rng.choice([-1, 1], k - 2)]))
    pca = MirrorPCA(n_components=k).fit(data, mirror=mirror)
    once, other = pca.transform(data), pca.transform(mirror.apply(data))
    np.testing.assert_allclose(other, pca.mirror.apply(once), atol=1e-4)
    together = np.concatenate([once, other])
    np.testing.assert_allclose(together.T @ together / len(together), np.eye(k), atol=0.02)


def test_pca_without_a_mirror_is_pca() -> None:
    data = np.random.default_rng(0).normal(0, [3, 1, 2, 0.5], (300, 4)).astype(np.float32)
    ours, theirs = MirrorPCA(3).fit(data), PCA(3, whiten=True).fit(data)
    np.testing.assert_allclose(np.abs(ours.transform(data)), np.abs(theirs.transform(data)), atol=1e-3)
    assert ours.signs_.tolist() == [1, 1, 1]
    plain = MirrorPCA(3, whiten=False).fit(data)
    np.testing.assert_allclose(np.linalg.norm(plain.components_, axis=1), 1, atol=1e-6)


def test_a_direction_without_variance_stays_zero() -> None:
    data = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    data[:, 2] = 7
    assert not MirrorPCA(3).fit(data).transform(data)[:, 2].any()


# --- from pixels ----------------------------------------------------------------------------------------------------


def backend(**parameters: Any) -> BagEncoder:
    chosen = {
        "encoder": SpatialPyramid(FisherVector(GaussianMixtureDictionary(n_words=8)), grids=("1x1", "2x2")),
        "reduce": MirrorPCA(16),
        "position_weight": 2.0,
        "mirror": "pairs",
        "sample": 3000,
    }
    # 53 pixels leave a grid of step 8 and bins of 4 pixels in the middle, 53 - 1 - 12 = 5 * 8, and no point on the line
    # between the left and the right cells.
    return BagEncoder(DenseSIFT(step=8, bin_sizes=(4,), contrast_threshold=0.0), **{**chosen, **parameters})


def pictures(width: int = 53, n: int = 6) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (n, 16, width // 4 + 1), np.uint8)
    return [np.ascontiguousarray(image.repeat(4, 0).repeat(4, 1)[:, :width]) for image in small]


def test_the_vector_of_a_mirrored_image_is_the_same_from_its_pixels() -> None:
    model = backend().fit(pictures())
    for image in pictures():
        ours, theirs = model.transform([image, np.ascontiguousarray(image[:, ::-1])])
        np.testing.assert_allclose(theirs, ours, atol=2e-3)
        assert ours @ theirs == pytest.approx(1, abs=1e-4)


def test_without_pairs_it_is_not() -> None:
    image = pictures()[0]
    model = backend(mirror=False).fit(pictures())
    ours, theirs = model.transform([image, np.ascontiguousarray(image[:, ::-1])])
    assert ours @ theirs < 0.9


def test_a_model_keeps_its_pairs(tmp_path: Path) -> None:
    model = backend().fit(pictures())
    storage.save(tmp_path / "pairs.cvbow", kind="backend", state=model, metadata={})
    loaded = storage.load(tmp_path / "pairs.cvbow", kind="backend").state
    np.testing.assert_array_equal(loaded.transform(pictures()), model.transform(pictures()))
    assert loaded.encoder_.encoder_.dictionary_.mirror is not None


def test_words_that_are_no_pairs_are_refused() -> None:
    dictionary = KMeansDictionary(n_words=4).fit(bag(0).descriptors, mirror=MIRROR)
    dictionary.words_ = dictionary.words_ + np.float32(1)
    with pytest.raises(ValueError, match="second half of the words must be the mirrors"):
        dictionary.check_state()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"extractor": SIFT()}, "mirror='pairs' needs an extractor that can mirror"),
        ({"encoder": LLC()}, "mirror='pairs' needs an encoder that pools words in pairs, got LLC"),
        ({"encoder": VLAD(SphericalDictionary())}, "needs an encoder that pools words in pairs"),
        ({"reduce": PCA(4)}, "needs MirrorPCA or None as reduce"),
        ({"mirror": "both"}, "mirror must be"),
    ],
)
def test_what_cannot_be_paired_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        backend().set_params(**parameters).check_params()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: KMeansDictionary(n_words=5).fit(data, mirror=MIRROR), "n_words must be even"),
        (lambda data: SphericalDictionary(n_words=4).fit(data, mirror=MIRROR), "cannot learn words in mirrored pairs"),
        (lambda data: KMeansDictionary(n_words=4).fit(data, mirror=MIRROR).grow(data, 2), "pairs cannot grow"),
        (lambda data: LLC().fit_pairs([], MIRROR), "LLC cannot pool words in mirrored pairs"),
        (lambda data: Mirror(np.array([1, 2, 0]), np.ones(3)), "undo themselves"),
        (lambda data: Mirror(np.array([1, 0]), np.array([1, -1])), "the same sign"),
    ],
)
def test_misuse(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(bag(0, 200).descriptors)


def test_more_descriptors_move_pairs_alike() -> None:
    dictionary = KMeansDictionary(n_words=6).fit(bag(0, 300).descriptors, mirror=MIRROR)
    before = dictionary.words_.copy()
    dictionary.partial_fit(bag(1, 300).descriptors)
    assert not np.array_equal(dictionary.words_, before)
    dictionary.check_state()


def test_patches_can_be_paired() -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8) for seed in range(4)]
    model = BagEncoder(WhitenedPatches(), BagOfWords(KMeansDictionary(n_words=20)), mirror="pairs").fit(images)
    ours, theirs = model.transform([images[0], np.ascontiguousarray(images[0][:, ::-1])])
    np.testing.assert_allclose(theirs, ours, atol=0.05)
