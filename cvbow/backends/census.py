"""Census pyramid: histograms of local binary patterns in the cells of grids over the image.

R. Zabih and J. Woodfill, "Non-parametric local transforms for computing visual correspondence", ECCV 1994, gives the
census transform; T. Ojala, M. Pietikainen and T. Maenpaa, "Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns", PAMI 2002, its use at several radii; J. Wu and J. Rehg, "CENTRIST: a visual
descriptor for scene categorization", PAMI 2011, the histograms over a pyramid (PACT).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_ints, check_real
from cvbow.backends._mirror import halves, mean_direction
from cvbow.backends._whole_image import WholeImageEncoder
from cvbow.encoders.spatial_pyramid import mirrored_cells, parse_grids
from cvbow.features import check_sides, to_working_size

N_CODES = 256
#: Where the neighbours are, in radii to the right and down; the first sets bit 0.
_NEIGHBORS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))
#: Gray levels are kept in 16 bits, so many steps to a level: smoothing must not round neighbours into ties.
_STEPS = 256


def _mirror_codes() -> NDArray[np.intp]:
    bits = [_NEIGHBORS.index((-dx, dy)) for dx, dy in _NEIGHBORS]
    codes = np.arange(N_CODES)
    return np.asarray(sum(((codes >> bit) & 1) << other for bit, other in enumerate(bits)), np.intp)


_MIRROR = _mirror_codes()


class CensusPyramid(WholeImageEncoder):
    """How often each pattern of brighter neighbours occurs, in the whole image and in its cells.

    A pixel's pattern has a bit for each of its eight neighbours at a distance of ``radius`` pixels along the axes and
    diagonals: 1 if the neighbour is brighter by more than ``threshold``. Patterns are counted in every cell and divided
    by their number; each radius and each grid has the same share of the vector.

    Parameters
    ----------
    radii : sequence of int, default (1, 2, 4)
        Distances of the neighbours in pixels.
    grids : sequence of str or (int, int), default ("1x1", "2x2", "4x4")
        Columns x rows of each grid of cells.
    smoothing : float, default 0.5
        Before the patterns of a radius are taken, the image is smoothed by a Gaussian with a standard deviation of
        ``smoothing * radius`` pixels; 0 leaves it.
    threshold : float, default 0.5
        In gray levels of 255; it keeps noise and compression from deciding the pattern of plain areas.
    root : bool, default True
        Take the square root of the shares, which gives the vector length 1 (L2); otherwise its sum is 1.
    mirror : bool, default False
        Average the vector with the mirrored image's, which follows from the same counts.
    max_side : int or None, default 480
        Images whose longer side is above this are shrunk to it first (area).
    n_jobs, memory : see ``ImageEncoder``

    Notes
    -----
    The vector holds, radius after radius, grid after grid, the cells row by row, each with its 256 patterns. Bits 0 to
    7 stand for the neighbours in reading order: above left, above, above right, left, right, below left, below, below
    right. Beyond its edge the image continues as its own reflection. A cell without a pixel, in an image smaller than
    the grid, is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import CensusPyramid
    >>> image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    >>> CensusPyramid().transform([image]).shape
    (1, 16128)
    """

    def __init__(
        self,
        *,
        radii: Sequence[int] = (1, 2, 4),
        grids: Sequence[str | tuple[int, int]] = ("1x1", "2x2", "4x4"),
        smoothing: float = 0.5,
        threshold: float = 0.5,
        root: bool = True,
        mirror: bool = False,
        max_side: int | None = 480,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.radii = radii
        self.grids = grids
        self.smoothing = smoothing
        self.threshold = threshold
        self.root = root
        self.mirror = mirror
        self.max_side = max_side
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def shrinks_to(self) -> int | None:
        """``max_side``."""
        return self.max_side

    @property
    def vector_length(self) -> int:
        """Length of a vector: 256 values for each radius and cell."""
        self.check_params()
        return N_CODES * len(self.radii) * sum(columns * rows for columns, rows in parse_grids(self.grids))

    def _describe(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.check_params()
        counts = self._counts(to_working_size(gray, None, self.max_side))
        vector = self._normalize(counts)
        if not self.mirror:
            return vector
        mirrored = self._normalize(self._mirrored(counts))
        if self.root:
            return mean_direction(vector, mirrored, counts.shape[0] * counts.shape[1])
        # Shares that sum to 1 have a mean that does.
        return (vector + mirrored) * np.float32(0.5)

    def _share(self, gray: NDArray[np.uint8], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        self.check_params()
        gray = to_working_size(gray, None, self.max_side)
        counts = self._counts(gray)
        # What a pixel of each radius, cell and pattern has of the vector's value, which all of them share.
        each = _divide(self._normalize(counts), counts)
        if self.mirror:
            mirrored = self._mirrored(counts)
            ours, theirs = self._normalize(counts), self._normalize(mirrored)
            n_blocks = counts.shape[0] * counts.shape[1]
            parts = halves(ours, theirs, n_blocks) if self.root else np.stack([ours, theirs]) / 2
            each, of_mirror = _divide(parts[0], counts), _divide(parts[1], mirrored)
        label, member = _partition(*gray.shape, tuple(parse_grids(self.grids)))
        maps = np.zeros((len(weights), *gray.shape))
        for index, radius in enumerate(self.radii):
            places = label + self._codes(gray, int(radius))
            for row, weight in enumerate(weights.reshape(-1, *counts.shape)):
                given = weight * each
                if self.mirror:
                    given += self._mirrored(weight * of_mirror)
                maps[row] += (member.T @ given[index]).ravel()[places]
        return maps

    def _mirrored(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the patterns (n_radii, n_cells, 256) as the mirrored image has them."""
        return values[:, mirrored_cells(parse_grids(self.grids))][:, :, _MIRROR]

    def _counts(self, gray: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return how often each pattern occurs, shape (n_radii, n_cells, 256)."""
        label, member = _partition(*gray.shape, tuple(parse_grids(self.grids)))
        counts = np.empty((len(self.radii), len(member), N_CODES))
        for index, radius in enumerate(self.radii):
            codes = self._codes(gray, int(radius))
            parts = np.bincount((label + codes).ravel(), minlength=member.shape[1] * N_CODES)
            counts[index] = member @ parts.reshape(-1, N_CODES)
        return counts

    def _codes(self, gray: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
        """Return each pixel's pattern, shape (H, W)."""
        height, width = gray.shape
        # At most 255 * 256, so that the threshold below saturates where no neighbour can be brighter.
        image = np.multiply(gray, np.uint16(_STEPS), dtype=np.uint16)
        if self.smoothing:
            sigma = float(self.smoothing) * radius
            image = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        around = cv2.copyMakeBorder(image, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
        limit = cv2.add(image, np.full_like(image, min(65535, round(self.threshold * _STEPS))))
        codes = np.zeros((height, width), np.uint8)
        for bit, (dx, dy) in enumerate(_NEIGHBORS):
            top, left = radius * (1 + dy), radius * (1 + dx)
            brighter = around[top : top + height, left : left + width] > limit
            codes |= brighter.view(np.uint8) << np.uint8(bit)
        return codes

    def _normalize(self, counts: NDArray[np.float64]) -> NDArray[np.float32]:
        total = counts.sum(axis=2, keepdims=True)
        shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
        sizes = [columns * rows for columns, rows in parse_grids(self.grids)]
        shares /= len(counts) * len(sizes) * np.repeat(sizes, sizes)[:, None]
        return np.asarray(np.sqrt(shares) if self.root else shares, np.float32).ravel()

    def check_params(self) -> None:
        check_ints("radii", self.radii, minimum=1)
        parse_grids(self.grids)
        check_real("smoothing", self.smoothing, minimum=0, maximum=100)
        check_real("threshold", self.threshold, minimum=0, maximum=255)
        check_flag("root", self.root)
        check_flag("mirror", self.mirror)
        check_sides(None, self.max_side)


def _divide(values: NDArray[np.floating], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vector's values, by the counts that they are of; 0 where nothing was counted."""
    each: NDArray[np.float64] = np.divide(
        values.reshape(counts.shape), counts, out=np.zeros_like(counts), where=counts > 0
    )
    return each


Sizes = tuple[tuple[int, int], ...]


@functools.lru_cache(maxsize=64)
def _partition(height: int, width: int, sizes: Sizes) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Cut an image into parts that lie in one cell of every grid.

    Returns 256 times the number of each pixel's part, (height, width), and where a part lies in a cell, (n_cells,
    n_parts) with 0 and 1.
    """
    row_of, rows_in = _cut(height, [rows for _, rows in sizes])
    column_of, columns_in = _cut(width, [columns for columns, _ in sizes])
    label = N_CODES * (row_of[:, None] * columns_in[0].shape[1] + column_of)
    member = np.concatenate([np.kron(rows, columns) for rows, columns in zip(rows_in, columns_in, strict=True)])
    return label, member


def _cut(length: int, counts: list[int]) -> tuple[NDArray[np.intp], list[NDArray[np.float64]]]:
    """Cut an axis at the borders of all grids: each pixel's part, and for each grid which parts are in its cells."""
    # A pixel is where its middle is, at i + 1/2; one whose middle lies on a border belongs to the cell after it.
    cells = np.stack([(2 * np.arange(length) + 1) * count // (2 * length) for count in counts])
    parts, part_of = np.unique(cells, axis=1, return_inverse=True)
    return part_of.ravel(), [
        (parts[index] == np.arange(count)[:, None]).astype(np.float64) for index, count in enumerate(counts)
    ]
