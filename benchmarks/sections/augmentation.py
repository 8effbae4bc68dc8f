"""Random transforms of images in memory, one thread: cvbow against Keras's ImageDataGenerator and a loop of SciPy's."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import scipy.ndimage
from _measure import alternate, environment, pinned, summary
from numpy.typing import NDArray

from cvbow.augmentation import ImageAugmenter
from cvbow.images import read_image
from sections.inputs import Options, texture

THREADS = 1
ROUNDS = 7
N_IMAGES = 64
SIDE = 256
BATCH = 32
#: What every contender is asked for.
PARAMETERS: dict[str, Any] = {
    "rotation_range": 20,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 10,
    "zoom_range": 0.2,
    "channel_shift_range": 20.0,
    "horizontal_flip": True,
    "brightness_range": [0.7, 1.3],
    "fill_mode": "reflect",
    "rescale": 1 / 255,
}
#: Folder of a set beside 15-Scene's, whether it is gray, and what it is called.
SETS = (
    ("scene15/test", True, "15-Scene"),
    ("dvd_covers/Reference", False, "DVD covers"),
)
LABELS = {
    "cvbow": "cvbow ImageAugmenter",
    "keras": "Keras ImageDataGenerator, NumPy backend",
    "scipy": "SciPy affine_transform, a channel at a time, and the same arithmetic in NumPy",
}
NOTES = (
    "The time is that of one epoch of flow(): images of one size in memory, uint8, to shuffled batches of 32, float32, "
    "transformed and rescaled.",
    "SciPy: one affine_transform per channel, order 1, with the matrix that all flips are part of, then channel shift, "
    "brightness and rescaling in NumPy, float32; without the Pillow image that Keras makes for the brightness.",
    "cvbow makes its batches in the caller's thread here, one at a time: n_jobs=1, prefetch=0.",
    "error: the largest difference from Keras's pixels, of 255, over the images, with the same parameters; Keras "
    "exchanges rows and columns, so it gets each image with them exchanged.",
)


def run(options: Options) -> dict[str, Any]:
    """Time every set of images and give the section's record."""
    maker = keras_generator()
    record: dict[str, Any] = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "parameters": PARAMETERS,
        "left_out": [] if maker is not None else ["Keras: not installed"],
        "notes": NOTES,
        "settings": [],
    }
    record["environment"]["versions"]["keras"] = importlib.metadata.version("keras") if maker is not None else None
    for folder, gray, title in SETS:
        source, images = _images(options, folder, gray, title)
        print(f"augmentation, {source['images']}: {images.shape}", file=sys.stderr)
        contenders = _contenders(images, options.seed, maker)
        with pinned(THREADS):
            turns = alternate(contenders, rounds=options.rounds_or(ROUNDS), shortest=0.0 if options.smoke else 0.1)
        setting = {"input": source, "contenders": summary(turns, LABELS, work=len(images))}
        if maker is not None:
            setting["error"] = _error(images, maker, options.seed)
        record["settings"].append(setting)
    return record


def keras_generator() -> Callable[..., Any] | None:
    """Keras's class; None where Keras is not installed. It works on NumPy alone here, as its first import finds it."""
    os.environ.setdefault("KERAS_BACKEND", "numpy")
    if sys.modules.get("keras", "keras") is None or importlib.util.find_spec("keras") is None:
        return None
    try:
        found: Callable[..., Any] = importlib.import_module("keras.src.legacy.preprocessing.image").ImageDataGenerator
    except ImportError as error:  # a backend's own packages are missing
        print(f"  keras cannot be imported: {error}", file=sys.stderr)
        return None
    return found


def _images(options: Options, folder: str, gray: bool, title: str) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Images (n, side, side, C) uint8 and what they are."""
    side, n = (32, 4) if options.smoke else (SIDE, N_IMAGES)
    channels = 1 if gray else 3
    place = None if options.smoke or options.data is None else options.data.resolve().parent / folder
    if place is None or not place.is_dir():
        rng = np.random.default_rng(options.seed)
        images = np.stack([np.stack([texture(side, rng) for _ in range(channels)], axis=2) for _ in range(n)])
        return {"images": "generated textures", "shape": list(images.shape)}, images
    paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in {".jpg", ".png"})
    chosen = [paths[number * len(paths) // n] for number in range(n)]
    found = [cv2.resize(read_image(path, gray=gray), (side, side), interpolation=cv2.INTER_AREA) for path in chosen]
    images = np.stack(found).reshape(n, side, side, channels)
    names = [path.relative_to(place).as_posix() for path in chosen]
    return {"images": title, "shape": list(images.shape), "names": names}, images


def _contenders(
    images: NDArray[np.uint8], seed: int, maker: Callable[..., Any] | None
) -> dict[str, Callable[[int], object]]:
    ours = ImageAugmenter(**PARAMETERS)

    def epochs(batches: Any) -> Callable[[int], object]:
        return lambda _: [next(batches) for _ in range(-(-len(images) // BATCH))]

    flow = ours.flow(images, batch_size=BATCH, seed=seed, n_jobs=1, prefetch=0)
    contenders: dict[str, Callable[[int], object]] = {"cvbow": epochs(flow)}
    if maker is not None:
        # Keras turns all its images into float32 here, before the clock starts.
        contenders["keras"] = epochs(maker(**PARAMETERS).flow(images, batch_size=BATCH, seed=seed))
    contenders["scipy"] = lambda number: [
        scipy_transform(images[index], ours.get_random_transform(images.shape[1:], seed=(seed, number, index)))
        for index in range(len(images))
    ]
    return contenders


def scipy_transform(image: NDArray[np.uint8], parameters: dict[str, Any]) -> NDArray[np.float32]:
    """The same transform by SciPy, (H, W, C) float32: matrices on (row, column) about the centre."""
    theta, shear = np.deg2rad(parameters["theta"]), np.deg2rad(parameters["shear"])
    linear = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    shift = linear @ [parameters["tx"], parameters["ty"]]
    flips = [-1 if parameters["flip_vertical"] else 1, -1 if parameters["flip_horizontal"] else 1]
    linear = linear @ [[1, -np.sin(shear)], [0, np.cos(shear)]] @ np.diag([parameters["zx"], parameters["zy"]])
    linear = linear @ np.diag(flips)
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre + shift - linear @ centre
    warped = np.stack(
        [
            scipy.ndimage.affine_transform(image[..., c].astype(np.float32), linear, offset, order=1, mode="reflect")
            for c in range(image.shape[2])
        ],
        axis=2,
    )
    shifted = np.clip(warped + np.float32(parameters["channel_shift_intensity"]), warped.min(), warped.max())
    brightened = np.clip(shifted * np.float32(parameters["brightness"]), 0, 255)
    return np.asarray(brightened * np.float32(PARAMETERS["rescale"]))


def _error(images: NDArray[np.uint8], maker: Callable[..., Any], seed: int) -> float:
    """The largest difference between our pixels and Keras's, of 255."""
    ours, theirs = ImageAugmenter(**PARAMETERS), maker(**PARAMETERS)
    worst = 0.0
    for index, image in enumerate(images):
        parameters = ours.get_random_transform(image.shape, seed=(seed, index))
        exchanged = dict(parameters)
        exchanged["flip_horizontal"], exchanged["flip_vertical"] = (
            parameters["flip_vertical"],
            parameters["flip_horizontal"],
        )
        expected = theirs.apply_transform(image.transpose(1, 0, 2).astype(np.float32), exchanged).transpose(1, 0, 2)
        found = ours.apply_transform(image, parameters)
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst
