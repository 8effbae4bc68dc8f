"""GaussianMixtureDictionary: posteriors and EM steps against their definitions, its promises, and its peers."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import mixtures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import as_dictionary, draw, log_density, random_mixture
from notes import Notes
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from cvbow import storage
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary, _mixture, gaussian_mixture
from cvbow.dictionary._mixture import Mixture
from cvbow.encoders import BagOfWords
from cvbow.errors import ModelFileError
from cvbow.features import Features
from cvbow.progress import reporting

Float32 = NDArray[np.float32]
LEARNED = ("weights_", "means_", "variances_")


def learned(dictionary: GaussianMixtureDictionary) -> tuple[Float32, Float32, Float32]:
    return dictionary.weights_, dictionary.means_, dictionary.variances_


# --- queries --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 1 << 18])
@pytest.mark.parametrize(("n_words", "k"), [(1, 1), (1, 3), (5, 1), (7, 4), (40, 12)])
def test_posteriors_and_score_are_those_of_the_definition(
    n_words: int, k: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mixture, "_BLOCK", block)  # blocks of 32 rows, or one block
    parameters = random_mixture(n_words, k)
    x = draw(parameters, 75, seed=1)
    dictionary = as_dictionary(parameters)
    found = dictionary.posteriors(x)
    expected = mixtures.posteriors(parameters, x)
    assert found.dtype == np.float32
    assert found.shape == (75, n_words)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert dictionary.score(x) == pytest.approx(log_density(parameters, x).mean(), rel=1e-5)
    labels = dictionary.predict(x)
    assert labels.dtype == np.int32
    picked = np.take_along_axis(expected, labels[:, None].astype(np.intp), axis=1)[:, 0]
    np.testing.assert_allclose(picked, expected.max(axis=1), rtol=1e-3)


def test_posteriors_of_one_descriptor_by_hand() -> None:
    # Weights 1/4 and 3/4, means 0 and 2, variances 1 and 4: at x = 0 the densities are 1 and exp(-1/2) / 2, times
    # 1 / sqrt(2 pi), so the joint ones are as 1/4 to 3/8 exp(-1/2).
    parameters = (np.float32([0.25, 0.75]), np.float32([[0], [2]]), np.float32([[1], [4]]))
    second = 0.375 * np.exp(-0.5)
    expected = np.array([[0.25, second]]) / (0.25 + second)
    dictionary = as_dictionary(parameters)
    np.testing.assert_allclose(dictionary.posteriors(np.zeros((1, 1), np.float32)), expected, rtol=1e-6)
    total = np.log((0.25 + second) / np.sqrt(2 * np.pi))
    assert dictionary.score(np.zeros((1, 1), np.float32)) == pytest.approx(total, rel=1e-6)


def test_scikit_learn_computes_the_same() -> None:
    parameters = random_mixture(6, 5)
    x = draw(parameters, 400, seed=1)
    peer = GaussianMixture(6, covariance_type="diag")
    peer.weights_, peer.means_, peer.covariances_ = (np.asarray(values, np.float64) for values in parameters)
    peer.precisions_cholesky_ = 1 / np.sqrt(peer.covariances_)
    dictionary = as_dictionary(parameters)
    np.testing.assert_allclose(dictionary.posteriors(x), peer.predict_proba(x), rtol=1e-3, atol=1e-6)
    assert dictionary.score(x) == pytest.approx(peer.score(x), rel=1e-5)


def test_no_descriptors_have_no_posteriors_and_no_score() -> None:
    dictionary = as_dictionary(random_mixture(3, 2))
    nothing = np.zeros((0, 2), np.float32)
    assert dictionary.posteriors(nothing).shape == (0, 3)
    assert dictionary.predict(nothing).shape == (0,)
    with pytest.raises(ValueError, match=r"^descriptors must have at least one row"):
        dictionary.score(nothing)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e20, 3e38])
def test_descriptors_far_away_get_finite_posteriors(far: float) -> None:
    parameters = random_mixture(5, 3)
    x = np.float32(far) * np.float32([[1, 0, 0], [0, -1, 1], [1, 1, 1], [-1, -1, -1]])
    found = as_dictionary(parameters).posteriors(x)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@given(st.integers(0, 1000), st.permutations(range(6)))
def test_posteriors_follow_the_order_of_descriptors_and_of_gaussians(seed: int, order: list[int]) -> None:
    weights, means, variances = random_mixture(6, 3, seed=seed)
    x = draw((weights, means, variances), 20, seed=seed)
    found = as_dictionary((weights, means, variances)).posteriors(x)
    turned = as_dictionary((weights[order], means[order], variances[order])).posteriors(x[::-1])
    np.testing.assert_allclose(turned[::-1], found[:, order], rtol=1e-3, atol=1e-6)


# --- learning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_step_of_em_is_that_of_the_definition(seed: int) -> None:
    parameters = random_mixture(5, 3, seed=seed)
    x = draw(random_mixture(4, 3, seed=seed + 10), 300, seed=seed)
    before = Mixture(*parameters)
    sums, likelihood = gaussian_mixture._expect(x, before, 1)
    after = gaussian_mixture._maximize(sums, before, 1e-9)
    q = mixtures.posteriors(parameters, x)
    mass = q.sum(axis=0)[:, None]
    means = q.T @ x / mass
    variances = np.stack([q[:, j] @ (x - means[j]) ** 2 for j in range(5)]) / mass
    assert likelihood == pytest.approx(log_density(parameters, x).mean(), rel=1e-5)
    np.testing.assert_allclose(after.weights, mass[:, 0] / len(x), rtol=1e-4)
    np.testing.assert_allclose(after.center + after.scale * after.means, means, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(after.scale**2 * after.variances, variances, rtol=1e-3)


def test_a_gaussian_that_explains_nothing_stays_where_it_is() -> None:
    x = draw(random_mixture(1, 2), 100)
    before = Mixture(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [900.0, 0.0]]), np.ones((2, 2)))
    after = gaussian_mixture._maximize(gaussian_mixture._expect(x, before, 1)[0], before, 1e-6)
    np.testing.assert_allclose(after.center[0] + after.scale * after.means[1, 0], 900, rtol=1e-4)
    np.testing.assert_allclose(after.scale**2 * after.variances[1], 1, rtol=1e-3)
    assert 0 < after.weights[1] < 1e-4


def test_two_clusters_by_hand() -> None:
    x = np.float32([[-1], [1], [9], [11]]).repeat(10, axis=0)
    dictionary = GaussianMixtureDictionary(n_words=2).fit(x)
    order = np.argsort(dictionary.means_[:, 0])
    np.testing.assert_allclose(dictionary.means_[order, 0], [0, 10], atol=1e-4)
    np.testing.assert_allclose(dictionary.variances_[:, 0], 1, rtol=1e-3)
    np.testing.assert_allclose(dictionary.weights_, 0.5, rtol=1e-5)
    # Each descriptor is one deviation from its mean, and half of them are of each Gaussian.
    assert dictionary.log_likelihood_ == pytest.approx(np.log(0.5) - 0.5 * np.log(2 * np.pi) - 0.5, rel=1e-4)


def test_a_mixture_is_recovered_from_its_draws() -> None:
    means = np.float32([[0, 0], [6, 1], [-2, 7]])
    truth = (np.float32([0.5, 0.3, 0.2]), means, np.float32([[1, 0.5], [0.3, 2], [1, 1]]))
    found = GaussianMixtureDictionary(n_words=3, tol=1e-5, max_iter=200).fit(draw(truth, 20_000))
    order = [int(np.argmin(((found.means_ - mean) ** 2).sum(axis=1))) for mean in means]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(found.weights_[order], truth[0], atol=0.02)
    np.testing.assert_allclose(found.means_[order], truth[1], atol=0.05)
    np.testing.assert_allclose(found.variances_[order], truth[2], rtol=0.08)


def test_each_iteration_raises_the_likelihood() -> None:
    x = draw(random_mixture(12, 4, seed=3), 2000)
    scores = [GaussianMixtureDictionary(n_words=6, max_iter=i, tol=0).fit(x).score(x) for i in (1, 2, 3, 5, 8, 13)]
    assert np.diff(scores).min() > -1e-4
    assert scores[-1] > scores[0] + 0.01


def test_it_stops_when_the_likelihood_settles() -> None:
    x = draw(random_mixture(4, 3), 1000)
    patient = GaussianMixtureDictionary(n_words=4, tol=1e-4, max_iter=300).fit(x)
    hasty = GaussianMixtureDictionary(n_words=4, tol=0.5, max_iter=300).fit(x)
    assert hasty.n_iter_ < patient.n_iter_ < 300
    assert patient.log_likelihood_ > hasty.log_likelihood_
    assert patient.score(x) >= patient.log_likelihood_ - 1e-5


def test_scikit_learn_finds_no_more() -> None:
    """From scikit-learn's own k-means start, to the end of it, within a hundredth of a nat."""
    x = draw(random_mixture(10, 6, seed=5), 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = GaussianMixture(8, covariance_type="diag", random_state=0, max_iter=200, tol=1e-4).fit(x)
    dictionary = GaussianMixtureDictionary(n_words=8, max_iter=200, tol=1e-4).fit(x)
    assert dictionary.score(x) > peer.score(x) - 0.15


def test_vlfeat_finds_no_more_in_as_many_iterations() -> None:
    vlfeat = mixtures.load_vlfeat()
    x = draw(random_mixture(20, 8, seed=5), 4000)
    means, variances, weights = vlfeat.gmm(x, 12, max_iterations=40)
    theirs = log_density((weights, means, variances), x).mean()
    mine = GaussianMixtureDictionary(n_words=12, max_iter=40, tol=0).fit(x)
    assert mine.score(x) >= theirs - 0.01 * abs(theirs)


def test_threads_do_not_change_a_bit() -> None:
    x = draw(random_mixture(6, 5), 30_000)
    one = GaussianMixtureDictionary(n_words=7, max_iter=4, tol=0, n_jobs=1).fit(x)
    for n_jobs in (2, 5):
        many = GaussianMixtureDictionary(n_words=7, max_iter=4, tol=0, n_jobs=n_jobs).fit(x)
        for name in LEARNED:
            assert getattr(many, name).tobytes() == getattr(one, name).tobytes()
        assert many.log_likelihood_ == one.log_likelihood_
        assert many.posteriors(x).tobytes() == one.posteriors(x).tobytes()
        assert many.predict(x).tobytes() == one.predict(x).tobytes()
        assert many.score(x) == one.score(x)


def test_the_seed_decides() -> None:
    x = draw(random_mixture(9, 3), 3000)
    first, again, other = (GaussianMixtureDictionary(n_words=5, max_iter=2, random_state=s).fit(x) for s in (3, 3, 4))
    assert first.means_.tobytes() == again.means_.tobytes()
    assert first.means_.tobytes() != other.means_.tobytes()


# --- odd samples ----------------------------------------------------------------------------------------------------


def test_fewer_descriptors_than_gaussians_make_fewer_gaussians() -> None:
    x = np.float32([[0, 0], [4, 4], [0, 0], [9, 1]])
    with pytest.warns(UserWarning, match="n_words is 5, but the sample has 3 distinct descriptors"):
        dictionary = GaussianMixtureDictionary(n_words=5).fit(x)
    found = dictionary.means_[np.argsort(dictionary.means_[:, 0])]
    np.testing.assert_allclose(found, [[0, 0], [4, 4], [9, 1]], atol=1e-4)
    np.testing.assert_allclose(np.sort(dictionary.weights_), [0.25, 0.25, 0.5], rtol=1e-4)


def test_rare_descriptors_among_many_equal_ones_get_their_gaussian() -> None:
    # The part of the sample that k-means looks at may miss both.
    x = np.zeros((2000, 2), np.float32)
    x[700], x[1500] = (3, 0), (0, 5)
    dictionary = GaussianMixtureDictionary(n_words=3).fit(x)
    found = dictionary.means_[np.argsort(dictionary.means_.sum(axis=1))]
    np.testing.assert_allclose(found, [[0, 0], [3, 0], [0, 5]], atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, -7.5, 1e-30, 1e30])
def test_equal_descriptors_make_one_gaussian(value: float) -> None:
    x = np.full((20, 3), value, np.float32)
    dictionary = GaussianMixtureDictionary(n_words=1).fit(x)
    np.testing.assert_array_equal(dictionary.means_, x[:1])
    assert (dictionary.variances_ > 0).all()
    assert dictionary.weights_.tolist() == [1]
    assert np.isfinite(dictionary.log_likelihood_)


def test_one_descriptor_is_enough() -> None:
    dictionary = GaussianMixtureDictionary(n_words=1).fit(np.float32([[1, 2, 3]]))
    assert dictionary.means_.tolist() == [[1, 2, 3]]


def test_the_floor_is_a_share_of_the_mean_variance() -> None:
    x = draw(random_mixture(3, 4), 500)
    x[:, 2] = 7
    floor = 1e-2 * x.astype(np.float64).var(axis=0).mean()
    dictionary = GaussianMixtureDictionary(n_words=4, min_variance=1e-2).fit(x)
    np.testing.assert_allclose(dictionary.variances_[:, 2], floor, rtol=1e-5)
    np.testing.assert_allclose(dictionary.means_[:, 2], 7, rtol=1e-6)
    assert dictionary.variances_.min() >= np.float32(floor) * np.float32(0.9999)


@given(st.integers(-15, 15), st.floats(-100, 100))
def test_scale_and_place_of_the_descriptors_do_not_matter(exponent: int, shift: float) -> None:
    x = draw(random_mixture(3, 2), 300)
    scale = np.float32(10.0**exponent)
    moved = scale * (x + np.float32(shift))
    plain = GaussianMixtureDictionary(n_words=3, max_iter=5, tol=0).fit(x)
    other = GaussianMixtureDictionary(n_words=3, max_iter=5, tol=0).fit(moved)
    np.testing.assert_allclose(other.means_ / scale, plain.means_ + np.float32(shift), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(other.variances_ / scale / scale, plain.variances_, rtol=1e-2)
    np.testing.assert_allclose(other.posteriors(moved), plain.posteriors(x), atol=2e-2)


@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-25, 1e-19, 1e19, 1e25, 3e37])
def test_the_ends_of_float32_stay_finite(scale: float) -> None:
    x = (draw(random_mixture(4, 3), 300) * scale).astype(np.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_words is 4", UserWarning)  # at 1e-45 few values are left
        dictionary = GaussianMixtureDictionary(n_words=4).fit(x)
    storage.check_state(dictionary)
    assert np.isfinite(dictionary.log_likelihood_)
    np.testing.assert_allclose(dictionary.posteriors(x).sum(axis=1), 1, rtol=1e-5)


def test_a_sample_with_one_far_descriptor() -> None:
    x = draw(random_mixture(3, 3), 1000)
    x[500] = 1e30
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_words is 3", UserWarning)  # seen from there, the others are one
        dictionary = GaussianMixtureDictionary(n_words=3).fit(x)
    storage.check_state(dictionary)
    assert np.isfinite(dictionary.posteriors(x)).all()


def test_other_types_are_taken_as_float32_and_nothing_is_changed() -> None:
    x = np.random.default_rng(0).integers(0, 50, (400, 3))
    kept = x.copy()
    from_integers = GaussianMixtureDictionary(n_words=3).fit(x)
    frozen = x.astype(np.float32)
    frozen.flags.writeable = False
    from_floats = GaussianMixtureDictionary(n_words=3).fit(frozen)
    assert from_integers.means_.tobytes() == from_floats.means_.tobytes()
    assert np.array_equal(x, kept)
    from_floats.posteriors(frozen[::-1])
    columns = np.asfortranarray(frozen)
    np.testing.assert_array_equal(from_floats.predict(columns), from_floats.predict(frozen))


# --- errors, state, report ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_words": 0}, "n_words must be an integer >= 1, got 0"),
        ({"n_words": 2.5}, "n_words must be an integer >= 1, got 2.5"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
        ({"tol": -1}, "tol must be a number >= 0, got -1"),
        ({"min_variance": 0}, "min_variance must be a number >= 1e-08 and <= 1, got 0"),
        ({"min_variance": 2}, "min_variance must be a number >= 1e-08 and <= 1, got 2"),
        ({"random_state": -1}, "random_state must be an integer >= 0, got -1"),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0, got 0"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GaussianMixtureDictionary(**parameters).fit(np.zeros((4, 2), np.float32))


@pytest.mark.parametrize(
    ("descriptors", "message"),
    [
        (np.zeros((0, 4), np.float32), "descriptors must have at least one row to learn words from"),
        (np.zeros((5, 4), np.uint8), "descriptors must be real-valued"),
        (np.zeros(5, np.float32), "Expected 2D array, got 1D array instead"),
        (np.full((5, 2), np.nan, np.float32), "descriptors must be finite"),
        (np.array([[np.inf, 0]], np.float32), "descriptors must be finite"),
    ],
)
def test_bad_descriptors_are_refused(descriptors: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        GaussianMixtureDictionary(n_words=2).fit(descriptors)


def test_a_query_must_fit_the_mixture() -> None:
    unfitted = GaussianMixtureDictionary()
    x = np.zeros((3, 2), np.float32)
    for call in (unfitted.predict, unfitted.posteriors, unfitted.score):
        with pytest.raises(NotFittedError):
            call(x)
    with pytest.raises(NotFittedError):
        unfitted.mixture()
    with pytest.raises(NotFittedError):
        _ = unfitted.words_
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixtureDictionary is expecting 3 features"):
        as_dictionary(random_mixture(2, 3)).predict(x)


def test_its_means_serve_a_bag_of_words() -> None:
    x = np.float32([[0, 0], [1, 0], [20, 20], [21, 20], [20, 21]]).repeat(4, axis=0)
    features = Features(np.zeros((20, 4), np.float32), x, (10, 10))
    encoder = BagOfWords(GaussianMixtureDictionary(n_words=2), normalization="none").fit([features])
    assert sorted(encoder.encode(features).tolist()) == [8, 12]


def test_clone_pickle_and_refit_forget_what_was_prepared() -> None:
    x = draw(random_mixture(3, 2), 200)
    dictionary = GaussianMixtureDictionary(n_words=3, n_jobs=2).fit(x)
    before = dictionary.posteriors(x)
    copy = pickle.loads(pickle.dumps(dictionary))
    assert copy.posteriors(x).tobytes() == before.tobytes()
    assert clone(dictionary).get_params() == dictionary.get_params()
    dictionary.fit(x + 5)
    np.testing.assert_allclose(dictionary.posteriors(x + 5), before, atol=1e-3)
    assert np.abs(dictionary.posteriors(x) - before).max() > 0.1


def test_a_stored_mixture_answers_the_same(tmp_path: Path) -> None:
    x = draw(random_mixture(3, 2), 200)
    dictionary = GaussianMixtureDictionary(n_words=3, n_jobs=2).fit(x)
    answer = dictionary.posteriors(x)
    path = tmp_path / "mixture.cvbow"
    digest = storage.save(path, kind="dictionary", state=dictionary, metadata={})
    loaded = storage.load(path, kind="dictionary").state
    assert isinstance(loaded, GaussianMixtureDictionary)
    assert loaded.n_jobs is None
    assert loaded.posteriors(x).tobytes() == answer.tobytes()
    dictionary.n_jobs = None
    assert storage.save(path, kind="dictionary", state=dictionary, metadata={}) == digest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights_", np.float32([0.5, 0.5])),
        ("weights_", np.float32([1, 0, 0])),
        ("weights_", np.float64([0.2, 0.3, 0.5])),
        ("weights_", None),
        ("means_", np.zeros((3, 4), np.float32)),
        ("means_", np.full((3, 2), np.nan, np.float32)),
        ("means_", np.zeros(3, np.float32)),
        ("variances_", np.zeros((3, 2), np.float32)),
        ("variances_", np.full((3, 2), -1, np.float32)),
        ("min_variance", 0),
    ],
)
def test_an_impossible_state_is_not_stored(name: str, value: object, tmp_path: Path) -> None:
    dictionary = as_dictionary(random_mixture(3, 2))
    storage.check_state(dictionary)
    setattr(dictionary, name, value)
    with pytest.raises(ValueError, match=name if name == "min_variance" else "weights_|means_|variances_"):
        storage.check_state(dictionary)
    with pytest.raises((ValueError, ModelFileError)):
        storage.save(tmp_path / "mixture.cvbow", kind="dictionary", state=dictionary, metadata={})


def test_it_tells_the_cost_first_and_how_far_it_is() -> None:
    collector = Notes()
    with reporting(collector, details=True):
        dictionary = GaussianMixtureDictionary(n_words=3, max_iter=9).fit(draw(random_mixture(3, 2), 500))
    pattern = (
        r"Gaussian mixture: 3 Gaussians from 500 descriptors of 2 values; about \d+ MB, at most about \d+ s \(9 it"
    )
    assert re.match(pattern, collector.lines[-1])
    assert collector.stages == ["k-means", "Gaussian mixture"]
    assert f"Gaussian mixture {dictionary.n_iter_}/9" in [stage for _, stage in collector.shown]


def test_the_start_is_k_means() -> None:
    """One iteration from there is better than the best single Gaussian by far."""
    x = draw(random_mixture(8, 3, seed=2), 2000)
    single = GaussianMixtureDictionary(n_words=1).fit(x)
    assert GaussianMixtureDictionary(n_words=8, max_iter=1).fit(x).score(x) > single.score(x) + 0.3
    assert KMeansDictionary(n_words=8).fit(x).words_.shape == (8, 3)


# --- the first share -----------------------------------------------------------------------------------------------


def test_a_share_shows_the_way_as_well_as_the_whole() -> None:
    data = draw(random_mixture(4, 3), 12_000)
    whole, part = (GaussianMixtureDictionary(n_words=4, first_share=share).fit(data) for share in (1, 0.25))
    assert part.score(data) == pytest.approx(whole.score(data), abs=0.02)
    assert not np.array_equal(part.means_, whole.means_)


@pytest.mark.parametrize(("n", "max_iter"), [(3_196, 50), (12_000, 3)])
def test_a_small_share_is_not_used(n: int, max_iter: int) -> None:
    """With fewer than 200 descriptors a Gaussian in it, or with no iterations left for it."""
    data = draw(random_mixture(4, 3), n)
    fitted = [
        GaussianMixtureDictionary(n_words=4, max_iter=max_iter, first_share=share).fit(data) for share in (1, 0.25)
    ]
    np.testing.assert_array_equal(fitted[0].means_, fitted[1].means_)
