"""Detectors and descriptors by name."""

from __future__ import annotations

from cvbow.features._descriptor import Descriptor
from cvbow.features._detector import Detector
from cvbow.features.binary import (
    AKAZEDescriptor,
    BEBLIDDescriptor,
    BRIEFDescriptor,
    BRISKDescriptor,
    FREAKDescriptor,
    LATCHDescriptor,
    ORBDescriptor,
    TEBLIDDescriptor,
)
from cvbow.features.blobs import DoGDetector, DoHDetector, LoGDetector
from cvbow.features.corners import AGASTDetector, FASTDetector, HarrisDetector, ShiTomasiDetector
from cvbow.features.descriptors import (
    DAISYDescriptor,
    KAZEDescriptor,
    PatchDescriptor,
    RootSIFTDescriptor,
    SIFTDescriptor,
    VGGDescriptor,
)
from cvbow.features.edges import CannyDetector, LaplacianDetector, PrewittDetector, ScharrDetector, SobelDetector
from cvbow.features.grid import GridDetector
from cvbow.features.keypoints import (
    AKAZEDetector,
    BRISKDetector,
    HarrisLaplaceDetector,
    KAZEDetector,
    MSDDetector,
    ORBDetector,
    SIFTDetector,
    STARDetector,
)
from cvbow.features.regions import MSERDetector, SimpleBlobDetector
from cvbow.registry import Registry

__all__ = ["DESCRIPTORS", "DETECTORS", "make_descriptor", "make_detector"]

DETECTORS: Registry[type[Detector]] = Registry(
    "detector",
    Detector,
    {
        "sobel": SobelDetector,
        "scharr": ScharrDetector,
        "prewitt": PrewittDetector,
        "laplacian": LaplacianDetector,
        "canny": CannyDetector,
        "harris": HarrisDetector,
        "shi-tomasi": ShiTomasiDetector,
        "fast": FASTDetector,
        "agast": AGASTDetector,
        "log": LoGDetector,
        "dog": DoGDetector,
        "doh": DoHDetector,
        "mser": MSERDetector,
        "simple-blob": SimpleBlobDetector,
        "sift": SIFTDetector,
        "orb": ORBDetector,
        "akaze": AKAZEDetector,
        "kaze": KAZEDetector,
        "brisk": BRISKDetector,
        "star": STARDetector,
        "msd": MSDDetector,
        "harris-laplace": HarrisLaplaceDetector,
        "grid": GridDetector,
    },
    defines=("detect or compute",),
)
"""Every detector, from edges to keypoints."""

DESCRIPTORS: Registry[type[Descriptor]] = Registry(
    "descriptor",
    Descriptor,
    {
        "sift": SIFTDescriptor,
        "rootsift": RootSIFTDescriptor,
        "orb": ORBDescriptor,
        "brief": BRIEFDescriptor,
        "brisk": BRISKDescriptor,
        "freak": FREAKDescriptor,
        "latch": LATCHDescriptor,
        "akaze": AKAZEDescriptor,
        "kaze": KAZEDescriptor,
        "daisy": DAISYDescriptor,
        "vgg": VGGDescriptor,
        "beblid": BEBLIDDescriptor,
        "teblid": TEBLIDDescriptor,
        "patch": PatchDescriptor,
    },
    defines=("describe or compute", "descriptor_size"),
)
"""Every descriptor."""


def make_detector(detector: str | Detector) -> Detector:
    """Return a detector with its default parameters for a name, and one that is given as it is.

    Parameters
    ----------
    detector : str or Detector
        A key of ``DETECTORS``, or a detector.

    Raises
    ------
    ValueError
        If it is neither; the message lists the names.

    Examples
    --------
    >>> from cvbow.features import make_detector
    >>> make_detector("harris").set_params(k=0.06)
    HarrisDetector(k=0.06)
    """
    if isinstance(detector, Detector):
        return detector
    return DETECTORS[detector]()


def make_descriptor(descriptor: str | Descriptor) -> Descriptor:
    """Return a descriptor with its default parameters for a name, and one that is given as it is.

    Parameters
    ----------
    descriptor : str or Descriptor
        A key of ``DESCRIPTORS``, or a descriptor.

    Raises
    ------
    ValueError
        If it is neither; the message lists the names.

    Examples
    --------
    >>> from cvbow.features import make_descriptor
    >>> make_descriptor("rootsift").descriptor_size
    128
    """
    if isinstance(descriptor, Descriptor):
        return descriptor
    return DESCRIPTORS[descriptor]()
