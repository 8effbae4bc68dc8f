"""Small patches of an image as they are, each at the same contrast: descriptors for tiny images.

A. Coates, H. Lee and A. Ng, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int, check_real
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features, grid_points
from cvbow.features.mirror import Mirror

#: Values normalised together: 1 MB of float32, which fits a core's cache.
_BLOCK = 1 << 18


class WhitenedPatches(Extractor):
    """Contrast-normalised patches on a grid, ready to be whitened.

    Whitening is learned, and an extractor learns nothing: ``BagEncoder(WhitenedPatches(), ..., reduce=ZCA())`` learns
    it from its sample of patches.

    Parameters
    ----------
    patch_size : int, default 6
        Side of a patch in pixels.
    step : int, default 1
        Distance between neighbouring patches in pixels.
    color : bool, default True
        Patches of RGB, for which a gray image has three equal channels; otherwise of gray.
    variance_offset : float, default 10.0
        Added to a patch's variance, in squared gray levels of 0 to 255, before it is divided by the root: patches
        with only noise in them stay small.
    min_side, max_side : int or None, default None and 96
        Limits to the image's sides in pixels, as for ``DenseSIFT``: a patch of a few pixels is to show some part of a
        thing.

    Notes
    -----
    A descriptor is ``(x - mean(x)) / sqrt(var(x) + variance_offset)`` of a patch's values ``x``, over all channels,
    with the variance by n - 1; value ``(row * patch_size + column) * channels + channel``. Points come row by row;
    ``size`` is the side of the patch and ``angle`` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import WhitenedPatches
    >>> image = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    >>> WhitenedPatches().extract(image).descriptors.shape
    (729, 108)
    """

    def __init__(
        self,
        *,
        patch_size: int = 6,
        step: int = 1,
        color: bool = True,
        variance_offset: float = 10.0,
        min_side: int | None = None,
        max_side: int | None = 96,
    ) -> None:
        self.patch_size = patch_size
        self.step = step
        self.color = color
        self.variance_offset = variance_offset
        self.min_side = min_side
        self.max_side = max_side

    @property
    def gray_only(self) -> bool:  # type: ignore[override]
        """Whether only gray values are used."""
        return not self.color

    @property
    def descriptor_size(self) -> int:
        """Number of values in a descriptor: those of a patch."""
        return self.patch_size**2 * (3 if self.color else 1)

    def check_params(self) -> None:
        super().check_params()
        check_int("patch_size", self.patch_size, minimum=2)
        check_int("step", self.step, minimum=1)
        check_flag("color", self.color)
        check_real("variance_offset", self.variance_offset, minimum=0)

    @property
    def mirror(self) -> Mirror:
        """The columns of a patch backwards.

        It gives what ``extract`` finds in the mirrored image where ``step`` divides what the patches leave of the
        width; otherwise the descriptors of a grid a few pixels to the side.
        """
        order = np.arange(self.descriptor_size).reshape(self.patch_size, self.patch_size, -1)[:, ::-1].ravel()
        return Mirror.of_order(order)

    def compute(self, image: NDArray[np.uint8]) -> Features:
        height, width = image.shape[:2]
        size = self.patch_size
        if min(height, width) < size:
            return self._empty(image)
        windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))
        windows = windows[:: self.step, :: self.step]
        if self.color:
            windows = np.moveaxis(windows, 2, 4)
        n_rows, n_columns = windows.shape[:2]
        descriptors = np.empty((n_rows * n_columns, self.descriptor_size), np.float32)
        rows_at_once = max(1, _BLOCK // (n_columns * self.descriptor_size))
        for top in range(0, n_rows, rows_at_once):
            rows = windows[top : top + rows_at_once]
            block = descriptors[top * n_columns : (top + len(rows)) * n_columns]
            block.reshape(rows.shape)[:] = rows
            _normalize(block, self.variance_offset)
        x, y = (self.step * np.arange(n) + (size - 1) / 2 for n in (n_columns, n_rows))
        return Features(grid_points(x, y, size, 0), descriptors, (width, height))


def _normalize(block: NDArray[np.float32], variance_offset: float) -> None:
    """Bring patches (n, k) to mean 0 and nearly variance 1, in place; a patch of one colour becomes zero."""
    # Sums of up to 2^24 / 255 values of 0 to 255 are exact in float32, so that one colour leaves nothing over.
    block -= block.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", block, block) / np.float32(block.shape[1] - 1)
    deviation = np.sqrt(variance + np.float32(variance_offset))
    block *= np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)[:, None]
