"""Vectors of training images and of their augmented copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.augmentation import AugmentedImage, ImageAugmenter
from cvbow.backends import EncodedImages, ImageEncoder, ImageLike
from cvbow.classify._training_vectors import part_of
from cvbow.errors import ImageError
from cvbow.images import DerivedImage


def check_augmentation(augmenter: object, n_augmented: object, augment_seed: object) -> None:
    """Raise ValueError unless the three parameters of ``ImageClassifier`` go together."""
    check_int("n_augmented", n_augmented, minimum=0)
    check_int("augment_seed", augment_seed, minimum=0)
    if augmenter is None:
        if n_augmented:
            raise ValueError(f"n_augmented needs an augmenter, got {n_augmented!r} and no augmenter")
        return
    if not isinstance(augmenter, ImageAugmenter):
        raise ValueError(f"augmenter must be an ImageAugmenter or None, got {augmenter!r}")
    augmenter.check_params()
    if normalizing := augmenter.normalizing():
        name, value = next(iter(normalizing.items()))
        raise ValueError(f"augmenter must only transform images, got one with {name}={value!r}")


def with_copies(
    backend: ImageEncoder,
    images: Sequence[ImageLike],
    augmenter: ImageAugmenter | None,
    n_copies: int,
    seed: int,
    strict: bool,
    out: NDArray[np.floating] | None = None,
) -> EncodedImages:
    """Encode images and their copies, ``n_copies`` with the image itself; the vectors of an image follow one another.

    Rows count images, each once; an image is left out with all its copies. ``out`` is as in ``encode_images``.
    """
    if n_copies == 1 or augmenter is None:
        return backend.encode_images(images, strict=strict, out=out)
    pictures: list[ImageLike] = []
    for position, image in enumerate(images):
        if isinstance(image, DerivedImage):
            raise ValueError("images must be paths or arrays if copies of them are to be made")
        copies = (AugmentedImage(image, augmenter, (seed, position, number)) for number in range(1, n_copies))
        pictures += [image, *copies]
    encoded = backend.encode_images(pictures, strict=strict, out=out)
    found = np.bincount(encoded.rows // n_copies, minlength=len(images))
    whole = found == n_copies
    # A file that changes while it is read may give some of the copies alone.
    kept = np.flatnonzero(whole[encoded.rows // n_copies])
    columns = np.arange(encoded.vectors.shape[1])
    vectors = part_of(encoded.vectors, kept, columns, in_place=True)
    rows = np.flatnonzero(whole)
    errors = {str(error.path): error for error in reversed(encoded.skipped)}
    skipped = list(reversed(errors.values()))
    doubtful: dict[str, ImageError] = {}
    for error in encoded.doubtful:
        doubtful.setdefault(str(error.path), error)
    return EncodedImages(vectors, rows, skipped, list(doubtful.values()))
