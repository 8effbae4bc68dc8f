"""FisherVector: gradients against the definition, by hand, and against the peers, whose signs differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mixtures
import numpy as np
import pytest
from bags import random_bag
from hypothesis import given
from hypothesis import strategies as st
from mixtures import Parameters, as_dictionary, draw, random_mixture
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary, _mixture
from cvbow.encoders import Cells, FisherVector
from cvbow.errors import ModelFileError
from cvbow.features import Features

Float32 = NDArray[np.float32]


def encoder_of(parameters: Parameters, **settings: Any) -> FisherVector:
    """An encoder that has learned just this mixture."""
    encoder = FisherVector(**settings)
    encoder.dictionary_ = as_dictionary(parameters)
    return encoder


def features_of(descriptors: Any, places: Any = None) -> Features:
    rows = np.atleast_2d(np.asarray(descriptors, np.float32))
    points = np.zeros((len(rows), 4), np.float32)
    if places is not None:
        points[:, :2] = places
    return Features(points, rows, (40, 40))


def oracle(parameters: Parameters, x: Float32, threshold: float = 0.0, power: float = 1.0, l2: bool = False) -> Any:
    """The definition, one descriptor and one Gaussian at a time."""
    weights, means, variances = (np.asarray(values, np.float64) for values in parameters)
    by_means, by_deviations = np.zeros_like(means), np.zeros_like(means)
    for i, row in enumerate(mixtures.posteriors(parameters, x)):
        for j, q in enumerate(row):
            if q > threshold:
                u = (x[i].astype(np.float64) - means[j]) / np.sqrt(variances[j])
                by_means[j] += q * u / np.sqrt(weights[j])
                by_deviations[j] += q * (u**2 - 1) / np.sqrt(2 * weights[j])
    vector = np.concatenate([by_means.ravel(), by_deviations.ravel()]) / max(len(x), 1)
    vector = np.sign(vector) * np.abs(vector) ** power
    length = np.linalg.norm(vector)
    return vector / length if l2 and length else vector


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 1 << 18])
@pytest.mark.parametrize(("n_words", "k", "n"), [(1, 1, 1), (1, 4, 30), (6, 1, 40), (5, 3, 1), (9, 6, 80)])
@pytest.mark.parametrize("threshold", [0.0, 1e-4, 0.3])
def test_the_gradients_are_those_of_the_definition(
    n_words: int, k: int, n: int, threshold: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mixture, "_BLOCK", block)  # blocks of 32 rows, or one block
    parameters = random_mixture(n_words, k)
    x = draw(parameters, n, seed=1)
    plain = encoder_of(parameters, power=1, normalization="none", posterior_threshold=threshold)
    vector = plain.encode(features_of(x))
    assert vector.dtype == np.float32
    assert vector.shape == (2 * n_words * k,) == (plain.vector_length,)
    np.testing.assert_allclose(vector, oracle(parameters, x, threshold), rtol=2e-3, atol=1e-5)
    improved = encoder_of(parameters, posterior_threshold=threshold)
    expected = oracle(parameters, x, threshold, power=0.5, l2=True)
    np.testing.assert_allclose(improved.encode(features_of(x)), expected, atol=2e-3)


@pytest.mark.parametrize("power", [0.3, 0.5, 1])
@pytest.mark.parametrize("normalization", ["l2", "none"])
def test_power_and_normalization(power: float, normalization: str) -> None:
    parameters = random_mixture(4, 3)
    x = draw(parameters, 50, seed=1)
    encoder = encoder_of(parameters, power=power, normalization=normalization, posterior_threshold=0)
    expected = oracle(parameters, x, power=power, l2=normalization == "l2")
    np.testing.assert_allclose(encoder.encode(features_of(x)), expected, atol=3e-3)
    if normalization == "l2":
        assert np.linalg.norm(encoder.encode(features_of(x))) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "by_mean", "by_deviation"),
    [
        # One Gaussian, mean 1, deviation 2: u = (x - 1) / 2, and the parts are u and (u^2 - 1) / sqrt(2).
        ([[1]], 0, -1 / np.sqrt(2)),
        ([[3]], 1, 0),
        ([[5]], 2, 3 / np.sqrt(2)),
        ([[-3]], -2, 3 / np.sqrt(2)),
        # The mean over the descriptors: u is -1, 0 and 2.
        ([[-1], [1], [5]], 1 / 3, (0 - 1 + 3) / 3 / np.sqrt(2)),
    ],
)
def test_one_gaussian_by_hand(x: list[list[float]], by_mean: float, by_deviation: float) -> None:
    encoder = encoder_of((np.float32([1]), np.float32([[1]]), np.float32([[4]])), power=1, normalization="none")
    np.testing.assert_allclose(encoder.encode(features_of(x)), [by_mean, by_deviation], atol=1e-6)


def test_the_layout_is_means_of_all_gaussians_then_deviations() -> None:
    # Far apart, so that each descriptor is of one Gaussian; weights 1/4 and 3/4, all variances 1.
    parameters = (np.float32([0.25, 0.75]), np.float32([[0, 0], [100, 0]]), np.ones((2, 2), np.float32))
    encoder = encoder_of(parameters, power=1, normalization="none")
    vector = encoder.encode(features_of([[1, 2], [100, -1]]))
    quarter, rest = np.sqrt(0.25), np.sqrt(0.75)
    by_means = [1 / quarter, 2 / quarter, 0, -1 / rest]
    by_deviations = [0, 3 / quarter / np.sqrt(2), -1 / rest / np.sqrt(2), 0]
    np.testing.assert_allclose(vector, np.array([*by_means, *by_deviations]) / 2, atol=1e-4)


def test_signs_say_where_the_descriptors_lie() -> None:
    """The pinned convention: above the mean is positive, and so is farther out than the deviation."""
    encoder = encoder_of((np.float32([1]), np.float32([[0]]), np.float32([[1]])))
    outer = encoder.encode(features_of([[3], [3.5]]))
    inner = encoder.encode(features_of([[-0.1], [-0.2]]))
    assert np.sign(outer).tolist() == [1, 1]
    assert np.sign(inner).tolist() == [-1, -1]


def test_vlfeat_has_the_same_signs_and_layout() -> None:
    vlfeat = mixtures.load_vlfeat()
    parameters = random_mixture(10, 6)
    weights, means, variances = parameters
    x = draw(random_mixture(10, 6, seed=2), 500, seed=1)
    for improved, settings in ((False, {"power": 1, "normalization": "none"}), (True, {})):
        theirs = vlfeat.fisher(x, means, variances, weights, improved=improved)
        mine = encoder_of(parameters, posterior_threshold=1e-6, **settings).encode(features_of(x))
        np.testing.assert_allclose(mine, theirs, atol=2e-4)


def test_scikit_image_has_the_opposite_sign_in_the_deviations() -> None:
    feature = pytest.importorskip("skimage.feature", reason="needs scikit-image")
    from sklearn.mixture import GaussianMixture

    n_words, k = 10, 6
    parameters = random_mixture(n_words, k)
    peer = GaussianMixture(n_words, covariance_type="diag")
    peer.weights_, peer.means_, peer.covariances_ = (np.asarray(values, np.float64) for values in parameters)
    peer.precisions_cholesky_ = 1 / np.sqrt(peer.covariances_)
    x = draw(random_mixture(n_words, k, seed=2), 500, seed=1)
    theirs = feature.fisher_vector(x.astype(np.float64), peer)
    mine = encoder_of(parameters, power=1, normalization="none", posterior_threshold=0).encode(features_of(x))
    by_means, by_deviations = theirs[n_words:].reshape(2, -1)  # theirs begins with the weights
    np.testing.assert_allclose(mine[: n_words * k], by_means, atol=1e-5)
    np.testing.assert_allclose(mine[n_words * k :], -by_deviations, atol=1e-5)


def test_draws_of_the_mixture_itself_have_no_gradient() -> None:
    parameters = random_mixture(4, 3)
    encoder = encoder_of(parameters, power=1, normalization="none", posterior_threshold=0)
    small = np.abs(encoder.encode(features_of(draw(parameters, 40_000)))).max()
    shifted = np.abs(encoder.encode(features_of(draw(parameters, 2000) + 1))).max()
    assert small < 0.03 < 0.3 < shifted


# --- cells ----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_points_are_grouped_by_all_their_cells(data: st.DataObject) -> None:
    n, n_grids = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 4))
    cells = [np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))) + 6 * g for g in range(n_grids)]
    order, bounds, members = Cells(cells, 6 * n_grids).groups()
    assert sorted(order.tolist()) == list(range(n))
    assert bounds[0] == 0
    assert bounds[-1] == n
    assert len({tuple(row) for row in members}) == len(members) == len(bounds) - 1
    for group, row in enumerate(members):
        points = order[bounds[group] : bounds[group + 1]]
        assert len(points)
        assert all((cell[points] == row[grid]).all() for grid, cell in enumerate(cells))


@pytest.mark.parametrize("block", [1, 1 << 18])
@given(st.integers(0, 10**6))
def test_cells_are_encoded_as_their_points_alone(block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = random_mixture(4, 3)
    features = features_of(draw(parameters, 60, seed=seed))
    cells = [rng.integers(0, 1, 60), 1 + rng.integers(0, 3, 60), 4 + rng.integers(0, 4, 60)]
    encoder = encoder_of(parameters, power=1, normalization="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_mixture, "_BLOCK", block)
        vectors = encoder.encode_cells(features, Cells(cells, 9))
    assert vectors.shape == (9, encoder.vector_length)
    assert vectors.dtype == np.float32
    for number in range(9):
        inside = next((np.flatnonzero(cell == number) for cell in cells if (cell == number).any()), np.arange(0))
        np.testing.assert_allclose(vectors[number], encoder.encode(features.take(inside)), atol=2e-5)


def test_each_cell_is_normalized_and_an_empty_one_is_zero() -> None:
    parameters = random_mixture(4, 3)
    features = features_of(draw(parameters, 30))
    vectors = encoder_of(parameters).encode_cells(features, Cells([np.repeat([0, 2], 15)], 4))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 0], atol=1e-6)


# --- promises -------------------------------------------------------------------------------------------------------


def test_fit_learns_the_mixture_of_the_sample() -> None:
    bags = [random_bag(100, 5, seed=seed) for seed in range(3)]
    encoder = FisherVector(GaussianMixtureDictionary(n_words=3)).fit(bags)
    direct = GaussianMixtureDictionary(n_words=3).fit(np.concatenate([bag.descriptors for bag in bags]))
    assert encoder.dictionary_.means_.tobytes() == direct.means_.tobytes()
    assert (encoder.n_words, encoder.vector_length, encoder.wants_documents) == (3, 30, False)
    assert not hasattr(encoder.dictionary, "means_")


def test_the_default_dictionary_has_128_gaussians() -> None:
    encoder = FisherVector().fit([random_bag(400, 2)])
    assert encoder.n_words == 128
    assert encoder.encode(random_bag(50, 2, seed=1)).shape == (512,)


@given(st.integers(0, 10**6), st.sampled_from([1e-45, 1e-30, 1e-3, 1, 1e3, 1e15, 1e30, 3e37]))
def test_every_bag_has_a_finite_vector(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (scale * rng.standard_normal((rng.integers(1, 40), 3))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = 0
    for settings in ({}, {"power": 1.0, "normalization": "none"}):
        vector = encoder_of(random_mixture(5, 3), **settings).encode(features_of(rows))
        assert np.isfinite(vector).all()
        if not settings:
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@given(st.integers(0, 10**6))
def test_order_and_repetition_of_points_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parameters = random_mixture(5, 3)
    features = features_of(draw(parameters, 50, seed=seed))
    encoder = encoder_of(parameters)
    vector = encoder.encode(features)
    np.testing.assert_allclose(encoder.encode(features.take(rng.permutation(50))), vector, atol=1e-3)
    np.testing.assert_allclose(encoder.encode(features.take(np.tile(np.arange(50), 3))), vector, atol=1e-3)


def test_scale_and_place_of_the_descriptors_do_not_matter() -> None:
    weights, means, variances = random_mixture(5, 3)
    x = draw((weights, means, variances), 50, seed=1)
    vector = encoder_of((weights, means, variances)).encode(features_of(x))
    for factor, shift in ((1e-15, 0), (1e15, 0), (1, 1000), (0.01, -3)):
        f = np.float32(factor)
        moved = encoder_of((weights, means * f + np.float32(shift), variances * f * f))
        np.testing.assert_allclose(moved.encode(features_of(x * f + np.float32(shift))), vector, atol=1e-2)


def test_threads_do_not_change_a_bit() -> None:
    bags = [random_bag(6000, 4, seed=seed) for seed in range(3)]
    one, two = (
        FisherVector(GaussianMixtureDictionary(n_words=6, max_iter=3, n_jobs=n_jobs)).fit(bags) for n_jobs in (1, 2)
    )
    assert one.encode(bags[0]).tobytes() == two.encode(bags[0]).tobytes()


def test_an_impossible_state_is_not_stored(tmp_path: Path) -> None:
    encoder = encoder_of(random_mixture(3, 2))
    storage.check_state(encoder)
    encoder.dictionary_ = KMeansDictionary()
    with pytest.raises(ValueError, match="dictionary_ must be a GaussianMixtureDictionary"):
        storage.check_state(encoder)
    with pytest.raises((ValueError, ModelFileError)):
        storage.save(tmp_path / "encoder.cvbow", kind="encoder", state=encoder, metadata={})


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"power": 0}, "power must be a number > 0 and <= 1, got 0"),
        ({"power": 1.5}, "power must be a number > 0 and <= 1, got 1.5"),
        ({"posterior_threshold": -0.1}, "posterior_threshold must be a number >= 0 and <= 0.5, got -0.1"),
        ({"posterior_threshold": 1}, "posterior_threshold must be a number >= 0 and <= 0.5, got 1"),
        ({"normalization": "l1"}, "normalization must be one of l2, none, got 'l1'"),
        ({"dictionary": 128}, "dictionary must be a GaussianMixtureDictionary or None, got 128"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FisherVector(**parameters).fit([random_bag(10, 2)])


def test_a_dictionary_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^dictionary must be a GaussianMixtureDictionary or None, got KMeans"):
        FisherVector(KMeansDictionary()).fit([random_bag(10, 2)])  # type: ignore[arg-type]


def test_before_fit_and_with_other_descriptors() -> None:
    encoder = FisherVector(GaussianMixtureDictionary(n_words=2))
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
    unfitted = clone(encoder)
    assert unfitted.get_params(deep=False).keys() == encoder.get_params(deep=False).keys()
    with pytest.raises(NotFittedError):
        unfitted.encode(random_bag(3, 2))
