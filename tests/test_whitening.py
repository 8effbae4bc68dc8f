"""ZCA: against NumPy's covariance, by hand, and in a BagEncoder."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from synthetic import textured

from cvbow import storage
from cvbow.backends import BagEncoder
from cvbow.dictionary import ZCA, KMeansDictionary
from cvbow.encoders import SpatialPyramid, Triangle
from cvbow.features import WhitenedPatches

Float32 = NDArray[np.float32]


def correlated(n: int = 400, size: int = 5, seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, size)) @ rng.standard_normal((size, size)) + 3).astype(np.float32)


def oracle(data: Float32, eps: float) -> NDArray[np.float64]:
    x = data.astype(np.float64)
    variances, directions = np.linalg.eigh(np.cov(x, rowvar=False))
    return np.asarray((x - x.mean(axis=0)) @ directions @ np.diag(1 / np.sqrt(variances + eps)) @ directions.T)


@pytest.mark.parametrize("eps", [1e-6, 0.1, 5.0])
def test_against_the_definition(eps: float) -> None:
    data = correlated()
    white = ZCA(eps=eps).fit_transform(data)
    assert white.dtype == np.float32
    assert white.shape == data.shape
    np.testing.assert_allclose(white, oracle(data, eps), atol=1e-4)


def test_the_covariance_is_one() -> None:
    white = ZCA(eps=1e-9).fit(correlated()).transform(correlated())
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)


def test_it_is_pca_whitening_turned_back() -> None:
    data = correlated()
    pca = PCA(whiten=True).fit(data)
    turned = pca.transform(data) @ pca.components_
    np.testing.assert_allclose(ZCA(eps=1e-9).fit(data).transform(data), turned, atol=1e-3)


def test_by_hand() -> None:
    # Variances 2 and 8 along the axes: divided by the roots of 2.25 and 8.25.
    data = np.array([[1, 0], [-1, 0], [0, 2], [0, -2]], np.float32) * np.sqrt(3)
    zca = ZCA(eps=0.25).fit(data + 7)
    np.testing.assert_allclose(zca.mean_, [7, 7], rtol=1e-6)
    np.testing.assert_allclose(zca.matrix_, np.diag([1 / 1.5, 1 / np.sqrt(8.25)]), atol=1e-6)
    np.testing.assert_allclose(zca.transform(np.array([[8.5, 7]], np.float32)), [[1, 0]], atol=1e-6)


def test_whitened_data_is_hardly_changed() -> None:
    data = np.random.default_rng(0).standard_normal((20000, 4)).astype(np.float32)
    np.testing.assert_allclose(ZCA(eps=1e-6).fit(data).transform(data), data - data.mean(axis=0), atol=0.1)


def test_parts_of_the_data_do_not_matter() -> None:
    data = correlated(20000)
    np.testing.assert_allclose(ZCA().fit_transform(data), oracle(data, 0.1), atol=1e-4)


@given(arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_small_sample_is_finite(data: Float32) -> None:
    zca = ZCA().fit(data)
    assert np.isfinite(zca.matrix_).all()
    assert np.isfinite(zca.transform(data)).all()
    np.testing.assert_allclose(zca.matrix_, zca.matrix_.T, atol=1e-5)


def test_what_has_no_variance_becomes_zero() -> None:
    data = correlated()
    data[:, 2] = 5
    white = ZCA().fit(data).transform(data)
    np.testing.assert_allclose(white[:, 2], 0, atol=1e-4)


def test_copies_answer_the_same(tmp_path: Path) -> None:
    data = correlated()
    data.flags.writeable = False
    zca = ZCA(eps=0.2).fit(data)
    storage.save(tmp_path / "model", kind="whitening", state=zca, metadata={})
    for again in (storage.load(tmp_path / "model", kind="whitening").state, pickle.loads(pickle.dumps(zca))):
        assert np.array_equal(again.transform(data), zca.transform(data))
    assert clone(zca).get_params() == {"eps": 0.2}
    assert not hasattr(clone(zca), "matrix_")
    for name, value in (("matrix_", zca.matrix_[:3]), ("mean_", zca.mean_[None])):
        broken = pickle.loads(pickle.dumps(zca))
        setattr(broken, name, value)
        with pytest.raises(ValueError, match=f"{name} must be a float32 array"):
            storage.save(tmp_path / "model", kind="whitening", state=broken, metadata={})


def test_in_a_scikit_learn_pipeline() -> None:
    data = correlated()
    pipeline = make_pipeline(ZCA(), PCA(2)).set_params(zca__eps=1.0)
    assert pipeline.fit_transform(data).shape == (400, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 3)), "a minimum of 1 is required by ZCA"),
        (np.zeros(3), "Expected 2D array"),
        (np.zeros((3, 3), np.uint8), "uint8"),
        (np.full((2, 2), np.inf), "finite"),
    ],
)
def test_bad_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ZCA().fit(data)


def test_other_refusals() -> None:
    with pytest.raises(NotFittedError):
        ZCA().transform(correlated())
    with pytest.raises(ValueError, match="X has 4 features, but ZCA is expecting 5 features"):
        ZCA().fit(correlated()).transform(correlated(size=4))
    for eps in (0, -1, "a"):
        with pytest.raises(ValueError, match="eps must be a number > 0"):
            ZCA(eps=eps).fit(correlated())  # type: ignore[arg-type]


def test_a_backend_of_whitened_patches(tmp_path: Path) -> None:
    gray = [textured(24, 30, seed) for seed in range(6)]
    images = [np.stack([image, image.T[:24, :24].repeat(2, axis=1)[:, :30], 255 - image], axis=2) for image in gray[:3]]
    images += gray[3:]
    backend = BagEncoder(
        WhitenedPatches(),
        SpatialPyramid(Triangle(KMeansDictionary(n_words=10, max_iter=3)), grids=("2x2",), normalization="none"),
        reduce=ZCA(),
        sample=2000,
    ).fit(images)
    vectors = backend.transform(images)
    assert vectors.shape == (6, 40)
    # By hand, one image: patches, whitened, distances to the words, summed by quadrant.
    features = WhitenedPatches().extract(images[0])
    white = (features.descriptors - backend.reduce_.mean_) @ backend.reduce_.matrix_
    words = backend.encoder_.encoder_.dictionary_.words_
    z = np.sqrt(((white[:, None].astype(np.float64) - words) ** 2).sum(axis=2))
    codes = np.maximum(z.mean(axis=1, keepdims=True) - z, 0)
    quadrant = (features.points[:, 1] + 0.5 >= 12) * 2 + (features.points[:, 0] + 0.5 >= 15)
    expected = np.concatenate([codes[quadrant == part].sum(axis=0) for part in range(4)])
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-3, atol=1e-2)
    storage.save(tmp_path / "model", kind="backend", state=backend, metadata={})
    back = storage.load(tmp_path / "model", kind="backend").state
    assert np.array_equal(back.transform(images), vectors)
    again = clone(backend).set_params(n_jobs=2).fit(images)
    assert np.array_equal(again.transform(images), vectors)
