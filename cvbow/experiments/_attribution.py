"""Other ways to tell which parts of an image a score comes from, and how such ways are judged: by taking parts away.

Occlusion: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. LIME: M. Ribeiro,
S. Singh and C. Guestrin, "Why should I trust you?", KDD 2016. AOPC, the area over the perturbation curve: W. Samek,
A. Binder, G. Montavon, S. Lapuschkin and K.-R. Mueller, "Evaluating the visualization of what a deep neural network has
learned", IEEE TNNLS 2017.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

#: Gives the score of an image.
Score = Callable[[NDArray[np.uint8]], float]

#: What takes the place of a part of an image that is taken away: the image's mean, the image blurred, noise.
FILLS = ("mean", "blur", "noise")
_SIGMA = 10.0
#: As in the authors' package for images.
_KERNEL_WIDTH = 0.25


def cut_cells(shape: tuple[int, int], n: int) -> NDArray[np.intp]:
    """Return the number of the cell that each pixel is in, (H, W), of a grid of ``n`` rows and columns."""
    rows, columns = (np.arange(size) * n // size for size in shape)
    return np.asarray(rows[:, None] * n + columns, np.intp)


def by_cell(heat: NDArray[Any], cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of a map (H, W) in each cell."""
    return np.bincount(cells.ravel(), heat.ravel(), cells.max() + 1).astype(np.float64)


def filled(image: NDArray[np.uint8], fill: str, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return what takes the place of parts of an image (H, W) or (H, W, 3)."""
    if fill == "mean":
        return np.broadcast_to(np.rint(image.mean(axis=(0, 1))).astype(np.uint8), image.shape)
    if fill == "blur":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), _SIGMA), np.uint8)
    return random.integers(0, 256, image.shape, np.uint8)


def replaced(image: NDArray[np.uint8], other: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the image with the pixels of the other ``where`` (H, W) is true."""
    return np.where(where if image.ndim == 2 else where[:, :, None], other, image)


def asked_once(score: Score) -> Score:
    """Return a score that is asked for each image but once: curves begin and end with the same images."""
    known: dict[bytes, float] = {}

    def ask(shown: NDArray[np.uint8]) -> float:
        key = hashlib.sha256(shown.tobytes()).digest()
        if key not in known:
            known[key] = score(shown)
        return known[key]

    return ask


def edges(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the length of Sobel's gradient at each pixel, (H, W): a map that knows no model."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    along = [cv2.Sobel(gray, cv2.CV_64F, dx, 1 - dx) for dx in (0, 1)]
    return np.asarray(np.hypot(*along))


def occlusion(score: Score, image: NDArray[np.uint8], cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how much the score falls where each cell is filled with the image's mean."""
    mean = filled(image, "mean", np.random.default_rng(0))
    whole = score(image)
    return np.array([whole - score(replaced(image, mean, cells == cell)) for cell in range(cells.max() + 1)])


def lime(
    score: Score, image: NDArray[np.uint8], cells: NDArray[np.intp], n_samples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return LIME's weight of each cell.

    The coefficients of a ridge regression from which cells were kept to the score, over images each of whose cells was
    kept with probability 1/2 or filled with its mean; samples weigh by their cosine distance to the whole image.
    """
    n_cells = int(cells.max()) + 1
    kept = random.integers(0, 2, (n_samples, n_cells)).astype(bool)
    kept[0] = True
    counts = np.bincount(cells.ravel())
    channels = image.reshape(*cells.shape, -1)
    means = np.stack([by_cell(channels[:, :, channel], cells) / counts for channel in range(channels.shape[2])], axis=1)
    other = np.rint(means).astype(np.uint8)[cells].reshape(image.shape)
    scores = [score(replaced(image, other, ~row[cells])) for row in kept]
    distance = 1 - np.sqrt(kept.mean(axis=1))
    weights = np.sqrt(np.exp(-(distance**2) / _KERNEL_WIDTH**2))
    return np.asarray(Ridge(alpha=1.0).fit(kept.astype(np.float64), scores, sample_weight=weights).coef_, np.float64)


def aopc(
    score: Score,
    image: NDArray[np.uint8],
    other: NDArray[np.uint8],
    cells: NDArray[np.intp],
    order: NDArray[np.intp],
    n_steps: int,
) -> float:
    """Return the mean fall of the score where the cells are replaced in this order, in so many steps up to all.

    Read backwards, the curve of the least relevant cells first is the one of putting the most relevant in.
    """
    whole = score(image)
    gone = np.zeros(len(order), bool)
    falls = [0.0]
    for part in np.array_split(order, n_steps):
        gone[part] = True
        falls.append(whole - score(replaced(image, other, gone[cells])))
    return float(np.mean(falls))
