"""Images made worse in a known way and by a known amount, to see how well an answer holds.

D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR
2019, from which noise, blur, JPEG, brightness and contrast have their five strengths; rotation, zoom and occlusion have
strengths in the same manner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int
from cvbow.images.reading import DerivedImage

#: Strengths, from the weakest up.
STRENGTHS = (1, 2, 3, 4, 5)

Pixels = NDArray[np.uint8]


def _noise(image: Pixels, deviation: float, rng: np.random.Generator) -> Pixels:
    return _rounded(image + 255 * deviation * rng.standard_normal(image.shape, np.float32))


def _blur(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    import cv2

    blurred: Pixels = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return blurred


def _jpeg(image: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    import cv2

    # OpenCV takes channels for blue, green, red; the way back exchanges them again, the luma between does not.
    stored = image if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])
    _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    back: Pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if image.ndim == 2 else cv2.IMREAD_COLOR)
    return back if image.ndim == 2 else np.ascontiguousarray(back[..., ::-1])


def _brightness(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    return _rounded(image + np.float32(255 * amount))


def _contrast(image: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    mean = image.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return _rounded((image - mean) * np.float32(factor) + mean)


def _rotation(image: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    return _warp(image, degrees * rng.choice([-1, 1]), 1.0)


def _zoom(image: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    return _warp(image, 0.0, factor)


def _occlusion(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    h, w = max(1, round(height * share**0.5)), max(1, round(width * share**0.5))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    hidden = image.copy()
    hidden[top : top + h, left : left + w] = 128
    return hidden


def _warp(image: Pixels, degrees: float, factor: float) -> Pixels:
    import cv2

    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor)
    warped: Pixels = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return warped


def _rounded(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


@dataclass(frozen=True)
class Corruption:
    """A way to make an image worse: ``apply`` takes an image, an amount in ``unit``, and a generator.

    There is an amount for each of ``STRENGTHS``.
    """

    apply: Callable[[Pixels, float, np.random.Generator], Pixels]
    amounts: tuple[float, ...]
    unit: str


CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption(_noise, (0.08, 0.12, 0.18, 0.26, 0.38), "deviation over the range of gray levels"),
    "blur": Corruption(_blur, (1, 2, 3, 4, 6), "deviation of a Gaussian in pixels"),
    "jpeg": Corruption(_jpeg, (25, 18, 15, 10, 7), "quality"),
    "brightness": Corruption(_brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "added, over the range of gray levels"),
    "contrast": Corruption(_contrast, (0.4, 0.3, 0.2, 0.1, 0.05), "factor on differences from the mean"),
    "rotation": Corruption(_rotation, (5, 10, 20, 30, 45), "degrees, in either direction"),
    "zoom": Corruption(_zoom, (1.1, 1.25, 1.5, 1.75, 2), "the middle, so many times as large"),
    "occlusion": Corruption(_occlusion, (0.05, 0.1, 0.2, 0.3, 0.4), "share of the area that a gray patch hides"),
}
"""Every corruption."""


def corrupt(image: Pixels, kind: str, strength: int, *, seed: int = 0) -> Pixels:
    """Return a worse version of an image (H, W) or (H, W, 3), uint8, which is not changed.

    ``kind`` is a key of ``CORRUPTIONS``; ``strength`` goes from 1 (weakest) to 5; ``seed`` is that of the noise, the
    direction of the rotation, and the place of the occlusion. ValueError if one of them breaks its rule.
    """
    check_choice("kind", kind, CORRUPTIONS)
    if strength not in STRENGTHS:
        raise ValueError(f"strength must be one of {', '.join(map(str, STRENGTHS))}, got {strength!r}")
    check_int("seed", seed, minimum=0)
    corruption = CORRUPTIONS[kind]
    return corruption.apply(image, corruption.amounts[strength - 1], np.random.default_rng(seed))


@dataclass(frozen=True, eq=False)
class CorruptedImage(DerivedImage):
    """An image that is made worse when it is read, as by ``corrupt``; a gray one is made worse as a gray one."""

    kind: str
    strength: int
    seed: int = 0

    def derive(self, image: Pixels) -> Pixels:
        return corrupt(image, self.kind, self.strength, seed=self.seed)

    def recipe(self) -> str:
        return f"{self.kind} {self.strength} {self.seed}"
