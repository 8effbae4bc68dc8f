"""LinearSVM on standardised vectors: next to vectors that were standardised before, and without a copy of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.classify import LinearSVM, _squared_hinge, _standardize
from cvbow.classify._squared_hinge import gram
from cvbow.classify._standardize import standardization
from cvbow.parallel import default_jobs, single_threaded

Float32 = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small products gain nothing from threads, and lose much on a busy machine."""
    with single_threaded():
        yield


#: More vectors than values, and fewer: the two ways of LinearSVM.
SHAPES = {"direct": (150, 12), "gram": (40, 100)}
ways = pytest.mark.parametrize("way", SHAPES)


def vectors(n: int, d: int, n_classes: int = 3, seed: int = 0) -> tuple[Float32, NDArray[np.intp]]:
    """Classes that overlap, in values of very different units, most of them far from zero."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    X = rng.standard_normal((n, d)) + 1.2 * rng.standard_normal((n_classes, d))[labels] / np.sqrt(d / 8)
    units = 10.0 ** np.random.default_rng(99).uniform(-3, 3, d)
    return ((X + 4) * units).astype(np.float32), labels


def standardized(X: Float32, like: Float32) -> NDArray[np.float64]:
    return (X - like.mean(axis=0, dtype=np.float64)) / like.std(axis=0, dtype=np.float64) / np.sqrt(X.shape[1])


@ways
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_next_to_vectors_that_were_standardised_before(way: str, n_classes: int, C: float) -> None:
    X, labels = vectors(*SHAPES[way], n_classes)
    held_out, _ = vectors(70, SHAPES[way][1], n_classes, seed=1)
    ours = LinearSVM(C=C, standardize=True).fit(X, labels)
    theirs = LinearSVM(C=C).fit(standardized(X, X), labels)
    expected = theirs.decision_function(standardized(held_out, X))
    np.testing.assert_allclose(ours.decision_function(held_out), expected, atol=0.01 * np.ptp(expected))
    assert ours.temperature_ == pytest.approx(theirs.temperature_, rel=0.05)
    assert ours.coef_.dtype == np.float32
    # Without, the values of large units are all that counts.
    plain = LinearSVM(C=C).fit(X, labels).decision_function(held_out)
    assert np.abs(plain - expected).max() > 0.2 * np.ptp(expected)


@ways
@given(st.lists(st.integers(-20, 20), min_size=100, max_size=100))
@settings(max_examples=15)
def test_the_unit_of_a_value_changes_no_bit(way: str, exponents: list[int]) -> None:
    X, labels = vectors(*SHAPES[way])
    scales = np.ldexp(np.float32(1), exponents[: X.shape[1]]).astype(np.float32)
    one, other = (LinearSVM(standardize=True).fit(data, labels) for data in (X, X * scales))
    np.testing.assert_array_equal(other.coef_ * scales, one.coef_)
    np.testing.assert_array_equal(other.decision_function(X * scales), one.decision_function(X))


@ways
def test_where_a_value_starts_changes_nothing(way: str) -> None:
    X, labels = vectors(*SHAPES[way])
    shifted = X + 50 * X.std(axis=0)
    one, other = (LinearSVM(standardize=True).fit(data, labels) for data in (X, shifted))
    np.testing.assert_allclose(other.decision_function(shifted), one.decision_function(X), atol=0.01)


@ways
@pytest.mark.parametrize("value", [0.0, 0.1, -3e30])
def test_a_value_that_does_not_vary_counts_for_nothing(way: str, value: float) -> None:
    X, labels = vectors(*SHAPES[way])
    wide = np.insert(X, 5, np.float32(value), axis=1)
    one, other = LinearSVM(standardize=True).fit(X, labels), LinearSVM(standardize=True).fit(wide, labels)
    np.testing.assert_array_equal(other.coef_[:, 5], 0)
    np.testing.assert_allclose(np.delete(other.coef_, 5, axis=1), one.coef_, rtol=0.02, atol=0.02 / X.std(axis=0).min())
    moved = wide.copy()
    moved[:, 5] = 7
    np.testing.assert_array_equal(other.decision_function(moved), other.decision_function(wide))


@pytest.mark.parametrize("d", [1, 5])
def test_vectors_that_are_all_equal(d: int) -> None:
    X = np.full((9, d), 0.1, np.float32)
    model = LinearSVM(standardize=True).fit(X, ["often"] * 6 + ["seldom"] * 3)
    assert set(model.predict(X)) == {"often"}
    assert not model.coef_.any()


def test_next_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    # Several blocks to a part, and parts and blocks of uneven size.
    monkeypatch.setattr(_standardize, "_BLOCK", 3000)
    X = vectors(403, 300)[0]
    found = standardization(X)
    np.testing.assert_allclose(found.mean, X.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.scale, 1 / X.std(axis=0, dtype=np.float64) / np.sqrt(300), rtol=1e-10)
    done = found.apply(X, slice(0, 300))
    np.testing.assert_allclose(done, standardized(X, X), atol=1e-9)
    np.testing.assert_allclose((done**2).sum(axis=1).mean(), 1)


def test_what_counts_as_no_variation() -> None:
    rounded = np.full(50, 0.1, np.float32)
    rounded[7] = np.nextafter(rounded[7], np.float32(1))
    little = np.full(50, 1000, np.float32)
    little[::2] += 1
    tiny = np.linspace(0, 1e-40, 50, dtype=np.float32)
    small = np.linspace(0, 1e-20, 50, dtype=np.float32)
    found = standardization(np.stack([rounded, little, tiny, small, np.zeros(50, np.float32)], axis=1))
    np.testing.assert_array_equal(found.scale > 0, [False, True, False, True, False])
    assert found.scale[1] == pytest.approx(2 / np.sqrt(2))


def test_the_gram_matrix_of_standardised_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    X = vectors(20, 50)[0]
    Z = standardized(X, X)
    monkeypatch.setattr(_squared_hinge, "_GRAM_COLUMNS", 16)
    np.testing.assert_allclose(gram(X, standardization(X)), Z @ Z.T, atol=1e-9)


@pytest.mark.parametrize("standardize", [False, True])
def test_vectors_are_not_copied(standardize: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (3000, 1500)).astype(np.float32)
    labels = np.arange(3000) % 3
    X[labels == 1, :700] += 0.2
    X[labels == 2, 700:] += 0.2
    model = LinearSVM(C=0.1, standardize=standardize, max_iter=3)
    with single_threaded(), default_jobs(2):
        model.fit(X[:20], labels[:20])  # what is imported on first use is no part of it
        tracemalloc.start()
        model.fit(X, labels)
        model.predict_proba(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert model.score(X, labels) > 0.9
    assert peak < X.nbytes / 3


def test_neither_the_workers_nor_a_second_run_changes_a_bit() -> None:
    X, labels = vectors(2200, 6)
    models = []
    for n_jobs in (1, 2, 2):
        with single_threaded(), default_jobs(n_jobs):
            models.append(LinearSVM(standardize=True).fit(X, labels))
    for other in models[1:]:
        np.testing.assert_array_equal(other.coef_, models[0].coef_)
        np.testing.assert_array_equal(other.intercept_, models[0].intercept_)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_a_bad_parameter_is_named(value: object) -> None:
    X, labels = vectors(10, 3)
    with pytest.raises(ValueError, match=f"standardize must be True or False, got {value!r}"):
        LinearSVM(standardize=value).fit(X, labels)  # type: ignore[arg-type]
