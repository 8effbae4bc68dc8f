"""The linear SVM that finds its C: against folds that are gone through one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from cvbow.classify import LinearSVM, TunedLinearSVM, linear_svm
from cvbow.classify._labels import fold_of_each

CS = (100.0, 0.01, 1.0)


def vectors(n: int, d: int, n_classes: int = 3, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centres = rng.normal(0, 0.25, (n_classes, d))
    X = (centres[labels] + rng.normal(0, 1, (n, d))) / np.sqrt(d)
    return X.astype(np.float32), np.array(["ant", "bee", "cat", "dog"])[labels]


def scores_by_hand(X: NDArray[np.float32], y: NDArray[np.str_], folds: list[NDArray[np.bool_]]) -> list[float]:
    found = []
    for C in sorted(CS):
        right, judged = {name: 0 for name in np.unique(y)}, {name: 0 for name in np.unique(y)}
        for out in folds:
            answers = LinearSVM(C=C).fit(X[~out], y[~out]).predict(X[out])
            for name in right:
                right[name] += int((answers[y[out] == name] == name).sum())
                judged[name] += int((y[out] == name).sum())
        found.append(np.mean([right[name] / judged[name] for name in right]))
    return found


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("n", "d", "limit"), [(90, 200, 5000), (240, 12, 5000), (90, 900, 50)], ids=["more values", "more vectors", "many"]
)
def test_scores_are_those_of_plain_svms_on_each_fold(
    n: int, d: int, limit: int, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_svm, "_GRAM_LIMIT", limit)
    X, y = vectors(n, d, n_classes)
    tuned = TunedLinearSVM(Cs=CS).fit(X, y)
    numbers = np.unique(y, return_inverse=True)[1]
    parts = fold_of_each(numbers, 5, 1)
    folds = [parts == fold for fold in (range(5) if n <= min(d, limit) else range(1))]
    # A vector on the border may go either way in another order of sums.
    np.testing.assert_allclose(tuned.scores_, scores_by_hand(X, y, folds), atol=1.5 / 40)
    assert float(np.sort(CS)[np.argmax(tuned.scores_)]) == tuned.C_
    plain = LinearSVM(C=tuned.C_).fit(X, y)
    np.testing.assert_allclose(tuned.decision_function(X), plain.decision_function(X), atol=1e-5)
    assert tuned.temperature_ == plain.temperature_


def test_the_smallest_of_equals_is_taken() -> None:
    X = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    tuned = TunedLinearSVM(Cs=(10.0, 0.5, 2.0)).fit(X, np.arange(30) % 3)
    assert tuned.scores_.tolist() == [1, 1, 1]
    assert tuned.C_ == 0.5


def test_views_of_an_image_are_left_out_together() -> None:
    # Each image is noise of its own, twice: left out singly, an image's other view would give it away.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 300)).repeat(2, axis=0).astype(np.float32)
    y = rng.integers(0, 3, 60).repeat(2)
    assert TunedLinearSVM().fit(X, y, views=2).scores_.max() < 0.6
    assert TunedLinearSVM().fit(X, y).scores_.max() > 0.75


def test_different_scales_end_in_the_same_answers() -> None:
    X, y = vectors(90, 200)
    held_out, _ = vectors(60, 200, seed=1)
    plain = TunedLinearSVM(Cs=(0.01, 1.0, 100.0)).fit(X, y)
    small = TunedLinearSVM(Cs=(1.0, 100.0, 1e4)).fit(X / 10, y)
    np.testing.assert_allclose(small.scores_, plain.scores_, atol=1.5 / 30)
    assert (plain.predict(held_out) == small.predict(held_out / 10)).mean() > 0.9
    assert clone(plain).get_params() == plain.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Cs": ()}, r"Cs must be at least one number, got \(\)"),
        ({"Cs": "many"}, "Cs must be at least one number, got 'many'"),
        ({"Cs": (1.0, 0.0)}, "Cs must be a number > 0, got 0.0"),
        ({"n_folds": 1}, "n_folds must be an integer >= 2, got 1"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TunedLinearSVM(**parameters).fit(*vectors(30, 20))
