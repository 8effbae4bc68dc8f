"""Planted faults are where they are said to be, and what is found of them is judged as by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from importing import importable

from cvbow.experiments import result_tables
from cvbow.experiments.scripts.audit_faults import SECTIONS
from cvbow.images import read_image

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def script() -> Iterator[ModuleType]:
    with importable(BENCHMARKS):
        import audit_faults

        yield audit_faults


@pytest.fixture
def data(script: ModuleType, tmp_path: Path) -> Path:
    return Path(script._made(tmp_path / "made"))


def test_each_fault_is_where_it_is_said_to_be(script: ModuleType, data: Path, tmp_path: Path) -> None:
    planted = script.plant_many(data / "scene15", data / "flowers5", tmp_path / "faults", 3)
    train = planted.paths("train")
    faulty = [*planted.labels, *planted.strangers, *planted.spoiled]
    origins = [origin for origin, _ in planted.leaks.values()]
    assert set(faulty) | set(origins) <= set(train)
    # Of 60 images 5 % are 3, 3 % are 2, and 2 % and 1 % are one each; none has two faults.
    assert (len(planted.labels), len(planted.leaks), len(planted.strangers), len(planted.spoiled)) == (3, 2, 1, 5)
    assert len({*faulty, *origins}) == len(faulty) + len(origins)
    assert len(train) == 60 + len(planted.strangers)
    assert len(planted.paths("test")) == 18 + len(planted.leaks)
    for path, own in planted.labels.items():
        given, file = path.split("/")[1:]
        assert given != own
        original = data / "scene15" / "train" / own / file.removeprefix(f"{own}-")
        assert (planted.folder / path).read_bytes() == original.read_bytes()
    brightness = {kind: read_image(planted.folder / path).mean() for path, kind in planted.spoiled.items()}
    assert brightness["dark"] < 20 < 100 < brightness["flat"] < 150 < 230 < brightness["bright"]
    # The same seed plants the same, another one something else.
    again = script.plant_many(data / "scene15", data / "flowers5", tmp_path / "again", 3)
    other = script.plant_many(data / "scene15", data / "flowers5", tmp_path / "other", 4)
    assert (again.labels, again.leaks, again.spoiled) == (planted.labels, planted.leaks, planted.spoiled)
    assert other.labels != planted.labels


def test_what_leaks_and_what_only_looks_so(script: ModuleType, data: Path) -> None:
    import _faults

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (50, 80, 3), np.uint8)
    assert np.array_equal(_faults._leaked(image, "mirrored", rng)[:, ::-1], image)
    assert _faults._leaked(image, "cropped", rng).shape == (40, 64, 3)
    assert 25 <= len(_faults._leaked(image, "resized", rng)) <= 75
    turned = _faults.recoloured(image)
    assert np.array_equal(turned.mean(axis=2), image.mean(axis=2))
    assert not np.array_equal(turned, image)
    assert len(_faults.spoiled(image, "narrow")) == 4


def test_shortcuts_are_of_one_class_each(script: ModuleType, data: Path, tmp_path: Path) -> None:
    planted = script.plant_shortcuts(data / "scene15", tmp_path / "shortcuts", 1)
    mark, date, png = planted.shortcuts
    assert list(planted.shortcuts.values()) == ["a mark", "a date", "saved as PNG"]
    suffixes = {(path.split("/")[1], path.rpartition(".")[2]) for path in planted.paths("train")}
    assert suffixes == {(mark, "jpg"), (date, "jpg"), (png, "png")}
    for path in planted.paths("train"):
        name = path.split("/")[1]
        before = read_image((data / "scene15" / path).with_suffix(".jpg")).astype(int)
        changed = np.abs(read_image(planted.folder / path).astype(int) - before)
        # The mark is at the upper left, the date at the lower right; what is saved once more changes but little.
        assert (changed[:48, :64].max() > 60) == (name == mark)
        assert (changed[48:, 64:].max() > 60) == (name == date)
        assert changed[:48, 64:].max() < 60
        assert (changed.max() == 0) == (name == png)


def test_labels_change_to_the_class_that_is_most_like(script: ModuleType, data: Path, tmp_path: Path) -> None:
    like = {"across": "down", "down": "across", "spots": "across"}
    planted = script.plant_similar(data / "scene15", like, tmp_path / "similar", 1)
    assert len(planted.labels) == 3
    assert all(like[own] == path.split("/")[1] for path, own in planted.labels.items())
    assert not planted.paths("test")


def test_findings_are_judged(script: ModuleType, tmp_path: Path) -> None:
    names = [f"train/a/{number}.jpg" for number in range(10)]
    for path in names:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    planted = script.Planted(
        tmp_path,
        labels={names[0]: "b", names[1]: "b"},
        strangers=[names[2]],
        spoiled={names[3]: "dark", names[4]: "dark"},
        leaks={"test/a/x.jpg": (names[5], "resized"), "test/a/y.jpg": (names[6], "mirrored")},
        decoys={"test/a/z.jpg": names[7]},
        shortcuts={"a": "a stamp", "b": "saved as PNG"},
    )
    found = [
        finding("leak", "test/a/x.jpg", names[5]),
        finding("leak", "test/a/z.jpg", names[7]),
        finding("duplicate", names[8], names[9]),
        # The first is right; the third is a stranger, about whose label nothing is right or wrong.
        finding("label", names[0], score=0.9, suggested="b"),
        finding("label", names[7], score=0.8, suggested="b"),
        finding("label", names[2], score=0.7, suggested="b"),
        finding("stranger", names[2]),
        finding("picture", names[3]),
        finding("shortcut", names[0], label="c"),
        finding("shortcut", names[0], score=0.4, label="a"),
    ]
    judged = script._judged(found, planted)
    label = judged["label"]
    assert (label["planted"], label["listed"], label["right"]) == (2, 2, 1)
    assert (label["precision"], label["recall"], label["rightly_suggested"]) == (0.5, 0.5, 1.0)
    # Of the pairs of a changed image and one of five others: 5 in order, and 4 of 5 level, which count for half.
    assert label["auroc"] == pytest.approx((5 + 4 / 2) / 10)
    assert (judged["stranger"]["precision"], judged["stranger"]["recall"]) == (1.0, 1.0)
    assert (judged["picture"]["precision"], judged["picture"]["recall"]) == (1.0, 0.5)
    assert judged["picture"]["recall_by_kind"]["dark"] == 0.5
    leak = judged["leak"]
    assert (leak["listed"], leak["right"], leak["precision"], leak["recall"]) == (2, 1, 0.5, 0.5)
    assert (leak["decoys_listed"], leak["other_pairs"]) == (1, 1)
    assert leak["recall_by_kind"] == {"resized": 1.0, "recompressed": None, "mirrored": 0.0, "cropped": None}
    assert judged["shortcut"]["a stamp"]["place"] == 2
    assert judged["shortcut"]["saved as PNG"] == {"class": "b", "place": None}


def finding(
    kind: str, *paths: str, score: float = 0.5, label: str = "a", suggested: str | None = None
) -> dict[str, Any]:
    return {"kind": kind, "paths": paths, "score": score, "label": label, "suggested": suggested, "why": "So."}


def test_the_tables_of_faults() -> None:
    cost = {"seconds": 61.2, "cpu_seconds": 99.0, "peak_mb": 812.3}
    label = {"planted": 75, "listed": 80, "precision": 0.75, "recall": 0.8, "auroc": 0.9}
    trial = {
        "n_train": 1500,
        "n_test": 3030,
        "cvbow": {**cost, "label": label, "leak": {**label, "auroc": None, "precision": None}},
        "cleanlab": {"label": {**label, "auroc_of_all": 0.97}, "versions": {"cleanlab": "2.9.0"}},
    }
    place = {"class": "Store", "place": 1, "score": 0.9, "why": "All are PNG."}
    other = {"n_train": 1500, "n_test": 0, "cvbow": {**cost, "shortcut": {"saved as PNG": place}}}
    tables = result_tables({SECTIONS[0]: trial, SECTIONS[2]: other})
    assert tables["figures"].rows == [
        (f"{SECTIONS[0]}: 4,530 images", "label", "cvbow audit", "75", "80", "75.0", "80.0", "0.900"),
        ("", "label", "cleanlab", "75", "80", "75.0", "80.0", "0.970"),
        ("", "leak", "cvbow audit", "75", "80", "", "80.0", ""),
    ]
    assert "scene15-faults 61.2 s and 812 MB" in tables["figures"].notes
    assert "Beside cleanlab 2.9.0." in tables["figures"].notes
    assert tables["shortcuts"].rows == [(SECTIONS[2], "saved as PNG: Store", "1", "0.9", "All are PNG.")]
