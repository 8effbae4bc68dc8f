"""VocabularyTree: the way down against a loop over the nodes, the tree against its rules, and its price in error."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import KMeansDictionary, VocabularyTree, vocabulary_tree
from cvbow.encoders import BagOfWords
from cvbow.errors import ModelFileError
from cvbow.features import Features

Float32 = NDArray[np.float32]


def random_rows(n: int, size: int = 6, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal((n, size)).astype(np.float32)


def descend(tree: VocabularyTree, x: Float32) -> int:
    """The word of one descriptor, node by node."""
    first_child = [1 + int(tree.n_children_[:node].sum()) for node in range(len(tree.nodes_))]
    node = 0
    while tree.n_children_[node]:
        children = range(first_child[node], first_child[node] + tree.n_children_[node])
        node = min(children, key=lambda child: float(np.sum((x.astype(np.float64) - tree.nodes_[child]) ** 2)))
    return int((tree.n_children_[:node] == 0).sum())


def depth_of(tree: VocabularyTree) -> int:
    depth, level = -1, 1
    start = 0
    while level:
        depth += 1
        start, level = start + level, int(tree.n_children_[start : start + level].sum())
    return depth


@pytest.mark.parametrize("few", [0, 8, 10**9])
@pytest.mark.parametrize(("branching", "depth"), [(2, 1), (2, 5), (5, 2), (10, 3)])
def test_the_way_down(branching: int, depth: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Node by node, or each descriptor's children gathered: the same answer.
    monkeypatch.setattr(vocabulary_tree, "_FEW", few)
    monkeypatch.setattr(vocabulary_tree, "_GATHERED", 100)
    tree = VocabularyTree(branching=branching, depth=depth).fit(random_rows(1000))
    queries = random_rows(60, seed=1)
    labels = tree.predict(queries)
    assert labels.dtype == np.int32
    assert labels.tolist() == [descend(tree, x) for x in queries]


def test_a_full_tree_has_all_its_words() -> None:
    tree = VocabularyTree(branching=4, depth=3, min_split=2).fit(random_rows(5000, 3))
    assert len(tree.words_) == 64
    assert tree.n_children_.tolist() == [4] * 21 + [0] * 64
    assert depth_of(tree) == 3
    assert tree.words_.dtype == np.float32
    assert np.array_equal(tree.words_, tree.nodes_[21:])


def test_one_level_is_k_means() -> None:
    data = random_rows(600, 3)
    tree = VocabularyTree(branching=12, depth=1, max_iter=50, tol=0).fit(data)
    flat = KMeansDictionary(n_words=12, max_iter=50, tol=0).fit(data)
    error = ((data - tree.words_[tree.predict(data)]) ** 2).sum(axis=1).mean()
    assert error < 1.1 * flat.inertia_
    distances = ((data[:, None] - tree.words_) ** 2).sum(axis=2)
    assert np.array_equal(tree.predict(data), distances.argmin(axis=1))


def test_words_are_the_means_of_their_descriptors() -> None:
    data = random_rows(3000, 4)
    tree = VocabularyTree(branching=3, depth=3, max_iter=100, tol=0).fit(data)
    labels = tree.predict(data)
    for word in range(len(tree.words_)):
        np.testing.assert_allclose(tree.words_[word], data[labels == word].mean(axis=0), atol=0.02)
    np.testing.assert_allclose(tree.nodes_[0], data.mean(axis=0), atol=1e-5)


def test_the_error_is_near_that_of_k_means_with_as_many_words() -> None:
    data = random_rows(4000, 8)
    tree = VocabularyTree(branching=8, depth=2).fit(data)
    flat = KMeansDictionary(n_words=len(tree.words_)).fit(data)
    error = ((data - tree.words_[tree.predict(data)]) ** 2).sum(axis=1).mean()
    assert flat.inertia_ < error < 1.2 * flat.inertia_


def test_small_and_uniform_nodes_stay_leaves() -> None:
    data = np.concatenate([np.zeros((500, 2)), 10 + random_rows(500, 2), [[100, 100]] * 5]).astype(np.float32)
    tree = VocabularyTree(branching=3, depth=4, min_split=30, max_iter=50).fit(data)
    labels = tree.predict(data)
    sizes = np.bincount(labels, minlength=len(tree.words_))
    assert (sizes > 0).all()
    assert sizes.sum() == 1005
    # The 500 equal ones and the 5 far ones are a word each, the rest is split again and again.
    assert sizes[labels[0]] == 500
    assert sizes[labels[-1]] == 5
    assert len(tree.words_) > 10
    assert 1 < depth_of(tree) <= 4


def test_one_descriptor_is_one_word() -> None:
    tree = VocabularyTree(min_split=2).fit(np.ones((50, 3), np.float32))
    assert np.array_equal(tree.words_, np.ones((1, 3)))
    assert not tree.predict(random_rows(5, 3)).any()


@given(st.integers(1, 60), st.integers(2, 4), st.integers(1, 4), st.integers(0, 9))
def test_any_small_sample(n: int, branching: int, depth: int, seed: int) -> None:
    data = np.round(random_rows(n, 2, seed))
    tree = VocabularyTree(branching=branching, depth=depth, min_split=2, random_state=seed).fit(data)
    labels = tree.predict(data)
    assert len(tree.words_) == (tree.n_children_ == 0).sum() <= branching**depth
    assert tree.n_children_.max() <= branching
    assert (tree.n_children_ != 1).all()
    assert depth_of(tree) <= depth
    assert set(labels) <= set(range(len(tree.words_)))
    storage.check_state(tree)


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(vocabulary_tree, "_TASK", 100)
    data = random_rows(2000)
    one, two = (VocabularyTree(branching=5, n_jobs=n_jobs).fit(data) for n_jobs in (1, 3))
    assert np.array_equal(one.nodes_, two.nodes_)
    assert np.array_equal(one.n_children_, two.n_children_)
    assert np.array_equal(one.predict(data), two.predict(data))


def test_seeds() -> None:
    data = random_rows(500)
    assert not np.array_equal(
        VocabularyTree(depth=1, random_state=1).fit(data).words_, VocabularyTree(depth=1).fit(data).words_
    )


def test_in_a_bag_of_words() -> None:
    features = Features(np.zeros((500, 4), np.float32), random_rows(500), (9, 9))
    encoder = BagOfWords(VocabularyTree(branching=4, depth=2), normalization="none").fit([features])
    vector = encoder.encode(features)
    tree = encoder.dictionary_
    assert vector.shape == (len(tree.words_),)
    assert np.array_equal(vector, np.bincount(tree.predict(features.descriptors), minlength=len(tree.words_)))
    assert (vector > 0).all()


def test_copies_answer_the_same(tmp_path: Path) -> None:
    data = random_rows(500)
    data.flags.writeable = False
    tree = VocabularyTree(branching=4, n_jobs=2).fit(data)
    labels = tree.predict(data)
    storage.save(tmp_path / "model", kind="dictionary", state=tree, metadata={})
    back = storage.load(tmp_path / "model", kind="dictionary").state
    for again in (back, pickle.loads(pickle.dumps(tree))):
        assert np.array_equal(again.predict(data), labels)
        assert np.array_equal(again.words_, tree.words_)
    assert back.n_jobs is None
    assert not hasattr(clone(tree), "words_")


@pytest.mark.parametrize(
    "children",
    [[2, 0, 0, 0], [3, 0, 0], [0, 0, 0, 3], [1, 3, 0, 0], [2, 1, -1, 1], [0, 2, 1, 0], [0, 3, 0, 0]],
)
def test_a_state_that_is_no_tree_is_refused(children: list[int], tmp_path: Path) -> None:
    tree = VocabularyTree(branching=3, depth=1, min_split=2).fit(np.eye(3, dtype=np.float32))
    assert tree.n_children_.tolist() == [3, 0, 0, 0]
    tree.n_children_ = np.array(children, np.int32)
    with pytest.raises((ValueError, ModelFileError), match="n_children_ must"):
        storage.save(tmp_path / "model", kind="dictionary", state=tree, metadata={})


def test_refusals() -> None:
    assert not hasattr(VocabularyTree(), "words_")
    with pytest.raises(NotFittedError):
        VocabularyTree().predict(random_rows(2))
    with pytest.raises(ValueError, match="at least one row"):
        VocabularyTree().fit(random_rows(0))
    with pytest.raises(ValueError, match="X has 5 features, but VocabularyTree is expecting 6 features"):
        VocabularyTree(depth=1).fit(random_rows(50)).predict(random_rows(2, 5))
    assert VocabularyTree(depth=1).fit(random_rows(50)).predict(random_rows(0)).shape == (0,)


@pytest.mark.parametrize(
    "parameters",
    [{"branching": 1}, {"depth": 0}, {"min_split": 1}, {"max_iter": 0}, {"tol": -1}, {"random_state": -1}],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(parameters))} must be "):
        VocabularyTree(**parameters).fit(random_rows(20))
