"""Sets of labels that hold the right ones as often as was asked, from probabilities to the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tiny_images import write_dataset

from cvbow import CvbowError, ImageClassifier, LinearSVM, classification_report, labels_report, list_images
from cvbow.backends import CensusPyramid, ColorHistogram
from cvbow.classify import MultiLabelClassifier, PredictionSets
from cvbow.classify._quantiles import bound, shorten
from cvbow_cli.main import cli

Drawn = tuple[NDArray[np.float64], NDArray[np.bool_]]


def drawn(n: int, seed: int = 0, n_classes: int = 5) -> Drawn:
    """Probabilities that are true, and the classes that were drawn by them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.4] * n_classes, size=n)
    return probabilities, np.array([rng.multinomial(1, row) for row in probabilities], bool)


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 99))
def test_a_bound_is_the_value_at_its_place(n: int, share: float, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 20, n).astype(float)
    found = bound(shorten(values), n, share)
    place = int(np.ceil(share * (n + 1) - 1e-9))
    assert found == (np.inf if place > n else np.sort(values)[place - 1])


def test_many_values_are_kept_as_a_thousand() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    kept = shorten(values)
    assert len(kept) == 1001
    for share in (0.01, 0.5, 0.9, 0.95, 0.999):
        assert abs((values <= bound(kept, len(values), share)).mean() - share) < 0.0011
    # A value of weight 3 is there three times, one of weight 0 not at all.
    counts = np.arange(20_000) % 4
    weighted, repeated = shorten(values, counts.astype(float)), shorten(values.repeat(counts))
    np.testing.assert_allclose(weighted, repeated, atol=1e-3)


def test_by_hand() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])
    has = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], bool)
    sets = PredictionSets().fit(probabilities, has)
    # The right classes come after nothing, after 0.7, and after 0.5 and 0.3.
    np.testing.assert_allclose(sets.kept_, [0, 0.7, 0.8])
    assert sets.of(probabilities, 0.25).tolist() == (probabilities.argmax(axis=1)[:, None] == np.arange(3)).tolist()
    assert sets.of(probabilities, 0.5).sum(axis=1).tolist() == [2, 2, 2]
    assert sets.of(np.array([[0.69, 0.3, 0.01], [0.71, 0.28, 0.01]]), 0.5).tolist() == [[1, 1, 0], [1, 0, 0]]
    assert sets.of(probabilities, 0.75).sum(axis=1).tolist() == [2, 2, 3], "the third class comes after 0.9 and 0.8"
    assert sets.of(probabilities, 0.99).all(), "three images do not tell of one in a hundred"


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_coverage_is_what_was_asked_for(coverage: float) -> None:
    found, sizes = [], []
    for seed in range(5):
        sets = PredictionSets().fit(*drawn(800, seed))
        probabilities, has = drawn(2000, 100 + seed)
        held = sets.of(probabilities, coverage)
        found.append((held & has).any(axis=1).mean())
        sizes.append(held.sum(axis=1).mean())
        assert held.any(axis=1).all()
        assert held[np.arange(2000), probabilities.argmax(axis=1)].all()
    # The most probable class alone is right for nearly 0.6 of these.
    assert max(coverage, 0.58) - 0.02 < np.mean(found) < max(coverage, 0.6) + 0.02
    assert np.mean(sizes) < 5 * coverage


def test_a_larger_coverage_has_larger_sets() -> None:
    sets = PredictionSets().fit(*drawn(500))
    probabilities, _ = drawn(300, 7)
    before = np.zeros_like(probabilities, bool)
    for coverage in (0.1, 0.5, 0.9, 0.95, 0.999):
        held = sets.of(probabilities, coverage)
        assert (held >= before).all()
        before = held


def test_sets_of_several_labels_hold_all_of_them() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.beta(0.5, 0.5, size=(3000, 4))
    has = rng.random(probabilities.shape) < probabilities
    sets = PredictionSets(several=True).fit(probabilities[:1000], has[:1000])
    for coverage in (0.8, 0.95):
        held = sets.of(probabilities[1000:], coverage)
        assert abs((held >= has[1000:]).all(axis=1).mean() - coverage) < 0.02
    assert not PredictionSets(several=True).fit(probabilities[:9], np.zeros((9, 4), bool)).of(probabilities, 0.5).any()


def test_wrong_values_are_refused() -> None:
    probabilities, has = drawn(20)
    with pytest.raises(ValueError, match="has must be of shape"):
        PredictionSets().fit(probabilities, has[:10])
    with pytest.raises(ValueError, match="has must be of shape"):
        PredictionSets().fit(probabilities[:0], has[:0])
    sets = PredictionSets().fit(probabilities, has)
    for coverage in (0, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="coverage must be a number > 0"):
            sets.of(probabilities, coverage)
    with pytest.raises(ValueError, match="several must be True or False"):
        PredictionSets(several=1).fit(probabilities, has)  # type: ignore[arg-type]


def clusters(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    return (np.eye(30)[y] + 0.45 * rng.normal(size=(n, 30))).astype(np.float32), y


def test_held_out_decisions_make_sets_that_hold_for_new_vectors() -> None:
    X, y = clusters(600, 0)
    new, truth = clusters(3000, 1)
    svm = LinearSVM().fit(X, y)
    sets = PredictionSets().fit(svm.to_probabilities(svm.held_out_.decisions), svm.held_out_.labels.members(4))
    probabilities = svm.predict_proba(new)
    assert (probabilities.argmax(axis=1) == truth).mean() < 0.88
    for coverage in (0.9, 0.95):
        held = sets.of(probabilities, coverage)
        assert abs(held[np.arange(3000), truth].mean() - coverage) < 0.02


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("sets") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> ImageClassifier:
    images = list_images(folder)
    return ImageClassifier(CensusPyramid(radii=(1, 2), grids=("1x1",))).fit(images.paths, images.labels)


def test_a_model_gives_sets_and_its_file_does(model: ImageClassifier, folder: Path, tmp_path: Path) -> None:
    images = list_images(folder)
    sets = model.predict_set(images.paths, 0.8)
    assert [names[0] for names in sets] == model.predict(images.paths).tolist()
    assert model.sets_ is not None
    assert model.sets_.n_images_ == 18
    held = model.sets_.of(model.predict_proba(images.paths), 0.8)
    assert [set(names) for names in sets] == [set(model.classes_[row].tolist()) for row in held]
    answers = model.answer([images.paths[0], "missing.png", images.paths[7]], coverage=0.8)
    assert answers.sets == [sets[0], sets[7]]
    model.save(tmp_path / "model.cvbow")
    again = ImageClassifier.load(tmp_path / "model.cvbow")
    assert again.predict_set(images.paths, 0.8) == sets
    with pytest.raises(ValueError, match="coverage must be"):
        model.predict_set(images.paths, 1.0)


def test_a_model_of_several_labels_gives_sets(folder: Path) -> None:
    images = list_images(folder)
    labels = [[name] * (name != "checker") + ["any"] * (row % 2) for row, name in enumerate(images.labels)]
    for classifier in (LinearSVM(), "decision-tree"):
        model = ImageClassifier(CensusPyramid(radii=(1, 2), grids=("1x1",)), classifier).fit(images.paths, labels)
        assert isinstance(model.classifier_, MultiLabelClassifier)
        found = model.predict_set(images.paths, 0.5)
        assert np.mean([set(names) >= set(has) for names, has in zip(found, labels, strict=True)]) >= 0.5
        assert model.evaluate(images.paths, labels)[0].coverage is not None


def test_a_model_without_sets_says_so(folder: Path, tmp_path: Path) -> None:
    images = list_images(folder)
    model = ImageClassifier(ColorHistogram(), "naive-bayes").fit(images.paths, images.labels)
    with pytest.raises(CvbowError, match=r"makes no sets of labels.*GaussianNB"):
        model.predict_set(images.paths)
    report, answers = model.evaluate(images.paths, images.labels)
    assert report.coverage is None
    assert answers.sets is None
    model.save(tmp_path / "bayes.cvbow")
    result = CliRunner().invoke(cli, ["predict", str(tmp_path / "bayes.cvbow"), str(images.paths[0]), "--coverage=0.9"])
    assert result.exit_code == 1
    assert "makes no sets of labels" in result.stderr


def test_the_command_line_gives_sets(model: ImageClassifier, folder: Path, tmp_path: Path) -> None:
    path, image = tmp_path / "model.cvbow", str(folder / "vertical/00.png")
    model.save(path)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, [arguments[0], str(path), *arguments[1:]])
        assert result.exit_code == 0, result.output
        return result.stdout

    (row,) = json.loads(run("predict", image, "--coverage", "0.8", "--json"))
    assert set(row) == {"path", "label", "scores", "labels", "none_of_these", "stranger"}
    assert row["labels"][0] == row["label"] == "vertical"
    assert row["none_of_these"] is False
    assert isinstance(row["stranger"], float)
    assert "{vertical" in run("predict", image, "--coverage", "0.8").split("\t")[2]
    document = json.loads(run("evaluate", str(folder), "--json"))
    assert 0 <= document["coverage"] <= 1
    assert 1 <= document["mean_set_size"] <= 3
    assert 0 <= document["calibration_error"] <= 1
    assert "in sets of 95 %" in run("evaluate", str(folder))
    assert json.loads(run("info", "--json"))["knows"] == ["label sets", "strangers"]
    page = tmp_path / "page.html"
    run("evaluate", str(folder), "--report", str(page))
    assert "Sets of labels that should hold the right one" in page.read_text()


def test_what_is_said_beside_a_set_does_not_contradict_it(tmp_path: Path) -> None:
    # Of fewer images none is stranger than 95 of 100.
    images = list_images(write_dataset(tmp_path / "tiny", per_class=12))
    path, plain = str(tmp_path / "model.cvbow"), str(tmp_path / "plain.png")
    ImageClassifier(CensusPyramid(radii=(1, 2), grids=("1x1",))).fit(images.paths, images.labels).save(path)
    Image.new("L", (48, 48), 200).save(plain)
    arguments = ["predict", path, plain, "--coverage", "0.8"]
    (row,) = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert (row["none_of_these"], len(row["labels"])) == (True, 1)
    said = CliRunner().invoke(cli, arguments).stdout.rstrip("\n").split("\t")
    assert said[2:] == [f"{{{row['labels'][0]}}}", "perhaps none of these"]
    (table,) = ImageClassifier.load(path).answer([plain], coverage=0.8).tables()
    assert table.rows[0][-1] == "perhaps"


def test_a_network_makes_no_sets(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    arguments = ["predict", "--network", "resnet18", "--labels", str(labels), "x.png", "--coverage", "0.9"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "--coverage needs a model of cvbow's" in result.stderr


def test_reports_count_what_sets_hold() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    sets = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], bool)
    report = classification_report(["a", "b", "a", "new"], probabilities, ["a", "b"], sets=sets)
    assert (report.coverage, report.mean_set_size) == (0.5, 1.25)
    # Bins of 0.1: 0.9 is right, 0.8, 0.7 and 0.6 are wrong.
    assert report.calibration_error == pytest.approx((0.1 + 0.8 + 0.7 + 0.6) / 4)
    assert report.as_dict()["coverage"] == 0.5
    several = labels_report([["a"], ["a", "b"], [], ["b", "new"]], probabilities, ["a", "b"], sets=sets)
    assert (several.coverage, several.mean_set_size) == (0.75, 1.25)
    assert several.as_dict()["mean_set_size"] == 1.25
    assert classification_report(["a"], probabilities[:1], ["a", "b"]).coverage is None
