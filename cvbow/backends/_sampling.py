"""A bounded, seeded sample of descriptors.

What is drawn from an image depends on the seed and the image's position in the list alone, never on the worker that
read it or on the other images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvbow.backends._image_encoder import ImageLike, load_source, try_image
from cvbow.errors import CvbowError, ImageError
from cvbow.features import Extractor, Features
from cvbow.images import read_image

__all__ = ["SamplePlan", "Sampler", "gather_sample", "plan_sample"]


@dataclass(frozen=True)
class SamplePlan:
    """Which images to draw from (positions, in order) and how many descriptors from each at most."""

    positions: list[int]
    quota: int


def plan_sample(n_images: int, sample: int, sample_images: int, seed: int) -> SamplePlan:
    """Spread ``sample`` descriptors over at most ``sample_images`` of ``n_images`` images, chosen at random."""
    n_used = min(n_images, sample_images, sample)
    positions = np.arange(n_images)
    if n_used < n_images:
        positions = np.sort(np.random.default_rng(seed).choice(n_images, n_used, replace=False))
    return SamplePlan(positions.tolist(), sample // n_used)


class Sampler:
    """Draws the sample of one image; picklable."""

    def __init__(self, extractor: Extractor, quota: int, seed: int) -> None:
        self.extractor = extractor
        self.quota = quota
        self.seed = seed
        self.cached: Callable[..., Features] | None = None

    @property
    def gray_only(self) -> bool:
        """Whether the extractor never looks at colours."""
        return bool(self.extractor.gray_only)

    def __call__(self, item: tuple[int, ImageLike]) -> Features | ImageError:
        position, image = item
        compute: Any = self.cached or Sampler.draw
        return try_image(image, lambda: compute(self, *load_source(image), position))  # type: ignore[no-any-return]

    def draw(self, source: Any, name: str | None, position: int) -> Features:
        """Return up to ``quota`` features, at random positions, in the order they were found."""
        features = self.extractor.extract(read_image(source, gray=self.gray_only, name=name))
        if len(features) <= self.quota:
            return features
        rng = np.random.default_rng((self.seed, position))
        rows = rng.choice(len(features), self.quota, replace=False)
        return features.take(np.sort(rows))


def gather_sample(drawn: Iterable[Features | ImageError]) -> tuple[list[Features], list[ImageError]]:
    """Return what a sampler drew, and the images that could not be read; CvbowError where there is nothing to learn."""
    bags: list[Features] = []
    skipped: list[ImageError] = []
    for bag in drawn:
        if isinstance(bag, ImageError):
            skipped.append(bag)
        else:
            bags.append(bag)
    if not bags:
        raise CvbowError(f"none of the {len(skipped)} images could be read; the first: {skipped[0]}")
    if not any(map(len, bags)):
        raise CvbowError(
            f"no points were found in any of the {len(bags)} images; they may be too small or have no contrast "
            "for this extractor"
        )
    return bags, skipped
