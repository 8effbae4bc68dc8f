"""SphericalDictionary: directions by hand, against a loop, and the error that only falls."""

from __future__ import annotations

import pickle
from itertools import pairwise
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

from cvbow import storage
from cvbow.dictionary import SphericalDictionary, spherical

Float32 = NDArray[np.float32]


def random_rows(n: int, size: int = 6, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal((n, size)).astype(np.float32)


def error(data: Float32, words: Float32) -> float:
    """Mean squared remainder, the definition."""
    x, w = data.astype(np.float64), words.astype(np.float64)
    remainders = x[:, None] - (x @ w.T)[..., None] * w
    return float((remainders**2).sum(axis=2).min(axis=1).mean())


def test_lines_are_recovered_whatever_the_sign() -> None:
    rng = np.random.default_rng(0)
    axes = np.eye(5)[[1, 3]]
    data = axes[np.arange(400) % 2] * rng.standard_normal((400, 1)) + 0.001 * rng.standard_normal((400, 5))
    learned = SphericalDictionary(n_words=6).fit(data.astype(np.float32))
    assert learned.words_.shape == (6, 5)
    assert learned.words_.dtype == np.float32
    assert np.abs(learned.words_ @ axes.T).max(axis=0).min() > 0.9999
    assert learned.inertia_ < 1e-4


def test_one_word_is_the_first_principal_direction() -> None:
    data = random_rows(400) * np.array([1, 2, 9, 1, 1, 1], np.float32)
    learned = SphericalDictionary(n_words=1, max_iter=100, tol=0).fit(data)
    direction = np.linalg.svd(data.astype(np.float64), full_matrices=False)[2][0]
    np.testing.assert_allclose(abs(learned.words_[0] @ direction), 1, rtol=1e-5)


def test_by_hand() -> None:
    # (2, 0) and (-1, 0) on one line: projections on (1, 0) are 2 and -1, the sum 2 (2, 0) - (-1, 0) = (5, 0).
    data = np.array([[2, 0], [-1, 0]], np.float32)
    moved = spherical._move(
        data, np.zeros(2, np.int32), np.array([2, -1], np.float32), np.array([[1, 0]], np.float32), None
    )  # type: ignore[arg-type]
    np.testing.assert_allclose(moved, [[1, 0]])
    dictionary = SphericalDictionary()
    dictionary.words_ = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    # The first of the two that lie on one line; a negative projection counts as a positive one.
    assert dictionary.predict(np.array([[3, 1], [-3, 1], [1, -3], [0, 0]], np.float32)).tolist() == [0, 0, 1, 0]


def test_words_have_length_one() -> None:
    words = SphericalDictionary(n_words=30).fit(random_rows(200) * 1e3).words_
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, rtol=1e-6)


def test_the_error_never_grows_with_more_iterations() -> None:
    data = random_rows(800, 8)
    errors = []
    for max_iter in range(1, 10):
        learned = SphericalDictionary(n_words=20, max_iter=max_iter, tol=0).fit(data)
        assert learned.n_iter_ == max_iter
        errors.append(error(data, learned.words_))
        assert errors[-1] <= learned.inertia_ * (1 + 1e-5)
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(errors))
    assert errors[-1] < 0.98 * errors[0]


def test_what_is_told_is_the_error_before_the_last_move() -> None:
    data = random_rows(300)
    before = SphericalDictionary(n_words=9, max_iter=2, tol=0).fit(data)
    after = SphericalDictionary(n_words=9, max_iter=3, tol=0).fit(data)
    np.testing.assert_allclose(after.inertia_, error(data, before.words_), rtol=1e-4)


def test_labels_are_those_of_the_definition() -> None:
    data = random_rows(500)
    learned = SphericalDictionary(n_words=40).fit(data)
    expected = np.abs(data.astype(np.float64) @ learned.words_.T.astype(np.float64)).argmax(axis=1)
    assert (learned.predict(data) == expected).mean() > 0.995
    assert learned.predict(data).dtype == np.int32


@given(
    arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-100, 100, width=32)),
    st.integers(1, 15),
)
def test_any_small_sample_gives_finite_words_of_length_one(data: Float32, n_words: int) -> None:
    learned = SphericalDictionary(n_words=n_words).fit(data)
    assert learned.words_.shape == (n_words, 3)
    np.testing.assert_allclose(np.linalg.norm(learned.words_, axis=1), 1, rtol=1e-5)
    assert learned.inertia_ >= 0


def test_threads_and_parts_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_rows(900)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(spherical, "_PART", 100)
    one, two = (SphericalDictionary(n_words=30, n_jobs=n_jobs).fit(data) for n_jobs in (1, 3))
    assert np.array_equal(one.words_, two.words_)
    assert np.array_equal(one.predict(data), two.predict(data))


def test_seeds() -> None:
    data = random_rows(300)
    first = SphericalDictionary(n_words=9, random_state=1).fit(data).words_
    assert np.array_equal(first, SphericalDictionary(n_words=9, random_state=1).fit(data).words_)
    assert not np.array_equal(first, SphericalDictionary(n_words=9, random_state=2).fit(data).words_)


def test_copies_answer_the_same(tmp_path: Path) -> None:
    data = random_rows(100)
    data.flags.writeable = False
    learned = SphericalDictionary(n_words=7, n_jobs=2).fit(data)
    storage.save(tmp_path / "model", kind="dictionary", state=learned, metadata={})
    for again in (
        storage.load(tmp_path / "model", kind="dictionary").state,
        pickle.loads(pickle.dumps(learned)),
    ):
        assert np.array_equal(again.predict(data), learned.predict(data))
    assert not hasattr(clone(learned), "words_")
    learned.words_ = learned.words_.astype(np.float64)
    with pytest.raises(ValueError, match="words_ must be a float32 array"):
        storage.save(tmp_path / "model", kind="dictionary", state=learned, metadata={})


def test_refusals() -> None:
    with pytest.raises(NotFittedError):
        SphericalDictionary().predict(random_rows(2))
    with pytest.raises(ValueError, match="at least one row"):
        SphericalDictionary().fit(random_rows(0))
    with pytest.raises(ValueError, match="X has 5 features, but SphericalDictionary is expecting 6 features"):
        SphericalDictionary(n_words=2).fit(random_rows(9)).predict(random_rows(2, 5))
    with pytest.raises(ValueError, match="uint8"):
        SphericalDictionary().fit(np.zeros((3, 2), np.uint8))


@pytest.mark.parametrize("parameters", [{"n_words": 0}, {"max_iter": 0}, {"tol": -1}, {"random_state": -1}])
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(parameters))} must be "):
        SphericalDictionary(**parameters).fit(random_rows(20))
