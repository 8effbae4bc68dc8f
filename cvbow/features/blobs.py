"""Blobs with their scale: extrema of the Laplacian, of its approximation by differences, and of det Hessian.

A blob of Gaussian profile with standard deviation s has its extremum at the scale sigma = s; so has a disk of radius
sqrt(2) sigma. So a point's size, its diameter, is 2 sqrt(2) sigma.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector
from cvbow.features._scale_space import find_extrema, gaussian_octaves

Float32 = NDArray[np.float32]


class _BlobDetector(Detector):
    """Base class: responses over a scale space, and their extrema."""

    #: The patch that SIFT describes at this scale.
    patch_factor: ClassVar[float] = 6.75 / float(np.sqrt(2))
    #: Whether dark blobs and bright ones differ in sign.
    signed: ClassVar[bool] = True
    #: Images of an octave beyond its scales: an extremum needs a layer on either side.
    n_more: ClassVar[int] = 2

    threshold: float
    edge_ratio: float | None
    min_sigma: float
    max_sigma: float | None
    n_scales: int

    def check_params(self) -> None:
        check_real("threshold", self.threshold, minimum=0, open_minimum=True)
        check_real("edge_ratio", self.edge_ratio, minimum=1, none=True)
        check_real("min_sigma", self.min_sigma, minimum=0.6)
        check_real("max_sigma", self.max_sigma, minimum=float(self.min_sigma), none=True)
        check_int("n_scales", self.n_scales, minimum=2)

    @abstractmethod
    def _layers(self, images: list[Float32], sigmas: NDArray[np.float64]) -> tuple[list[Float32], float]:
        """Return the responses of an octave, and the factor from an image's sigma to that of its response."""

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        found: list[NDArray[np.float64]] = []
        strengths: list[NDArray[np.float64]] = []
        # A layer before the first scale, so that this one has a neighbour on either side.
        first = float(self.min_sigma) * 2 ** (-1 / int(self.n_scales))
        for octave, images in gaussian_octaves(image, first, int(self.n_scales), self.n_more, self.max_sigma):
            sigmas = first * 2 ** (np.arange(len(images)) / self.n_scales)
            layers, factor = self._layers(images, sigmas)
            places, values = find_extrema(layers, float(self.threshold), self.edge_ratio, signed=self.signed)
            size = 2 * np.sqrt(2) * factor * first * 2 ** (places[:, 0] / self.n_scales)
            found.append(np.column_stack([places[:, 2], places[:, 1], size]) * 2**octave)
            strengths.append(np.abs(values))
        if not found:
            return self._nothing()
        places = np.concatenate(found)
        points = np.full((len(places), 4), -1, np.float32)
        points[:, :3] = places
        height, width = image.shape
        np.clip(points[:, 0], 0, width - 1, out=points[:, 0])
        np.clip(points[:, 1], 0, height - 1, out=points[:, 1])
        responses = np.concatenate(strengths).astype(np.float32)
        if self.max_sigma is not None:
            kept = points[:, 2] <= np.float32(2 * np.sqrt(2) * float(self.max_sigma))
            points, responses = points[kept], responses[kept]
        return self._sorted(points, responses, limit)


class LoGDetector(_BlobDetector):
    """Blobs by the Laplacian of a Gaussian, sigma^2 (Lxx + Lyy).

    T. Lindeberg, "Feature detection with automatic scale selection", IJCV 1998.

    Parameters
    ----------
    threshold : float, default 5.0
        Weaker extrema are dropped; gray levels: a Gaussian blob gives half its height.
    edge_ratio : float or None, default 10.0
        Extrema whose ratio of principal curvatures is above this are dropped as edges; None: none are.
    min_sigma : float, default 1.6
        Smallest scale in pixels.
    max_sigma : float or None, default None
        Largest; None: as large as the image allows.
    n_scales : int, default 3
        Scales per octave.
    """

    def __init__(
        self,
        *,
        threshold: float = 5.0,
        edge_ratio: float | None = 10.0,
        min_sigma: float = 1.6,
        max_sigma: float | None = None,
        n_scales: int = 3,
    ) -> None:
        self.threshold = threshold
        self.edge_ratio = edge_ratio
        self.min_sigma = min_sigma
        self.max_sigma = max_sigma
        self.n_scales = n_scales

    def _layers(self, images: list[Float32], sigmas: NDArray[np.float64]) -> tuple[list[Float32], float]:
        return [
            np.asarray(cv2.Laplacian(each, cv2.CV_32F, ksize=1, scale=sigma**2), np.float32)
            for each, sigma in zip(images, sigmas, strict=True)
        ], 1.0


class DoGDetector(LoGDetector):
    """Blobs by differences of Gaussians, (G(k sigma) - G(sigma)) / (k - 1), which comes near sigma^2 (Lxx + Lyy).

    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004. The scale of a difference is
    sqrt(k) sigma: that of the blob to which it answers most. Its parameters are those of ``LoGDetector``.
    """

    n_more: ClassVar[int] = 3

    def _layers(self, images: list[Float32], sigmas: NDArray[np.float64]) -> tuple[list[Float32], float]:
        k = 2 ** (1 / self.n_scales)
        scale = np.float32(1 / (k - 1))
        pairs = zip(images[1:], images[:-1], strict=True)
        return [(after - before) * scale for after, before in pairs], float(np.sqrt(k))


class DoHDetector(_BlobDetector):
    """Blobs by the determinant of the Hessian: the square root of sigma^4 (Lxx Lyy - Lxy^2).

    T. Lindeberg, "Feature detection with automatic scale selection", IJCV 1998. Where it is below zero there is a
    saddle, and no blob.

    Parameters
    ----------
    threshold : float, default 2.5
        Weaker extrema are dropped; gray levels: a Gaussian blob gives a quarter of its height.
    edge_ratio, min_sigma, max_sigma, n_scales
        As for ``LoGDetector``; ``edge_ratio`` is None by default, since at edges the determinant is small.
    """

    signed: ClassVar[bool] = False

    def __init__(
        self,
        *,
        threshold: float = 2.5,
        edge_ratio: float | None = None,
        min_sigma: float = 1.6,
        max_sigma: float | None = None,
        n_scales: int = 3,
    ) -> None:
        self.threshold = threshold
        self.edge_ratio = edge_ratio
        self.min_sigma = min_sigma
        self.max_sigma = max_sigma
        self.n_scales = n_scales

    def _layers(self, images: list[Float32], sigmas: NDArray[np.float64]) -> tuple[list[Float32], float]:
        layers = []
        second = np.array([1, -2, 1], np.float32)
        first = np.array([-0.5, 0, 0.5], np.float32)
        alone = np.array([1], np.float32)
        for image, sigma in zip(images, sigmas, strict=True):
            xx = cv2.sepFilter2D(image, cv2.CV_32F, second, alone)
            yy = cv2.sepFilter2D(image, cv2.CV_32F, alone, second)
            xy = cv2.sepFilter2D(image, cv2.CV_32F, first, first)
            determinant = np.maximum(xx * yy - xy * xy, 0)
            layers.append(np.sqrt(determinant) * np.float32(sigma**2))
        return layers, 1.0
