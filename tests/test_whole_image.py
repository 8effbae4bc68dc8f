"""The whole-image channels, their union, and vectors averaged with those of the mirror."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from synthetic import textured

from cvbow import storage
from cvbow.backends import BagEncoder, CensusPyramid, ChannelUnion, Gist, ImageEncoder
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, SpatialPyramid
from cvbow.features import SIFT, DenseSIFT

Image = NDArray[np.uint8]
CHANNELS = {"census": CensusPyramid(), "gist": Gist(size=64)}


def images(width: int = 81) -> list[Image]:
    return [textured(96, width, seed=seed) for seed in range(4)]


def bag(**parameters: object) -> BagEncoder:
    words = BagOfWords(KMeansDictionary(n_words=20))
    return BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), SpatialPyramid(words, grids=("1x1", "2x2")), **parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_gives_one_finite_vector_for_any_image(name: str) -> None:
    channel = clone(CHANNELS[name])
    odd: list[Image] = [
        np.zeros((1, 1), np.uint8),
        np.full((40, 7), 200, np.uint8),
        np.random.default_rng(0).integers(0, 256, (33, 57, 3), dtype=np.uint8),
    ]
    vectors = channel.fit(odd).transform([*odd, *images()])
    assert vectors.shape == (7, channel.vector_length)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    # Different images have different vectors, and an image has the same one beside any others.
    assert len(np.unique(vectors[3:], axis=0)) == 4
    np.testing.assert_array_equal(channel.transform(images()[2:3])[0], vectors[5])


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_does_not_depend_on_the_workers(name: str) -> None:
    alone = clone(CHANNELS[name]).fit(images()).transform(images())
    together = clone(CHANNELS[name]).set_params(n_jobs=2).fit(images()).transform(images())
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("name", CHANNELS)
def test_a_mirror_averaged_channel_does_not_tell_left_from_right(name: str) -> None:
    plain, averaged = clone(CHANNELS[name]), clone(CHANNELS[name]).set_params(mirror=True)
    # Of an odd width, the middle column belongs to the cells on one side.
    given = images(width=80)
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in given]
    one, other = averaged.fit(given).transform(given), averaged.transform(mirrored)
    np.testing.assert_allclose(one, other, atol=2e-3)
    assert np.abs(plain.fit(given).transform(given) - plain.transform(mirrored)).max() > 0.01


def test_the_census_of_an_image_with_one_bright_pixel_by_hand() -> None:
    image = np.full((9, 9), 100, np.uint8)
    image[4, 4] = 200
    channel = CensusPyramid(radii=(1,), grids=("1x1",), smoothing=0.0, root=False).fit([image])
    vector = channel.transform([image])[0]
    # Each of the eight neighbours sees the bright pixel in another place: eight patterns that occur once, all the
    # other pixels share the flat one.
    shares = np.sort(vector[vector > 0])
    assert vector.sum() == pytest.approx(1, abs=1e-6)
    assert len(shares) in (9, 10)
    np.testing.assert_allclose(shares[:8], shares[0], rtol=1e-5)
    assert shares[-1] > 30 * shares[0]


def test_a_union_is_its_channels_side_by_side() -> None:
    parts: list[tuple[str, ImageEncoder]] = [("census", CensusPyramid()), ("words", bag())]
    union = ChannelUnion(parts).fit(images())
    expected = np.hstack([clone(part).fit(images()).transform(images()) for _, part in parts])
    np.testing.assert_array_equal(union.transform(images()), expected)
    assert union.vector_length == expected.shape[1]
    with pytest.raises(NotFittedError):
        ChannelUnion(parts).transform(images())


def test_a_mirrored_bag_is_the_mean_direction_of_the_bags_of_image_and_mirror() -> None:
    averaged = bag(mirror=True).fit(images())
    plain = bag().fit(images())
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images()]
    mean = plain.transform(images()) + plain.transform(mirrored)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    cosines = (mean * averaged.transform(images())).sum(axis=1)
    assert cosines.min() > 0.999


def test_mirroring_needs_descriptors_that_can_be_mirrored() -> None:
    encoder = BagEncoder(SIFT(), BagOfWords(KMeansDictionary(n_words=5)), mirror=True)
    with pytest.raises(ValueError, match="mirror"):
        encoder.fit(images())


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_is_storable(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("channel") / "c.cvbow"
    channel = clone(CHANNELS[name]).fit(images())
    storage.save(path, kind="channel", state=channel, metadata={})
    again = storage.load(path, kind="channel").state
    np.testing.assert_array_equal(again.transform(images()), channel.transform(images()))


@pytest.mark.parametrize("bad", [{"radii": ()}, {"grids": "2x2"}, {"smoothing": -1.0}])
def test_bad_census_parameters_are_named(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        CensusPyramid(**bad).fit(images()).transform(images())  # type: ignore[arg-type]
