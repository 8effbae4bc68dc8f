"""Keypoints with a scale, and mostly an angle, as OpenCV finds them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.features._detections import Detections
from cvbow.features._detector import KeypointDetector
from cvbow.features._opencv import constant

DIFFUSIVITIES = ("pm-g1", "pm-g2", "weickert", "charbonnier")
#: Those for which OpenCV has a filter.
_STAR_SIZES = (4, 6, 8, 11, 12, 16, 22, 23, 32, 45, 46, 64, 90, 128)
#: Of ORB where there is no limit: more than it finds in the images that this is for.
_ORB_ALL = 20_000


class SIFTDetector(KeypointDetector):
    """Extrema of the difference of Gaussians, with the main directions of the gradients around them.

    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004. A point with several main
    directions comes several times. Sizes are twice the scale.

    Parameters
    ----------
    n_octave_layers : int, default 3
        Scales per octave.
    contrast_threshold : float, default 0.04
        Extrema weaker than this are dropped (OpenCV divides it by the number of layers).
    edge_threshold : float, default 10.0
        Extrema whose ratio of principal curvatures is above this are dropped as edges.
    sigma : float, default 1.6
        Standard deviation of the first octave's smoothing in pixels.
    """

    algorithm = "SIFT"
    patch_factor: ClassVar[float] = 6.75
    has_angle: ClassVar[bool] = True

    def __init__(
        self,
        *,
        n_octave_layers: int = 3,
        contrast_threshold: float = 0.04,
        edge_threshold: float = 10.0,
        sigma: float = 1.6,
    ) -> None:
        self.n_octave_layers = n_octave_layers
        self.contrast_threshold = contrast_threshold
        self.edge_threshold = edge_threshold
        self.sigma = sigma

    def check_params(self) -> None:
        check_int("n_octave_layers", self.n_octave_layers, minimum=1)
        check_real("contrast_threshold", self.contrast_threshold, minimum=0)
        check_real("edge_threshold", self.edge_threshold, minimum=1)
        check_real("sigma", self.sigma, minimum=0.5)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {
            "nfeatures": limit or 0,
            "nOctaveLayers": int(self.n_octave_layers),
            "contrastThreshold": float(self.contrast_threshold),
            "edgeThreshold": float(self.edge_threshold),
            "sigma": float(self.sigma),
            # Without it OpenCV's first doubling shifts every point by a quarter of a pixel, to the right and down.
            "enable_precise_upscale": True,
        }


class ORBDetector(KeypointDetector):
    """FAST corners on a pyramid, ranked by Harris, with the direction of their patch's centre of mass.

    E. Rublee, V. Rabaud, K. Konolige and G. Bradski, "ORB: an efficient alternative to SIFT or SURF", ICCV 2011. Each
    level of the pyramid has its share of the points. Sizes are the side of the patch that is described.

    Parameters
    ----------
    n_points : int or None, default None
        Points that are shared out among the levels; None: as many as are kept afterwards.
    scale_factor : float, default 1.2
        Of one level of the pyramid to the next.
    n_levels : int, default 8
    fast_threshold : int, default 20
        Of FAST, in gray levels.
    """

    algorithm = "ORB"
    has_angle: ClassVar[bool] = True

    def __init__(
        self, *, n_points: int | None = None, scale_factor: float = 1.2, n_levels: int = 8, fast_threshold: int = 20
    ) -> None:
        self.n_points = n_points
        self.scale_factor = scale_factor
        self.n_levels = n_levels
        self.fast_threshold = fast_threshold

    def check_params(self) -> None:
        check_int("n_points", self.n_points, minimum=1, none=True)
        check_real("scale_factor", self.scale_factor, minimum=1, open_minimum=True)
        check_int("n_levels", self.n_levels, minimum=1)
        check_int("fast_threshold", self.fast_threshold, minimum=1)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {
            "nfeatures": self.n_points or limit or _ORB_ALL,
            "scaleFactor": float(self.scale_factor),
            "nlevels": int(self.n_levels),
            "fastThreshold": int(self.fast_threshold),
        }


class AKAZEDetector(KeypointDetector):
    """Extrema of the Hessian in a nonlinear scale space that is found by fast explicit diffusion.

    P. Alcantarilla, J. Nuevo and A. Bartoli, "Fast explicit diffusion for accelerated features in nonlinear scale
    spaces", BMVC 2013.

    Parameters
    ----------
    threshold : float, default 0.001
        Weaker extrema are dropped.
    n_octaves, n_octave_layers : int, default 4 and 4
    diffusivity : {"pm-g1", "pm-g2", "weickert", "charbonnier"}, default "pm-g2"
    """

    algorithm = "AKAZE"
    patch_factor: ClassVar[float] = 5.0
    has_angle: ClassVar[bool] = True

    def __init__(
        self, *, threshold: float = 0.001, n_octaves: int = 4, n_octave_layers: int = 4, diffusivity: str = "pm-g2"
    ) -> None:
        self.threshold = threshold
        self.n_octaves = n_octaves
        self.n_octave_layers = n_octave_layers
        self.diffusivity = diffusivity

    def check_params(self) -> None:
        check_real("threshold", self.threshold, minimum=0)
        check_int("n_octaves", self.n_octaves, minimum=1)
        check_int("n_octave_layers", self.n_octave_layers, minimum=1)
        check_choice("diffusivity", self.diffusivity, DIFFUSIVITIES)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {
            "threshold": float(self.threshold),
            "nOctaves": int(self.n_octaves),
            "nOctaveLayers": int(self.n_octave_layers),
            "diffusivity": constant("KAZE", f"DIFF_{self.diffusivity.upper().replace('-', '_')}"),
        }


class KAZEDetector(AKAZEDetector):
    """Extrema of the Hessian in a nonlinear scale space.

    P. Alcantarilla, A. Bartoli and A. Davison, "KAZE features", ECCV 2012. Its parameters are those of
    ``AKAZEDetector``; it is slower by an order of magnitude.
    """

    algorithm = "KAZE"
    patch_factor: ClassVar[float] = 6.25

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        # OpenCV finds the angles of KAZE only when it describes the points too.
        found = self._detect_and_describe(image, limit, {})
        return self._nothing() if found is None else found[0]


class BRISKDetector(KeypointDetector):
    """AGAST corners that are maxima in a scale pyramid, with the direction of their long-distance gradients.

    S. Leutenegger, M. Chli and R. Siegwart, "BRISK: binary robust invariant scalable keypoints", ICCV 2011.

    Parameters
    ----------
    threshold : int, default 30
        Of AGAST, in gray levels.
    n_octaves : int, default 3
    """

    algorithm = "BRISK"
    patch_factor: ClassVar[float] = 5.0
    has_angle: ClassVar[bool] = True

    def __init__(self, *, threshold: int = 30, n_octaves: int = 3) -> None:
        self.threshold = threshold
        self.n_octaves = n_octaves

    def check_params(self) -> None:
        check_int("threshold", self.threshold, minimum=1)
        check_int("n_octaves", self.n_octaves, minimum=0)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {"thresh": int(self.threshold), "octaves": int(self.n_octaves)}


class STARDetector(KeypointDetector):
    """Extrema of a difference of two star-shaped boxes, at every scale and every pixel (CenSurE).

    M. Agrawal, K. Konolige and M. Blas, "CenSurE: center surround extremas for realtime feature detection and
    matching", ECCV 2008.

    Parameters
    ----------
    max_size : int, default 45
        Of the filter, in pixels; one of 4, 6, 8, 11, 12, 16, 22, 23, 32, 45, 46, 64, 90, 128.
    threshold : int, default 30
        Weaker extrema are dropped.
    line_threshold : int, default 10
        Of the ratio of principal curvatures, against points on lines.
    """

    algorithm = "STAR"
    patch_factor: ClassVar[float] = 5.0

    def __init__(self, *, max_size: int = 45, threshold: int = 30, line_threshold: int = 10) -> None:
        self.max_size = max_size
        self.threshold = threshold
        self.line_threshold = line_threshold

    def check_params(self) -> None:
        if self.max_size not in _STAR_SIZES:
            raise ValueError(f"max_size must be one of {', '.join(map(str, _STAR_SIZES))}, got {self.max_size!r}")
        check_int("threshold", self.threshold, minimum=0)
        check_int("line_threshold", self.line_threshold, minimum=1)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {
            "maxSize": int(self.max_size),
            "responseThreshold": int(self.threshold),
            "lineThresholdProjected": int(self.line_threshold),
        }


class MSDDetector(KeypointDetector):
    """Points whose surroundings are least like the patches nearby (maximal self-dissimilarity).

    F. Tombari and L. Di Stefano, "Interest points via maximal self-dissimilarities", ACCV 2014.

    Parameters
    ----------
    threshold : float, default 250.0
        Of the mean squared difference: less salient points are dropped.
    scale_factor : float, default 1.25
        Of one level of the pyramid to the next.
    """

    algorithm = "MSD"
    patch_factor: ClassVar[float] = 5.0
    smallest = 32

    def __init__(self, *, threshold: float = 250.0, scale_factor: float = 1.25) -> None:
        self.threshold = threshold
        self.scale_factor = scale_factor

    def check_params(self) -> None:
        check_real("threshold", self.threshold, minimum=0)
        check_real("scale_factor", self.scale_factor, minimum=1, open_minimum=True)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {"m_th_saliency": float(self.threshold), "m_scale_factor": float(self.scale_factor)}


class HarrisLaplaceDetector(KeypointDetector):
    """Harris corners at the scale where their Laplacian is greatest.

    K. Mikolajczyk and C. Schmid, "Scale and affine invariant interest point detectors", IJCV 2004.

    Parameters
    ----------
    n_octaves : int, default 6
    corner_threshold : float, default 0.01
        Of the cornerness.
    dog_threshold : float, default 0.01
        Of the difference of Gaussians.
    max_corners : int, default 5000
    n_layers : int, default 4
        Scales per octave: 2 or 4.
    """

    algorithm = "Harris-Laplace"
    patch_factor: ClassVar[float] = 6.75

    def __init__(
        self,
        *,
        n_octaves: int = 6,
        corner_threshold: float = 0.01,
        dog_threshold: float = 0.01,
        max_corners: int = 5000,
        n_layers: int = 4,
    ) -> None:
        self.n_octaves = n_octaves
        self.corner_threshold = corner_threshold
        self.dog_threshold = dog_threshold
        self.max_corners = max_corners
        self.n_layers = n_layers

    def check_params(self) -> None:
        check_int("n_octaves", self.n_octaves, minimum=1)
        check_real("corner_threshold", self.corner_threshold, minimum=0)
        check_real("dog_threshold", self.dog_threshold, minimum=0)
        check_int("max_corners", self.max_corners, minimum=1)
        if self.n_layers not in (2, 4):
            raise ValueError(f"n_layers must be 2 or 4, got {self.n_layers!r}")

    def options(self, limit: int | None) -> dict[str, Any]:
        return {
            "numOctaves": int(self.n_octaves),
            "corn_thresh": float(self.corner_threshold),
            "DOG_thresh": float(self.dog_threshold),
            "maxCorners": int(self.max_corners),
            "num_layers": int(self.n_layers),
        }
