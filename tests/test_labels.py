"""Labels: taken by position and by value, the same way wherever there are some; what is no label is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from notes import Notes
from numpy.typing import NDArray
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

from cvbow.backends import ColorHistogram
from cvbow.classify import FusionClassifier, ImageClassifier, KernelSVM, LinearSVM, TunedLinearSVM, place_labels
from cvbow.datasets import LabelledImages
from cvbow.errors import CvbowError
from cvbow.images import gather_images, list_images
from cvbow.progress import reporting
from cvbow_cli.main import cli

Pixels = NDArray[np.uint8]
TRUTH = [0, 1, 1, 0, 1, 0, 0, 1, 0, 1]


class Indexed:
    """Like a shuffled column of a data frame: brackets look a value up by its index, iterating goes by position."""

    def __init__(self, values: list[Any], index: list[int]) -> None:
        self.values = values
        self.places = {label: place for place, label in enumerate(index)}

    def __getitem__(self, label: int) -> Any:
        return self.values[self.places[label]]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype)


def pictures() -> list[Pixels]:
    """A dark one for each 0, a bright one for each 1."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 100, (8, 8, 3)).astype(np.uint8) + np.uint8(150 * label) for label in TRUTH]


def trained(labels: Any) -> ImageClassifier:
    return ImageClassifier(ColorHistogram(), "naive-bayes").fit(pictures(), labels)


SAME: dict[str, Callable[[list[int]], Any]] = {
    "integers": list,
    "floats": lambda y: [float(one) for one in y],
    "truth values": lambda y: [one == 1 for one in y],
    "eight bits": lambda y: np.array(y, np.uint8),
    "objects": lambda y: np.array(y, object),
    "an indexed column": lambda y: Indexed(y, list(range(9, -1, -1))),
}


@pytest.mark.parametrize("learned", SAME)
@pytest.mark.parametrize("asked", SAME)
def test_labels_of_one_value_are_one_whatever_holds_them(learned: str, asked: str) -> None:
    model, y = trained(SAME[learned](TRUTH)), SAME[asked](TRUTH)
    report, _ = model.evaluate(pictures(), y)
    assert model.score(pictures(), y) == report.accuracy == 1
    assert report.classes == list(map(str, model.classes_))
    wrong = SAME[asked]([1 - one for one in TRUTH])
    assert model.score(pictures(), wrong) == model.evaluate(pictures(), wrong)[0].accuracy == 0


def test_names_of_folders_stand_for_classes_that_are_numbers() -> None:
    model, names = trained(TRUTH), [str(one) for one in TRUTH]
    assert model.score(pictures(), names) == model.evaluate(pictures(), names)[0].accuracy == 1
    model = trained(names)
    for y in (TRUTH, np.array(TRUTH, bool)):
        for judge in (model.score, model.evaluate):
            with pytest.raises(ValueError, match="labels must be texts where the classes are, such as '0', got"):
                judge(pictures(), y)


def test_places_by_hand() -> None:
    names, places = place_labels(np.array([True, False, True]), np.array([1.0, 2.0]))
    assert names == ["1.0", "2.0", "False"]
    assert places.tolist() == [0, 2, 0]
    names, places = place_labels(np.array(["b", "10", "9", "a"]), np.array(["a", "b"]))
    assert names == ["a", "b", "10", "9"]
    assert places.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("y", [[1], TRUTH[:-1], [*TRUTH, 1], np.array(TRUTH)[:, None], None, 1, iter(TRUTH)])
def test_each_image_has_one_label(y: Any) -> None:
    model = trained(TRUTH)
    refused = "y must be the labels of the images" if y is None else "y must hold a label for each of 10 images, got"
    for judge in (model.score, model.evaluate, ImageClassifier(ColorHistogram()).fit):
        with pytest.raises(ValueError, match=refused):
            judge(pictures(), y)


NO_LABELS: list[tuple[Any, str]] = [
    (["a", None] * 5, "y must have no missing labels, got None at position 1"),
    (["a", float("nan")] * 5, "y must have no missing labels, got nan at position 1"),
    (np.array(["a", "b", None] * 3 + ["a"], object), "y must have no missing labels, got None at position 2"),
    ([1.0, float("nan")] * 5, "y must have no missing labels, got .*nan.* at position 1"),
    (np.array(["2026-01-01", "NaT"] * 5, "M8[D]"), "y must have no missing labels, got .*NaT.* at position 1"),
    (["a", 1] * 5, "y must hold labels of one kind, got 'a' at first and 1 at position 1"),
    ([b"a", "a"] * 5, "y must hold labels of one kind, got b'a' at first and 'a' at position 1"),
    (np.array([1, "a"] * 5, object), "y must hold labels of one kind, got 1 at first and 'a' at position 1"),
]


@pytest.mark.parametrize(("y", "message"), NO_LABELS)
def test_what_is_no_label_is_told(y: Any, message: str) -> None:
    vectors = np.random.default_rng(0).random((10, 4), np.float32)
    for classifier in (LinearSVM(), TunedLinearSVM(), KernelSVM(), FusionClassifier()):
        with pytest.raises(ValueError, match=message):
            classifier.fit(vectors, y)
    model = trained(TRUTH)
    for judge in (ImageClassifier(ColorHistogram()).fit, model.score, model.evaluate):
        with pytest.raises(ValueError, match=message):
            judge(pictures(), y)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """The pictures as files, the third of which is damaged."""
    found = [tmp_path / f"{number}.png" for number in range(10)]
    for path, pixels in zip(found, pictures(), strict=True):
        Image.fromarray(pixels).save(path)
    found[2].write_bytes(b"no image")
    return found


def test_a_damaged_file_is_not_judged(paths: list[Path]) -> None:
    model = trained(TRUTH)
    weights = [1.0] * 10
    weights[4] = 3.0
    wrong = [*TRUTH[:4], 0, *TRUTH[5:]]
    with pytest.warns(UserWarning, match=r"1 of 10 images cannot be read and are not judged; the first: .*2\.png"):
        assert model.score(paths, wrong) == 8 / 9
    with pytest.warns(UserWarning, match="cannot be read"):
        assert model.score(paths, wrong, sample_weight=weights) == 8 / 11
    assert model.evaluate(paths, wrong)[0].accuracy == 8 / 9
    for judge in (model.score, model.evaluate):
        with pytest.raises(CvbowError, match="the image cannot be read"):
            judge(paths[2:3], [1])


@pytest.mark.filterwarnings("ignore:1 of 5 images cannot be read")
def test_a_search_for_parameters_goes_on_beside_a_damaged_file(paths: list[Path]) -> None:
    search = GridSearchCV(ImageClassifier(ColorHistogram()), {"classifier": [DummyClassifier(), "naive-bayes"]}, cv=2)
    search.fit(paths, TRUTH)
    assert search.best_params_ == {"classifier": "naive-bayes"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_classes_that_the_model_does_not_know() -> None:
    model = trained(TRUTH)
    with pytest.raises(CvbowError, match="no image is of a class that the model knows: they are of 7, 8; it"):
        model.evaluate(pictures(), [7, 8] * 5)
    y = [*TRUTH[:8], 7, 12]
    notes = Notes()
    with reporting(notes):
        report, _ = model.evaluate(pictures(), y)
    assert "the model does not know 7, 12: 2 images, each a mistake" in notes.lines
    assert report.unknown_classes == ["7", "12"]
    assert report.classes == ["0", "1", "7", "12"]
    assert report.accuracy == model.score(pictures(), y) == 0.8
    assert report.as_dict()["unknown_classes"] == ["7", "12"]
    assert model.evaluate(pictures(), TRUTH)[0].unknown_classes == []
    many = [f"class {number}" for number in range(10)]
    with pytest.raises(CvbowError, match="they are of class 0, class 1, class 2, class 3, class 4 and 5 more;"):
        trained(["a", "b"] * 5).evaluate(pictures(), many)


def test_one_image_stands_for_a_list_of_one(tmp_path: Path) -> None:
    model = trained(TRUTH)
    picture = pictures()[0]
    Image.fromarray(picture).save(tmp_path / "a.png")
    opaque = np.dstack([picture, np.full((8, 8), 255, np.uint8)])
    path = tmp_path / "a.png"
    for ask in (model.predict_proba, model.decision_function, model.backend_.transform):
        wanted = ask([picture])
        for image in (picture, picture / 255, opaque, Image.fromarray(picture), path, str(path)):
            found = ask(image)
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert len(model.predict(picture)) == 1


def test_what_is_no_set_of_images_is_told() -> None:
    model = trained(TRUTH)
    for ask in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(ValueError, match="images must have at least one image, got none"):
            ask([])
        for nothing in (None, 3, b"a.png"):
            with pytest.raises(ValueError, match="images must be an image, or a sequence of paths or arrays, got"):
                ask(nothing)
    for judge in (model.score, model.evaluate):
        with pytest.raises(ValueError, match="images must have at least one image, got none"):
            judge([], [])


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    trained(["dark" if label == 0 else "bright" for label in TRUTH]).save(tmp_path / "model.cvbow")
    return tmp_path / "model.cvbow"


def folders(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        Image.fromarray(pictures()[number]).save(root / name / "1.png")
    return root


def test_the_command_fails_on_images_of_other_classes(model_file: Path, tmp_path: Path) -> None:
    result = run("evaluate", model_file, folders(tmp_path / "set", "cat", "dog"), "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    expected = "no image is of a class that the model knows: they are of cat, dog; it knows bright, dark"
    assert result.stderr.splitlines()[-1] == f"cvbow: error: {expected}"


def test_the_command_says_which_classes_the_model_does_not_know(model_file: Path, tmp_path: Path) -> None:
    data = folders(tmp_path / "set", "dark", "dog")
    result = run("evaluate", model_file, data)
    assert result.exit_code == 0
    assert "the model does not know dog: 1 image, each a mistake" in result.stderr
    table = [line.split() for line in result.stdout.splitlines()]
    assert ["unknown", "classes", "dog"] in table
    assert ["dark", "1", "1.000", "1.000"] in table
    assert ["dog", "1", "0.000", "-"] in table
    assert "nan" not in result.stdout
    document = json.loads(run("evaluate", model_file, data, "--json", "--quiet").stdout)
    assert document["unknown_classes"] == ["dog"]


@pytest.mark.parametrize("other", ["set/../dark.png", "dark.png"])
def test_a_file_has_one_label(model_file: Path, tmp_path: Path, other: str) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(pictures()[0]).save(tmp_path / "dark.png")
    table = tmp_path / "images.csv"
    table.write_text(f"path,label\ndark.png,dark\n{other},bright\n", encoding="utf-8")
    for command in (("evaluate", model_file, table), ("train", table, "-o", tmp_path / "new.cvbow")):
        result = run(*command)
        assert result.exit_code == 1
        assert f"{other} is listed as dark and as bright; an image has one label" in result.stderr
    assert gather_images([table])[0], "where labels do not matter, it goes on"
    table.write_text("path,label\ndark.png,dark\ndark.png,dark\n", encoding="utf-8")
    assert list_images(table).labels == ("dark", "dark")
    with pytest.raises(ValueError, match=r"names must differ from each other, got '.*dark\.png' twice"):
        LabelledImages.from_list(list_images(table))
