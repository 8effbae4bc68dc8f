"""Local colour statistics: means and deviations of the colour around the points of dense SIFT's grid.

S. Clinchant, G. Csurka, F. Perronnin and J.-M. Renders, "XRCE's participation to ImagEval", ImagEval workshop at CIVR
2007; J. Sanchez, F. Perronnin, T. Mensink and J. Verbeek, "Image classification with the Fisher vector: theory and
practice", IJCV 2013, section 5, joins their Fisher vectors with those of SIFT.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_ints
from cvbow.features._color import color_channels
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features, grid_points
from cvbow.features._grid import N_BINS, bin_centers
from cvbow.features.mirror import Mirror
from cvbow.images import split_channels, to_lab

#: Of a cell: three means, three standard deviations.
_N_VALUES = 6
DESCRIPTOR_SIZE = N_BINS * N_BINS * _N_VALUES
#: Where each value of a mirrored descriptor stands in the descriptor: columns backwards.
_MIRROR = np.arange(DESCRIPTOR_SIZE).reshape(N_BINS, N_BINS, _N_VALUES)[:, ::-1].ravel()
#: Cells measured together: 100 kB of float64, which fits a core's cache.
_BLOCK = 2048
#: Pixels whose sum, of 8 bits each, fits 32 bits.
_PIXELS_OF_INT32 = (2**31 - 1) // 255


class ColorStatistics(Extractor):
    """Mean and standard deviation of the colour in 4 x 4 cells around each point of a grid, at one or more scales.

    They say what SIFT leaves out; vectors of both are best joined (``ChannelUnion``).

    Parameters
    ----------
    step : int, default 8
        Distance between neighbouring descriptors in pixels, the same at every scale.
    bin_sizes : sequence of int, default (4, 6, 8, 12, 16)
        Sides of a cell in pixels, one per scale; a descriptor covers 4 x 4 cells.
    space : {"lab", "opponent"}, default "lab"
        The three channels: CIE L*a*b*, or intensity, red against green and yellow against blue.
    min_side, max_side : int or None, default None and 480
        Limits to the image's sides in pixels, as for ``DenseSIFT``.

    Notes
    -----
    A descriptor is ``descriptor[(4 * row + column) * 6 + value]``, where the values of a cell are the means of the
    three channels and then their standard deviations (by n). Channels have 8 bits (``to_lab``; for "opponent", those
    of ``DenseSIFT``, rounded), and 255 of them count as 1: a mean is in [0, 1], a deviation in [0, 0.5].

    Points are those of ``DenseSIFT`` with the same step and bin sizes, in the same order. A cell lies around the middle
    pixel of a bin and reaches half a bin size to each side: where that is even, it is a pixel wider than the bin. Of
    cells at the image's edge, what is inside counts.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import ColorStatistics
    >>> image = np.full((64, 64, 3), (255, 0, 0), np.uint8)
    >>> features = ColorStatistics(bin_sizes=(4,)).extract(image)
    >>> features.descriptors.shape, (255 * features.descriptors[0, :6]).round().astype(int).tolist()
    ((49, 96), [136, 208, 195, 0, 0, 0])
    """

    gray_only = False

    def __init__(
        self,
        *,
        step: int = 8,
        bin_sizes: Sequence[int] = (4, 6, 8, 12, 16),
        space: str = "lab",
        min_side: int | None = None,
        max_side: int | None = 480,
    ) -> None:
        self.step = step
        self.bin_sizes = bin_sizes
        self.space = space
        self.min_side = min_side
        self.max_side = max_side

    @property
    def descriptor_size(self) -> int:
        """Number of values in a descriptor: 96."""
        return DESCRIPTOR_SIZE

    def check_params(self) -> None:
        super().check_params()
        check_int("step", self.step, minimum=1)
        check_ints("bin_sizes", self.bin_sizes, minimum=1)
        check_choice("space", self.space, ("lab", "opponent"))

    @property
    def mirror(self) -> Mirror:
        """The columns of cells backwards.

        It gives what ``extract`` finds in the mirrored image where the grid lies in the middle of the width; where that
        leaves half a pixel over, the descriptors of a grid one pixel to the side.
        """
        return Mirror.of_order(_MIRROR)

    def compute(self, image: NDArray[np.uint8]) -> Features:
        height, width = image.shape[:2]
        sizes = [int(size) for size in self.bin_sizes]
        axes = [(_axis(height, self.step, size), _axis(width, self.step, size)) for size in sizes]
        counts = [len(rows.cells) * len(columns.cells) for rows, columns in axes]
        points = np.empty((sum(counts), 4), np.float32)
        descriptors = np.empty((sum(counts), DESCRIPTOR_SIZE), np.float32)
        sums = _integrals(self._channels(image))
        start = 0
        for size, (rows, columns), count in zip(sizes, axes, counts, strict=True):
            if count:
                here = slice(start, start + count)
                points[here] = grid_points(columns.centers, rows.centers, N_BINS * size, 0)
                table = _statistics(sums, rows, columns)
                cells = rows.cells[:, None, :, None] * columns.n_cells + columns.cells[None, :, None, :]
                # mode="clip" spares the copy that take() makes of its output to guard against a bad index.
                np.take(table, cells.ravel(), axis=0, out=descriptors[here].reshape(-1, _N_VALUES), mode="clip")
                start += count
        return Features(points, descriptors, (width, height))

    def _channels(self, image: NDArray[np.uint8]) -> Sequence[NDArray[np.uint8]]:
        """Return the three channels, each (H, W)."""
        if self.space == "lab":
            return split_channels(to_lab(image))
        return [np.rint(channel).astype(np.uint8) for channel in color_channels(image, self.space)]


class _Axis(NamedTuple):
    """Descriptors along one axis: their centres, four cells each, and where the cells begin and end."""

    centers: NDArray[np.float64]
    cells: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]

    @property
    def n_cells(self) -> int:
        return len(self.low)


@functools.lru_cache(maxsize=512)
def _axis(length: int, step: int, bin_size: int) -> _Axis:
    bins = bin_centers(length, step, bin_size)
    # Neighbouring descriptors share cells.
    middles, cells = np.unique(bins, return_inverse=True)
    reach = bin_size // 2
    low, high = np.maximum(middles - reach, 0), np.minimum(middles + reach + 1, length)
    return _Axis(bins.mean(axis=1), cells.reshape(bins.shape), low, high)


def _integrals(channels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the sums above and left of each corner of a pixel, (H + 1, W + 1, 6): the channels', then the squares'."""
    height, width = channels[0].shape
    # Whole numbers, so that they are exact. Sums of 32 bits are fast.
    depth = cv2.CV_32S if height * width <= _PIXELS_OF_INT32 else cv2.CV_64F
    sums = np.empty((height + 1, width + 1, _N_VALUES))
    for index, channel in enumerate(channels):
        sums[..., index], sums[..., index + 3] = cv2.integral2(channel, sdepth=depth, sqdepth=cv2.CV_64F)
    return sums


def _statistics(sums: NDArray[np.float64], rows: _Axis, columns: _Axis) -> NDArray[np.float32]:
    """Return the means and the deviations of all cells, (n, 6), row by row."""
    corners = sums.reshape(-1, _N_VALUES)
    tops, bottoms = rows.low * sums.shape[1], rows.high * sums.shape[1]
    areas = np.multiply.outer(rows.high - rows.low, columns.high - columns.low)
    table = np.empty((rows.n_cells, columns.n_cells, _N_VALUES), np.float32)
    rows_at_once = max(1, _BLOCK // columns.n_cells)
    for start in range(0, rows.n_cells, rows_at_once):
        here = slice(start, start + rows_at_once)
        top, bottom, area = tops[here, None], bottoms[here, None], areas[here]
        inside = corners.take(bottom + columns.high, axis=0)
        inside -= corners.take(bottom + columns.low, axis=0)
        inside -= corners.take(top + columns.high, axis=0)
        inside += corners.take(top + columns.low, axis=0)
        # Channel by channel, so that the inner loops are long.
        exact = np.ascontiguousarray(np.moveaxis(inside, 2, 0))
        total, squares = exact[:3], exact[3:]
        # n^2 times the variance is a difference of whole numbers below 2^53: exact, never negative, 0 in a plain cell.
        squares *= area
        squares -= total * total
        values = exact.astype(np.float32)
        np.sqrt(values[3:], out=values[3:])
        values /= (255.0 * area).astype(np.float32)
        for index, value in enumerate(values):
            table[here, :, index] = value
    return table.reshape(-1, _N_VALUES)
