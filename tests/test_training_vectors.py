"""Vectors of training images in a file: what they are learned to, and that nothing is left of the file."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notes import Notes
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from test_image_classifier import backend, textures

from cvbow.augmentation import ImageAugmenter
from cvbow.backends import ChannelUnion, ColorHistogram, MultiCrop
from cvbow.classify import ImageClassifier, KeptImages, Strangers, _training_vectors
from cvbow.classify._training_vectors import part_of, room
from cvbow.errors import CvbowError, ImageError
from cvbow.images import list_images
from cvbow.parallel import executor
from cvbow.progress import reporting
from cvbow.storage import storable

Usage = namedtuple("Usage", "total used free")


@storable
class Means(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Nearest mean, in passes over the rows; it remembers what the vectors were like."""

    learns_from_files = True
    unstored = ("type_", "files_")
    type_: Any
    files_: Any

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        self.type_, self.files_ = (type(X), X.dtype, X.flags.c_contiguous), os.listdir(self.folder or ".")
        self.classes_ = np.unique(y)
        sums = np.zeros((len(self.classes_), X.shape[1]))
        for row, name in zip(X, y, strict=True):
            sums[np.searchsorted(self.classes_, name)] += row.astype(np.float64)
        self.means_ = sums / np.unique(y, return_counts=True)[1][:, None]
        return self

    def decision_function(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return -((X[:, None] - self.means_) ** 2).sum(axis=2)

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        found: NDArray[Any] = self.classes_[self.decision_function(X).argmax(axis=1)]
        return found


class Keeper(Means):
    """Learns from vectors in memory only, and holds on to them."""

    learns_from_files = False

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        self.vectors_ = X
        return super().fit(X, y)


def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors.astype(np.float16).astype(np.float32)


# The room.


def test_few_values_are_in_memory() -> None:
    with reporting(notes := Notes()):
        assert room(1 << 20, 1 << 10, None, by_passes=True) is None
        assert room(1 << 20, 1 << 10, None, by_passes=False) is None
    assert notes.lines == []


def test_more_are_in_a_file_if_the_classifier_learns_in_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training_vectors, "VALUES_IN_MEMORY", 10)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with reporting(notes := Notes()):
        array = room(11, 1, None, by_passes=True)
        assert array is not None
        assert array.shape == (11, 1)
        assert room(11, 1, None, by_passes=False) is None
        assert room(10, 1, None, by_passes=True) is None
    assert notes.lines == [
        f"vectors: 0.0 GB in a temporary file in {tmp_path}, of two bytes a value",
        "vectors: 0.0 GB in memory: this classifier learns from no file",
    ]


def test_a_file_has_no_name_and_holds_what_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    array = room(1000, 70, folder, by_passes=True)
    assert array is not None
    values = np.arange(70_000, dtype=np.float32).reshape(1000, 70) % 2000
    array[:] = values
    np.testing.assert_array_equal(array, values)
    assert type(array) is np.ndarray
    assert array.dtype == np.float16
    assert os.listdir(folder) == [] or os.name != "posix"
    del array
    assert os.listdir(folder) == []


def test_a_disk_without_room_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = re.escape(
        f"the vectors take 2.0 GB of disk, and {tmp_path} has 0.5 GB left; another folder can be named"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 10**12, 5 * 10**8))
    with pytest.raises(CvbowError, match=f"^{expected}"):
        room(1_000_000, 1000, tmp_path, by_passes=True)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to reserve here")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EOPNOTSUPP])
def test_what_the_disk_says_to_a_reservation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    if number == errno.ENOSPC:
        with pytest.raises(CvbowError, match="of disk, and"):
            room(3, 4, tmp_path, by_passes=True)
    else:
        array = room(3, 4, tmp_path, by_passes=True)
        assert array is not None
        assert array.shape == (3, 4)


@given(st.data())
def test_a_part_of_vectors(data: st.DataObject) -> None:
    n, d = data.draw(st.integers(1, 700)), data.draw(st.integers(1, 5))
    vectors = np.arange(n * d, dtype=np.float32).reshape(n, d)
    rows, columns = (np.array(sorted(data.draw(st.sets(st.integers(0, k - 1), min_size=1))), np.intp) for k in (n, d))
    expected = vectors[rows][:, columns]
    apart = part_of(vectors, rows, columns, in_place=False)
    np.testing.assert_array_equal(apart, expected)
    np.testing.assert_array_equal(vectors, np.arange(n * d).reshape(n, d))
    found = part_of(vectors, rows, columns, in_place=True)
    np.testing.assert_array_equal(found, expected)
    assert np.shares_memory(found, vectors)
    assert found.flags.c_contiguous


# Encoding.


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_vectors_go_where_they_are_wanted(n_jobs: int) -> None:
    pixels, _ = textures()
    encoder = backend(n_jobs=n_jobs).fit(pixels)
    images = [pixels[0], "missing.png", *pixels[1:]]
    out = np.full((len(images), encoder.vector_length), -1, np.float16)
    encoded = encoder.encode_images(images, out=out)
    np.testing.assert_array_equal(encoded.vectors, encoder.transform(pixels).astype(np.float16))
    assert np.shares_memory(encoded.vectors, out)
    assert (out[-1] == -1).all()
    assert encoded.rows.tolist() == [0, *range(2, len(images))]


def test_vectors_need_room_for_all(tmp_path: Path) -> None:
    pixels, _ = textures()
    encoder = ColorHistogram()
    with pytest.raises(ValueError, match=r"^out must have the shape \(12, 128\), got \(11, 128\)$"):
        encoder.encode_images(pixels, out=np.zeros((11, 128), np.float16))


# Learning.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is as empty in the end as before."""
    folder = tmp_path / "vectors"
    folder.mkdir()
    yield folder
    assert os.listdir(folder) == []


def test_a_classifier_learns_from_a_file(folder: Path) -> None:
    pixels, labels = textures()
    model = ImageClassifier(backend(), Means(str(folder)), vectors=folder).fit(pixels, labels)
    assert model.classifier_.type_ == (np.ndarray, np.dtype(np.float16), True)
    assert model.classifier_.files_ == [] or os.name != "posix"
    expected = Means().fit(rounded(model.backend_.transform(pixels)), np.array(labels))
    np.testing.assert_array_equal(model.classifier_.means_, expected.means_)
    assert model.score(pixels, labels) == 1


@pytest.mark.parametrize("n_kept", [0, 3])
def test_all_that_is_learned_is_learned_from_it(folder: Path, n_kept: int) -> None:
    pixels, labels = textures()
    channels = ChannelUnion([("color", ColorHistogram()), ("local", backend())])
    model = ImageClassifier(MultiCrop(channels), Means(), n_kept=n_kept, vectors=str(folder))
    model.set_params(augmenter=ImageAugmenter(zoom_range=0.2), n_augmented=1).fit(pixels, labels)
    whole = rounded(model.backend_.transform(pixels)[:, : model.backend_.vector_length // 5])
    expected = Strangers().fit(whole, labels, channels=model.backend_.channel_slices)
    np.testing.assert_array_equal(model.strangers_.scores_, expected.scores_)
    if n_kept:
        kept = KeptImages(n_kept).fit(pixels, whole, np.array(labels))
        np.testing.assert_array_equal(model.kept_.vectors_, kept.vectors_)


def test_the_hash_depends_on_nothing_but_that_the_vectors_were_in_a_file(
    tiny_dataset: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = list_images(tiny_dataset)
    # Whether a vector was rounded shows in its means to the last digits.
    hashes: dict[str, str] = {}

    def learn(name: str, vectors: Any = folder, **parameters: Any) -> None:
        model = ImageClassifier(backend(**parameters), Means(), vectors=vectors).fit(images.paths, images.labels)
        hashes[name] = model.save(tmp_path / "model.cvbow")
        assert str(folder).encode() not in (tmp_path / "model.cvbow").read_bytes()

    learn("in memory", None)
    for n_jobs in (1, 2):
        learn(f"{n_jobs} workers", n_jobs=n_jobs)
    for name in ("cold cache", "warm cache"):
        learn(name, memory=str(tmp_path / "cache"), n_jobs=2)
    with executor("processes"):
        learn("processes", n_jobs=2)
    monkeypatch.setattr(_training_vectors, "VALUES_IN_MEMORY", 10)
    learn("by itself", None)
    in_memory = hashes.pop("in memory")
    assert len(set(hashes.values())) == 1
    assert in_memory not in hashes.values()
    assert ImageClassifier.load(tmp_path / "model.cvbow").vectors is None


@pytest.mark.parametrize("classifier", ["linear-svm", "standardized-svm", "tuned-svm", "logistic-regression"])
def test_those_of_cvbow_learn_from_a_file_what_they_learn_in_memory(folder: Path, classifier: str) -> None:
    pixels, labels = textures()
    in_memory = ImageClassifier(backend(), classifier).fit(pixels, labels)
    models = [ImageClassifier(backend(n_jobs=n), classifier, vectors=folder).fit(pixels, labels) for n in (1, 2)]
    for model in models:
        np.testing.assert_allclose(model.decision_function(pixels), in_memory.decision_function(pixels), atol=0.05)
    found = [np.asarray(model.classifier_.coef_) for model in models]
    np.testing.assert_array_equal(*found)


def test_several_labels_are_learned_from_a_file(folder: Path) -> None:
    pixels, labels = textures()
    sets = [[name, "fine"] if name == "checker" else [name] for name in labels]
    models = [ImageClassifier(backend(), vectors=vectors).fit(pixels, sets) for vectors in (None, folder)]
    assert models[1].multilabel
    decided = [model.decision_function(pixels) for model in models]
    np.testing.assert_allclose(*decided, atol=0.05)


def test_a_classifier_that_learns_from_no_file_says_so_at_once(folder: Path) -> None:
    expected = "vectors must be None: Keeper learns from no file; linear-svm, for one, does"
    model = ImageClassifier(backend(), Keeper(), vectors=folder)
    with pytest.raises(ValueError, match=f"^{expected}$"):
        model.fit(*textures())
    assert not hasattr(model, "backend_")


def test_a_classifier_may_hold_on_to_vectors_in_memory() -> None:
    pixels, labels = textures()
    augmenter = ImageAugmenter(zoom_range=0.2)
    model = ImageClassifier(backend(), Keeper(), augmenter=augmenter, n_augmented=1).fit(pixels, labels)
    assert model.classifier_.vectors_.shape == (24, 10)
    np.testing.assert_array_equal(model.classifier_.vectors_[::2], model.backend_.transform(pixels))


def test_images_of_weight_zero_and_unreadable_ones_are_nowhere(folder: Path) -> None:
    class Weighted(Means):
        def fit(self, X: NDArray[Any], y: NDArray[Any], sample_weight: Any = None) -> Self:
            return super().fit(X, y)

    pixels, labels = textures()
    images = [*pixels[:6], "missing.png", *pixels[6:]]
    weights = np.ones(13)
    weights[2] = 0
    model = ImageClassifier(backend(), Weighted(), vectors=folder)
    model.fit(images, [*labels[:6], labels[0], *labels[6:]], sample_weight=weights)
    assert [type(error) for error in model.skipped_] == [ImageError]
    counted = np.delete(np.arange(12), 2)
    expected = Strangers().fit(rounded(model.backend_.transform(pixels))[counted], np.array(labels)[counted])
    np.testing.assert_array_equal(model.strangers_.scores_, expected.scores_)


@pytest.mark.parametrize("vectors", [3, True, b"folder"])
def test_what_is_no_folder_is_refused(vectors: Any) -> None:
    with pytest.raises(ValueError, match=r"^vectors must be the path of a folder or None, got"):
        ImageClassifier(backend(), Means(), vectors=vectors).fit(*textures())


def test_vectors_beyond_what_the_file_holds_are_refused() -> None:
    vectors = np.full((4, 3), np.inf, np.float16)
    with pytest.raises(ValueError, match=r"^X must be finite, got NaN or infinity$"):
        Strangers().fit(vectors, ["a", "b"] * 2)
