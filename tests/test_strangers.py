"""Images of which a model says that they are of none of its classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tiny_images import write_dataset

from cvbow import ImageClassifier, LinearSVM, list_images
from cvbow.backends import CensusPyramid, ChannelUnion, ColorHistogram, MultiCrop
from cvbow.classify import Strangers
from cvbow.classify.strangers import _Means


def clusters(n: int, seed: int, places: tuple[int, ...] = (0, 1, 2), d: int = 60) -> tuple[Any, NDArray[np.intp]]:
    """Vectors of classes, each of which has a block of values of its own that are larger, besides some of all."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(places), n)
    X = rng.normal(size=(n, d)) + 1.5 * (np.arange(d) // 10 == np.array(places)[y, None])
    return X.astype(np.float32), y


def test_means_in_short() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(4, 50)).astype(np.float32)
    short = _Means.of(means)
    off = means - means.mean(axis=0)
    expected = means.mean(axis=0) + np.sign(off) * np.abs(off).mean(axis=1, keepdims=True)
    vectors = rng.normal(size=(20, 50)).astype(np.float32)
    np.testing.assert_allclose(short.products(vectors), vectors @ expected.T, atol=0.2)
    assert short.bits.nbytes == 4 * 7
    assert np.corrcoef(short.products(vectors).ravel(), (vectors @ means.T).ravel())[0, 1] > 0.8


def test_scores_by_hand() -> None:
    """The mean of all is (0.5, 0.5, 0, 0), those of the classes in short (0.75, 0.25, -0.25, -0.25) and the like."""
    X = np.repeat(np.eye(2, 4), 10, axis=0)
    strangers = Strangers().fit(X, np.repeat(["a", "b"], 10))
    np.testing.assert_allclose(strangers.usual_, 0.75, atol=1e-6)
    scores = strangers.strangeness([[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]])
    # All vectors of a class are equal: the unit is the least spread that there is.
    expected = np.array([0, 0, 0.75 + 0.25, 0.75, 0.75 - np.sqrt(0.5)]) / 1e-4
    np.testing.assert_allclose(scores, expected, atol=0.1)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_strangers_are_told_at_the_stated_rate_of_false_alarms(scale: float) -> None:
    X, y = clusters(900, 0)
    strangers = Strangers().fit(scale * X, y)
    known, others = (
        strangers.strangeness(scale * clusters(3000, 1)[0]),
        strangers.strangeness(scale * clusters(3000, 2, (3, 4))[0]),
    )
    assert roc_auc_score(np.repeat([0, 1], 3000), np.concatenate([known, others])) > 0.95
    for false_alarms in (0.02, 0.05, 0.2):
        assert abs((known > strangers.threshold(false_alarms)).mean() - false_alarms) < 0.01 + false_alarms / 5
    assert (others > strangers.threshold()).mean() > 0.7
    # In deviations of the classes' own vectors.
    assert abs(np.median(known)) < 1


def test_training_vectors_are_judged_without_themselves() -> None:
    X, y = clusters(120, 0, d=400)
    strangers = Strangers().fit(X, y)
    new = strangers.strangeness(clusters(500, 1, d=400)[0])
    # Seen again, they are more like their class than a new vector.
    assert strangers.strangeness(X).mean() < new.mean() - 0.5
    assert abs(np.median(strangers.scores_) - np.median(new)) < 0.4
    X[7] = np.arange(400) // 10 == 20
    assert Strangers().fit(X, y).scores_.argmax() == 7


def test_vectors_of_one_fold_are_left_out_together() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 300)).astype(np.float32).repeat(2, axis=0)
    y = np.arange(60).repeat(2) % 2
    apart = Strangers().fit(X, y, folds=np.arange(120) % 2)
    together = Strangers().fit(X, y, folds=np.arange(60).repeat(2) % 5)
    assert abs(together.usual_.mean()) < 0.01, "what is noise is like nothing but its twin"
    assert apart.usual_.mean() > 0.02


def test_the_scale_of_a_channel_does_not_matter_and_its_share_does() -> None:
    X, y = clusters(600, 0)
    noise = np.random.default_rng(3).normal(size=(600, 40)).astype(np.float32)
    both, channels = np.hstack([X, 100 * noise]), {"good": 60, "noise": 40}
    known, others = clusters(300, 1)[0], clusters(300, 2, (3, 4))[0]
    more = np.random.default_rng(4).normal(size=(600, 40)).astype(np.float32)
    new = np.hstack([np.concatenate([known, others]), 7 * more])

    def auc(**told: Any) -> float:
        return float(roc_auc_score(np.repeat([0, 1], 300), Strangers().fit(both, y, **told).strangeness(new)))

    alone = float(
        roc_auc_score(np.repeat([0, 1], 300), Strangers().fit(X, y).strangeness(np.concatenate([known, others])))
    )
    assert auc(channels=channels, shares={"good": 1, "noise": 0}) == pytest.approx(alone, abs=0.01)
    assert auc() < auc(channels=channels) < alone
    scaled = Strangers().fit(np.hstack([X, noise]), y, channels=channels)
    np.testing.assert_allclose(Strangers().fit(both, y, channels=channels).usual_, scaled.usual_, atol=1e-5)


def test_few_vectors_and_odd_ones() -> None:
    X, _ = clusters(6, 0)
    for y in (["a"] * 6, list("abcdef"), ["a"] * 5 + ["b"], ["a", "b", "b", "c", "c", "c"]):
        strangers = Strangers().fit(X, y)
        assert np.isfinite(strangers.strangeness(X)).all()
        assert strangers.threshold(0.01) == np.inf, "six images do not tell of one in a hundred"
        assert np.isfinite(strangers.threshold(0.5))
    assert np.isfinite(Strangers().fit(X[:1], ["a"]).strangeness(X)).all()
    for same in (np.zeros((6, 5)), np.ones((6, 5))):
        assert np.isfinite(Strangers().fit(same, list("ababab")).strangeness(np.eye(5))).all()
    sets = Strangers().fit(X, [["a"], ["a", "b"], [], ["b"], [], ["a"]])
    assert sets.usual_.shape == (3,), "images without a label are a class of their own"


def test_wrong_values_are_refused() -> None:
    X, y = clusters(20, 0)
    with pytest.raises(ValueError, match="y must hold a label for each of 20"):
        Strangers().fit(X, y[:5])
    with pytest.raises(ValueError, match="y must hold labels for each of 20"):
        Strangers().fit(X, [["a"], ["b"]])
    with pytest.raises(ValueError, match="channels must add up to the 60"):
        Strangers().fit(X, y, channels=[10, 10])
    with pytest.raises(ValueError, match="folds must be an integer for each of 20"):
        Strangers().fit(X, y, folds=np.arange(3))
    for share in (0, -1, 2):
        with pytest.raises(ValueError, match="false_alarms must be a number > 0 and <= 1"):
            Strangers().fit(X, y).threshold(share)


def test_a_model_tells_strangers_and_its_file_does(tmp_path: Path) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    noise = [np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8) for seed in range(4)]
    union = ChannelUnion([("census", CensusPyramid(radii=(1, 2), grids=("1x1",))), ("colors", ColorHistogram())])
    for backend in (union, MultiCrop(union)):
        model = ImageClassifier(backend, LinearSVM(shares=(1, 0))).fit(images.paths, images.labels)
        assert model.strangers_ is not None
        # A channel that the model does not use says nothing of what it knows.
        assert model.strangers_.channels_ == {"census": model.backend_.vector_length // model.backend_.n_views}
        answers = model.answer([*images.paths, *noise], false_alarms=0.1)
        assert answers.strangers is not None
        assert answers.none_of_these is not None
        assert answers.strangers[18:].min() > np.median(answers.strangers[:18]) + 1
        assert not answers.none_of_these[:18].all()
        np.testing.assert_array_equal(answers.none_of_these, answers.strangers > model.strangers_.threshold(0.1))
        model.save(tmp_path / "model.cvbow")
        again = ImageClassifier.load(tmp_path / "model.cvbow").answer(images.paths).strangers
        np.testing.assert_array_equal(again, answers.strangers[:18])
        assert model.answer([]).strangers is not None


def test_a_model_that_cannot_tell_says_nothing(tmp_path: Path) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    model = ImageClassifier(ColorHistogram()).fit(images.paths, images.labels)
    model.strangers_ = None
    answers = model.answer(images.paths)
    assert (answers.strangers, answers.none_of_these) == (None, None)


def test_images_that_do_not_count_teach_nothing(tmp_path: Path) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    weights = np.ones(18)
    weights[:3] = 0
    model = ImageClassifier(ColorHistogram()).fit(images.paths, images.labels, weights)
    without = ImageClassifier(ColorHistogram()).fit(images.paths[3:], images.labels[3:])
    assert model.strangers_ is not None
    assert without.strangers_ is not None
    assert model.strangers_.n_images_ == 15
    np.testing.assert_array_equal(model.strangers_.kept_, without.strangers_.kept_)
