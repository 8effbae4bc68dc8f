"""Logistic regression next to scikit-learn's, and on vectors in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import linear_model

from cvbow import make_classifier, storage
from cvbow.classify import LogisticRegression, _narrow, _quasi_newton
from cvbow.classify.logistic_regression import _losses
from cvbow.parallel import default_jobs, single_threaded

Float32 = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


def vectors(n: int, d: int, n_classes: int, seed: int = 0) -> tuple[Float32, NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    means = np.random.default_rng(9).standard_normal((n_classes, d))
    X = (rng.standard_normal((n, d)) + 0.7 * means[labels] + 1) * np.arange(1, d + 1) ** -0.5
    return (X / np.linalg.norm(X, axis=1).mean()).astype(np.float16).astype(np.float32), labels


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shape", [(200, 12), (60, 150)])
@pytest.mark.parametrize("C", [0.1, 100.0])
@pytest.mark.parametrize("sampled", [20, 600])
def test_next_to_scikit_learns(
    n_classes: int, shape: tuple[int, int], C: float, sampled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_quasi_newton, "SAMPLE", sampled)
    X, y = vectors(*shape, n_classes)
    held_out, _ = vectors(80, shape[1], n_classes, seed=1)
    weights = np.random.default_rng(2).integers(0, 4, len(X)).astype(float)
    names = np.array(["coast", "forest", "inside", "street"])[y]
    ours = LogisticRegression(C=C, class_weight="balanced").fit(X, names, weights)
    # The balance is that of the vectors as often as they count.
    mass = np.bincount(y, weights)
    factors = (mass.sum() / n_classes / mass)[y] * weights
    other = linear_model.LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(X.astype(np.float64), names, factors)
    np.testing.assert_array_equal(ours.classes_, other.classes_)
    expected = other.predict_proba(held_out)
    np.testing.assert_allclose(ours.predict_proba(held_out), expected, atol=2e-3)
    np.testing.assert_array_equal(ours.predict(held_out), other.predict(held_out))
    np.testing.assert_allclose(ours.decision_function(held_out), other.decision_function(held_out), atol=0.02)
    assert ours.coef_.shape == other.coef_.shape
    assert ours.n_iter_ < 200


def test_losses_by_hand() -> None:
    scores, cost = np.log([[1.0, 3], [4, 4]]), np.array([1.0, 10.0])
    probabilities, loss = _losses(scores, np.array([[1.0, 0], [0, 1]]), cost)
    np.testing.assert_allclose(probabilities, [[0.25, 0.75], [0.5, 0.5]])
    assert loss == pytest.approx(np.log(4) + 10 * np.log(2))
    probabilities, loss = _losses(np.log([[3.0], [1.0]]), np.array([[0.0], [1]]), cost)
    np.testing.assert_allclose(probabilities, [[0.75], [0.5]])
    assert loss == pytest.approx(np.log(4) + 10 * np.log(2))
    far, loss = _losses(np.array([[1e4], [-1e4]]), np.array([[1.0], [0]]), cost)
    np.testing.assert_array_equal(far, [[1], [0]])
    assert loss == 0


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_file_of_vectors_is_like_vectors_in_memory(
    n_classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_narrow, "_BLOCK", 500)
    X, y = vectors(150, 40, n_classes)
    np.save(tmp_path / "vectors.npy", X.astype(np.float16))
    in_file = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    expected = LogisticRegression(C=10).fit(X, y).decision_function(X)
    model = LogisticRegression(C=10).fit(in_file, y)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=2e-3 * np.ptp(expected))
    coefficients = model.coef_
    for n_jobs in (1, 2):
        with default_jobs(n_jobs):
            np.testing.assert_array_equal(model.fit(X.astype(np.float16), y).coef_, coefficients)


def test_vectors_that_tell_nothing_and_such_as_tell_all() -> None:
    y = np.arange(40) % 4 > 0
    equal = LogisticRegression(C=5).fit(np.full((40, 3), 0.5, np.float32), y)
    np.testing.assert_allclose(equal.predict_proba(np.full((1, 3), 0.5)), [[0.25, 0.75]], atol=2e-3)
    apart = LogisticRegression(C=1e6).fit(np.where(y, 1.0, -1.0)[:, None], y)
    np.testing.assert_allclose(apart.predict_proba([[1.0], [-1.0]]), [[0, 1], [1, 0]], atol=1e-3)
    assert LogisticRegression(C=1e6, max_iter=1).fit(np.where(y, 1.0, -1.0)[:, None], y).n_iter_ == 1


def test_it_is_stored(tmp_path: Path) -> None:
    X, y = vectors(60, 5, 3)
    model = make_classifier("logistic-regression", C=3.0).fit(X, y)
    storage.save(tmp_path / "model", kind="part", state=model, metadata={})
    again = storage.load(tmp_path / "model", kind="part").state
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.get_params() == model.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 0}, "C must be a number > 0, got 0"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
        ({"class_weight": "auto"}, "class_weight must be one of balanced, got 'auto'"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogisticRegression(**parameters).fit(*vectors(20, 3, 2))


def test_one_class_is_too_few() -> None:
    X, y = vectors(20, 3, 2)
    with pytest.raises(ValueError, match="y must have at least two classes, got 1 class"):
        LogisticRegression().fit(X, y, sample_weight=(y == 1).astype(float))
