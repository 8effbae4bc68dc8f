"""Vocabulary tree: words found by descent, so that a hundred thousand cost little more than ten.

D. Nister and H. Stewenius, "Scalable recognition with a vocabulary tree", CVPR 2006.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.dictionary._clusters import fill_up, move_words
from cvbow.dictionary.base import Dictionary
from cvbow.dictionary.prepared import prepared_from
from cvbow.dictionary.search import WordSearch
from cvbow.parallel import cut, map_threads
from cvbow.progress import detail, progress
from cvbow.storage import Array, Learned

#: Rows of descriptors that one task of a thread takes.
_TASK = 8192
#: With fewer descriptors to a node, one product per node costs more than gathering the children of each descriptor.
_FEW = 8
#: Values gathered at a time: 1 MB of float32.
_GATHERED = 1 << 18


class VocabularyTree(Dictionary):
    """Words as the leaves of a tree: k-means on the descriptors, and again on those of each cluster.

    A descriptor goes down the tree, at each node to the nearest child; the leaf is its word. That is not always the
    nearest of all words, which is the price of the speed.

    Parameters
    ----------
    branching : int, default 10
        Children of a node.
    depth : int, default 3
        Levels below the root: at most ``branching ** depth`` words.
    min_split : int, default 20
        A node with fewer descriptors of the sample stays a leaf, as does one whose descriptors are all equal.
    max_iter, tol, n_jobs, random_state : default 20, 1e-3, None and 0
        Of each k-means; see ``Dictionary``.

    Attributes
    ----------
    nodes_ : ndarray of shape (n_nodes, k), float32
        Means of the nodes' descriptors, level by level from the root; children of one node follow each other.
    n_children_ : ndarray of shape (n_nodes,), int32
        Of each node; 0 for a leaf.
    words_ : ndarray of shape (n_words, k), float32
        The leaves, in the order of ``nodes_``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import VocabularyTree
    >>> descriptors = np.random.default_rng(0).random((500, 8), np.float32)
    >>> tree = VocabularyTree(branching=3, depth=2).fit(descriptors)
    >>> tree.words_.shape, int(tree.predict(descriptors).max())
    ((9, 8), 8)
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "nodes_": Array("float32", "n_nodes k"),
        "n_children_": Array("int32", "n_nodes", minimum=0),
    }

    def __init__(
        self,
        *,
        branching: int = 10,
        depth: int = 3,
        min_split: int = 20,
        max_iter: int = 20,
        tol: float = 1e-3,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.branching = branching
        self.depth = depth
        self.min_split = min_split
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def words_(self) -> NDArray[np.float32]:  # type: ignore[override]
        """The leaves, shape (n_words, k), float32; AttributeError before ``fit``."""
        if "nodes_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no words_ before fit")
        return self._tree.words

    def _learn(self, data: NDArray[np.float32], threads: int) -> None:
        detail(
            f"vocabulary tree: up to {self.branching}^{self.depth} words from {len(data)} descriptors of "
            f"{data.shape[1]} values"
        )
        levels = [data.mean(axis=0, dtype=np.float64).astype(np.float32)[None]]
        n_children: list[NDArray[np.int32]] = []
        members = [np.arange(len(data))]
        with progress("vocabulary tree", self.depth) as update:
            for level in range(self.depth):
                split = self._split(data, members, level, threads)
                n_children.append(np.array([len(words) for words, _ in split], np.int32))
                levels += [words for words, _ in split if len(words)]
                members = [rows for _, parts in split for rows in parts]
                update(level + 1)
        n_children.append(np.zeros(len(members), np.int32))
        self.nodes_ = np.concatenate(levels)
        self.n_children_ = np.concatenate(n_children)

    def _predict(self, data: NDArray[np.float32], threads: int) -> NDArray[np.int32]:
        tree = self._tree
        labels = np.empty(len(data), np.int32)

        def descend(rows: slice) -> None:
            labels[rows] = tree.word_of_node[tree.descend(data[rows])]

        map_threads(descend, cut(len(data), _TASK), threads)
        return labels

    def _split(
        self, data: NDArray[np.float32], members: list[NDArray[np.intp]], level: int, threads: int
    ) -> list[tuple[NDArray[np.float32], list[NDArray[np.intp]]]]:
        """Return, for each node of a level, its children and the rows of each."""
        found: list[tuple[NDArray[np.float32], list[NDArray[np.intp]]]] = [(data[:0], [])] * len(members)

        def split(nodes: slice) -> None:
            for node in range(nodes.start, nodes.stop):
                rows = members[node]
                if len(rows) >= self.min_split:
                    rng = np.random.default_rng((self.random_state, level, node))
                    # Threads over the nodes of a level; the root has them all to itself.
                    words, labels = self._cluster(data[rows], rng, threads if len(members) == 1 else 1)
                    if len(words) > 1:
                        found[node] = words, [rows[labels == word] for word in range(len(words))]

        map_threads(split, [slice(node, node + 1) for node in range(len(members))], threads)
        return found

    def _cluster(
        self, data: NDArray[np.float32], rng: np.random.Generator, threads: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return the words of one k-means, fewer where there are fewer distinct descriptors, and the labels."""
        order = rng.permutation(len(data))
        words = np.unique(data[order[: self.branching]], axis=0)
        words = fill_up(words, data, order, self.branching)
        before = np.inf
        for _ in range(self.max_iter):
            labels, distances = WordSearch(words).nearest_distance(data, n_threads=threads)
            error = float(distances.mean(dtype=np.float64))
            words = move_words(data, labels, distances, words, threads)
            if before - error <= self.tol * error:
                break
            before = error
        labels = WordSearch(words).nearest(data, n_threads=threads)
        # A child without descriptors would be a word without meaning.
        used = np.unique(labels)
        return words[used], np.searchsorted(used, labels).astype(np.int32)

    @prepared_from("nodes_", "n_children_")
    def _tree(self) -> _Tree:
        return _prepare(self.nodes_, self.n_children_)

    def check_params(self) -> None:
        check_int("branching", self.branching, minimum=2)
        check_int("depth", self.depth, minimum=1)
        check_int("min_split", self.min_split, minimum=2)
        self._check_iterations()

    def check_state(self) -> None:
        super().check_state()
        if "nodes_" not in vars(self):
            return
        nodes, children = self.nodes_, self.n_children_
        total = np.cumsum(children, dtype=np.int64)
        # Children come after their parent, so that every way down ends.
        inner = np.flatnonzero(children)
        ends = np.all(1 + total[inner] - children[inner] > inner)
        if total[-1] != len(nodes) - 1 or not ends:
            raise ValueError("n_children_ must describe a tree, level by level")


@dataclass(frozen=True, eq=False)
class _Tree:
    """What the descent needs: nodes less their mean, the bias of each, the first child of each, and the leaves."""

    center: NDArray[np.float32]
    nodes: NDArray[np.float32]
    bias: NDArray[np.float32]
    first_child: NDArray[np.intp]
    n_children: NDArray[np.int32]
    word_of_node: NDArray[np.int32]
    words: NDArray[np.float32]

    def descend(self, descriptors: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the leaf's node of each descriptor, shape (n,)."""
        centered = descriptors - self.center
        node = np.zeros(len(centered), np.intp)
        rows = np.flatnonzero(self.n_children[node])
        while len(rows):
            parents, counts = np.unique(node[rows], return_counts=True)
            if len(rows) >= _FEW * len(parents):
                order = rows[np.argsort(node[rows], kind="stable")]
                stops = np.cumsum(counts)
                for parent, start, stop in zip(parents, stops - counts, stops, strict=True):
                    group = order[start:stop]
                    node[group] = self._child(centered[group], parent)
            else:
                node[rows] = self._children(centered[rows], node[rows])
            rows = rows[self.n_children[node[rows]] > 0]
        return node

    def _child(self, centered: NDArray[np.float32], parent: int) -> NDArray[np.intp]:
        """Return the nearest child of one node for each descriptor."""
        first = self.first_child[parent]
        children = slice(first, first + self.n_children[parent])
        scores = centered @ self.nodes[children].T + self.bias[children]
        return np.asarray(first + scores.argmax(axis=1))

    def _children(self, centered: NDArray[np.float32], parents: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the nearest child of each descriptor's own node."""
        nearest = np.empty(len(parents), np.intp)
        most = int(self.n_children[parents].max())
        block = max(1, _GATHERED // (most * self.nodes.shape[1]))
        offsets = np.arange(most)
        for top in range(0, len(parents), block):
            above = parents[top : top + block]
            first = self.first_child[above]
            missing = offsets >= self.n_children[above][:, None]
            children = np.where(missing, first[:, None], first[:, None] + offsets)
            products = self.nodes[children] @ centered[top : top + block, :, None]
            scores = np.where(missing, -np.inf, products[..., 0] + self.bias[children])
            nearest[top : top + block] = first + scores.argmax(axis=1)
        return nearest


def _prepare(nodes: NDArray[np.float32], n_children: NDArray[np.int32]) -> _Tree:
    leaves = n_children == 0
    words = nodes[leaves]
    words.setflags(write=False)
    center = words.mean(axis=0, dtype=np.float64).astype(np.float32)
    centered = nodes - center
    bias = -0.5 * np.einsum("ij,ij->i", centered, centered, dtype=np.float64)
    return _Tree(
        center=center,
        nodes=centered,
        bias=bias.astype(np.float32),
        first_child=1 + np.cumsum(n_children, dtype=np.intp) - n_children,
        n_children=n_children,
        word_of_node=(np.cumsum(leaves) - 1).astype(np.int32),
        words=words,
    )
