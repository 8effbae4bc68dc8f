"""What an answer costs, counted and not measured: times are noise, and a search that saw them would never repeat.

The work of each step is counted for an image of the usual size, such as products of descriptors with words, and each
unit of it has the time that it takes. These times were found once by ``benchmarks/tune_costs.py``: recipes drawn at
random, the processor's time of an answer on one thread, and the least squares of relative errors with times that are
not negative. On another computer all are about so many times longer or shorter, so recipes keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import BagEncoder, CensusPyramid, ImageEncoder
from cvbow.encoders import LLC, VLAD, FisherVector, NearWords, SoftThreshold, SpatialPyramid
from cvbow.features import ColorStatistics, DenseSIFT, Extractor, to_working_size
from cvbow.tuning.sharing import SharedFeatures, bags

#: Milliseconds for each unit of work.
MILLISECONDS: Mapping[str, float] = {
    "SIFT": 0.000276,
    "census": 9.37e-06,
    "colour": 0.000182,
    "image": 3.5,
    "pixel of SIFT": 1.71e-05,
    "pixel of a scale": 6.41e-06,
    "pixel of colour": 9.47e-06,
    "pixel read": 8e-06,
    "pixel smoothed": 9.81e-06,
    "point by Fisher": 0.000117,
    "point by Fisher in a grid": 0.000214,
    "point by LLC": 0.00244,
    "point by VLAD": 0.000333,
    "point by VLAD in a grid": 0.000352,
    "point by threshold in a grid": 0.000144,
    "point by words in a grid": 0.000315,
    "product": 5.65e-08,
    "product by Fisher": 1.07e-07,
    "product by LLC": 3.12e-08,
    "product by threshold": 3.8e-08,
    "product by words": 1.81e-08,
    "product of a kernel": 1.44e-06,
    "value of a vector": 1.25e-05,
}


def milliseconds(backend: ImageEncoder, classifier: Any, size: tuple[int, int]) -> float:
    """Return how long one thread takes to answer, in milliseconds.

    Parameters
    ----------
    backend : ImageEncoder
        Fitted.
    classifier : estimator
        Fitted, or not: then its part is left out.
    size : (int, int)
        Width and height of an image, in pixels.
    """
    return sum(MILLISECONDS.get(step, 0.0) * count for step, count in counts(backend, classifier, size).items())


def counts(backend: ImageEncoder, classifier: Any, size: tuple[int, int]) -> dict[str, float]:
    """Return how often each step is done for an image of a width and a height, by the names in ``MILLISECONDS``."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    length = backend.vector_length
    found = {"image": 1.0, "pixel read": float(image.shape[0] * image.shape[1]), "value of a vector": float(length)}

    def add(step: str, count: float) -> None:
        found[step] = found.get(step, 0.0) + float(count)

    for bag in bags(backend):
        n_points = _extraction(bag.extractor_, image, add)
        _encoding(bag, n_points, add)
    for part in (backend, *backend.parts()):
        if isinstance(part, CensusPyramid):
            height, width = to_working_size(image, None, part.max_side).shape[:2]
            add("census", height * width * len(part.radii) * (2 if part.mirror else 1))
    kept = vars(classifier).get("landmarks_", vars(classifier).get("vectors_"))
    if kept is not None:
        add("product of a kernel", kept.size)
    return found


def _extraction(extractor: Extractor, image: NDArray[np.uint8], add: Callable[[str, float], None]) -> int:
    """Count the steps of an extractor, and return how many points it finds."""
    inside = extractor.extractor if isinstance(extractor, SharedFeatures) else extractor
    n_points = len(inside.extract(image))
    height, width = to_working_size(image, inside.min_side, inside.max_side).shape[:2]
    if isinstance(inside, DenseSIFT):
        colors = 1 if inside.color == "gray" else 3
        pixels = height * width * colors
        add("SIFT", n_points * colors)
        add("pixel of SIFT", pixels)
        add("pixel of a scale", pixels * len(inside.bin_sizes))
        if inside.magnification:
            add("pixel smoothed", pixels * len(inside.bin_sizes))
    elif isinstance(inside, ColorStatistics):
        add("colour", n_points)
        add("pixel of colour", height * width)
    else:
        add("patch", n_points)
    return n_points


def _encoding(bag: BagEncoder, n_points: int, add: Callable[[str, float], None]) -> None:
    """Count the steps from descriptors to a vector; a mirror that is encoded as well doubles them."""
    encoder, grids = bag.encoder_, 1
    while isinstance(encoder, SpatialPyramid):
        encoder, grids = encoder.encoder_, len(encoder.grids)
    times = 2 if bag.mirror is True else 1
    n_values = int(encoder.dictionary_.words_.shape[1])
    if bag.reduce_ is not None:
        add("product", times * n_points * bag.extractor_.descriptor_size * n_values)
    kinds = {FisherVector: "Fisher", VLAD: "VLAD", LLC: "LLC", SoftThreshold: "threshold", NearWords: "threshold"}
    kind = kinds.get(type(encoder), "words")
    add(f"point by {kind}", times * n_points)
    add(f"point by {kind} in a grid", times * n_points * grids)
    add(f"product by {kind}", times * n_points * encoder.n_words * n_values)
