"""What learns from images has in common: a bounded, seeded sample of descriptors, and parts that are fitted inside.

What is drawn from an image depends on the seed and the image's position in the list alone, never on the worker that
read it or on the other images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cvbow.backends.caching import CachedFunction
from cvbow.backends.loading import ImageLike, load_source, try_image
from cvbow.errors import CvbowError, ImageError, none_read
from cvbow.features import Extractor, Features
from cvbow.images import read_image
from cvbow.parallel import default_jobs, run
from cvbow.progress import detail

Part = TypeVar("Part")

#: About how many images may be read while a dictionary is learned: for the bar alone.
LEARNING = 200


@dataclass(frozen=True, eq=False)
class Sample:
    """Features drawn from images: by a settled extractor, up to the same number of each that was read.

    ``skipped`` are the images that could not be read; ``seconds`` is the time that it took.
    """

    extractor: Extractor
    bags: list[Features]
    skipped: list[ImageError]
    seconds: float

    @property
    def n_descriptors(self) -> int:
        """Number of descriptors drawn."""
        return sum(map(len, self.bags))

    def descriptors(self) -> NDArray[Any]:
        """Return all descriptors, shape (n_descriptors, k)."""
        return np.concatenate([bag.descriptors for bag in self.bags])


def draw_sample(
    extractor: Extractor,
    images: Sequence[ImageLike],
    *,
    sample: int,
    sample_images: int,
    seed: int,
    n_jobs: int | None = None,
    memory: Any = None,
) -> Sample:
    """Draw up to ``sample`` descriptors from up to ``sample_images`` of the images, evenly and at random.

    There is one image at least. What is drawn from each is cached in ``memory``. CvbowError if no image could be read,
    or none of those read gave a descriptor.
    """
    started = time.perf_counter()
    extractor = extractor.settled()
    plan = plan_sample(len(images), sample, sample_images, seed)
    detail(
        f"sample: up to {plan.quota} descriptors from each of {len(plan.positions)} images; at most about "
        f"{4 * plan.quota * len(plan.positions) * extractor.descriptor_size / 1e6:.0f} MB"
    )
    sampler = Sampler(extractor, plan.quota, seed, memory)
    items = [(position, images[position]) for position in plan.positions]
    bags: list[Features] = []
    skipped: list[ImageError] = []
    for drawn in run(sampler, items, n_jobs=n_jobs, task="sample", total=len(items)):
        if isinstance(drawn, ImageError):
            skipped.append(drawn)
        else:
            bags.append(drawn)
    if not bags:
        raise none_read(skipped)
    if not any(map(len, bags)):
        raise CvbowError(
            f"no points were found in any of the {len(bags)} images; they may be too small or have no contrast "
            "for this extractor"
        )
    return Sample(extractor, bags, skipped, time.perf_counter() - started)


class SamplePlan(NamedTuple):
    """Which images to draw from (positions, in order) and how many descriptors from each at most."""

    positions: list[int]
    quota: int


def plan_sample(n_images: int, sample: int, sample_images: int, seed: int) -> SamplePlan:
    """Spread ``sample`` descriptors over at most ``sample_images`` of ``n_images`` images, chosen at random."""
    positions = choose_positions(n_images, min(sample_images, sample), seed)
    return SamplePlan(positions, sample // len(positions))


def choose_positions(n_images: int, most: int, seed: int) -> list[int]:
    """Return the positions of up to ``most`` of ``n_images`` images, in order; chosen at random if there are more."""
    if n_images <= most:
        return list(range(n_images))
    chosen: list[int] = np.sort(np.random.default_rng(seed).choice(n_images, most, replace=False)).tolist()
    return chosen


class Sampler:
    """Draws the sample of one image; picklable."""

    def __init__(self, extractor: Extractor, quota: int, seed: int, memory: Any = None) -> None:
        self.extractor = extractor
        self.quota = quota
        self.seed = seed
        self.compute: Callable[..., Any] = Sampler.draw
        if memory is not None:
            self.compute = CachedFunction(memory, Sampler.draw, joblib.hash(extractor.fingerprint()), quota, seed)

    def __call__(self, item: tuple[int, ImageLike]) -> Features | ImageError:
        position, image = item
        result: Features | ImageError = try_image(image, lambda: self.compute(self, *load_source(image), position))
        return result

    def draw(self, source: Any, name: str | None, position: int) -> Features:
        """Return up to ``quota`` features, at random positions, in the order they were found."""
        pixels = read_image(source, gray=self.extractor.gray_only, shrunk_to=self.extractor.max_side, name=name)
        features = self.extractor.extract(pixels)
        if not isinstance(features, Features):
            name = type(self.extractor).__name__
            raise ValueError(f"{name}.extract must return Features, got {type(features).__name__}")
        if len(features) <= self.quota:
            return features
        rng = np.random.default_rng((self.seed, position))
        rows = rng.choice(len(features), self.quota, replace=False)
        return features.take(np.sort(rows))


def fit_inside(part: Part, images: Sequence[ImageLike], y: object, *, n_jobs: int | None, memory: Any) -> Part:
    """Fit a clone of a backend or describer that is part of another, which lends it its cache and workers.

    The part uses its own cache where it has one, and its own ``n_jobs`` where that is not None.
    """
    inside: Any = clone(part)
    if inside.memory is None:
        inside.set_params(memory=memory)
    with default_jobs(n_jobs):
        fitted: Part = inside.fit(images, y)
    return fitted
