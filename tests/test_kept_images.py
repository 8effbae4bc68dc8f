"""Training images that a model keeps: which, how near they are, and that they stay in the model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_images import write_dataset

from cvbow import ImageClassifier, LinearSVM, explain, list_images
from cvbow.backends import CensusPyramid, ChannelUnion, ColorHistogram, MultiCrop
from cvbow.classify import KeptImages


def test_the_nearest_are_those_with_the_nearest_vectors() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 200)).astype(np.float32)
    images = list(rng.integers(0, 256, (30, 8, 12, 3), np.uint8))
    kept = KeptImages(30).fit(images, vectors, np.arange(30) % 3)
    for vector in vectors[:5]:
        found = kept.nearest(vector, 30)
        expected = np.sort(np.linalg.norm(vectors - vector, axis=1))
        np.testing.assert_allclose([near.distance for near in found], expected, rtol=0.02, atol=0.02)
    assert found[0].class_name == "1"
    assert found[0].path is None
    assert found[0].thumbnail.shape == (64, 64, 3)
    np.testing.assert_allclose(found[0].thumbnail.mean(axis=(0, 1)), images[4].mean(axis=(0, 1)), atol=3)


def test_as_many_of_each_class() -> None:
    labels = np.array(["rare"] + ["a"] * 10 + ["b"] * 10)
    images = [np.full((4, 4), value, np.uint8) for value in range(21)]
    kept = KeptImages(7).fit(images, np.eye(21, dtype=np.float32), labels)
    assert kept.names_ == ["rare"] + ["a"] * 3 + ["b"] * 3
    assert kept.thumbnails_[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 11, 12, 13]


def test_vectors_that_are_all_the_same() -> None:
    kept = KeptImages(4).fit([np.zeros((2, 2), np.uint8)] * 4, np.ones((4, 3), np.float32), np.array(["a", "b"] * 2))
    assert [near.distance for near in kept.nearest(np.ones(3, np.float32))] == [0, 0, 0, 0]


def test_a_model_keeps_them_in_its_file(tmp_path: Path) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    # Noise is a channel that does not help, and of several views the first is the whole image.
    union = ChannelUnion([("census", CensusPyramid(radii=(1, 2), grids=("1x1",))), ("colors", ColorHistogram())])
    for backend in (union, MultiCrop(union)):
        model = ImageClassifier(backend, LinearSVM(shares=(1, 0)), n_kept=9).fit(images.paths, images.labels)
        assert list(model.backend_.channel_slices or ()) == ["census"]
        model.save(tmp_path / "model.cvbow")
        again = ImageClassifier.load(tmp_path / "model.cvbow")
        why = explain(again, images.paths[6])
        assert len(why.nearest) == 5  # type: ignore[union-attr]
        nearest = why.as_json()["nearest"][0]  # type: ignore[union-attr]
        assert nearest["path"] == str(images.paths[6])
        assert nearest["class"] == "horizontal"
        assert nearest["distance"] < 0.01
    assert explain(ImageClassifier(union).fit(images.paths, images.labels), images.paths[0]).nearest == []  # type: ignore[union-attr]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="n_kept must be an integer >= 0, got -1"):
        ImageClassifier(ColorHistogram(), n_kept=-1).check_params()
    kept = KeptImages(2).fit([np.zeros((2, 2), np.uint8)] * 2, np.eye(2, dtype=np.float32), np.array(["a", "b"]))
    kept.check_state()
    kept.names_ = ["a"]
    with pytest.raises(ValueError, match="names_ must be a list of 2 texts"):
        kept.check_state()
