"""Small gray copies of images, by which two images are known to be the same picture, or one a part of the other.

Photographs of one kind of place agree in where the sky ends: the correlation of two of them is often above 0.95. Their
details do not: the correlation of second derivatives is near 0 for different pictures and near 1 for one picture that
was resized, recompressed or cropped, whatever its contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.images import to_gray

#: Thumbnails are squares of so many pixels, whatever the aspect ratio of the image.
SIDE = 64
#: Standard deviation of the Gaussian before thumbnails are compared, in their pixels: it takes away most of what
#: compression adds, and of the difference in sharpness of a part that was shrunk less than the whole.
_SIGMA = 1.5
#: Second derivatives are divided by their root mean square around (standard deviation of that Gaussian, in pixels of a
#: thumbnail), with what compression leaves in a flat place (gray levels) added to it.
_NEIGHBOURHOOD, _NOISE = 4.0, 1.0
#: Thumbnails whose details are weaker than this (mean square, in gray levels) have none: flat, or a smooth ramp.
_FAINT = 0.05
#: Pixels in common, at least, for a comparison to mean anything.
_LEAST = 100
#: The corners of a thumbnail, whose first pixel has its centre at (0, 0).
_CORNERS = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]], np.float32) - np.float32(0.5)
#: Rounds and smallest gain of the refinement of a map.
_ECC = (30, 1e-4)
#: How far it may move a corner, in pixels of a thumbnail.
_MAX_SHIFT = 4.0
#: What is resized and cropped stays upright. How much higher a row may be at one end, or farther right a column, in
#: pixels of a thumbnail: of copies 99 in a hundred stay below 0.6, and the others below 1.1; two photographs that were
#: taken one after the other are mostly above 1.2.
_MAX_SLANT = 1.2


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far two thumbnails are the same where they overlap.

    Attributes
    ----------
    similarity : float
        Correlation of the gray values, -1 to 1.
    detail : float
        Correlation of their second derivatives, over the local contrast, -1 to 1.
    overlap : tuple of float
        What part of each image the other one shows, 0 to 1.
    matrix : ndarray of shape (3, 3), float64
        The affine map, from the first to the second, under which it is so.
    """

    similarity: float
    detail: float
    overlap: tuple[float, float]
    matrix: NDArray[np.float64]


def thumbnail(image: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Return the thumbnail of an image, gray or RGB, as it is: a square; the whole image, its aspect ratio lost."""
    import cv2

    height, width = image.shape[:2]
    # Where a side grows, area interpolation would repeat pixels.
    shrinks = width >= side and height >= side
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))


def gray_thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the gray thumbnail of an image, gray or RGB: shape (64, 64), uint8."""
    return thumbnail(to_gray(image, floats=False))


def thumbnail_map(image_size: NDArray[np.int32] | tuple[int, int]) -> NDArray[np.float64]:
    """Return the map (3, 3) from the pixels of an image (width, height) to those of its thumbnail."""
    width, height = (float(side) for side in image_size)
    x, y = SIDE / width, SIDE / height
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])


def window_map(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the map (3, 3) from a thumbnail to the window x, y, width, height, in shares, of another one."""
    x, y, width, height = window.tolist()
    shift_x, shift_y = x * SIDE + width / 2 - 0.5, y * SIDE + height / 2 - 0.5
    return np.array([[width, 0, shift_x], [0, height, shift_y], [0, 0, 1]])


def details(thumbnails: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return the second derivatives of thumbnails (n, 64, 64), shrunk to a side that divides 64, as unit vectors.

    They have the shape (n, side ** 2); zero stands for a thumbnail without details.
    """
    n, step = len(thumbnails), SIDE // side
    vectors = np.empty((n, side * side), np.float32)
    for first in range(0, n, 4096):
        block = thumbnails[first : first + 4096].reshape(-1, side, step, side, step).mean((2, 4), dtype=np.float32)
        wide = np.pad(block, ((0, 0), (1, 1), (1, 1)), mode="reflect")
        around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
        vectors[first : first + 4096] = (4 * block - around).reshape(len(block), -1)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    faint = lengths**2 < _FAINT * side * side
    vectors /= np.where(faint, 1, lengths)[:, None]
    vectors[faint] = 0
    return vectors


def agreement(
    a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: NDArray[np.float64], *, refine: bool = True
) -> Agreement | None:
    """Compare two thumbnails where an affine map from the pixels of `a` to those of `b` lays them upon each other.

    None where the overlap is too small to tell, or either is flat there, or the map turns or slants. To `refine` is to
    improve the map by the gray values first (G. Evangelidis and E. Psarakis, "Parametric image alignment using enhanced
    correlation coefficient maximization", PAMI 2008).
    """
    import cv2

    # `a` is to be the part, which is finer: it is drawn as coarse as the whole.
    area = abs(float(np.linalg.det(matrix[:2, :2])))
    if not 1e-6 < area < 1e6:
        return None
    turned = area > 1
    if turned:
        a, b, matrix = b, a, np.asarray(np.linalg.inv(matrix), np.float64)
    part, whole = a.astype(np.float32), b.astype(np.float32)
    affine = np.ascontiguousarray(matrix[:2], np.float32)
    if refine:
        affine = refined_map(part, whole, affine)
    if max(abs(affine[0, 1]), abs(affine[1, 0])) * SIDE > _MAX_SLANT:
        return None
    corners = (_CORNERS @ affine[:, :2].T + affine[:, 2]).astype(np.float32)
    area = abs(float(np.linalg.det(affine[:, :2]))) * SIDE**2
    common = float(cv2.intersectConvexConvex(corners, _CORNERS)[0])
    if not 0 < common <= area * 1.001:
        return None
    overlap = (common / area, common / SIDE**2)
    moved = cv2.warpAffine(part, affine, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones_like(part), affine, (SIDE, SIDE), flags=cv2.INTER_LINEAR) > 0.999
    smooth = [masked_blur(array, inside, _SIGMA) for array in (moved, whole)]
    core = np.asarray(cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0), bool)
    core[[0, -1]] = core[:, [0, -1]] = False
    if core.sum() < _LEAST:
        return None
    curved = [cv2.Laplacian(array, cv2.CV_32F) for array in smooth]
    if min(float(np.mean(array[core] ** 2)) for array in curved) < _FAINT:
        return None
    similarity = _correlation(smooth[0][inside], smooth[1][inside])
    # Over the local contrast: otherwise a horizon is all that counts.
    even = [array / np.sqrt(masked_blur(array**2, core, _NEIGHBOURHOOD) + _NOISE**2) for array in curved]
    detail = _correlation(even[0][core], even[1][core])
    improved = np.vstack([affine, [0, 0, 1]]).astype(np.float64)
    if turned:
        return Agreement(similarity, detail, overlap[::-1], np.asarray(np.linalg.inv(improved)))
    return Agreement(similarity, detail, overlap, improved)


def refined_map(
    part: NDArray[np.float32], whole: NDArray[np.float32], affine: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return an affine map (2, 3) between two squares of one side, improved by their gray values if that succeeds."""
    import cv2

    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, *_ECC)
    mask = np.full(whole.shape, 255, np.uint8)
    try:
        found = cv2.findTransformECC(part, whole, affine.copy(), cv2.MOTION_AFFINE, criteria, mask, 5)[1]
    except cv2.error:
        # It does not converge, or the two do not overlap.
        return affine
    shift = np.linalg.norm(_CORNERS @ (found - affine)[:, :2].T + (found - affine)[:, 2], axis=1)
    # A map that goes far from where it began has found something else to fit.
    return np.asarray(found, np.float32) if shift.max() <= _MAX_SHIFT else affine


def masked_blur(array: NDArray[np.float32], inside: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian mean over what is inside."""
    import cv2

    weights = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(array * inside, (0, 0), sigma) / np.maximum(weights, 1e-3), np.float32)


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    x, y = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else 0.0
