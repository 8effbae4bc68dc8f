"""Detectors and descriptors by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from cvbow.features.functions import FunctionDescriptor, FunctionDetector, is_function
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


def as_object(part: Any, registry: Registry[Any]) -> Any:
    """Return a part in place of its name, unless it is cvbow's own: another process does not know the name."""
    kind = registry.get(part) if isinstance(part, str) else None
    return part if kind is None or kind.__module__.startswith("cvbow.") else kind()


def make_detector(detector: str | Detector | Callable[[NDArray[np.uint8]], object]) -> Detector:
    """Return a detector: with its default parameters for a name, one that asks a function, or the one that is given.

    Raises
    ------
    ValueError
        If it is none of these; the message lists the names.
    """
    if isinstance(detector, Detector):
        return detector
    return FunctionDetector(detector) if is_function(detector) else DETECTORS[detector]()  # type: ignore[index]


def make_descriptor(
    descriptor: str | Descriptor | Callable[[NDArray[np.uint8], NDArray[np.float32]], object],
) -> Descriptor:
    """Return a descriptor: with its default parameters for a name, one that asks a function, or the one given.

    Raises
    ------
    ValueError
        If it is none of these; the message lists the names.
    """
    if isinstance(descriptor, Descriptor):
        return descriptor
    if is_function(descriptor):
        return FunctionDescriptor(descriptor)
    return DESCRIPTORS[descriptor]()  # type: ignore[index]
