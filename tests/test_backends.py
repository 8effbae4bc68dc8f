"""What backends tell of themselves and of the parts in them, and what a worker makes of the images given to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import textured
from tiny_network import tiny_network

from cvbow.backends import BagEncoder, ChannelUnion, CnnEncoder, ColorHistogram, Gist, ImageEncoder, MultiCrop
from cvbow.backends.caching import CachedFunction
from cvbow.backends.loading import check_images
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, Encoder, SpatialPyramid
from cvbow.features import DenseSIFT
from cvbow.images import content_hash

IMAGES = [textured(40, 40, seed) for seed in range(3)]


def bag() -> BagEncoder:
    return BagEncoder(DenseSIFT(step=6), SpatialPyramid(BagOfWords(KMeansDictionary(n_words=8))), sample=200)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    return path


def cnn(network: Path) -> CnnEncoder:
    return CnnEncoder(network, layer="features", size=12, channel_order="rgb", mean=0, scale=1, engine="opencv")


def test_a_backend_of_one_kind_has_one_view_and_nothing_inside() -> None:
    backend = ColorHistogram().fit(IMAGES)
    assert backend.n_views == 1
    assert list(backend.parts()) == []
    assert backend.channel_slices is None
    assert backend.n_words is None
    assert backend.network_hashes == set()
    assert backend.network_files == frozenset()
    assert (backend.n_sampled_, backend.skipped_, backend.seconds_) == (None, None, None)


def test_words_and_networks_are_found_however_deep(network: Path) -> None:
    union = ChannelUnion([("colors", ColorHistogram()), ("cnn", cnn(network)), ("words", bag()), ("gist", Gist())])
    backend = MultiCrop(union).fit(IMAGES)
    assert backend.n_words == 8
    assert backend.network_hashes == {content_hash(network)}
    assert backend.network_files == {network}
    assert backend.channel_slices == backend.backend_.channel_slices
    assert list(backend.channel_slices or ()) == ["colors", "cnn", "words", "gist"]
    assert (backend.n_views, union.n_views) == (5, 1)


def test_parts_are_the_fitted_ones_once_there_are_any() -> None:
    gist, union = Gist(), ChannelUnion([("one", Gist()), ("two", ColorHistogram())])
    views = MultiCrop(gist)
    assert list(views.parts()) == [gist]
    assert list(union.parts()) == [part for _, part in union.channels]
    assert list(views.fit(IMAGES).parts()) == [views.backend_]
    assert views.backend_ is not gist
    assert list(union.fit(IMAGES).parts()) == [part for _, part in union.channels_]


def test_views_of_views_are_refused() -> None:
    with pytest.raises(ValueError, match="backend must be an ImageEncoder with one view of an image"):
        MultiCrop(MultiCrop(Gist())).fit(IMAGES)


def test_an_encoder_without_a_dictionary_has_no_words() -> None:
    class Means(Encoder):
        vector_length = 2

        def fit(self, features_sample: Any, y: object = None) -> Means:
            self.fitted_ = True
            return self

        def encode(self, features: Any) -> NDArray[np.float32]:
            return np.ones(2, np.float32)

    backend: ImageEncoder = BagEncoder(DenseSIFT(), Means()).fit(IMAGES)
    assert backend.n_words is None


@pytest.mark.parametrize("images", [[], (), np.zeros((0, 9, 9), np.uint8), iter(())])
def test_learning_takes_an_image_at_least(images: Any) -> None:
    with pytest.raises(ValueError, match=r"^images must have at least one image, got none$"):
        check_images(images, minimum=1)


def counted(estimator: list[str], source: Any, name: str | None, factor: int) -> int:
    estimator.append(str(name))
    return int(source.sum()) * factor


@pytest.mark.parametrize("kind", [str, lambda path: joblib.Memory(path, verbose=0)])
def test_a_cache_keeps_what_was_computed_and_what_it_is_given(kind: Any, tmp_path: Path) -> None:
    calls: list[str] = []
    one, other = np.full((2, 2), 1, np.uint8), np.full((2, 2), 2, np.uint8)
    cached = CachedFunction(kind(tmp_path), counted, "state")
    key = cached.key_of(one, 3)
    assert not cached.has(key)
    assert [cached(calls, one, "a", 3), cached(calls, one.copy(), "b", 3)] == [12, 12]
    assert calls == ["a"]
    assert cached.has(key)
    # Another image, other arguments, another state: other keys.
    elsewhere = CachedFunction(kind(tmp_path), counted, "other state").key_of(one, 3)
    for absent in (cached.key_of(other, 3), cached.key_of(one, 4), elsewhere):
        assert not cached.has(absent)
    cached.keep(cached.key_of(other, 3), 99)
    assert cached.has(cached.key_of(other, 3))
    assert cached(calls, other, "c", 3) == 99
    assert calls == ["a"]


def test_without_a_place_a_cache_keeps_nothing() -> None:
    calls: list[str] = []
    cached = CachedFunction(joblib.Memory(None), counted)
    image = np.ones((2, 2), np.uint8)
    cached.keep(cached.key_of(image, 1), 99)
    assert not cached.has(cached.key_of(image, 1))
    assert [cached(calls, image, "a", 1), cached(calls, image, "a", 1)] == [4, 4]
    assert calls == ["a", "a"]
