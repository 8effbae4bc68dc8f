"""The shares of channels in a linear classifier: what is learned, what it does to vectors, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
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
    _fusion_shares,
    _shares,
)
from cvbow.classify._labels import Groups, Labels
from cvbow.classify._ridge import left_out, left_out_of_kernel, ridge
from cvbow.classify._squared_hinge import factorize, gram
from cvbow.classify._temperature import fit_temperature, softmax
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
    """Four classes, of which each of two channels tells two groups apart, and a channel of noise; of uneven lengths.

    Vectors are about as long as 1, for which an SVM with a C of about 1 takes few steps.
    """
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0)
    label = np.arange(n) % 4
    parts = []
    for groups, width, length in ((label // 2, 30, 0.02), (label % 2, 50, 0.14), (0 * label, 40, 0.06)):
        centre = centres.normal(size=(2, width))[groups] * (0.5 if width < 40 else 0.35)
        parts.append(length * (centre + rng.normal(size=(n, width))))
    return np.hstack(parts).astype(np.float32), np.array(["ant", "bee", "cat", "dog"])[label]


@heads
@ways
def test_both_that_help_are_used_and_noise_is_left_out(head: Any, n: int, most: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(_shares, "MOST", most)
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


@pytest.mark.parametrize("name", ["bee", "dog"])
@pytest.mark.parametrize("head", [LinearSVM(C=3), FusionClassifier(weights="learned"), FusionClassifier(head="svm")])
@pytest.mark.parametrize(("n", "most"), [(160, 1500), (160, 60)])
def test_a_class_of_weight_0_tells_nothing_of_the_shares(
    head: Any, name: str, n: int, most: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_shares, "MOST", most)
    monkeypatch.setattr(_fusion_shares, "MOST", most)
    X, y = data(n)
    spoilt = X.copy()
    spoilt[y == name] = spoilt[y == name][:, ::-1]
    models = [clone(head).set_params(class_weight={name: 0}).fit(each, y, channels=WIDTHS) for each in (X, spoilt)]
    assert models[0].shares_ == pytest.approx(models[1].shares_)
    assert min(models[0].shares_["one"], models[0].shares_["two"]) > 0.1
    known = y != name
    assert models[0].score(X[known], y[known]) > 0.9
    assert np.isfinite(models[0].predict_proba(X)).all()


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
    X = 50 * data(30)[0]
    y = np.random.default_rng(0).choice([-1.0, 1.0], (30, 2))
    weights = np.random.default_rng(1).uniform(0.5, 2, 30) if weighted else np.ones(30)
    kernel = gram(X)
    found = left_out_of_kernel(kernel, y, weights, 5.0, [np.arange(30).reshape(-1, views)])
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
    untold = LinearSVM().fit(X, y, channels=WIDTHS).shares_
    folds = np.arange(60).repeat(2)
    for told in ({"views": 2}, {"copies": 2}, {"folds": folds}, {"folds": folds % 10}):
        model = LinearSVM().fit(X, y, channels=WIDTHS, **told)  # type: ignore[arg-type]
        assert model.shares_ is not None
        assert untold is not None
        assert model.shares_["noise"] < 0.2 < untold["noise"]


def test_given_folds_of_many_vectors_may_have_any_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shares, "MOST", 60)
    X, y = data(160)
    for folds in (np.arange(160) % 5 + 7, np.arange(160) // 4 % 2):
        model = LinearSVM().fit(X, y, channels=WIDTHS, folds=folds)
        assert model.shares_ is not None
        assert min(model.shares_["one"], model.shares_["two"]) > 0.1


def test_of_few_images_no_channel_is_left_out_by_chance() -> None:
    kept, gains = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        y = np.arange(220) % 2
        # Each of the three channels tells as much as the others.
        X = (rng.normal(size=(220, 90)) + 0.4 * rng.normal(size=(2, 90))[y]).astype(np.float32)
        learned, alike = (
            LinearSVM(shares=shares).fit(X[:20], y[:20], channels=[30, 30, 30]) for shares in ("learned", (1, 1, 1))
        )
        assert learned.shares_ is not None
        kept.append(sum(share > 0.1 for share in learned.shares_.values()))
        gains.append(learned.score(X[20:], y[20:]) - alike.score(X[20:], y[20:]))
    assert np.mean(kept) > 2.5
    assert np.mean(gains) > -0.01


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
    backend = ChannelUnion(
        [("gist", Gist(size=48)), ("colors", ColorHistogram()), ("census", CensusPyramid(radii=(1,)))]
    )
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
    images, labels = pictures()
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


# The weights of a product of kernels.


def fused(**parameters: Any) -> FusionClassifier:
    return FusionClassifier(weights="learned", **parameters)


@pytest.mark.parametrize("n_landmarks", [None, 60])
def test_a_kernel_s_channels_that_help_are_used_and_noise_is_left_out(n_landmarks: int | None) -> None:
    (X, y), (new, truth) = data(120), data(400, seed=2)
    model = fused(n_landmarks=n_landmarks).fit(X, y, channels=WIDTHS)
    assert model.shares_ is not None
    assert list(model.shares_) == list(WIDTHS)
    assert sum(model.shares_.values()) == pytest.approx(1)
    assert model.shares_["noise"] == 0
    assert min(model.shares_["one"], model.shares_["two"]) > 0.1
    equal = FusionClassifier(n_landmarks=n_landmarks).fit(X, y, channels=WIDTHS)
    assert model.score(new, truth) > equal.score(new, truth)
    # Without what is not used it decides the same.
    expected = model.decision_function(new)
    assert model.drop_unused_channels() == ["one", "two"]
    np.testing.assert_allclose(model.decision_function(new[:, :80]), expected, atol=1e-12)
    assert model.drop_unused_channels() is None
    assert model.channels_ == {"one": 30, "two": 50}
    model.check_state()


def test_a_kernel_is_judged_by_the_probabilities_for_images_that_are_left_out() -> None:
    X, y = data(60)
    labels = Labels(np.unique(y, return_inverse=True)[1], np.ones(60))
    bounds = {"one": slice(0, 30), "two": slice(30, 80)}
    distances = [squareform(pdist(X[:, columns].astype(np.float64), "sqeuclidean")) for columns in bounds.values()]
    distances = [each / (each.sum() / (60 * 59)) for each in distances]
    wanted = labels.targets(4)

    def errors(weights: Any, penalty: float) -> NDArray[np.float64]:
        kernel = np.exp(-sum(weight * each for weight, each in zip(weights, distances, strict=True)))
        decisions = np.empty((60, 4))
        for out in range(60):
            rest = np.arange(60) != out
            # What the targets are taken off is their mean over all, as in the one solution.
            mean = wanted.mean(axis=0)
            dual = np.linalg.solve(kernel[np.ix_(rest, rest)] + penalty * np.eye(59), wanted[rest] - mean)
            decisions[out] = kernel[out, rest] @ dual + mean
        scores = decisions * fit_temperature(decisions, labels.index)
        return np.asarray(-np.log(softmax(scores)[np.arange(60), labels.index]))

    def mean(weights: Any) -> float:
        return min(float(errors(weights, penalty).mean()) for penalty in (0.1, 0.4, 1.6))

    kernel = np.exp(-0.3 * distances[0] - 0.5 * distances[1])
    np.testing.assert_allclose(_fusion_shares.Surprise(labels).errors(kernel, 0.4), errors((0.3, 0.5), 0.4), rtol=1e-6)
    weights = _fusion_shares.learn_weights(X, labels, bounds, 0.75, 0.1)
    others = [(0.75, 0), (0, 0.75), (0.375, 0.375), *(weights * factor for factor in (0.25, 4))]
    assert mean(weights) < min(map(mean, others))


def test_channels_that_never_vary_are_not_used() -> None:
    X, y = data(40)
    X[:, :30] = 1
    model = fused().fit(X, y, channels=WIDTHS)
    assert model.shares_ is not None
    assert model.shares_["one"] == 0
    nothing = fused().fit(np.ones((8, 4), np.float32), ["a", "b"] * 4, channels=[2, 2])
    assert np.isfinite(nothing.decision_function(np.ones((2, 4)))).all()


def views_of(n: int, n_views: int, *, spread: float, shift: float = 0.0, seed: int = 0) -> tuple[Any, Any]:
    """Vectors of views of images in two classes: the image's own place, and noise by view."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    place = rng.normal(size=(n, 1, 6)) + 0.9 * label[:, None, None]
    X = place + spread * rng.normal(size=(n, n_views, 6))
    X[:, 1:] += shift * rng.normal(size=(n, n_views - 1, 6))
    return X.reshape(n * n_views, 6).astype(np.float32), np.repeat(label, n_views)


def test_views_are_used_where_they_help_and_only_there() -> None:
    # Each view is a noisy look at the image: the more looks, the better.
    X, y = views_of(200, 5, spread=2.0)
    both = fused(alpha=1.0).fit(X, y, views=5)
    assert both.views_ is not None
    assert both.views_.tolist() == [5, 5]
    assert len(both.landmarks_) == 1000
    # They show nothing of the image, which is clear without them.
    X, y = views_of(200, 5, spread=0.0, shift=20.0)
    none = fused(alpha=1.0).fit(X, y, views=5)
    assert none.views_ is not None
    assert none.views_.tolist() == [1, 1]
    np.testing.assert_array_equal(none.landmarks_, X[::5])
    alone = fused(alpha=1.0).fit(X[::5], y[::5])
    np.testing.assert_allclose(none.decision_function(X), alone.decision_function(X), atol=1e-9)
    assert none.temperature_ == pytest.approx(alone.temperature_)


def test_where_the_first_view_answers_the_others_are_learned_from_like_copies() -> None:
    X, y = views_of(60, 3, spread=1.0)
    labels = Labels(y, np.ones(180), groups=Groups(3, 2, np.repeat(np.arange(5).repeat(6), 6)))
    first = _fusion_shares.answered_by_first(labels)
    assert (first.groups.views, first.groups.copies, first.size) == (1, 6, labels.size)
    np.testing.assert_array_equal(first.of_images(X), X[::6])
    lone = _fusion_shares.first_views(labels)
    assert (lone.groups.views, lone.groups.copies, len(lone.index)) == (1, 2, 60)


def test_a_model_looks_at_no_view_that_does_not_help(tmp_path: Path) -> None:
    images, labels = pictures(64)
    union = ChannelUnion([("gist", Gist(size=48)), ("colors", ColorHistogram())])
    hashes = set()
    for n_jobs in (1, 2):
        model = ImageClassifier(MultiCrop(clone(union), n_jobs=n_jobs), fused(alpha=0.1)).fit(images, labels)
        hashes.add(model.save(tmp_path / "m"))
    assert isinstance(model.backend_, ChannelUnion)
    assert list(model.backend_.channel_slices) == ["colors"]
    assert model.strangers_ is not None
    assert model.strangers_.n_features_in_ == 128
    assert model.score(images, labels) == 1
    assert len(hashes) == 1
    loaded = ImageClassifier.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.decision_function(images), model.decision_function(images))
    assert loaded.summary()["views"] == {"learned from": 1, "answered by": 1}
    shown = CliRunner().invoke(cli, ["info", str(tmp_path / "m")])
    assert shown.exit_code == 0, shown.output
    assert "gist left out, colors 1.00" in shown.output
    assert "learned from 1 of each image, answered by 1" in shown.output


def test_labels_of_which_an_image_has_several_are_weighed_too() -> None:
    images, labels = pictures(64)
    sets = [[label] if row % 4 else [label, "other"] for row, label in enumerate(labels)]
    model = ImageClassifier(MultiCrop(noisy()), fused(alpha=0.1)).fit(images, sets)
    assert model.multilabel
    assert model.classifier_.views_ is not None
    assert model.classifier_.shares_ is not None
    assert model.predict(images).shape == (64, 3)
