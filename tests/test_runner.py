"""From a definition to a result to a table, on small generated images."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_datasets import register, tiny_manifest, write_split
from tiny_images import write_dataset

from cvbow import ImageError, make_model
from cvbow.datasets import fingerprint, load_dataset, locate
from cvbow.errors import DatasetError
from cvbow.experiments import (
    ClassificationDefinition,
    FixedSplit,
    HeldOut,
    KFold,
    Published,
    RandomSplits,
    Variant,
    collect_results,
    read_result,
    result_rows,
    rows_table,
    run_benchmark,
    target_rows,
    write_result,
)
from cvbow.experiments.environment import peak_memory

SETTINGS = {"n_words": 12, "step": 8, "bin_sizes": (4,), "reduce": None, "grids": ("1x1",)}
FIGURE = Published("a method", 81.4, 0.5, "a paper", "as reported")


def definition(protocol: Any = None, **changes: Any) -> ClassificationDefinition:
    values: dict[str, Any] = {
        "name": "tiny-bow",
        "title": "Tiny",
        "dataset": "tiny",
        "preset": "bow",
        "protocol": protocol or RandomSplits(3, 2),
        "settings": SETTINGS,
        "seeds": (0,),
        "metric": "mean_class_accuracy",
        "published": (FIGURE,),
        "notes": "",
    }
    return ClassificationDefinition(**values | changes)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register(monkeypatch, tmp_path / "own", tiny=tiny_manifest())
    return write_dataset(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("protocol", "runs"),
    [(RandomSplits(3, 2, 2), 2), (KFold(2), 2), (HeldOut(r"/0(\d)", (("1", "2"), ("3",))), 2)],
    ids=["random", "k-fold", "held-out"],
)
def test_every_protocol_runs(tiny: Path, protocol: Any, runs: int) -> None:
    result = run_benchmark(definition(protocol), tiny, n_jobs=1)
    assert len(result["splits"]) == runs
    assert result["definition"]["protocol"]["text"] == protocol.describe()
    assert 0 <= result["accuracy"]["mean"] <= 1
    assert json.loads(json.dumps(result)) == result, "plain values"


def test_the_fixed_protocol_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, tmp_path / "own", tiny=tiny_manifest(n_images=30))
    result = run_benchmark(definition(FixedSplit()), write_split(tmp_path / "tiny"), n_jobs=1)
    (split,) = result["splits"]
    assert (split["n_train"], split["n_test"]) == (18, 12)
    assert result["accuracy"]["std"] is None


def test_the_figures_are_those_of_the_model(tiny: Path) -> None:
    ours = definition(RandomSplits(3, 2), seeds=(0, 5))
    result = run_benchmark(ours, tiny, n_jobs=2)
    images = load_dataset(locate("tiny", tiny))
    expected = []
    for seed in (0, 5):
        for split in ours.protocol.splits(images, seed=seed):
            model = make_model("bow", settings={**SETTINGS, "random_state": seed}, n_jobs=1)
            model.fit([images.images[i] for i in split.train], [images.labels[i] for i in split.train])
            truth = np.array([images.labels[i] for i in split.test])
            right = model.predict([images.images[i] for i in split.test]) == truth
            per_class = [right[truth == label].mean() for label in images.classes]
            expected.append((seed, right.mean(), np.mean(per_class), model.save(tiny.parent / "m.cvbow")))
    found = [
        (run["seed"], run["accuracy"], run["mean_class_accuracy"], run["model"]["content_hash"])
        for run in result["splits"]
    ]
    assert [row[0] for row in found] == [row[0] for row in expected]
    np.testing.assert_allclose([row[1:3] for row in found], [row[1:3] for row in expected])
    assert [row[3] for row in found] == [row[3] for row in expected]
    assert result["accuracy"]["mean"] == pytest.approx(statistics.fmean(row[1] for row in expected))
    assert result["accuracy"]["std"] == pytest.approx(statistics.stdev(row[1] for row in expected))
    assert result["model_bytes"] == max(run["model"]["bytes"] for run in result["splits"])
    assert (tiny.parent / "m.cvbow").stat().st_size == result["splits"][-1]["model"]["bytes"]


def test_a_result_tells_all_that_it_depends_on(tiny: Path) -> None:
    result = run_benchmark(definition(), tiny, n_jobs=1)
    images = load_dataset(locate("tiny", tiny))
    assert result["dataset"] == {
        "name": "tiny",
        "title": "Tiny textures",
        "n_images": 18,
        "n_classes": 3,
        "n_images_used": 18,
        "sha256": fingerprint(images, n_jobs=1),
        "sha256_of": "all images",
        "origin": "given",
    }
    always = {"python", "cvbow", "numpy", "scipy", "scikit-learn", "opencv"}
    assert always <= set(result["environment"]["versions"]) <= always | {"onnxruntime", "torch", "faiss-cpu"}
    assert result["environment"]["cpu"]
    assert result["environment"]["workers"] == 1
    assert result["definition"]["settings"] == {
        key: list(v) if isinstance(v, tuple) else v for key, v in SETTINGS.items()
    }
    assert result["published"] == [vars(FIGURE)]
    seconds = sum(run["seconds"]["train"] for run in result["splits"])
    n_train = sum(run["n_train"] for run in result["splits"])
    assert result["cost"]["train_ms_per_image"] == pytest.approx(1000 * seconds / n_train, rel=0.01)
    assert result["memory"]["peak_bytes"] > 10_000_000
    assert not result["quick"]


def test_variants_are_each_run_as_a_benchmark_of_their_own(tiny: Path) -> None:
    coarse = {**SETTINGS, "step": 12}
    result = run_benchmark(
        definition(variants=(Variant("fine", "bow", SETTINGS), Variant("coarse", "fast", coarse))), tiny, n_jobs=1
    )
    assert json.loads(json.dumps(result)) == result, "plain values"
    assert "accuracy" not in result
    assert [part["name"] for part in result["variants"]] == ["fine", "coarse"]
    for part, settings in zip(result["variants"], (SETTINGS, coarse), strict=True):
        alone = run_benchmark(definition(settings=settings, preset=part["preset"]), tiny, n_jobs=1)
        assert part["settings"] == alone["definition"]["settings"]
        for key in ("accuracy", "mean_class_accuracy", "model_bytes"):
            assert part[key] == alone[key]
        assert [run["model"] for run in part["splits"]] == [run["model"] for run in alone["splits"]]
    hashes = {part["splits"][0]["model"]["content_hash"] for part in result["variants"]}
    assert len(hashes) == 2
    rows = result_rows([result])
    assert [(row.benchmark, row.preset, row.runs) for row in rows] == [
        ("tiny-bow", "fine", 2),
        ("tiny-bow", "coarse", 2),
    ]
    assert rows[1].figure == 100 * result["variants"][1]["mean_class_accuracy"]["mean"]


def test_with_a_cache_there_is_no_cost(tiny: Path) -> None:
    plain = run_benchmark(definition(), tiny, n_jobs=1)
    for _ in range(2):
        cached = run_benchmark(definition(), tiny, n_jobs=1, memory=tiny.parent / "cache")
        assert cached["cost"]["train_ms_per_image"] is cached["cost"]["test_ms_per_image"] is None
        assert [run["model"]["content_hash"] for run in cached["splits"]] == [
            run["model"]["content_hash"] for run in plain["splits"]
        ]


def test_quick_is_small_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, tmp_path / "own", tiny=tiny_manifest(n_images=120))
    data = write_dataset(tmp_path / "tiny", per_class=40)
    result = run_benchmark(definition(RandomSplits(25, 4), seeds=(0, 1)), data, n_jobs=1, quick=True)
    assert result["quick"]
    (split,) = result["splits"]
    assert (split["n_train"], split["n_test"]) == (60, 30)
    assert result["dataset"]["n_images"] == 120
    assert result["dataset"]["n_images_used"] == 90
    assert result["dataset"]["sha256_of"] == "the images used"
    (row,) = result_rows([result])
    assert row.difference is None
    assert "not meaningful" in rows_table([row]).text()
    assert "not meaningful" in rows_table([row]).markdown()


def test_an_image_that_cannot_be_read_is_an_error(tiny: Path) -> None:
    (tiny / "checker" / "03.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"03\.png"):
        run_benchmark(definition(), tiny, n_jobs=1)


def test_a_data_set_with_other_images_is_refused(tiny: Path) -> None:
    (tiny / "checker" / "03.png").unlink()
    with pytest.raises(DatasetError, match="Tiny textures has 18 images in 3 classes; here are 17 in 3"):
        run_benchmark(definition(), tiny, n_jobs=1)


def test_the_known_images_are_asked_for(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = fingerprint(load_dataset(locate("tiny", tiny)), n_jobs=1)
    register(monkeypatch, tmp_path / "own", tiny=tiny_manifest(more=f'fingerprint = "{known}"'))
    assert run_benchmark(definition(), tiny, n_jobs=1)["dataset"]["sha256"] == known
    (tiny / "checker" / "03.png").write_bytes((tiny / "checker" / "02.png").read_bytes())
    with pytest.raises(DatasetError, match="the images are not the known ones"):
        run_benchmark(definition(), tiny, n_jobs=1)


def test_a_data_set_that_is_nowhere(tiny: Path) -> None:
    with pytest.raises(DatasetError, match=r"not on this machine and cannot be fetched.*--data DIR.*CVBOW_DATA"):
        run_benchmark(definition(), n_jobs=1)


def test_a_protocol_that_the_data_set_does_not_allow(tiny: Path) -> None:
    with pytest.raises(ValueError, match="train_per_class"):
        run_benchmark(definition(RandomSplits(6)), tiny, n_jobs=1)


def test_a_model_that_cannot_be_saved_has_no_size(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> str:
        raise TypeError("model files do not hold this")

    monkeypatch.setattr("cvbow.classify.ImageClassifier.save", refuse)
    result = run_benchmark(definition(), tiny, n_jobs=1)
    assert result["model_bytes"] is None
    assert result["splits"][0]["model"]["reason"] == "model files do not hold this"


def test_peak_memory_sees_what_a_block_takes() -> None:
    with peak_memory() as before:
        pass
    with peak_memory() as peak:
        block = np.ones(80 << 20, np.uint8)
        del block
    with peak_memory() as after:
        pass
    if peak.n_bytes is None or before.n_bytes is None or after.n_bytes is None:
        pytest.skip(peak.what)
    assert peak.n_bytes >= before.n_bytes
    if "while the benchmark ran" in peak.what:
        assert peak.n_bytes >= before.n_bytes + (60 << 20)
        assert after.n_bytes < peak.n_bytes


def fake_result(**changes: Any) -> dict[str, Any]:
    result = {
        "kind": "cvbow-benchmark-result",
        "format": 1,
        "benchmark": "tiny-bow",
        "quick": False,
        "metric": "accuracy",
        "accuracy": {"mean": 0.8333, "std": 0.012},
        "mean_class_accuracy": {"mean": 0.5, "std": None},
        "published": [vars(FIGURE), {**vars(FIGURE), "figure": 90.0, "std": None, "method": "a|b"}],
        "definition": {"preset": "bow"},
        "splits": [{}, {}, {}],
    }
    return result | changes


def test_a_table_shows_the_metric_and_the_differences() -> None:
    first, second = result_rows([fake_result()])
    assert first.figure == pytest.approx(83.33)
    assert first.difference == pytest.approx(1.93)
    assert second.difference == pytest.approx(-6.67)
    heads, one, two = rows_table([first, second]).text().splitlines()
    assert heads.split()[0] == "benchmark"
    assert one.split()[:6] == ["tiny-bow", "bow", "3", "83.3", "±", "1.2"]
    assert "+1.9" in one
    assert "81.4 ± 0.5" in one
    assert two.split()[:2] == ["90.0", "-6.7"]
    markdown = rows_table([first, second], sources=True).markdown().splitlines()
    assert len(markdown) == 4
    assert "a paper" in markdown[2]
    assert r"a\|b" in markdown[3]
    assert {line.replace(r"\|", "").count("|") for line in markdown} == {8}


def test_a_table_without_published_figures_or_results() -> None:
    (row,) = result_rows([fake_result(published=[], accuracy={"mean": 1.0, "std": None})])
    assert rows_table([row]).text().splitlines()[1].split()[:4] == ["tiny-bow", "bow", "3", "100.0"]
    (target,) = target_rows([definition()])
    assert target.figure is None
    assert target.difference is None
    assert "81.4 ± 0.5" in rows_table([target]).text()


def test_results_are_written_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_result(path, fake_result())
    assert read_result(path) == fake_result()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(path, fake_result(accuracy={"mean": float("nan")}))
    assert read_result(path) == fake_result()
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda text: text[:-20], "not a JSON file"),
        (lambda text: "[1]", "not the result of a benchmark"),
        (lambda text: text.replace('"format": 1', '"format": 9'), "format 9; this cvbow reads format 1"),
        (lambda text: text.replace("cvbow-benchmark-result", "speed"), "not the result of a benchmark"),
    ],
)
def test_what_is_no_result_is_refused_by_name(tmp_path: Path, damage: Callable[[str], str], expected: str) -> None:
    path = tmp_path / "r.json"
    write_result(path, fake_result())
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=r"r\.json") as caught:
        read_result(path)
    assert expected in str(caught.value)


def test_results_are_collected_from_folders_among_other_files(tmp_path: Path) -> None:
    for number in (10, 2):
        write_result(tmp_path / f"r{number}.json", fake_result(benchmark=f"b{number}"))
    (tmp_path / "other.json").write_text('{"kind": "train"}')
    (tmp_path / "notes.txt").write_text("x")
    assert [result["benchmark"] for result in collect_results([tmp_path])] == ["b2", "b10"]
    assert len(collect_results([tmp_path / "r2.json", tmp_path])) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no result of a benchmark"):
        collect_results([tmp_path / "empty"])
    with pytest.raises(ValueError, match=r"other\.json: not the result"):
        collect_results([tmp_path / "other.json"])
