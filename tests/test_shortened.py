"""Shortened: few values in place of many, next to the singular value decomposition that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow import ImageClassifier, KMeansDictionary, LinearSVM, storage
from cvbow.backends import (
    BagEncoder,
    CensusPyramid,
    ChannelUnion,
    ColorHistogram,
    Gist,
    ImageEncoder,
    MultiCrop,
    Shortened,
)
from cvbow.backends.shortened import parts_of
from cvbow.classify import FusionClassifier
from cvbow.encoders import BagOfWords
from cvbow.errors import CvbowError
from cvbow.explanation import word_gallery
from cvbow.features import DenseSIFT
from cvbow.presets.building import build_model


def pictures(n: int = 12, seed: int = 0) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (n, 40, 50, 3), np.uint8).cumsum(axis=1, dtype=np.uint8))


IMAGES = pictures()


@pytest.mark.parametrize(("length", "n_parts", "sizes"), [(10, 3, [3, 3, 4]), (3, 8, [1, 1, 1]), (7, 1, [7])])
def test_parts_follow_one_another_and_are_equal_but_for_one_value(length: int, n_parts: int, sizes: list[int]) -> None:
    parts = parts_of(length, n_parts)
    assert [part.stop - part.start for part in parts] == sizes
    assert np.concatenate([np.arange(length)[part] for part in parts]).tolist() == list(range(length))


@pytest.mark.parametrize("n_parts", [1, 3])
def test_values_are_those_along_the_singular_vectors_of_each_part(n_parts: int) -> None:
    colors = ColorHistogram().fit(IMAGES)
    vectors = colors.transform(IMAGES)
    short = Shortened(colors, n_components=4 * n_parts, n_parts=n_parts).fit(IMAGES)
    found = short.transform(IMAGES).reshape(len(IMAGES), n_parts, 4)
    for place, part in enumerate(parts_of(vectors.shape[1], n_parts)):
        left, lengths, _ = np.linalg.svd(vectors[:, part], full_matrices=False)
        # Up to signs, and to the steps of a hundredth of the largest value that directions are kept in.
        np.testing.assert_allclose(np.abs(found[:, place]), np.abs(left * lengths)[:, :4], atol=0.01)


def test_with_all_directions_dot_products_stay() -> None:
    gist = Gist(size=32, grid=2).fit(IMAGES)
    vectors = gist.transform(IMAGES)
    found = Shortened(gist, n_components=12 * 4, n_parts=4).fit(IMAGES).transform(IMAGES)
    assert found.shape == (12, 48)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found @ found.T, vectors @ vectors.T, atol=0.01)


def test_no_more_directions_than_images_or_values() -> None:
    colors = ColorHistogram()
    assert Shortened(colors, n_components=100, n_parts=2).fit(IMAGES[:3]).vector_length == 2 * 3
    assert Shortened(colors, n_components=100, n_parts=2, sample_images=4).fit(IMAGES).vector_length == 2 * 4
    assert Shortened(colors, n_components=1000, n_parts=64).fit(IMAGES).vector_length == 64 * 2
    one = Shortened(colors).fit([np.zeros((8, 8, 3), np.uint8)])
    assert one.vector_length == 8
    assert np.isfinite(one.transform(IMAGES[:2])).all()


def test_the_shares_of_an_image_are_those_of_the_long_vector() -> None:
    short = Shortened(CensusPyramid(radii=(1,), grids=("2x1",)), n_components=6, n_parts=2).fit(IMAGES)
    weights = np.random.default_rng(1).normal(size=(3, short.vector_length))
    gray = short.read(IMAGES[0])
    shared = short.shares_of(gray, weights)
    assert shared.pixels is not None
    np.testing.assert_allclose(shared.pixels.sum(axis=(1, 2)), weights @ short.encode_image(gray), rtol=1e-4)
    boxes = np.array([[0, 0, 10, 10], [0, 0, 0, 0]])
    without = short.without(gray, boxes)
    np.testing.assert_allclose(without[1], short.encode_image(gray), rtol=1e-6)
    assert np.abs(without[0] - without[1]).max() > 1e-4


def test_the_same_for_any_number_of_workers_and_saved_and_loaded(tmp_path: Path) -> None:
    hashes = set()
    for n_jobs in (1, 2):
        short = Shortened(ColorHistogram(), n_components=6, n_parts=2, sample_images=8, n_jobs=n_jobs).fit(IMAGES)
        hashes.add(short.fingerprint())
    assert len(hashes) == 1
    storage.save(tmp_path / "short.cvbow", kind="backend", state=short, metadata={})
    loaded: Any = storage.load(tmp_path / "short.cvbow", kind="backend").state
    np.testing.assert_array_equal(loaded.transform(IMAGES), short.transform(IMAGES))
    loaded.directions_ = loaded.directions_[:, 1:]
    loaded.steps_ = loaded.steps_[1:]
    with pytest.raises(ValueError, match="directions_ must have a column for each value of the vectors of backend_"):
        loaded.check_state()


def test_cached_vectors_go_by_the_directions(tmp_path: Path) -> None:
    short = [Shortened(ColorHistogram(), n_components=n, n_parts=2, memory=tmp_path) for n in (4, 6, 4)]
    found = [each.fit(IMAGES).transform(IMAGES) for each in short]
    assert [each.shape[1] for each in found] == [4, 6, 4]
    np.testing.assert_array_equal(found[0], found[2])


def test_images_that_cannot_be_read_are_left_out() -> None:
    short = Shortened(ColorHistogram(), n_components=4, n_parts=1).fit(["missing.png", *IMAGES])
    np.testing.assert_allclose(
        np.abs(short.transform(IMAGES)),
        np.abs(Shortened(ColorHistogram(), n_components=4, n_parts=1).fit(IMAGES).transform(IMAGES)),
        atol=1e-4,
    )
    with pytest.raises(CvbowError, match=r"the image cannot be read: missing\.png"):
        Shortened(ColorHistogram()).fit(["missing.png"])


def test_words_are_those_of_the_backend_and_have_no_values_of_their_own() -> None:
    bags = BagEncoder(DenseSIFT(step=8), BagOfWords(KMeansDictionary(n_words=6)), mirror="pairs")
    labels = ["x", "y"] * 6
    for classifier in (LinearSVM(), FusionClassifier()):
        model = ImageClassifier(Shortened(bags, n_components=8), classifier).fit(IMAGES, labels)
        table = model.words(IMAGES[0])
        assert (table.n_words, table.n_uses) == (6, 3)
        gallery = word_gallery(model, IMAGES, labels)
        assert [use.words for use in gallery.words] == [(0, 3), (1, 4), (2, 5)]
        assert not gallery.is_linear
        assert np.isfinite(gallery.matters("x")).all()


def test_each_channel_of_a_recipe_is_shortened() -> None:
    settings = {"channels": ("census", "gist"), "views": "crops", "shorten": 16}
    backend = build_model("bow", settings).backend
    assert isinstance(backend, MultiCrop)
    union = backend.backend
    assert isinstance(union, ChannelUnion)
    assert all(isinstance(channel, Shortened) and channel.n_components == 16 for _, channel in union.channels)
    assert backend.fit(IMAGES).transform(IMAGES[:2]).shape == (2, 5 * 2 * 16)
    assert not isinstance(build_model("bow", {"channels": ("census",)}).backend, Shortened)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backend": MultiCrop(Gist())}, "backend must be an ImageEncoder with one view of an image"),
        ({"backend": "gist"}, "backend must be an ImageEncoder with one view of an image, got 'gist'"),
        ({"n_components": 0}, "n_components must be an integer >= 1, got 0"),
        ({"n_parts": 0}, "n_parts must be an integer >= 1, got 0"),
        ({"sample_images": 0}, "sample_images must be an integer >= 1, got 0"),
        ({"backend": Gist(size=1)}, "size must be an integer"),
    ],
    ids=str,
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shortened(**{"backend": ColorHistogram()} | parameters).fit(IMAGES)


def test_unfitted() -> None:
    with pytest.raises(NotFittedError):
        Shortened(ColorHistogram()).transform(IMAGES)
    assert isinstance(clone(Shortened(ColorHistogram())), ImageEncoder)
    assert not Shortened(ColorHistogram()).gray_only
    assert Shortened(CensusPyramid()).shrinks_to == 480
