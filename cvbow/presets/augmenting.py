"""Transforms by name, for recipes that learn from augmented copies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cvbow.augmentation import ImageAugmenter

#: Parameters of ``ImageAugmenter`` by name: small changes, after which a photograph still shows what it showed.
TRANSFORMS: dict[str, dict[str, Any]] = {
    "mirror": {"horizontal_flip": True},
    "rotate": {"rotation_range": 5.0},
    "shift": {"width_shift_range": 0.1, "height_shift_range": 0.1},
    "zoom": {"zoom_range": (0.7, 1.0)},
    "shear": {"shear_range": 10.0},
    "brightness": {"brightness_range": (0.7, 1.3)},
}


def make_augmenter(names: Collection[str]) -> ImageAugmenter:
    """Return an augmenter with the named transforms; what lies beyond the border is mirrored.

    Parameters
    ----------
    names : collection of str
        Keys of ``TRANSFORMS``.

    Raises
    ------
    ValueError
        If there is no name, or one that is not in ``TRANSFORMS``.

    Examples
    --------
    >>> from cvbow.presets import make_augmenter
    >>> make_augmenter(["mirror", "rotate"])
    ImageAugmenter(fill_mode='reflect', horizontal_flip=True, rotation_range=5.0)
    """
    unknown = [name for name in names if name not in TRANSFORMS]
    if unknown or not names:
        raise ValueError(f"augment_with must be names among {', '.join(TRANSFORMS)}, got {unknown or list(names)!r}")
    parameters = {key: value for name in names for key, value in TRANSFORMS[name].items()}
    return ImageAugmenter(fill_mode="reflect", **parameters)
