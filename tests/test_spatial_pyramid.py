"""SpatialPyramid against an oracle that cuts the points of each cell out and encodes them on their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from bags import all_words, bag, dictionary, frozen, random_bag
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, Encoder, SpatialPyramid
from cvbow.features import DenseSIFT, Features, to_working_size

LAZEBNIK = ("1x1", "2x2", "4x4")


def cell_of(place: float, n_cells: int, pixels: int) -> int:
    """The cell of a coordinate: the image spans -1/2 to pixels - 1/2, what is outside counts to the edge.

    Exactly, but that a place which is less than a millionth of the image before a border is on it.
    """
    cell = math.floor((Fraction(float(place) + 0.5) / pixels + Fraction(1, 2**20)) * n_cells)
    return min(max(cell, 0), n_cells - 1)


def pyramid_oracle(
    encoder: Encoder,
    features: Features,
    grids: Sequence[tuple[int, int]],
    weights: Sequence[float],
    *,
    l2: bool,
    overlap: bool = False,
) -> NDArray[np.float64]:
    width, height = features.image_size
    parts = []
    for (columns, rows), weight in zip(grids, weights, strict=True):
        place = [
            (cell_of(y, rows + overlap, height), cell_of(x, columns + overlap, width))
            for x, y in features.points[:, :2]
        ]
        for row in range(rows):
            for column in range(columns):
                # Of cells that overlap, each is two of the strips.
                inside = np.array(
                    [i for i, (y, x) in enumerate(place) if 0 <= y - row <= overlap and 0 <= x - column <= overlap],
                    np.intp,
                )
                parts.append(weight * encoder.encode(features.take(inside)).astype(np.float64))
    vector = np.concatenate(parts)
    length = np.linalg.norm(vector)
    return vector / length if l2 and length else vector


def fitted(n_words: int = 3, *, of_words: dict[str, Any] | None = None, **parameters: Any) -> SpatialPyramid:
    encoder = BagOfWords(dictionary(n_words), **of_words or {})
    return SpatialPyramid(encoder, **parameters).fit(all_words(n_words))


def test_by_hand() -> None:
    pyramid = fitted(2, of_words={"normalization": "none"}, grids=("1x1", "2x1"), normalization="none")
    # An image of 4 x 4 pixels: columns 0 and 1 are the left cell.
    features = bag([0, 0, 1, 1], [(0, 0), (1, 3), (2, 0), (1, 2)], image_size=(4, 4))
    np.testing.assert_array_equal(pyramid.encode(features), [2, 2, 2, 1, 0, 1])


def test_cells_that_overlap_by_hand() -> None:
    counts = {"of_words": {"normalization": "none"}, "normalization": "none", "overlap": True}
    # Three cells of a half each: the quarters of the image's 40 pixels hold one point of word 0, 1, 2 and 2.
    features = bag([0, 1, 2, 2], [(5, 0), (15, 0), (25, 39), (35, 39)])
    vector = fitted(grids=["3x1"], **counts).encode(features)
    np.testing.assert_array_equal(vector, [*[1, 1, 0], *[0, 1, 1], *[0, 0, 2]])
    # Two cells of two thirds each; one cell is the whole image.
    vector = fitted(grids=["2x1", "1x1"], **counts).encode(features)
    np.testing.assert_array_equal(vector, [*[1, 1, 1], *[0, 1, 2], *[1, 1, 2]])


def test_overlapping_pyramids_in_one_another_and_their_shares() -> None:
    inner = SpatialPyramid(BagOfWords(KMeansDictionary(n_words=6)), grids=("2x1", "3x3"), overlap=True)
    outer = SpatialPyramid(inner, grids=("1x2",), overlap=True).fit([random_bag(60, seed=1)])
    features = random_bag(50, seed=2)
    vector = outer.encode(features)
    expected = pyramid_oracle(outer.encoder_, features, [(1, 2)], [1], l2=True, overlap=True)
    np.testing.assert_allclose(vector, expected, rtol=1e-5, atol=1e-7)
    weights = np.random.default_rng(0).normal(size=len(vector))
    assert outer.shares(features, weights).sum() == pytest.approx(vector.astype(np.float64) @ weights)
    assert outer.words(features).cell.max() < 2 * 11 == outer.words(features).n_cells


def test_grids_are_columns_by_rows_and_cells_go_row_by_row() -> None:
    features = bag([0, 1, 2], [(5, 5), (35, 5), (5, 35)])
    counts = {"of_words": {"normalization": "none"}, "normalization": "none"}
    np.testing.assert_array_equal(fitted(grids=["2x1"], **counts).encode(features), [1, 0, 1, 0, 1, 0])
    np.testing.assert_array_equal(fitted(grids=["1x2"], **counts).encode(features), [1, 1, 0, 0, 0, 1])
    np.testing.assert_array_equal(
        fitted(grids=[(2, 2)], **counts).encode(features), [*[1, 0, 0], *[0, 1, 0], *[0, 0, 1], *[0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("level_weights", "expected"),
    [
        ("equal", [1, 1, 1]),
        ("cells", [1, 1 / 2, 1 / 4]),
        # Equation 3 for L = 2: 1/4, 1/4 and 1/2; a dot product multiplies the factor of either side.
        ("lazebnik", [1 / 2, 1 / 2, math.sqrt(1 / 2)]),
        ((0.25, 0.25, 0.5), [1 / 4, 1 / 4, 1 / 2]),
        ([3, 2, 1], [3, 2, 1]),
    ],
)
def test_level_weights(level_weights: str | Sequence[float], expected: list[float]) -> None:
    pyramid = fitted(1, grids=LAZEBNIK, level_weights=level_weights, normalization="none")
    # One word, Hellinger: every cell that has a point is 1 before it is weighted.
    places = [(10 * column, 10 * row) for row in range(4) for column in range(4)]
    vector = pyramid.encode(bag([0] * 16, places))
    np.testing.assert_allclose(vector, np.repeat(expected, [1, 4, 16]), rtol=1e-6)


def test_histograms_of_an_image_add_up_to_one() -> None:
    features = bag([0, 0, 1, 1], [(0, 0), (1, 3), (2, 0), (1, 2)], image_size=(4, 4))
    parameters = {"grids": ("1x1", "2x1"), "level_weights": (0.25, 0.5), "of_words": {"normalization": "none"}}
    vector = fitted(2, normalization="l1", **parameters).encode(features)
    np.testing.assert_allclose(vector, np.array([2, 2, 4, 2, 0, 2]) / 12, rtol=1e-6)
    assert not fitted(2, normalization="l1", **parameters).encode(bag([], [])).any()


@given(seed=st.integers(0, 10_000), last=st.integers(0, 3))
def test_lazebnik_weights_are_equation_3(seed: int, last: int) -> None:
    sizes = [2**level for level in range(last + 1)]
    parameters = {"grids": [(n, n) for n in sizes], "normalization": "none"}
    weighted = fitted(3, of_words={"normalization": "l1"}, level_weights="lazebnik", **parameters)
    plain = fitted(3, of_words={"normalization": "l1"}, level_weights="equal", **parameters)
    rng = np.random.default_rng(seed)
    left, right = (bag(rng.integers(0, 3, 30), rng.uniform(0, 39, (30, 2))) for _ in range(2))
    levels = np.cumsum([3 * n * n for n in sizes])[:-1]
    products = [
        a @ b for a, b in zip(np.split(plain.encode(left), levels), np.split(plain.encode(right), levels), strict=True)
    ]
    # K^L = 1/2^L I^0 + sum over l of 1/2^(L - l + 1) I^l
    expected = products[0] / 2**last + sum(products[level] / 2 ** (last - level + 1) for level in range(1, last + 1))
    assert weighted.encode(left) @ weighted.encode(right) == pytest.approx(expected, rel=1e-5)


def test_weights_of_cells_give_every_grid_the_same_share() -> None:
    pyramid = fitted(3, grids=("1x1", "2x2", "3x1"), level_weights="cells", normalization="none")
    rng = np.random.default_rng(0)
    vector = pyramid.encode(bag(rng.integers(0, 3, 200), rng.uniform(0, 39, (200, 2)))).astype(np.float64)
    shares = [part @ part for part in np.split(vector, [3, 15])]
    np.testing.assert_allclose(shares, [1, 1, 1], rtol=1e-5)


# Whole and half pixels fall on the borders of cells, the borders of the image and beyond them.
places = st.tuples(*[st.one_of(st.integers(-4, 100).map(lambda v: v / 2), st.floats(-3, 60, width=32))] * 2)


@given(
    points=st.lists(st.tuples(st.integers(0, 2), places), max_size=40),
    grids=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3),
    image_size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    level_weights=st.sampled_from(["equal", "cells"]),
    l2=st.booleans(),
    overlap=st.booleans(),
)
def test_against_the_oracle(
    points: list[tuple[int, tuple[float, float]]],
    grids: list[tuple[int, int]],
    image_size: tuple[int, int],
    level_weights: str,
    l2: bool,
    overlap: bool,
) -> None:
    pyramid = fitted(grids=grids, level_weights=level_weights, normalization="l2" if l2 else "none", overlap=overlap)
    features = frozen(bag([word for word, _ in points], [place for _, place in points], image_size))
    weights = [1.0 if level_weights == "equal" else (columns * rows) ** -0.5 for columns, rows in grids]
    vector = pyramid.encode(features)
    assert vector.dtype == np.float32
    assert vector.shape == (pyramid.vector_length,) == (3 * sum(columns * rows for columns, rows in grids),)
    np.testing.assert_allclose(
        vector,
        pyramid_oracle(pyramid.encoder_, features, grids, weights, l2=l2, overlap=overlap),
        rtol=1e-5,
        atol=1e-7,
    )
    # A point's cells are those that it counts in.
    table = pyramid.words(features)
    cells = [set(cells[cells >= 0].tolist()) for cells in table.cell]
    alone = [pyramid.encode(features.take(np.array([row]))).reshape(-1, 3) for row in range(len(features))]
    assert cells == [set(np.flatnonzero(vectors.any(axis=1)).tolist()) for vectors in alone]


@pytest.mark.parametrize("width", [37, 41, 47, 99, 480])
def test_a_point_on_a_border_is_in_the_cell_after_it(width: int) -> None:
    # In float32, 20.5 * (2 / 41) would be just below 1.
    for columns in range(2, 9):
        borders = [Fraction(k * width, columns) - Fraction(1, 2) for k in range(1, columns)]
        exact = [(k, float(b)) for k, b in enumerate(borders, 1) if b.denominator in (1, 2, 4)]
        if not exact:
            continue
        pyramid = fitted(1, grids=[(columns, 1)], of_words={"normalization": "none"}, normalization="none")
        vector = pyramid.encode(bag([0] * len(exact), [(x, 0) for _, x in exact], (width, 10)))
        np.testing.assert_array_equal(np.flatnonzero(vector), [k for k, _ in exact])


@pytest.mark.parametrize("size", [(232, 320), (240, 196), (410, 290), (600, 800)])
def test_resizing_an_image_leaves_points_in_their_cells(size: tuple[int, int]) -> None:
    # Places in the image itself are rounded to float32, those at its working size are not.
    image = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    sides = {"min_side": 300, "max_side": 420}
    found = DenseSIFT(step=4, bin_sizes=(4,), **sides).extract(image)
    working = DenseSIFT(step=4, bin_sizes=(4,)).extract(to_working_size(image, **sides))
    for columns, rows in ((2, 2), (4, 4), (3, 1)):
        pyramid = fitted(1, grids=[(columns, rows)])
        cells = [
            pyramid.words(frozen(bag([0] * len(each), each.points[:, :2], each.image_size))).cell
            for each in (found, working)
        ]
        np.testing.assert_array_equal(*cells)


@pytest.mark.parametrize("inner_grids", [("1x1",), ("2x2", "1x3")])
def test_a_pyramid_of_pyramids(inner_grids: tuple[str, ...]) -> None:
    inner = SpatialPyramid(BagOfWords(KMeansDictionary(n_words=6)), grids=inner_grids, level_weights="cells")
    outer = SpatialPyramid(inner, grids=("1x1", "3x2")).fit([random_bag(60, seed=1)])
    features = random_bag(50, seed=2)
    expected = pyramid_oracle(outer.encoder_, features, [(1, 1), (3, 2)], [1, 1], l2=True)
    np.testing.assert_allclose(outer.encode(features), expected, rtol=1e-5, atol=1e-7)
    assert outer.vector_length == 7 * inner_vector_length(inner_grids) == len(expected)


def inner_vector_length(grids: Sequence[str]) -> int:
    return 6 * sum(int(grid[0]) * int(grid[2]) for grid in grids)


def test_each_point_gets_its_word_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pyramid = fitted(grids=LAZEBNIK)
    asked: list[int] = []
    predict = KMeansDictionary.predict

    def counted(self: KMeansDictionary, descriptors: NDArray[np.float32]) -> NDArray[np.int32]:
        asked.append(len(descriptors))
        return predict(self, descriptors)

    monkeypatch.setattr(KMeansDictionary, "predict", counted)
    pyramid.encode(bag([0, 1, 2, 1], [(1, 1), (30, 2), (3, 30), (39, 39)]))
    assert asked == [4]


def test_an_empty_bag_is_the_zero_vector_and_an_empty_cell_zero() -> None:
    pyramid = fitted(grids=("1x1", "2x2"))
    empty = pyramid.encode(bag([]))
    np.testing.assert_array_equal(empty, np.zeros(15, np.float32))
    assert empty.dtype == np.float32
    corner = pyramid.encode(bag([1], [(0, 0)]))
    np.testing.assert_allclose(corner[[1, 4]], math.sqrt(1 / 2), rtol=1e-6)
    assert np.count_nonzero(corner) == 2


def test_tf_idf_of_the_encoder_inside() -> None:
    pyramid = fitted(3, of_words={"weighting": "tf-idf", "normalization": "none"}, grids=["2x1"], normalization="none")
    assert pyramid.wants_documents
    assert pyramid.n_words == 3
    features = bag([0, 0, 1], [(0, 0), (39, 0), (39, 0)])
    np.testing.assert_array_equal(pyramid.count_documents(features), [1, 1, 0])
    pyramid.set_documents(np.array([2, 1, 4]), 4)
    np.testing.assert_allclose(pyramid.encode(features), np.log([2, 1, 1, 2, 4, 1]), rtol=1e-6)
    assert not fitted().wants_documents


def test_fit_leaves_the_parameters_alone() -> None:
    encoder = BagOfWords(dictionary(3))
    pyramid = SpatialPyramid(encoder)
    assert pyramid.grids == LAZEBNIK
    assert pyramid.fit(all_words(3)) is pyramid
    assert pyramid.encoder is encoder
    assert not hasattr(encoder, "dictionary_")


def test_before_fit() -> None:
    pyramid = SpatialPyramid(BagOfWords(dictionary(3)))
    for use in (lambda: pyramid.encode(bag([])), lambda: pyramid.vector_length, lambda: pyramid.n_words):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize(
    "grid",
    [
        "2",
        "0x1",
        "1x0",
        "2x",
        "x2",
        "2X2",
        "100x1",
        " 2x2",
        "2x2x2",
        "-1x2",
        (2,),
        (1, 2, 3),
        (0, 1),
        (1.0, 2),
        4,
        None,
        ("1", "2"),
    ],
)
def test_a_bad_grid_is_refused(grid: object) -> None:
    with pytest.raises(ValueError, match=r"grids must hold grids like '2x2' \(columns x rows, 1 to 99 each\), got"):
        SpatialPyramid(BagOfWords(dictionary(3)), grids=["1x1", grid]).fit(all_words(3))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"grids": "2x2"}, "grids must be a sequence of at least one grid such as '2x2', got '2x2'"),
        ({"grids": ()}, "grids must be a sequence of at least one grid"),
        ({"grids": 3}, "grids must be a sequence of at least one grid"),
        ({"level_weights": "pyramid"}, "level_weights must be one of equal, cells, lazebnik, got 'pyramid'"),
        ({"level_weights": (1.0, 0.5)}, r"level_weights must hold a number for each of the 3 grids, got \(1.0, 0.5\)"),
        ({"level_weights": (1.0, 0.5, 0.0)}, "level_weights must be a number > 0, got 0.0"),
        ({"level_weights": 2.0}, "level_weights must be one of equal, cells, lazebnik, got 2.0"),
        ({"normalization": "l3"}, "normalization must be one of l2, l1, none, got 'l3'"),
        ({"encoder": KMeansDictionary()}, r"encoder must be an Encoder, got KMeansDictionary\(\)"),
        ({"encoder": BagOfWords(weighting="often")}, "weighting must be one of"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpatialPyramid(**{"encoder": BagOfWords(dictionary(3))} | parameters).fit(all_words(3))
