"""The benchmark of explanations on made images, and the other maps and the curves on scores whose parts are known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from own_datasets import masked_manifest, register, tiny_manifest, write_masked, write_split
from tiny_images import texture
from tiny_network import tiny_network

from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
from cvbow.experiments import ExplanationDefinition, find_benchmark, read_benchmark, result_tables, run_benchmark
from cvbow.experiments._attribution import (
    FILLS,
    aopc,
    asked_once,
    by_cell,
    cut_cells,
    edges,
    filled,
    lime,
    occlusion,
    replaced,
)
from cvbow.experiments._known_places import pointed_at, shown_first, stamped
from cvbow.experiments.explanation import MAPS
from cvbow.images import read_image

SETTINGS = "{ n_words = 20, step = 8, bin_sizes = [4, 8] }"
DEFINITION = f"""
kind = "explanation"
title = "Tiny"
dataset = "tiny"
presets = ["bow"]
masked = "tiny-masked"
protocol = {{ kind = "fixed" }}
settings = {SETTINGS}
amounts = {{ images = 3, mosaics = 2, grid = 3, samples = 30 }}
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Textures with a split; and one of them with noise in a square, whose masks tell where. Mosaics are small."""
    monkeypatch.setattr("cvbow.experiments._known_places.QUARTER", 120)
    register(
        monkeypatch, tmp_path / "bundled", **{"tiny": tiny_manifest(n_images=30), "tiny-masked": masked_manifest()}
    )
    (tmp_path / "tiny-explained.toml").write_text(DEFINITION)
    return {"tiny": write_split(tmp_path / "data"), "tiny-masked": write_masked(tmp_path / "masked", 48)}


def read(folder: Path) -> ExplanationDefinition:
    definition = read_benchmark(folder / "tiny-explained.toml")
    assert isinstance(definition, ExplanationDefinition)
    return definition


def test_a_run_and_its_tables(data: dict[str, Path], tmp_path: Path) -> None:
    result = run_benchmark(read(tmp_path), data, n_jobs=1)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert [each["name"] for each in (result["dataset"], *result["others"])] == ["tiny", "tiny-masked"]
    (part,) = result["variants"]
    assert part["same"]
    assert part["remainder"]["largest"] < 1e-6, "words of a histogram and a linear SVM are exact"
    assert part["error"] < 1e-5
    assert list(part["aopc"]) == list(part["ms"]) == list(MAPS)
    for curves in part["aopc"].values():
        assert {len(curves[fill][order]) for fill in FILLS for order in ("most", "least")} == {3}
    assert len(part["shuffled"]) == 3
    assert len(part["quarters"]["heat"]) == 6, "two mosaics of three classes"
    assert part["quarters"]["point"].count(True) > 2, "more than a third"
    assert len(part["stamp"]["taken"]) == 3
    assert set(part["stamp"]["first"]) == {"heat", "word"}
    assert all(0 <= heat <= near <= 1 for heat, near in zip(part["stamp"]["heat"], part["stamp"]["near"], strict=True))
    assert part["masked"]["area"] == [0.25] * 4
    assert part["masked"]["point"] == part["masked"]["centre"] == [True] * 4
    assert min(part["masked"]["heat"]) > 0.25
    assert part["hidden"]["area"] == [0.0625] * 2
    assert part["hidden"]["centre"] == [0.25] * 2
    assert part["hidden"]["point"] == [True] * 2
    tables = result_tables(result)
    assert [row[1] for row in tables["figures"].rows] == list(MAPS)
    assert dict(tables["checks"].rows)["same bits on repetition, and with two workers"] == "yes"  # type: ignore[arg-type]


def test_a_map_points_at_the_square_with_the_most_heat() -> None:
    heat = np.zeros((64, 80), np.float32)
    heat[5, 5] = 3
    heat[40:44, 60:64] = 1
    heat[40:44, 58:60] = -1
    row, column = pointed_at(heat)
    assert 38 <= row <= 46
    assert 60 <= column <= 67
    assert pointed_at(np.ones((1, 1), np.float32)) == (0, 0)


def test_what_a_class_is_recognised_by_shows_its_stamp_first() -> None:
    random = np.random.default_rng(0)
    plain = [texture("horizontal", size=64, rng=random) for _ in range(6)]
    backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=30)))
    model = ImageClassifier(backend).fit([*plain, *map(stamped, plain)], ["without"] * 6 + ["with"] * 6)
    assert shown_first(model, plain, "with") == {"heat": True, "word": 1.0}
    assert not shown_first(model, plain, "without")["heat"]


def test_a_network_takes_part(data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cvbow knows by its SHA-256, in the folder of networks."""
    network, known = tmp_path / "tiny.onnx", tmp_path / "tiny-net.toml"
    network.write_bytes(tiny_network())
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    facts = 'size = 12\nchannel_order = "bgr"\nmean = 110\nscale = 0.02\nlayer = "features"\n'
    known.write_text(f'title = "Tiny"\nsource = "made here"\nsha256 = "{digest}"\nfile = "tiny.onnx"\n{facts}')
    for module in ("opening", "preprocessing"):
        monkeypatch.setattr(f"cvbow.networks.{module}.bundled", lambda kind: {"tiny-net": known})
    monkeypatch.setenv("CVBOW_NETWORKS", str(tmp_path))
    (tmp_path / "tiny-explained.toml").write_text(DEFINITION.replace('"bow"', '"tiny-net"').replace(SETTINGS, "{}"))
    (part,) = run_benchmark(read(tmp_path), data, n_jobs=1, quick=True)["variants"]
    assert part["name"] == "tiny-net"
    assert part["error"] < 1e-5
    # A map of a network comes from what is left out, and is not all there is to a score.
    assert part["remainder"]["largest"] > 1e-3


def test_figures_do_not_depend_on_the_number_of_workers(data: dict[str, Path], tmp_path: Path) -> None:
    one, two = (run_benchmark(read(tmp_path), data, n_jobs=n, quick=True)["variants"] for n in (1, 2))
    for part in (*one, *two):
        assert part.pop("ms")["LIME"] > 0
    assert one == two


def test_the_shipped_definition() -> None:
    definition = find_benchmark("scene15-explanation")
    assert isinstance(definition, ExplanationDefinition)
    assert (definition.presets, definition.amounts.samples) == (("fisher", "bow", "squeezenet1.1"), 1000)


def test_a_preset_that_there_is_not(tmp_path: Path, data: dict[str, Path]) -> None:
    path = tmp_path / "tiny-explained.toml"
    path.write_text(DEFINITION.replace('"bow"', '"no-such"'))
    with pytest.raises(ValueError, match="presets must be a list of different presets or known networks"):
        read_benchmark(path)


WEIGHTS = np.array([[3.0, -1.0], [0.5, 2.0]])


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """Four quarters of 200 on 100 each: the mean is 150, and so is each quarter's."""
    y, x = np.indices((8, 8))
    return np.where((y + x) % 2, 200, 100).astype(np.uint8)


def score(shown: NDArray[np.uint8]) -> float:
    """Each quarter gives its weight times its standard deviation."""
    quarters = shown.astype(float).reshape(2, 4, 2, 4).std(axis=(1, 3))
    return float((WEIGHTS * quarters).sum())


def test_cells_are_rows_and_columns() -> None:
    assert cut_cells((2, 5), 2).tolist() == [[0, 0, 0, 1, 1], [2, 2, 2, 3, 3]]
    heat = np.arange(10.0).reshape(2, 5)
    assert by_cell(heat, cut_cells((2, 5), 2)).tolist() == [3, 7, 18, 17]


def test_occlusion_and_lime_find_what_the_cells_give(image: NDArray[np.uint8]) -> None:
    cells = cut_cells(image.shape, 2)
    assert occlusion(score, image, cells) == pytest.approx(50 * WEIGHTS.ravel())
    weights = lime(score, image, cells, 2000, np.random.default_rng(0))
    assert weights == pytest.approx(50 * WEIGHTS.ravel(), rel=0.02, abs=2)
    assert lime(score, image, cells, 50, np.random.default_rng(1)).tolist() == (
        lime(score, image, cells, 50, np.random.default_rng(1)).tolist()
    )


def test_the_curve_is_the_mean_fall(image: NDArray[np.uint8]) -> None:
    cells, mean = cut_cells(image.shape, 2), filled(image, "mean", np.random.default_rng(0))
    most = np.array([0, 3, 2, 1])
    falls = 50 * np.array([0, 3, 5, 5.5, 4.5])
    assert aopc(score, image, mean, cells, most, 4) == pytest.approx(falls.mean())
    assert aopc(score, image, mean, cells, most, 2) == pytest.approx(falls[[0, 2, 4]].mean())
    assert aopc(score, image, mean, cells, most[::-1], 4) == pytest.approx(
        (50 * np.array([0, -1, -0.5, 1.5, 4.5])).mean()
    )


def test_an_image_is_asked_about_once(image: NDArray[np.uint8]) -> None:
    asked = []

    def noted(shown: NDArray[np.uint8]) -> float:
        asked.append(shown)
        return float(shown[0, 0])

    known = asked_once(noted)
    assert [known(shown) for shown in (image, image[:, ::-1], image.copy(), image[:, ::-1])] == [100, 200, 100, 200]
    assert len(asked) == 2


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_what_takes_the_place_is_like_the_image(fill: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = image.copy()
    other = filled(image, fill, np.random.default_rng(1))
    assert (other.shape, other.dtype) == (image.shape, np.uint8)
    where = np.zeros(shape[:2], bool)
    where[:5] = True
    both = replaced(image, other, where)
    assert (both[:5] == other[:5]).all()
    assert (both[5:] == image[5:]).all()
    assert (image == before).all()
    assert abs(other.mean() - image.mean()) < 10


def test_edges_are_where_gray_changes(tmp_path: Path) -> None:
    step = np.zeros((6, 8), np.uint8)
    step[:, 4:] = 100
    found = edges(step)
    assert np.unique(np.nonzero(found)[1]).tolist() == [3, 4]
    cv2.imwrite(str(tmp_path / "step.png"), step)
    assert np.allclose(edges(read_image(tmp_path / "step.png", gray=False)), found)
