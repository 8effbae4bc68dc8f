"""The cache of BagEncoder: what a second run spares, and what makes it compute anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.decomposition import PCA
from synthetic import textured

import cvbow
from cvbow.backends import BagEncoder
from cvbow.classify import ImageClassifier
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, SpatialPyramid
from cvbow.features import SIFT, DenseSIFT, Extractor, Features
from cvbow.parallel import executor

N = 6


def encoder_with(memory: Any, **parameters: Any) -> BagEncoder:
    words = BagOfWords(KMeansDictionary(n_words=8, max_iter=3))
    encoder = BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), SpatialPyramid(words, grids=("1x1", "2x1")), sample=60)
    return encoder.set_params(memory=memory, **parameters)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{number}.png" for number in range(N)]
    for number, path in enumerate(found):
        Image.fromarray(textured(36, 36, number)).save(path)
    return found


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Extractions:
    """How many images have been looked at since the last question."""

    def __init__(self) -> None:
        self.count = 0

    def since(self) -> int:
        found, self.count = self.count, 0
        return found


@pytest.fixture
def extractions(monkeypatch: pytest.MonkeyPatch) -> Extractions:
    counted = Extractions()
    extract = Extractor.extract

    def counting(self: Extractor, image: NDArray[np.uint8]) -> Features:
        counted.count += 1
        return extract(self, image)

    monkeypatch.setattr(Extractor, "extract", counting)
    return counted


def run(encoder: BagEncoder, images: list[Any]) -> NDArray[np.float32]:
    return encoder.fit(images).transform(images)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_second_run_looks_at_no_image(
    paths: list[Path], memory: Path, extractions: Extractions, n_jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(encoder_with(None, n_jobs=n_jobs), paths)
    assert extractions.since() == 2 * N
    first = run(encoder_with(memory, n_jobs=n_jobs), paths)
    assert extractions.since() == 2 * N
    # Not even decoded.
    for module in ("_image_encoder", "fitting"):
        monkeypatch.delattr(f"cvbow.backends.{module}.read_image")
    second = run(encoder_with(memory, n_jobs=n_jobs), paths)
    assert extractions.since() == 0
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected)
    assert second.dtype == np.float32


def test_without_a_cache_everything_is_computed_again(paths: list[Path], extractions: Extractions) -> None:
    for _ in range(2):
        run(encoder_with(None), paths)
        assert extractions.since() == 2 * N


def test_tf_idf_is_spared_too(paths: list[Path], memory: Path, extractions: Extractions) -> None:
    tf_idf = {"encoder__encoder__weighting": "tf-idf", "encoder__encoder__dictionary__n_words": 40}
    expected = run(encoder_with(memory, **tf_idf), paths)
    assert extractions.since() == 3 * N
    assert expected.any()
    np.testing.assert_array_equal(run(encoder_with(memory, **tf_idf), paths), expected)
    assert extractions.since() == 0


@pytest.mark.parametrize("kind", [str, Path, lambda path: joblib.Memory(path, verbose=0)])
def test_kinds_of_memory(
    paths: list[Path], memory: Path, extractions: Extractions, kind: Callable[[Path], Any]
) -> None:
    run(encoder_with(kind(memory)), paths)
    run(encoder_with(clone(encoder_with(kind(memory))).memory), paths)
    assert extractions.since() == 2 * N
    assert memory.is_dir()


def test_workers_of_every_kind_share_a_cache(paths: list[Path], memory: Path, extractions: Extractions) -> None:
    with executor("processes"):
        by_processes = run(encoder_with(memory, n_jobs=2), paths)
    assert extractions.since() == 0
    np.testing.assert_array_equal(run(encoder_with(memory, n_jobs=2), paths), by_processes)
    assert extractions.since() == 0


def test_the_content_counts_and_not_the_name(
    paths: list[Path], memory: Path, extractions: Extractions, tmp_path: Path
) -> None:
    encoder = encoder_with(memory).fit(paths)
    expected = encoder.transform(paths)
    extractions.since()
    moved = [shutil.copy(path, tmp_path / f"moved-{path.name}") for path in paths]
    np.testing.assert_array_equal(encoder.transform(moved[::-1]), expected[::-1])
    np.testing.assert_array_equal(run(encoder_with(memory), moved), expected)
    assert extractions.since() == 0


def test_a_changed_pixel_is_seen(paths: list[Path], memory: Path, extractions: Extractions) -> None:
    encoder = encoder_with(memory).fit(paths)
    before = encoder.transform(paths)
    extractions.since()
    pixels = textured(36, 36, 2)
    pixels[18:, 18:] = 0
    Image.fromarray(pixels).save(paths[2])
    after = encoder.transform(paths)
    assert extractions.since() == 1
    np.testing.assert_array_equal((after == before).all(axis=1), [True, True, False, True, True, True])
    # A new dictionary is learned from a sample of which one part is new; then every vector is.
    run(encoder_with(memory), paths)
    assert extractions.since() == 1 + N


def test_arrays_are_cached_like_files(memory: Path, extractions: Extractions) -> None:
    images = [textured(36, 36, number) for number in range(N)]
    encoder = encoder_with(memory).fit(images)
    expected = encoder.transform(images)
    extractions.since()
    np.testing.assert_array_equal(encoder.transform([image.copy() for image in images]), expected)
    assert extractions.since() == 0
    images[1][0, 0] ^= 255
    # The same bytes in another shape are another image.
    encoder.transform([*images, textured(24, 54, 0), textured(24, 54, 0).reshape(54, 24)])
    assert extractions.since() == 3


@pytest.mark.parametrize(
    ("parameters", "spared"),
    [
        # Another extractor: nothing can be used.
        ({"extractor__step": 7}, 0),
        ({"extractor__root": False}, 0),
        ({"extractor": SIFT(contrast_threshold=0.01)}, 0),
        # Another draw: neither.
        ({"random_state": 1}, 0),
        ({"sample": 90}, 0),
        # What comes after the sample: the sample is as before.
        ({"position_weight": 0.5}, N),
        ({"reduce": PCA(4, svd_solver="covariance_eigh")}, N),
        ({"encoder__encoder__dictionary__n_words": 7}, N),
        ({"encoder__encoder__dictionary__random_state": 1}, N),
        ({"encoder__encoder__normalization": "l2"}, N),
        ({"encoder__grids": ("1x1", "1x2")}, N),
        ({"encoder__level_weights": "cells"}, N),
        # The workers change nothing.
        ({"n_jobs": 2}, 2 * N),
    ],
)
def test_a_changed_parameter_is_seen(
    paths: list[Path], memory: Path, extractions: Extractions, parameters: dict[str, Any], spared: int
) -> None:
    run(encoder_with(memory), paths)
    extractions.since()
    warm = run(encoder_with(memory, **parameters), paths)
    assert extractions.since() == 2 * N - spared
    np.testing.assert_array_equal(warm, run(encoder_with(None, **parameters), paths))


def test_another_version_of_cvbow_computes_anew(
    paths: list[Path], memory: Path, extractions: Extractions, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(encoder_with(memory), paths)
    extractions.since()
    monkeypatch.setattr(cvbow, "__version__", "999.0")
    run(encoder_with(memory), paths)
    assert extractions.since() == 2 * N


def test_errors_are_not_kept(paths: list[Path], memory: Path) -> None:
    good = paths[1].read_bytes()
    paths[1].write_bytes(good[:100])
    encoder = encoder_with(memory).fit(paths)
    assert [error.path for error in encoder.encode_images(paths).skipped] == [str(paths[1])]
    assert [error.path for error in encoder.encode_images(paths).skipped] == [str(paths[1])]
    paths[1].write_bytes(good)
    assert encoder.encode_images(paths).skipped == []


def test_doubts_are_kept(tmp_path: Path, paths: list[Path], memory: Path, extractions: Extractions) -> None:
    encoder = encoder_with(memory).fit(paths)
    Image.fromarray(np.full((30, 30), 7, np.uint8)).save(tmp_path / "plain.png")
    found = [encoder.encode_images([tmp_path / "plain.png"]).doubtful for _ in range(2)]
    assert [str(error) for error in found[0]] == [str(error) for error in found[1]]
    assert len(found[1]) == 1


def test_a_warm_cache_gives_the_same_model_file(
    tiny_dataset: Path, tmp_path: Path, memory: Path, extractions: Extractions
) -> None:
    images = cvbow.list_images(tiny_dataset)
    hashes = []
    for number, (cache, n_jobs) in enumerate(
        [(None, 1), (memory, 2), (memory, 1), (joblib.Memory(str(memory), verbose=0), 2)]
    ):
        model = ImageClassifier(encoder_with(cache, n_jobs=n_jobs)).fit(images.paths, images.labels)
        hashes.append(model.save(tmp_path / f"{number}.cvbow"))
    assert len(set(hashes)) == 1
    assert extractions.since() == 4 * len(images)
    contents = {(tmp_path / f"{number}.cvbow").read_bytes() for number in range(4)}
    assert len(contents) == 1
    assert str(memory).encode() not in contents.pop()
    assert ImageClassifier.load(tmp_path / "3.cvbow").backend_.memory is None
