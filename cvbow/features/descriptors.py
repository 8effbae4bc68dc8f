"""Descriptors of gray values and gradients: float32."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int, check_real
from cvbow.features._descriptor import Described, Descriptor, KeypointDescriptor, PyramidDescriptor
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector
from cvbow.features._normalize import root_normalize
from cvbow.features._opencv import VGG_TYPES
from cvbow.features._pyramid import level_of, pyramid, sample_patches
from cvbow.features.keypoints import KAZEDetector, SIFTDetector


class SIFTDescriptor(PyramidDescriptor):
    """Histograms of gradients in 4 x 4 cells, 8 directions each.

    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004. OpenCV reads each point in a level
    of a pyramid that its octave names; a point of another detector gets the level that fits its size.
    """

    algorithm = "SIFT"
    own = SIFTDetector
    #: Of SIFT's own points, which keep the level they were found in.
    patch_factor: ClassVar[float] = SIFTDetector.patch_factor
    smallest: ClassVar[int] = 4
    descriptor_size = 128
    pools_gradients = True

    def _octaves(self, sizes: NDArray[np.float32], detector: SIFTDetector, side: int) -> NDArray[np.int32]:
        """Pack octave and layer as OpenCV does: a byte each, the octave from -1 (twice the image's size) upwards."""
        n_layers = int(detector.n_octave_layers)
        # The scale is half the size; layers 1 to n of an octave are those in which points are found.
        steps = np.rint(n_layers * np.log2(np.maximum(sizes, 1e-6) / (2 * float(detector.sigma)))).astype(np.int64)
        highest = max(0, int(np.log2(max(side, 1))) - 2)
        steps = np.clip(steps, 1 - n_layers, n_layers * (highest + 1))
        octave = (steps - 1) // n_layers
        layer = steps - n_layers * octave
        return np.asarray((octave & 255) | (layer << 8), np.int32)


class RootSIFTDescriptor(SIFTDescriptor):
    """Square roots of SIFT's shares: their Euclidean distance is Hellinger's.

    R. Arandjelovic and A. Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012.
    """

    def compute(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        rows, descriptors = super().compute(image, detections)
        return rows, root_normalize(np.asarray(descriptors, np.float32))


class KAZEDescriptor(KeypointDescriptor):
    """Sums of gradients (M-SURF) in the nonlinear scale space in which KAZE found the point: for no other points.

    P. Alcantarilla, A. Bartoli and A. Davison, "KAZE features", ECCV 2012.

    Parameters
    ----------
    extended : bool, default False
        128 values instead of 64.
    """

    algorithm = "KAZE"

    pools_gradients = True

    def __init__(self, *, extended: bool = False) -> None:
        self.extended = extended

    @property
    def descriptor_size(self) -> int:
        """Number of values: 64, or 128."""
        return 128 if self.extended else 64

    def check_params(self) -> None:
        check_flag("extended", self.extended)

    def refusal(self, detector: Detector | None) -> str | None:
        return refuse_others("kaze", KAZEDetector, detector)

    def options(self) -> dict[str, Any]:
        return {"extended": bool(self.extended)}

    def compute(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        # Asked to describe points alone, OpenCV's KAZE leaves out the gradients' scale: so it finds them once more.
        detector = detections.detector
        assert isinstance(detector, KAZEDetector)
        upright = bool((detections.points[:, 3] < 0).all())
        again = detector._detect_and_describe(image, None, {**self.options(), "upright": upright})
        if again is None:
            return self._nothing()
        found, descriptors = again
        place = {key: row for row, key in enumerate(_keys(found))}
        rows = [(row, place[key]) for row, key in enumerate(_keys(detections)) if key in place]
        kept, theirs = np.array(rows, np.intp).reshape(-1, 2).T
        return kept, descriptors[theirs]


def _keys(detections: Detections) -> list[tuple[float, ...]]:
    """Return what tells a point from the others, whatever its angle."""
    places, levels = detections.points[:, :3].tolist(), detections.class_ids.tolist()
    return [(*place, level) for place, level in zip(places, levels, strict=True)]


def refuse_others(name: str, own: type[Detector], detector: Detector | None) -> str | None:
    """Say why a descriptor that reads its detector's scale space has no use for other points."""
    if type(detector) is own:
        return None
    found = "points of no known detector" if detector is None else f"those of {type(detector).__name__}"
    return (
        f"descriptor {name} can describe only the points of detector {name}: it reads them in the level of the "
        f"nonlinear scale space in which they were found; got {found}"
    )


class DAISYDescriptor(KeypointDescriptor):
    """Histograms of gradients on rings around the point, smoothed the more the farther out; all of one size.

    E. Tola, V. Lepetit and P. Fua, "DAISY: an efficient dense descriptor applied to wide-baseline stereo", PAMI 2010.
    It looks at the same number of pixels whatever the size of a point.

    Parameters
    ----------
    radius : float, default 15.0
        Of the outer ring, in pixels.
    n_rings, n_around, n_directions : int, default 3, 8 and 8
        Rings, places on each of them, and directions of gradients.
    """

    algorithm = "DAISY"

    pools_gradients = True

    def __init__(self, *, radius: float = 15.0, n_rings: int = 3, n_around: int = 8, n_directions: int = 8) -> None:
        self.radius = radius
        self.n_rings = n_rings
        self.n_around = n_around
        self.n_directions = n_directions

    @property
    def descriptor_size(self) -> int:
        """Number of values: (n_rings * n_around + 1) * n_directions."""
        return (self.n_rings * self.n_around + 1) * self.n_directions

    def check_params(self) -> None:
        check_real("radius", self.radius, minimum=1)
        check_int("n_rings", self.n_rings, minimum=1)
        check_int("n_around", self.n_around, minimum=1)
        check_int("n_directions", self.n_directions, minimum=2)

    def options(self) -> dict[str, Any]:
        return {
            "radius": float(self.radius),
            "q_radius": int(self.n_rings),
            "q_theta": int(self.n_around),
            "q_hist": int(self.n_directions),
            "use_orientation": True,
        }


class VGGDescriptor(KeypointDescriptor):
    """Learned pooling of gradients and a learned projection.

    K. Simonyan, A. Vedaldi and A. Zisserman, "Learning local feature descriptors using convex optimisation", PAMI 2014.

    Parameters
    ----------
    dimensions : {120, 80, 64, 48}, default 120
    """

    algorithm = "VGG"

    def __init__(self, *, dimensions: int = 120) -> None:
        self.dimensions = dimensions

    @property
    def descriptor_size(self) -> int:
        """Number of values."""
        return self.dimensions

    def check_params(self) -> None:
        if self.dimensions not in VGG_TYPES:
            raise ValueError(f"dimensions must be 120, 80, 64 or 48, got {self.dimensions!r}")

    def options(self) -> dict[str, Any]:
        return {"desc": VGG_TYPES[self.dimensions], "scale_factor": self.patch_factor}


class PatchDescriptor(Descriptor):
    """Gray values of a patch at the point's scale and angle, less their mean.

    M. Brown, R. Szeliski and S. Winder, "Multi-image matching using multi-scale oriented patches", CVPR 2005. Samples
    are taken from a pyramid, so that a large patch is smoothed before.

    Parameters
    ----------
    patch_size : int, default 8
        Samples along a side.
    """

    def __init__(self, *, patch_size: int = 8) -> None:
        self.patch_size = patch_size

    @property
    def descriptor_size(self) -> int:
        """Number of values: ``patch_size`` squared."""
        return self.patch_size**2

    def check_params(self) -> None:
        check_int("patch_size", self.patch_size, minimum=2)

    def compute(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        points = detections.points
        side = int(self.patch_size)
        spacing = points[:, 2] * np.float32(detections.patch_factor / side)
        levels = level_of(spacing)
        patches = np.empty((len(points), side * side), np.float32)
        for level, pixels in enumerate(pyramid(image, int(levels.max(initial=0)))):
            rows = np.flatnonzero(levels == level)
            if len(rows):
                patches[rows] = sample_patches(pixels, level, points[rows], spacing[rows], side)
        patches -= patches.mean(axis=1, keepdims=True)
        # What is left of a patch of one gray level is the rounding of its mean.
        patches[np.abs(patches).max(axis=1) < 1e-2] = 0
        return np.arange(len(points)), patches
