"""FusionClassifier: its kernel next to float64 distances, its heads next to scikit-learn and to really leaving out."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import log_loss
from sklearn.utils import compute_class_weight
from tiny_images import TEXTURES, texture

from cvbow import storage
from cvbow.backends import BagEncoder, CensusPyramid, ChannelUnion, Gist
from cvbow.classify import FusionClassifier, ImageClassifier, KernelSVM, _directions, _fusion_kernel, make_classifier
from cvbow.classify._channels import channel_bounds, channel_weights
from cvbow.classify._directions import principal_directions
from cvbow.classify._fusion_kernel import fusion_kernel, spreads, squared_distances
from cvbow.classify._labels import targets
from cvbow.classify._ridge import left_out, ridge
from cvbow.classify._squared_hinge import factorize
from cvbow.classify._temperature import softmax
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT
from cvbow.parallel import default_jobs, single_threaded

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
WIDTHS = (20, 7, 1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


def data(n: int = 60, n_classes: int = 3, *, seed: int = 0) -> tuple[Float32, NDArray[np.intp]]:
    """Vectors of three channels, of different lengths, of classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centers = np.random.default_rng(99).standard_normal((n_classes, sum(WIDTHS)))
    X = centers[labels] + 1.4 * rng.standard_normal((n, sum(WIDTHS)))
    X[:, WIDTHS[0] :] *= 30
    return X.astype(np.float32), labels


def slices(widths: Any = WIDTHS) -> list[slice]:
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def plain_kernel(A: Any, B: Any, train: Any, weights: Any, widths: Any = WIDTHS) -> Float64:
    """The product of Gaussian kernels by its definition."""
    exponent = np.zeros((len(A), len(B)))
    for columns, weight in zip(slices(widths), weights, strict=True):
        a, b, own = (np.asarray(X[:, columns], np.float64) for X in (A, B, train))
        among = cdist(own, own, "sqeuclidean")
        mean = among.sum() / (len(own) * (len(own) - 1))
        exponent += weight * cdist(a, b, "sqeuclidean") / mean
    return np.exp(-exponent)


# The kernel.


@pytest.mark.parametrize("block", [(4096, 256), (3, 4)], ids=["whole", "in blocks"])
def test_the_kernel_next_to_its_definition(block: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fusion_kernel, "_COLUMNS", block[0])
    monkeypatch.setattr(_fusion_kernel, "_ROWS", block[1])
    (X, _), (Z, _) = data(), data(17, seed=1)
    weights = np.array([0.5, 1.5, 0.25])
    factors = weights / spreads(X, slices())
    np.testing.assert_allclose(
        fusion_kernel(X, Z, slices(), factors), plain_kernel(X, Z, X, weights), rtol=2e-5, atol=1e-9
    )
    own = fusion_kernel(X, None, slices(), factors)
    np.testing.assert_allclose(own, plain_kernel(X, X, X, weights), rtol=2e-5, atol=1e-9)
    np.testing.assert_array_equal(own, own.T)
    np.testing.assert_array_equal(np.diag(own), 1)


def test_spreads_are_mean_squared_distances_of_different_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fusion_kernel, "_NARROW", 6)
    X, _ = data(9)
    for columns, found in zip(slices(), spreads(X, slices()), strict=True):
        pairs = [np.sum((a - b) ** 2) for i, a in enumerate(X[:, columns]) for b in X[:i, columns].astype(np.float64)]
        assert found == pytest.approx(np.mean(pairs), rel=1e-6)


def test_distances_hold_next_to_a_large_common_offset() -> None:
    rng = np.random.default_rng(0)
    X = (1e4 + rng.standard_normal((30, 50))).astype(np.float32)
    exact = cdist(X.astype(np.float64), X.astype(np.float64), "sqeuclidean")
    np.testing.assert_allclose(squared_distances(X, None), exact, rtol=1e-4)
    np.testing.assert_allclose(squared_distances(X, X[:7]), exact[:, :7], rtol=1e-4, atol=1e-3)


@given(seed=st.integers(0, 999), n=st.integers(2, 12), d=st.integers(1, 9), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_a_kernel_is_one(seed: int, n: int, d: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    X = (scale * rng.integers(-2, 3, (n, d))).astype(np.float32)
    bounds = slices([d])
    means = spreads(X, bounds)
    K = fusion_kernel(X, None, bounds, np.divide(1, means, out=np.ones(1), where=means > 0))
    assert K.max() <= 1
    assert K.min() > 0
    np.testing.assert_allclose(K[cdist(X, X) == 0], 1, rtol=1e-5)
    assert np.linalg.eigvalsh(K).min() > -1e-5
    factorize(K)


# Kernel ridge regression.


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0, 2: 0.5}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_ridge_next_to_scikit_learn(n_classes: int, class_weight: Any) -> None:
    X, labels = data(60, n_classes)
    X, labels = X[10:], labels[10:]
    if class_weight == {0: 3.0, 2: 0.5} and n_classes == 2:
        class_weight = {0: 3.0}
    Z, _ = data(25, n_classes, seed=1)
    weights = {"a": 0.6, "b": 0.3, "c": 0.1}
    channels = dict(zip("abc", WIDTHS, strict=True))
    model = FusionClassifier(channels, weights=weights, alpha=0.2, class_weight=class_weight).fit(X, labels)
    assert model.dual_.shape == (50, 1 if n_classes == 2 else 3)
    counts = compute_class_weight(class_weight, classes=np.arange(n_classes), y=labels)[labels]
    y = targets(labels, n_classes)
    mean = np.average(y, axis=0, weights=counts)
    shares = list(weights.values())
    peer = KernelRidge(alpha=0.2, kernel="precomputed").fit(plain_kernel(X, X, X, shares), y - mean, counts)
    expected = peer.predict(plain_kernel(Z, X, X, shares)) + mean
    decisions = model.decision_function(Z)
    assert decisions.shape == ((25,) if n_classes == 2 else (25, 3))
    np.testing.assert_allclose(decisions.reshape(25, -1), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.5


@pytest.mark.parametrize("views", [1, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_answers_without_a_vector_are_those_of_leaving_it_out(weighted: bool, views: int) -> None:
    X, labels = data(24)
    y = targets(labels, 3)
    weights = np.random.default_rng(1).uniform(0.2, 3, 24) if weighted else np.ones(24)
    factor = factorize(plain_kernel(X, X, X, [0.5, 0.2, 0.1]))
    solution = ridge(factor, y, weights, 0.05)
    found = left_out(factor, y, weights, solution, views)
    b = solution[1]
    np.testing.assert_allclose(b, (weights[:, None] * y).sum(axis=0) / weights.sum())
    for i in range(24):
        rest = np.arange(24) // views != i // views
        part = factor[rest]
        normal = part.T @ (weights[rest, None] * part) + 0.05 * np.eye(24)
        w = np.linalg.solve(normal, part.T @ (weights[rest, None] * (y[rest] - b)))
        np.testing.assert_allclose(found[i], factor[i] @ w + b, atol=1e-8)
    assert np.abs(found - (factor @ solution[0] + b)).max() > 0.1


def test_ridge_in_parts_and_the_weight_of_a_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 6)), rng.standard_normal((40, 2))
    weights = rng.integers(1, 4, 40).astype(np.float64)
    whole = ridge(X, y, weights, 0.3)
    expected = left_out(X, y, weights, whole)
    monkeypatch.setattr("cvbow.classify._ridge._ROWS", 7)
    for a, b in zip(ridge(X, y, weights, 0.3)[:2], whole[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    np.testing.assert_allclose(left_out(X, y, weights, whole), expected, rtol=1e-9)
    rows = np.repeat(np.arange(40), weights.astype(int))
    copies = ridge(X[rows], y[rows], np.ones(len(rows)), 0.3)
    np.testing.assert_allclose(copies[0], whole[0], rtol=1e-9)
    np.testing.assert_allclose(copies[1], whole[1], rtol=1e-9)


# The SVM.


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_svm_of_one_channel_is_a_kernel_svm(n_classes: int) -> None:
    X, labels = data(60, n_classes)
    Z, _ = data(25, n_classes, seed=1)
    model = FusionClassifier(weights=[1.0], head="svm", C=3.0).fit(X, labels)
    peer = KernelSVM("rbf", gamma=float(model.factors_[0]), C=3.0).fit(X, labels)
    np.testing.assert_allclose(model.decision_function(Z), peer.decision_function(Z), atol=0.02)
    assert model.temperature_ == pytest.approx(peer.temperature_, rel=0.02)


# Channels.


def test_channels_in_every_form_and_weights_by_name_are_the_same() -> None:
    X, labels = data()
    names = dict(zip(("sift", "census", "gist"), WIDTHS, strict=True))
    columns = dict(zip(names, slices(), strict=True))
    shares = {"gist": 0.1, "sift": 0.4, "census": 0.3}
    reference = FusionClassifier(names, weights=shares).fit(X, labels)
    assert reference.channels_ == names
    for other in (
        FusionClassifier(columns, weights=shares).fit(X, labels),
        FusionClassifier(weights=shares).fit(X, labels, channels=columns),
        FusionClassifier(WIDTHS, weights=(0.4, 0.3, 0.1)).fit(X, labels),
        FusionClassifier(np.array(WIDTHS), weights=np.array([0.4, 0.3, 0.1])).fit(X, labels),
        # What the parameter says goes before what fit is told.
        FusionClassifier(names, weights=shares).fit(X, labels, channels={"all": 28}),
    ):
        np.testing.assert_array_equal(other.decision_function(X), reference.decision_function(X))
    equal = FusionClassifier(WIDTHS).fit(X, labels)
    np.testing.assert_allclose(equal.factors_ * spreads(X, slices()), 0.25)


@pytest.mark.parametrize("head", ["ridge", "svm"])
def test_a_channel_without_weight_or_without_difference_is_not_there(head: str) -> None:
    X, labels = data()
    Z, _ = data(20, seed=1)
    two = FusionClassifier(WIDTHS[:2], weights=(0.4, 0.3), head=head)
    expected = two.fit(X[:, :27], labels).decision_function(Z[:, :27])
    silent = FusionClassifier(WIDTHS, weights=(0.4, 0.3, 0), head=head).fit(X, labels)
    np.testing.assert_allclose(silent.decision_function(Z), expected, atol=1e-6)
    assert np.abs(FusionClassifier(WIDTHS, head=head).fit(X, labels).decision_function(Z) - expected).max() > 0.01
    for value in (0.0, 0.1, -1e6):
        for A in (X, Z):
            A[:, 27:] = value
        same = FusionClassifier(WIDTHS, weights=(0.4, 0.3, 0.5), head=head).fit(X, labels)
        np.testing.assert_allclose(same.decision_function(Z), expected, atol=1e-6)
    nothing = FusionClassifier(head=head).fit(np.zeros((6, 4)), [0, 1, 0, 1, 0, 1])
    assert np.isfinite(nothing.predict_proba(np.ones((2, 4)))).all()


@given(seed=st.integers(0, 99), scale=st.sampled_from([1e-3, 0.5, 300.0]), shift=st.sampled_from([0.0, -3.0, 40.0]))
@settings(max_examples=10)
def test_the_unit_and_the_origin_of_a_channel_and_the_order_of_vectors_do_not_matter(
    seed: int, scale: float, shift: float
) -> None:
    X, labels = data(30, seed=seed)
    Z, _ = data(10, seed=seed + 1)
    expected = FusionClassifier(WIDTHS).fit(X, labels).decision_function(Z)
    order = np.random.default_rng(seed).permutation(30)
    changed = []
    for A in (X, Z):
        B = A.copy()
        B[:, : WIDTHS[0]] = scale * (B[:, : WIDTHS[0]] + shift)
        changed.append(B)
    found = FusionClassifier(WIDTHS).fit(changed[0][order], labels[order]).decision_function(changed[1])
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ("abc", "channels must be widths by name, a sequence of widths, or None, got 'abc'"),
        (3, "channels must be widths by name, a sequence of widths, or None, got 3"),
        ((20, 8, 0), "channels must be an integer >= 1, got 0"),
        ((20, 8.0), "channels must be an integer >= 1, got 8.0"),
        ((20, 7), "channels must add up to the 28 values of a vector, got 27"),
        ((), "channels must add up to the 28 values of a vector, got 0"),
        ({"a": slice(0, 20), "b": slice(21, 28)}, "channels must follow one another without gaps, got"),
        ({"a": slice(8, 28), "b": slice(0, 8)}, "channels must follow one another without gaps, got"),
        ({"a": slice(0, 28, 2)}, "channels must follow one another without gaps, got"),
        ({"a": slice(0, 20), "b": slice(20, 20), "c": slice(20, 28)}, "channels must be an integer >= 1, got 0"),
    ],
)
def test_channels_that_do_not_fit_are_refused(channels: Any, message: str) -> None:
    X, labels = data()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        FusionClassifier(channels).fit(X, labels)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        FusionClassifier().fit(X, labels, channels=channels)


def test_open_slices_are_columns_too() -> None:
    assert channel_bounds({"a": slice(None, 3), "b": slice(3, None)}, 8) == {"a": slice(0, 3), "b": slice(3, 8)}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1, 1), "weights must be 3 numbers, one for each channel, not all 0, got (1, 1)"),
        ((0, 0, 0), "weights must be 3 numbers, one for each channel, not all 0, got (0, 0, 0)"),
        ((1, -1, 1), "weights must be a number >= 0, got -1"),
        ((1, float("nan"), 1), "weights must be a number >= 0, got nan"),
        ("abc", "weights must be 'learned', numbers by channel or None, got 'abc'"),
        (1.0, "weights must be numbers by channel or in the channels' order, got 1.0"),
        ({"a": 1, "b": 1}, "weights must have the names channel 0, channel 1, channel 2, got a, b"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: Any, message: str) -> None:
    X, labels = data()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FusionClassifier(WIDTHS, weights=weights).fit(X, labels)


def test_weights_of_one_kind_add_up_to_what_is_said() -> None:
    np.testing.assert_allclose(channel_weights(None, ["a", "b", "c"], 0.75), 0.25)


# Kept vectors.


@pytest.mark.parametrize("head", ["ridge", "svm"])
def test_all_landmarks_are_no_landmarks(head: str) -> None:
    X, labels = data()
    Z, _ = data(20, seed=1)
    plain = FusionClassifier(WIDTHS, head=head).fit(X, labels)
    for n in (60, 1000):
        model = FusionClassifier(WIDTHS, head=head, n_landmarks=n).fit(X, labels)
        np.testing.assert_array_equal(model.predict_proba(Z), plain.predict_proba(Z))
    nearly = FusionClassifier(WIDTHS, head=head, n_landmarks=59).fit(X, labels)
    assert nearly.landmarks_.shape == (59, 28)
    assert np.abs(nearly.decision_function(Z) - plain.decision_function(Z)).max() < 0.1


@pytest.mark.parametrize("n_landmarks", [1, 12])
def test_ridge_on_landmarks_next_to_its_definition(n_landmarks: int) -> None:
    X, labels = data()
    Z, _ = data(20, seed=1)
    weights = (0.3, 0.3, 0.3)
    model = FusionClassifier(WIDTHS, weights=weights, alpha=0.1, n_landmarks=n_landmarks).fit(X, labels)
    kept = model.landmarks_
    assert {row.tobytes() for row in kept} <= {row.tobytes() for row in X}
    # min |f - y|^2 + alpha a' K a over f = K(., kept) a; bandwidths are those of all vectors.
    K_all, K_own = plain_kernel(X, kept, X, weights), plain_kernel(kept, kept, X, weights)
    y = targets(labels, 3)
    dual = np.linalg.solve(K_all.T @ K_all + 0.1 * K_own, K_all.T @ (y - y.mean(axis=0)))
    expected = plain_kernel(Z, kept, X, weights) @ dual + y.mean(axis=0)
    np.testing.assert_allclose(model.decision_function(Z), expected, atol=1e-3)


@given(st.lists(st.integers(0, 3), min_size=5, max_size=40), st.integers(1, 39), st.integers(0, 5))
@settings(max_examples=30)
def test_landmarks_come_evenly_from_the_classes(found: list[int], n_landmarks: int, seed: int) -> None:
    labels = np.unique(found, return_inverse=True)[1]
    model = FusionClassifier(n_landmarks=n_landmarks, random_state=seed)
    kept = model._draw(labels)
    assert len(kept) == min(n_landmarks, len(labels))
    assert (np.diff(kept) > 0).all()
    drawn, there = (np.bincount(rows, minlength=labels.max() + 1) for rows in (labels[kept], labels))
    # A class has fewer than another, by more than one, only where it has no more to give.
    for few in np.flatnonzero(drawn < drawn.max() - 1):
        assert drawn[few] == there[few]


def noisy(n: int, seed: int) -> tuple[Float32, NDArray[np.intp]]:
    """Long vectors of classes that overlap: each is about as far from all others."""
    labels = np.arange(n) % 3
    centers = 0.175 * np.random.default_rng(7).standard_normal((3, 300))
    return (centers[labels] + np.random.default_rng(seed).standard_normal((n, 300))).astype(np.float32), labels


@pytest.mark.parametrize("parameters", [{}, {"n_landmarks": 60}, {"n_landmarks": 120}, {"n_components": 20}], ids=str)
@pytest.mark.parametrize("head", ["ridge", "svm"])
def test_probabilities_suit_vectors_that_were_not_there(head: str, parameters: dict[str, int]) -> None:
    (X, labels), (Z, truth) = noisy(150, 0), noisy(300, 1)
    model = FusionClassifier(head=head, **parameters).fit(X, labels)  # type: ignore[arg-type]
    decisions, found = model.decision_function(Z), model.predict_proba(Z)
    np.testing.assert_allclose(found, softmax(decisions * model.temperature_))
    np.testing.assert_array_equal(model.predict(Z), found.argmax(axis=1))
    best = min(log_loss(truth, softmax(decisions * factor)) for factor in np.geomspace(0.1, 100, 60))
    # A landmark that is left out of the losses but not of the map spoils this by 0.1 to 0.5.
    assert log_loss(truth, found) <= best + 0.07


# Channels described by fewer values.


def test_directions_next_to_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_directions, "_COLUMNS", 70)
    monkeypatch.setattr(_directions, "_ROWS", 8)
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((40, 6)) * [9, 7, 5, 4, 3, 2] @ rng.standard_normal((6, 300)) + 5).astype(np.float32)
    X += 0.1 * rng.standard_normal(X.shape).astype(np.float32)
    Z = X[:15] + rng.standard_normal((15, 300)).astype(np.float32)
    directions = principal_directions(X, 4)
    assert directions.bytes.shape == (4, 300)
    assert directions.bytes.dtype == np.int8
    assert np.abs(directions.bytes).max() == 127
    peer = PCA(4).fit(X)
    for A in (X, Z):
        found, expected = directions.apply(A), peer.transform(A)
        assert found.dtype == np.float32
        signs = np.sign((found * expected).sum(axis=0))
        np.testing.assert_allclose(found * signs, expected, atol=0.01 * expected.std())


@pytest.mark.parametrize(("n", "d"), [(6, 40), (40, 6)])
def test_all_directions_there_are_keep_all_distances(n: int, d: int) -> None:
    X = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    directions = principal_directions(X, 1000)
    assert len(directions.bytes) == min(n - 1, d)
    shortened = directions.apply(X)
    np.testing.assert_allclose(squared_distances(shortened, None), squared_distances(X, None), rtol=0.03)


def test_directions_of_many_vectors_are_nearly_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scales = np.concatenate([np.linspace(3, 1, 40), np.full(160, 0.3)])
    X = (rng.standard_normal((300, 200)) * scales).astype(np.float32)
    exact = principal_directions(X, 20).apply(X)
    monkeypatch.setattr(_directions, "_EXACT", 100)
    monkeypatch.setattr(_directions, "qr", counted := Counted(_directions.qr))
    nearly = principal_directions(X, 20).apply(X)
    assert counted.calls == _directions._ITERATIONS
    np.testing.assert_allclose(nearly.var(axis=0), exact.var(axis=0), rtol=0.02)
    assert nearly.var(axis=0).sum() == pytest.approx(exact.var(axis=0).sum(), rel=1e-3)


class Counted:
    """A function that knows how often it was called."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.function(*args, **kwargs)


def test_vectors_that_do_not_differ_have_no_directions() -> None:
    X = np.full((5, 30), 0.1, np.float32)
    directions = principal_directions(X, 3)
    assert directions.bytes.shape == (0, 30)
    assert directions.apply(X[:2]).shape == (2, 0)
    model = FusionClassifier((30, 4), n_components=3)
    rng = np.random.default_rng(0)
    varied = np.hstack([np.repeat(X, 4, axis=0), rng.standard_normal((20, 4))])
    varied[::2, 30] += 9
    model.fit(varied, np.arange(20) % 2)
    assert model.score(varied, np.arange(20) % 2) == 1


def test_wide_channels_alone_are_described_by_fewer_values() -> None:
    X, labels = data(120)
    Z, truth = data(200, seed=1)
    plain = FusionClassifier(WIDTHS).fit(X, labels)
    for n_components in (28, 20):
        same = FusionClassifier(WIDTHS, n_components=n_components).fit(X, labels)
        assert same.directions_ == {}
        np.testing.assert_array_equal(same.decision_function(Z), plain.decision_function(Z))
    few = FusionClassifier(WIDTHS, n_components=7).fit(X, labels)
    assert {name: parts[2].shape for name, parts in few.directions_.items()} == {"channel 0": (7, 20)}
    assert few.landmarks_.shape == (120, 7 + 7 + 1)
    assert few.score(Z, truth) >= plain.score(Z, truth) - 0.03
    assert np.abs(few.decision_function(Z) - plain.decision_function(Z)).max() > 1e-3
    fewer = FusionClassifier(WIDTHS, n_components=2, n_landmarks=30).fit(X, labels)
    assert fewer.landmarks_.shape == (30, 2 + 2 + 1)
    assert fewer.score(Z, truth) > 0.5


# Of any classifier.


FORMS: list[dict[str, Any]] = [
    {},
    {"head": "svm"},
    {"n_landmarks": 20},
    {"n_landmarks": 20, "head": "svm"},
    {"n_components": 4},
    {"n_components": 4, "n_landmarks": 20},
]


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_the_same_for_any_number_of_workers_and_after_a_round_trip(
    parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_fusion_kernel, _directions):
        monkeypatch.setattr(module, "_ROWS", 7)
        monkeypatch.setattr(module, "_COLUMNS", 5)
    X, labels = data()
    Z, _ = data(20, seed=1)
    before = X.copy()
    digests = set()
    for n_jobs in (1, 2):
        with default_jobs(n_jobs):
            model = FusionClassifier(WIDTHS, **parameters).fit(X, labels)
            digests.add(storage.save(tmp_path / "model.cvbow", kind="test", state=model, metadata={}))
            answers = model.predict_proba(Z)
    assert len(digests) == 1
    np.testing.assert_array_equal(X, before)
    loaded = storage.load(tmp_path / "model.cvbow", kind="test").state
    for other in (loaded, pickle.loads(pickle.dumps(model)), clone(model).fit(X, labels)):
        np.testing.assert_array_equal(other.predict_proba(Z), answers)
        assert other.get_params() == model.get_params()
    np.testing.assert_allclose([model.predict_proba(row[None])[0] for row in Z], answers, atol=1e-5)


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_duplicates_and_contradictions_in_training(parameters: dict[str, Any]) -> None:
    X, labels = data(30)
    X, labels = np.concatenate([X, X, X[:5]]), np.concatenate([labels, labels, (labels[:5] + 1) % 3])
    model = FusionClassifier(WIDTHS, **parameters).fit(X, labels)
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.score(X[:60], labels[:60]) >= 0.85


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_two_vectors_are_enough(parameters: dict[str, Any]) -> None:
    model = FusionClassifier(**parameters).fit(np.array([[0.0] * 6, [1.0] * 6]), ["no", "yes"])
    assert model.predict(np.array([[0.1] * 6, [0.9] * 6])).tolist() == ["no", "yes"]
    assert model.decision_function(np.zeros((1, 6))).shape == (1,)


def test_a_lone_vector_of_a_class_and_of_the_only_landmark() -> None:
    X, labels = data(30)
    labels[:] = 0
    labels[7] = 1
    for n_landmarks in (None, 1, 2, 29):
        model = FusionClassifier(WIDTHS, n_landmarks=n_landmarks).fit(X, labels)
        assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"head": "tree"}, "head must be one of ridge, svm, got 'tree'"),
        ({"alpha": 0}, "alpha must be a number > 0, got 0"),
        ({"C": -1}, "C must be a number > 0, got -1"),
        ({"n_components": 0}, "n_components must be None or an integer >= 1, got 0"),
        ({"n_components": 2.5}, "n_components must be None or an integer >= 1, got 2.5"),
        ({"n_landmarks": 0}, "n_landmarks must be None or an integer >= 1, got 0"),
        ({"random_state": None}, "random_state must be an integer >= 0, got None"),
        ({"class_weight": "even"}, "class_weight must be one of balanced, got 'even'"),
    ],
)
def test_a_bad_parameter_is_refused(parameters: dict[str, Any], message: str) -> None:
    X, labels = data()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FusionClassifier(**parameters).fit(X, labels)


def test_before_fit_and_with_other_vectors() -> None:
    X, labels = data()
    with pytest.raises(NotFittedError):
        FusionClassifier().decision_function(X)
    with pytest.raises(ValueError, match="X has 27 features, but FusionClassifier is expecting 28 features"):
        FusionClassifier().fit(X, labels).predict(X[:, 1:])
    with pytest.raises(ValueError, match="y must have at least two classes, got 1"):
        FusionClassifier().fit(X, np.zeros(60))


def test_a_state_that_does_not_fit_is_refused() -> None:
    X, labels = data()
    spoilt: dict[str, Any] = {
        "dual_": np.zeros((59, 3)),
        "intercept_": np.zeros(2),
        "landmarks_": X[:, :27],
        "factors_": np.ones(2),
        "channels_": {"a": 20, "b": 7, "c": 2},
        "directions_": {"channel 0": (np.zeros(19, np.float32), np.zeros(20, np.float32), np.zeros((3, 20), np.int8))},
        "alpha": 0,
    }
    for name, value in spoilt.items():
        model = FusionClassifier(WIDTHS).fit(X, labels)
        storage.check_state(model)
        setattr(model, name, value)
        with pytest.raises((ValueError, KeyError)):
            storage.check_state(model)


# In a model of images.


def textures(n: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
    rng = np.random.default_rng(5)
    labels = [name for _ in range(n) for name in TEXTURES]
    return [texture(name, size=48, rng=rng) for name in labels], labels


@pytest.mark.parametrize("name", ["kernel-ridge", "rbf-fusion"])
def test_a_union_of_channels_tells_the_classifier_its_columns(name: str, tmp_path: Path) -> None:
    images, labels = textures(5)
    words = BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=8)), sample=400)
    union = ChannelUnion([("words", words), ("census", CensusPyramid(radii=(1,))), ("gist", Gist(size=48))])
    shares = {"words": 0.2, "census": 0.5, "gist": 0.3}
    classifier = make_classifier(name, weights=shares, n_components=10)
    digests = set()
    for n_jobs in (2, 1):
        model = ImageClassifier(clone(union).set_params(n_jobs=n_jobs), classifier).fit(images, labels)
        digests.add(model.save(tmp_path / "model.cvbow"))
    assert len(digests) == 1
    widths = {key: columns.stop - columns.start for key, columns in model.backend_.channel_slices.items()}
    assert model.classifier_.channels_ == widths
    assert list(model.classifier_.directions_) == ["census", "gist"]
    new, truth = textures(3)
    answers = model.predict_proba(new)
    assert (model.predict(new) == truth).all()
    loaded = ImageClassifier.load(tmp_path / "model.cvbow", n_jobs=2)
    np.testing.assert_array_equal(loaded.predict_proba(new), answers)
    assert loaded.save(tmp_path / "again.cvbow") in digests
    # The same as told by hand.
    by_hand = clone(classifier).fit(model.backend_.transform(images), labels, channels=widths)
    np.testing.assert_array_equal(by_hand.predict_proba(model.backend_.transform(new)), answers)
    with pytest.raises(ValueError, match="weights must have the names words, census, gist, got words"):
        ImageClassifier(union, make_classifier(name, weights={"words": 1.0})).fit(images, labels)
