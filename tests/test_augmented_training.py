"""Learning from augmented copies: what is learned from, what stays as it was, and that no copy leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone

from cvbow.augmentation import ImageAugmenter
from cvbow.backends import BagEncoder, MultiCrop
from cvbow.classify import FusionClassifier, ImageClassifier, KernelSVM, LinearSVM, make_classifier
from cvbow.classify._any_classifier import fit_parameters
from cvbow.classify._augmented import with_copies
from cvbow.classify._labels import Groups, Labels, check_groups
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT

SHIFTS = ImageAugmenter(rotation_range=10, width_shift_range=0.1, horizontal_flip=True, fill_mode="reflect")


def backend(**parameters: Any) -> BagEncoder:
    words = KMeansDictionary(n_words=8, max_iter=3)
    return BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), BagOfWords(words), sample=2000, **parameters)


def textures(n: int = 6) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Stripes across and down, with noise."""
    rng = np.random.default_rng(0)
    images, labels = [], []
    for number in range(n):
        for label in ("across", "down"):
            stripes = 90 * np.sin(np.arange(48) / (1.5 + number / 9))
            image = (
                128 + (stripes[:, None] if label == "across" else stripes[None]) + 25 * rng.standard_normal((48, 48))
            )
            images.append(np.clip(image, 0, 255).astype(np.uint8))
            labels.append(label)
    return images, labels


def model(classifier: Any = "linear-svm", *, n: int = 3, **parameters: Any) -> ImageClassifier:
    return ImageClassifier(backend(**parameters), classifier, augmenter=SHIFTS, n_augmented=n, augment_seed=4)


def test_the_classifier_gets_each_image_and_then_its_copies() -> None:
    images, labels = textures()
    seen: dict[str, Any] = {}

    class Spy(LinearSVM):
        def fit(self, X: Any, y: Any, *, views: int = 1, copies: int = 1) -> Any:
            seen.update(X=np.array(X), y=np.array(y), views=views, copies=copies)
            return super().fit(X, y, views=views, copies=copies)

    trained = model(Spy()).fit(images, labels)
    assert (seen["views"], seen["copies"]) == (1, 4)
    assert seen["y"].tolist() == [label for label in labels for _ in range(4)]
    rows = seen["X"].reshape(len(images), 4, -1)
    encoder = trained.backend_
    np.testing.assert_array_equal(rows[:, 0], encoder.transform(images))
    for position in (0, 7):
        for number in (1, 2, 3):
            copy = SHIFTS.random_transform(images[position], np.random.SeedSequence((4, position, number)))
            np.testing.assert_array_equal(rows[position, number], encoder.transform([copy])[0])


def test_the_dictionary_is_learned_from_the_images_as_they_are() -> None:
    images, labels = textures()
    plain = ImageClassifier(backend()).fit(images, labels)
    augmented = model().fit(images, labels)
    np.testing.assert_array_equal(
        plain.backend_.encoder_.dictionary_.words_, augmented.backend_.encoder_.dictionary_.words_
    )
    assert not np.array_equal(plain.classifier_.coef_, augmented.classifier_.coef_)


def test_workers_cache_and_paths_change_nothing(tmp_path: Path) -> None:
    images, labels = textures()
    paths = []
    for number, image in enumerate(images):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    expected = model().fit(images, labels)
    hashes = {expected.save(tmp_path / "a.cvbow")}
    for source, parameters in (
        (images, {"n_jobs": 3}),
        (paths, {}),
        (paths, {"memory": tmp_path / "cache"}),
        (paths, {"memory": tmp_path / "cache", "n_jobs": 2}),
    ):
        found = model(**parameters).fit(source, labels)
        np.testing.assert_array_equal(found.classifier_.coef_, expected.classifier_.coef_)
        found.backend_.memory = None
        hashes.add(found.save(tmp_path / "b.cvbow"))
    other = ImageClassifier(backend(memory=tmp_path / "cache"), augmenter=SHIFTS, n_augmented=3, augment_seed=5)
    assert not np.array_equal(other.fit(paths, labels).classifier_.coef_, expected.classifier_.coef_)
    loaded = ImageClassifier.load(tmp_path / "a.cvbow")
    assert loaded.n_augmented == 3
    assert loaded.augmenter.get_params() == SHIFTS.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(images), expected.predict_proba(images))


def test_a_file_that_cannot_be_read_goes_with_its_copies(tmp_path: Path) -> None:
    images, labels = textures()
    (tmp_path / "bad.png").write_bytes(b"no image")
    mixed: list[Any] = [*images[:5], tmp_path / "bad.png", *images[5:]]
    trained = model().fit(mixed, [*labels[:5], "down", *labels[5:]])
    assert [Path(error.path).name for error in trained.skipped_] == ["bad.png"]
    assert len(trained.classes_) == 2
    encoded = with_copies(trained.backend_, mixed, SHIFTS, 4, 4, False)
    assert encoded.rows.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert len(encoded.vectors) == 12 * 4


@pytest.mark.parametrize(
    "classifier",
    [LinearSVM(C=2.0), KernelSVM(gamma=0.5), FusionClassifier(weights=[0.5]), FusionClassifier(head="svm")],
)
def test_copies_that_equal_their_image_change_nothing(classifier: Any) -> None:
    """Their losses share the weight of the image's, and they are left out with it."""
    rng = np.random.default_rng(0)
    X = rng.random((24, 100)).astype(np.float32)
    y = np.arange(24) % 3
    X[np.arange(24), y] += 0.8
    alone = type(classifier)(**classifier.get_params()).fit(X, y)
    copied = type(classifier)(**classifier.get_params()).fit(X.repeat(3, axis=0), y.repeat(3), copies=3)
    # The scale of a fusion's channel is a mean over pairs, of which copies with themselves are more.
    if not isinstance(classifier, FusionClassifier):
        np.testing.assert_allclose(copied.decision_function(X), alone.decision_function(X), atol=1e-2)
        np.testing.assert_allclose(copied.temperature_, alone.temperature_, rtol=0.1)
        heavier = clone(alone).set_params(C=3 * alone.C).fit(X, y)
        assert np.abs(heavier.decision_function(X) - alone.decision_function(X)).max() > 3e-2
    else:
        assert np.array_equal(copied.predict(X), alone.predict(X))


@pytest.mark.parametrize("classifier", [LinearSVM(), KernelSVM(), FusionClassifier(), FusionClassifier(head="svm")])
def test_no_copy_of_an_image_tells_the_temperature_about_it(classifier: Any) -> None:
    """Images without anything in common with their class: copies that leaked would look like certainty."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 200)).astype(np.float32).repeat(4, axis=0)
    X += 0.01 * rng.standard_normal(X.shape).astype(np.float32)
    y = (np.arange(40) % 2).repeat(4)
    honest = type(classifier)(**classifier.get_params()).fit(X, y, copies=4)
    leaking = type(classifier)(**classifier.get_params()).fit(X, y)
    unseen = rng.standard_normal((50, 200))
    assert honest.predict_proba(unseen).max(axis=1).mean() < 0.75
    assert honest.temperature_ < leaking.temperature_ / 4


def test_groups() -> None:
    index = np.arange(4).repeat(6) % 2
    labels = Labels(index, np.ones(24), groups=Groups(views=2, copies=3))
    assert labels.size == 6
    decisions = np.arange(24.0)[:, None]
    assert labels.of_images(decisions).tolist() == [[0.5], [6.5], [12.5], [18.5]]
    assert labels.images.index.tolist() == [0, 1, 0, 1]
    folds = labels.folds(2, 0)
    assert (folds.reshape(4, 6) == folds[::6, None]).all()
    check_groups(labels.groups, index, np.arange(4.0).repeat(6))
    with pytest.raises(ValueError, match="same label to the 6 views and copies"):
        check_groups(labels.groups, np.arange(12), None)
    with pytest.raises(ValueError, match="sample_weight must be the same for the 6 views and copies"):
        check_groups(labels.groups, index, np.arange(24.0))


def test_copies_and_crops_together_and_a_pipeline() -> None:
    images, labels = textures()
    crops = ImageClassifier(MultiCrop(backend()), augmenter=SHIFTS, n_augmented=2).fit(images, labels)
    assert crops.score(images, labels) >= 0.9
    piped = model(make_classifier("chi2-map-svm")).fit(images, labels)
    told = fit_parameters(piped.classifier_, piped._told(4))
    assert list(told.values()) == [4]
    assert next(iter(told)).endswith("__copies")
    forest = model("random-forest", n=1).fit(images, labels)
    assert forest.score(images, labels) >= 0.9


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_augmented": 2}, "n_augmented needs an augmenter"),
        ({"n_augmented": -1}, "n_augmented must be an integer >= 0, got -1"),
        ({"augmenter": 3}, "augmenter must be an ImageAugmenter or None, got 3"),
        ({"augmenter": ImageAugmenter(rescale=0.5)}, "augmenter must only transform images, got one with rescale=0.5"),
        ({"augmenter": ImageAugmenter(zoom_range=3)}, "zoom_range must be below 1"),
        ({"augmenter": SHIFTS, "augment_seed": -2}, "augment_seed must be an integer >= 0, got -2"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], message: str) -> None:
    images, labels = textures(2)
    with pytest.raises(ValueError, match=message):
        ImageClassifier(backend(), **parameters).fit(images, labels)
