"""Augmented copies of images: made when they are wanted, or written into a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int
from cvbow.augmentation._saving import FORMATS, encode_image, saved_name
from cvbow.augmentation.augmenter import ImageAugmenter
from cvbow.errors import CvbowError, ImageError, none_read
from cvbow.images import DerivedImage, ImageList, read_image, try_path
from cvbow.parallel import run
from cvbow.storage import replacing


@dataclass(frozen=True, eq=False)
class AugmentedImage(DerivedImage):
    """Stands for ``augmenter.random_transform(read_image(source), seed)`` wherever an image may stand.

    Only the transform: what ``standardize`` does is for float images. A gray copy is one of the gray image.

    Parameters
    ----------
    source : path, bytes or ndarray
    augmenter : ImageAugmenter
    seed : sequence of int
        The same seed makes the same copy.
    path : str, optional
        What to call bytes in an error.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageAugmenter
    >>> from cvbow.augmentation import AugmentedImage
    >>> from cvbow.backends import RawPixels
    >>> image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> copy = AugmentedImage(image, ImageAugmenter(rotation_range=20), seed=(0,))
    >>> RawPixels(size=8, n_components=None).fit_transform([image, copy]).shape
    (2, 64)
    """

    augmenter: ImageAugmenter
    seed: Sequence[int]

    def derive(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self.augmenter.random_transform(image, list(self.seed))

    def recipe(self) -> str:
        return f"{sorted(self.augmenter.get_params(deep=False).items())!r} {list(self.seed)!r}"


@dataclass(frozen=True)
class AugmentedFolder:
    """What was written.

    Attributes
    ----------
    n_images, n_written : int
        Images that were read, and files that were made from them.
    counts : dict of str to int
        Files by class.
    skipped : list of ImageError
        Images that could not be read.

    Examples
    --------
    >>> from cvbow.augmentation import AugmentedFolder
    >>> report = AugmentedFolder(n_images=3, n_written=6, counts={"red": 4, "blue": 2}, skipped=[])
    >>> report.n_written // report.n_images
    2
    """

    n_images: int
    n_written: int
    counts: dict[str, int]
    skipped: list[ImageError]


def augment_images(
    images: ImageList,
    folder: str | os.PathLike[str],
    augmenter: ImageAugmenter,
    *,
    n: int = 1,
    seed: int = 0,
    image_format: str = "png",
    strict: bool = False,
    n_jobs: int | None = None,
) -> AugmentedFolder:
    """Write transformed variants of images to folder/<class>/, or folder/<split>/<class>/ where there are splits.

    Images without a label go to the folder itself. A file is called ``<name>_<index>_<number>.<format>``: the name of
    the image, its position in the list, and the number of the variant from 0; ``parse_saved_name`` takes it apart. Only
    the transform is applied, nothing is normalised.

    Parameters
    ----------
    images : ImageList
    folder : path
        Made where it does not exist; it must be empty, and no image may lie in it or below it.
    augmenter : ImageAugmenter
    n : int, default 1
        Variants of each image.
    seed : int, default 0
        A variant follows from it, the image's position and the variant's number.
    image_format : {"png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"}
    strict : bool, default False
        Raise the error of an image that cannot be read, instead of leaving it out.
    n_jobs : int or None, default None

    Raises
    ------
    ValueError
        If a parameter breaks its rule, or the folder is not empty or holds images of the list.
    CvbowError
        If no image could be read.
    """
    check_int("n", n, minimum=1)
    check_int("seed", seed, minimum=0)
    check_choice("image_format", image_format, FORMATS)
    augmenter.check_params()
    if not len(images):
        raise CvbowError("there is no image to augment")
    target = Path(os.path.realpath(folder))
    _check_target(target, images.paths)
    places = [_place(split, label) for split, label in zip(images.splits, images.labels, strict=True)]
    for place in sorted(set(places)):
        (target / place).mkdir(parents=True, exist_ok=True)
    write = _Writer(str(target), augmenter, n, seed, image_format)
    items = list(enumerate(zip(images.paths, places, strict=True)))
    counts = dict.fromkeys(images.classes, 0)
    skipped: list[ImageError] = []
    # An error ends the writing, also where somebody keeps the error.
    with contextlib.closing(run(write, items, n_jobs=n_jobs, task="augment", total=len(items))) as errors:
        for error, label in zip(errors, images.labels, strict=True):
            if error is None:
                counts[label] += n
            elif strict:
                raise error
            else:
                skipped.append(error)
    n_read = len(images) - len(skipped)
    if not n_read:
        raise none_read(skipped)
    return AugmentedFolder(n_read, n_read * n, counts, skipped)


@dataclass(frozen=True)
class _Writer:
    """Reads one image and writes its variants; picklable."""

    folder: str
    augmenter: ImageAugmenter
    n: int
    seed: int
    format: str

    def __call__(self, item: tuple[int, tuple[Path, str]]) -> ImageError | None:
        index, (path, place) = item
        # All variants of an image are there before the first is written: they are written all, or none is.
        variants = try_path(path, lambda: list(self._variants(index, path)))
        if isinstance(variants, ImageError):
            return variants
        for number, content in enumerate(variants):
            target = os.path.join(self.folder, place, saved_name(path.stem, index, number, self.format))
            with replacing(target) as file:
                file.write(content)
        return None

    def _variants(self, index: int, path: Path) -> Iterator[bytes]:
        image = read_image(path)
        for number in range(self.n):
            variant = self.augmenter.random_transform(image, np.random.SeedSequence((self.seed, index, number)))
            yield encode_image(path, variant, self.format)


def _place(split: str | None, label: str) -> str:
    if label == "" and split is None:
        return ""  # a folder without classes
    if label in ("", ".", "..") or "/" in label or os.sep in label or "\0" in label:
        raise ValueError(f"labels must be names of folders, got {label!r}")
    return label if split is None else f"{split}/{label}"


def _check_target(target: Path, paths: Sequence[Path]) -> None:
    """Refuse a folder with anything in it, or that lies among the images."""
    for parent in {Path(os.path.realpath(path)).parent for path in paths}:
        if target == parent or target in parent.parents or parent in target.parents:
            raise ValueError(f"folder must lie outside of the images' folders, got {target} and images in {parent}")
    if target.is_dir() and any(target.iterdir()):
        raise ValueError(f"folder must be new or empty, got {target}")
