"""Linear classifiers on many vectors, in few passes, and on vectors in half precision, in memory or in a file."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression as Exact
from sklearn.svm import LinearSVC

from cvbow.classify import (
    LinearSVM,
    LogisticRegression,
    MultiLabelClassifier,
    TunedLinearSVM,
    _narrow,
    _quasi_newton,
    _squared_hinge,
)
from cvbow.classify._labels import targets
from cvbow.classify._narrow import blocks, wide
from cvbow.classify._quasi_newton import SampledCurvature
from cvbow.classify._squared_hinge import solve
from cvbow.classify._standardize import standardization
from cvbow.parallel import default_jobs, single_threaded

Float16, Float32, Float64 = NDArray[np.float16], NDArray[np.float32], NDArray[np.float64]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


@pytest.fixture
def _are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a hundred vectors count as many."""
    monkeypatch.setattr(_squared_hinge, "MANY", 100)


def vectors(n: int, d: int, n_classes: int = 3, seed: int = 0) -> tuple[Float32, NDArray[np.intp]]:
    """Classes that overlap, in directions along which vectors vary much and little; values that halves can hold."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    means = np.random.default_rng(99).standard_normal((n_classes, d))
    X = rng.standard_normal((n, d)) + 0.5 * means[labels] + 1
    X *= np.arange(1, d + 1) ** -0.5
    return (X / np.linalg.norm(X, axis=1).mean()).astype(np.float16).astype(np.float32), labels


def kept(folder: Path, X: Float32) -> NDArray[Any]:
    """Write vectors into a file in half precision, and return its map."""
    np.save(folder / "vectors.npy", X.astype(np.float16))
    return np.asarray(np.load(folder / "vectors.npy", mmap_mode="r"))


# Many vectors.


@pytest.mark.usefixtures("_are_many")
@pytest.mark.parametrize("C", [1e-4, 0.1, 10.0, 1000.0])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_few_passes_end_where_many_do(C: float, standardize: bool, n_classes: int) -> None:
    X, y = vectors(700, 40, n_classes)
    weights = np.random.default_rng(1).integers(1, 4, len(X)).astype(float)
    standard = standardization(X, weights) if standardize else None
    few = solve(X, targets(y, n_classes), weights, C=C, max_iter=100, standard=standard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_squared_hinge, "MANY", 10**9)
        data = X.astype(np.float64)
        many = solve(data, targets(y, n_classes), weights, C=C, max_iter=200, tol=1e-12, standard=standard)
    lines = [(w, b) if standard is None else standard.raw(w, b) for w, b, _ in (few, many)]
    found, reached = (data @ w + b for w, b in lines)
    np.testing.assert_allclose(found, reached, atol=2e-3 * np.ptp(reached))


@pytest.mark.usefixtures("_are_many")
@pytest.mark.parametrize("C", [0.3, 30.0])
def test_next_to_liblinear(C: float) -> None:
    X, y = vectors(600, 30)
    # The larger the scaling, the less LinearSVC penalises the intercept.
    other = LinearSVC(C=C, intercept_scaling=100, tol=1e-7, max_iter=20_000).fit(X.astype(np.float64), y)
    ours = LinearSVM(C=C).fit(X, y)
    expected = other.decision_function(X)
    np.testing.assert_allclose(ours.decision_function(X), expected, atol=4e-3)
    assert np.sqrt(((ours.decision_function(X) - expected) ** 2).mean()) < 1e-3
    np.testing.assert_array_equal(ours.predict(X), other.predict(X))


@pytest.mark.usefixtures("_are_many")
def test_there_are_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = vectors(1200, 200)
    products = []
    forward = _squared_hinge.Inputs.forward

    def counted(self: Any, w: Float64) -> Float64:
        products.append(w.shape[1])
        return forward(self, w)

    monkeypatch.setattr(_squared_hinge.Inputs, "forward", counted)
    LinearSVM(C=100, standardize=True).fit(X, y)
    few = sum(products)
    # Those that are solved are left out of the products.
    assert min(products) < 3
    products.clear()
    monkeypatch.setattr(_squared_hinge, "MANY", 10**9)
    LinearSVM(C=100, standardize=True).fit(X, y)
    assert few < sum(products) / 3


@pytest.mark.usefixtures("_are_many")
def test_steps_are_limited() -> None:
    X, y = vectors(400, 40)
    # After three steps, one of Newton's.
    assert LinearSVM(C=1000, max_iter=1).fit(X, y).n_iter_ == 1
    assert 3 < LinearSVM(C=1000).fit(X, y).n_iter_ < 300


@pytest.mark.usefixtures("_are_many")
@pytest.mark.parametrize("spread", [2.5, 3.0])
def test_vectors_of_very_different_lengths(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 20))
    y = (X @ rng.normal(size=(20, 3)) + 4 * rng.normal(size=(2000, 3))).argmax(axis=1)
    X = (X * np.exp(spread * rng.normal(size=(2000, 1)))).astype(np.float32)
    exact = Exact(C=100, solver="newton-cholesky", tol=1e-10).fit(X.astype(float), y)
    assert (LogisticRegression(C=100).fit(X, y).predict(X) == exact.predict(X)).mean() > 0.995
    wanted, weights = targets(y, 3), np.ones(len(X))
    w, b, _ = solve(X, wanted, weights, C=1, max_iter=100)
    monkeypatch.setattr(_squared_hinge, "MANY", len(X))
    newton_w, newton_b, _ = solve(X.astype(float), wanted, weights, C=1, max_iter=300, tol=1e-7)
    assert (np.sign(X @ w + b) == np.sign(X @ newton_w + newton_b)).mean() > 0.998


@pytest.mark.usefixtures("_are_many")
def test_newton_s_steps_after_them_take_about_as_many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[_squared_hinge.Inputs] = []

    class Kept(_squared_hinge.Inputs):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(_squared_hinge, "Inputs", Kept)
    monkeypatch.setattr(_squared_hinge, "_MAX_INNER", 10)
    X, y = vectors(400, 200)
    X *= np.geomspace(1e-3, 1e3, 400, dtype=np.float32)[:, None]
    solve(X, targets(y, 3), np.ones(400), C=1e6, max_iter=20)
    first = 1 + 2 * 60  # a gradient, and the two products of each step
    assert first < made[0].passes <= 2 * first + 2 + 2 * 10


@pytest.mark.usefixtures("_are_many")
def test_vectors_that_are_all_equal_and_such_as_are_zero() -> None:
    for value in (0.0, 0.25):
        X, y = np.full((300, 4), value, np.float32), np.arange(300) % 3 > 0
        assert LinearSVM(C=10).fit(X, y).predict(X).all()


def test_the_inverse_of_a_sampled_curvature() -> None:
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((50, 8)) * np.arange(1, 9)).astype(np.float32)
    weights, c, gradient = rng.uniform(0.5, 2, 50), np.array([0.1, 3.0]), rng.standard_normal((8, 2))
    # All inputs are the sample: nothing is rough.
    found = SampledCurvature(X.copy(), weights, float(weights.sum())).solve(gradient, c)
    for k in range(2):
        matrix = np.eye(8) + c[k] * (X.T * weights) @ X
        np.testing.assert_allclose(found[:, k], np.linalg.solve(matrix, gradient[:, k]), rtol=2e-3, atol=1e-6)


def test_directions_beyond_those_told_apart_count_like_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_quasi_newton, "_DIRECTIONS", 2)
    X = np.diag([4.0, 3, 2, 1]).astype(np.float32)
    found = SampledCurvature(X, np.ones(4), 8.0).solve(np.ones((4, 1)), np.ones(1))
    np.testing.assert_allclose(found[:, 0], 1 / (1 + 2 * np.array([16, 9, 4, 4])), rtol=1e-5)


# Half precision.


def test_every_half_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 32)
    found = wide(halves)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(halves))
    np.testing.assert_array_equal(wide(halves[:, ::3]), halves[:, ::3].astype(np.float32))
    others = np.ones((2, 3), np.float32)
    assert wide(others) is others


@given(n=st.integers(1, 40), d=st.integers(1, 9), start=st.integers(0, 39), size=st.integers(1, 64))
def test_blocks_are_all_the_rows_in_their_order(n: int, d: int, start: int, size: int) -> None:
    X = np.random.default_rng(n).standard_normal((n, d)).astype(np.float16)
    rows = slice(min(start, n - 1), n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_narrow, "_BLOCK", size)
        patch.setattr(_narrow, "_NEAR", size // 2)
        found = [(these, block.copy()) for these, block in blocks(X, rows)]
    assert all(len(block) <= max(1, size // d) for _, block in found)
    np.testing.assert_array_equal(np.concatenate([block for _, block in found]), X[rows].astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([X[these] for these, _ in found]), X[rows])


MODELS = {
    "svm": LinearSVM(C=5),
    "standardized": LinearSVM(C=5, standardize=True),
    "tuned": TunedLinearSVM(Cs=(0.1, 10.0)),
}
SHAPES = {"many": (300, 30), "direct": (90, 30), "gram": (60, 200)}


@pytest.mark.usefixtures("_are_many")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", MODELS)
def test_a_file_of_vectors_is_like_vectors_in_memory(
    kind: str, shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_narrow, "_BLOCK", 500)
    X, y = vectors(*SHAPES[shape])
    held_out, _ = vectors(50, SHAPES[shape][1], seed=1)
    model = MODELS[kind]
    expected = model.fit(X, y).decision_function(held_out)
    temperature = model.temperature_
    in_file = kept(tmp_path, X)
    model.fit(in_file, y)
    np.testing.assert_allclose(model.decision_function(held_out), expected, atol=2e-3 * np.ptp(expected))
    np.testing.assert_array_equal(
        model.decision_function(held_out.astype(np.float16)).round(4), model.decision_function(held_out).round(4)
    )
    assert model.temperature_ == pytest.approx(temperature, rel=0.01)
    # In memory and in a file, halves are the same to the last bit.
    coefficients = model.coef_
    np.testing.assert_array_equal(model.fit(X.astype(np.float16), y).coef_, coefficients)


@pytest.mark.usefixtures("_are_many")
def test_channels_weights_and_folds_of_a_file(tmp_path: Path) -> None:
    X, y = vectors(240, 40)
    told: dict[str, Any] = {
        "sample_weight": np.arange(240) // 4 % 3,
        "channels": {"shape": 25, "color": 15},
        "views": 2,
        "copies": 2,
        "folds": np.arange(240) // 4 % 5,
    }
    y = y[np.arange(240) // 4 * 4]
    ours = LinearSVM(C=3).fit(kept(tmp_path, X), y, **told)
    other = LinearSVM(C=3).fit(X, y, **told)
    assert ours.shares_ == pytest.approx(other.shares_)
    np.testing.assert_allclose(ours.decision_function(X), other.decision_function(X), atol=0.01)
    assert ours.temperature_ == pytest.approx(other.temperature_, rel=0.01)


@pytest.mark.usefixtures("_are_many")
def test_several_labels_of_a_file(tmp_path: Path) -> None:
    X, _ = vectors(240, 40)
    sets = [["left"] * bool(a > 0.2) + ["low"] * bool(b > 0.2) for a, b in X[:, :2]]
    ours = MultiLabelClassifier(LinearSVM(C=3))
    assert ours.learns_from_files
    in_file = kept(tmp_path, X)
    ours.fit(in_file, sets)
    other = MultiLabelClassifier(LinearSVM(C=3)).fit(X, sets)
    np.testing.assert_allclose(ours.predict_proba(in_file), other.predict_proba(X), atol=0.01)


@pytest.mark.parametrize(("n", "d"), [(4000, 1000), (200, 40_000)])
@pytest.mark.parametrize("standardize", [False, True])
def test_no_copy_of_a_file_is_made(n: int, d: int, standardize: bool, tmp_path: Path) -> None:
    X, y = vectors(n, d, 2)
    in_file = kept(tmp_path, X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_narrow, "_BLOCK", 1 << 16)
        patch.setattr(_squared_hinge, "_GRAM_COLUMNS", 64)
        LinearSVM(max_iter=1, standardize=standardize).fit(in_file[:50], y[:50])
        tracemalloc.start()
        try:
            model = LinearSVM(max_iter=1, standardize=standardize).fit(in_file, y)
            model.decision_function(in_file)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < in_file.nbytes


@pytest.mark.usefixtures("_are_many")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_threads_change_no_bit(dtype: str) -> None:
    X, y = vectors(4000, 20)
    found = []
    for n_jobs in (1, 2, 3):
        with default_jobs(n_jobs):
            model = LinearSVM(C=10, standardize=True).fit(X.astype(dtype), y)
        found.append((model.coef_, model.intercept_, model.temperature_))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_halves_that_are_not_finite_are_refused() -> None:
    X, y = vectors(60, 5)
    for value in (np.nan, np.inf, -np.inf):
        halves = X.astype(np.float16)
        halves[59, 4] = value
        with pytest.raises(ValueError, match="X must be finite, got NaN or infinity"):
            LinearSVM().fit(halves, y)
