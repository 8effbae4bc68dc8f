"""Digests of images, by which a model knows those again that it has learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.backends.loading import try_image
from cvbow.errors import ImageError
from cvbow.images import DerivedImage, content_hash
from cvbow.parallel import run

#: Of what has no digest: a file that cannot be read, an image that is only made where it is wanted.
NO_DIGEST = np.uint64(0)


def digests(images: Sequence[ImageLike], n_jobs: int | None) -> NDArray[np.uint64]:
    """Return the first 64 bits of the SHA-256 of each file's bytes, or of pixels, (n,), uint64; 0 without."""
    found = run(_digest, images, n_jobs=n_jobs, task="note images", total=len(images))
    return np.fromiter(found, np.uint64, len(images))


def _digest(image: ImageLike) -> np.uint64:
    if isinstance(image, DerivedImage):
        return NO_DIGEST
    found = try_image(image, lambda: content_hash(image))
    return NO_DIGEST if isinstance(found, ImageError) else np.uint64(int(found[:16], 16))
