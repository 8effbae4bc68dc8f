"""Dense SIFT: the SIFT descriptor on a regular grid, at several scales.

D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 6, gives the descriptor;
A. Bosch, A. Zisserman and X. Munoz, "Image classification using random forests and ferns", ICCV 2007, and VLFeat's
``vl_phow`` the grid. Three things make it fast with nothing but array operations:

* A gradient is split between the two nearest of eight directions by its coordinates in the basis of the two. That
  needs no angle, no magnitude and no float: with the parts x+, x-, y+, y- of the gradient,
  direction 0 is ``x+ - |y|`` clamped at zero, direction 1 is ``sqrt(2) * min(x+, y+)``, and so on around.
* Pooling into spatial bins is two banded matrix products (see ``_grid``) that only compute the bins in use.
* Gathering and normalising run over blocks of descriptors that stay in the processor's cache.

Of a colour image, descriptors of three channels can be joined, as in ``vl_phow`` and in K. van de Sande, T. Gevers and
C. Snoek, "Evaluating color descriptors for object and scene recognition", PAMI 2010.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_flag, check_int, check_ints, check_real
from cvbow.features._color import COLOR_SPACES, CONTRAST_SHARES, STEPS, color_channels
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features, grid_points
from cvbow.features._grid import N_BINS, AxisGrid, axis_grid, bin_profiles, flat_window
from cvbow.features._normalize import normalize_channels, normalize_sift
from cvbow.features.mirror import Mirror

N_ORIENTATIONS = 8
DESCRIPTOR_SIZE = 128
#: Descriptors normalised together: 512 kB of float32, which fits a core's cache.
_BLOCK = 1024
#: Where each value of a mirrored descriptor stands in the descriptor: columns backwards; direction o, at 45 o degrees
#: from x, becomes 180 - 45 o.
_MIRROR = (
    np.arange(DESCRIPTOR_SIZE)
    .reshape(N_BINS, N_BINS, N_ORIENTATIONS)[:, ::-1, (4 - np.arange(N_ORIENTATIONS)) % N_ORIENTATIONS]
    .ravel()
)


class DenseSIFT(Extractor):
    """SIFT descriptors of upright square patches on a grid, at one or more scales.

    Parameters
    ----------
    step : int, default 4
        Distance between neighbouring descriptors in pixels, the same at every scale.
    bin_sizes : sequence of int, default (4, 6, 8, 10)
        Sides of a spatial bin in pixels, one per scale; a descriptor covers 4 x 4 bins.
    window : {"flat", "gaussian"}, default "flat"
        Weighting of the pixels by their distance from the descriptor's centre: a Gaussian, or its mean over each bin,
        which is faster and nearly the same.
    window_size : float, default 1.5
        Standard deviation of that Gaussian in bins.
    magnification : float, default 6.0
        Before a scale is described, the image is smoothed to a standard deviation of bin size / magnification pixels
        (it is taken to have 0.5 already); 0 leaves it as it is.
    contrast_threshold : float, default 0.005
        A descriptor whose length before normalisation is below this becomes zero: there is only noise in it. The
        length is that of the mean gradient per bin, in gray levels of [0, 1] per pixel.
    root : bool, default True
        RootSIFT: L1 norm 1, then the square root (Arandjelovic and Zisserman, CVPR 2012). Otherwise the L2 norm is 1.
    color : {"gray", "rgb", "hsv", "opponent"}, default "gray"
        Describe the gray image, or three channels of the colour image: 384 values at each point.
    min_side : int or None, default None
        Images whose shorter side is below this are enlarged to it first (cubic).
    max_side : int or None, default 480
        Images whose longer side is above this are shrunk to it first (area), so that a photograph of many megapixels
        costs what a small one does; None never shrinks.

    Notes
    -----
    A descriptor is 4 x 4 bins of 8 orientations: ``descriptor[(4 * row + column) * 8 + orientation]``, orientations
    from the direction of x towards y (downwards), 45 degrees apart. Values above 0.2 of the length are cut to it.
    Points come scale by scale, row by row; ``size`` is the side of the patch, 4 bins, and ``angle`` is 0.

    In colour, a descriptor is those of the three channels one after the other, each normalised on its own, to a length
    of 1 / sqrt(3). Channels and contrast are those of ``vl_phow``: "rgb", where the mean of the three lengths counts as
    contrast; "hsv", where the value's does; and "opponent", where that of the intensity does, which comes first, before
    red against green and yellow against blue. The latter have a hundredth of the intensity added to them, so that where
    there is no colour they hold about the same as the intensity. Of a gray image, "rgb" gives its descriptor three
    times, and "opponent" nearly so; hue and saturation of "hsv" are zero.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import DenseSIFT
    >>> image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    >>> features = DenseSIFT(step=8, bin_sizes=(4,)).extract(image)
    >>> features.points.shape, features.descriptors.shape
    ((49, 4), (49, 128))
    """

    def __init__(
        self,
        *,
        step: int = 4,
        bin_sizes: Sequence[int] = (4, 6, 8, 10),
        window: str = "flat",
        window_size: float = 1.5,
        magnification: float = 6.0,
        contrast_threshold: float = 0.005,
        root: bool = True,
        color: str = "gray",
        min_side: int | None = None,
        max_side: int | None = 480,
    ) -> None:
        self.step = step
        self.bin_sizes = bin_sizes
        self.window = window
        self.window_size = window_size
        self.magnification = magnification
        self.contrast_threshold = contrast_threshold
        self.root = root
        self.color = color
        self.min_side = min_side
        self.max_side = max_side

    pools_gradients = True

    @property
    def gray_only(self) -> bool:  # type: ignore[override]
        """Whether only gray values are used."""
        return self.color == "gray"

    @property
    def descriptor_size(self) -> int:
        """Number of values in a descriptor: 128, in colour 384."""
        return DESCRIPTOR_SIZE * (1 if self.gray_only else 3)

    def check_params(self) -> None:
        super().check_params()
        check_int("step", self.step, minimum=1)
        check_ints("bin_sizes", self.bin_sizes, minimum=1)
        check_choice("window", self.window, ("flat", "gaussian"))
        check_real("window_size", self.window_size, minimum=0, open_minimum=True)
        check_real("magnification", self.magnification, minimum=0)
        check_real("contrast_threshold", self.contrast_threshold, minimum=0)
        check_flag("root", self.root)
        check_choice("color", self.color, COLOR_SPACES)

    @property
    def mirror(self) -> Mirror:
        """The values of a descriptor in another order.

        It gives what ``extract`` finds in the mirrored image where the grid lies in the middle of the width; where that
        leaves half a pixel over, the descriptors of a grid one pixel to the side.
        """
        return Mirror.of_order(np.arange(self.descriptor_size).reshape(-1, DESCRIPTOR_SIZE)[:, _MIRROR].ravel())

    def compute(self, image: NDArray[np.uint8]) -> Features:
        height, width = image.shape[:2]
        window = (self.window, float(self.window_size))
        grids = [
            (size, axis_grid(height, self.step, size, *window), axis_grid(width, self.step, size, *window))
            for size in map(int, self.bin_sizes)
        ]
        counts = [len(rows.centers) * len(columns.centers) for _, rows, columns in grids]
        points = np.empty((sum(counts), 4), np.float32)
        descriptors = np.empty((sum(counts), self.descriptor_size), np.float32)
        channels = self._channels(image)
        planes: list[NDArray[np.float32]] = [np.empty((width, N_ORIENTATIONS, height), np.float32) for _ in channels]
        smoothed = None
        start = 0
        for (size, rows, columns), count in zip(grids, counts, strict=True):
            if count:
                here = slice(start, start + count)
                points[here] = grid_points(columns.centers, rows.centers, N_BINS * size, 0)
                # Scales that see the image equally smooth have its gradients in common.
                variance = self.smoothing(size)
                if variance != smoothed:
                    for turned, target in zip(channels, planes, strict=True):
                        _orientation_planes(_smooth(turned, variance), target)
                    smoothed = variance
                pooled = [_pool(each, rows, columns) for each in planes]
                self._describe(pooled, rows, columns, size, descriptors[here])
                start += count
        return Features(points, descriptors, (width, height))

    def _channels(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the channels to describe, each (W, H), float32 in [0, 255]."""
        channels = [image] if self.gray_only else color_channels(image, self.color)
        # Turned on its side, so that the two products below leave the eight orientations of a bin next to each other;
        # half a step higher, so that cutting to whole steps rounds, and a plain area stays plain.
        return [np.add(channel.T, np.float32(0.5 / STEPS), order="C", dtype=np.float32) for channel in channels]

    def bin_profiles(self, bin_size: int) -> NDArray[np.float64]:
        """Return what each of a descriptor's four bins along an axis takes of the pixels around its middle.

        Shape (4, 2 * bin_size - 1), the window included.
        """
        return bin_profiles(bin_size, self.window, float(self.window_size))

    @property
    def contrast_shares(self) -> tuple[float, ...]:
        """What the length of each channel's descriptor, before normalisation, counts in the contrast of a point."""
        return (1.0,) if self.gray_only else CONTRAST_SHARES[self.color]

    def smoothing(self, bin_size: int) -> float:
        """Return the variance of the smoothing before a scale is described, in squared pixels."""
        return max((bin_size / self.magnification) ** 2 - 0.25, 0.0) if self.magnification else 0.0

    def _describe(
        self,
        pooled: Sequence[NDArray[np.float32]],
        rows: AxisGrid,
        columns: AxisGrid,
        bin_size: int,
        out: NDArray[np.float32],
    ) -> None:
        weights = None
        if self.window == "flat":
            along = flat_window(bin_size, self.window_size)
            weights = np.repeat(np.outer(along, along).astype(np.float32), N_ORIENTATIONS)
        # The triangles sum to bin_size along each axis: the threshold is meant for the mean, the bins hold the sum.
        threshold = self.contrast_threshold * bin_size**2
        n_columns = len(columns.centers)
        tables = [part.reshape(-1, N_ORIENTATIONS) for part in pooled]
        row_starts = rows.bins * columns.n_rows
        rows_at_once = max(1, _BLOCK // n_columns)
        parts = np.empty((len(tables), rows_at_once * n_columns, DESCRIPTOR_SIZE), np.float32) if tables[1:] else None
        for top in range(0, len(rows.centers), rows_at_once):
            first = row_starts[top : top + rows_at_once]
            bins = (first[:, None, :, None] + columns.bins[None, :, None, :]).ravel()
            block = out[top * n_columns : (top + len(first)) * n_columns]
            targets = block[None] if parts is None else parts[:, : len(block)]
            for table, target in zip(tables, targets, strict=True):
                # mode="clip" spares the copy that take() makes of its output to guard against a bad index.
                np.take(table, bins, axis=0, out=target.reshape(-1, N_ORIENTATIONS), mode="clip")
                if weights is not None:
                    target *= weights
            if parts is None:
                normalize_sift(block, root=self.root, threshold=threshold)
            else:
                shares = self.contrast_shares
                normalize_channels(targets, block, root=self.root, threshold=threshold, shares=shares)


def _smooth(turned: NDArray[np.float32], variance: float) -> NDArray[np.uint16]:
    """Return an image smoothed by a Gaussian of this variance, in 16 bits."""
    if variance > 0:
        turned = cv2.GaussianBlur(turned, (0, 0), float(np.sqrt(variance)), borderType=cv2.BORDER_REPLICATE)
    smooth = np.empty(turned.shape, np.uint16)
    np.multiply(turned, np.float32(STEPS), out=smooth, casting="unsafe")
    return smooth


def _orientation_planes(turned: NDArray[np.uint16], planes: NDArray[np.float32]) -> None:
    """Split the gradient of (W, H) uint16 among eight directions, ``planes`` (W, 8, H), in [0, 1] gray levels."""
    padded = cv2.copyMakeBorder(turned, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    right, left = padded[2:, 1:-1], padded[:-2, 1:-1]
    below, above = padded[1:-1, 2:], padded[1:-1, :-2]
    # Unsigned subtraction stops at zero, so each difference is one side of the gradient.
    x_up, x_down = cv2.subtract(right, left), cv2.subtract(left, right)
    y_up, y_down = cv2.subtract(below, above), cv2.subtract(above, below)
    x_size, y_size = cv2.max(x_up, x_down), cv2.max(y_up, y_down)
    unit = 0.5 / (STEPS * 255)  # a central difference spans two pixels
    straight, diagonal = np.float32(unit), np.float32(unit * np.sqrt(2))
    for index, (part, scale) in enumerate(
        (
            (cv2.subtract(x_up, y_size), straight),
            (cv2.min(x_up, y_up), diagonal),
            (cv2.subtract(y_up, x_size), straight),
            (cv2.min(x_down, y_up), diagonal),
            (cv2.subtract(x_down, y_size), straight),
            (cv2.min(x_down, y_down), diagonal),
            (cv2.subtract(y_down, x_size), straight),
            (cv2.min(x_up, y_down), diagonal),
        )
    ):
        np.multiply(part, scale, out=planes[:, index], dtype=np.float32, casting="unsafe")


def _pool(planes: NDArray[np.float32], rows: AxisGrid, columns: AxisGrid) -> NDArray[np.float32]:
    """Pool (W, 8, H) planes into bins, shape (pooled rows, pooled columns, 8)."""
    width, n, height = planes.shape
    flat = planes.reshape(width, n * height)
    across = np.empty((columns.n_rows, n * height), np.float32)
    for where, pixels, weights in columns.bands:
        np.matmul(weights, flat[pixels], out=across[where])
    across = across.reshape(-1, height)
    pooled = np.empty((rows.n_rows, columns.n_rows * n), np.float32)
    for where, pixels, weights in rows.bands:
        np.matmul(weights, across[:, pixels].T, out=pooled[where])
    return pooled.reshape(rows.n_rows, columns.n_rows, n)
