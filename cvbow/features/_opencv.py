"""Where OpenCV keeps its detectors and descriptors: the only module that knows.

OpenCV 5 moved AKAZE, KAZE, BRISK and AGAST from the main module to ``xfeatures2d``, the contributed one, which has
BRIEF, FREAK, LATCH, DAISY, VGG, BEBLID, TEBLID, STAR, MSD and Harris-Laplace in OpenCV 4 too.
"""

from __future__ import annotations

import threading
from typing import Any

import cv2

#: OpenCV's numbers of the lengths of VGG; Python does not get their names.
VGG_TYPES = {120: 100, 80: 101, 64: 102, 48: 103}

#: What people call an algorithm, and the class that OpenCV has for it, where its name is another.
_CLASSES = {
    "AGAST": "AgastFeatureDetector",
    "BRIEF": "BriefDescriptorExtractor",
    "FAST": "FastFeatureDetector",
    "Harris-Laplace": "HarrisLaplaceFeatureDetector",
    "MSD": "MSDDetector",
    "STAR": "StarDetector",
    "simple blob": "SimpleBlobDetector",
}

#: Those that fill tables when they are created, for up to 50 ms: each thread keeps its own.
_WITH_TABLES = frozenset({"BRISK", "FREAK"})
_MOST_KEPT = 8
_threads = threading.local()


def create(name: str, **options: Any) -> Any:
    """Create one of OpenCV's algorithms, by what people call it, wherever the installed version has it.

    The options are those of its ``create``, for "simple blob" the fields of its ``Params``. ImportError, which names
    both, if this OpenCV has no such algorithm.
    """
    if name not in _WITH_TABLES:
        return _create(name, **options)
    kept: dict[object, Any] = _threads.__dict__.setdefault("kept", {})
    key = (name, *sorted(options.items()))
    if key not in kept:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[key] = _create(name, **options)
    return kept[key]


def _create(name: str, **options: Any) -> Any:
    kind = find(name)
    if name == "simple blob":
        parameters = kind.Params()
        for key, value in options.items():
            setattr(parameters, key, value)
        return kind.create(parameters)
    return kind.create(**options)


def constant(name: str, key: str) -> int:
    """Return a constant of an algorithm's class, such as ("AKAZE", "DESCRIPTOR_MLDB")."""
    kind = find(name)
    if hasattr(kind, key):
        return int(getattr(kind, key))
    # OpenCV's Python names a constant after its class, in the module that has the class.
    for module in _modules(cv2):
        if hasattr(module, f"{_CLASSES.get(name, name)}_{key}"):
            return int(getattr(module, f"{_CLASSES.get(name, name)}_{key}"))
    raise ImportError(f"OpenCV {cv2.__version__} has no {key} of {name}")


def find(name: str) -> Any:
    """Return OpenCV's class of an algorithm; ImportError where it has none."""
    for module in _modules(cv2):
        kind = getattr(module, _CLASSES.get(name, name), None)
        if kind is not None and hasattr(kind, "create"):
            return kind
    raise ImportError(
        f"OpenCV {cv2.__version__} as installed has no {name}; the package opencv-contrib-python-headless, from 4.10 "
        "on, has it"
    )


def _modules(cv2: Any) -> tuple[Any, ...]:
    extra = getattr(cv2, "xfeatures2d", None)
    return (cv2,) if extra is None else (cv2, extra)
