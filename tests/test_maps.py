"""The explicit maps next to the kernels they stand for, and to scikit-learn's sampler."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.kernel_approximation import AdditiveChi2Sampler
from sklearn.metrics.pairwise import additive_chi2_kernel
from sklearn.pipeline import make_pipeline

from cvbow import storage
from cvbow.classify import AdditiveMap, HellingerMap, KernelSVM, LinearSVM, maps

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def histograms(n: int = 40, d: int = 30, *, seed: int = 0) -> Float32:
    """Normalised histograms with empty bins."""
    X = np.random.default_rng(seed).dirichlet(np.full(d, 0.3), n).astype(np.float32)
    X[X < 1e-4] = 0
    return X


def exact(kernel: str, a: Any, b: Any) -> Float64:
    x, y = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    if kernel == "intersection":
        return np.asarray(np.minimum(x, y).sum(axis=2))
    total = x + y
    return np.asarray(np.divide(2 * x * y, total, out=np.zeros_like(total), where=total > 0).sum(axis=2))


def test_the_exact_chi_square_kernel_is_the_one_that_is_known() -> None:
    X = histograms()
    # scikit-learn's is minus the distance: 2xy/(x+y) = (x + y)/2 - (x-y)^2 / (2 (x+y)).
    half = X.sum(axis=1, dtype=np.float64) / 2
    expected = half[:, None] + half + additive_chi2_kernel(X.astype(np.float64)) / 2
    np.testing.assert_allclose(exact("chi2", X, X), expected, atol=1e-6)


@pytest.mark.parametrize(("kernel", "largest"), [("chi2", (0.10, 0.04, 0.02)), ("intersection", (0.26, 0.17, 0.14))])
def test_the_error_is_what_is_said_and_no_other_period_has_less(
    kernel: str, largest: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pairs (1, e^-w): their kernel over the root of their product.
    ratios = np.exp(-np.linspace(0, 6, 301))[:, None]
    wanted = np.concatenate([exact(kernel, [[1.0]], ratio[None]) for ratio in ratios]).ravel()

    def error(n_samples: int) -> float:
        additive = AdditiveMap(kernel, n_samples=n_samples).fit(ratios)
        found = additive.transform(ratios).astype(np.float64) @ additive.transform([[1.0]])[0]
        return float((np.abs(found - wanted) / np.sqrt(ratios[:, 0])).max())

    periods = dict(maps._PERIODS)
    for n_samples, bound in enumerate(largest, 1):
        least = error(n_samples)
        assert 0.8 * bound <= least <= bound
        for factor in (0.9, 0.97, 1.03, 1.1):
            monkeypatch.setitem(maps._PERIODS, kernel, tuple(factor * period for period in periods[kernel]))
            assert error(n_samples) > least
        monkeypatch.setitem(maps._PERIODS, kernel, periods[kernel])


@pytest.mark.parametrize(("kernel", "typical"), [("chi2", (0.02, 0.01, 0.005)), ("intersection", (0.06, 0.04, 0.03))])
def test_dot_products_are_near_the_kernel(kernel: str, typical: tuple[float, float, float]) -> None:
    X = histograms(60)
    errors = []
    for n_samples, bound in enumerate(typical, 1):
        mapped = AdditiveMap(kernel, n_samples=n_samples).fit_transform(X)
        assert mapped.shape == (60, (2 * n_samples + 1) * 30)
        assert mapped.dtype == np.float32
        difference = mapped @ mapped.T - exact(kernel, X, X)
        errors.append(float(np.sqrt((difference**2).mean())))
        assert errors[-1] <= bound
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2]


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_chi_square_next_to_scikit_learn(n_samples: int) -> None:
    X = histograms()
    period = maps._PERIODS["chi2"][n_samples - 1]
    peer = AdditiveChi2Sampler(sample_steps=n_samples + 1, sample_interval=period)
    found = AdditiveMap(n_samples=n_samples).fit_transform(X)
    np.testing.assert_allclose(found, peer.fit_transform(X.astype(np.float64)), atol=2e-6)


@pytest.mark.parametrize("kernel", ["chi2", "intersection"])
def test_a_map_is_homogeneous_and_zero_stays_zero(kernel: str) -> None:
    X = histograms()
    additive = AdditiveMap(kernel).fit(X)
    mapped = additive.transform(X).reshape(40, 3, 30)
    assert not mapped.transpose(0, 2, 1)[X == 0].any()
    assert mapped.transpose(0, 2, 1)[X > 0].any(axis=1).all()
    # k(cx, cy) = c k(x, y), also for what the dot products come to.
    scaled = additive.transform(16 * X)
    np.testing.assert_allclose(scaled @ scaled.T, 16 * (lambda A: A @ A.T)(additive.transform(X)), rtol=1e-4, atol=1e-6)


def test_hellinger_by_hand() -> None:
    X = np.array([[1, 3, 0], [0, 0, 0], [-0.5, 0, 0.5]], np.float32)
    found = HellingerMap().fit_transform(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.5, 0.75**0.5, 0], [0, 0, 0], [-(0.5**0.5), 0, 0.5**0.5]], rtol=1e-6)
    plain = HellingerMap(normalize=False).fit_transform(X)
    np.testing.assert_allclose(plain, [[1, 3**0.5, 0], [0, 0, 0], [-(0.5**0.5), 0, 0.5**0.5]], rtol=1e-6)


@given(arrays(np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_hellinger_vectors_have_length_one_or_zero(X: Float32) -> None:
    found = HellingerMap().fit_transform(X)
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(lengths, (np.abs(X).sum(axis=1) > 0).astype(float), rtol=1e-4)
    assert (np.sign(found) * X >= 0).all()


def test_dot_products_of_hellinger_vectors_are_its_kernel() -> None:
    X = histograms()
    mapped = HellingerMap().fit_transform(X)
    p = X / X.sum(axis=1, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(mapped @ mapped.T, np.sqrt(p[:, None] * p[None]).sum(axis=2), atol=1e-5)


@pytest.mark.parametrize("kernel", ["chi2", "intersection"])
def test_a_line_on_a_map_is_near_the_kernel_machine(kernel: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    X = rng.dirichlet(np.full(20, 0.5), 150) + 0.4 * rng.dirichlet(np.full(20, 0.2), 3)[labels]
    model = make_pipeline(AdditiveMap(kernel, n_samples=3), LinearSVM(C=10)).fit(X[:100], labels[:100])
    if kernel == "intersection":
        peer = KernelSVM(kernel, C=10).fit(X[:100], labels[:100])
        assert (model.predict(X[100:]) == peer.predict(X[100:])).mean() >= 0.9
    assert model.score(X[100:], labels[100:]) >= 0.7


@pytest.mark.parametrize("transformer", [AdditiveMap(), AdditiveMap("intersection", n_samples=2), HellingerMap()])
def test_maps_as_estimators(transformer: Any, tmp_path: Path) -> None:
    X = histograms()
    X.flags.writeable = False
    with pytest.raises(NotFittedError):
        transformer.transform(X)
    fitted = clone(transformer).fit(X)
    expected = fitted.transform(X)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(fitted.transform(X.astype(np.float64)), expected)
    np.testing.assert_array_equal(np.concatenate([fitted.transform(row[None]) for row in X]), expected)
    storage.save(tmp_path / "map.cvbow", kind="test", state=fitted, metadata={})
    for other in (storage.load(tmp_path / "map.cvbow", kind="test").state, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.transform(X), expected)
        assert other.get_params() == transformer.get_params()
    with pytest.raises(ValueError, match=r"X has 29 features, but \w+Map is expecting 30 features"):
        fitted.transform(X[:, 1:])
    spoilt = X.copy()
    spoilt[2, 2] = np.nan
    with pytest.raises(ValueError, match="X must be finite"):
        fitted.transform(spoilt)


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (AdditiveMap("rbf"), "kernel must be one of chi2, intersection, got 'rbf'"),
        (AdditiveMap(n_samples=0), "n_samples must be an integer >= 1, got 0"),
        (AdditiveMap(n_samples=4), "n_samples must be 1, 2 or 3, got 4"),
        (HellingerMap(normalize="no"), "normalize must be True or False, got 'no'"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_parameter_is_refused(transformer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        transformer.fit(histograms())


def test_negative_values_are_refused_where_the_kernel_has_none() -> None:
    X = histograms()
    additive = AdditiveMap().fit(X)
    bad = np.minimum(X, X.max() / 2) - np.float32(0.25)
    for method in (additive.transform, AdditiveMap("intersection").fit):
        with pytest.raises(ValueError, match="Negative values in data passed to X in AdditiveMap"):
            method(bad)
