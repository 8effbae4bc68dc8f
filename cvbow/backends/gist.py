"""Gist: how much energy an image has at each scale and orientation, in the cells of a coarse grid.

A. Oliva and A. Torralba, "Modeling the shape of the scene: a holistic representation of the spatial envelope",
IJCV 2001. Filters are products in the frequency domain; those of the coarse scales, which pass low frequencies alone,
are applied to a part of the spectrum, which is the same image with fewer pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_flag, check_int, check_ints, check_real
from cvbow.backends._mirror import halves, mean_direction
from cvbow.backends._whole_image import WholeImageEncoder
from cvbow.backends.shares import overlaps, stretched
from cvbow.features import to_working_size

#: Centre of the finest filters in cycles per pixel; each further scale's is lower by the ratio.
_FINEST = 0.3
_RATIO = 1.85
#: Fall of a filter along the frequency, relative to its centre, and across, in squares of its number of orientations.
_RADIAL = 3.5
_ANGULAR = np.pi / 32
#: Share of the image's side that its reflection adds on every side, so that opposite sides do not meet.
_PADDING = 1 / 8
#: Standard deviation of the brightness's natural logarithm that the prefilter takes for noise.
_NOISE = 0.2
#: A filter is cut where it is below this.
_NOTHING = 1e-3
#: Magnitudes that a cell's side takes at least, to have a mean.
_SAMPLES = 5


class Gist(WholeImageEncoder):
    """Energies of Gabor filters, averaged over the cells of a grid.

    The image is brought to a square of ``size`` pixels, whatever its shape; its contrast is evened out; the magnitudes
    of its responses to complex Gabor filters are averaged over ``grid`` x ``grid`` cells.

    Parameters
    ----------
    size : int, default 128
        Side of the square, a multiple of 16.
    orientations : sequence of int, default (8, 8, 8, 8)
        How many orientations there are at each scale, the finest first. Scales lie a factor of 1.85 apart, from 0.3
        cycles per pixel downwards.
    grid : int, default 6
        Cells along each side.
    prefilter : float, default 4.0
        Cycles per image below which brightness is removed and contrast is evened out; 0 leaves the image.
    compression : {"root", "log", "none"}, default "root"
        Of an energy, before the vector's L2 norm becomes 1.
    mirror : bool, default False
        Average the vector with the mirrored image's, which follows from the same energies.
    n_jobs, memory : see ``ImageEncoder``

    Notes
    -----
    The vector holds, scale after scale, orientation after orientation, the cells row by row. Orientation j of n is that
    of a wave which changes along the direction ``180 j / n`` degrees, from the direction of x towards y (downwards).
    An image of one colour has no energy: its vector is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import Gist
    >>> image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    >>> Gist().transform([image]).shape
    (1, 1152)
    """

    def __init__(
        self,
        *,
        size: int = 128,
        orientations: Sequence[int] = (8, 8, 8, 8),
        grid: int = 6,
        prefilter: float = 4.0,
        compression: str = "root",
        mirror: bool = False,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.size = size
        self.orientations = orientations
        self.grid = grid
        self.prefilter = prefilter
        self.compression = compression
        self.mirror = mirror
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def vector_length(self) -> int:
        """Length of a vector: a value for each filter and cell."""
        self.check_params()
        return int(sum(self.orientations)) * int(self.grid) ** 2

    def _describe(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.check_params()
        # No contrast is no energy: rounding errors would get the vector's whole length.
        if gray.max() == gray.min():
            return np.zeros(self.vector_length, np.float32)
        energies = self._energies(self._square(gray))
        vector = self._normalize(energies)
        return mean_direction(vector, self._normalize(self._mirrored(energies))) if self.mirror else vector

    def _share(self, gray: NDArray[np.uint8], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        self.check_params()
        size, grid = int(self.size), int(self.grid)
        maps = np.zeros((len(weights), size, size))
        if gray.max() == gray.min():
            return maps
        responses = self._responses(self._square(gray))
        energies = self._means(responses)
        parts = [self._normalize(energies).astype(np.float64)]
        if self.mirror:
            theirs = self._mirrored(energies)
            parts = list(halves(parts[0].astype(np.float32), self._normalize(theirs)))
            parts[1] = self._mirrored(parts[1].reshape(energies.shape)).ravel()
        for row, weight in enumerate(weights):
            given = weight * parts[0]
            if self.mirror:
                given += self._mirrored(weight.reshape(energies.shape)).ravel() * parts[1]
            values, start = given.reshape(energies.shape), 0
            for magnitudes in responses:
                # A cell's energy is the mean of what the magnitudes of its pixels are.
                n, side = magnitudes.shape[:2]
                belongs = grid * overlaps(grid, side)
                sums = belongs @ magnitudes @ belongs.T
                each = np.divide(values[start : start + n], sums, out=np.zeros(sums.shape), where=sums > 0)
                maps[row] += stretched((magnitudes * (belongs.T @ each @ belongs)).sum(axis=0)[None], (size, size))[0]
                start += n
        return maps

    def _mirrored(self, energies: NDArray[Any]) -> NDArray[Any]:
        """Return energies (n_filters, grid, grid) as the mirrored image has them."""
        return energies[self._mirrored_filters(), :, ::-1]

    def _square(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the image at the size at which it is described, its contrast evened out."""
        size = int(self.size)
        # In two steps, so that the float copy of a photograph is a small one.
        gray = to_working_size(gray, None, 4 * size)
        square = cv2.resize(gray.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        return _even_contrast(square, float(self.prefilter))

    def _energies(self, square: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean magnitude of each filter's response in each cell, shape (n_filters, grid, grid)."""
        return self._means(self._responses(square))

    def _means(self, responses: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        size = (self.grid, self.grid)
        planes = (plane for magnitudes in responses for plane in magnitudes)
        return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])

    def _responses(self, square: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the magnitudes of the filters' responses, scale by scale, (n_orientations, side, side) each."""
        from scipy import fft

        size = len(square)
        padding = int(size * _PADDING)
        padded = np.pad(square, padding, mode="symmetric")
        spectrum = fft.fft2(padded)
        found = []
        for scale, n in enumerate(self.orientations):
            keep, filters = _filters(len(padded), scale, int(n), _SAMPLES * int(self.grid))
            part = fft.ifft2(spectrum[np.ix_(keep, keep)] * filters, overwrite_x=True)
            # The inverse transform divides by the pixels it makes, the forward one did not multiply by as many.
            share = len(keep) / len(padded)
            inner = slice(round(padding * share), round((padding + size) * share))
            found.append(np.abs(part[:, inner, inner]) * np.float32(share**2))
        return found

    def _normalize(self, energies: NDArray[np.float32]) -> NDArray[np.float32]:
        values = energies.ravel().astype(np.float64)
        if self.compression == "root":
            values = np.sqrt(values)
        elif self.compression == "log":
            mean = values.mean()
            values = np.log1p(values / mean) if mean > 0 else values
        length = np.linalg.norm(values)
        return np.asarray(values / length if length > 0 else values, np.float32)

    def _mirrored_filters(self) -> NDArray[np.intp]:
        """Return for each filter the one whose response the mirrored image gives it: direction d becomes 180 - d."""
        found, start = [], 0
        for n in self.orientations:
            found.append(start + (n - np.arange(n)) % n)
            start += n
        return np.concatenate(found)

    def check_params(self) -> None:
        check_int("size", self.size, minimum=16)
        if self.size % 16:
            raise ValueError(f"size must be a multiple of 16, got {self.size!r}")
        check_ints("orientations", self.orientations, minimum=1)
        check_int("grid", self.grid, minimum=1)
        if self.grid > self.size // 8:
            raise ValueError(f"grid must be at most an eighth of size, got {self.grid} of {self.size}")
        check_real("prefilter", self.prefilter, minimum=0)
        check_choice("compression", self.compression, ("root", "log", "none"))
        check_flag("mirror", self.mirror)


def _even_contrast(square: NDArray[np.float32], cutoff: float) -> NDArray[np.float32]:
    """Return the logarithm of an image in [0, 255] without its low frequencies, over its local standard deviation."""
    from scipy import fft

    levels = np.log1p(square)
    if cutoff == 0:
        return levels
    size = len(square)
    padding = int(size * _PADDING)
    low = _low_pass(size + 2 * padding, cutoff / size)

    def smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = np.pad(image, padding, mode="symmetric")
        result: NDArray[np.float32] = fft.irfft2(fft.rfft2(padded) * low, s=padded.shape)
        return result[padding : padding + size, padding : padding + size]

    levels = levels - smooth(levels)
    deviation = np.sqrt(np.maximum(smooth(levels**2), 0))
    return np.asarray(levels / (np.float32(_NOISE) + deviation), np.float32)


@functools.lru_cache(maxsize=16)
def _low_pass(size: int, cutoff: float) -> NDArray[np.float32]:
    """Return a Gaussian that is 1/2 at ``cutoff`` cycles per pixel, as ``rfft2`` orders frequencies."""
    across, down = np.fft.rfftfreq(size), np.fft.fftfreq(size)[:, None]
    return np.exp2(-(across**2 + down**2) / cutoff**2).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _filters(size: int, scale: int, n: int, least: int) -> tuple[NDArray[np.intp], NDArray[np.complexfloating]]:
    """Return the rows (and columns) of a spectrum that a scale's filters pass, and the filters, (n, kept, kept).

    At least ``least`` rows are kept.
    """
    center = _FINEST / _RATIO**scale
    reach = center * (1 + np.sqrt(-np.log(_NOTHING) / _RADIAL))
    # A half or a quarter of the frequencies, as long as that holds the filter.
    kept = size
    while kept % 4 == 0 and kept // 2 >= least and reach < kept / size / 4:
        kept //= 2
    index = np.fft.ifftshift(np.arange(-(kept // 2), kept - kept // 2))
    across, down = index / size, index[:, None] / size
    radius, angle = np.hypot(across, down), np.arctan2(down, across)
    turn = np.pi * np.arange(n)[:, None, None] / n
    off = (angle - turn + np.pi) % (2 * np.pi) - np.pi
    filters = np.exp(-_RADIAL * (radius / center - 1) ** 2 - _ANGULAR * (n * off) ** 2)
    # The highest frequency has no positive twin, and the lowest no direction.
    filters[:, index == -(kept // 2)] = 0
    filters[:, :, index == -(kept // 2)] = 0
    filters[:, 0, 0] = 0
    # Fewer pixels are to lie in the middle of those that they stand for.
    shift = (size / kept - 1) / 2
    return index % size, (filters * np.exp(2j * np.pi * shift * (across + down))).astype(np.complex64)
