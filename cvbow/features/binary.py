"""Binary descriptors: comparisons of gray values, eight bits to a byte; their distance is Hamming's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag
from cvbow.features._descriptor import Described, KeypointDescriptor, PyramidDescriptor
from cvbow.features._detections import Detections, to_keypoints
from cvbow.features._detector import Detector
from cvbow.features._opencv import constant
from cvbow.features.descriptors import refuse_others
from cvbow.features.keypoints import AKAZEDetector, ORBDetector

#: Side of ORB's patch in pixels, which is the size of its points in the image itself.
_ORB_PATCH = 31


class _Binary(KeypointDescriptor):
    is_binary: ClassVar[bool] = True


class _BinaryOfBytes(_Binary):
    """Base class of those whose length can be chosen."""

    sizes: ClassVar[tuple[int, ...]] = (16, 32, 64)

    def __init__(self, *, n_bytes: int = 32) -> None:
        self.n_bytes = n_bytes

    @property
    def descriptor_size(self) -> int:
        """Number of bytes."""
        return self.n_bytes

    def check_params(self) -> None:
        if isinstance(self.n_bytes, bool) or self.n_bytes not in self.sizes:
            raise ValueError(f"n_bytes must be one of {', '.join(map(str, self.sizes))}, got {self.n_bytes!r}")


class ORBDescriptor(PyramidDescriptor):
    """256 comparisons chosen for their variance, turned with the point, in the level of a pyramid that fits its size.

    E. Rublee, V. Rabaud, K. Konolige and G. Bradski, "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.
    """

    algorithm = "ORB"
    is_binary: ClassVar[bool] = True
    own = ORBDetector
    patch_factor: ClassVar[float] = 1.0
    descriptor_size = 32

    def _octaves(self, sizes: NDArray[np.float32], detector: ORBDetector, side: int) -> NDArray[np.int32]:
        levels = np.rint(np.log(np.maximum(sizes, 1e-6) / _ORB_PATCH) / np.log(float(detector.scale_factor)))
        return np.asarray(np.clip(levels, 0, detector.n_levels - 1), np.int32)


class BRIEFDescriptor(_BinaryOfBytes):
    """Comparisons of smoothed pixels at random places, all of one size.

    M. Calonder, V. Lepetit, C. Strecha and P. Fua, "BRIEF: binary robust independent elementary features", ECCV 2010.

    Parameters
    ----------
    n_bytes : {16, 32, 64}, default 32
    use_orientation : bool, default False
        Turn the comparisons with the point.
    """

    algorithm = "BRIEF"

    def __init__(self, *, n_bytes: int = 32, use_orientation: bool = False) -> None:
        super().__init__(n_bytes=n_bytes)
        self.use_orientation = use_orientation

    def check_params(self) -> None:
        super().check_params()
        check_flag("use_orientation", self.use_orientation)

    def options(self) -> dict[str, Any]:
        return {"bytes": int(self.n_bytes), "use_orientation": bool(self.use_orientation)}


class BRISKDescriptor(_Binary):
    """512 comparisons of points on rings, at the point's scale and angle.

    S. Leutenegger, M. Chli and R. Siegwart, "BRISK: binary robust invariant scalable keypoints", ICCV 2011.
    """

    algorithm = "BRISK"
    patch_factor: ClassVar[float] = 5.0
    descriptor_size = 64


class FREAKDescriptor(_Binary):
    """512 comparisons of points on rings that widen as the retina's fields do, at the point's scale.

    A. Alahi, R. Ortiz and P. Vandergheynst, "FREAK: fast retina keypoint", CVPR 2012.

    Parameters
    ----------
    use_orientation : bool, default True
        Turn the comparisons by an angle of its own, found from 45 of them; the point's is not looked at.
    """

    algorithm = "FREAK"
    descriptor_size = 64

    def __init__(self, *, use_orientation: bool = True) -> None:
        self.use_orientation = use_orientation

    def check_params(self) -> None:
        check_flag("use_orientation", self.use_orientation)

    def options(self) -> dict[str, Any]:
        return {"orientationNormalized": bool(self.use_orientation)}


class LATCHDescriptor(_BinaryOfBytes):
    """Comparisons of three small patches each, turned with the point, all of one size.

    G. Levi and T. Hassner, "LATCH: learned arrangements of three patch codes", WACV 2016.

    Parameters
    ----------
    n_bytes : {1, 2, 4, 8, 16, 32, 64}, default 32
    """

    algorithm = "LATCH"
    sizes: ClassVar[tuple[int, ...]] = (1, 2, 4, 8, 16, 32, 64)
    #: Its window of 48 pixels and a smoothing.
    smallest: ClassVar[int] = 64

    def options(self) -> dict[str, Any]:
        return {"bytes": int(self.n_bytes), "rotationInvariance": True}


class AKAZEDescriptor(_Binary):
    """486 comparisons of means and gradients (M-LDB) in the nonlinear scale space of AKAZE: for no other points.

    P. Alcantarilla, J. Nuevo and A. Bartoli, "Fast explicit diffusion for accelerated features in nonlinear scale
    spaces", BMVC 2013.
    """

    algorithm = "AKAZE"
    descriptor_size = 61

    def refusal(self, detector: Detector | None) -> str | None:
        return refuse_others("akaze", AKAZEDetector, detector)

    def compute(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        detector = detections.detector
        assert isinstance(detector, AKAZEDetector)
        keypoints = to_keypoints(detections.with_angles(np.maximum(detections.points[:, 3], 0)))
        for keypoint, class_id in zip(keypoints, detections.class_ids.tolist(), strict=True):
            # The level in which it was found. None is dropped, so that the rows need no mark of their own.
            keypoint.class_id = class_id
        return np.arange(len(detections)), detector._create(None).compute(image, keypoints)[1]


class BEBLIDDescriptor(_BinaryOfBytes):
    """Comparisons of box means that boosting chose, at the point's scale and angle.

    I. Suarez, G. Sfeir, J. Buenaposada and L. Baumela, "BEBLID: boosted efficient binary local image descriptor",
    Pattern Recognition Letters 2020.

    Parameters
    ----------
    n_bytes : {32, 64}, default 32
    """

    algorithm = "BEBLID"
    sizes: ClassVar[tuple[int, ...]] = (32, 64)

    def options(self) -> dict[str, Any]:
        size = constant(self.algorithm, f"SIZE_{8 * int(self.n_bytes)}_BITS")
        return {"scale_factor": self.patch_factor, "n_bits": size}


class TEBLIDDescriptor(BEBLIDDescriptor):
    """As BEBLID, with comparisons chosen by triplets.

    I. Suarez, J. Buenaposada and L. Baumela, "Revisiting binary local image description for resource limited devices",
    RA-L 2021. Its parameter is that of ``BEBLIDDescriptor``.
    """

    algorithm = "TEBLID"
