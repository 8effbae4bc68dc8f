"""The kernels of KernelSVM against scikit-learn's and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.metrics import pairwise

from cvbow.classify import kernel_svm
from cvbow.classify.kernel_svm import KERNELS, kernel_matrix
from cvbow.parallel import default_jobs

Float32 = NDArray[np.float32]


def histograms(n: int, d: int = 10, *, seed: int = 0) -> Float32:
    """Rows that sum to 1, with empty bins, and a row without anything."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(d, 0.2), n) * (rng.uniform(size=(n, d)) < 0.7)
    rows[0] = 0
    return rows.astype(np.float32)


def chi2_distance(x: Float32, y: Float32) -> float:
    return sum((float(a) - float(b)) ** 2 / (float(a) + float(b)) for a, b in zip(x, y, strict=True) if a + b > 0)


def test_by_hand() -> None:
    x, y = np.array([[0.5, 0.5, 0.0]], np.float32), np.array([[0.25, 0.5, 0.25]], np.float32)
    # min: 0.25 + 0.5; chi-square distance: 0.0625 / 0.75 + 0.0625 / 0.25; squared distance: 2 * 0.0625
    assert kernel_matrix("intersection", x, y, None) == (pytest.approx(np.array([[0.75]])), 1.0)
    K, gamma = kernel_matrix("chi2", x, y, 2.0)
    assert gamma == 2.0
    assert K[0, 0] == pytest.approx(np.exp(-2 * (1 / 12 + 1 / 4)), rel=1e-6)
    assert kernel_matrix("rbf", x, y, 3.0)[0][0, 0] == pytest.approx(np.exp(-3 * 0.125), rel=1e-6)


# More rows than a block of the work holds, and a last block that is not full.
@pytest.mark.parametrize("n", [1, 7, 2 * kernel_svm._ROWS + 3])
def test_next_to_scikit_learn(n: int) -> None:
    a, b = histograms(n), histograms(20, seed=1)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    np.testing.assert_allclose(kernel_matrix("rbf", a, b, 1.7)[0], pairwise.rbf_kernel(wide_a, wide_b, 1.7), rtol=1e-5)
    np.testing.assert_allclose(
        kernel_matrix("chi2", a, b, 1.7)[0], pairwise.chi2_kernel(wide_a, wide_b, 1.7), rtol=1e-5
    )
    common = np.minimum(wide_a[:, None], wide_b[None]).sum(axis=2)
    np.testing.assert_allclose(kernel_matrix("intersection", a, b, None)[0], common, atol=1e-7)


@pytest.mark.parametrize("kernel", ["chi2", "rbf"])
def test_the_default_gamma_is_one_over_the_mean_distance(kernel: str) -> None:
    a = histograms(12)
    pairs = [(x, y) for x in a for y in a]
    if kernel == "chi2":
        distances = [chi2_distance(x, y) for x, y in pairs]
    else:
        distances = [float(((x.astype(np.float64) - y) ** 2).sum()) for x, y in pairs]
    K, gamma = kernel_matrix(kernel, a, a, None)
    assert gamma == pytest.approx(1 / np.mean(distances), rel=1e-5)
    np.testing.assert_allclose(K.ravel(), np.exp(-gamma * np.array(distances)), rtol=1e-5)


@pytest.mark.parametrize("kernel", ["chi2", "rbf"])
def test_equal_vectors_have_no_scale(kernel: str) -> None:
    K, gamma = kernel_matrix(kernel, np.full((4, 3), 0.25, np.float32), np.full((2, 3), 0.25, np.float32), None)
    assert gamma == 1.0
    np.testing.assert_array_equal(K, np.ones((4, 2)))


@given(a=hnp.arrays(np.float32, (5, 3), elements=st.floats(0, 10, width=32)), kernel=st.sampled_from(KERNELS))
def test_invariants(a: Float32, kernel: str) -> None:
    K, _ = kernel_matrix(kernel, a, a, None)
    assert K.shape == (5, 5)
    assert K.dtype == np.float64
    assert np.isfinite(K).all()
    assert K.min() >= -1e-5
    np.testing.assert_allclose(K, K.T, atol=1e-5)
    assert np.linalg.eigvalsh(K + K.T).min() >= -1e-4 * max(1, K.max())
    wanted = a.sum(axis=1) if kernel == "intersection" else np.ones(5)
    np.testing.assert_allclose(np.diag(K), wanted, rtol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_workers_change_no_bit_and_inputs_stay(kernel: str) -> None:
    a, b = histograms(150), histograms(40, seed=1)
    # Arrays that joblib shares among processes are read-only.
    a.flags.writeable = b.flags.writeable = False
    matrices = []
    for n_jobs in (1, 2):
        with default_jobs(n_jobs):
            matrices.append(kernel_matrix(kernel, a, b, 0.5)[0])
    np.testing.assert_array_equal(*matrices)


def test_the_gaussian_kernel_takes_negative_values() -> None:
    a = -histograms(3)
    np.testing.assert_allclose(kernel_matrix("rbf", a, a, 1.0)[0], kernel_matrix("rbf", -a, -a, 1.0)[0])
