"""``cvbow explain``: what it prints, the JSON document, the picture, the heat maps, and mistakes as one line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_images import write_dataset

from cvbow import ImageClassifier, explain, list_images
from cvbow.backends import BagEncoder, ColorHistogram
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT
from cvbow.report.explanation import draw_explanation
from cvbow_cli.main import cli


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["explain", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a model of it."""
    folder = tmp_path_factory.mktemp("explain")
    images = list_images(write_dataset(folder / "tiny"))
    backend = BagEncoder(DenseSIFT(step=8, bin_sizes=(4, 6)), BagOfWords(KMeansDictionary(n_words=12)))
    ImageClassifier(backend).fit(images.paths, images.labels).save(folder / "model.cvbow")
    return folder


def test_json(folder: Path) -> None:
    paths = [folder / "tiny" / "checker" / "00.png", folder / "tiny" / "vertical" / "01.png"]
    result = run(folder / "model.cvbow", *paths, "--class", "checker", "--class", "vertical", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [(Path(row["path"]), row["class"]) for row in document] == [
        (path, name) for path in paths for name in ("checker", "vertical")
    ]
    for row in document:
        keys = ["path", "class", "score", "bias", "remainder", "heat_sum", "method", "words", "nearest"]
        assert list(row) == keys
        assert row["heat_sum"] + row["bias"] + row["remainder"] == pytest.approx(row["score"], abs=1e-5)
        assert row["method"] == "exact"
        assert row["nearest"] == []
        shares = [word["share"] for word in row["words"]]
        assert shares == sorted(shares, reverse=True)
        for word in row["words"]:
            assert list(word) == ["word", "share", "n_points", "boxes"]
            assert len(word["boxes"]) == word["n_points"]
    assert document[0]["score"] > document[1]["score"]


def test_for_a_person(folder: Path) -> None:
    path = folder / "tiny" / "horizontal" / "00.png"
    result = run(folder / "model.cvbow", path, "--against", "vertical")
    assert result.exit_code == 0
    assert f"{path}\thorizontal against vertical +" in result.stdout
    assert "remainder" in result.stdout
    assert "  for     word " in result.stdout
    assert "a score is no probability: the class with the highest one is the answer" in result.stderr


def test_a_folder_and_heat_maps(folder: Path, tmp_path: Path) -> None:
    heat = tmp_path / "heat.npz"
    model = ImageClassifier.load(folder / "model.cvbow")
    assert run(folder / "model.cvbow", folder / "tiny", "--heat", heat).exit_code == 0
    written = heat.read_bytes()
    with np.load(heat) as maps:
        assert len(maps) == 18
        for name, array in maps.items():
            path, label = name.rsplit(":", 1)
            why = explain(model, path, label)
            np.testing.assert_array_equal(array, why.heat)  # type: ignore[union-attr]
    # Its own file is replaced, by the same bytes, with any number of workers; another is not.
    assert run(folder / "model.cvbow", folder / "tiny", "--heat", heat, "--n-jobs", 1).exit_code == 0
    assert heat.read_bytes() == written
    np.savez(heat, a=np.zeros(3))
    result = run(folder / "model.cvbow", folder / "tiny", "--heat", heat)
    assert result.exit_code == 2
    assert "is there, and is not heat maps of cvbow's: --force replaces it" in result.stderr


def test_the_picture(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "why.png"
    path = folder / "tiny" / "checker" / "00.png"
    result = run(folder / "model.cvbow", path, "-o", picture)
    assert result.exit_code == 0
    assert f"picture  {picture}" in result.stdout
    assert cv2.imread(str(picture)).shape[1] > 2 * 48
    result = run(folder / "model.cvbow", folder / "tiny", "-o", picture)
    assert result.exit_code == 2
    assert "a picture has room for 12 explanations, and these are 18" in result.stderr


def test_the_nearest_training_images(folder: Path, tmp_path: Path) -> None:
    model, picture = tmp_path / "kept.cvbow", tmp_path / "why.png"
    options = ("--preset", "fast", "--set", "n_words=8", "--set", "reduce=none", "--keep-neighbours", "6")
    trained = CliRunner().invoke(cli, ["train", str(folder / "tiny"), "-o", str(model), *options])
    assert trained.exit_code == 0, trained.output
    path = folder / "tiny" / "checker" / "00.png"
    plain, near = (run(name, path, "-o", picture) for name in (folder / "model.cvbow", model))
    assert "  nearest " not in plain.stdout
    assert "  nearest checker " in near.stdout
    document = json.loads(run(model, path, "--json").stdout)
    assert [list(found) for found in document[0]["nearest"]] == [["path", "class", "distance"]] * 5
    assert document[0]["nearest"][0]["path"] == str(path)


def test_the_picture_shows_where() -> None:
    red, blue = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)
    red[:, :, 0], blue[:, :, 2] = 255, 255
    model = ImageClassifier(ColorHistogram()).fit([red, blue] * 3, ["red", "blue"] * 3)
    half = np.hstack([red[:, :20], blue[:, 20:]])
    canvas = draw_explanation(half, explain(model, half, "red")).astype(int)  # type: ignore[arg-type]
    # Vermillion has more red than blue, and the palette's blue more blue than red.
    row = canvas[200]
    start = 16 + 320 + 16
    assert (row[start + 10 : start + 150, 0] > row[start + 10 : start + 150, 2]).all()
    assert (row[start + 170 : start + 310, 0] < row[start + 170 : start + 310, 2]).all()
    with pytest.raises(ValueError, match="image must have the height and width of the heat"):
        draw_explanation(half[:10], explain(model, half, "red"))  # type: ignore[arg-type]


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    good, bad = folder / "tiny" / "checker" / "00.png", tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((1, 1, 3), 90, np.uint8))
    result = run(folder / "model.cvbow", bad, good, plain, "--json", "-o", tmp_path / "why.png")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert "error" in document[0]
    assert document[1]["class"] == "checker"
    assert document[2]["words"] == []
    assert document[2]["score"] == pytest.approx(document[2]["bias"])
    assert (tmp_path / "why.png").exists()
    result = run(folder / "model.cvbow", good, "--class", "chekker")
    assert result.exit_code == 2
    assert result.stderr.startswith("cvbow: error: the model has no class 'chekker'; did you mean checker?")
    assert run(folder / "model.cvbow", good, "--heat", tmp_path / "heat.txt").exit_code == 2
