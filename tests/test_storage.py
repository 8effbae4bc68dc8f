from __future__ import annotations

import functools
import hashlib
import io
import itertools
import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.kernel_approximation import AdditiveChi2Sampler, Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import LabelBinarizer, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from cvbow import storage
from cvbow.augmentation import ImageAugmenter
from cvbow.errors import ModelFileError
from cvbow.features.edges import CannyDetector
from cvbow.storage import _atomic, _container, _layout
from cvbow.storage._scikit_learn import CHECKS, build_tree
from cvbow.storage._serializer import Serializer

ROOT = Path(__file__).parents[1]


@storage.storable
class Words(BaseEstimator):
    """A class of one's own, as cvbow's are: parameters, learned state, run-time settings, a cache, a validation."""

    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "memory": None}

    def __init__(self, n_words: int = 3, *, n_jobs: int | None = None, memory: Any = None, step: int = 4) -> None:
        self.n_words = n_words
        self.n_jobs = n_jobs
        self.memory = memory
        self.step = step

    def fit(self) -> Words:
        self.words_ = np.arange(self.n_words * 2, dtype=np.float32).reshape(self.n_words, 2)
        return self

    @functools.cached_property
    def norms(self) -> np.ndarray:
        return np.sum(self.words_**2, axis=1)

    def check_state(self) -> None:
        if self.words_.shape != (self.n_words, 2):
            raise ValueError(f"words_ must have shape ({self.n_words}, 2), got {self.words_.shape}")


FSYNC = os.fsync


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # waiting for the disk shows nothing here


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.cvbow"


def save(path: Path, state: object, metadata: Mapping[str, Any] | None = None, kind: str = "classifier") -> str:
    return storage.save(path, kind=kind, state=state, metadata=metadata or {})


def load(path: Path) -> Any:
    return storage.load(path, kind="classifier").state


def forge(path: Path, change: Callable[[dict[str, Any], list[np.ndarray]], None]) -> None:
    """Write the file anew with other content and hashes that match it."""
    manifest, arrays = _container.read(path, keep=True)
    for key in ("arrays", "manifest_hash"):
        del manifest[key]
    change(manifest, arrays)
    parts = (manifest["kind"], manifest["tree"], manifest["metadata"])
    manifest["content_hash"] = _container.content_hash(*parts, arrays)
    _container.write(path, manifest, arrays)


def archive(text: bytes) -> bytes:
    """Make a file of one manifest, as it stands, in a layout that is right."""
    members = _layout.members_of(len(text), [])
    crc = zlib.crc32(text)
    return _layout.local_header(_layout.MANIFEST, len(text), crc) + text + _layout.directory(members, [crc])


def same(a: Any, b: Any) -> bool:
    """Equality with types, order of keys, dtypes, shapes and the bits of every number."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        layout = a.dtype == b.dtype and a.shape == b.shape and a.flags.f_contiguous == b.flags.f_contiguous
        return layout and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(itertools.starmap(same, zip(a, b, strict=True)))
    if isinstance(a, np.str_):  # NumPy reads memory that is not an empty one's own
        return str(a) == str(b)
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and (a.tobytes() == b.tobytes() or (bool(np.isnan(a)) and bool(np.isnan(b))))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return bool(a == b)


# --- what is stored comes back --------------------------------------------------------------------------------------

numbers = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="<"),
    hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(endianness="<", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="<", sizes=(64, 128)),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
arrays = st.one_of(
    hnp.arrays(numbers, shapes),
    hnp.arrays(numbers, shapes).map(np.asfortranarray),
    hnp.arrays(st.integers(1, 5).map(lambda n: f"<U{n}"), shapes),
    hnp.arrays(np.dtype([("child", "<i8"), ("weight", "<f4")]), shapes),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    arrays,
    hnp.arrays(numbers, ()).map(lambda a: a[()]),
    st.text().map(np.str_),
    numbers.map(np.dtype),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.just("$"), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(tree=trees)
def test_any_tree_comes_back_the_same(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "tree.cvbow"
    digest = save(path, tree)
    stored = storage.load(path, kind="classifier")
    assert same(stored.state, tree)
    assert stored.content_hash == digest
    written = path.read_bytes()
    # The hash follows from what was loaded as well: nothing is lost on the way.
    assert save(path, stored.state) == digest
    assert path.read_bytes() == written


def test_arrays_come_back_writeable_and_in_their_memory_order(path: Path) -> None:
    columns = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    state = {
        "columns": columns,
        "slice": np.arange(20)[::3],
        "big": np.arange(3, dtype=">f8"),
        "memmap": np.memmap(path.with_suffix(".map"), dtype=np.int16, mode="w+", shape=(2, 2)),
        "padded": np.zeros(2, np.dtype({"names": ["a", "b"], "formats": ["u1", ">f8"], "offsets": [0, 8]})),
    }
    save(path, state)
    back = load(path)
    for key, array in state.items():
        np.testing.assert_array_equal(back[key], array)
        assert type(back[key]) is np.ndarray
        assert back[key].flags.writeable
    assert back["columns"].flags.f_contiguous
    assert not back["columns"].flags.c_contiguous
    assert back["big"].dtype == np.dtype("<f8")
    back["columns"][0, 0] = 7
    assert columns[0, 0] == 0


def test_arrays_of_str_objects_become_text(path: Path) -> None:
    save(path, {"classes_": np.array(["kitchen", "MITforest", "naïve 漢字"], dtype=object)})
    classes = load(path)["classes_"]
    assert classes.dtype == np.dtype("<U9")
    assert classes.tolist() == ["kitchen", "MITforest", "naïve 漢字"]


def test_sparse_matrices_come_back(path: Path) -> None:
    dense = np.array([[0, 1.5, 0], [0, 0, 0], [2, 0, 3]], dtype=np.float32)
    matrix = sp.csr_matrix(dense)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    digest = save(path, matrix)
    back = load(path)
    assert type(back) is sp.csr_matrix
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back.toarray(), dense)
    assert save(path, back) == digest


def test_text_that_no_encoding_holds_comes_back(path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")  # a folder's name that is not UTF-8
    state = {name: [name, "a\0b", "\u2028"], "classes": np.array([name])}
    save(path, state)
    assert same(load(path), state)


# --- what cannot be stored ------------------------------------------------------------------------------------------


class Text(str):
    pass


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cycle() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


def estimator_cycle() -> Any:
    words = Words().fit()
    words.memory_ = [words]
    return words


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"f": len}, TypeError, r"state\['f'\] is the function builtins\.len, which"),
        ({"f": lambda: 1}, TypeError, r"state\['f'\] is the function test_storage\.<lambda>, which"),
        ([1, {2}], TypeError, r"state\[1\] is a builtins\.set"),
        (b"ab", TypeError, "state is a builtins.bytes"),
        (slice(2), TypeError, "state is a builtins.slice"),
        (Words, TypeError, r"state is a sklearn|state is a builtins\.type|state is a abc"),
        (Text("a"), TypeError, "Text"),
        (np.random.default_rng(0), TypeError, r"state is a numpy\.random"),
        (PCA(random_state=np.random.RandomState(0)), TypeError, r"state\.random_state is a numpy\.random"),
        (SVC(), TypeError, r"state is a sklearn\.svm\._classes\.SVC"),
        ({"c": np.array([1, "a"], dtype=object)}, TypeError, r"state\['c'\] is an array of objects"),
        ({"c": np.array(["a\0", "a"], dtype=object)}, TypeError, r"state\['c'\] holds a str that ends in NUL"),
        (np.array(["2020-01-01"], dtype="M8[D]"), TypeError, "state has dtype datetime64"),
        (np.array([b"a"]), TypeError, r"state has dtype \|S1"),
        (np.zeros(2, np.dtype([("a", object)])), TypeError, "state has dtype"),
        (np.zeros(2, np.dtype([("a", "<f4", (2,))])), TypeError, "state has dtype"),
        (np.ma.masked_array([1, 2], [True, False]), TypeError, "state is a MaskedArray"),
        (np.datetime64("2020-01-01"), TypeError, r"state is a numpy\.datetime64"),
        (np.dtype(object), TypeError, "state"),
        (sp.csc_matrix(np.eye(2)), TypeError, "state is a csc_matrix"),
        ({(1, 2): 3}, TypeError, r"state has the key \(1, 2\)"),
        ({True: 3}, TypeError, "state has the key True"),
        (1 << 5000, ValueError, "state must be an integer of at most 4096 bits"),
        ("\ud83d\ude00", ValueError, "surrogates"),
        (nested(51), ValueError, "nested more than 50 levels deep"),
        (cycle(), ValueError, "contains itself"),
        (estimator_cycle(), ValueError, "contains itself"),
    ],
)
def test_refused_at_save_with_its_place(path: Path, state: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        save(path, state)
    assert list(path.parent.iterdir()) == []


def test_a_path_comes_back_as_text(path: Path) -> None:
    storage.save(path, kind="test", state={"file": Path("a") / "b"}, metadata={})
    assert storage.load(path, kind="test").state == {"file": str(Path("a") / "b")}


@pytest.mark.skipif(np.dtype(np.longdouble) == np.dtype(float), reason="long double is double here")
@pytest.mark.parametrize("value", [np.longdouble(1), np.ones(2, np.longdouble)])
def test_long_double_is_refused(path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="which a model file cannot hold"):
        save(path, value)
    with pytest.raises(TypeError, match="which a model file cannot hold"):
        save(path, 0, {"a": value})


def test_the_deepest_state_that_is_written_is_read(path: Path) -> None:
    tree = DecisionTreeClassifier().fit([[0], [1]], [0, 1])
    tuples = functools.reduce(lambda inner, _: (inner,), range(49), sp.csr_matrix(np.eye(2)))
    tables = functools.reduce(lambda inner, _: {1: inner}, range(48), tree)
    for state in (nested(50), tuples, tables):
        save(path, state)
        assert type(load(path)) is type(state)


def test_shared_references_are_kept_apart(path: Path) -> None:
    array = np.zeros(2)
    save(path, [array, array])
    first, second = load(path)
    first[0] = 1
    assert second[0] == 0


@pytest.mark.parametrize("kind", ["", "Classifier", "a kind", "a" * 41, "é", None, "a\x1b"])
def test_kind_is_a_word(path: Path, kind: Any) -> None:
    with pytest.raises(ValueError, match="kind must be a word of at most 40 lower-case letters"):
        storage.save(path, kind=kind, state=0, metadata={})


# --- metadata and inspect -------------------------------------------------------------------------------------------


def test_inspect_shows_all_but_the_state_and_builds_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = {
        "preset": "bow",
        "classes": ["a", "b"],
        "n": np.int64(3),
        "t": (1, 2.5),
        "x": float("inf"),
        "p": {"q": None},
    }
    digest = save(path, Words().fit(), metadata)
    monkeypatch.setattr(Words, "check_state", lambda self: pytest.fail("an object was built"))
    info = storage.inspect(path)
    assert info.state is None
    assert info.kind == "classifier"
    assert info.content_hash == digest
    assert info.format_version == storage.FORMAT_VERSION == 2
    assert info.metadata == metadata
    assert type(info.metadata["n"]) is int
    assert list(info.metadata) == list(metadata)
    assert set(info.versions) == {"cvbow", "python", "numpy", "scikit-learn", "opencv"}
    assert info.versions["numpy"] == np.__version__


@pytest.mark.parametrize("value", [np.zeros(2), Words(), np.dtype(float), sp.eye(2).tocsr()])
def test_metadata_holds_plain_values_only(path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match=r"metadata\['a'\]\[0\].*in its metadata"):
        save(path, 0, {"a": [value]})
    for odd in ({1: 2}, {"$": 1}):
        with pytest.raises(TypeError, match="metadata must have keys"):
            save(path, 0, odd)


def test_metadata_with_an_object_in_it_is_not_built(path: Path) -> None:
    save(path, 0, {"a": 1})
    node = {"$": "object", "class": f"{__name__}.Words", "state": {}}
    forge(path, lambda manifest, _: manifest["metadata"].update(a=node))
    for read in (storage.inspect, load):
        with pytest.raises(ModelFileError, match="of a kind that is not known: 'object'"):
            read(path)


# --- the hash -------------------------------------------------------------------------------------------------------


def test_equal_content_has_equal_hash_and_bytes(tmp_path: Path) -> None:
    digests, files = set(), set()
    for i in range(3):
        digests.add(save(tmp_path / f"{i}", {"w": np.ones((3, 2)), "words": Words().fit()}, {"a": 1}))
        files.add((tmp_path / f"{i}").read_bytes())
        time.sleep(0.01)
    assert len(digests) == len(files) == 1
    assert len(digests.pop()) == 64


def test_the_hash_is_the_same_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom cvbow import storage\nfrom sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression().fit(np.eye(4), ['a', 'b', 'c', 'd'])\n"
        "print(storage.save(sys.argv[1], kind='classifier', state={'m': model, 'z': {3: 'x'}}, metadata={}))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    there = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()
    model = LogisticRegression().fit(np.eye(4), ["a", "b", "c", "d"])
    assert save(tmp_path / "here", {"m": model, "z": {3: "x"}}) == there
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_the_hash_follows_content_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.linspace(0, 1, 6).reshape(2, 3)
    base = save(path, {"w": weights, "p": 0.1}, {"m": 1})
    nudged = weights.copy()
    nudged[1, 2] = np.nextafter(1, 2)
    variants = [
        ({"w": nudged, "p": 0.1}, {"m": 1}, "classifier"),
        ({"w": weights, "p": math.nextafter(0.1, 1)}, {"m": 1}, "classifier"),
        ({"w": weights.reshape(3, 2), "p": 0.1}, {"m": 1}, "classifier"),
        ({"w": weights.view(np.int64), "p": 0.1}, {"m": 1}, "classifier"),
        ({"w": weights, "p": 0.1}, {"m": 2}, "classifier"),
        ({"w": weights, "p": 0.1}, {"m": 1}, "index"),
    ]
    digests = {save(path, state, metadata, kind) for state, metadata, kind in variants}
    assert len(digests | {base}) == len(variants) + 1
    assert save(path, {"w": np.asfortranarray(weights), "p": 0.1}, {"m": 1}) == base
    monkeypatch.setattr(storage, "_versions", lambda: {"numpy": "9.9.9"})
    assert save(path, {"w": weights, "p": 0.1}, {"m": 1}) == base
    assert storage.inspect(path).versions == {"numpy": "9.9.9"}


def test_the_hash_is_what_the_documentation_says(path: Path) -> None:
    array = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    digest = save(path, {"w": array}, {"m": 1})
    text = b'{"kind":"classifier","tree":{"w":{"$":"array","index":0}},"metadata":{"m":1}}'
    expected = hashlib.sha256()
    for head, data in ((b"text", text), (b'["<f4",[2,3]]', array.tobytes(order="C"))):
        expected.update(len(head).to_bytes(8, "little") + len(data).to_bytes(8, "little") + head + data)
    assert digest == expected.hexdigest()


# --- classes of one's own -------------------------------------------------------------------------------------------


def test_run_time_settings_and_caches_stay_out(path: Path) -> None:
    plain = save(path, Words().fit())
    busy = Words(n_jobs=2, memory=object()).fit()
    np.testing.assert_array_equal(busy.norms, [1, 13, 41])  # leaves its cache in vars(busy)
    busy._sklearn_output_config = {"transform": "pandas"}
    assert save(path, busy) == plain
    back = load(path)
    assert vars(back).keys() == vars(Words().fit()).keys()
    assert back.n_jobs is None
    assert back.memory is None
    np.testing.assert_array_equal(back.norms, busy.norms)
    assert busy.n_jobs == 2


def test_a_file_cannot_set_what_belongs_to_a_run(path: Path) -> None:
    save(path, Words().fit())
    forge(path, lambda manifest, _: manifest["tree"]["state"].update(n_jobs=10_000))
    assert load(path).n_jobs is None
    save(path, LogisticRegression(verbose=3))
    forge(path, lambda manifest, _: manifest["tree"]["state"].update(n_jobs=10_000))
    assert load(path).get_params()["n_jobs"] is None
    assert load(path).get_params()["verbose"] is False


def test_the_state_of_an_own_class_is_validated(path: Path) -> None:
    words = Words().fit()
    words.n_words = 4
    with pytest.raises(ValueError, match=r"words_ must have shape \(4, 2\)"):
        save(path, words)
    save(path, Words().fit())
    forge(path, lambda manifest, _: manifest["tree"]["state"].update(n_words=5))
    with pytest.raises(ModelFileError, match=r"words_ must have shape \(5, 2\), got \(3, 2\)"):
        load(path)
    forge(path, lambda manifest, _: manifest["tree"]["state"].pop("words_"))
    with pytest.raises(ModelFileError, match="AttributeError"):
        load(path)


def test_a_parameter_that_came_later_has_its_default(path: Path) -> None:
    save(path, [Words(step=9).fit()])
    forge(path, lambda manifest, _: manifest["tree"][0]["state"].pop("step"))
    stored = storage.load(path, kind="classifier")
    assert stored.state[0].step == 4
    (note,) = stored.warnings
    assert note.startswith("state[0]: the file was written before Words had the parameter step")


@pytest.mark.parametrize(
    "name", ["fit", "norms", "check_state", "get_params", "__class__", "__len__", "a b", "", "a.b"]
)
def test_a_state_cannot_hide_methods(path: Path, name: str) -> None:
    save(path, Words().fit())
    forge(path, lambda manifest, _: manifest["tree"]["state"].update({name: 1}))
    with pytest.raises(ModelFileError, match="Words cannot have the attribute"):
        load(path)


def test_dropped_attributes_are_refused_in_a_file(path: Path) -> None:
    save(path, Words().fit())
    forge(path, lambda manifest, _: manifest["tree"]["state"].update(_sklearn_output_config={"transform": "pandas"}))
    with pytest.raises(ModelFileError, match="never stored"):
        load(path)


# --- scikit-learn ---------------------------------------------------------------------------------------------------


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    names = np.array([f"digit {label}" for label in labels])
    return images[:300], names[:300], images[300:500]


CLASSIFIERS = [
    LogisticRegression(max_iter=300),
    ComplementNB(),
    GaussianNB(),
    MultinomialNB(class_prior=[0.1] * 10),
    DecisionTreeClassifier(random_state=0),
    DecisionTreeClassifier(max_leaf_nodes=7, random_state=0),
    DecisionTreeClassifier(ccp_alpha=0.01, class_weight="balanced", random_state=0),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(5, random_state=0, n_jobs=2, oob_score=False),
    ExtraTreesClassifier(4, max_depth=5, random_state=0),
    KNeighborsClassifier(algorithm="brute"),
    KNeighborsClassifier(3, algorithm="brute", weights="distance", metric="manhattan"),
    KNeighborsClassifier(3, algorithm="brute", metric="cosine"),
    KNeighborsClassifier(3, algorithm="brute", p=3),
    MLPClassifier((16,), max_iter=30, random_state=0),
    MLPClassifier((8, 8), max_iter=12, early_stopping=True, random_state=0),
    MLPClassifier((8,), solver="lbfgs", max_iter=20, random_state=0),
    LinearSVC(random_state=0, dual=False),
    make_pipeline(StandardScaler(), PCA(10, whiten=True), LogisticRegression(max_iter=300)),
    make_pipeline(MinMaxScaler(), AdditiveChi2Sampler(), LinearSVC(dual=False)),
    make_pipeline(Nystroem(n_components=30, random_state=0, gamma=0.001), GaussianNB()),
    make_pipeline(TfidfTransformer(), Normalizer(), MultinomialNB()),
    Pipeline(
        [("skip", "passthrough"), ("union", FeatureUnion([("a", PCA(3)), ("b", Normalizer())])), ("c", GaussianNB())]
    ),
]


@functools.cache
def fitted(number: int) -> Any:
    train, labels, _ = digits()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return CLASSIFIERS[number].fit(train, labels)


@pytest.mark.parametrize("number", range(len(CLASSIFIERS)), ids=lambda i: str(CLASSIFIERS[i])[:60])
def test_a_classifier_answers_the_same_after_its_round_trip(path: Path, number: int) -> None:
    model = fitted(number)
    images = digits()[2]
    digest = save(path, model)
    stored = storage.load(path, kind="classifier")
    back = stored.state
    assert stored.warnings == ()
    assert type(back) is type(model)
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, method):
            np.testing.assert_array_equal(getattr(back, method)(images), getattr(model, method)(images))
    assert save(path, back) == digest
    assert len(set(back.predict(images))) > 3
    back.fit(*digits()[:2]) if number in (0, 4, 8) else None  # parameters pass scikit-learn's own validation


def test_label_binarizer_comes_back(path: Path) -> None:
    binarizer = LabelBinarizer().fit(["b", "a", "c"])
    save(path, binarizer)
    np.testing.assert_array_equal(load(path).transform(["c", "a"]), [[0, 0, 1], [1, 0, 0]])


def test_unfitted_estimators_come_back(path: Path) -> None:
    save(path, [RandomForestClassifier(3), KNeighborsClassifier(), MLPClassifier(), PCA(0.9), DecisionTreeClassifier()])
    for estimator in load(path):
        assert not [key for key in vars(estimator) if key.endswith("_")]


def test_every_scikit_learn_class_of_the_list_is_tested_here() -> None:
    names = set(CHECKS)
    found: set[str] = {"LabelBinarizer", "FrozenEstimator"}  # the latter with the words that it keeps
    for number in range(len(CLASSIFIERS)):
        text = json.dumps(Serializer().serialize(fitted(number), "state"))
        found |= {name.rpartition(".")[2] for name in names if f'"class": "{name}"' in text}
    assert found == {name.rpartition(".")[2] for name in names}
    assert not any("SVC" in name and "Linear" not in name for name in names)


def test_run_time_settings_of_scikit_learn_stay_out(tmp_path: Path) -> None:
    train, labels, _ = digits()
    digests = set()
    for jobs, verbose in ((1, 0), (2, 0)):
        forest = RandomForestClassifier(3, random_state=0, n_jobs=jobs, verbose=verbose).fit(train, labels)
        pipeline = Pipeline(
            [("s", StandardScaler()), ("f", forest)], memory=str(tmp_path / "cache") if jobs == 2 else None
        )
        digests.add(save(tmp_path / "model", pipeline))
    assert len(digests) == 1


def test_the_multi_layer_perceptron_leaves_its_optimizer_behind(path: Path) -> None:
    model = fitted(15)
    assert {"_optimizer", "_random_state", "_best_coefs"} <= vars(model).keys()
    save(path, model)
    assert not {"_optimizer", "_random_state", "_best_coefs", "_best_intercepts"} & vars(load(path)).keys()


def test_another_scikit_learn_is_named_in_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, {"a": fitted(1)})

    def older(manifest: dict[str, Any], _: Any) -> None:
        manifest["versions"]["scikit-learn"] = "1.2.0"

    forge(path, older)
    for stored in (storage.load(path, kind="classifier"), storage.inspect(path)):
        (note,) = stored.warnings
        assert note.startswith("written with scikit-learn 1.2.0, read with ")
    save(path, {"a": ComplementNB()})  # has learned nothing
    forge(path, older)
    assert storage.load(path, kind="classifier").warnings == ()


def test_a_kd_tree_is_refused_at_save(path: Path) -> None:
    train, labels, _ = digits()
    with pytest.raises(TypeError, match=r"state\._tree is a sklearn.*KDTree"):
        save(path, KNeighborsClassifier(algorithm="kd_tree").fit(train, labels))


# --- forged states of compiled code ---------------------------------------------------------------------------------


def tree_parts(leaf: bool = False) -> dict[str, Any]:
    model = DecisionTreeClassifier(max_depth=0 + (not leaf) * 3 or None, random_state=0)
    train, labels, _ = digits()
    model.fit(train, np.zeros(len(train)) if leaf else labels)
    state = model.tree_.__getstate__()
    return {
        "n_features": 64,
        "n_classes": int(model.n_classes_),
        "max_depth": state["max_depth"],
        "nodes": state["nodes"].copy(),
        "values": state["values"].copy(),
    }


def set_node(field: str, node: int, value: int) -> Callable[[dict[str, Any]], None]:
    def change(parts: dict[str, Any]) -> None:
        parts["nodes"][field][node] = value

    return change


def set_part(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(parts: dict[str, Any]) -> None:
        parts[key] = value(parts[key]) if callable(value) else value

    return change


TREE_FORGERIES = {
    "child beyond the end": (set_node("left_child", 0, 10**6), "out of range"),
    "negative child": (set_node("right_child", 0, -2), "out of range"),
    "left child -2": (set_node("left_child", 0, -2), "out of range"),
    "own child": (set_node("left_child", 0, 0), "not after its parent"),
    "loop": (set_node("left_child", 1, 1), "not after its parent"),
    "two parents": (set_node("left_child", 0, 2), "two parents"),
    "one child": (set_node("left_child", 0, -1), "one child"),
    "feature beyond the end": (set_node("feature", 0, 64), "feature that does not exist"),
    "negative feature": (set_node("feature", 0, -2), "feature that does not exist"),
    "fewer features": (set_part("n_features", 5), "feature that does not exist"),
    "no features": (set_part("n_features", 0), "at least one feature"),
    "many classes": (set_part("n_classes", 1 << 40), "at least one feature and one class"),
    "more classes": (set_part("n_classes", 11), "values do not fit"),
    "shallow": (set_part("max_depth", 2), "max_depth is not its depth"),
    "negative depth": (set_part("max_depth", -1), "max_depth is not its depth"),
    "deep": (set_part("max_depth", 10**9), "max_depth is not its depth"),
    "few values": (set_part("values", lambda v: v[:-1]), "values do not fit"),
    "float32 values": (set_part("values", lambda v: v.astype(np.float32)), "values do not fit"),
    "few nodes": (set_part("nodes", lambda n: n[:-1]), "values do not fit"),
    "no nodes": (set_part("nodes", lambda n: n[:0]), "at least one row"),
    "plain nodes": (set_part("nodes", lambda n: np.zeros(len(n))), "must be a table"),
    "square nodes": (set_part("nodes", lambda n: n[None]), "must be a table"),
    "other fields": (set_part("nodes", lambda n: n[["left_child", "right_child"]]), "other fields"),
    "other types": (
        set_part("nodes", lambda n: n.astype([(k, "<f4" if k == "threshold" else n.dtype[k]) for k in n.dtype.names])),
        "other types",
    ),
}


@pytest.mark.parametrize("forgery", TREE_FORGERIES)
def test_forged_decision_trees_are_refused(forgery: str) -> None:
    change, message = TREE_FORGERIES[forgery]
    parts = tree_parts()
    assert build_tree(**parts).node_count == len(parts["nodes"])
    change(parts)
    with pytest.raises(ValueError, match=message):
        build_tree(**parts)


def test_a_tree_of_one_leaf_and_a_chain_are_accepted() -> None:
    assert build_tree(**tree_parts(leaf=True)).max_depth == 0
    n = 2 * 10**5 + 1  # a chain: every right child splits again
    nodes = np.zeros(n, tree_parts()["nodes"].dtype)
    nodes["left_child"], nodes["right_child"], nodes["feature"] = -1, -1, -2
    inner = np.arange(0, n - 1, 2)
    nodes["left_child"][inner], nodes["right_child"][inner], nodes["feature"][inner] = inner + 1, inner + 2, 0
    start = time.perf_counter()
    tree = build_tree(1, 2, n // 2, nodes, np.ones((n, 1, 2)))
    assert time.perf_counter() - start < 5  # not a measurement: quadratic work would take minutes
    assert tree.max_depth == 10**5
    with pytest.raises(ValueError, match="max_depth"):
        build_tree(1, 2, n // 2 - 1, nodes, np.ones((n, 1, 2)))


def state_of(tree: Any, *keys: Any) -> dict[str, Any]:
    for key in keys:
        tree = tree["state"][key] if isinstance(key, str) else tree[key]
    state: dict[str, Any] = tree["state"]
    return state


FOREST, NEIGHBORS, TREE = 8, 10, 4


@pytest.mark.parametrize(
    ("number", "keys", "changes", "message"),
    [
        (TREE, (), {"n_features_in_": 65}, "n_features_in_ must be 64"),
        (TREE, (), {"n_features_in_": None}, "n_features_in_ must be there"),
        (TREE, (), {"n_classes_": 2}, "n_classes_ must be 10"),
        (TREE, (), {"n_outputs_": 2}, "n_outputs_ must be 1"),
        (TREE, (), {"classes_": [1, 2]}, "classes_ must hold one name per class|out of turn"),
        (FOREST, (), {"n_features_in_": 65}, "n_features_in_ must be 64"),
        (FOREST, ("estimators_", 2), {"n_features_in_": 1}, "n_features_in_ must be 64"),
        (FOREST, (), {"n_classes_": 11}, "n_classes_ must be 10"),
        (FOREST, (), {"estimators_": []}, "list of decision trees|out of turn"),
        (NEIGHBORS, (), {"_fit_method": "kd_tree"}, "only nearest neighbours with algorithm='brute'"),
        (NEIGHBORS, (), {"n_neighbors": 301}, "n_neighbors must lie between"),
        (NEIGHBORS, (), {"n_neighbors": 0}, "n_neighbors must lie between"),
        (NEIGHBORS, (), {"n_samples_fit_": 10**6}, "with n_samples_fit_ = 1000000 .*, got float64 of shape"),
        (NEIGHBORS, (), {"n_features_in_": 63}, "n_features_in_ = 63, got float64 of shape"),
        (NEIGHBORS, (), {"metric": "mahalanobis"}, "metric must be one of"),
        (NEIGHBORS, (), {"effective_metric_": "precomputed"}, "effective_metric_ must be one of"),
        (NEIGHBORS, (), {"metric_params": {"V": 1}}, "metric_params"),
        (NEIGHBORS, (), {"effective_metric_params_": {"V": 1}}, "may hold only p"),
        (NEIGHBORS, (), {"effective_metric_params_": {"p": "x"}}, "p must be a number"),
        (NEIGHBORS, (), {"p": {"$": "float", "value": "nan"}}, "p must be a number"),
        (NEIGHBORS, (), {"outputs_2d_": True}, "several outputs"),
    ],
)
def test_forged_states_are_refused(path: Path, number: int, keys: Any, changes: Any, message: str) -> None:
    save(path, fitted(number))
    forge(path, lambda manifest, _: state_of(manifest["tree"], *keys).update(changes))
    with pytest.raises(ModelFileError, match=message):
        load(path)


@pytest.mark.parametrize("label", [-1, 10, 2**40])
def test_a_forged_label_of_a_neighbour_is_refused(path: Path, label: int) -> None:
    save(path, fitted(NEIGHBORS))

    def change(manifest: dict[str, Any], arrays: list[np.ndarray]) -> None:
        arrays[state_of(manifest["tree"])["_y"]["index"]][7] = label

    forge(path, change)
    with pytest.raises(ModelFileError, match="class index that is out of range"):
        load(path)


@pytest.mark.parametrize(
    ("part", "index", "value", "message"),
    [
        ("indices", 0, 3, "column index"),
        ("indices", 0, -1, "column index"),
        ("indptr", 1, 9, "rows do not fit"),
        ("indptr", 0, 1, "rows do not fit"),
        ("indptr", 3, 2, "rows do not fit"),
    ],
)
def test_forged_sparse_matrices_are_refused(path: Path, part: str, index: int, value: int, message: str) -> None:
    save(path, sp.csr_matrix(np.eye(3)))

    def change(manifest: dict[str, Any], arrays: list[np.ndarray]) -> None:
        arrays[manifest["tree"][part]["index"]][index] = value

    forge(path, change)
    with pytest.raises(ModelFileError, match=message):
        load(path)


# --- forged trees ---------------------------------------------------------------------------------------------------


def obj(name: Any, state: Any = None) -> dict[str, Any]:
    return {"$": "object", "class": name, "state": {} if state is None else state}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (obj("os.system"), "of the class 'os.system', which is not registered: import the module that registers it"),
        (obj("subprocess.Popen", {"args": "id"}), "is not registered"),
        (obj("builtins.eval"), "is not registered"),
        (obj("sklearn.svm.SVC"), "must not hold"),
        (obj("sklearn.tree._tree.Tree"), "must not hold"),
        (obj("cvbow.storage.save"), "must not hold"),
        (obj("__main__.Words"), "is not registered"),
        (obj("a\x1b[31m" + "b" * 500), r"of the class 'a\\x1b\[31mb+, which"),
        (obj(["os.system"]), "class of state must be of type str"),
        (obj("sklearn.decomposition.PCA", []), "has no state"),
        (obj("sklearn.decomposition.PCA", {"$": "tuple", "items": []}), "has no state"),
        (obj("sklearn.decomposition.PCA", {"__class__": 1}), "cannot have the attribute"),
        (obj("sklearn.decomposition.PCA", {"fit": 1}), "cannot have the attribute"),
        (obj("sklearn.pipeline.Pipeline", {"predict": 1}), "cannot have the attribute"),
        (obj("sklearn.pipeline.Pipeline", {"memory": None}), "lacks the parameter steps"),
        ({"$": "object", "class": "sklearn.decomposition.PCA"}, "kind that is not known"),
        ({"$": "object", "state": {}, "class": "sklearn.decomposition.PCA"}, "kind that is not known"),
        ({**obj("sklearn.decomposition.PCA"), "more": 1}, "kind that is not known"),
        ({"a": 1, "$": "tuple"}, "kind that is not known"),
        ({"$": "finish"}, "kind that is not known"),
        ({"$": "_init__"}, "kind that is not known"),
        ({"$": None}, "kind that is not known"),
        ({"$": {"$": "tuple"}}, "kind that is not known"),
        ({"$": "tuple", "items": 3}, "must be of type list"),
        ({"$": "dict", "items": [[1]]}, "not a pair"),
        ({"$": "dict", "items": [[1, 2], [1, 3]]}, "key that is repeated"),
        ({"$": "dict", "items": [[[1], 2]]}, "neither str nor int"),
        ({"$": "dict", "items": [[True, 2]]}, "neither str nor int"),
        ({"$": "float", "value": "1e5"}, "is not a number"),
        ({"$": "float", "value": 1.0}, "is not a number"),
        ({"$": "scalar", "type": "object", "value": 1}, "scalar of a type that is not known"),
        ({"$": "scalar", "type": ["int8"], "value": 1}, "scalar of a type that is not known"),
        ({"$": "scalar", "type": "int8", "value": 200}, "out of the range of int8"),
        ({"$": "scalar", "type": "uint8", "value": -1}, "out of the range of uint8"),
        ({"$": "scalar", "type": "int8", "value": 1.0}, "must be of type int"),
        ({"$": "scalar", "type": "bool", "value": 1}, "must be of type bool"),
        ({"$": "scalar", "type": "float32", "value": 1e300}, "not a value of float32"),
        ({"$": "scalar", "type": "float32", "value": 0.1}, "not a value of float32"),
        ({"$": "scalar", "type": "complex64", "value": [1.0]}, "values to unpack"),
        ({"$": "scalar", "type": "str", "value": 1}, "must be of type str"),
        ({"$": "dtype", "value": "O"}, "the dtype 'O' is not one"),
        ({"$": "dtype", "value": "<U99999999"}, "is not one"),
        ({"$": "dtype", "value": [["a", "O"]]}, "is not one"),
        ({"$": "dtype", "value": [["a", "<f4"], ["a", "<f4"]]}, "is not one"),
        ({"$": "array", "index": 0}, "out of turn"),
        ({"$": "array", "index": -1}, "out of turn"),
        ({"$": "array", "index": False}, "out of turn"),
        ({"$": "csr", "shape": [1], "data": 1, "indices": 1, "indptr": 1}, "shape that is not that of a matrix"),
        ({"$": "csr", "shape": [1, 1], "data": 1, "indices": 1, "indptr": 1}, "data is not an array"),
        ({"$": "tree", "n_features": 1, "n_classes": 1, "max_depth": 0, "nodes": [], "values": []}, "not an array"),
        ({"$": "tree", "n_features": True, "n_classes": 1, "max_depth": 0, "nodes": 0, "values": 0}, "of type int"),
        (nested(60), "nested more than 50 levels deep"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_forged_trees_are_refused(path: Path, tree: Any, message: str) -> None:
    save(path, 0)
    forge(path, lambda manifest, _: manifest.update(tree=tree))
    with canary() as events, pytest.raises(ModelFileError, match=message) as caught:
        load(path)
    assert events == []
    assert str(caught.value).isprintable()


def test_a_class_that_this_cvbow_lacks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, 0)
    for name in ("cvbow.features.NoSuchThing", "cvbow.no_such_module.Thing", "sklearn.svm.NoSuchThing"):
        forge(path, lambda manifest, _, name=name: manifest.update(tree=obj(name)))
        with pytest.raises(ModelFileError, match=f"is of the class '{name}', which a model file must not hold"):
            load(path)
    for name in ("sklearn.frozen.NoSuchThing", "sklearn.no_such_module.Thing"):  # of another scikit-learn
        monkeypatch.setitem(CHECKS, name, None)
        forge(path, lambda manifest, _, name=name: manifest.update(tree=obj(name)))
        with pytest.raises(ModelFileError, match=f"is a {name}, which is not available here"):
            load(path)


def test_a_room_is_imported_for_its_classes_and_nothing_else_is(path: Path) -> None:
    code = (
        "import sys\nfrom cvbow import storage\n"
        "for file in sys.argv[1:]:\n"
        "    try:\n        print(type(storage.load(file, kind='classifier').state).__name__)\n"
        "    except storage.ModelFileError as error:\n        print(error.reason)\n"
        "    print(sorted({'colorsys', 'cvbow.features', 'cvbow.presets'} & {*sys.modules}))\n"
    )
    cases = (
        ("cvbow.registry.Registry", "must not hold", []),
        ("colorsys.Thing", "is not registered", []),
        ("cvbow.features.NoSuchThing", "must not hold", ["cvbow.features"]),
        ("cvbow.features.edges.CannyDetector", "must not hold", ["cvbow.features"]),
        ("cvbow.features.CannyDetector", "CannyDetector", ["cvbow.features"]),
    )
    # One after the other in one interpreter: what is once imported stays.
    for number, (name, _, _) in enumerate(cases):
        save(f"{path}{number}", 0)
        state = {"step": 1} if name.startswith("colorsys") else CannyDetector().get_params()
        forge(Path(f"{path}{number}"), functools.partial(_with_tree, obj(name, state)))
    files = [f"{path}{number}" for number in range(len(cases))]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 2 * len(cases)
    for (_, answer, loaded), told, imported in zip(cases, said[::2], said[1::2], strict=True):
        assert answer in told
        assert imported == str(loaded)


def _with_tree(tree: Any, manifest: dict[str, Any], _: object) -> None:
    manifest.update(tree=tree)


def test_the_first_format_named_modules_within_rooms(path: Path) -> None:
    save(path, CannyDetector(high=20.0))
    digest = save(path, [CannyDetector(high=20.0), ImageAugmenter(rotation_range=3.0)])

    def as_first(manifest: dict[str, Any], _: Any) -> None:
        tree = json.dumps(manifest["tree"])
        tree = tree.replace("cvbow.features.", "cvbow.features.edges.").replace("cvbow.augmentation.", "cvbow.images.")
        manifest.update(format_version=1, tree=json.loads(tree))

    forge(path, as_first)
    stored = storage.load(path, kind="classifier")
    assert (stored.format_version, stored.content_hash == digest) == (1, False)
    assert repr(stored.state) == repr([CannyDetector(high=20.0), ImageAugmenter(rotation_range=3.0)])
    assert save(path, stored.state) == digest


def test_classes_of_ones_own(path: Path) -> None:
    class Own:
        pass

    for value, advice in (
        (Own(), r"Own, which a model file cannot hold: register the class, as in DETECTORS\['name'\] = Own"),
        (test_classes_of_ones_own, "is the function .*own, which a model file cannot hold: make it a class, and reg"),
    ):
        with pytest.raises(TypeError, match=advice):
            save(path, {"detector": value})
    storage.storable(Own)
    own = Own()
    own.step = 3  # type: ignore[attr-defined]
    save(path, own)
    back = load(path)
    assert (type(back), back.step) == (Own, 3)
    # One of the same name that is registered later takes its place.
    storage.storable(type("Own", (), {"__module__": Own.__module__, "__qualname__": Own.__qualname__}))
    assert type(load(path)) is not Own
    with pytest.raises(TypeError, match="register the class"):
        save(path, own)


def test_arrays_must_each_be_used_once(path: Path) -> None:
    save(path, [np.zeros(2), np.ones(2)])
    first, second = ({"$": "array", "index": i} for i in range(2))
    for tree in ([second, first], [first, first], [first], [first, second, second]):
        forge(path, lambda manifest, _, tree=tree: manifest.update(tree=tree))
        with pytest.raises(ModelFileError, match=r"out of turn|nothing refers to"):
            load(path)


@pytest.mark.parametrize(
    ("array", "view", "value", "message"),
    [(np.array([True, False]), np.uint8, 7, "bool holds other"), (np.array(["ab"]), np.uint32, 0x110000, "characters")],
)
def test_arrays_with_impossible_values_are_refused(path: Path, array: Any, view: Any, value: int, message: str) -> None:
    save(path, array)

    def change(manifest: dict[str, Any], arrays: list[np.ndarray]) -> None:
        arrays[0].view(view)[0] = value

    forge(path, change)
    with pytest.raises(ModelFileError, match=message):
        load(path)


JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    "",
    "x",
    "sklearn.svm.LinearSVC",
    [],
    {},
    [[]],
    {"$": "tuple", "items": []},
]


def test_structures_with_random_parts_replaced_load_or_are_refused(path: Path) -> None:
    """Hashes right, content wrong: whatever a forger writes, the answer is a model or a ModelFileError."""
    rng = random.Random(0)
    state = {
        "c": fitted(TREE),
        "k": fitted(NEIGHBORS),
        "p": fitted(18),
        "w": Words().fit(),
        "s": sp.csr_matrix(np.eye(2)),
    }
    save(path, state)
    whole = path.read_bytes()
    refused = 0
    for _ in range(150):
        path.write_bytes(whole)

        def change(manifest: dict[str, Any], _: Any) -> None:
            places: list[tuple[Any, Any]] = []
            stack = [manifest["tree"]]
            while stack:
                node = stack.pop()
                for key in list(node) if isinstance(node, dict) else range(len(node)):
                    places.append((node, key))
                    if isinstance(node[key], dict | list):
                        stack.append(node[key])
            node, key = rng.choice(places)
            node[key] = rng.choice([*JUNK, rng.choice(places)[0]])

        try:
            forge(path, change)
        except ValueError:  # the junk holds itself, and JSON cannot
            continue
        with canary() as events:
            try:
                load(path)
            except ModelFileError:
                refused += 1
        assert events == []
    assert refused > 50


# --- damaged files --------------------------------------------------------------------------------------------------

_watched: list[tuple[str, str]] | None = None
_DANGEROUS = (
    "exec",
    "compile",
    "import",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.",
    "pickle.",
    "marshal.",
    "ctypes.",
    "socket.",
    "shutil.",
)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watched is not None and event.startswith(_DANGEROUS):
        _watched.append((event, ascii(args)[:200]))


sys.addaudithook(_hook)


class canary:  # noqa: N801
    """Lists what Python ran while it was open: code, imports, processes, pickles."""

    def __enter__(self) -> list[tuple[str, str]]:
        global _watched
        _watched = []
        return _watched

    def __exit__(self, *_: object) -> None:
        global _watched
        _watched = None


def test_the_canary_sings() -> None:
    with canary() as events:
        pickle.loads(pickle.dumps(os.getcwd))
        exec("1")
    assert {event for event, _ in events} >= {"pickle.find_class", "exec"}


@pytest.fixture(scope="module")
def realistic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("realistic") / "model.cvbow"
    state = {"reduce": fitted(18), "classifier": fitted(FOREST), "words": Words().fit(), "names": np.array(["a", "bc"])}
    save(path, state, {"preset": "bow", "parameters": {"step": 4, "seed": None}, "accuracy": 0.97})
    return path


def test_random_flips_and_truncations_load_the_same_or_are_refused(realistic: Path, tmp_path: Path) -> None:
    whole = realistic.read_bytes()
    images = digits()[2][:5]
    expected = storage.load(realistic, kind="classifier")
    answers = expected.state["classifier"].predict_proba(images)
    rng = random.Random(20)
    path = tmp_path / "damaged.cvbow"
    same_again = 0
    for i in range(1000):
        data = bytearray(whole)
        if i % 4 == 3:
            del data[rng.randrange(len(data)) :]
        else:
            # Half of the flips where the structure is: most of the file is arrays.
            end = len(data) if i % 2 else 4096
            for _ in range(rng.choice((1, 1, 1, 2, 8))):
                data[rng.randrange(end)] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with canary() as events:
            try:
                stored = storage.load(path, kind="classifier")
            except ModelFileError as error:
                stored, refusal = None, error
        assert events == [], f"case {i}"
        if stored is None:
            assert refusal.path == str(path)
            assert "\n" not in str(refusal)
        else:
            same_again += 1
            assert (stored.metadata, stored.versions, stored.content_hash) == (
                expected.metadata,
                expected.versions,
                expected.content_hash,
            )
            np.testing.assert_array_equal(stored.state["classifier"].predict_proba(images), answers)
    assert same_again == 0  # every byte is under some hash, checksum or comparison


def test_flips_and_truncations_everywhere_in_a_small_file_is_refused(path: Path) -> None:
    save(path, {"w": np.arange(3), "t": np.array(["ab"])}, {"m": [1, 2]})
    whole = path.read_bytes()
    rng = random.Random(1)
    for i in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[i] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(ModelFileError, match=r"damaged|not a cvbow file|truncated"):
            load(path)
        if i % 2 == 0:
            path.write_bytes(whole[:i])
            with pytest.raises(ModelFileError, match=r"truncated|is empty"):
                storage.inspect(path)


def test_a_truncated_file_says_how_much_is_left(path: Path) -> None:
    save(path, np.zeros(1000))
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(ModelFileError, match=f"is truncated: only 2000 bytes of {len(whole)} are there"):
        load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFileError, match="bytes follow its end"):
        load(path)


# --- foreign files --------------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def zip_bytes(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03", "is truncated"),
        (b"P", "is truncated"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200), "it is a JPEG image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "it is a PNG image"),
        (pickle.dumps(Bomb()) + bytes(100), "it is a pickle, which cvbow never opens"),
        (pickle.dumps(Bomb(), 0) + bytes(100), "is not a cvbow file"),
        (npy(np.array([Bomb()], dtype=object)), "it is a NumPy array"),
        (zip_bytes(("schema.json", b"{}"), ("1.npy", npy(np.zeros(2)))), "another kind of ZIP archive"),
        (zip_bytes(("manifest.json", b"{}")), "packed anew"),
        (zip_bytes(("manifest.json", b" " * 10**6), compression=zipfile.ZIP_DEFLATED), "packed anew"),
        (zip_bytes(("manifest.json", b"{}"), ("manifest.json", b"{}")), "packed anew"),
        (zip_bytes(("/etc/passwd", b"x"), ("../../manifest.json", b"{}")), "another kind of ZIP"),
        (b"hello, world\n" * 20, "is not a cvbow file$"),
        (bytes(1000), "is not a cvbow file$"),
    ],
    # The bytes of some hold the time, and xdist wants the same names from every worker.
    ids=[
        "empty",
        "two bytes",
        "one byte",
        "jpeg",
        "png",
        "pickle",
        "pickle 0",
        "npy",
        "zip",
        "manifest alone",
        "deflated",
        "twice",
        "paths",
        "text",
        "zeros",
    ],
)
def test_foreign_files_are_named(path: Path, data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(data)
    with canary() as events:
        for read in (load, storage.inspect):
            with pytest.raises(ModelFileError, match=message):
                read(path)
    assert events == []
    assert not (path.parent / "executed").exists()


def repacked(path: Path, compression: int) -> bytes:
    with zipfile.ZipFile(path) as file:
        return zip_bytes(*((name, file.read(name)) for name in file.namelist()), compression=compression)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_model_that_was_packed_anew_is_refused(path: Path, compression: int) -> None:
    save(path, np.zeros(5))
    path.write_bytes(repacked(path, compression))
    with pytest.raises(ModelFileError, match="packed anew"):
        load(path)


def test_any_unzip_program_and_numpy_open_a_model(path: Path) -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3, 2)), np.array(["a", "bcd"]), np.array(True)]
    arrays += [np.zeros((0, 5), np.float32), np.zeros(2, np.dtype([("x", "<i8"), ("y", "<f4")]))]
    save(path, arrays, {"m": 1})
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        names = ["manifest.json", *(f"arrays/{i:05d}.npy" for i in range(len(arrays)))]
        assert file.namelist() == names
        for info in file.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
        manifest = json.loads(file.read("manifest.json"))
        assert (manifest["format"], manifest["format_version"], manifest["kind"]) == ("cvbow", 2, "classifier")
        for name, array in zip(names[1:], arrays, strict=True):
            assert same(np.load(io.BytesIO(file.read(name)), allow_pickle=False), array)
            assert file.read(name)[:128] == npy(array)[:128]


def test_missing_files_folders_and_pipes(path: Path) -> None:
    for read in (load, storage.inspect):
        with pytest.raises(FileNotFoundError):
            read(path)
        with pytest.raises(ModelFileError, match="Is a directory"):
            read(path.parent)
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        with pytest.raises(ModelFileError, match="a pipe, not a regular file"):
            load(path)


def test_a_file_that_may_not_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, 0)

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ModelFileError, match="cannot be read: Permission denied"):
        load(path)


def test_another_kind(path: Path) -> None:
    save(path, 0, kind="index")
    with pytest.raises(ModelFileError, match=r"holds an index, not a classifier$"):
        load(path)
    assert storage.load(path, kind="index").state == 0


# --- forged manifests -----------------------------------------------------------------------------------------------


def manifest_text(path: Path) -> str:
    with zipfile.ZipFile(path) as file:
        return file.read("manifest.json").decode()


def resealed(text: str) -> bytes:
    body = text[: text.index(',"manifest_hash"')]
    seal = hashlib.sha256((body + "}").encode()).hexdigest()
    return f'{body},"manifest_hash":"{seal}"}}'.encode()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"format_version":2',
            '"format_version":3',
            r"newer cvbow \(format 3, this one reads up to 2\): upgrade cvbow",
        ),
        ('"format_version":2', '"format_version":3,"x":NaN', "newer cvbow"),
        ('"format_version":2', '"format_version":0', "is incomplete"),
        ('"format_version":2', '"format_version":true', "is incomplete"),
        ('"format_version":2', '"format_version":"1"', "is incomplete"),
        ('"format":"cvbow"', '"format":"skops"', "belongs to another program"),
        ('"kind":"classifier"', '"kind":"Class\\u001b[31m"', "is incomplete"),
        ('"kind":"classifier"', '"kind":["classifier"]', "is incomplete"),
        ('"kind":"classifier"', '"kind":"classifier","kind":"classifier"', "manifest_hash"),
        ('"kind":"classifier"', '"kind": "classifier"', "manifest_hash"),
        ('"kind":"classifier"', '"kind":"classifier","more":1', "is incomplete"),
        ('"versions":{', '"versions":{"a":1,', "is incomplete"),
        ('"tree":0.5', '"tree":NaN', "not JSON as cvbow writes it"),
        ('"tree":0.5', '"tree":Infinity', "not JSON as cvbow writes it"),
        ('"tree":0.5', '"tree":1e999', "not JSON as cvbow writes it"),
        ('"tree":0.5', '"tree":0.50', "manifest_hash"),
        ('"tree":0.5', '"tree":1' + "0" * 5000, "not JSON as cvbow writes it"),
        ('"tree":0.5', '"tree":' + "[" * 900 + "]" * 900, "content_hash|nested too deeply"),
        ('"tree":0.5', '"tree":' + "[" * 10**6 + "]" * 10**6, "nested too deeply"),
        ('"tree":0.5', '"tree":' + '{"a":' * 10**6 + "1" + "}" * 10**6, "nested too deeply"),
        ('"tree":0.5', '"tree":1.5', "content_hash"),
        ('"tree":0.5', "\"tree\":'x'", "not JSON"),
        ('"metadata":{}', '"metadata":[]', "is incomplete"),
        ('"metadata":{}', '"metadata":{"a":"é"}', "not JSON as cvbow writes it"),
        ('"arrays":[]', '"arrays":{}', "is incomplete"),
        ('"arrays":[]', '"arrays":[1]', "must hold dtype, shape and fortran"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_forged_manifests_are_refused(path: Path, old: str, new: str, message: str) -> None:
    save(path, 0.5)
    text = manifest_text(path)
    assert archive(text.encode()) == path.read_bytes()
    assert resealed(text) == text.encode()
    assert old in text
    path.write_bytes(archive(resealed(text.replace(old, new))))
    for read in (load, storage.inspect):
        with pytest.raises(ModelFileError, match=message):
            read(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"\x80\x81", b"{}"])
def test_manifests_that_are_none_are_refused(path: Path, text: bytes) -> None:
    path.write_bytes(archive(text))
    with pytest.raises(ModelFileError, match=r"not JSON as cvbow writes it|not a cvbow file"):
        load(path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"dtype": "<f8", "shape": [1 << 45], "fortran": False}, "truncated"),
        ({"dtype": "<f8", "shape": [1 << 61, 8], "fortran": False}, "truncated"),
        ({"dtype": "<f8", "shape": [1 << 62], "fortran": False}, "shape is out of bounds"),
        ({"dtype": "<f8", "shape": [10**4000], "fortran": False}, "shape is out of bounds"),
        ({"dtype": "<f8", "shape": [0, 1 << 40], "fortran": False}, "shape is out of bounds"),
        ({"dtype": "<f8", "shape": [0, 1 << 20, 1 << 20], "fortran": False}, "shape is out of bounds"),
        ({"dtype": "<f8", "shape": [1] * 33, "fortran": False}, "shape is out of bounds"),
        ({"dtype": "<f8", "shape": [-1], "fortran": False}, "non-negative"),
        ({"dtype": "<f8", "shape": [True], "fortran": False}, "non-negative"),
        ({"dtype": "<f8", "shape": 3, "fortran": False}, "non-negative"),
        ({"dtype": "<f8", "shape": [3], "fortran": True}, "memory order"),
        ({"dtype": "<f8", "shape": [1, 3], "fortran": True}, "memory order"),
        ({"dtype": "<f8", "shape": [1], "fortran": 0}, "memory order"),
        ({"dtype": "|O", "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": "|O8", "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": "|V8", "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": "<U0", "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": "f8, O", "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": "<M8[s]", "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": {"names": ["a"], "formats": ["O"]}, "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": [["a", "|O"]], "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": [["a\n", "<f4"]], "shape": [1], "fortran": False}, "dtype"),
        ({"dtype": [[f"a{i}", "<f4"] for i in range(65)], "shape": [1], "fortran": False}, "dtype"),
        ({"shape": [1], "dtype": "<f8", "fortran": False}, "must hold"),
        ({"dtype": "<f8", "shape": [1], "fortran": False, "more": 1}, "must hold"),
    ],
    ids=lambda value: ascii(value)[:70],
)
def test_forged_array_records_are_refused(path: Path, record: Any, message: str) -> None:
    save(path, 0.5)
    text = manifest_text(path).replace('"arrays":[]', f'"arrays":[{_container.canonical_json(record).decode()}]')
    path.write_bytes(archive(resealed(text)))
    for read in (load, storage.inspect):
        with pytest.raises(ModelFileError, match=message):
            read(path)


def test_a_header_that_asks_for_pickle_is_refused(path: Path) -> None:
    """The member's header and checksum forged to declare objects: neither numpy nor pickle ever sees it."""
    save(path, np.zeros(64))
    data = path.read_bytes()
    start = data.index(b"\x93NUMPY")
    member = data[start : start + 128 + 512]
    payload = pickle.dumps(np.array([Bomb()], dtype=object))
    evil = member[:128].replace(b"'<f8'", b"'|O' ") + payload.ljust(512, b"\0")
    crc, evil_crc = (zlib.crc32(part).to_bytes(4, "little") for part in (member, evil))
    assert data.count(crc) == 2
    path.write_bytes(data.replace(member, evil).replace(crc, evil_crc))
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None  # a sound archive
    with canary() as events, pytest.raises(ModelFileError, match="array 0 is not what was written"):
        load(path)
    assert events == []


def test_names_in_the_directory_are_compared(path: Path) -> None:
    save(path, [np.zeros(2), np.ones(2)])
    data = path.read_bytes()
    for old, new in ((b"arrays/00001.npy", b"arrays/00000.npy"), (b"arrays/00001.npy", b"/arrays/0001.npy")):
        for where in ("last", "all"):
            head, _, tail = data.rpartition(old)
            path.write_bytes(head + new + tail if where == "last" else data.replace(old, new))
            with pytest.raises(ModelFileError, match="is not what was written"):
                load(path)


def test_overlapping_members_are_refused(path: Path) -> None:
    save(path, [np.zeros(2), np.zeros(2)])
    with zipfile.ZipFile(path) as file:
        first, second = (info.header_offset for info in file.infolist()[1:])
    data = path.read_bytes()
    head, _, tail = data.rpartition(second.to_bytes(8, "little"))
    path.write_bytes(head + first.to_bytes(8, "little") + tail)
    with pytest.raises(ModelFileError, match="directory is not what was written"):
        load(path)


def test_a_manifest_of_absurd_size_is_not_parsed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, "x" * 2000)
    monkeypatch.setattr(_container, "_MAX_MANIFEST", 1000)
    with pytest.raises(ModelFileError, match="manifest is too large"):
        load(path)
    with pytest.raises(ValueError, match="must be at most 1000 bytes"):
        save(path, "x" * 2000)


def test_memory_that_runs_out_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, np.zeros(5))

    def refuse(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(ModelFileError, match="does not fit into memory"):
        load(path)


# --- whole or not at all --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()], ids=repr
)
def test_a_save_that_fails_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    def fail(*_: Any) -> None:
        assert [p.name for p in path.parent.iterdir() if p.name.startswith(f".{path.name}.{os.getpid()}.")]
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(type(error)):
            save(path, np.zeros(10))
    assert list(path.parent.iterdir()) == []
    digest = save(path, np.zeros(10))
    with monkeypatch.context() as patch:
        patch.setattr(_container, "directory", fail)
        with pytest.raises(type(error)):
            save(path, np.ones(10))
    assert list(path.parent.iterdir()) == [path]
    assert storage.inspect(path).content_hash == digest


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "no" / "model.cvbow"
    for attempt in (lambda p: save(p, 0), storage.check_writable):
        with pytest.raises(FileNotFoundError, match=r"the folder to write into does not exist: '.*no'"):
            attempt(missing)
        with pytest.raises(IsADirectoryError, match="a folder is in the place"):
            attempt(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda *_: False)
            with pytest.raises(PermissionError, match="no permission to write into the folder"):
                attempt(tmp_path / "model.cvbow")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_followed_and_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    digest = save(link, 1)
    assert link.is_symlink()
    assert storage.inspect(real).content_hash == digest
    plain = tmp_path / "plain"
    plain.touch()
    assert real.stat().st_mode == plain.stat().st_mode


def test_threads_that_save_under_one_name_leave_one_whole_file(path: Path) -> None:
    digests: list[str] = []

    def work(value: int) -> None:
        for _ in range(5):
            digests.append(save(path, np.full(20_000, value)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 20
    assert storage.load(path, kind="classifier").content_hash in digests
    assert list(path.parent.iterdir()) == [path]


CHILD = """
import os, sys, time
import numpy as np
from cvbow import storage
fsync = os.fsync
def slow(handle):
    time.sleep(0.02)
    fsync(handle)
os.fsync = slow
storage.save(sys.argv[1] + ".first", kind="classifier", state=0, metadata={})
print("ready", flush=True)
for i in range(10_000):
    storage.save(sys.argv[1], kind="classifier", state=[np.full(300_000, i), i], metadata={})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    rng = random.Random(3)
    strays = 0
    for delay in (0.0, 0.01, 0.02, *(rng.uniform(0.02, 0.15) for _ in range(3))):
        folder = tmp_path / str(delay)
        folder.mkdir()
        path = folder / "model.cvbow"
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], env=env, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(delay)
            child.kill()
        left = {p.name for p in folder.iterdir()} - {"model.cvbow.first"}
        for name in left - {"model.cvbow"}:
            strays += 1
            assert name.startswith(f".model.cvbow.{child.pid}.")
            assert name.endswith(".tmp")
        if "model.cvbow" in left:
            values, i = load(path)
            np.testing.assert_array_equal(values, np.full(300_000, i))
    assert strays  # at least one was hit while it wrote: otherwise this has shown nothing


def test_the_folder_is_flushed_where_that_can_be_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []

    def record(handle: int) -> None:
        flushed.append(os.path.isdir(f"/proc/self/fd/{handle}") if sys.platform == "linux" else len(flushed) > 0)
        FSYNC(handle)

    monkeypatch.setattr(_atomic.os, "fsync", record)
    save(path, 0)
    assert flushed == [False, True]


# --- the module -----------------------------------------------------------------------------------------------------


def test_importing_storage_is_light() -> None:
    code = "import sys, cvbow.storage; print(sorted({'sklearn', 'scipy', 'cv2', 'joblib', 'click'} & {*sys.modules}))"
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip() == "[]"


@pytest.fixture(autouse=True)
def _nothing_stays_watched() -> Iterator[None]:
    yield
    assert _watched is None
