"""SIFT keypoints with SIFT descriptors, by OpenCV.

D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004. The patent ended in March 2020.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int, check_real
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features
from cvbow.features._normalize import root_normalize


class SIFT(Extractor):
    """Keypoints at extrema of the difference of Gaussians, described by their gradients.

    Parameters
    ----------
    max_points : int or None, default 1000
        The strongest so many points are kept; None keeps all.
    contrast_threshold : float, default 0.04
        Extrema weaker than this are dropped (OpenCV's unit: it is divided by the number of layers in an octave).
    edge_threshold : float, default 10.0
        Extrema whose ratio of principal curvatures is above this are dropped as edges.
    sigma : float, default 1.6
        Standard deviation of the first octave's smoothing in pixels.
    root : bool, default True
        RootSIFT (Arandjelovic and Zisserman, CVPR 2012) in place of L2 norm 1.
    min_side, max_side : int or None, default None and 1024
        Limits to the image's sides in pixels; see ``DenseSIFT``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import SIFT
    >>> image = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8).repeat(8, 0).repeat(8, 1)
    >>> features = SIFT(max_points=50).extract(image)
    >>> features.points.shape, features.descriptors.shape
    ((50, 4), (50, 128))
    """

    descriptor_size = 128
    pools_gradients = True

    def __init__(
        self,
        *,
        max_points: int | None = 1000,
        contrast_threshold: float = 0.04,
        edge_threshold: float = 10.0,
        sigma: float = 1.6,
        root: bool = True,
        min_side: int | None = None,
        max_side: int | None = 1024,
    ) -> None:
        self.max_points = max_points
        self.contrast_threshold = contrast_threshold
        self.edge_threshold = edge_threshold
        self.sigma = sigma
        self.root = root
        self.min_side = min_side
        self.max_side = max_side

    def check_params(self) -> None:
        super().check_params()
        check_int("max_points", self.max_points, minimum=1, none=True)
        check_real("contrast_threshold", self.contrast_threshold, minimum=0)
        check_real("edge_threshold", self.edge_threshold, minimum=1)
        check_real("sigma", self.sigma, minimum=0.5)
        check_flag("root", self.root)

    def compute(self, image: NDArray[np.uint8]) -> Features:
        height, width = image.shape
        detector = cv2.SIFT_create(
            # Those that are as strong as the last one are kept as well; none is 0.
            nfeatures=self.max_points or 0,
            contrastThreshold=float(self.contrast_threshold),
            edgeThreshold=float(self.edge_threshold),
            sigma=float(self.sigma),
            # Without it OpenCV's first doubling shifts every point by a quarter of a pixel, to the right and down.
            enable_precise_upscale=True,
        )
        # In one go, which spares the second scale space: a third of the time.
        found, described = detector.detectAndCompute(image, None)
        if not found:
            return self._empty(image)
        # A fixed order, strength first and then place, so that a cap keeps the same points on every run.
        rows = sorted(range(len(found)), key=lambda row: _strength(found[row]))[: self.max_points]
        keypoints, descriptors = [found[row] for row in rows], described[rows]
        if not any(_in_doubled_image(keypoint) for keypoint in keypoints):
            # Of such points OpenCV has always made the descriptors in a scale space that begins with the image itself.
            keypoints, descriptors = detector.compute(image, keypoints)
        points = np.array([(*k.pt, k.size, k.angle) for k in keypoints], np.float32).reshape(-1, 4)
        if self.root:
            descriptors = root_normalize(descriptors)
        else:
            lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
            descriptors = np.divide(descriptors, lengths, out=np.zeros_like(descriptors), where=lengths > 0)
        return Features(points, descriptors, (width, height))


def _strength(keypoint: Any) -> tuple[float, ...]:
    return -keypoint.response, keypoint.pt[1], keypoint.pt[0], keypoint.size, keypoint.angle


def _in_doubled_image(keypoint: Any) -> bool:
    """Whether a keypoint is of the octave before the image's own: the lowest byte of ``octave`` is then -1."""
    return bool(keypoint.octave & 0xFF == 0xFF)
