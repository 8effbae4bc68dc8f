"""ImageClassifier: from images to answers and to a file and back, next to images that fail, inside scikit-learn."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags import PixelWords, dictionary
from notes import Notes
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from synthetic import textured
from tiny_images import TEXTURES, texture, write_dataset

from cvbow import storage
from cvbow.backends import BagEncoder
from cvbow.classify import Answers, ImageClassifier, KernelSVM, LinearSVM, make_classifier
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, SpatialPyramid
from cvbow.errors import CvbowError, ImageError, ModelFileError
from cvbow.features import SIFT, DenseSIFT
from cvbow.images import ImageList, list_images
from cvbow.progress import reporting

Pixels = NDArray[np.uint8]


def backend(**parameters: Any) -> BagEncoder:
    words = BagOfWords(KMeansDictionary(n_words=10, max_iter=3))
    return BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), words, sample=400).set_params(**parameters)


@functools.cache
def textures(per_class: int = 4, seed: int = 7) -> tuple[list[Pixels], list[str]]:
    """Images of the three textures, mixed."""
    rng = np.random.default_rng(seed)
    labels = [name for _ in range(per_class) for name in TEXTURES]
    return [texture(name, size=48, rng=rng) for name in labels], labels


@pytest.fixture
def images(tiny_dataset: Path) -> ImageList:
    return list_images(tiny_dataset)


@pytest.fixture(scope="module")
def model() -> ImageClassifier:
    return ImageClassifier(backend()).fit(*textures())


# Learning and answering.


@pytest.mark.parametrize("classifier", ["linear-svm", "naive-bayes", LinearSVM(C=2), LogisticRegression(C=50)])
def test_learns_textures(images: ImageList, tmp_path: Path, classifier: Any) -> None:
    model = ImageClassifier(backend(), classifier).fit(images.paths, images.labels)
    assert model.classes_.tolist() == ["checker", "horizontal", "vertical"]
    others = list_images(write_dataset(tmp_path / "others", seed=1))
    assert model.score(others.paths, others.labels) >= 0.9
    assert model.skipped_ == []
    assert is_classifier(model)


def test_every_answer_is_the_classifiers(model: ImageClassifier) -> None:
    pixels, labels = textures(seed=8)
    vectors = model.backend_.transform(pixels)
    np.testing.assert_array_equal(model.predict(pixels), model.classifier_.predict(vectors))
    np.testing.assert_array_equal(model.predict_proba(pixels), model.classifier_.predict_proba(vectors))
    np.testing.assert_array_equal(model.decision_function(pixels), model.classifier_.decision_function(vectors))
    answers = model.answer(pixels)
    assert isinstance(answers, Answers)
    np.testing.assert_array_equal(answers.labels, model.predict(pixels))
    np.testing.assert_array_equal(answers.probabilities, model.predict_proba(pixels))
    np.testing.assert_array_equal(answers.rows, np.arange(12))
    right = model.predict(pixels) == np.array(labels)
    assert model.score(pixels, labels) == right.mean()
    weights = np.arange(12.0)
    assert model.score(pixels, labels, weights) == pytest.approx((right * weights).sum() / weights.sum())


def test_a_name_and_an_estimator_are_the_same(model: ImageClassifier) -> None:
    pixels, labels = textures()
    other = ImageClassifier(backend(), make_classifier("linear-svm")).fit(pixels, labels)
    np.testing.assert_array_equal(other.predict_proba(pixels), model.predict_proba(pixels))


def test_evaluate_is_the_metrics_of_the_answers(model: ImageClassifier) -> None:
    pixels, labels = textures(seed=9)
    report, answers = model.evaluate(pixels, labels)
    assert report.n_images == 12
    assert report.accuracy == accuracy_score(labels, model.predict(pixels))
    assert report.log_loss == pytest.approx(log_loss(labels, model.predict_proba(pixels), labels=model.classes_))
    np.testing.assert_array_equal(answers.labels, model.predict(pixels))
    mistaken, _ = model.evaluate(pixels, ["unicorn", *labels[1:]])
    assert mistaken.classes == [*model.classes_, "unicorn"]
    assert mistaken.accuracy < report.accuracy


def test_decisions_of_a_classifier_that_has_none() -> None:
    pixels, labels = textures()
    model = ImageClassifier(backend(), "naive-bayes").fit(pixels, labels)
    probabilities = model.predict_proba(pixels)
    decisions = model.decision_function(pixels)
    np.testing.assert_allclose(decisions, np.log(np.maximum(probabilities, 1e-15)))
    two = ImageClassifier(backend(), GaussianNB(var_smoothing=1.0)).fit(pixels, [name == "checker" for name in labels])
    probabilities = two.predict_proba(pixels)
    np.testing.assert_allclose(two.decision_function(pixels), np.log(probabilities[:, 1] / probabilities[:, 0]))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_of_a_classifier_that_has_none(n_classes: int) -> None:
    pixels, labels = textures()
    labels = labels if n_classes == 3 else [str(name == "checker") for name in labels]
    model = ImageClassifier(backend(), LinearSVC(dual=False)).fit(pixels, labels)
    assert not hasattr(model.classifier_, "predict_proba")
    probabilities = model.predict_proba(pixels)
    assert probabilities.shape == (12, n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(pixels))
    decisions = model.decision_function(pixels)
    if n_classes == 2:
        np.testing.assert_allclose(np.log(probabilities[:, 1] / probabilities[:, 0]), decisions)
    report, _ = model.evaluate(pixels, labels)
    assert report.accuracy == model.score(pixels, labels)


@pytest.mark.parametrize("kind", [list, tuple, np.array, functools.partial(np.array, dtype=object)])
def test_labels_of_any_kind(kind: Any, tmp_path: Path) -> None:
    pixels, names = textures()
    expected = ImageClassifier(backend()).fit(pixels, names).predict(pixels)
    model = ImageClassifier(backend()).fit(pixels, kind(names))
    np.testing.assert_array_equal(model.predict(pixels), expected)
    model.save(tmp_path / "model.cvbow")
    np.testing.assert_array_equal(ImageClassifier.load(tmp_path / "model.cvbow").predict(pixels), expected)
    numbers = [10 * TEXTURES.index(name) for name in names]
    by_number = ImageClassifier(backend()).fit(pixels, kind(numbers))
    np.testing.assert_array_equal(by_number.predict(pixels), [10 * TEXTURES.index(name) for name in expected])
    report, _ = by_number.evaluate(pixels, numbers)  # type: ignore[arg-type]
    assert report.classes == ["0", "10", "20"]
    assert report.accuracy == by_number.score(pixels, numbers)


def test_the_seconds_of_the_steps(model: ImageClassifier) -> None:
    assert list(model.seconds_) == ["extract", "dictionary", "encode", "classifier", "total"]
    *steps, total = model.seconds_.values()
    assert min(steps) >= 0
    assert 0.5 * total < sum(steps) <= total


def test_fit_leaves_the_parameters_alone() -> None:
    inside, classifier = backend(), LinearSVM()
    model = ImageClassifier(inside, classifier, recipe={"preset": "mine"})
    assert model.fit(*textures()) is model
    assert model.backend is inside
    assert model.classifier is classifier
    assert not hasattr(inside, "encoder_")
    assert not hasattr(classifier, "coef_")
    copy = clone(model)
    assert not hasattr(copy, "classifier_")
    assert copy.recipe == {"preset": "mine"}


# Images that cannot be read, and classes of which little is left.


@pytest.fixture
def damaged(images: ImageList) -> ImageList:
    """The first image of a class is empty, the last of another cut off, one is missing."""
    images.paths[0].write_bytes(b"")
    images.paths[11].write_bytes(images.paths[11].read_bytes()[:60])
    images.paths[12].unlink()
    return images


def test_training_goes_on_past_images_that_cannot_be_read(damaged: ImageList, model: ImageClassifier) -> None:
    trained = ImageClassifier(backend()).fit(damaged.paths, damaged.labels)
    assert [error.path for error in trained.skipped_] == [str(damaged.paths[number]) for number in (0, 11, 12)]
    assert all(isinstance(error, ImageError) and error.reason for error in trained.skipped_)
    # The labels stay with their images.
    kept = [number for number in range(18) if number not in (0, 11, 12)]
    report, answers = trained.evaluate(damaged.paths, damaged.labels)
    assert report.n_images == 15
    np.testing.assert_array_equal(answers.rows, kept)
    assert [error.path for error in answers.skipped] == [error.path for error in trained.skipped_]
    assert report.accuracy == 1
    with pytest.raises(ImageError, match="the file is empty"):
        trained.predict(damaged.paths)


def test_answers_in_parts_are_those_at_once(damaged: ImageList, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ImageClassifier(backend()).fit(*textures())
    whole = model.answer(damaged.paths)
    pixels, labels = textures(seed=8)
    with pytest.warns(UserWarning, match="cannot be read"):
        score = model.score(damaged.paths, damaged.labels)
    decided, predicted = model.decision_function(pixels), model.predict(pixels)
    monkeypatch.setattr("cvbow.classify.image_classifier._VECTORS_AT_ONCE", 4 * 2 * model.backend_.vector_length)
    parts = model.answer(damaged.paths)
    np.testing.assert_array_equal(parts.labels, whole.labels)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=1e-5)
    np.testing.assert_array_equal(parts.rows, whole.rows)
    assert [error.path for error in parts.skipped] == [error.path for error in whole.skipped]
    assert len(model.answer([]).labels) == 0
    with pytest.warns(UserWarning, match="cannot be read"):
        assert model.score(damaged.paths, damaged.labels) == score
    np.testing.assert_allclose(model.decision_function(pixels), decided, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(pixels), predicted)
    assert model.predict_proba(pixels).shape == (len(labels), 3)


def test_strict_stops_at_the_first(damaged: ImageList) -> None:
    with pytest.raises(ImageError, match="the file is empty") as caught:
        ImageClassifier(backend()).fit(damaged.paths, damaged.labels, strict=True)
    assert caught.value.path == str(damaged.paths[0])
    # Also when the sample is not drawn from it.
    with pytest.raises(ImageError):
        ImageClassifier(backend(sample_images=1)).fit(damaged.paths, damaged.labels, strict=True)
    model = ImageClassifier(backend()).fit(*textures())
    for judge in (model.answer, lambda paths, strict: model.evaluate(paths, damaged.labels, strict=strict)):
        with pytest.raises(ImageError, match="the file is empty"):
            judge(damaged.paths, strict=True)  # type: ignore[operator]


def test_nothing_to_judge(model: ImageClassifier, tmp_path: Path) -> None:
    missing = [tmp_path / "a.png", tmp_path / "b.png"]
    answers = model.answer(missing)
    assert len(answers.labels) == len(answers.rows) == 0
    assert answers.probabilities.shape == (0, 3)
    assert [error.reason for error in answers.skipped] == ["there is no such file"] * 2
    with pytest.raises(CvbowError, match="none of the 2 images could be read"):
        model.evaluate(missing, ["checker", "vertical"])


def test_two_classes_are_needed(images: ImageList) -> None:
    one = "a classifier needs at least two classes; the images have only 'checker'"
    with pytest.raises(CvbowError, match=one):
        ImageClassifier(backend()).fit(images.paths[:6], images.labels[:6])
    with pytest.raises(CvbowError, match="the images have none"):
        ImageClassifier(backend()).fit([], [])
    for path in images.paths[6:]:
        path.write_bytes(b"")
    left = "the 6 images that could be read have only 'checker'"
    with pytest.raises(CvbowError, match=left):
        ImageClassifier(backend()).fit(images.paths, images.labels)


def test_a_class_with_a_single_image_and_images_without_anything() -> None:
    notes = Notes()

    pixels, labels = textures()
    extra = [np.full((48, 48), 90, np.uint8), np.zeros((1, 1), np.uint8), textured(48, 48)]
    with reporting(notes, details=True):
        model = ImageClassifier(backend(encoder__dictionary__n_words=60), LinearSVM(C=100))
        model.fit([*pixels, *extra], [*labels, "checker", "vertical", "alone"])
    assert model.classes_.tolist() == ["alone", *TEXTURES]
    assert model.predict([extra[2]]) == ["alone"]
    assert model.score(pixels, labels) >= 0.9
    assert np.isfinite(model.predict_proba(extra)).all()
    assert "class alone: a single image to learn from" in notes.lines
    assert "image 12: all 48x48 pixels have one colour; it is kept" in notes.lines
    assert "image 13: all 1x1 pixels have one colour; it is kept" in notes.lines
    assert any(line.startswith("classifier: 15 vectors of 60 values, 4 classes") for line in notes.lines)


# The file.


@pytest.mark.parametrize(
    "built",
    [
        ImageClassifier(backend()),
        ImageClassifier(BagEncoder(SIFT(contrast_threshold=0.01), BagOfWords(KMeansDictionary(n_words=5)))),
        ImageClassifier(backend(position_weight=0.5), KernelSVM("chi2")),
        ImageClassifier(backend(), make_pipeline(StandardScaler(), LogisticRegression()), recipe={"C": 1.0}),
    ],
)
def test_a_loaded_model_answers_bit_for_bit(built: ImageClassifier, tmp_path: Path) -> None:
    pixels, labels = textures()
    model = clone(built).fit(pixels, labels)
    digest = model.save(tmp_path / "model.cvbow")
    loaded = ImageClassifier.load(tmp_path / "model.cvbow")
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(loaded, method)(pixels), getattr(model, method)(pixels))
    assert loaded.save(tmp_path / "again.cvbow") == digest
    assert repr(clone(loaded.backend)) == repr(clone(model.backend))
    assert loaded.recipe == model.recipe


def test_the_hash_depends_on_neither_the_workers_nor_the_run(images: ImageList, tmp_path: Path) -> None:
    forest = make_classifier("random-forest", n_estimators=20)

    def digest(**parameters: Any) -> str:
        model = ImageClassifier(backend(**parameters), forest).fit(images.paths, images.labels)
        return model.save(tmp_path / "model.cvbow")

    digests = {digest(n_jobs=n_jobs) for n_jobs in (1, 2, None)}
    assert len(digests) == 1
    assert digest(random_state=1) not in digests


def test_what_belongs_to_a_run_is_not_in_the_file(damaged: ImageList, tmp_path: Path) -> None:
    model = ImageClassifier(backend(n_jobs=2, memory=str(tmp_path / "cache"))).fit(damaged.paths, damaged.labels)
    model.save(tmp_path / "model.cvbow")
    assert str(tmp_path).encode() not in (tmp_path / "model.cvbow").read_bytes()
    loaded = ImageClassifier.load(tmp_path / "model.cvbow")
    assert loaded.backend_.n_jobs is None
    assert loaded.backend_.memory is None
    assert ImageClassifier.load(tmp_path / "model.cvbow", n_jobs=2).backend_.n_jobs == 2


def test_what_the_file_says_about_itself(tmp_path: Path) -> None:
    pixels, labels = textures()
    model = ImageClassifier(backend(), recipe={"preset": "mine", "grids": ["1x1"]}).fit(pixels, labels)
    digest = model.save(tmp_path / "model.cvbow")
    stored = storage.inspect(tmp_path / "model.cvbow")
    assert stored.kind == "classifier"
    assert stored.content_hash == digest
    assert stored.metadata == {
        "recipe": {"preset": "mine", "grids": ["1x1"]},
        "classes": list(TEXTURES),
        "n_words": 10,
        "vector_length": 10,
        "knows": ["label sets", "strangers"],
    }


def test_before_fit(tmp_path: Path) -> None:
    unfitted = ImageClassifier(backend())
    pixels, labels = textures()
    for use in (unfitted.predict, unfitted.predict_proba, unfitted.decision_function, unfitted.answer):
        with pytest.raises(NotFittedError):
            use(pixels)
    with pytest.raises(NotFittedError):
        unfitted.evaluate(pixels, labels)
    with pytest.raises(NotFittedError):
        unfitted.save(tmp_path / "model.cvbow")
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_that_no_file_may_hold(tmp_path: Path) -> None:
    model = ImageClassifier(backend(), DummyClassifier()).fit(*textures())
    with pytest.raises(TypeError, match=r"state\.classifier is a sklearn\.dummy\.DummyClassifier"):
        model.save(tmp_path / "model.cvbow")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", [None, [1, 2], LinearSVM(), ImageClassifier(backend())])
def test_a_file_without_a_trained_model_is_refused(tmp_path: Path, state: object) -> None:
    path = tmp_path / "model.cvbow"
    storage.save(path, kind="classifier", state=state, metadata={})
    with pytest.raises(ModelFileError, match="holds no trained image classifier"):
        ImageClassifier.load(path)
    storage.save(path, kind="index", state=state, metadata={})
    with pytest.raises(ModelFileError, match="holds an index, not a classifier"):
        ImageClassifier.load(path)
    with pytest.raises(FileNotFoundError):
        ImageClassifier.load(tmp_path / "missing.cvbow")


# Mistakes.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backend": None}, r"backend must be an ImageEncoder such as BagEncoder\(\.\.\.\), got None"),
        ({"backend": DenseSIFT()}, "backend must be an ImageEncoder"),
        ({"classifier": "svm"}, "classifier 'svm' is unknown; did you mean linear-svm"),
        ({"classifier": 3}, "classifier must be a name or a classifier, got 3"),
    ],
)
def test_a_bad_parameter_is_named_before_an_image_is_read(parameters: dict[str, Any], message: str) -> None:
    model = ImageClassifier(**{"backend": backend()} | parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(["missing.png"] * 2, ["a", "b"])


def test_labels_that_do_not_fit_are_refused(model: ImageClassifier) -> None:
    pixels, labels = textures()
    with pytest.raises(ValueError, match=r"y must hold a label for each of 12 images, got shape \(11,\)"):
        ImageClassifier(backend()).fit(pixels, labels[1:])
    with pytest.raises(ValueError, match="y must hold a label"):
        ImageClassifier(backend()).fit(pixels, np.array(labels)[:, None])
    with pytest.raises(ValueError, match="y must hold a label for each of 12 images, got shape"):
        model.evaluate(pixels, labels[1:])


# Inside scikit-learn.


def test_cross_validation(images: ImageList) -> None:
    scores = cross_val_score(ImageClassifier(backend()), images.paths, images.labels, cv=3)
    assert scores.shape == (3,)
    assert scores.mean() >= 0.9
    losses = cross_val_score(ImageClassifier(backend()), images.paths, images.labels, cv=2, scoring="neg_log_loss")
    assert (losses > -np.log(3)).all()
    predicted = cross_val_predict(ImageClassifier(backend()), list(images.paths), images.labels, cv=2)
    assert (predicted == np.array(images.labels)).mean() >= 0.8


def test_grid_search_reaches_every_part(images: ImageList) -> None:
    search = GridSearchCV(
        ImageClassifier(backend(), LinearSVM()),
        {"backend__encoder__dictionary__n_words": [1, 12], "classifier__C": [1e-3, 10.0]},
        cv=2,
    )
    search.fit(images.paths, images.labels)
    found = {
        tuple(p.values()): score
        for p, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True)
    }
    assert search.best_params_["backend__encoder__dictionary__n_words"] == 12
    # One word tells nothing apart.
    assert max(found[1, 1e-3], found[1, 10.0]) < 0.6 < 0.9 <= found[12, 10.0]
    assert search.best_estimator_.backend_.encoder_.n_words == 12
    assert search.best_params_["classifier__C"] == search.best_estimator_.classifier_.C
    assert search.score(images.paths, images.labels) >= 0.9


def test_grid_search_over_names(images: ImageList) -> None:
    search = GridSearchCV(ImageClassifier(backend()), {"classifier": ["naive-bayes", "nearest-neighbors"]}, cv=3)
    assert search.fit(images.paths, images.labels).best_score_ >= 0.8


def test_two_backends_side_by_side(images: ImageList) -> None:
    union = FeatureUnion([("sift", backend()), ("pixels", BagEncoder(PixelWords(), BagOfWords(dictionary(6))))])
    union.set_params(sift__encoder__dictionary__n_words=7)
    pipeline = make_pipeline(union, LogisticRegression(C=100))
    pipeline.fit(images.paths, images.labels)
    vectors = union.fit(images.paths).transform(images.paths)
    assert vectors.shape == (18, 13)
    left = clone(union.transformer_list[0][1]).fit(images.paths).transform(images.paths)
    np.testing.assert_array_equal(vectors[:, :7], left)
    assert pipeline.score(images.paths, images.labels) >= 0.9
    assert clone(pipeline).get_params()["featureunion__sift__encoder__dictionary__n_words"] == 7
    scores = cross_val_score(pipeline, images.paths, images.labels, cv=2)
    assert scores.mean() >= 0.8


def test_parameters_of_every_level() -> None:
    model = ImageClassifier(BagEncoder(DenseSIFT(), SpatialPyramid(BagOfWords(KMeansDictionary()))), LinearSVM())
    model.set_params(
        backend__extractor__step=9,
        backend__encoder__grids=("3x1",),
        backend__encoder__encoder__weighting="binary",
        backend__encoder__encoder__dictionary__n_words=77,
        backend__sample=5,
        classifier__C=0.5,
    )
    assert model.backend.extractor.step == 9
    assert model.backend.encoder.grids == ("3x1",)
    assert model.backend.encoder.encoder.weighting == "binary"
    assert model.backend.encoder.encoder.dictionary.n_words == 77
    assert model.backend.sample == 5
    assert model.classifier.C == 0.5
    assert clone(model).get_params(deep=True).keys() == model.get_params(deep=True).keys()
    with pytest.raises(ValueError, match="Invalid parameter 'words'"):
        model.set_params(backend__words=3)


def test_an_image_file_of_another_kind(model: ImageClassifier, tmp_path: Path) -> None:
    pixels = textures(seed=3)[0][0]
    colour = np.repeat(pixels[:, :, None], 3, axis=2)
    Image.fromarray(colour).save(tmp_path / "colour.tiff")
    np.testing.assert_array_equal(model.predict_proba([tmp_path / "colour.tiff"]), model.predict_proba([pixels]))


def test_a_list_of_images_brings_its_labels_along(tmp_path: Path) -> None:
    pixels, labels = textures()
    paths = []
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        for split in ("train", "test"):
            path = tmp_path / split / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            paths.append(path)
    images = list_images(tmp_path)
    train, test = images.select("train"), images.select("test")
    model = ImageClassifier(backend()).fit(train)
    report, answers = model.evaluate(test)
    assert report.n_images == len(test)
    assert model.score(test) == report.accuracy
    np.testing.assert_array_equal(model.predict(test), answers.labels)
    np.testing.assert_array_equal(model.predict_proba(test), model.predict_proba(test.paths))
    with pytest.raises(ValueError, match=r"of one split, such as images.select\('train'\), got test, train"):
        model.fit(images)
    with pytest.raises(ValueError, match="y must be the labels of the images; only an ImageList"):
        model.evaluate(test.paths)


def test_a_preset_in_place_of_a_backend_is_told_where_it_goes() -> None:
    with pytest.raises(ValueError, match=r"got 'fast'; for a preset, make_model\('fast'\)$"):
        ImageClassifier("fast").fit([], [])


def test_no_other_file_is_replaced_by_a_model(tmp_path: Path) -> None:
    pixels, labels = textures()
    model = ImageClassifier(backend()).fit(pixels, labels)
    readme = tmp_path / "README.md"
    readme.write_text("read me")
    with pytest.raises(ModelFileError, match="is there, and is no image classifier: it is replaced with force=True"):
        model.save(readme)
    assert readme.read_text() == "read me"
    empty = tmp_path / "empty.cvbow"
    empty.touch()
    first = model.save(empty)
    assert model.save(empty) == first
    assert model.save(readme, force=True) == first
    assert ImageClassifier.load(readme).classes_.tolist() == model.classes_.tolist()
