"""One detector, encoder, classifier and data set of one's own, each as short as CONTRIBUTING says, from end to end."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from fresh_process import run_code
from own_datasets import register
from sklearn.linear_model import RidgeClassifier
from tiny_images import write_dataset

from cvbow.classify import CLASSIFIERS, ClassifierEntry, ImageClassifier
from cvbow.datasets import find_dataset, load_dataset, locate
from cvbow.encoders import ENCODERS
from cvbow.errors import ModelFileError
from cvbow.features import DETECTORS
from cvbow.images import list_images
from cvbow.presets import make_model
from cvbow_cli.main import cli

DETECTOR = """
import numpy as np
from cvbow.features import DETECTORS, Detections, Detector


class Dots(Detector):
    def __init__(self, step=6):
        self.step = step

    def detect(self, image, *, limit=None):
        y, x = np.mgrid[: image.shape[0] : self.step, : image.shape[1] : self.step]
        return Detections.of(np.stack([x.ravel(), y.ravel()], axis=1), limit=limit)


DETECTORS["dots"] = Dots
"""
ENCODER = """
from cvbow.encoders import ENCODERS, Encoder


class Means(Encoder):
    def fit(self, features_sample, y=None):
        self.size_ = features_sample[0].descriptors.shape[1]
        return self

    @property
    def vector_length(self):
        return self.size_

    def encode(self, features):
        return features.descriptors.sum(axis=0) / max(len(features), 1)


ENCODERS["means"] = Means
"""
CLASSIFIER = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from cvbow.classify import CLASSIFIERS


class Centroids(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.centroids_ = np.stack([X[y == name].mean(axis=0) for name in self.classes_])
        return self

    def predict(self, X):
        return self.classes_[((X[:, None] - self.centroids_) ** 2).sum(axis=2).argmin(axis=1)]

    def decision_function(self, X):
        return -((X[:, None] - self.centroids_) ** 2).sum(axis=2)


CLASSIFIERS["centroids"] = Centroids
"""
DATASET = """
title = "Tiny textures"
content = "gray PNG, 48x48"
n_images = 18
n_classes = 3
layout = "folders"
homepage = "https://example.org"
terms = "none"
citation = "nobody"
"""
SETTINGS = {"detector": "dots", "detector__step": 5, "encoder": "means", "classifier": "centroids", "sample": 500}
OPTIONS = [option for key, value in SETTINGS.items() for option in ("--set", f"{key}={value}")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the module my_parts and images in data/."""
    (tmp_path / "my_parts.py").write_text(DETECTOR + ENCODER + CLASSIFIER, encoding="utf-8")
    write_dataset(tmp_path / "data")
    return tmp_path


@pytest.fixture
def my_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ModuleType]]:
    """Import the module for this test alone."""
    monkeypatch.syspath_prepend(str(folder))
    yield lambda: importlib.import_module("my_parts")
    sys.modules.pop("my_parts", None)
    for registry, name in ((DETECTORS, "dots"), (ENCODERS, "means"), (CLASSIFIERS, "centroids")):
        registry.pop(name, None)  # type: ignore[attr-defined]


def cvbow(folder: Path, *arguments: str, imported: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which knows no part from before."""
    code = "from cvbow_cli.main import cli; cli()"
    return run_code(code, *arguments, folder=folder, environment={"CVBOW_IMPORT": imported})


@pytest.mark.parametrize("part", [DETECTOR, ENCODER, CLASSIFIER, DATASET])
def test_a_part_is_short_and_the_one_that_is_shown(part: str) -> None:
    assert part.strip() in (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    # Blank lines and the lines that import are not counted.
    lines = [line for line in part.splitlines() if line and not line.startswith(("import ", "from "))]
    assert len(lines) <= 15


def test_own_parts_from_the_command_line(folder: Path, my_parts: Callable[[], ModuleType]) -> None:
    trained = cvbow(
        folder, "--import", "my_parts", "train", "data", "-o", "m.cvbow", *OPTIONS, "--executor", "processes"
    )
    assert trained.returncode == 0, trained.stderr
    digest = trained.stdout.split()[-1]
    # Without the module, what is missing is named, and nothing is imported because a file says so.
    refused = cvbow(folder, "predict", "m.cvbow", "data/checker/00.png")
    assert refused.returncode == 1
    assert (
        "is of the class 'my_parts.Means', which is not registered: import the module that registers it"
        in refused.stderr
    )
    assert "--import MODULE" in refused.stderr
    answered = cvbow(folder, "predict", "m.cvbow", "data/checker/00.png", "--json", imported="my_parts")
    assert answered.returncode == 0, answered.stderr
    assert set(json.loads(answered.stdout)[0]["scores"]) == {"checker", "horizontal", "vertical"}
    with pytest.raises(ModelFileError, match=r"my_parts\.Means"):
        ImageClassifier.load(folder / "m.cvbow")
    my_parts()
    loaded = ImageClassifier.load(folder / "m.cvbow")
    # The same in Python gives the same file.
    images = list_images(folder / "data")
    model = make_model(settings=SETTINGS, n_jobs=1).fit(images.paths, images.labels)
    assert (model.recipe or {})["detector__step"] == 5
    assert model.save(folder / "again.cvbow") == digest
    assert model.score(images.paths, images.labels) > 0.8
    np.testing.assert_array_equal(loaded.predict_proba(images.paths), model.predict_proba(images.paths))
    assert json.loads(answered.stdout)[0]["label"] == model.predict(images.paths[:1])[0]


def test_own_parts_in_help(folder: Path) -> None:
    assert "centroids" in cvbow(folder, "--import", "my_parts", "train", "--help").stdout
    found = cvbow(folder, "features", "data/checker/00.png", "--stage", "dots", "--json", imported="my_parts")
    assert json.loads(found.stdout)["stages"][0]["points"] == 64


def test_own_parts_in_messages(
    folder: Path, my_parts: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    train = ["train", "data", "-o", "m.cvbow", *OPTIONS]
    unknown = CliRunner().invoke(cli, train)
    assert unknown.exit_code == 2
    assert "got 'centroids'; if it is your own, import the module that registers it (on the" in unknown.stderr
    my_parts()
    for wrong, message in (
        ("detector=dot", "detector 'dot' is unknown; did you mean dots?"),
        ("encoder__power=2", "Means has no parameter power, got encoder__power"),
        ("n_words=5", "n_words applies only if encoder is bow or"),
    ):
        refused = CliRunner().invoke(cli, [*train, "--set", wrong])
        assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr
    (folder / "broken.py").write_text("1 / 0")
    for name, message in (("no_such_module", "ModuleNotFoundError"), ("broken", "ZeroDivisionError: division by zero")):
        failed = CliRunner().invoke(cli, ["--import", name, *train])
        assert (failed.exit_code, f"cannot import {name}: {message}" in failed.stderr) == (2, True), failed.stderr


def test_what_cannot_be_saved_is_known_before_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ClassifierEntry("one that a function makes", lambda **parameters: RidgeClassifier(**parameters))
    monkeypatch.setitem(CLASSIFIERS, "ridge", entry)
    model = str(folder / "m.cvbow")
    train = ["train", str(folder / "data"), "-o", model, "--preset", "fast", "--set", "n_words=10"]
    refused = CliRunner().invoke(cli, [*train, "--classifier", "ridge"])
    assert refused.exit_code == 2
    assert "model.classifier is a sklearn.linear_model._ridge.RidgeClassifier, which" in refused.stderr
    assert "sample" not in refused.stderr
    assert not Path(model).exists()
    # The class itself, in place of the function, can be saved, and its parameters are settings.
    monkeypatch.setitem(CLASSIFIERS, "ridge", RidgeClassifier)  # type: ignore[arg-type]
    assert CliRunner().invoke(cli, [*train, "--classifier", "ridge", "--set", "tol=0.01"]).exit_code == 0
    assert ImageClassifier.load(model).classifier_.tol == 0.01


def test_a_data_set_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, tmp_path / "own", textures=DATASET)
    write_dataset(tmp_path / "images" / "textures")
    monkeypatch.setenv("CVBOW_DATA", str(tmp_path / "images"))
    assert find_dataset("textures").title == "Tiny textures"
    assert len(load_dataset(locate("textures"))) == 18
    listed = CliRunner().invoke(cli, ["data", "list"])
    assert "textures" in listed.output
