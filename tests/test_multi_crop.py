"""MultiCrop: the views of an image, and what a classifier makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

from cvbow.backends import CensusPyramid, ChannelUnion, Gist, ImageEncoder, MultiCrop
from cvbow.classify import FusionClassifier, ImageClassifier, KernelSVM, LinearSVM
from cvbow.classify._labels import fold_of_each


def census() -> CensusPyramid:
    return CensusPyramid(radii=(1,), grids=("1x1",))


def pictures(n: int = 24) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Noise that is smooth along one axis or along the other."""
    rng = np.random.default_rng(0)
    images, labels = [], []
    for index in range(n):
        noise = rng.normal(size=(40, 50)).cumsum(axis=index % 2)
        images.append(np.uint8(255 * (noise - noise.min()) / np.ptp(noise)))
        labels.append(("down", "across")[index % 2])
    return images, labels


def test_views_are_the_whole_and_its_corners() -> None:
    image = np.random.default_rng(1).integers(0, 256, (30, 41), np.uint8)
    views = MultiCrop(census(), share=0.5).fit([image])
    # 30 / 2 and 41 / 2, rounded to even.
    expected = [image, image[:15, :20], image[:15, 21:], image[15:, :20], image[15:, 21:]]
    assert views.n_views == len(expected)
    assert views.vector_length == 5 * 256
    np.testing.assert_array_equal(
        views.transform([image]).reshape(5, -1), census().fit([image]).transform([np.array(view) for view in expected])
    )


def test_an_image_of_one_pixel_has_five_views() -> None:
    views = MultiCrop(census()).fit(pictures(2)[0])
    assert np.isfinite(views.transform([np.zeros((1, 1), np.uint8)])).all()


def test_colours_reach_the_views() -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    assert MultiCrop(census()).gray_only == census().gray_only
    assert MultiCrop(census()).fit([image]).transform([image]).shape == (1, 1280)


@pytest.mark.parametrize("classifier", [LinearSVM(), KernelSVM("intersection"), FusionClassifier()], ids=repr)
def test_decisions_are_the_mean_over_the_views(classifier: object) -> None:
    images, labels = pictures()
    model = ImageClassifier(MultiCrop(census()), classifier).fit(images, labels)
    vectors = model.backend_.transform(images[:6])
    one_by_one = model.classifier_.decision_function(vectors.reshape(30, -1)).reshape(6, 5)
    # Vectors are float32, and their products depend in the last digits on how many there are.
    np.testing.assert_allclose(model.decision_function(images[:6]), one_by_one.mean(axis=1), rtol=1e-4)
    probabilities = model.predict_proba(images[:6])
    # Two classes: a softmax of plus and minus half the decision, times the temperature.
    margin = model.classifier_.temperature_ * model.decision_function(images[:6])
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-margin)), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(images[:6]), model.classes_[probabilities.argmax(axis=1)])
    assert model.score(images, labels) >= 0.9


def test_a_classifier_without_decisions_gives_the_mean_of_its_probabilities() -> None:
    images, labels = pictures()
    model = ImageClassifier(MultiCrop(census()), KNeighborsClassifier(3)).fit(images, labels)
    vectors = model.backend_.transform(images[:4]).reshape(20, -1)
    expected = model.classifier_.predict_proba(vectors).reshape(4, 5, 2).mean(axis=1)
    np.testing.assert_allclose(model.predict_proba(images[:4]), expected, rtol=1e-12)
    report, answers = model.evaluate(images, labels)
    assert report.accuracy >= 0.9
    assert len(answers.labels) == len(images)


def test_channels_of_a_union_are_those_of_a_view() -> None:
    images, labels = pictures()
    union = ChannelUnion([("census", census()), ("gist", Gist(size=32, grid=2, orientations=(4,)))])
    model = ImageClassifier(MultiCrop(union), FusionClassifier(weights=[0.5, 0.25])).fit(images, labels)
    assert model.classifier_.channels_ == {"census": 256, "gist": 16}
    assert model.score(images, labels) >= 0.9


def test_saved_and_loaded_and_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    images, labels = pictures()
    hashes = set()
    for n_jobs in (1, 2):
        model = ImageClassifier(MultiCrop(census(), n_jobs=n_jobs), FusionClassifier()).fit(images, labels)
        hashes.add(model.save(tmp_path / f"{n_jobs}.cvbow"))
    assert len(hashes) == 1
    loaded = ImageClassifier.load(tmp_path / "1.cvbow")
    np.testing.assert_array_equal(loaded.decision_function(images), model.decision_function(images))


def test_vectors_are_cached_by_share(tmp_path: Path) -> None:
    images = pictures(2)[0]
    first = MultiCrop(census(), memory=tmp_path).fit(images).transform(images)
    np.testing.assert_array_equal(MultiCrop(census(), memory=tmp_path).fit(images).transform(images), first)
    other = MultiCrop(census(), share=0.6, memory=tmp_path).fit(images).transform(images)
    np.testing.assert_array_equal(other, MultiCrop(census(), share=0.6).fit(images).transform(images))
    assert (other != first).any()


@pytest.mark.parametrize("head", ["ridge", "svm"])
def test_views_of_an_image_are_left_out_together(head: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 8)).astype(np.float32), np.repeat([0, 1, 2], 20)
    X[:, 0] += 2 * y
    # Five equal views at a fifth of the weight are the image alone: the same answers, and the same temperature, which
    # would be far higher if four of the views told of the fifth.
    alone = FusionClassifier(head=head, alpha=0.02, C=5.0).fit(X, y)
    alike = FusionClassifier(head=head, alpha=0.1, C=1.0).fit(X.repeat(5, axis=0), y.repeat(5), views=5)
    alike_factor = alike.factors_ / alone.factors_
    np.testing.assert_allclose(alike_factor, 1, atol=0.1)
    assert alike.temperature_ == pytest.approx(alone.temperature_, rel=0.15)


def test_folds_keep_views_together() -> None:
    labels = np.repeat([0, 0, 1, 1, 1, 2], 5)
    folds = fold_of_each(labels, 3, 0, 5)
    np.testing.assert_array_equal(folds, fold_of_each(labels[::5], 3, 0).repeat(5))


@pytest.mark.parametrize("classifier", [LinearSVM(), KernelSVM(), FusionClassifier()], ids=repr)
def test_views_that_differ_in_their_label_are_refused(classifier: LinearSVM) -> None:
    X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    for y, views in (([0, 0, 0, 1, 1, 1], 2), ([0, 0, 0, 1, 1, 1], 4)):
        with pytest.raises(ValueError, match=f"y must give the same label to the {views} views and copies of an image"):
            clone(classifier).fit(X, y, views=views)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backend": LinearSVM()}, r"backend must be an ImageEncoder with one view of an image, got LinearSVM\(\)"),
        ({"backend": MultiCrop(CensusPyramid())}, "backend must be an ImageEncoder with one view of an image"),
        ({"backend": CensusPyramid(radii=())}, "radii must be a sequence"),
        ({"share": 0}, "share must be a number > 0"),
        ({"share": 1}, "share must be below 1, got 1"),
        ({"share": 1.5}, "share must be a number"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiCrop(**{"backend": census()} | parameters).fit(pictures(2)[0])  # type: ignore[arg-type]


def test_before_fit() -> None:
    with pytest.raises(NotFittedError):
        MultiCrop(census()).transform(pictures(2)[0])
    assert isinstance(clone(MultiCrop(census())), ImageEncoder)
