"""Spatial pyramid: an encoder applied to the cells of coarse grids over the image.

S. Lazebnik, C. Schmid and J. Ponce, "Beyond bags of features", CVPR 2006.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_real
from cvbow.encoders._encoder import Encoder
from cvbow.encoders._pooling import Cells
from cvbow.encoders._words import WordTable
from cvbow.features import Features, Mirror
from cvbow.storage import Learned, Part, storable


@storable
class SpatialPyramid(Encoder):
    """Vectors of the cells of several grids, one after the other.

    Parameters
    ----------
    encoder : Encoder
        Encodes and normalises each cell's bag.
    grids : sequence of str or (int, int), default ("1x1", "2x2", "4x4")
        Columns x rows of each grid.
    level_weights : {"equal", "cells", "lazebnik"} or sequence of float, default "equal"
        What a cell's vector is multiplied by: 1 whatever its grid; 1 / sqrt(cells of the grid), so that each grid
        has the same share in a dot product; sqrt(2^(l-L-1)) for level l of 0 to L (sqrt(2^-L) for level 0), which
        is equation 3 of the paper for a dot product; or a positive number for each grid. For the intersection kernel
        equation 3 is (0.25, 0.25, 0.5) with the default grids.
    normalization : {"l2", "l1", "none"}, default "l2"
        Of the whole vector.
    overlap : bool, default False
        Let the cells of a grid reach half-way into their neighbours: of n columns each is 2 / (n + 1) of the image wide
        in place of 1 / n. A thing on the border of two cells is then wholly in one of them, or in the next.

    Attributes
    ----------
    encoder_ : the fitted encoder

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagOfWords, Features, KMeansDictionary, SpatialPyramid
    >>> points = np.array([[10, 10, 8, -1], [50, 50, 8, -1]], np.float32)  # upper left and lower right
    >>> features = Features(points, np.zeros((2, 8), np.float32), image_size=(64, 64))
    >>> words = BagOfWords(KMeansDictionary(n_words=1), normalization="none")
    >>> pyramid = SpatialPyramid(words, grids=["1x1", "2x2"], normalization="none").fit([features])
    >>> pyramid.encode(features).tolist()
    [2.0, 1.0, 0.0, 0.0, 1.0]
    """

    learned: ClassVar[Mapping[str, Learned]] = {"encoder_": Part(Encoder)}
    # Model files from before cells could overlap do not say.
    added: ClassVar[Mapping[str, Any]] = {"overlap": False}

    def __init__(
        self,
        encoder: Encoder,
        *,
        grids: Sequence[str | tuple[int, int]] = ("1x1", "2x2", "4x4"),
        level_weights: str | Sequence[float] = "equal",
        normalization: str = "l2",
        overlap: bool = False,
    ) -> None:
        self.encoder = encoder
        self.grids = grids
        self.level_weights = level_weights
        self.normalization = normalization
        self.overlap = overlap

    @property
    def wants_documents(self) -> bool:  # type: ignore[override]
        """Whether the encoder inside wants document frequencies."""
        return self.encoder.wants_documents

    @property
    def n_words(self) -> int | None:
        """Number of words of the encoder inside."""
        check_is_fitted(self, "encoder_")
        words: int | None = self.encoder_.n_words
        return words

    @property
    def n_blocks(self) -> int:
        """The encoder's blocks in each cell."""
        check_is_fitted(self, "encoder_")
        return int(self.encoder_.n_blocks) * sum(columns * rows for columns, rows in parse_grids(self.grids))

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: the encoder's times the number of cells."""
        check_is_fitted(self, "encoder_")
        return int(self.encoder_.vector_length) * sum(columns * rows for columns, rows in parse_grids(self.grids))

    @property
    def pools_pairs(self) -> bool:
        """Whether the encoder inside does."""
        return self.encoder.pools_pairs

    @property
    def has_shares(self) -> bool:
        """Whether the encoder inside has."""
        return self.encoder.has_shares

    def fit(self, features_sample: Sequence[Features], y: object = None) -> Self:
        self.check_params()
        self.encoder_ = clone(self.encoder).fit(features_sample)
        return self

    def fit_pairs(self, features_sample: Sequence[Features], mirror: Mirror) -> Self:
        self.check_params()
        self.encoder_ = clone(self.encoder).fit_pairs(features_sample, mirror)
        return self

    def count_documents(self, features: Features) -> NDArray[np.int64]:
        """Return 1 for each word, or pair of words, that the image has, shape (n,)."""
        counts: NDArray[np.int64] = self.encoder_.count_documents(features)
        return counts

    def set_documents(self, counts: NDArray[np.int64], n_images: int) -> None:
        """Set the document frequencies of the encoder inside."""
        self.encoder_.set_documents(counts, n_images)

    def words(self, features: Features) -> WordTable:
        check_is_fitted(self, "encoder_")
        table: WordTable = self.encoder_.words(features)
        cells: list[NDArray[np.intp]] = []
        start = 0
        for columns, rows in parse_grids(self.grids):
            for local in _cells_of_points(features, columns, rows, bool(self.overlap)):
                inner = (start + local[:, None]) * table.n_cells + table.cell
                cells.append(np.where((local[:, None] < 0) | (table.cell < 0), -1, inner))
            start += columns * rows
        return replace(table, cell=np.hstack(cells), n_cells=start * table.n_cells)

    @property
    def value_words(self) -> NDArray[np.intp]:
        inner = self.encoder_.value_words
        return np.tile(inner, self.vector_length // len(inner))

    def encode_cells(self, features: Features, cells: Cells) -> NDArray[np.float32]:
        """Return a pyramid for each of the given cells, each pyramid's grids laid over the whole image."""
        check_is_fitted(self, "encoder_")
        n_cells, weights = cells.n_cells, self.cell_weights
        vectors = self.encoder_.encode_cells(features, self._pyramids(features, cells))[: n_cells * len(weights)]
        vectors = (vectors.reshape(n_cells, len(weights), -1) * weights[:, None]).reshape(n_cells, -1)
        if self.normalization == "l2":
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
        elif self.normalization == "l1":
            length = np.abs(vectors).sum(axis=1, keepdims=True)
        if self.normalization != "none":
            vectors = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
        return np.asarray(vectors, np.float32)

    def share_out(self, features: Features, cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
        check_is_fitted(self, "encoder_")
        pyramids = self._pyramids(features, cells)
        held = np.zeros((pyramids.n_cells, self.encoder_.vector_length))
        held[: cells.n_cells * len(self.cell_weights)] = values.reshape(-1, held.shape[1])
        shares: NDArray[np.float64] = self.encoder_.share_out(features, pyramids, held)
        return shares

    def _pyramids(self, features: Features, cells: Cells) -> Cells:
        """Return the cells of all grids in each of the given cells.

        Where they overlap, a point is in several cells of a grid, and there is one cell more, the last: of points that
        are in fewer than others.
        """
        sizes = parse_grids(self.grids)
        mirror = mirrored_cells(sizes)
        per_pyramid, n_cells = len(mirror), cells.n_cells
        rest = n_cells * per_pyramid
        inner: list[NDArray[np.intp]] = []
        for outer in cells.of_points:
            start = 0
            for columns, rows in sizes:
                for local in _cells_of_points(features, columns, rows, bool(self.overlap)):
                    inner.append(np.where(local < 0, rest, outer * per_pyramid + start + local))
                start += columns * rows
        places = (cells.mirrored(np.arange(n_cells))[:, None] * per_pyramid + mirror).ravel()
        if not self.overlap:
            return Cells(inner, rest, places)
        return Cells(inner, rest + 1, np.append(places, rest))

    @property
    def cell_weights(self) -> NDArray[np.float32]:
        """What the vector of each cell is multiplied by, (n_cells,)."""
        sizes = parse_grids(self.grids)
        cells = [columns * rows for columns, rows in sizes]
        if not isinstance(self.level_weights, str):
            levels = [float(weight) for weight in self.level_weights]
        elif self.level_weights == "cells":
            levels = [count**-0.5 for count in cells]
        elif self.level_weights == "lazebnik":
            last = len(sizes) - 1
            levels = [2.0 ** (-0.5 * (last if level == 0 else last - level + 1)) for level in range(len(sizes))]
        else:
            levels = [1.0] * len(sizes)
        return np.repeat(levels, cells).astype(np.float32)

    def check_params(self) -> None:
        if not isinstance(self.encoder, Encoder):
            raise ValueError(f"encoder must be an Encoder, got {self.encoder!r}")
        self.encoder.check_params()
        parse_grids(self.grids)
        if isinstance(self.level_weights, Sequence) and not isinstance(self.level_weights, str):
            if len(self.level_weights) != len(self.grids):
                raise ValueError(
                    f"level_weights must hold a number for each of the {len(self.grids)} grids, "
                    f"got {self.level_weights!r}"
                )
            for weight in self.level_weights:
                check_real("level_weights", weight, minimum=0, open_minimum=True)
        else:
            check_choice("level_weights", self.level_weights, ("equal", "cells", "lazebnik"))
        check_choice("normalization", self.normalization, ("l2", "l1", "none"))
        check_flag("overlap", self.overlap)


def parse_grids(grids: object) -> list[tuple[int, int]]:
    """Return (columns, rows) of grids given as "2x3" or (2, 3); ValueError where there is none, or something else."""
    if isinstance(grids, (str, bytes)) or not isinstance(grids, Sequence) or not grids:
        raise ValueError(f"grids must be a sequence of at least one grid such as '2x2', got {grids!r}")
    return [_parse_grid(grid) for grid in grids]


def _parse_grid(grid: object) -> tuple[int, int]:
    if isinstance(grid, str):
        match = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", grid)
        if match:
            return int(match[1]), int(match[2])
    elif isinstance(grid, Sequence) and len(grid) == 2:
        columns, rows = grid
        if isinstance(columns, int) and isinstance(rows, int) and 1 <= columns <= 99 and 1 <= rows <= 99:
            return columns, rows
    raise ValueError(f"grids must hold grids like '2x2' (columns x rows, 1 to 99 each), got {grid!r}")


def mirrored_cells(sizes: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """Return each cell's place in the mirrored image, for the cells of all (columns, rows)."""
    cells, start = [], 0
    for columns, rows in sizes:
        cells.append(start + np.arange(columns * rows).reshape(rows, columns)[:, ::-1].ravel())
        start += columns * rows
    return np.concatenate(cells)


#: By which part of the image's side a place may be rounded.
_ROUNDED = 2.0**-20


def _cells_of_points(features: Features, columns: int, rows: int, overlap: bool) -> list[NDArray[np.intp]]:
    """Return the cells of each point, numbered row by row: one array (n,) for each cell that a point may be in.

    -1 stands for none: where cells overlap, those at the border of the image have no neighbour beyond it.
    """
    width, height = features.image_size
    x, y = features.points[:, :2].T
    found = []
    for row in _parts_of_axis(y, height, rows, overlap):
        for column in _parts_of_axis(x, width, columns, overlap):
            found.append(np.where((row < 0) | (column < 0), -1, row * columns + column))
    return found


def _parts_of_axis(places: NDArray[np.float32], size: int, n: int, overlap: bool) -> list[NDArray[np.intp]]:
    """Return which of the n columns, or rows, of an image's axis each place is in; -1 for none."""
    n_strips = n + overlap
    # The image spans -1/2 to size - 1/2; a point on or over its edge belongs to the outer cell. A point on the border
    # of two cells is in the second, also where float32 rounded its place in an image that was resized.
    strip = np.floor(n_strips * ((places.astype(np.float64) + 0.5) / size + _ROUNDED)).astype(np.intp)
    strip = np.clip(strip, 0, n_strips - 1)
    if not overlap:
        return [strip]
    # A part is two strips, its own and the next: each strip is in one part of even number, and in one of odd number.
    parts = [strip - (strip - parity) % 2 for parity in range(min(n, 2))]
    return [np.where((part < 0) | (part >= n), -1, part) for part in parts]
