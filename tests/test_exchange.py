"""Words to and from .npz and OpenCV's FileStorage: round trips, OpenCV as the peer, damaged files."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bags import random_bag
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import (
    ZCA,
    BinaryDictionary,
    KMeansDictionary,
    VocabularyTree,
    export_words,
    import_words,
)
from cvbow.dictionary._filestorage import read_matrices, write_matrix
from cvbow.encoders import LLC, BagOfWords
from cvbow.errors import ModelFileError

ENDINGS = (".npz", ".yml", ".yaml", ".xml")
each_ending = pytest.mark.parametrize("ending", ENDINGS)
each_text = pytest.mark.parametrize("ending", ENDINGS[1:])


def learned(n_words: int = 7, size: int = 5) -> KMeansDictionary:
    return KMeansDictionary(n_words=n_words).fit(random_bag(60, size).descriptors)


def binary() -> BinaryDictionary:
    data = np.random.default_rng(0).integers(0, 256, (40, 4), dtype=np.uint8)
    return BinaryDictionary(n_words=6).fit(data)


def with_words(words: NDArray[Any]) -> KMeansDictionary:
    dictionary = KMeansDictionary(n_words=len(words))
    dictionary.words_ = words
    return dictionary


# Round trips


@each_ending
def test_words_come_back_to_the_bit(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"words{ending}"
    dictionary = learned()
    assert export_words(path, dictionary) is None
    back = import_words(path)
    assert type(back) is KMeansDictionary
    assert back.words_.dtype == np.float32
    assert np.array_equal(back.words_, dictionary.words_)
    assert back.n_words == 7
    queries = random_bag(30, 5, seed=4).descriptors
    assert np.array_equal(back.predict(queries), dictionary.predict(queries))
    back.partial_fit(queries).grow(queries, 2)
    assert os.listdir(tmp_path) == [path.name]


@each_ending
def test_binary_words_come_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"words{ending}"
    dictionary = binary()
    export_words(str(path), dictionary)
    back = import_words(str(path))
    assert type(back) is BinaryDictionary
    assert back.words_.dtype == np.uint8
    assert np.array_equal(back.words_, dictionary.words_)
    assert np.array_equal(back.predict(dictionary.words_), np.arange(6))


def test_only_numpys_file_keeps_the_counts(tmp_path: Path) -> None:
    dictionary = learned()
    for ending in ENDINGS:
        export_words(tmp_path / f"words{ending}", dictionary)
        back = import_words(tmp_path / f"words{ending}")
        assert np.array_equal(vars(back).get("counts_"), dictionary.counts_) == (ending == ".npz")


def test_of_a_tree_the_leaves(tmp_path: Path) -> None:
    tree = VocabularyTree(branching=3, depth=2).fit(random_bag(90, 4).descriptors)
    export_words(tmp_path / "tree.npz", tree)
    assert np.array_equal(import_words(tmp_path / "tree.npz").words_, tree.words_)


@pytest.mark.parametrize("xml", [False, True])
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=7),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_no_digit_is_lost(xml: bool, matrix: NDArray[np.float32]) -> None:
    text = write_matrix(matrix, "m_1", xml=xml)
    (name, back), *others = read_matrices(text).items()
    assert name == "m_1"
    assert not others
    assert back.dtype == np.float32
    assert np.array_equal(back, matrix)


# OpenCV


@each_text
@pytest.mark.parametrize("kind", ["f", "u"])
def test_opencv_reads_what_we_write(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"words{ending}"
    dictionary = learned(40, 33) if kind == "f" else binary()
    export_words(path, dictionary)
    reader = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    matrix = reader.getNode("vocabulary").mat()
    reader.release()
    assert matrix.dtype == dictionary.words_.dtype
    assert np.array_equal(matrix, dictionary.words_)


@each_text
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int32])
def test_we_read_what_opencv_writes(tmp_path: Path, ending: str, dtype: Any) -> None:
    path = tmp_path / f"words{ending}"
    matrix = (np.random.default_rng(0).standard_normal((30, 17)) * 100).clip(0).astype(dtype)
    writer = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    writer.write("comment", "a text")
    writer.write("number", 3)
    writer.write("vocabulary", matrix)
    writer.write("other", np.eye(2))
    writer.release()
    back = import_words(path)
    assert type(back) is (BinaryDictionary if dtype == np.uint8 else KMeansDictionary)
    assert np.array_equal(back.words_, matrix.astype(back.words_.dtype))
    assert np.array_equal(import_words(path, name="other").words_, np.eye(2))
    with pytest.raises(ModelFileError, match="no matrix 'words' in it, but several others: 'vocabulary', 'other'"):
        import_words(path, name="words")


def test_the_headers_of_opencv_4_and_5() -> None:
    body = "---\nv: !!opencv-matrix\n   rows: 1\n   cols: 2\n   dt: f\n   data: [ 1., -2.5e+00 ]\n"
    for header in ("%YAML:1.0\n", "%YAML 1.2\n", "%YAML:1.0\r\n"):
        assert read_matrices(header + body)["v"].tolist() == [[1, -2.5]]


@each_ending
def test_the_only_matrix_is_taken_by_any_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"words{ending}"
    dictionary = learned()
    export_words(path, dictionary, name="my_words_2")
    for name in ("vocabulary", "my_words_2"):
        assert np.array_equal(import_words(path, name=name).words_, dictionary.words_)


# Use


def test_imported_words_stay_in_an_encoder_that_is_fitted(tmp_path: Path) -> None:
    frozen = pytest.importorskip("sklearn.frozen")
    export_words(tmp_path / "words.yml", learned())
    words = import_words(tmp_path / "words.yml")
    features = random_bag(30, 5, seed=9)
    for encoder in (BagOfWords(frozen.FrozenEstimator(words)), LLC(frozen.FrozenEstimator(words), n_nearest=1)):
        encoder.fit([random_bag(80, 5, seed=8)])
        assert np.array_equal(encoder.dictionary_.words_, words.words_)
        assert np.array_equal(encoder.encode(features) > 0, np.bincount(words.predict(features.descriptors)) > 0)
        storage.save(tmp_path / "model", kind="encoder", state=encoder, metadata={})
        back = storage.load(tmp_path / "model", kind="encoder").state
        assert np.array_equal(back.encode(features), encoder.encode(features))


# Refusals


@each_text
@pytest.mark.parametrize(
    ("words", "size"),
    [(np.zeros((0, 4), np.float32), (0, 4)), (np.zeros((4, 0), np.float32), (4, 0))],
)
def test_a_file_without_words(tmp_path: Path, ending: str, words: NDArray[Any], size: tuple[int, int]) -> None:
    path = tmp_path / f"words{ending}"
    export_words(path, with_words(words))
    with pytest.raises(
        ModelFileError, match=re.escape(f"the words must be a matrix with a row per word, got the shape {size}")
    ):
        import_words(path)


YAML = "%YAML:1.0\n---\nv: !!opencv-matrix\n   rows: 2\n   cols: 2\n   dt: f\n   data: [ 1., 2., 3.,\n       4. ]\n"
XML = (
    '<?xml version="1.0"?>\n<opencv_storage>\n<v type_id="opencv-matrix">\n  <rows>2</rows>\n  <cols>2</cols>\n'
    "  <dt>f</dt>\n  <data>\n    1. 2. 3. 4.</data></v>\n</opencv_storage>\n"
)
DAMAGED = [
    ("", "it begins neither as YAML nor as XML"),
    ("hello", "it begins neither as YAML nor as XML"),
    ("%YAML:1.0\n---\na: 3\n", "there is no matrix 'vocabulary' in it, nor any other"),
    (YAML[:-4], "it has a matrix that is not complete"),
    (YAML[:60], "it has a matrix that is not complete"),
    (YAML + YAML[14:], "or two of one name"),
    (YAML.replace("4. ", ""), "the matrix 'v' must have 2 x 2 values, but has 3"),
    (YAML.replace("rows: 2", "rows: 999999999"), "must have 999999999 x 2 values"),
    (YAML.replace("rows: 2", "rows: -2"), "it has a matrix that is not complete"),
    (YAML.replace("dt: f", 'dt: "2f"'), "the matrix 'v' has values of the type '2f', which are not numbers"),
    (YAML.replace("3.", "three"), "the matrix 'v' has a value that is not a number"),
    (YAML.replace("3.", ".Nan"), "the matrix 'v' has a value that is not a number"),
    (YAML.replace("3.", "nan"), "the words have values that are not finite numbers of 32 bits"),
    (YAML.replace("3.", "1e39"), "the words have values that are not finite numbers of 32 bits"),
    (YAML.replace("dt: f", "dt: u").replace("3.", "300"), "the matrix 'v' has a value that its type u cannot hold"),
    (YAML.replace("dt: f", "dt: u").replace("3.", "0.5"), "the matrix 'v' has a value that its type u cannot hold"),
    (XML[:-30], "the XML is damaged"),
    (XML.replace("<rows>2</rows>", ""), "the matrix 'v' has a value that is not a number"),
    (XML.replace("<dt>f</dt>", ""), "the matrix 'v' has values of the type ''"),
    (XML.replace("<opencv", "<!DOCTYPE a><opencv", 1), "it has a document type"),
    ("<a/>", "there is no matrix 'vocabulary' in it, nor any other"),
]


@pytest.mark.parametrize(("text", "message"), DAMAGED)
def test_damaged_texts_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "words.yml"
    path.write_text(text)
    with pytest.raises(ModelFileError, match=re.escape(message)) as caught:
        import_words(path)
    assert caught.value.path == str(path)


def test_the_whole_ones_are_read(tmp_path: Path) -> None:
    for text in (YAML, XML, YAML.replace("dt: f", 'dt: "f"')):
        path = tmp_path / "words.xml"
        path.write_text(text)
        assert import_words(path).words_.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"\xff\xfe\x00\x00text", bytes(1000)])
@each_ending
def test_bytes_that_are_no_such_file(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"words{ending}"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        import_words(path)


@pytest.mark.parametrize(
    ("arrays_", "message"),
    [
        ({"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, "but several others: 'a', 'b'"),
        ({}, "nor any other"),
        ({"vocabulary": np.zeros(4)}, "a matrix with a row per word, got the shape (4,)"),
        ({"vocabulary": np.array([["x"]])}, "the words must be numbers, got <U1"),
        ({"vocabulary": np.array([[None]])}, "not an .npz file of arrays, or a damaged one"),
        ({"vocabulary": np.array([[np.inf]])}, "not finite"),
    ],
)
def test_arrays_that_are_no_words(tmp_path: Path, arrays_: dict[str, Any], message: str) -> None:
    path = tmp_path / "words.npz"
    np.savez(path, **arrays_)
    with pytest.raises(ModelFileError, match=re.escape(message)):
        import_words(path)


def test_counts_that_do_not_fit_are_left(tmp_path: Path) -> None:
    path = tmp_path / "words.npz"
    np.savez(path, vocabulary=np.eye(3), counts=np.ones(5))
    assert not hasattr(import_words(path), "counts_")


@each_ending
def test_a_file_with_any_few_bytes_changed_is_read_or_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"words{ending}"
    export_words(path, learned(3, 2))
    whole = path.read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 1, 3])):
            place = draw.randrange(len(content))
            if draw.random() < 0.5:
                content[place] = draw.randrange(256)
            else:
                del content[place : place + draw.randrange(1, 9)]
        path.write_bytes(content)
        try:
            words = import_words(path).words_
        except ModelFileError:
            refused += 1
        else:
            assert words.size
            assert np.isfinite(words).all()
    assert refused > 50


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "words", tmp_path / "words.json", tmp_path / "words.npy"):
        with pytest.raises(ValueError, match=r"path must end in .npz, .yml, .yaml, .xml, got"):
            export_words(path, learned())
        with pytest.raises(ValueError, match=r"path must end in .npz, .yml, .yaml, .xml, got"):
            import_words(path)
    for name in ("", "a b", "1a", "a-b", None):
        with pytest.raises(ValueError, match="name must be letters, digits and underscores"):
            export_words(tmp_path / "words.npz", learned(), name=name)  # type: ignore[arg-type]
    with pytest.raises(NotFittedError):
        export_words(tmp_path / "words.npz", KMeansDictionary())
    with pytest.raises(NotFittedError):
        export_words(tmp_path / "words.npz", VocabularyTree())
    with pytest.raises(ValueError, match="dictionary must be one with words_, got ZCA"):
        export_words(tmp_path / "words.npz", ZCA().fit(random_bag(60, 3).descriptors))
    with pytest.raises(FileNotFoundError):
        import_words(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError):
        export_words(tmp_path / "absent" / "words.npz", learned())
    assert os.listdir(tmp_path) == []
