"""LinearSVM and KernelSVM: next to scikit-learn, to an exact minimum, and to the conditions that mark one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.svm import LinearSVC
from sklearn.utils import compute_class_weight

from cvbow import storage
from cvbow.classify import KernelSVM, LinearSVM, _squared_hinge, linear_svm
from cvbow.classify._labels import fold_of_each, targets
from cvbow.classify._squared_hinge import factorize, gram, solve
from cvbow.classify._temperature import fit_temperature, softmax
from cvbow.classify.kernel_svm import kernel_matrix
from cvbow.parallel import default_jobs, single_threaded

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small products gain nothing from threads, and lose much on a busy machine."""
    with single_threaded():
        yield


#: More vectors than values, and fewer: the two ways of LinearSVM.
SHAPES = {"direct": (150, 12), "gram": (40, 100)}


def histograms(
    n: int, d: int, n_classes: int = 3, *, seed: int = 0, overlap: float = 1.0
) -> tuple[Float32, NDArray[np.intp]]:
    """Square roots of normalised histograms, of classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    rng.shuffle(labels)
    profiles = rng.dirichlet(np.full(d, 0.5), n_classes)
    mixed = profiles[labels] + overlap * rng.dirichlet(np.full(d, 0.3), n)
    return np.sqrt(mixed / mixed.sum(axis=1, keepdims=True)).astype(np.float32), labels


def objective(X: Float32, y: Float64, weights: Float64, C: float, w: Float64, b: float) -> float:
    short = np.maximum(0, 1 - y * (X.astype(np.float64) @ w + b))
    return float(0.5 * w @ w + C * (weights * short**2).sum())


def exact(X: Float32, y: Float64, weights: Float64, C: float) -> tuple[Float64, float, float]:
    """The minimum by a general-purpose optimiser, with an intercept in units of the vectors' length."""
    unit = np.sqrt((X.astype(np.float64) ** 2).sum(axis=1).mean() + 1 / (2 * C * weights.sum()))
    data = np.hstack([X.astype(np.float64), np.full((len(X), 1), unit)])
    identity = np.diag([1.0] * X.shape[1] + [0.0])

    def value(p: Float64) -> tuple[float, Float64]:
        short = np.maximum(0, 1 - y * (data @ p))
        gradient = identity @ p - 2 * C * data.T @ (weights * y * short)
        return 0.5 * p @ identity @ p + C * (weights * short**2).sum(), gradient

    def hessian(p: Float64) -> Float64:
        return identity + 2 * C * (data.T * weights * (y * (data @ p) < 1)) @ data

    start = np.zeros(data.shape[1])
    found = minimize(value, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-9})
    return found.x[:-1], unit * found.x[-1], found.fun


def columns(model: LinearSVM) -> list[tuple[Float64, float]]:
    return list(zip(model.coef_.astype(np.float64), model.intercept_, strict=True))


@pytest.mark.parametrize("C", [0.01, 1.0, 10.0, 300.0])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("way", SHAPES)
def test_next_to_liblinear(way: str, n_classes: int, C: float) -> None:
    X, labels = histograms(*SHAPES[way], n_classes)
    held_out, _ = histograms(60, SHAPES[way][1], n_classes, seed=1)
    ours = LinearSVM(C=C).fit(X, labels)
    # liblinear penalises the intercept, by the less the larger its scaling.
    theirs = LinearSVC(C=C, loss="squared_hinge", dual=False, intercept_scaling=100, tol=1e-8, max_iter=100_000)
    theirs.fit(X.astype(np.float64), labels)
    assert ours.coef_.shape == theirs.coef_.shape
    y = targets(labels, n_classes).T
    for (w, b), w_, b_, sign in zip(columns(ours), theirs.coef_, theirs.intercept_, y, strict=True):
        least = objective(X, sign, np.ones(len(X)), C, w_, b_)
        assert objective(X, sign, np.ones(len(X)), C, w, b) <= 1.001 * least
    decisions = theirs.decision_function(held_out)
    np.testing.assert_allclose(ours.decision_function(held_out), decisions, atol=0.04 * np.ptp(decisions))
    sure = np.ones(60, bool) if n_classes == 2 else np.ptp(np.sort(decisions)[:, -2:], axis=1) > 0.05
    if n_classes == 2:
        sure = np.abs(decisions) > 0.05
    np.testing.assert_array_equal(ours.predict(held_out)[sure], theirs.predict(held_out)[sure])


@pytest.mark.parametrize("class_weight", ["balanced", {0: 5.0, 2: 0.5}])
@pytest.mark.parametrize("way", SHAPES)
def test_class_weights_next_to_the_exact_minimum(way: str, class_weight: Any) -> None:
    X, labels = histograms(*SHAPES[way])
    labels[labels == 1] = np.where(np.arange((labels == 1).sum()) % 4, 2, 1)
    model = LinearSVM(C=10, class_weight=class_weight).fit(X, labels)
    weights = compute_class_weight(class_weight, classes=np.arange(3), y=labels)[labels]
    assert np.ptp(weights) > 0.5
    for (w, b), y in zip(columns(model), targets(labels, 3).T, strict=True):
        least = exact(X, y, weights, 10)[2]
        assert least <= objective(X, y, weights, 10, w, b) * (1 + 1e-6)
        assert objective(X, y, weights, 10, w, b) <= 1.001 * least


@pytest.mark.parametrize("way", SHAPES)
def test_the_weight_of_a_class_counts_like_copies_of_its_vectors(way: str) -> None:
    X, labels = histograms(*SHAPES[way], n_classes=2)
    weighted = LinearSVM(C=2, class_weight={1: 3}).fit(X, labels)
    copies = np.concatenate([X, X[labels == 1], X[labels == 1]])
    repeated = LinearSVM(C=2).fit(copies, np.append(labels, np.ones(2 * (labels == 1).sum(), int)))
    np.testing.assert_allclose(weighted.decision_function(X), repeated.decision_function(X), atol=0.05)
    plain = LinearSVM(C=2).fit(X, labels).decision_function(X)
    assert np.abs(plain - repeated.decision_function(X)).max() > 0.1


@pytest.mark.parametrize(
    ("length", "C"), [(0.03, 1e-3), (0.03, 10), (1, 1e-6), (1, 0.1), (1, 100), (100, 1e-6), (100, 1)]
)
@pytest.mark.parametrize("way", SHAPES)
def test_the_minimum_is_reached_whatever_the_scale(way: str, C: float, length: float) -> None:
    X, labels = histograms(*SHAPES[way])
    X *= length
    model = LinearSVM(C=C).fit(X, labels)
    ones = np.ones(len(X))
    for (w, b), y in zip(columns(model), targets(labels, 3).T, strict=True):
        w_, _, least = exact(X, y, ones, C)
        assert least <= objective(X, y, ones, C, w, b) * (1 + 1e-9)
        assert objective(X, y, ones, C, w, b) <= 1.002 * least
        # With a small C the objective says little about w, but w decides.
        assert w @ w_ / np.linalg.norm(w) / np.linalg.norm(w_) > 0.98


@pytest.mark.parametrize("way", SHAPES)
def test_both_ways_give_the_same(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels = histograms(*SHAPES[way])
    ways = []
    for limit in (10**9, 0):
        monkeypatch.setattr(linear_svm, "_GRAM_LIMIT", limit)
        monkeypatch.setattr(linear_svm, "_MUCH_LONGER", 10**9)
        # min(d, limit) decides; copies of every value make d large without changing the problem.
        wide = np.repeat(X, 20, axis=1) / np.float32(np.sqrt(20))
        ways.append(LinearSVM(C=10).fit(wide, labels).decision_function(wide))
    np.testing.assert_allclose(ways[0], ways[1], atol=0.02 * np.ptp(ways[0]))
    assert (ways[0] != ways[1]).any()


@pytest.mark.parametrize("way", SHAPES)
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_the_conditions_of_a_minimum(way: str, C: float) -> None:
    X, labels = histograms(*SHAPES[way])
    model = LinearSVM(C=C).fit(X, labels)
    data = X.astype(np.float64)
    for (w, b), y in zip(columns(model), targets(labels, 3).T, strict=True):
        # w = sum of 2 C y_i max(0, 1 - m_i) x_i, and the same sum without x is zero.
        pull = 2 * C * y * np.maximum(0, 1 - y * (data @ w + b))
        allowed = np.sqrt(2 * 1e-3 * objective(X, y, np.ones(len(X)), C, w, b))
        assert np.linalg.norm(w - data.T @ pull) <= 1.01 * allowed
        assert abs(pull.sum()) <= 1.01 * allowed
        assert np.linalg.norm(w) > 3 * allowed


@pytest.mark.parametrize("kernel", ["chi2", "intersection", "rbf"])
def test_the_conditions_of_a_minimum_in_the_space_of_a_kernel(kernel: str) -> None:
    X, labels = histograms(90, 12)
    C = 5.0
    model = KernelSVM(kernel, C=C).fit(X, labels)
    K, gamma = kernel_matrix(kernel, X, X, None)
    assert gamma == model.gamma_
    decisions = model.decision_function(X)
    np.testing.assert_allclose(decisions, K @ model.dual_ + model.intercept_, rtol=1e-6)
    for a, y, s in zip(model.dual_.T.astype(np.float64), targets(labels, 3).T, decisions.T, strict=True):
        short = np.maximum(0, 1 - y * s)
        wanted = 2 * C * y * short
        objective = 0.5 * a @ K @ a + C * (short**2).sum()
        # The squared length, in the kernel's space, of the difference between w and what it should be.
        assert 0.5 * (a - wanted) @ K @ (a - wanted) <= 1.05e-3 * objective
        assert abs(wanted.sum()) <= 1.05 * np.sqrt(2e-3 * objective)


@pytest.mark.parametrize("kernel", ["chi2", "intersection", "rbf"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_kernel_machine_learns_what_no_line_can(kernel: str, n_classes: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (240, 2)).astype(np.float32)
    labels = np.floor(2 * n_classes * X[:, 0]).astype(int) % n_classes
    model = KernelSVM(kernel, C=100, gamma=None if kernel == "intersection" else 30.0).fit(X[:200], labels[:200])
    assert model.score(X[200:], labels[200:]) >= 0.85
    assert LinearSVM(C=100).fit(X[:200], labels[:200]).score(X[200:], labels[200:]) < 0.75


# The solver.


@pytest.mark.parametrize("weighted", [False, True])
def test_the_solver_with_a_tight_tolerance(weighted: bool) -> None:
    X, labels = histograms(60, 10)
    y = targets(labels, 3)
    weights = np.random.default_rng(1).uniform(0, 3, 60) if weighted else np.ones(60)
    w, b, n_iter = solve(X.astype(np.float64), y, weights, C=4.0, max_iter=200, tol=1e-14)
    assert 1 < n_iter < 200
    for k in range(3):
        w_, b_, _ = exact(X, y[:, k], weights, 4.0)
        np.testing.assert_allclose(w[:, k], w_, atol=2e-4)
        assert b[k] == pytest.approx(b_, abs=2e-4)


def test_the_solver_goes_on_from_where_it_starts() -> None:
    X, labels = histograms(60, 10)
    y, ones = targets(labels, 3), np.ones(60)
    w, b, _ = solve(X.astype(np.float64), y, ones, C=4.0, max_iter=200, tol=1e-14)
    again = solve(X.astype(np.float64), y, ones, C=4.0, max_iter=1, tol=1e-14, start=(w, b))
    np.testing.assert_allclose(again[0], w, atol=1e-6)
    np.testing.assert_allclose(again[1], b, atol=1e-6)
    assert again[2] == 1
    w_before, b_before = w.copy(), b.copy()
    solve(X.astype(np.float64), y, ones, C=0.1, max_iter=5, start=(w, b))
    np.testing.assert_array_equal(w, w_before)
    np.testing.assert_array_equal(b, b_before)


def test_a_vector_of_weight_zero_is_not_there() -> None:
    X, labels = histograms(60, 10)
    y, weights = targets(labels, 3), (np.arange(60) % 3 > 0).astype(np.float64)
    kept = weights > 0
    data = X.astype(np.float64)
    with_zeros = solve(data, y, weights, C=4.0, max_iter=200, tol=1e-12)
    without = solve(data[kept], y[kept], weights[kept], C=4.0, max_iter=200, tol=1e-12)
    np.testing.assert_allclose(with_zeros[0], without[0], atol=1e-4)


def test_the_gram_matrix_and_its_factor() -> None:
    # Wider than the blocks that it is summed over.
    X = np.random.default_rng(0).standard_normal((7, 2 * _squared_hinge._GRAM_COLUMNS + 5)).astype(np.float32)
    K = gram(X)
    assert K.dtype == np.float64
    np.testing.assert_allclose(K, X.astype(np.float64) @ X.astype(np.float64).T, rtol=1e-12, atol=1e-9)
    before = K.copy()
    L = factorize(K)
    np.testing.assert_array_equal(K, before)
    np.testing.assert_array_equal(L, np.tril(L))
    np.testing.assert_allclose(L @ L.T, K, rtol=1e-9, atol=2e-10 * np.trace(K))


@pytest.mark.parametrize("K", [np.ones((4, 4)), np.zeros((3, 3)), np.outer([1e-6, 1], [1e-6, 1])])
def test_a_singular_matrix_is_factorised_all_the_same(K: Float64) -> None:
    L = factorize(K)
    np.testing.assert_allclose(L @ L.T, K, atol=2e-10 * max(1.0, np.trace(K)))


def test_a_matrix_that_is_no_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="far from positive definite"):
        factorize(np.array([[1.0, 50], [50, 1]]))


def test_targets() -> None:
    np.testing.assert_array_equal(targets(np.array([0, 1, 1]), 2), [[-1], [1], [1]])
    np.testing.assert_array_equal(targets(np.array([2, 0]), 3), [[-1, -1, 1], [1, -1, -1]])


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(0, 99))
def test_folds_are_even_in_every_class(found: list[int], seed: int) -> None:
    labels = np.unique(found, return_inverse=True)[1]
    n_folds = min(5, len(labels))
    folds = fold_of_each(labels, n_folds, seed)
    np.testing.assert_array_equal(folds, fold_of_each(labels, n_folds, seed))
    assert np.ptp(np.bincount(folds, minlength=n_folds)) <= 1
    for label in np.unique(labels):
        assert np.ptp(np.bincount(folds[labels == label], minlength=n_folds)) <= 1


# Probabilities.


def test_softmax() -> None:
    np.testing.assert_allclose(softmax(np.log([[1.0, 2, 5], [4, 4, 2]])), [[1 / 8, 2 / 8, 5 / 8], [0.4, 0.4, 0.2]])
    np.testing.assert_array_equal(softmax(np.array([[1e4, 0.0], [-1e4, 1e4]])), [[1, 0], [0, 1]])


@given(seed=st.integers(0, 999), n_classes=st.integers(2, 5), scale=st.floats(0.05, 20))
@settings(max_examples=25)
def test_the_temperature_fits_best(seed: int, n_classes: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, 80)
    decisions = scale * (rng.standard_normal((80, n_classes)) + 1.5 * np.eye(n_classes)[labels])
    counts = np.bincount(labels, minlength=n_classes)[labels]
    # Platt's targets: (m + 1) / (m + 2) for the class of m vectors, the rest for the others.
    wanted = np.where(
        np.eye(n_classes)[labels] > 0,
        ((counts + 1) / (counts + 2))[:, None],
        (1 / (counts + 2) / (n_classes - 1))[:, None],
    )
    np.testing.assert_allclose(wanted.sum(axis=1), 1)

    def loss(factor: float) -> float:
        return float(-(wanted * np.log(np.maximum(softmax(decisions * factor), 1e-300))).sum(axis=1).mean())

    found = fit_temperature(decisions, labels)
    assert 0.01 <= found <= 100
    assert loss(found) <= min(loss(factor) for factor in np.geomspace(0.01, 100, 200)) + 1e-6


def test_the_temperature_stays_in_its_bounds() -> None:
    labels = np.arange(40) % 2
    right = np.where(np.eye(2)[labels] > 0, 1.0, -1.0)
    assert fit_temperature(1e-5 * right, labels) == pytest.approx(100, rel=1e-3)
    assert fit_temperature(-right, labels) == pytest.approx(0.01, rel=1e-3)
    # Few right answers are no certainty.
    assert fit_temperature(right[:4], labels[:4]) < fit_temperature(right, labels) < 10


@pytest.mark.parametrize("model", [LinearSVM(C=0.05), KernelSVM(C=3.0), KernelSVM("chi2", C=30.0)])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities(model: LinearSVM | KernelSVM, n_classes: int) -> None:
    X, labels = histograms(260, 16, n_classes, overlap=3.0)
    names = np.array(["tall building", "coast", "forest", "kitchen"])[labels]
    model.fit(X[:140], names[:140])
    held_out, truth = X[140:], names[140:]
    probabilities = model.predict_proba(held_out)
    assert probabilities.shape == (120, n_classes)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(held_out))
    calibrated = log_loss(truth, probabilities, labels=model.classes_)
    temperature, model.temperature_ = model.temperature_, 1.0
    raw = log_loss(truth, model.predict_proba(held_out), labels=model.classes_)
    model.temperature_ = temperature
    assert abs(np.log(temperature)) > 0.1
    assert calibrated < raw
    assert calibrated < np.log(n_classes)


def test_the_decision_of_two_classes_is_one_number() -> None:
    X, labels = histograms(50, 8, 2)
    model = LinearSVM().fit(X, np.array(["no", "yes"])[labels])
    decisions = model.decision_function(X)
    assert decisions.shape == (50,)
    np.testing.assert_array_equal(model.predict(X), np.where(decisions > 0, "yes", "no"))
    odds = np.log(model.predict_proba(X)[:, 1] / model.predict_proba(X)[:, 0])
    np.testing.assert_allclose(odds, model.temperature_ * decisions, atol=1e-9)


# Little to learn from.

ALL_KINDS = [LinearSVM(C=10), KernelSVM("chi2"), KernelSVM("intersection"), KernelSVM("rbf")]


@pytest.mark.parametrize("model", ALL_KINDS)
@pytest.mark.parametrize("d", [1, 5])
def test_two_vectors_in_all(model: Any, d: int) -> None:
    X = np.eye(2, d, dtype=np.float32)
    model.fit(X, ["b", "a"])
    np.testing.assert_array_equal(model.predict(X), ["b", "a"])
    # Nothing could be held out, so nothing speaks for certainty.
    assert np.abs(model.predict_proba(X) - 0.5).max() < 0.1


@pytest.mark.parametrize("model", ALL_KINDS)
@pytest.mark.parametrize("d", [4, 60])
def test_a_class_with_a_single_vector(model: Any, d: int) -> None:
    X, labels = histograms(31, d, 2, overlap=0.2)
    labels[0], X[0] = 2, 0
    X[0, 0] = 1
    model.fit(X, labels)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.score(X, labels) >= 0.9
    assert model.predict(X[:1]) == [2]


@pytest.mark.parametrize("model", ALL_KINDS)
@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("d", [3, 50])
def test_vectors_that_are_all_equal(model: Any, value: float, d: int) -> None:
    X = np.full((12, d), value, np.float32)
    labels = ["often"] * 9 + ["seldom"] * 3
    model.fit(X, labels)
    assert np.isfinite(model.decision_function(X)).all()
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities, probabilities[:1].repeat(12, axis=0))
    assert set(model.predict(X)) == {"often"}


@pytest.mark.parametrize("model", ALL_KINDS)
@pytest.mark.parametrize("d", [6, 80])
def test_duplicates(model: Any, d: int) -> None:
    X, labels = histograms(20, d, overlap=0.3)
    X, labels = np.concatenate([X] * 3), np.concatenate([labels] * 3)
    # The same vector under two labels.
    X[59], labels[59] = X[0], (labels[0] + 1) % 3
    model.fit(X, labels)
    decisions = model.decision_function(X)
    assert np.abs(decisions).max() < 50
    np.testing.assert_allclose(decisions[20:40], decisions[:20], atol=1e-4)
    assert model.score(X, labels) >= 0.9


def test_a_value_without_variation_changes_nothing() -> None:
    X, labels = histograms(100, 6)
    shifted = np.hstack([X, np.zeros((100, 3), np.float32)])
    model, other = LinearSVM(C=10).fit(X, labels), LinearSVM(C=10).fit(shifted, labels)
    np.testing.assert_array_equal(other.coef_[:, 6:], 0)
    np.testing.assert_allclose(model.decision_function(X), other.decision_function(shifted), atol=0.02)


# Contracts that scikit-learn's tools rely on.


@pytest.mark.parametrize("model", ALL_KINDS)
def test_inputs_of_any_kind_and_none_is_changed(model: Any) -> None:
    X, labels = histograms(40, 10)
    names = np.array(["a", "b", "c"])[labels]
    X.flags.writeable = names.flags.writeable = False
    decisions = model.fit(X, names).decision_function(X)
    assert model.predict(X).dtype == names.dtype
    for same in (X.astype(np.float64), np.asfortranarray(X), X.tolist()):
        np.testing.assert_allclose(model.fit(same, names.tolist()).decision_function(same), decisions, atol=1e-5)
    for labels_ in (labels, labels > 1, labels.astype(np.float64), names.astype(object)):
        assert model.fit(X, labels_).predict(X).dtype == labels_.dtype


@pytest.mark.parametrize("way", ["direct", "gram"])
def test_neither_the_workers_nor_a_second_run_changes_a_bit(way: str) -> None:
    # More than two thousand rows are several parts of the work.
    X, labels = histograms(2200, 5) if way == "direct" else histograms(40, 60)
    coefficients = []
    for n_jobs in (1, 2, 2):
        with single_threaded(), default_jobs(n_jobs):
            model = LinearSVM(C=10).fit(X, labels)
        coefficients.append((model.coef_, model.intercept_, model.temperature_))
    for other in coefficients[1:]:
        for one, two in zip(coefficients[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_shapes_and_types() -> None:
    X, labels = histograms(40, 10)
    model = LinearSVM().fit(X, labels)
    assert model.coef_.shape == (3, 10)
    assert model.coef_.dtype == np.float32
    assert model.intercept_.shape == (3,)
    assert model.n_features_in_ == 10
    assert LinearSVM().fit(X, labels > 0).coef_.shape == (1, 10)
    kernel = KernelSVM("rbf").fit(X, labels)
    assert kernel.dual_.shape == (40, 3)
    assert kernel.vectors_.dtype == kernel.dual_.dtype == np.float32
    assert KernelSVM("rbf").fit(X, labels > 0).dual_.shape == (40, 1)


@pytest.mark.parametrize("model", [LinearSVM(), KernelSVM()])
def test_before_fit(model: Any) -> None:
    for method in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(NotFittedError):
            method(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 0}, "C must be a number > 0, got 0"),
        ({"C": -1.0}, "C must be a number > 0, got -1.0"),
        ({"C": float("nan")}, "C must be a number > 0, got nan"),
        ({"C": "1"}, "C must be a number > 0, got '1'"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
        ({"class_weight": "auto"}, "class_weight must be one of balanced, got 'auto'"),
        ({"class_weight": {0: -1}}, r"class_weight must be numbers >= 0, one of them above 0, got \{0: -1\}"),
        ({"class_weight": dict.fromkeys(range(9), 0)}, "class_weight must be numbers >= 0, one of them above 0"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    X, labels = histograms(10, 3)
    for model in (LinearSVM(**parameters), KernelSVM(**parameters)):
        with pytest.raises(ValueError, match=message):
            model.fit(X, labels)


def test_a_bad_kernel_is_named() -> None:
    X, labels = histograms(10, 3)
    with pytest.raises(ValueError, match="kernel must be one of chi2, intersection, rbf, got 'linear'"):
        KernelSVM("linear").fit(X, labels)
    with pytest.raises(ValueError, match="gamma must be a number > 0, got 0"):
        KernelSVM(gamma=0).fit(X, labels)


@pytest.mark.parametrize("kernel", ["chi2", "intersection"])
def test_negative_vectors_are_refused(kernel: str) -> None:
    X, labels = histograms(10, 3)
    model = KernelSVM(kernel).fit(X, labels)
    X[4, 1] = -0.5
    with pytest.raises(ValueError, match="Negative values in data passed to X in KernelSVM"):
        KernelSVM(kernel).fit(X, labels)
    with pytest.raises(ValueError, match="Negative values in data passed to X in KernelSVM"):
        model.predict(X)


@pytest.mark.parametrize("model", [LinearSVM(), KernelSVM()])
def test_bad_data_is_refused(model: Any) -> None:
    X, labels = histograms(10, 3)
    for bad, position in itertools.product([np.nan, np.inf, -np.inf], [(0, 0), (9, 2)]):
        spoilt = X.copy()
        spoilt[position] = bad
        with pytest.raises(ValueError, match="X must be finite, got NaN or infinity"):
            model.fit(spoilt, labels)
    both = X.copy()
    both[0] = np.inf, -np.inf, 0
    with pytest.raises(ValueError, match="X must be finite"):
        model.fit(both, labels)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        model.fit(X[0], labels)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\)"):
        model.fit(X[:0], labels[:0])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[10, 9\]"):
        model.fit(X, labels[:9])
    with pytest.raises(ValueError, match=r"y should be a 1d array, got an array of shape \(10, 2\)"):
        model.fit(X, np.stack([labels, labels], axis=1))
    with pytest.raises(ValueError, match="y must have at least two classes, got 1 class"):
        model.fit(X, np.zeros(10))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        model.fit(X, labels + 0.5)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        model.fit(X, None)
    model.fit(X, labels)
    with pytest.raises(ValueError, match=f"X has 2 features, but {type(model).__name__} is expecting 3 features"):
        model.predict(X[:, :2])


@pytest.mark.parametrize("model", [LinearSVM(), KernelSVM()])
def test_a_state_that_does_not_fit_is_refused(model: Any) -> None:
    X, labels = histograms(10, 3)
    storage.check_state(model.fit(X, labels))
    model.classes_ = model.classes_[:2]
    with pytest.raises(ValueError, match="with n_scores = 1, got float"):
        storage.check_state(model)
