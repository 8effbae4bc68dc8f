"""Parameters of a random transform, drawn as Keras draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cvbow.images.augmentation.augmenter import ImageAugmenter

__all__ = ["Seed", "draw", "generator", "zoom_bounds"]

#: What random numbers come from.
Seed = int | Sequence[int] | np.random.SeedSequence | np.random.Generator | None


def generator(seed: Seed) -> np.random.Generator:
    """Return a generator for a seed; one that is given goes on."""
    return np.random.default_rng(seed)


def zoom_bounds(zoom_range: Any) -> tuple[float, float]:
    """Return the factors' range: around 1 for a number."""
    if np.ndim(zoom_range) == 0:
        return 1.0 - zoom_range, 1.0 + zoom_range
    low, high = zoom_range
    return float(low), float(high)


def draw(augmenter: ImageAugmenter, height: int, width: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return the parameters of one transform.

    Every one takes its random numbers, used or not: turning one range off leaves the others' draws as they are.
    """
    u = rng.random(12).tolist()
    low, high = zoom_bounds(augmenter.zoom_range)
    brightness = None
    if augmenter.brightness_range is not None:
        dark, bright = augmenter.brightness_range
        brightness = dark + (bright - dark) * u[11]
    return {
        "theta": (2 * u[0] - 1) * augmenter.rotation_range,
        "tx": _shift(augmenter.height_shift_range, height, u[1], u[2]),
        "ty": _shift(augmenter.width_shift_range, width, u[3], u[4]),
        "shear": (2 * u[5] - 1) * augmenter.shear_range,
        "zx": low + (high - low) * u[6],
        "zy": low + (high - low) * u[7],
        "flip_horizontal": bool(u[8] < 0.5 and augmenter.horizontal_flip),
        "flip_vertical": bool(u[9] < 0.5 and augmenter.vertical_flip),
        "channel_shift_intensity": (2 * u[10] - 1) * augmenter.channel_shift_range
        if augmenter.channel_shift_range
        else None,
        "brightness": brightness,
    }


def _shift(given: Any, length: int, where: float, turn: float) -> float:
    """Return a shift in pixels along a side of that length, from two numbers in [0, 1)."""
    sign = 1 if turn < 0.5 else -1
    if isinstance(given, (int, np.integer)):
        # Whole pixels in the open interval (-given, given).
        return float(int(where * given) * sign)
    if np.ndim(given) == 0:
        return float((2 * where - 1) * given * (length if given < 1 else 1))
    chosen = float(given[int(where * len(given))]) * sign
    return chosen * length if max(given) < 1 else chosen
