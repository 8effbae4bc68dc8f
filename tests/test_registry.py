"""The registry of classifiers: names, defaults, parameters by their plain names, and what asking for one loads."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.naive_bayes import GaussianNB

from cvbow.classify import CLASSIFIERS, FusionClassifier, KernelSVM, LinearSVM, make_classifier

NAMES = [
    "linear-svm",
    "tuned-svm",
    "chi2-svm",
    "intersection-svm",
    "rbf-svm",
    "chi2-map-svm",
    "standardized-svm",
    "kernel-ridge",
    "rbf-fusion",
    "logistic-regression",
    "naive-bayes",
    "decision-tree",
    "random-forest",
    "boosted-trees",
    "nearest-neighbors",
    "mlp",
]


def test_the_names() -> None:
    assert list(CLASSIFIERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_defaults_reach_the_classifier(name: str) -> None:
    entry = CLASSIFIERS[name]
    assert entry.summary
    classifier = make_classifier(name)
    assert is_classifier(classifier)
    assert not hasattr(classifier, "classes_")
    parameters = classifier.get_params()
    for key, value in entry.defaults.items():
        found = [parameters[full] for full in parameters if full == key or full.endswith(f"__{key}")]
        assert found == [value], key
    # A second one is another object, with the same parameters.
    other = make_classifier(name)
    assert other is not classifier
    assert repr(other) == repr(classifier) == repr(clone(classifier))


def test_what_the_names_stand_for() -> None:
    assert isinstance(make_classifier("linear-svm"), LinearSVM)
    assert isinstance(make_classifier("naive-bayes"), GaussianNB)
    for name in ("chi2", "intersection", "rbf"):
        classifier = make_classifier(f"{name}-svm")
        assert isinstance(classifier, KernelSVM)
        assert classifier.kernel == name
    for name, head in (("kernel-ridge", "ridge"), ("rbf-fusion", "svm")):
        classifier = make_classifier(name)
        assert isinstance(classifier, FusionClassifier)
        assert classifier.head == head
    steps = [type(step).__name__ for _, step in make_classifier("chi2-map-svm").steps]
    assert steps == ["AdditiveChi2Sampler", "LinearSVM"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("linear-svm", {"C": 0.5, "class_weight": "balanced"}),
        ("chi2-svm", {"gamma": 2.0}),
        ("chi2-map-svm", {"C": 0.25, "sample_steps": 1}),
        ("kernel-ridge", {"alpha": 0.1, "n_components": 64}),
        ("rbf-fusion", {"C": 1.0, "n_landmarks": 100}),
        ("logistic-regression", {"C": 3.0, "max_iter": 7}),
        ("random-forest", {"n_estimators": 3, "max_depth": 2}),
        ("nearest-neighbors", {"n_neighbors": 1}),
        ("mlp", {"hidden_layer_sizes": (5, 4)}),
    ],
)
def test_parameters_by_their_plain_names(name: str, parameters: dict[str, object]) -> None:
    found = make_classifier(name, **parameters).get_params()
    for key, value in parameters.items():
        assert [found[full] for full in found if full == key or full.endswith(f"__{key}")] == [value]
    before = make_classifier(name).get_params()
    changed = {full for full in found if "__" in full or not hasattr(found[full], "get_params")}
    changed = {full for full in changed if repr(found[full]) != repr(before[full])}
    assert {full.rpartition("__")[2] for full in changed} - {"steps"} == set(parameters)


def test_both_steps_of_a_pipeline_matter() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.dirichlet(np.ones(6), 40), np.arange(40) % 2
    decisions = [
        make_classifier("chi2-map-svm", **parameters).fit(X, y).decision_function(X)
        for parameters in ({}, {"C": 0.01}, {"sample_steps": 3})
    ]
    assert not np.allclose(decisions[0], decisions[1])
    assert not np.allclose(decisions[0], decisions[2])


def test_unknown_names_list_the_choices() -> None:
    with pytest.raises(
        ValueError, match=r"classifier must be one of linear-svm, tuned-svm, chi2-svm, .*, mlp, got 'boost'"
    ):
        make_classifier("boost")
    with pytest.raises(ValueError, match="classifier 'linear-smv' is unknown; did you mean linear-svm"):
        make_classifier("linear-smv")
    message = "the classifier linear-svm has no parameter c, penalty; it has C, class_weight, max_iter"
    with pytest.raises(ValueError, match=message):
        make_classifier("linear-svm", penalty="l1", C=2, c=1)
    with pytest.raises(ValueError, match="the classifier chi2-map-svm has no parameter gamma; it has C, class_weight"):
        make_classifier("chi2-map-svm", gamma=1)


def test_asking_for_one_loads_no_other() -> None:
    code = (
        "import json, sys\n"
        "from cvbow.classify import make_classifier\n"
        "make_classifier('linear-svm'), make_classifier('rbf-svm')\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    others = {"svm", "ensemble", "neighbors", "neural_network", "tree", "linear_model", "naive_bayes", "pipeline"}
    assert not loaded & {f"sklearn.{name}" for name in others}
