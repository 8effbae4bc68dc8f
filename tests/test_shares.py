"""The shares of channels in a linear classifier: what is learned, what it does to vectors, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from cvbow import storage
from cvbow.augmentation import ImageAugmenter
from cvbow.backends import CensusPyramid, ChannelUnion, ColorHistogram, Gist, ImageEncoder, MultiCrop, RawPixels
from cvbow.classify import (
    AdditiveMap,
    FusionClassifier,
    HellingerMap,
    ImageClassifier,
    LinearSVM,
    TunedLinearSVM,
    _shares,
)
from cvbow.classify._ridge import left_out, left_out_of_kernel, ridge
from cvbow.classify._squared_hinge import factorize, gram
from cvbow.parallel import single_threaded
from cvbow_cli.main import cli

Float32 = NDArray[np.float32]
WIDTHS = {"one": 30, "two": 50, "noise": 40}
heads = pytest.mark.parametrize(
    "head", [LinearSVM(C=3), TunedLinearSVM(Cs=(0.1, 1.0, 10.0))], ids=lambda h: type(h).__name__
)
#: More vectors than values, fewer, and more than are looked at for the shares.
ways = pytest.mark.parametrize(("n", "most"), [(160, 1500), (90, 1500), (160, 60)], ids=["direct", "gram", "part"])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


def data(n: int, seed: int = 1) -> tuple[Float32, NDArray[np.str_]]:
    """Four classes, of which each of two channels tells two groups apart, and a channel of noise; of uneven lengths."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0)
    label = np.arange(n) % 4
    parts = []
    for groups, width, length in ((label // 2, 30, 1.0), (label % 2, 50, 7.0), (0 * label, 40, 3.0)):
        centre = centres.normal(size=(2, width))[groups] * (0.5 if width < 40 else 0.35)
        parts.append(length * (centre + rng.normal(size=(n, width))))
    return np.hstack(parts).astype(np.float32), np.array(["ant", "bee", "cat", "dog"])[label]


@heads
@ways
def test_both_that_help_are_used_and_noise_is_left_out(head: Any, n: int, most: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(_shares, "_MOST", most)
    (X, y), (new, truth) = data(n), data(400, seed=2)
    model = clone(head).fit(X, y, channels=WIDTHS)
    assert list(model.shares_) == list(WIDTHS)
    assert sum(model.shares_.values()) == pytest.approx(1)
    assert model.shares_["noise"] == 0
    assert not model.coef_[:, 80:].any()
    assert min(model.shares_["one"], model.shares_["two"]) > 0.1
    alone = [
        clone(head).fit(X[:, columns], y).score(new[:, columns], truth) for columns in (slice(0, 30), slice(30, 80))
    ]
    assert model.score(new, truth) > max(alone) + 0.1
    assert model.score(new, truth) > clone(head).set_params(shares=None).fit(X, y, channels=WIDTHS).score(new, truth)


@heads
def test_the_length_of_a_channel_changes_nothing_but_rounding(head: Any) -> None:
    X, y = data(90)
    other = X.copy()
    other[:, 30:80] *= 1000
    one, two = clone(head).fit(X, y, channels=WIDTHS), clone(head).fit(other, y, channels=WIDTHS)
    assert two.shares_ == one.shares_
    decisions = one.decision_function(X)
    np.testing.assert_allclose(two.decision_function(other), decisions, atol=2e-3 * np.ptp(decisions))


@pytest.mark.parametrize("n", [90, 160])
@pytest.mark.parametrize("shares", [(3, 1, 0), {"noise": 0.0, "one": 0.75, "two": 0.25}])
def test_shares_that_are_given_are_those_of_the_squared_length(n: int, shares: Any) -> None:
    X, y = data(n)
    scaled = X.astype(np.float64)
    for columns, share in ((slice(0, 30), 0.75), (slice(30, 80), 0.25), (slice(80, 120), 0.0)):
        scaled[:, columns] *= np.sqrt(share / (scaled[:, columns] ** 2).sum(axis=1).mean())
    model = LinearSVM(C=3, shares=shares).fit(X, y, channels=WIDTHS)
    expected = LinearSVM(C=3).fit(scaled, y).decision_function(scaled)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=0.01 * np.ptp(expected))
    assert model.shares_ == {"one": 0.75, "two": 0.25, "noise": 0}


@pytest.mark.parametrize("n", [90, 160])
def test_shares_of_standardised_values(n: int) -> None:
    X, y = data(n)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    for columns, share in ((slice(0, 30), 0.2), (slice(30, 80), 0.7), (slice(80, 120), 0.1)):
        scaled[:, columns] *= np.sqrt(share / (columns.stop - columns.start))
    model = LinearSVM(C=3, shares=(0.2, 0.7, 0.1), standardize=True).fit(X, y, channels=WIDTHS)
    expected = LinearSVM(C=3).fit(scaled, y).decision_function(scaled)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=0.01 * np.ptp(expected))


@heads
def test_without_several_channels_or_with_none_wanted_nothing_changes(head: Any) -> None:
    X, y = data(90)
    plain = clone(head).fit(X, y)
    assert plain.shares_ is None
    for model in (
        clone(head).fit(X, y, channels={"all": 120}),
        clone(head).set_params(shares=None).fit(X, y, channels=WIDTHS),
        clone(head).fit(X, y, channels=WIDTHS).fit(X, y),
    ):
        np.testing.assert_array_equal(model.coef_, plain.coef_)
        np.testing.assert_array_equal(model.intercept_, plain.intercept_)
        assert (model.temperature_, model.shares_, model.channels_) == (plain.temperature_, None, None)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_of_the_kernel_as_by_solving_without(views: int, weighted: bool) -> None:
    X, _ = data(30)
    y = np.random.default_rng(0).choice([-1.0, 1.0], (30, 2))
    weights = np.random.default_rng(1).uniform(0.5, 2, 30) if weighted else np.ones(30)
    kernel = gram(X)
    found = left_out_of_kernel(kernel, y, weights, 5.0, views)
    factor = factorize(kernel)
    np.testing.assert_allclose(found, left_out(factor, y, weights, ridge(factor, y, weights, 5.0), views), atol=1e-6)
    b = np.average(y, axis=0, weights=weights)
    rest = np.arange(views, 30)
    dual = np.linalg.solve(kernel[np.ix_(rest, rest)] + np.diag(5.0 / weights[rest]), y[rest] - b)
    np.testing.assert_allclose(found[:views], kernel[:views, rest] @ dual + b, atol=1e-8)


def test_the_views_of_an_image_do_not_tell_of_each_other() -> None:
    # Noise of its own that an image's views have in common would give an image away to its other view.
    X, y = data(60)
    own = np.random.default_rng(3).normal(size=(60, 40)).astype(np.float32)
    X[:, 80:] = own
    X, y = X.repeat(2, axis=0), y.repeat(2)
    assert LinearSVM().fit(X, y, channels=WIDTHS).shares_["noise"] > 0  # type: ignore[index]
    for told in ({"views": 2}, {"copies": 2}):
        model = LinearSVM().fit(X, y, channels=WIDTHS, **told)  # type: ignore[arg-type]
        assert model.shares_ is not None
        assert model.shares_["noise"] == 0


def test_a_vector_of_weight_0_says_nothing_of_channels() -> None:
    (X, y), (others, _) = data(90), data(90, seed=4)
    others[:, :30] = 50
    both = np.concatenate([X, others])
    weights = np.repeat([1.0, 0.0], 90)
    weighted = LinearSVM().fit(both, np.concatenate([y, y]), weights, channels=WIDTHS)
    plain = LinearSVM().fit(X, y, channels=WIDTHS)
    assert weighted.shares_ == plain.shares_
    np.testing.assert_array_equal(weighted.coef_, plain.coef_)


def test_channels_that_are_zero_and_classes_of_one_vector() -> None:
    X, y = data(12)
    X[:, 80:] = 0
    model = LinearSVM().fit(X, y, channels=WIDTHS)
    assert model.shares_ is not None
    assert model.shares_["noise"] == 0
    assert np.isfinite(LinearSVM().fit(X[:2], y[:2], channels=WIDTHS).coef_).all()
    nothing = LinearSVM().fit(np.zeros((6, 120), np.float32), ["a", "b"] * 3, channels=WIDTHS)
    assert not nothing.coef_.any()


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ("equal", "shares must be 'learned', numbers by channel or None, got 'equal'"),
        ((1, 2), r"shares must be 3 numbers, one for each channel, not all 0, got \(1, 2\)"),
        ((0, 0, 0), "shares must be 3 numbers, one for each channel, not all 0"),
        ({"one": 1}, "shares must have the names one, two, noise, got one"),
        (3, "shares must be numbers by channel or in the channels' order, got 3"),
    ],
)
def test_bad_shares_are_refused(shares: Any, message: str) -> None:
    X, y = data(20)
    with pytest.raises(ValueError, match=message):
        LinearSVM(shares=shares).fit(X, y, channels=WIDTHS)
    with pytest.raises(ValueError, match="channels must add up to the 120 values of a vector, got 80"):
        LinearSVM().fit(X, y, channels=[30, 50])


@pytest.mark.parametrize(
    "changes",
    [
        {"shares_": {"one": 1.0}},
        {"shares_": {"one": 0.5, "two": 0.4, "noise": 0.0}},
        {"channels_": {"one": 30, "two": 90}, "shares_": {"one": 0.5, "two": 0.3, "noise": 0.2}},
        {"channels_": {"one": 30, "two": 50, "noise": 41}},
        {"channels_": None},
        {"shares_": [1.0, 0.0, 0.0]},
    ],
)
def test_a_state_that_does_not_fit_together_is_refused(changes: dict[str, Any]) -> None:
    X, y = data(90)
    model = LinearSVM().fit(X, y, channels=WIDTHS)
    storage.check_state(model)
    vars(model).update(changes)
    with pytest.raises(ValueError, match=r"shares_|channels"):
        storage.check_state(model)


# Images.


class Noise(ColorHistogram):
    """Numbers that say nothing of an image, but are the same for it each time."""

    def encode_image(self, image: NDArray[np.uint8]) -> Float32:
        return np.random.default_rng(int(image.sum())).normal(size=super().vector_length).astype(np.float32)


def pictures(n: int = 32) -> tuple[list[NDArray[np.uint8]], list[str]]:
    rng = np.random.default_rng(0)
    labels = np.array(["red", "blue"])[np.arange(n) % 2]
    images = [rng.integers(0, 120, (16, 16, 3)).astype(np.uint8) for _ in range(n)]
    for image, label in zip(images, labels, strict=True):
        image[..., 0 if label == "red" else 2] += 90
    return images, labels.tolist()


def noisy() -> ChannelUnion:
    return ChannelUnion([("noise", Noise()), ("colors", ColorHistogram())])


@pytest.mark.parametrize("views", [1, 5])
def test_a_model_makes_no_vectors_of_a_channel_that_does_not_help(views: int, tmp_path: Path) -> None:
    images, labels = pictures()
    union = noisy()
    backend: ImageEncoder = union if views == 1 else MultiCrop(union)
    model = ImageClassifier(backend, "linear-svm").fit(images, labels)
    assert model.classifier_.shares_ == {"noise": 0, "colors": 1}
    assert list(model.backend_.channel_slices or ()) == ["colors"]
    assert model.backend_.vector_length == 128 * views
    assert model.classifier_.coef_.shape == (1, 128)
    assert model.score(images, labels) == 1
    # It answers as it did with the channel, to which nothing was given.
    vectors = backend.fit(images).transform(images).reshape(len(images) * views, -1)
    by_hand = LinearSVM(C=3).fit(vectors, np.repeat(labels, views), channels=backend.channel_slices, views=views)
    expected = by_hand.decision_function(vectors).reshape(-1, views).mean(axis=1)
    np.testing.assert_allclose(model.decision_function(images), expected, atol=1e-6)
    # As the user gave it, to be fitted anew.
    assert [name for name, _ in union.channels] == ["noise", "colors"]


def test_a_saved_model_keeps_its_shares_and_info_shows_them(tmp_path: Path) -> None:
    images, labels = pictures()
    backend = ChannelUnion([("gist", Gist()), ("colors", ColorHistogram()), ("census", CensusPyramid(radii=(1,)))])
    path = tmp_path / "model.cvbow"
    hashes = set()
    for n_jobs in (1, 2):
        model = ImageClassifier(clone(backend).set_params(n_jobs=n_jobs), "tuned-svm").fit(images, labels)
        hashes.add(model.save(path))
    loaded = ImageClassifier.load(path)
    assert loaded.classifier_.shares_ == model.classifier_.shares_ == {"gist": 0, "colors": 1, "census": 0}
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))
    assert loaded.save(path) in hashes
    assert len(hashes) == 1
    shown = CliRunner().invoke(cli, ["info", str(path)])
    assert shown.exit_code == 0
    assert "gist left out, colors 1.00, census left out" in shown.output


def test_copies_and_pipelines() -> None:
    images, labels = pictures(12)
    augmenter = ImageAugmenter(horizontal_flip=True)
    model = ImageClassifier(noisy(), LinearSVM(), augmenter=augmenter, n_augmented=1).fit(images, labels)
    assert model.classifier_.shares_["noise"] == 0
    colors = ChannelUnion([("fine", ColorHistogram()), ("coarse", ColorHistogram(bins=(2, 2, 2)))])
    kept = ImageClassifier(colors, make_pipeline(HellingerMap(), LinearSVM())).fit(images, labels)
    assert set(kept.classifier_[-1].shares_) == {"fine", "coarse"}
    assert kept.backend_.channel_slices is not None
    assert len(kept.backend_.channel_slices) == 2
    # Whose columns are whose is not known behind a map that makes more of them.
    mapped = ImageClassifier(colors, make_pipeline(AdditiveMap(), LinearSVM())).fit(images, labels)
    assert mapped.classifier_[-1].shares_ is None
    fused = ImageClassifier(colors, FusionClassifier()).fit(images, labels)
    assert fused.classifier_.drop_unused_channels() is None


def test_a_backend_with_some_of_its_channels() -> None:
    images, _ = pictures(4)
    union = ChannelUnion([("a", ColorHistogram()), ("b", Gist()), ("c", RawPixels(size=4, n_components=2))]).fit(images)
    vectors = union.transform(images)
    slices = union.channel_slices
    kept = union.keep(["c", "a"])
    assert list(kept.channel_slices) == ["a", "c"]
    np.testing.assert_array_equal(kept.transform(images), np.hstack([vectors[:, slices["a"]], vectors[:, slices["c"]]]))
    assert kept.keep(["a"]).fingerprint() != kept.fingerprint() != union.fingerprint()
    assert list(union.channel_slices) == ["a", "b", "c"]
    assert union.keep(["b"]).gray_only
    views = MultiCrop(ChannelUnion([("a", ColorHistogram()), ("b", Gist())])).fit(images)
    assert views.keep(["b"]).gray_only
    assert not views.gray_only
    for backend, names in ((union, ["d"]), (union, []), (Gist(), ["a"])):
        with pytest.raises(ValueError, match="channels must be of"):
            backend.keep(names)
