"""What is in a set of images: sizes, channels, classes, files that cannot be read, its mean and its spread."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int
from cvbow.errors import DatasetError, ImageError
from cvbow.images.geometry import resize
from cvbow.images.imagelist import ImageList
from cvbow.images.montages import fit_square, montage
from cvbow.images.pixels import encode_png
from cvbow.images.reading import read_image
from cvbow.images.statistics import ImageStatistics
from cvbow.images.trying import try_path
from cvbow.parallel import run
from cvbow.storage import GENERATOR, readable_json, replacing

#: Images that a worker takes at a time. Fixed, as the last bits of the sums depend on what is summed together.
_CHUNK = 16
#: Images that the common size is found from, and the longer side that it has at most.
_SIZED, _LONGEST = 101, 256
#: Of the montage.
_SIDE, _ROWS = 96, 40
#: Sizes that are listed one by one.
_LISTED = 50


@dataclass(frozen=True, eq=False)
class SetSummary:
    """What `summarize_images` found.

    Attributes
    ----------
    FILES : tuple of str
        Names of the files that ``write`` writes.
    n_images : int
        Images that could be read.
    skipped : tuple of ImageError
        The others, in order, each with its path and reason.
    counts : dict of str to int
        Readable images of each class, in natural order; empty for a set without classes.
    splits : dict of str to int
        Readable images of each split; empty for a set without splits.
    sizes : Counter of (width, height)
        In pixels, after EXIF orientation.
    channels : Counter of int
        1 for gray, 3 for colour.
    statistics : ImageStatistics
        Of the images brought to one size.
    montage : ndarray of shape (H, W, 3), uint8

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from cvbow.images import ImageList, summarize_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "red.png")
    ...     Image.new("RGB", (40, 30), "red").save(path)
    ...     found = summarize_images(ImageList((path,), labels=("red",), splits=(None,)))
    >>> found.sizes, found.counts, found.statistics.channel_mean.round(2).tolist()
    (Counter({(40, 30): 1}), {'red': 1}, [255.0, 0.0, 0.0])
    """

    FILES: ClassVar[tuple[str, ...]] = ("mean.png", "std.png", "montage.png", "stats.json")

    n_images: int
    skipped: tuple[ImageError, ...]
    counts: dict[str, int]
    splits: dict[str, int]
    sizes: Counter[tuple[int, int]]
    channels: Counter[int]
    statistics: ImageStatistics
    montage: NDArray[np.uint8]

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, as values for JSON.

        Sizes are in pixels, aspect ratios width over height, the mean and the standard deviation per channel in gray
        levels of [0, 255].
        """
        ratios = Counter[float]()
        widths, heights = Counter[float](), Counter[float]()
        for (width, height), count in self.sizes.items():
            ratios[width / height] += count
            widths[width] += count
            heights[height] += count
        most = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        height, width = self.statistics.mean.shape[:2]
        return {
            "n_images": self.n_images,
            "skipped": [{"path": error.path, "reason": error.reason} for error in self.skipped],
            "classes": self.counts,
            "splits": self.splits,
            "sizes": {
                "distinct": len(self.sizes),
                "width": _spread(widths),
                "height": _spread(heights),
                "most_frequent": [{"width": w, "height": h, "count": count} for (w, h), count in most[:_LISTED]],
            },
            "aspect_ratios": {
                **_spread(ratios),
                "square": ratios[1.0],
                "wide": sum(count for ratio, count in ratios.items() if ratio > 1),
                "tall": sum(count for ratio, count in ratios.items() if ratio < 1),
            },
            "channels": {str(number): self.channels[number] for number in sorted(self.channels)},
            "mean_image_size": [width, height],
            "mean": [float(value) for value in self.statistics.channel_mean],
            "std": [float(value) for value in self.statistics.channel_std],
        }

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write the mean, the deviation, the montage and ``stats.json`` into a folder, which is made if missing.

        ``std.png`` shows twice the standard deviation, which fills the range of 8 bits: that of values in [0, 255] is
        127.5 at most. Each file is written whole or not at all.

        Returns
        -------
        list of str
            The files, in this order.
        """
        os.makedirs(folder, exist_ok=True)
        pictures = (_levels(self.statistics.mean), _levels(2 * self.statistics.std), self.montage)
        document = readable_json({"generator": GENERATOR, **self.as_dict()}) + b"\n"
        targets = [os.path.join(os.fspath(folder), name) for name in self.FILES]
        for target, content in zip(targets, (*map(encode_png, pictures), document), strict=True):
            with replacing(target) as file:
                file.write(content)
        return targets


def summarize_images(
    images: ImageList,
    *,
    size: tuple[int, int] | None = None,
    per_class: int = 8,
    strict: bool = False,
    n_jobs: int | None = None,
) -> SetSummary:
    """Summarise a set of images, reading each once.

    An image is read, measured, and dropped by the worker that took it up: memory holds the sums and the thumbnails.

    Parameters
    ----------
    images : ImageList
        From `list_images`, or made of paths and labels; empty labels mean that there are no classes.
    size : (width, height), optional
        What images are brought to for the mean and the standard deviation, whatever their aspect ratio. By default the
        medians of the widths and heights of up to 101 images spread over the set, shrunk to a longer side of 256.
    per_class : int, default 8
        Thumbnails of each class in the montage, spread over the class.
    strict : bool, default False
        Raise the ImageError of the first image that cannot be read, instead of leaving it out.
    n_jobs : int or None
        Workers, joblib's convention. It changes no result.

    Raises
    ------
    ImageError
        With `strict`.
    DatasetError
        If there is no image that can be read.
    ValueError
        If a parameter breaks its rule.
    """
    check_int("per_class", per_class, minimum=1)
    check_flag("strict", strict)
    if size is None:
        size = _common_size(images, n_jobs)
    shown = _shown(images, per_class)
    chunks = [range(start, min(start + _CHUNK, len(images))) for start in range(0, len(images), _CHUNK)]
    work = _Chunk(size)
    items = [[(position, images.paths[position], position in shown) for position in chunk] for chunk in chunks]

    total = ImageStatistics()
    skipped: list[ImageError] = []
    read: list[int] = []
    sizes, channels = Counter[tuple[int, int]](), Counter[int]()
    thumbnails: dict[int, NDArray[np.uint8]] = {}
    for part in run(work, items, n_jobs=n_jobs, task="statistics", total=len(items)):
        if strict and part.skipped:
            raise part.skipped[0]
        skipped += part.skipped
        for position, width, height, n_channels in part.read:
            read.append(position)
            sizes[width, height] += 1
            channels[n_channels] += 1
        thumbnails.update(part.thumbnails)
        total.merge(part.statistics)
    if not read:
        first = f", the first because {skipped[0].reason} ({skipped[0].path})" if skipped else ""
        raise DatasetError("the set", f"none of its {len(images)} images can be read{first}")

    classes = [name for name in images.classes if name]
    by_class = Counter(images.labels[position] for position in read)
    by_split = Counter(split for position in read if (split := images.splits[position]) is not None)
    return SetSummary(
        n_images=len(read),
        skipped=tuple(skipped),
        counts={name: by_class[name] for name in classes},
        splits=dict(sorted(by_split.items())),
        sizes=sizes,
        channels=channels,
        statistics=total,
        montage=_montage(images, by_class, thumbnails, per_class),
    )


@dataclass(eq=False)
class _Part:
    """What was found in one chunk."""

    read: list[tuple[int, int, int, int]]
    skipped: list[ImageError]
    thumbnails: dict[int, NDArray[np.uint8]]
    statistics: ImageStatistics


class _Chunk:
    """What a worker does with a few images; picklable."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __call__(self, items: Sequence[tuple[int, Any, bool]]) -> _Part:
        part = _Part([], [], {}, ImageStatistics())
        for position, path, shown in items:
            image = _read(path)
            if isinstance(image, ImageError):
                part.skipped.append(image)
                continue
            height, width = image.shape[:2]
            part.read.append((position, width, height, 1 if image.ndim == 2 else 3))
            if shown:
                part.thumbnails[position] = fit_square(image, _SIDE)
            part.statistics.add(resize(image, self.size))
        return part


def _read(path: str | os.PathLike[str]) -> NDArray[np.uint8] | ImageError:
    found: NDArray[np.uint8] | ImageError = try_path(path, lambda: read_image(path))
    return found


def _size_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    image = _read(path)
    return None if isinstance(image, ImageError) else (image.shape[1], image.shape[0])


def _common_size(images: ImageList, n_jobs: int | None) -> tuple[int, int]:
    chosen = spread_over(range(len(images)), _SIZED)
    found = [size for size in run(_size_of, [images.paths[i] for i in chosen], n_jobs=n_jobs) if size is not None]
    if not found:
        return _LONGEST, _LONGEST
    width, height = np.median(found, axis=0)
    scale = min(1.0, _LONGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def spread_over(positions: Sequence[int], most: int) -> list[int]:
    """Return up to `most` of the positions (one or more) at equal distances, each from the middle of its share."""
    count = min(len(positions), most)
    return [positions[(2 * i + 1) * len(positions) // (2 * count)] for i in range(count)]


def _shown(images: ImageList, per_class: int) -> set[int]:
    of_class: dict[str, list[int]] = {}
    for position, label in enumerate(images.labels):
        of_class.setdefault(label, []).append(position)
    # A set without classes has a whole sheet to itself.
    most = per_class if any(of_class) else per_class**2
    return {i for name in images.classes[:_ROWS] for i in spread_over(of_class[name], most)}


def _montage(
    images: ImageList, counts: Counter[str], thumbnails: dict[int, NDArray[np.uint8]], per_class: int
) -> NDArray[np.uint8]:
    rows: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in images.classes[:_ROWS]}
    for position in sorted(thumbnails):
        rows[images.labels[position]].append(thumbnails[position])
    shown = [(f"{name} ({counts[name]})" if name else "", found) for name, found in rows.items()]
    left_out = len(images.classes) - len(rows)
    if left_out:
        shown.append((f"and {left_out} more classes", []))
    return montage(shown, side=_SIDE, columns=per_class)


def _spread(values: Counter[float]) -> dict[str, float]:
    ordered = sorted(values.items())
    counts = np.array([count for _, count in ordered])
    numbers = np.array([value for value, _ in ordered], np.float64)
    total = int(counts.sum())
    ends = np.cumsum(counts)
    low, high = (numbers[np.searchsorted(ends, middle, side="right")] for middle in ((total - 1) // 2, total // 2))
    return {
        "min": float(numbers[0]),
        "median": float((low + high) / 2),
        "mean": float((numbers * counts).sum() / total),
        "max": float(numbers[-1]),
    }


def _levels(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
