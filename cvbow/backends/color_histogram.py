"""Histograms of colours: the other floor.

M. Swain and D. Ballard, "Color indexing", IJCV 1991.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int
from cvbow.backends._whole_image import WholeImageEncoder

#: Colour spaces, and the ends of their channels' ranges in OpenCV's 8 bits.
SPACES = {"hsv": (180, 256, 256), "rgb": (256, 256, 256), "lab": (256, 256, 256)}


class ColorHistogram(WholeImageEncoder):
    """How often each colour occurs in an image, as the square roots of shares.

    Parameters
    ----------
    bins : sequence of int, default (8, 4, 4)
        Of each channel; there is a bin for every combination.
    space : {"hsv", "rgb", "lab"}, default "hsv"
        Hue, saturation and value; red, green and blue; or CIE L*a*b*.
    n_jobs, memory : see ``ImageEncoder``

    Notes
    -----
    Square roots of shares make the product of two vectors the Bhattacharyya coefficient of their histograms. A gray
    image has colours without hue.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> red = np.zeros((4, 4, 3), np.uint8)
    >>> red[..., 0] = 255
    >>> vector = ColorHistogram(bins=(2, 2, 2), space="rgb").fit([red]).transform([red])[0]
    >>> vector.tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self, *, bins: Sequence[int] = (8, 4, 4), space: str = "hsv", n_jobs: int | None = None, memory: Any = None
    ) -> None:
        self.bins = bins
        self.space = space
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def vector_length(self) -> int:
        """Length of a vector: the product of the bins."""
        self.check_params()
        return int(np.prod(self.bins))

    @property
    def gray_only(self) -> bool:
        """Always False: the colours are what is described."""
        return False

    def _describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.check_params()
        counts = self._counts(self._places(image))
        return np.asarray(np.sqrt(counts / counts.sum()), np.float32)

    def _share(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        self.check_params()
        places = self._places(image)
        counts = self._counts(places)
        each = np.sqrt(counts / counts.sum()) / np.maximum(counts, 1)
        return np.asarray((weights * each)[:, places], np.float64)

    def _counts(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.bincount(places.ravel(), minlength=self.vector_length)

    def _places(self, image: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return the bin of each pixel, (H, W)."""
        codes = {"hsv": cv2.COLOR_RGB2HSV, "lab": cv2.COLOR_RGB2LAB}
        pixels = image if self.space == "rgb" else cv2.cvtColor(image, codes[self.space])
        places = np.zeros(pixels.shape[:2], np.intp)
        for channel, (count, end) in enumerate(zip(self.bins, SPACES[self.space], strict=True)):
            # A value v of a range [0, end) lies in bin v * count // end.
            table = np.arange(256) * int(count) // end
            places = places * int(count) + np.minimum(table, int(count) - 1)[pixels[..., channel]]
        return places

    def check_params(self) -> None:
        check_choice("space", self.space, SPACES)
        if not isinstance(self.bins, Sequence) or isinstance(self.bins, str) or len(self.bins) != 3:
            raise ValueError(f"bins must be three integers, one for each channel, got {self.bins!r}")
        for count in self.bins:
            check_int("bins", count, minimum=1)
