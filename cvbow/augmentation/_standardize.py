"""What is normalised of a transformed image, in Keras's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.images import samplewise_center, samplewise_standardize
from cvbow.images.normalization import EPS

#: Parameters of an ``ImageAugmenter`` by which ``standardize`` changes values; the first five are flags.
NORMALIZING = (
    "featurewise_center",
    "featurewise_std_normalization",
    "samplewise_center",
    "samplewise_std_normalization",
    "zca_whitening",
    "rescale",
    "preprocessing_function",
)


def standardize(image: NDArray[Any], learned: Mapping[str, Any]) -> NDArray[np.float32]:
    """Normalise an image, in memory of its own, by the parameters and attributes of an ``ImageAugmenter`` by name."""
    values = np.array(image, np.float32)
    function = learned["preprocessing_function"]
    if function is not None:
        values = np.array(function(values), np.float32)
        if values.shape != image.shape:
            raise ValueError(f"preprocessing_function must keep the shape {image.shape}, got {values.shape}")
    if learned["rescale"]:
        values *= np.float32(learned["rescale"])
    if learned["samplewise_center"] or learned["samplewise_std_normalization"]:
        values = samplewise_center(values)
    if learned["samplewise_std_normalization"]:
        values = samplewise_standardize(values)
    if learned["featurewise_center"] or learned["featurewise_std_normalization"] or learned["zca_whitening"]:
        values -= learned["mean_"].astype(np.float32)
    if learned["featurewise_std_normalization"] and not learned["zca_whitening"]:
        values /= (learned["std_"] + EPS).astype(np.float32)
    if learned["zca_whitening"]:
        matrix = learned["zca_whitening_matrix_"]
        if values.size != len(matrix):
            raise ValueError(f"x must have the size of the images given to fit, got {values.shape}")
        values = (values.reshape(-1) @ matrix).reshape(values.shape)
    return values
