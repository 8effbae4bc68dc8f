"""What is loaded holds what its class promises: the rules, and each part of each class that a file may hold, forged."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cvbow
from cvbow import ImageClassifier, storage
from cvbow.backends import ColorHistogram
from cvbow.errors import ModelFileError
from cvbow.storage import Array, ClassNames, Number, Part, check_learned
from cvbow.storage._classes import _CLASSES
from cvbow.storage._scikit_learn import CHECKS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    import fuzz_states

    yield fuzz_states
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def states(fuzz: Any, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any, Any]]:
    return list(fuzz.fitted_states(str(tmp_path_factory.mktemp("networks"))))


RULES = {"words_": Array("float32", "n_words k"), "counts_": Array("float64", "n_words", minimum=0, optional=True)}
GOOD = {"words_": np.ones((3, 4), np.float32), "counts_": np.ones(3)}


def test_what_fits_passes_and_so_does_what_was_never_fitted() -> None:
    check_learned(RULES, GOOD)
    check_learned(RULES, {"words_": GOOD["words_"]})
    check_learned(RULES, {"n_words": 3})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("words_", None, "words_ must be there"),
        ("words_", [[1.0, 2.0]], r"^words_ must be a float32 array of shape \(n_words, k\), got \[\[1.0, 2.0\]\]"),
        ("words_", np.ones((3, 4)), "got float64 of shape"),
        ("words_", np.ones((0, 4), np.float32), r"got float32 of shape \(0, 4\)"),
        ("words_", np.ones(4, np.float32), r"got float32 of shape \(4,\)"),
        ("words_", np.ones((3, 4), ">f4"), "got >f4 of shape"),
        ("words_", np.full((3, 4), np.nan, np.float32), "words_ must be finite"),
        ("words_", np.float32([[1, -np.inf, 1, 1]] * 3), "words_ must be finite"),
        (
            "counts_",
            np.ones(4),
            r"counts_ must be .* of shape \(n_words,\), with n_words = 3, got float64 of shape \(4,\)",
        ),
        ("counts_", np.array([1.0, -1, 0]), "counts_ must be >= 0, got -1"),
    ],
)
def test_an_array_that_breaks_its_rule(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_learned(RULES, GOOD | {name: value})


def test_other_rules() -> None:
    scores = {
        "n_features_in_": Number(integer=True),
        "classes_": ClassNames(),
        "coef_": Array("floating", "n_scores n_features_in_"),
    }
    two, three = np.array(["a", "b"]), np.array(["a", "b", "c"])
    check_learned(scores, {"n_features_in_": 4, "classes_": two, "coef_": np.ones((1, 4))})
    check_learned(scores, {"n_features_in_": np.int64(4), "classes_": three, "coef_": np.ones((3, 4), np.float32)})
    for classes, coef in (
        (two, (3, 4)),
        (three, (1, 4)),
        (three, (3, 5)),
        (three[::-1], (3, 4)),
        (three[[0, 0, 1]], (3, 4)),
    ):
        with pytest.raises(ValueError, match=r"coef_|classes_"):
            check_learned(scores, {"n_features_in_": 4, "classes_": classes, "coef_": np.ones(coef)})
    for value in (True, 2.5, "4", float("nan"), None, 1 << 80):
        with pytest.raises(ValueError, match="n_features_in_ must be"):
            check_learned(scores, {"n_features_in_": value, "classes_": two, "coef_": np.ones((1, 4))})
    with pytest.raises(ValueError, match="sigma_ must be > 0, got 0"):
        check_learned({"sigma_": Number(above=0)}, {"sigma_": 0.0})
    with pytest.raises(ValueError, match="backend_ must be of the kind ColorHistogram, got 3"):
        check_learned({"backend_": Part(ColorHistogram)}, {"backend_": 3})
    only = {"axes_": Array("float64", "n", only_if="pca"), "n_": Number()}
    check_learned(only, {"n_": 1, "pca": None})
    with pytest.raises(ValueError, match="axes_ must be there"):
        check_learned(only, {"n_": 1, "pca": 2})


def _classes(fuzz: Any, built: Any) -> set[type]:
    return {type(fuzz._owner(built, place)) for place in fuzz.places(built)} | {type(built)}


def test_every_class_that_a_file_may_hold_is_forged(fuzz: Any, states: list[tuple[str, Any, Any]]) -> None:
    found = set().union(*(_classes(fuzz, built) for _, built, _ in states))
    own = {kind for name, kind in _CLASSES.items() if kind.__module__.startswith(f"{cvbow.__name__}.")}
    assert own <= found
    assert {name.rpartition(".")[2] for name in CHECKS} <= {kind.__name__ for kind in found}


def test_each_learned_part_forged_is_refused_or_harmless(
    fuzz: Any, states: list[tuple[str, Any, Any]], tmp_path: Path
) -> None:
    """One hostile value, of those that suit it best, for each learned attribute of each class, once."""
    seen = set()
    outcomes = set()
    for what, built, answer in states:
        expected = None
        for place in fuzz.places(built):
            key = type(fuzz._owner(built, place)), place[1]
            if key in seen or not place[1].endswith("_"):
                continue
            seen.add(key)
            expected = answer(copy.deepcopy(built)) if expected is None else expected
            names = fuzz.hostile(fuzz.value_at(built, place))
            name = next(one for one in ("all nan", "a part nan", "all equal", "nan within", "nan") if one in names)
            outcome, reason = fuzz.judge(copy.deepcopy(built), place, name, answer, expected, tmp_path / "forged")
            assert outcome != "failure", (what, place, name, reason)
            outcomes.add(outcome)
    assert "refused" in outcomes


def textures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in range(6)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes_": np.array(["a", "b"])}, "classes_ must be those of classifier_"),
        ({"recipe": "text"}, "recipe must be a mapping or None, got 'text'"),
        ({"backend_": ColorHistogram(bins=(2, 2, 3))}, "features"),
        ({"classifier_": None}, "classifier_ must be there"),
    ],
)
def test_a_model_whose_parts_do_not_fit(fuzz: Any, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    model = ImageClassifier(ColorHistogram(bins=(2, 2, 2)), "linear-svm").fit(textures(), ["a", "b", "c"] * 2)
    vars(model).update(change)
    fuzz.write(tmp_path / "model", model)
    with pytest.raises(ModelFileError, match=message):
        storage.load(tmp_path / "model", kind="example")


def test_a_model_file_says_of_its_model_what_the_model_says(tmp_path: Path) -> None:
    model = ImageClassifier(ColorHistogram(bins=(2, 2, 2)), "linear-svm").fit(textures(), ["a", "b", "c"] * 2)
    path = tmp_path / "model.cvbow"
    for name, value in (("classes", ["a", "b"]), ("vector_length", 9), ("recipe", "text")):
        storage.save(path, kind="classifier", state=model, metadata={name: value})
        with pytest.raises(ModelFileError, match=f"says other {name} of its model than the model has"):
            ImageClassifier.load(path)
