"""The benchmarks run, and the tables they make are those of the results. No time is asserted."""

from __future__ import annotations

import copy
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fresh_process import run_script
from importing import importable

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"

ENVIRONMENT = {
    "date": "2024-05-06",
    "cpu": "Some Processor",
    "cores": 2,
    "threads": 2,
    "versions": {"cvbow": "0.1.0", "python": "3.11.7", "numpy": "2.0.0", "opencv": "5.0.0", "scikit-learn": "1.5.0"}
    | {"faiss": "1.9.0", "vlfeat": None},
}
SAMPLE: dict[str, Any] = {
    "dense-sift": {
        "environment": ENVIRONMENT | {"threads": 1},
        "input": {"size": [512, 512]},
        "settings": [{"step": 8, "bin": 4}, {"step": 4, "bin": 4}],
        "median_over_settings": {
            "cvbow": {"label": "cvbow DenseSIFT", "rate": 912345.0},
            "opencv": {"label": "OpenCV", "rate": 41230.0, "ratio": 22.13, "ratio_range": [8.512, 38.04]},
        },
    },
    "nearest": {
        "environment": ENVIRONMENT,
        "input": {"descriptors": [200_000, 128], "n_words": 1000},
        "contenders": [
            {"name": "cvbow", "label": "cvbow WordSearch", "seconds": 0.3456},
            {
                "name": "sgemm",
                "label": "the product",
                "seconds": 0.03111,
                "ratio": 0.9012,
                "ratio_range": [0.9012, 0.9012],
            },
        ],
    },
    "kmeans": {
        "environment": ENVIRONMENT,
        "input": {"descriptors": [200_000, 128], "n_words": 1000, "iterations": 10},
        "contenders": [
            {"name": "cvbow", "label": "cvbow KMeans", "seconds": 3.123, "inertia_over_cvbow": 1.0},
            {"name": "faiss", "label": "FAISS", "seconds": 3.21, "ratio": 1.03, "ratio_range": [0.99, 1.1]}
            | {"inertia_over_cvbow": 0.9962},
        ],
    },
    "gaussian-mixture": {
        "environment": ENVIRONMENT | {"threads": 1},
        "input": {"shape": [100_000, 66], "n_words": 128, "iterations": 20},
        "contenders": [
            {"name": "cvbow", "label": "cvbow mixture", "seconds": 2.01, "over_cvbow": 0.0},
            {"name": "vlfeat", "label": "VLFeat gmm", "seconds": 14.3, "ratio": 7.11, "ratio_range": [7.01, 7.2]}
            | {"over_cvbow": -0.000512},
            {"name": "scikit-learn", "label": "its mixture", "seconds": 15.2, "ratio": 7.6, "ratio_range": [7.6, 7.6]}
            | {"over_cvbow": -4.1e-07},
        ],
    },
    "encoders": {
        "environment": ENVIRONMENT | {"threads": 1},
        "input": {"descriptors": [9030, 8620, 10_031]},
        "fisher": {
            "input": {"n_words": 128, "values": 66},
            "contenders": [
                {"name": "cvbow", "label": "cvbow Fisher", "seconds": 0.00912},
                {"name": "vlfeat", "label": "VLFeat fisher", "seconds": 0.0513, "ratio": 5.62}
                | {"ratio_range": [5.5, 5.7]},
            ],
        },
        "bag-of-words": {
            "input": {"n_words": 1000, "values": 128},
            "contenders": [
                {"name": "cvbow", "label": "cvbow bag", "seconds": 0.0213},
                {"name": "opencv", "label": "OpenCV bag", "seconds": 0.151, "ratio": 7.1, "ratio_range": [6.9, 7.3]},
            ],
        },
    },
    "end-to-end": {
        "environment": ENVIRONMENT,
        "input": {"images": "15-Scene", "n_train": 1500, "n_test": 2985},
        "contenders": [
            {"label": "popular", "mean_class_accuracy": 0.5741, "accuracy": 0.5802, "seconds": 133.4}
            | {"time_over_popular": 1.0},
            {"label": "fast", "mean_class_accuracy": 0.7512, "accuracy": 0.7604, "seconds": 21.51}
            | {"time_over_popular": 0.1612},
        ],
    },
}


@pytest.fixture
def benchmark_modules() -> Iterator[None]:
    """Let `import tables` find benchmarks/tables.py, as a script there does."""
    with importable(BENCHMARKS):
        yield


@pytest.fixture
def tables(benchmark_modules: None) -> ModuleType:
    import tables

    return tables


@pytest.fixture
def measure(benchmark_modules: None) -> ModuleType:
    import _measure

    return _measure


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "speed.json").write_text(json.dumps(SAMPLE))
    return folder


@pytest.fixture
def readme(tmp_path: Path, tables: ModuleType, results: Path) -> Path:
    document = tmp_path / "README.md"
    document.write_text(
        "# Title\n\nbefore\n\n<!-- choice -->\n<!-- /choice -->\n\nbetween\n\n"
        "<!-- scene15 -->\nold\n<!-- /scene15 -->\nafter\n"
    )
    assert tables.main(["--results", str(results), "--write", str(document)]) == 0
    return document


def run_file(name: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_script(BENCHMARKS / name, *arguments, folder=folder)


def test_smoke_run_of_the_kernels(tmp_path: Path) -> None:
    """With whatever peers are installed, from another folder, into a file that keeps its other sections."""
    target = tmp_path / "out" / "speed.json"
    target.parent.mkdir()
    target.write_text('{"other": 1, "nearest": "old"}')
    done = run_file("speed.py", "--smoke", "dense-sift", "nearest", "kmeans", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(target.read_text())
    assert list(document) == ["dense-sift", "nearest", "kmeans", "other"]
    assert document["other"] == 1

    sift = document["dense-sift"]
    assert sift["environment"]["smoke"] is True
    assert sift["environment"]["versions"]["numpy"] == np.__version__
    assert [s["descriptors"] for s in sift["settings"]] == [11**2, 21**2]
    for setting in sift["settings"]:
        rows = {row["name"]: row for row in setting["contenders"]}
        # OpenCV's bins have the size that is claimed for them: else the descriptors would not be alike.
        assert rows["opencv"]["cosine"] > 0.85
        assert len(rows["cvbow"]["rounds"]) == 2
        assert len(rows["opencv-patch"]["rounds"]) == 1

    agree = {row["name"]: row["agree"] for row in document["nearest"]["contenders"] if "agree" in row}
    assert {"cvbow", "scikit-learn", "opencv"} <= set(agree)
    assert all(share == 1 for share in agree.values())

    inertia = {row["name"]: row["inertia_over_cvbow"] for row in document["kmeans"]["contenders"]}
    assert inertia["scikit-learn"] == pytest.approx(1, abs=0.05)
    assert "| cvbow WordSearch.nearest |" in done.stdout
    assert "whose figures are not meaningful" in done.stdout


def test_smoke_run_of_the_encoders(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = run_file("speed.py", "--smoke", "encoders", "gaussian-mixture", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(target.read_text())
    assert list(document) == ["gaussian-mixture", "encoders"]

    likelihoods = {row["name"]: row["over_cvbow"] for row in document["gaussian-mixture"]["contenders"]}
    assert {"cvbow", "scikit-learn"} <= set(likelihoods)
    assert all(abs(over) < 0.01 for over in likelihoods.values())
    # From the same Gaussians, as many iterations: the same mixture.
    assert abs(likelihoods.get("vlfeat-given", 0)) < 1e-4

    section = document["encoders"]
    assert len(section["input"]["descriptors"]) == 2
    fisher = section["fisher"]["contenders"]
    assert fisher[0]["name"] == "cvbow"
    # The same vector of the same mixture: without scikit-image's sign turned its cosine would be near 0.
    assert all(row["cosine"] > 0.9999 for row in fisher)
    assert all(len(row["rounds"]) == 2 for row in fisher)
    bags = {row["name"]: row for row in section["bag-of-words"]["contenders"]}
    assert list(bags) == ["cvbow", "opencv", "opencv-match", "opencv-flann"]
    assert bags["opencv-match"]["agree"] == 1
    assert bags["opencv-flann"]["agree"] > 0.8
    rounds = section["bag-of-words"]["opencv_rounds"]
    spent = [whole - sift for whole, sift in zip(rounds["whole"], rounds["sift"], strict=True)]
    # Each of them was rounded to four digits.
    assert bags["opencv"]["rounds"] == pytest.approx(spent, abs=1e-3 * max(rounds["whole"]))
    assert "| cvbow FisherVector.encode |" in done.stdout
    assert "python benchmarks/speed.py gaussian-mixture encoders" in done.stdout


def test_smoke_run_of_the_linear_svm(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = run_file("speed.py", "--smoke", "linear-svm", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    section = json.loads(target.read_text())["linear-svm"]
    assert [setting["input"]["vectors"] for setting in section["settings"]] == [[60, 300]]
    for setting in section["settings"]:
        rows = {row["name"]: row for row in setting["contenders"]}
        assert list(rows) == ["cvbow", "linear-svc"]
        # The same problem but for the intercept's penalty.
        assert 0.998 <= rows["linear-svc"]["objective_over_cvbow"] <= 1.1
        for row in rows.values():
            assert row["memory"]["peak_mb"] >= row["memory"]["before_mb"] > 0
            assert len(row["rounds"]) == 2
    assert "| linear SVM, 60 vectors of 300 values, 3 classes, 1 thread | cvbow LinearSVM |" in done.stdout


def test_smoke_run_of_the_augmentation(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = run_file("speed.py", "--smoke", "augmentation", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    section = json.loads(target.read_text())["augmentation"]
    assert [setting["input"]["shape"] for setting in section["settings"]] == [[4, 32, 32, 1], [4, 32, 32, 3]]
    for setting in section["settings"]:
        names = [row["name"] for row in setting["contenders"]]
        assert names[0] == "cvbow"
        assert names[-1] == "scipy"
        assert all(len(row["rounds"]) == 2 for row in setting["contenders"])
        # The same pixels, up to roundings, where OpenCV does not round the places and Keras is there.
        assert setting.get("error", 0) < 20
    assert "| random transforms of generated textures, 32x32 pixels, colour, 1 thread | cvbow ImageAug" in done.stdout


def test_scipys_transform_is_ours(benchmark_modules: None) -> None:
    from sections import augmentation

    from cvbow.augmentation import ImageAugmenter

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    image = np.kron(coarse, np.ones((8, 8, 1), np.uint8)).astype(np.float32)
    ours = ImageAugmenter(**augmentation.PARAMETERS)
    for seed in range(5):
        parameters = ours.get_random_transform(image.shape, seed)
        expected = ours.standardize(ours.apply_transform(image, parameters))
        found = augmentation.scipy_transform(image, parameters)
        # In single pixels a place that OpenCV rounds counts for 255 / 32.
        assert np.abs(found - expected).mean() < 2e-3


def test_smoke_run_of_the_detectors(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = run_file("speed.py", "detectors", "--smoke", "--rounds", "1", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    section = json.loads(target.read_text())["detectors"]
    assert {"harris", "brisk", "simple-blob"} <= {row["name"] for row in section["detectors"]}
    for row in section["detectors"]:
        assert [contender["name"] for contender in row["contenders"]] == ["cvbow", "opencv"]
        assert all(contender["seconds"] > 0 for contender in row["contenders"])


#: Those that have a test of their own, or several.
TESTED_SCRIPTS = {"fuzz_images.py", "scribbles.py", "speed.py", "tables.py"}


@pytest.mark.parametrize("script", sorted({path.name for path in BENCHMARKS.glob("[!_]*.py")} - TESTED_SCRIPTS))
def test_smoke_run_of_the_other_scripts(script: str, tmp_path: Path) -> None:
    done = run_file(script, "--smoke", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_section_is_smoke_run(benchmark_modules: None) -> None:
    import speed

    calls = re.findall(r"run_file\((.*?)folder=", Path(__file__).read_text(encoding="utf-8"), flags=re.DOTALL)
    named = {name for call in calls if "--smoke" in call for name in speed.SECTIONS if f'"{name}"' in call}
    assert named == set(speed.SECTIONS)


def test_smoke_run_end_to_end(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = run_file("speed.py", "end-to-end", "--smoke", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    section = json.loads(target.read_text())["end-to-end"]
    rows = {row["name"]: row for row in section["contenders"]}
    assert list(rows) == ["opencv-bow", "cvbow-fast", "cvbow", "cvbow-auto"]
    assert (section["input"]["n_train"], section["input"]["n_test"]) == (18, 12)
    for name in ("cvbow-fast", "cvbow", "cvbow-auto"):
        assert rows[name]["mean_class_accuracy"] >= 0.9
        stages = rows[name]["stages"][0]
        assert rows[name]["seconds"] >= stages["train, whole process"] + stages["evaluate, whole process"] - 0.01
        expected = rows[name]["seconds"] / rows["opencv-bow"]["seconds"]
        assert rows[name]["time_over_popular"] == pytest.approx(expected, rel=1e-3)


def test_smoke_run_of_the_retrieval(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    done = run_file(
        "speed.py", "retrieval", "--smoke", "--rounds", "1", "--images", "100", "--json", str(target), folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    section = json.loads(target.read_text())["retrieval"]
    assert list(section["kinds"]) == ["inverted", "inverted, signatures", "exact"]
    for kind, part in section["kinds"].items():
        small, large = part["sizes"]
        assert (small["n_images"], large["n_images"]) == (40, 100)
        assert small["build_seconds"] < large["build_seconds"]
        assert small["bytes"] < large["bytes"]
        assert large["memory"]["peak_mb"] >= large["memory"]["imports_mb"] > 0
        for size in part["sizes"]:
            rows = {row["name"]: row for row in size["contenders"]}
            wanted = {"inverted": {"scipy", "dense", "dense-many"}, "exact": {"cvbow-many", "dense"}}.get(kind, set())
            assert {"cvbow"} | wanted <= set(rows)
            # The same vectors: every contender's ten scores are those of the index.
            assert all(row["difference"] < 1e-5 for row in rows.values() if "difference" in row)
            assert wanted == {name for name in wanted if "difference" in rows[name]}
    lines = run_file("tables.py", "--results", str(tmp_path), folder=tmp_path).stdout.splitlines()
    assert sum(line.startswith(("| inverted | 40 |", "| | 100 |", "| exact | 40 |")) for line in lines) == 5
    assert any(line.startswith("| exact, 100 | cvbow ImageIndex.search_described |") for line in lines)


def test_smoke_run_of_the_million(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="the alternatives are of FAISS")
    target = tmp_path / "speed.json"
    done = run_file("speed.py", "million", "million-vectors", "--smoke", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert list(found["million"]["kinds"]) == ["inverted", "inverted, signatures"]
    for part in (*found["million"]["kinds"].values(), *found["million-vectors"]["kinds"].values()):
        small, large = part["sizes"]
        assert small["n_images"] < large["n_images"]
        assert small["bytes"] < large["bytes"]
        # The index's own answers are exact, and nobody else's ten best are more than all.
        recalls = {row["name"]: row["recall"] for row in large["contenders"]}
        assert recalls["cvbow"] == 1 == max(recalls.values())
    lines = run_file("tables.py", "--results", str(tmp_path), folder=tmp_path).stdout.splitlines()
    assert any(line.startswith("| inverted, signatures | 60 |") for line in lines)


def test_made_images_keep_the_words_and_the_numbers(benchmark_modules: None) -> None:
    from sections._made_images import MadeImages

    rng = np.random.default_rng(0)
    described = []
    for number, n in enumerate((3, 40, 0, 200)):
        words = np.sort(rng.integers(0, 5 + number, n)).astype(np.int32)
        places = np.stack([words, np.full(n, number)], axis=1).astype(np.uint16)
        described.append({"words": words, "places": places, "image_size": np.array([number, 9], np.int32)})
    made = MadeImages(described, 1)
    images = [made(number) for number in range(300)]
    for image in images:
        number = image["image_size"][0]
        assert len(image["words"]) == len(described[number]["words"])
        assert (np.diff(image["words"]) >= 0).all()
        # What belongs to a feature stays with it.
        np.testing.assert_array_equal(image["places"][:, 0], image["words"])
    own = [np.mean(image["places"][:, 1] == 3) for image in images if image["image_size"][0] == 3]
    # Half stay, and of the other half 200 of 243 come from the same image.
    assert np.mean(own) == pytest.approx(0.5 + 0.5 * 200 / 243, abs=0.03)
    again = MadeImages(described, 1)(7)
    assert all((again[name] == images[7][name]).all() for name in again)
    vectors = MadeImages([{"vectors": np.array([0, 1, 0], np.float32)}], 1)
    cosines = [vectors(number)["vectors"] @ np.array([0, 1, 0], np.float32) for number in range(50)]
    assert 0.8 < min(cosines) < max(cosines) < 1


def test_peers_that_are_not_installed_are_left_out(
    benchmark_modules: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import speed
    from peers import vlfeat

    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setattr(vlfeat, "available", lambda: False)
    target = tmp_path / "speed.json"
    kernels = ["dense-sift", "nearest", "kmeans", "gaussian-mixture", "encoders"]
    speed.main([*kernels, "--smoke", "--rounds", "1", "--json", str(target)])
    document = json.loads(target.read_text())
    assert [document[name]["left_out"] for name in document] == [
        ["VLFeat: not installed"],
        ["FAISS: not installed"],
        ["FAISS: not installed"],
        ["VLFeat: not installed"],
        ["scikit-image: not installed", "VLFeat: not installed"],
    ]
    table = capsys.readouterr().out
    assert "VLFeat" not in table
    assert "FAISS" not in table
    assert "scikit-image" not in table
    assert "scikit-learn" in table


def test_a_smoke_run_leaves_the_results_alone(
    benchmark_modules: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import speed

    monkeypatch.setattr(speed, "RESULTS", tmp_path / "speed.json")
    monkeypatch.setattr(speed, "SECTIONS", {"nearest": lambda options: SAMPLE["nearest"]})
    speed.main(["nearest", "--smoke"])
    assert list(tmp_path.iterdir()) == []
    speed.main(["nearest"])
    assert json.loads((tmp_path / "speed.json").read_text()) == {"nearest": SAMPLE["nearest"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sift"], "no section sift; sections are dense-sift, nearest, kmeans, gaussian-mixture, enc"),
        (["nearest", "--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["retrieval", "--images", "9"], "--images must be at least 100, got 9"),
        (["nearest", "--data", "nowhere"], "nowhere has no folder train"),
    ],
)
def test_usage(benchmark_modules: None, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    import speed

    with pytest.raises(SystemExit) as stopped:
        speed.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_rounds_alternate_and_rotate(measure: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_REST", 0)
    calls: list[tuple[str, int]] = []
    contenders = {name: lambda number, name=name: calls.append((name, number)) or f"{name}{number}" for name in "abc"}
    turns = measure.alternate(contenders, rounds=3, once=("c",), keep=True)
    warm = [("a", 0), ("b", 0)]
    assert calls == [*warm, ("a", 0), ("b", 0), ("c", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert turns["b"].answers == ["b0", "b1", "b2"]
    assert [len(turns[name].seconds) for name in "abc"] == [3, 3, 1]


def test_ratios_are_taken_within_a_round(measure: ModuleType) -> None:
    turns = {"cvbow": measure.Turns([1.0, 4.0, 2.0]), "peer": measure.Turns([3.0, 4.0, 5.0])}
    ours, peer = measure.summary(turns, {"cvbow": "cvbow", "peer": "Peer"}, work=8)
    assert (ours["seconds"], ours["rate"]) == (2, 4)
    assert "ratio" not in ours
    assert (peer["seconds"], peer["rate"]) == (4, 2)
    assert peer["ratio"] == 2.5  # the median of 3, 1 and 2.5; the ratio of the medians is 2
    assert peer["ratio_range"] == [1, 3]


def test_folder_hash_sees_names_and_contents(measure: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    (folder / "a").mkdir(parents=True)
    file = folder / "a" / "1.png"
    file.write_bytes(b"one")
    first = measure.folder_hash(folder)
    assert measure.folder_hash(folder) == first
    file.write_bytes(b"two")
    second = measure.folder_hash(folder)
    file.rename(folder / "a" / "2.png")
    assert len({first, second, measure.folder_hash(folder)}) == 3


def test_speed_table(tables: ModuleType) -> None:
    table = tables.DETAILS["speed"]({"speed": SAMPLE})
    lines = table.splitlines()
    assert lines[2].startswith(
        "| dense SIFT, 512x512 pixels, 1 thread; median of step/bin 8/4, 4/4 | cvbow DenseSIFT | 912 "
    )
    assert lines[3] == "| | OpenCV | 41.2 thousand/s | 22.1 (8.51 to 38.0) |"
    assert lines[4] == "| nearest of 1000 words, 200,000 x 128, 2 threads | cvbow WordSearch | 0.35 s | |"
    assert lines[5] == "| | the product | 31.1 ms | 0.90 |"
    assert lines[7] == "| | FAISS | 3.21 s, error -0.38 % | 1.03 (0.99 to 1.10) |"
    assert lines[8].startswith(
        "| Gaussian mixture, 100,000 x 66, 128 Gaussians, 20 iterations, 1 thread | cvbow mixture |"
    )
    assert lines[9] == "| | VLFeat gmm | 14.3 s, log-likelihood -0.05 % | 7.11 (7.01 to 7.20) |"
    assert lines[10] == "| | its mixture | 15.2 s, log-likelihood +0.00 % | 7.60 |"
    assert lines[11] == (
        "| Fisher vector, 128 Gaussians, images of 8,620 to 10,031 x 66, 1 thread | cvbow Fisher | 9.12 ms an image | |"
    )
    assert lines[12] == "| | VLFeat fisher | 51.3 ms an image | 5.62 (5.50 to 5.70) |"
    assert lines[13].startswith(
        "| bag of 1000 words, images of 8,620 to 10,031 x 128, 1 thread | cvbow bag | 21.3 ms an"
    )
    assert len({line.count(" |") for line in lines[:15]}) == 1
    caption = lines[-1]
    assert caption.startswith("Some Processor, 2 cores; cvbow 0.1.0, Python 3.11.7, NumPy 2.0.0, ")
    assert "VLFeat" not in caption
    assert caption.count("Some Processor") == 1
    assert caption.endswith("`python benchmarks/speed.py dense-sift nearest kmeans gaussian-mixture encoders`.")


def test_the_command_names_the_sections_that_there_are(tables: ModuleType) -> None:
    older = {name: SAMPLE[name] for name in ("dense-sift", "nearest", "kmeans", "end-to-end")}
    table = tables.DETAILS["speed"]({"speed": older})
    assert table.endswith("Repeat with `python benchmarks/speed.py dense-sift nearest kmeans`.")
    assert "Fisher" not in table
    assert "Gaussian" not in table


def test_scene15_table(tables: ModuleType) -> None:
    lines = tables.TABLES["scene15"]({"speed": SAMPLE}).splitlines()
    assert lines[2] == "| popular | 57.4 % | 58.0 % | 133 s | 1.00 |"
    assert lines[3] == "| fast | 75.1 % | 76.0 % | 22 s | 0.16 |"
    assert lines[-1].startswith("15-Scene, 1500 training and 2985 test images, 2 threads. Some Processor")


def test_sections_of_different_environments_have_their_own_captions(tables: ModuleType) -> None:
    results = copy.deepcopy(SAMPLE)
    results["kmeans"]["environment"]["cpu"] = "Another Processor"
    caption = tables.DETAILS["speed"]({"speed": results}).splitlines()[-1]
    assert "Some Processor" in caption
    assert "Another Processor" in caption


def accuracy_result(preset: str, mean: float, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "cvbow-benchmark-result",
        "title": "Data, fixed split",
        "metric": "accuracy",
        "accuracy": {"mean": mean, "std": None},
        "quick": False,
        "published": [
            {"method": "SPM", "figure": 81.4, "std": 0.5, "source": "A, 2006", "status": "as reported"},
            {"method": "OpenCV", "figure": 58.0, "std": None, "source": "here", "status": "measured here"},
        ],
        "definition": {"preset": preset, "settings": {"n_words": 200, "step": 3}},
        "dataset": {"name": "scene15"},
        "cost": {"train_ms_per_image": 64.71, "test_ms_per_image": 4.257},
        "memory": {"peak_bytes": 1_993_000_000},
        "model_bytes": 7_980_000,
        "environment": SAMPLE["nearest"]["environment"] | {"workers": 2, "load_before": 0.5},
    } | changes


def test_accuracy_table(tables: ModuleType) -> None:
    other = {"title": "Digits, folds", "dataset": {"name": "digits"}, "accuracy": {"mean": 0.5, "std": 0.01}}
    results = {
        "c": accuracy_result("fast", 0.5, **other, published=[], quick=True),
        "a": accuracy_result("best", 0.9134),
        "b": accuracy_result("spm", 0.7988),
        "speed": SAMPLE,
    }
    lines = tables.accuracy_table(results).splitlines()
    # From the lowest up, the published figure between the two; what was measured here stands elsewhere.
    assert lines[2] == "| Data, fixed split | **cvbow `spm`, 200 words** | **79.9** | 64.7, 4.26 | 2.0 GB | 7.98 MB |"
    assert lines[3] == "| | SPM (A, 2006; as reported) | 81.4 ± 0.5 | | | |"
    assert lines[4].startswith("| | **cvbow `best`, 200 words** | **91.3** |")
    assert lines[5].startswith("| Digits, folds | **cvbow `fast`, 200 words** | **50.0 ± 1.0 (a smoke run)** |")
    assert lines[-1].startswith("Wall time with 2 workers, over all splits; memory of the whole process. The machine's")
    assert "load before a run: 0.5. Some Processor" in lines[-1]
    assert lines[-1].endswith("Repeat with `cvbow bench run NAME`.")


def variant(name: str, *accuracies: float, **more: Any) -> dict[str, Any]:
    mean, std = statistics.fmean(accuracies), statistics.stdev(accuracies) if len(accuracies) > 1 else None
    runs = [{"mean_class_accuracy": value, "n_train": 1500, "n_sampled": 284_000} for value in accuracies]
    cost = {"train_ms_per_image": 20.04, "test_ms_per_image": 7.111}
    return {"name": name, "mean_class_accuracy": {"mean": mean, "std": std}, "splits": runs, "cost": cost, **more}


def details(**results: Any) -> dict[str, Any]:
    place = SAMPLE["nearest"]["environment"] | {"workers": 2, "load_before": 1.0}
    return {name.replace("_", "-"): {"title": "T", "environment": place, **result} for name, result in results.items()}


def test_the_table_of_stages(tables: ModuleType) -> None:
    parts = [variant("Harris, 1x1", 0.5), variant("Harris, pyramid", 0.625), variant("ORB, own, 1x1", 0.25)]
    parts.append(variant("ORB, own, pyramid", 0.3))
    lines = tables.stages_table(details(scene15_stages={"variants": parts})).splitlines()
    assert lines[2] == "| Harris | 284 | 50.0 | 62.5 | 7.11 |"
    assert lines[3] == "| ORB, own | 284 | 25.0 | 30.0 | 7.11 |"


def test_the_table_of_augmentation_pairs_the_draws(tables: ModuleType) -> None:
    parts = [variant("fast", 0.5, 0.6), variant("fast, augmented", 0.52, 0.66), variant("alone", 0.1, 0.2)]
    lines = tables.augmentation_table(details(scene15_augmentation={"variants": parts})).splitlines()
    assert lines[2] == "| `fast` | 55.0 ± 7.1 | 59.0 ± 9.9 | +4.0 ± 2.8 | 20.0, 20.0 |"
    assert "alone" not in "".join(lines)


def test_the_tables_of_matching(tables: ModuleType) -> None:
    mean = {
        "keypoints": [2000.0, 1000.0],
        "repeatability": 0.5,
        "matching_score": 0.25,
        "accuracy": [0.1, 0.2, 0.3, 0.4, 0.5] + [0.6] * 5,
        "ratio_accuracy": [0.7, 0.8, 0.9] + [0.95] * 7,
        "homography_accuracy": {"1": 0.4, "3": 0.6, "5": 0.8},
    }
    pair = {"sequence": "graf", "accuracy": mean["accuracy"], "ratio_accuracy": mean["ratio_accuracy"]}
    pairs = [{**pair, "pair": [1, 2], "corner_error": 1.234}, {**pair, "pair": [1, 3], "corner_error": None}]
    results = details(
        oxford_affine={
            "kind": "cvbow-matching-result",
            "variants": [{"name": "sift + rootsift", "mean": mean, "pairs": pairs, "extract_ms": 150.4}],
        }
    )
    lines = tables.DETAILS["matching"](results).splitlines()
    assert (
        lines[2]
        == "| sift + rootsift | 1,500 | 50.0 | 25.0 | 10.0 | 30.0 | 50.0 | 60.0 | 90.0 | 40.0 | 60.0 | 80.0 | 150 |"
    )
    assert tables.pairs_table(results).splitlines() == [
        "| sequence | 1 to 2 | 1 to 3 |",
        "| --- | ---: | --- |",
        "| graf | 1.23 (30, 90) | none (30, 90) |",
    ]


def test_the_tables_of_explanations(tables: ModuleType) -> None:
    names = ("explain", "coarse occlusion", "occlusion", "LIME", "edges", "random")
    curve = {"most": [0.5, 1.0], "least": [0.25, 0.0]}
    part = {
        "name": "fisher",
        "aopc": {name: dict.fromkeys(("mean", "blur", "noise"), curve) for name in names},
        "ms": dict.fromkeys(names, 20.0) | {"LIME": 2000.0},
        "remainder": {"mean": 0.001, "largest": 0.02},
        "error": 3e-10,
        "same": True,
        "shuffled": [0.25, -0.25],
        "quarters": {"heat": [0.5, 0.25, 0.75, 0.5], "point": [True, False, True, True]},
        "stamp": {
            "taken": [True, False],
            "heat": [0.5, 0.25],
            "near": [0.75, 0.75],
            "near_area": [0.1, 0.1],
            "first": {"heat": True, "word": 0.8333},
        },
        "masked": {"point": [True, True], "centre": [1.0, 0.0], "heat": [0.5, 0.5], "area": [0.2, 0.3]},
        "hidden": {"point": [True, False], "centre": [0.25, 0.0], "heat": [0.25, 0.5], "area": [0.05, 0.1]},
    }
    amounts = {"images": 2, "grid": 8, "samples": 1000}
    made = {"kind": "cvbow-explanation-result", "definition": {"amounts": amounts}, "variants": [part]}
    found = details(scene15_explanation=made)
    lines = tables.DETAILS["explanations"](found).splitlines()
    assert lines[2] == "| fisher | explain |" + 4 * " 0.750 |" + 4 * " 0.125 |" + " 20.0 |"
    assert lines[5] == "| | LIME |" + 4 * " 0.750 |" + 4 * " 0.125 |" + " 2,000 |"
    checks = tables.DETAILS["explanation-checks"](found)
    for cells in (
        "absolute shares: mean | 0.1000",
        "its size | 3.0e-10",
        "two workers | yes",
        "shuffled weights | 0.00",
        "quarter | 50.0",
        "point there | 75.0",
        "for its class | 50.0",
        "of the area | 37.5",
        "that were taken | 50.0",
        "mean heat is highest on it | yes",
        "first word that meet it | 83.3",
        "masks: % of maps that point at it | 100.0",
        "masks in mosaics: % of maps that point at it | 50.0",
        "masks in mosaics: % of centres that are on it | 12.5",
        "LIME takes longer than a map, times | 100",
    ):
        assert f"{cells} |" in checks


def test_the_table_of_detectors(tables: ModuleType) -> None:
    contenders = [{"seconds": 0.011}, {"seconds": 0.01}]
    row = {"name": "fast", "points": 8465.25, "overhead": 0.0999, "contenders": contenders}
    section = {"detectors": [row], "pairs": [{**row, "overhead": -0.2}], "ours": [{**row, "name": "log"}]}
    section |= {"environment": SAMPLE["nearest"]["environment"], "input": {"images": "four images"}}
    lines = tables.DETAILS["detectors"]({"speed": {"detectors": section}}).splitlines()
    assert lines[2] == "| fast | 8,465 | 11.0 ms | 10.0 ms | +10 % |"
    assert lines[3].endswith("| -20 % |")
    assert lines[4] == "| log | 8,465 | 11.0 ms | | |"


def test_the_tables_of_comparisons(tables: ModuleType) -> None:
    cost = {"ms_per_image": 12.34, "train_processor_seconds": 56.0, "model_bytes": 7_000_000, "peak_bytes": 8 * 10**8}
    row = {"std": None, "interval": {"low": 0.4, "high": 0.6}, "cost": cost}
    row["curve"] = [{"train_per_class": 5, "mean": 0.25, "std": 0.02}]
    row["corruptions"] = {"clean": 0.5, "mean": 0.375, "kinds": {"noise": [0.5, 0.25]}, "n_images": 30}
    contenders = [
        {**row, "name": name, "mean_class_accuracy": {"mean": mean, "std": None}}
        for name, mean in (("a", 0.5), ("b", 0.55))
    ]
    pair = {"first": "a", "second": "b", "difference": -0.04, "p_value": 0.01, "p_value_holm": 0.02, "test": "McNemar"}
    result = {
        "kind": "cvbow-comparison-result",
        "contenders": contenders,
        "pairs": [pair],
        "splits": [{}],
        "classifier": "tuned-svm",
        "protocol": "fixed",
    }
    found = details(scene15_comparison={**result, "quick": True}, scene15_robustness={**result, "quick": False})
    lines = tables.DETAILS["comparison"](found).splitlines()
    assert lines[2] == "| a | 50.0 | 40.0 to 60.0 | -4.0 | 0.02 | 12.3 | 56.0 | 7.00 | 0.80 |"
    assert lines[3].startswith("| b | 55.0 | 40.0 to 60.0 | | | 12.3 |")
    assert "A smoke run" in lines[-1]
    assert tables.DETAILS["curve"](found).splitlines()[2] == "| a | 25.0 ± 2.0 |"
    lines = tables.DETAILS["corruptions"](found).splitlines()
    assert lines[0] == "| backend | clean | mean | noise |"
    assert lines[2] == "| a | 50.0 | 37.5 | 37.5 |"
    assert "smoke" not in lines[-1]
    assert tables.DETAILS["comparison-kth"](found) == ""


def test_the_table_of_covers(tables: ModuleType) -> None:
    cost = {"index_ms_per_image": 30.25, "search_ms_per_query": 250.4, "index_bytes_per_image": 12_340}
    variant = {"name": "words", "recall": {"1": 0.98, "5": 0.99, "10": 1.0}, "map": 0.985, "cost": cost}
    variant |= {"n_queries": 400, "n_images": 4585, "map_trapezoids": 0.975}
    cost["learn_ms_per_image"] = 8.126
    result = {"kind": "cvbow-retrieval-result", "variants": [variant], "quick": False}
    result["definition"] = {"protocol": {"keep_self": False}}
    found = details(dvd_covers=result, dvd_covers_networks={**result, "quick": True})
    for one in found.values():
        one["environment"]["workers"] = 2
    lines = tables.covers_table(found).splitlines()
    assert (
        lines[2]
        == "| words (quick run: not meaningful) | 98.0 | 99.0 | 100.0 | 98.5 | 97.5 | 8.13 | 30.2 | 250 | 12.3 |"
    )
    assert lines[3] == "| words | 98.0 | 99.0 | 100.0 | 98.5 | 97.5 | 8.13 | 30.2 | 250 | 12.3 |"
    assert "400 photographs by four cameras against 4,585 images" in lines[-1]
    assert tables.covers_table({"dvd-covers-networks": result}) == ""


def test_the_table_of_duplicates(tables: ModuleType) -> None:
    found = {"recall": 0.99, "recall_by_kind": {"resized": 1.0, "cropped": 0.98}, "precision": 1.0}
    hashed = {**found, "recall": 0.6, "precision": None, "pairs_with_a_copy": 0}
    place = SAMPLE["nearest"]["environment"]
    result = {**found, "pairs_with_a_copy": 510, "copies": 500, "images": 4985, "environment": place}
    result["perceptual_hash"] = {"seconds": 1.0, "up to 4 bits": hashed}
    lines = tables.DETAILS["duplicates"]({"near-duplicates": result}).splitlines()
    assert lines[0] == "| by | recall % | resized | cropped | precision % | pairs with a copy |"
    assert lines[2] == "| cvbow index duplicates | 99.0 | 100.0 | 98.0 | 100.0 | 510 |"
    assert lines[3] == "| PHash, up to 4 bits | 60.0 | 100.0 | 98.0 | | 0 |"


def test_the_table_of_tiny_images(tables: ModuleType) -> None:
    seconds = {"extract": 12.0, "dictionary": 18.0, "encode": 300.0, "classifier": 240.0, "total": 600.0}
    part = {"n_train": 50_000, "n_test": 10_000, "n_pictures": 10_000, "n_words": 1600, "n_values": 12_800}
    part |= {"vectors_mb": 2560.0, "seconds": seconds, "test_ms": 6.0, "accuracy": 0.745, "environment": ENVIRONMENT}
    part["peak_mb"] = {"before the classifier": 3000.0, "of the classifier": None}
    lines = tables.DETAILS["tiny-images"]({"tiny-images": {"tiny-images-50000": part}}).splitlines()
    assert lines[0].startswith("| images | words | encoding | classifier | in all |")
    assert lines[2] == "| 50,000 | 30.0 s | 300 s | 240 s | 600 s | 2,560 | 3,000 | | 6.00 | 74.5 |"
    assert lines[-1].startswith(
        "Learning `patches`, 1,600 words, vectors of 12,800 values. Images made of 10,000 pictures."
    )


def test_no_results_no_table(tables: ModuleType) -> None:
    assert {table({}) for table in tables.DETAILS.values()} == {""}
    assert (
        tables.DETAILS["comparison"]({})
        == tables.DETAILS["speed"]({})
        == tables.TABLES["scene15"]({})
        == tables.covers_table({})
        == tables.accuracy_table({"speed": SAMPLE})
        == ""
    )


def test_written_tables_pass_the_check_and_leave_the_rest_alone(
    readme: Path, tables: ModuleType, results: Path
) -> None:
    text = readme.read_text()
    # There is no result yet for the first of them.
    assert text.startswith("# Title\n\nbefore\n\n<!-- choice -->\n<!-- /choice -->\n\nbetween\n\n<!-- scene15 -->\n")
    assert text.endswith("\n\n<!-- /scene15 -->\nafter\n")
    assert "\nold\n" not in text
    arguments = ["--results", str(results)]
    assert tables.main([*arguments, "--check", str(readme)]) == 0
    assert tables.main([*arguments, "--write", str(readme)]) == 0
    assert readme.read_text() == text


WITH_TABLES = [
    *("README.md", "benchmarks/README.md", "docs/benchmarks.md", "docs/decisions/image_reader.md"),
    *(f"docs/guide/{page}.md" for page in ("finding", "images", "networks", "recipes")),
]


@pytest.mark.parametrize("document", WITH_TABLES)
def test_the_project_s_own_tables_are_current(document: str, tables: ModuleType) -> None:
    assert tables.tables_of(ROOT / document)
    assert tables.main(["--check", str(ROOT / document)]) == 0


def test_check_finds_a_changed_figure(
    readme: Path, tables: ModuleType, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme.write_text(readme.read_text().replace("75.1 %", "76.1 %"))
    assert tables.main(["--results", str(results), "--check", str(readme)]) == 1
    errors = capsys.readouterr().err
    assert "the table scene15 is not that of the results" in errors
    assert "-| fast | 76.1 %" in errors
    assert "+| fast | 75.1 %" in errors
    assert "choice" not in errors


def test_check_finds_results_that_have_changed(readme: Path, tables: ModuleType, results: Path) -> None:
    changed = copy.deepcopy(SAMPLE)
    changed["end-to-end"]["contenders"][1]["seconds"] = 31.5
    (results / "speed.json").write_text(json.dumps(changed))
    assert tables.main(["--results", str(results), "--check", str(readme)]) == 1


@pytest.mark.parametrize("damage", [("<!-- /choice -->", ""), ("between", "<!-- choice -->\n<!-- /choice -->")])
def test_markers_must_stand_once(
    readme: Path, tables: ModuleType, results: Path, capsys: pytest.CaptureFixture[str], damage: tuple[str, str]
) -> None:
    text = readme.read_text().replace(*damage)
    readme.write_text(text)
    for action in ("--check", "--write"):
        assert tables.main(["--results", str(results), action, str(readme)]) == 1
        assert "README.md: needs the markers <!-- choice --> and <!-- /choice -->" in capsys.readouterr().err
    assert readme.read_text() == text


def test_tables_smoke_runs_without_results(tables: ModuleType, tmp_path: Path) -> None:
    done = run_file("tables.py", "--smoke", "--results", str(tmp_path), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no results yet") == len(tables.EVERY) - 2, "recipes and parts need none"


def test_results_name_no_folder_of_the_machine() -> None:
    for path in (BENCHMARKS / "results").glob("*.json"):
        text = path.read_text()
        assert str(Path.home()) + "/" not in text
        assert str(ROOT) not in text


def test_smoke_run_of_the_fuzzer(tmp_path: Path) -> None:
    target = tmp_path / "fuzz.json"
    done = run_file("fuzz_images.py", "--smoke", "--count", "60", "--jobs", "1", "--json", str(target), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(target.read_text())
    assert document["failures"] == []
    assert document["outcomes"]["refused"] + document["outcomes"]["read"] == document["count"] == 60
    assert document["largest_mb"][0][0] < document["limits"]["peak_mb"]
    assert sum(document["reasons"]["stats"].values()) == document["outcomes"]["refused"]


def test_the_fuzzer_tells_what_goes_wrong(benchmark_modules: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that dies, one that hangs, one that takes too much, and an exception: each is a failure."""
    import fuzz_images

    child = (
        "import json, os, sys, time\n"
        "print(json.dumps({'peak_mb': 1}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    number = int(line)\n"
        "    if number == 1: os._exit(7)\n"
        "    if number == 2: time.sleep(60)\n"
        "    outcome = 'crash' if number == 3 else 'read'\n"
        "    answer = {'name': 'a | b', 'outcome': outcome, 'seconds': 0.1, 'peak_mb': 5000 if number == 4 else 1}\n"
        "    print(json.dumps(answer), flush=True)\n"
    )
    start = fuzz_images._Reader.start

    def start_it(reader: Any) -> None:
        reader.command = [sys.executable, "-c", child]
        start(reader)

    monkeypatch.setattr(fuzz_images._Reader, "start", start_it)
    monkeypatch.setattr(fuzz_images, "SECONDS", 0.5)
    monkeypatch.setattr(fuzz_images, "environment", lambda **options: {})
    options = fuzz_images.argparse.Namespace(count=6, first=0, seed=0, jobs=1, data=None, smoke=True)
    result = fuzz_images._judge(options)
    found = {failure["number"]: failure["outcome"] for failure in result["failures"]}
    assert found == {1: "died (7)", 2: "hang", 3: "crash", 4: "over the limits"}
    assert result["outcomes"]["read"] == 2


def test_the_fuzzer_of_commands_sees_what_goes_wrong(benchmark_modules: None) -> None:
    from _hostile_commands import Case
    from fuzz_commands import faults

    def found(
        *, code: int | None = 0, out: bytes = b"", errors: bytes = b"", after: Any = None, **made: Any
    ) -> list[str]:
        return faults(Case("train", **made), code, out, errors, before, before if after is None else after)

    before = {"a.png": (1, 2, "content"), "x.index": (1, 2, None), "x.index/part": (1, 2, "content")}
    assert found(out=b"fine\n", errors=b"a note\n") == []
    assert found(code=None) == ["no end after 60 seconds"]
    assert found(code=-11) == ["exit code -11"]
    assert found(code=130) == ["interrupted by nobody"]
    assert found(code=130, signal=(2, 0.1, True)) == []
    assert found(errors=b"Traceback (most recent call last):\n") == ["Traceback (most recent call last) on stderr"]
    assert found(out=b"\x1b[31m") == ["control characters on the terminal"]
    for out in (b"", b"[1", b"[NaN]", b'"\xff"'):
        assert found(out=out, arguments=["--json"])[0].startswith("stdout is no JSON: ")
    assert found(out=b'["\\udcff"]', arguments=["--json"]) == found(code=1, arguments=["--json"]) == []

    changed = {**before, "a.png": (1, 2, "other")}
    assert found(after=changed, outputs={"a.png": False}) == ["'a.png' is changed"]
    assert found(after=changed, outputs={"a.png": True}) == []
    assert found(after={"a.png": before["a.png"]}) == ["'x.index' is gone", "'x.index/part' is gone"]
    assert found(after={**before, "x.index/part": ()}) == ["'x.index/part' is changed"]
    assert found(after={**before, "x.index/part": ()}, index="x.index") == []
    assert found(after={**before, "b.png": ()}) == ["'b.png' is new"]
    assert found(after={**before, "b.png": ()}, outputs={"b.png": True}) == []
    assert found(outputs={"b.png": True}) == ["'b.png' is not written"]
    assert found(after={**before, "out": (), "out/.b.png.1.tmp": ()}, outputs={"out": True}) == [
        "'out/.b.png.1.tmp' is left behind"
    ]


@pytest.mark.skipif(os.name != "posix", reason="forks and signals are those of POSIX")
def test_cases_repeat(benchmark_modules: None, tmp_path: Path) -> None:
    import _broken_images
    import _hostile_trees
    from _hostile_commands import Maker

    seeds = _broken_images.seed_images(None)
    cases, trees = [], []
    root = tmp_path / "tree"
    for _ in range(2):
        _hostile_trees.write_pictures(root / "photos")
        for name in (
            "m.cvbow",
            "m.onnx",
            "page.html",
            "picture.png",
            "recipes.toml",
            "result.json",
            "x.index/part",
            "summary/stats.json",
        ):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text("stock")
        rng = np.random.default_rng(4)
        put = _hostile_trees.scatter(root, rng, seeds, 60)
        cases.append([vars(Maker(root, rng, put).case()) for _ in range(60)])
        trees.append({path: what[2] for path, what in _hostile_trees.snapshot(root).items()})
        _hostile_trees.remove(root)
    assert cases[0] == cases[1]
    assert trees[0] == trees[1]
    assert len({case["name"] for case in cases[0]}) > 10


def test_mutations_repeat_and_differ(benchmark_modules: None) -> None:
    import _broken_images

    seeds = _broken_images.seed_images(None)
    once = [_broken_images.mutated(seeds, 5, number) for number in range(40)]
    assert once == [_broken_images.mutated(seeds, 5, number) for number in range(40)]
    assert len({content for _, content in once}) > 30
    whole = dict(seeds)
    assert all(whole[name.split(" | ")[0]] != content for name, content in once if "truncated" in name)
