"""VLAD: sums of differences against the definition and by hand, its options, its promises, and VLFeat."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags import random_bag
from hypothesis import given
from hypothesis import strategies as st
from mixtures import draw, random_mixture
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary
from cvbow.encoders import VLAD, Cells
from cvbow.errors import ModelFileError
from cvbow.features import Features

PLAIN: dict[str, Any] = {"power": 1, "intra_normalization": False, "normalization": "none"}


def words(n_words: int, k: int, seed: int = 0) -> NDArray[np.float32]:
    return 2 * np.random.default_rng(seed).standard_normal((n_words, k)).astype(np.float32)


def encoder_of(learned: Any, **settings: Any) -> VLAD:
    """An encoder that has learned just these words."""
    encoder = VLAD(**settings)
    encoder.dictionary_ = KMeansDictionary(n_words=len(learned))
    encoder.dictionary_.words_ = np.asarray(learned, np.float32)
    return encoder


def features_of(descriptors: Any) -> Features:
    rows = np.atleast_2d(np.asarray(descriptors, np.float32))
    return Features(np.zeros((len(rows), 4), np.float32), rows, (40, 40))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.sqrt((rows**2).sum(axis=-1, keepdims=True))
    return np.where(length > 0, rows / np.where(length > 0, length, 1), 0)


def oracle(encoder: VLAD, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The definition, one descriptor at a time."""
    learned = encoder.dictionary_.words_.astype(np.float64)
    parts = np.zeros_like(learned)
    for row in x.astype(np.float64):
        word = int(np.argmin(((learned - row) ** 2).sum(axis=1)))
        difference = row - learned[word]
        parts[word] += unit(difference) if encoder.unit_residuals else difference
    if encoder.residual_pca is not None:
        parts = np.stack([part @ axes for part, axes in zip(parts, encoder.axes_.astype(np.float64), strict=True)])
    parts = np.sign(parts) * np.abs(parts) ** encoder.power
    if encoder.intra_normalization:
        parts = unit(parts)
    return unit(parts.ravel()) if encoder.normalization == "l2" else parts.ravel()


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intra_normalization", [False, True])
@pytest.mark.parametrize("unit_residuals", [False, True])
@pytest.mark.parametrize("power", [1, 0.5, 0.2])
@pytest.mark.parametrize("normalization", ["l2", "none"])
def test_the_sums_are_those_of_the_definition(
    intra_normalization: bool, unit_residuals: bool, power: float, normalization: str
) -> None:
    encoder = encoder_of(
        words(6, 4),
        intra_normalization=intra_normalization,
        unit_residuals=unit_residuals,
        power=power,
        normalization=normalization,
    )
    x = draw(random_mixture(6, 4), 70, seed=1)
    vector = encoder.encode(features_of(x))
    assert vector.dtype == np.float32
    assert vector.shape == (24,) == (encoder.vector_length,)
    np.testing.assert_allclose(vector, oracle(encoder, x), rtol=1e-4, atol=1e-5)


def test_two_words_by_hand() -> None:
    learned = [[0, 0], [10, 0]]
    x = [[1, 0], [0, 2], [2, 2], [13, -4]]
    # Differences: (1, 0), (0, 2), (2, 2) sum to (3, 4), of length 5; (3, -4), of length 5.
    assert encoder_of(learned, **PLAIN).encode(features_of(x)).tolist() == [3, 4, 3, -4]
    intra = encoder_of(learned, power=1, normalization="none").encode(features_of(x))
    np.testing.assert_allclose(intra, [0.6, 0.8, 0.6, -0.8])
    rooted = encoder_of(learned, intra_normalization=False, normalization="none").encode(features_of(x))
    np.testing.assert_allclose(rooted, [np.sqrt(3), 2, np.sqrt(3), -2], rtol=1e-6)
    # The squares of a word's roots sum to 7.
    both = encoder_of(learned, normalization="none").encode(features_of(x))
    np.testing.assert_allclose(both, rooted / np.sqrt(7), rtol=1e-6)
    np.testing.assert_allclose(encoder_of(learned).encode(features_of(x)), both / np.sqrt(2), rtol=1e-6)
    units = encoder_of(learned, **PLAIN, unit_residuals=True).encode(features_of(x))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(units, [1 + half, 1 + half, 0.6, -0.8], rtol=1e-6)


def test_a_word_without_descriptors_is_zero() -> None:
    vector = encoder_of([[0, 0], [10, 0], [0, 50]]).encode(features_of([[1, 1], [11, 2]]))
    assert vector[4:].tolist() == [0, 0]
    assert (vector[:4] != 0).all()


def test_vlfeat_does_the_same_in_the_same_order() -> None:
    peer = pytest.importorskip("cyvlfeat.vlad", reason="needs cyvlfeat")
    learned = words(6, 4)
    x = draw(random_mixture(6, 4), 70, seed=1)
    encoder = encoder_of(learned)
    assignments = np.eye(6, dtype=np.float32)[encoder.dictionary_.predict(x)]
    for intra, power in ((True, 0.5), (False, 0.5), (True, 1), (False, 1)):
        theirs = peer.vlad(x, learned, assignments, square_root=power == 0.5, normalize_components=intra)
        mine = encoder_of(learned, intra_normalization=intra, power=power).encode(features_of(x))
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


# --- principal axes of the differences ------------------------------------------------------------------------------


def test_the_axes_are_each_words_own() -> None:
    # Around each of two words, differences of much variance along one direction of its own.
    rng = np.random.default_rng(0)
    directions = unit(np.array([[1.0, 1, 0], [0, 1, -2]]))
    spread = rng.standard_normal((2, 500, 1)) * directions[:, None] + 0.05 * rng.standard_normal((2, 500, 3))
    x = (spread + np.array([[[0, 0, 0]], [[30, 0, 0]]])).reshape(-1, 3).astype(np.float32)
    encoder = VLAD(KMeansDictionary(n_words=2), residual_pca=3).fit([features_of(x)])
    assert encoder.axes_.shape == (2, 3, 3)
    order = np.argsort(encoder.dictionary_.words_[:, 0])
    # An axis points where its largest value is positive.
    expected = directions * np.array([[1], [-1]])
    np.testing.assert_allclose(encoder.axes_[order, :, 0], expected, atol=0.02)
    np.testing.assert_allclose(
        np.einsum("wij,wik->wjk", encoder.axes_, encoder.axes_), np.tile(np.eye(3), (2, 1, 1)), atol=1e-5
    )
    turned = np.einsum("wnk,wkj->wnj", spread[np.argsort(order)], encoder.axes_)
    variances = (turned**2).mean(axis=1)
    assert (np.diff(variances, axis=1) < 0.01).all()
    assert (variances[:, 0] > 100 * variances[:, 1]).all()


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_the_kept_axes_are_those_of_the_definition(kept: int) -> None:
    sample = random_bag(200, 5)
    encoder = VLAD(KMeansDictionary(n_words=4), residual_pca=kept).fit([sample])
    assert encoder.vector_length == 4 * kept
    x = random_bag(40, 5, seed=1).descriptors
    np.testing.assert_allclose(encoder.encode(features_of(x)), oracle(encoder, x), atol=1e-4)


def test_turning_alone_keeps_lengths_and_products() -> None:
    sample = random_bag(200, 5)
    turned = VLAD(KMeansDictionary(n_words=4), residual_pca=5, **PLAIN).fit([sample])
    straight = VLAD(KMeansDictionary(n_words=4), **PLAIN).fit([sample])
    bags = [random_bag(30, 5, seed=seed) for seed in range(5)]
    a, b = (np.stack([encoder.encode(bag) for bag in bags]) for encoder in (turned, straight))
    assert np.abs(a - b).max() > 0.1
    np.testing.assert_allclose(a @ a.T, b @ b.T, rtol=1e-4, atol=1e-3)


def test_a_word_of_few_differences_borrows_from_the_others() -> None:
    # The second word has one descriptor, hence no axes of its own.
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2)).astype(np.float32) * np.float32([1, 10])
    x = np.concatenate([x, np.float32([[1000, 0]])])
    encoder = VLAD(KMeansDictionary(n_words=2, max_iter=100, tol=0), residual_pca=2).fit([features_of(x)])
    lone = int(np.argmax(encoder.dictionary_.words_[:, 0]))
    assert encoder.dictionary_.words_[lone].tolist() == [1000, 0]
    np.testing.assert_allclose(encoder.axes_[lone], encoder.axes_[1 - lone], atol=1e-4)
    np.testing.assert_allclose(np.abs(encoder.axes_[lone][:, 0]), [0, 1], atol=0.05)


# --- cells ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.booleans())
def test_cells_are_encoded_as_their_points_alone(seed: int, intra_normalization: bool) -> None:
    rng = np.random.default_rng(seed)
    encoder = encoder_of(words(5, 3), intra_normalization=intra_normalization)
    features = features_of(3 * rng.standard_normal((50, 3)))
    cells = [np.zeros(50, np.intp), 1 + rng.integers(0, 3, 50), 4 + rng.integers(0, 4, 50)]
    vectors = encoder.encode_cells(features, Cells(cells, 9))
    assert vectors.dtype == np.float32
    for number in range(9):
        inside = next((np.flatnonzero(cell == number) for cell in cells if (cell == number).any()), np.arange(0))
        np.testing.assert_allclose(vectors[number], encoder.encode(features.take(inside)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), vectors.any(axis=1), atol=1e-6)


# --- promises -------------------------------------------------------------------------------------------------------


def test_fit_learns_the_dictionary_of_the_sample() -> None:
    bags = [random_bag(60, 5, seed=seed) for seed in range(3)]
    encoder = VLAD(KMeansDictionary(n_words=7)).fit(bags)
    direct = KMeansDictionary(n_words=7).fit(np.concatenate([bag.descriptors for bag in bags]))
    assert encoder.dictionary_.words_.tobytes() == direct.words_.tobytes()
    assert (encoder.n_words, encoder.vector_length, encoder.wants_documents) == (7, 35, False)


def test_the_default_dictionary_has_256_words() -> None:
    assert VLAD().fit([random_bag(400, 2)]).n_words == 256


def test_a_mixtures_means_are_words_too() -> None:
    encoder = VLAD(GaussianMixtureDictionary(n_words=3)).fit([random_bag(200, 4)])
    assert encoder.encode(random_bag(20, 4, seed=1)).shape == (12,)


@pytest.mark.parametrize("settings", [{}, {"unit_residuals": True}, {"power": 1}])
def test_differences_that_cancel_out_are_zero_and_not_noise(settings: dict[str, Any]) -> None:
    learned = np.float32([[0.1, 0.7], [30, 30]])
    offsets = np.random.default_rng(0).standard_normal((40, 2)) * 0.01
    x = np.concatenate([learned[0] + offsets, learned[0] - offsets])
    assert encoder_of(learned, **settings).encode(features_of(x)).tolist() == [0] * 4
    assert encoder_of(learned, **settings).encode(features_of(learned)).tolist() == [0] * 4


def test_the_sample_that_the_words_are_the_means_of_cancels_out() -> None:
    sample = random_bag(300, 3)
    encoder = VLAD(KMeansDictionary(n_words=4, max_iter=100, tol=0)).fit([sample])
    assert not encoder.encode(sample).any()
    assert encoder.encode(sample.take(np.arange(150))).all()


@given(st.integers(0, 10**6), st.sampled_from([1e-45, 1e-30, 1e-3, 1, 1e3, 1e15, 1e30, 3e37]))
def test_every_bag_has_a_finite_vector(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (scale * rng.standard_normal((rng.integers(1, 40), 3))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = 0
    for settings in ({}, {"unit_residuals": True}, PLAIN):
        assert np.isfinite(encoder_of(words(5, 3), **settings).encode(features_of(rows))).all()


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e20, 3e37])
def test_words_of_any_size(scale: float) -> None:
    rows = (scale * np.random.default_rng(0).standard_normal((60, 3))).astype(np.float32)
    encoder = VLAD(KMeansDictionary(n_words=4), residual_pca=3).fit([features_of(rows)])
    assert np.isfinite(encoder.axes_).all()
    assert np.isfinite(encoder.encode(features_of(rows[:20]))).all()


@given(st.integers(0, 10**6), st.booleans())
def test_order_and_repetition_of_points_do_not_matter(seed: int, unit_residuals: bool) -> None:
    rng = np.random.default_rng(seed)
    features = features_of(3 * rng.standard_normal((50, 3)))
    encoder = encoder_of(words(5, 3), unit_residuals=unit_residuals)
    vector = encoder.encode(features)
    np.testing.assert_allclose(encoder.encode(features.take(rng.permutation(50))), vector, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(features.take(np.tile(np.arange(50), 3))), vector, atol=1e-6)


def test_threads_do_not_change_a_bit() -> None:
    bags = [random_bag(9000, 4, seed=seed) for seed in range(2)]
    one, two = (VLAD(KMeansDictionary(n_words=6, n_jobs=n_jobs), residual_pca=4).fit(bags) for n_jobs in (1, 2))
    assert one.axes_.tobytes() == two.axes_.tobytes()
    assert one.encode(bags[0]).tobytes() == two.encode(bags[0]).tobytes()


@pytest.mark.parametrize("axes", [None, np.zeros((3, 3, 1), np.float32), np.zeros((3, 3, 2))])
def test_an_impossible_state_is_not_stored(axes: Any, tmp_path: Path) -> None:
    encoder = VLAD(KMeansDictionary(n_words=3), residual_pca=2).fit([random_bag(80, 3)])
    storage.check_state(encoder)
    encoder.axes_ = axes
    with pytest.raises(ValueError, match="axes_"):
        storage.check_state(encoder)
    with pytest.raises((ValueError, ModelFileError)):
        storage.save(tmp_path / "encoder.cvbow", kind="encoder", state=encoder, metadata={})


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"power": 0}, "power must be a number > 0 and <= 1, got 0"),
        ({"intra_normalization": 1}, "intra_normalization must be True or False, got 1"),
        ({"unit_residuals": "yes"}, "unit_residuals must be True or False, got 'yes'"),
        ({"residual_pca": 0}, "residual_pca must be an integer >= 1, got 0"),
        ({"residual_pca": 3}, "residual_pca must be at most the descriptors' 2 values, got 3"),
        ({"normalization": "l1"}, "normalization must be one of l2, none, got 'l1'"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        VLAD(KMeansDictionary(n_words=2), **parameters).fit([random_bag(10, 2)])


class NoWords(KMeansDictionary):
    """A dictionary that learns something else."""

    def fit(self, descriptors: Any, y: object = None) -> NoWords:
        self.words_ = np.zeros((2, 2), np.uint8)  # type: ignore[assignment]
        return self


def test_a_dictionary_of_other_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^dictionary must learn words_ of shape .* for VLAD, got NoWords"):
        VLAD(NoWords()).fit([random_bag(10, 2)])


def test_before_fit_and_with_other_descriptors() -> None:
    encoder = VLAD(KMeansDictionary(n_words=2))
    with pytest.raises(NotFittedError):
        encoder.encode(random_bag(3, 2))
    for name in ("n_words", "vector_length"):
        with pytest.raises(NotFittedError):
            getattr(encoder, name)
    with pytest.raises(ValueError, match="no descriptors"):
        encoder.fit([random_bag(0, 2)])
    encoder.fit([random_bag(30, 2)])
    with pytest.raises(ValueError, match=r"^descriptors must have 2 values each"):
        encoder.encode(random_bag(3, 4))
    with pytest.raises(NotFittedError):
        clone(encoder).encode(random_bag(3, 2))
