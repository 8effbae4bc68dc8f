"""What each descriptor gave to an encoded vector: complete, right for each descriptor, and the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import all_words, bag, dictionary, random_bag
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from test_contracts import ENCODERS, fitted_encoder
from test_mirror_pairs import PAIRING, fitted, mirrored
from test_mirror_pairs import bag as paired_bag

from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary
from cvbow.encoders import (
    LLC,
    VLAD,
    BagOfWords,
    Encoder,
    FisherVector,
    KernelCodebook,
    NearWords,
    SoftThreshold,
    SpatialPyramid,
    Triangle,
    _shares,
)
from cvbow.features import Features


def check(encoder: Encoder, features: Features, seed: int) -> None:
    """The shares sum to the product, but for what a nearly cancelling value keeps back: never more than it is."""
    weights = np.random.default_rng(seed).normal(size=encoder.vector_length)
    values = encoder.encode(features).astype(np.float64) * weights
    shares = encoder.shares(features, weights)
    assert shares.shape == (len(features),)
    assert shares.dtype == np.float64
    assert np.isfinite(shares).all()
    assert abs(values.sum() - shares.sum()) <= (0.05 if cancels(encoder) else 1e-6) * np.abs(values).sum()
    np.testing.assert_array_equal(encoder.shares(features, weights), shares)
    order = np.random.default_rng(seed).permutation(len(features))
    again = encoder.shares(features.take(order), weights)
    np.testing.assert_allclose(again, shares[order], atol=2e-4 * np.abs(shares).max(initial=1e-30))


def cancels(encoder: Any) -> bool:
    """Whether parts of a value have both signs."""
    return (
        cancels(encoder.encoder)
        if isinstance(encoder, SpatialPyramid)
        else isinstance(encoder, VLAD | FisherVector | LLC)
    )


@pytest.mark.parametrize("name", ENCODERS)
@settings(max_examples=8)
@given(st.integers(0, 40), st.integers(0, 1000))
def test_shares_sum_to_the_product(name: str, n: int, seed: int) -> None:
    check(fitted_encoder(name), random_bag(n, seed=seed), seed)


@pytest.mark.parametrize("name", PAIRING)
@settings(max_examples=8)
@given(st.integers(0, 60), st.integers(0, 1000))
def test_words_in_mirrored_pairs(name: str, n: int, seed: int) -> None:
    encoder, features = fitted(name), paired_bag(seed, n)
    check(encoder, features, seed)
    # An image and its mirror have one vector: so does each point and its mirror have one share.
    weights = np.random.default_rng(seed).normal(size=encoder.vector_length)
    shares = encoder.shares(features, weights)
    other = encoder.shares(mirrored(features), weights)
    np.testing.assert_allclose(other, shares, atol=1e-2 * np.abs(shares).max(initial=1e-30))


WORDS = KMeansDictionary(n_words=6)
ADDITIVE: dict[str, Any] = {
    "counts": BagOfWords(WORDS, normalization="none"),
    "soft": KernelCodebook(WORDS, pooling="sum", normalization="none"),
    "llc": LLC(WORDS, pooling="sum", normalization="none"),
    "triangle": Triangle(WORDS),
    "soft threshold": SoftThreshold(WORDS),
    "near words": NearWords(WORDS),
    "vlad": VLAD(WORDS, power=1, intra_normalization=False, normalization="none"),
    "vlad on axes": VLAD(WORDS, power=1, intra_normalization=False, normalization="none", residual_pca=4),
    "unit vlad": VLAD(WORDS, power=1, intra_normalization=False, normalization="none", unit_residuals=True),
    "fisher": FisherVector(GaussianMixtureDictionary(n_words=4), power=1, normalization="none"),
}


@pytest.mark.parametrize("grids", [("1x1",), ("1x1", "2x2", "1x3")])
@pytest.mark.parametrize("name", ADDITIVE)
def test_where_a_vector_is_a_sum_a_share_is_that_of_the_descriptor_alone(
    name: str, grids: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shares, "_LEAST", 0.0)
    encoder = SpatialPyramid(ADDITIVE[name], grids=grids, normalization="none")
    encoder.fit([random_bag(40, seed=seed) for seed in range(5)])
    features = random_bag(30, seed=9)
    weights = np.random.default_rng(1).normal(size=encoder.vector_length)
    if name == "fisher":
        # Of means over a cell's points, each is worth one by their number.
        columns, rows = np.array([[int(side) for side in grid.split("x")] for grid in grids]).T
        x, y = ((features.points[:, :2] + 0.5) / features.image_size).T
        starts = np.concatenate([[0], np.cumsum(columns * rows)[:-1]])
        cells = starts + (y[:, None] * rows).astype(int) * columns + (x[:, None] * columns).astype(int)
        sizes = np.maximum(np.bincount(cells.ravel(), minlength=int((columns * rows).sum())), 1)
        scaled = weights / np.repeat(sizes, encoder.encoder_.vector_length)
    else:
        scaled = weights
    alone = [encoder.encode(features.take(np.array([row]))).astype(np.float64) @ scaled for row in range(30)]
    shares = encoder.shares(features, weights)
    np.testing.assert_allclose(shares, alone, atol=1e-4 * np.abs(alone).max())


def test_a_histogram_by_hand() -> None:
    encoder = BagOfWords(dictionary(3)).fit(all_words(3))
    features = bag([0, 0, 0, 2])
    words = encoder.words(features).word
    weights = np.zeros(3)
    weights[words[0]], weights[words[3]] = 3, -1
    # Roots of the shares 3/4 and 1/4; the first is of three descriptors.
    third = np.sqrt(3 / 4)
    np.testing.assert_allclose(encoder.shares(features, weights), [third, third, third, -1 / 2], rtol=1e-6)


def test_a_maximum_belongs_to_those_that_have_it() -> None:
    encoder = KernelCodebook(
        dictionary(2), sigma=8.0, n_nearest=1, ambiguity="kernel", pooling="max", normalization="none"
    )
    encoder.fit(all_words(2))
    descriptors = np.array([[1, 0], [0, 0], [0, 0], [0, 2]], np.float32)
    features = Features(np.zeros((4, 4), np.float32), descriptors, (40, 40))
    assert encoder.encode(features).max() == 1
    np.testing.assert_allclose(encoder.shares(features, np.ones(2)), [0, 0.5, 0.5, 0])


def test_an_encoder_without_shares_says_so() -> None:
    class Means(Encoder):
        def fit(self, features_sample: Any, y: object = None) -> Any:
            return self

        @property
        def vector_length(self) -> int:
            return 8

        def encode(self, features: Features) -> Any:
            return features.descriptors.sum(axis=0)

    assert not Means().has_shares
    assert not SpatialPyramid(Means()).has_shares
    with pytest.raises(ValueError, match="Means cannot tell what each descriptor gave"):
        Means().shares(random_bag(3), np.ones(8))


def test_weights_must_fit() -> None:
    encoder = clone(ENCODERS["bag-of-words"]).fit([random_bag(20)])
    with pytest.raises(ValueError, match=r"weights must have shape \(9,\), got \(3,\)"):
        encoder.shares(random_bag(3), np.ones(3))
