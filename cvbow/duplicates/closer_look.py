"""A closer look at two images that their thumbnails take for one: in colour, larger, and place by place.

Thumbnails are gray and compared as a whole. A product in another colour has the same thumbnail, and of two forms that
were filled in differently all but a few pixels agree. What resizing and compression change is small everywhere; what
makes two pictures out of one is large somewhere: a stroke of a pen, at a size at which strokes are still there, against
what is drawn around it within a few pixels; a colour, against what compression leaves of colours, since a red that
became orange is another colour however strong both are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.thumbnails import SIDE, refined_map, thumbnail
from cvbow.images import from_gray

#: Sides of the squares that are compared: at first, at last, but no larger than those of the smaller image, and no
#: smaller than those of thumbnails. A page's pen strokes of two pixels are gone at 256, and there at 1024.
_FIRST, _LAST = 256, 1024
#: Standard deviations of Gaussians, in pixels of these squares: before they are compared; of a place at which
#: brightness is compared, of the mean around it that is taken away, and of a place at which colour is compared, which
#: JPEG stores at half the size.
_SIGMA, _PLACE, _AROUND, _COLOR_PLACE = 1.0, 2.0, 8.0, 4.0
#: What compression leaves of brightness, in levels.
_NOISE = 8.0
#: By how much a colour may be off for a difference of 1/2: levels, and the share of its strength. What compression and
#: changes of contrast leave is half as much, or less.
_COLOR_NOISE, _COLOR_SHARE = 10.0, 0.13
#: A change of contrast that colours are expected to follow.
_MAX_GAIN = 2.0
#: Where this share of the places with details has more than this difference, one of the images is less sharp than its
#: size: a stroke that it lacks is no other picture.
_USUAL, _UNSHARP = 0.5, 0.1


def largest_difference(
    a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: NDArray[np.float64], *, colors: str = "strict"
) -> float:
    """Return by how much two images differ where they differ most.

    Parameters
    ----------
    a, b : ndarray of shape (H, W) or (H, W, 3), uint8
    matrix : ndarray of shape (3, 3), float64
        The affine map from pixels of the thumbnail of `a` to those of the thumbnail of `b`.
    colors : {"strict", "any"}
        Whether another colour is a difference. If not, brightness may be any mixture of the other image's three
        channels, at each place another.

    Returns
    -------
    float
        0 where they agree, about 1 where they have nothing to do with each other, up to 2 where they are opposites. Of
        brightness: around its mean at the place, whatever the contrast of the whole, the mean square difference over
        the sum of the mean squares and of what compression leaves. Of colour: the squared difference over itself and
        the square of what compression leaves.
    """
    if abs(float(np.linalg.det(matrix[:2, :2]))) > 1:
        # `a` is to be the part, which is finer: it is drawn as coarse as the whole.
        a, b, matrix = b, a, np.asarray(np.linalg.inv(matrix), np.float64)
    part, whole = _to_ycc(a), _to_ycc(b)
    sides = [min(max(SIDE, min(*a.shape[:2], *b.shape[:2])), _LAST)]
    while sides[0] > _FIRST:
        sides.insert(0, (sides[0] + 1) // 2)
    start = _zoomed(matrix, sides[0] / SIDE)
    small = [np.asarray(thumbnail(image, sides[0])[..., 0], np.float32) for image in (part, whole)]
    refined = np.vstack([refined_map(small[0], small[1], start[:2].astype(np.float32)), [0, 0, 1]])
    largest = 0.0
    for side in sides:
        both = _Overlap(part, whole, side, _zoomed(refined, side / sides[0]))
        if side == sides[0] and colors == "strict":
            largest = _largest_of_color(both)
        difference, usual = _largest_of_light(both) if colors == "strict" else _largest_of_mixtures(both)
        if side > sides[0] and usual > _UNSHARP:
            break
        largest = max(largest, difference)
    return largest


class _Overlap:
    """Two images laid upon each other as squares of one side: brightness and two differences of colour, as planes."""

    def __init__(
        self, part: NDArray[np.uint8], whole: NDArray[np.uint8], side: int, matrix: NDArray[np.float64]
    ) -> None:
        import cv2

        affine = matrix[:2].astype(np.float32)
        size = (side, side)
        moved = cv2.warpAffine(thumbnail(part, side), affine, size, flags=cv2.INTER_LINEAR)
        self.inside = cv2.warpAffine(np.ones(size, np.float32), affine, size, flags=cv2.INTER_LINEAR) > 0.999
        self.planes = [_planes(np.asarray(moved, np.uint8)), _planes(thumbnail(whole, side))]
        self._weights: dict[float, NDArray[np.float32]] = {}
        #: Brightness, without its noise and its mean around, of both.
        self.lights = [self.structure(planes[0]) for planes in self.planes]
        core = self.core(_PLACE)
        first, second = (float((light[core] ** 2).sum()) for light in self.lights)
        #: The contrast of the second image over that of the first.
        self.gain = float(np.sqrt(second / first)) if first > 0 and second > 0 else 1.0

    def core(self, place: float) -> NDArray[np.bool_]:
        """Return what lies at least a place away from the rim of what both show."""
        import cv2

        rim = np.ones((2 * round(place) + 1,) * 2, np.uint8)
        return np.asarray(cv2.erode(self.inside.astype(np.uint8), rim, borderValue=0), bool)

    def mean(self, plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        """Return the Gaussian mean around each pixel over what both show."""
        import cv2

        if sigma not in self._weights:
            weights = cv2.GaussianBlur(self.inside.astype(np.float32), (0, 0), sigma)
            self._weights[sigma] = np.maximum(weights, 1e-3).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(plane * self.inside, (0, 0), sigma) / self._weights[sigma], np.float32)

    def structure(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a plane without its noise and its mean around."""
        smooth = self.mean(plane, _SIGMA)
        return np.asarray(smooth - self.mean(smooth, _AROUND), np.float32)


def _largest_of_color(both: _Overlap) -> float:
    gain = float(np.sqrt(np.clip(both.gain, 1 / _MAX_GAIN, _MAX_GAIN)))
    first, second = ([both.mean(plane, _COLOR_PLACE) for plane in planes[1:]] for planes in both.planes)
    off = sum((x * np.float32(gain) - y / np.float32(gain)) ** 2 for x, y in zip(first, second, strict=True))
    strength = np.sqrt(sum(x**2 + y**2 for x, y in zip(first, second, strict=True)) / 2)
    allowed = (_COLOR_NOISE + _COLOR_SHARE * strength) ** 2
    return float((off / (off + allowed))[both.core(_COLOR_PLACE)].max(initial=0))


def _largest_of_light(both: _Overlap) -> tuple[float, float]:
    """Return the largest difference of brightness, and the usual one of places with details."""
    first, second = both.lights[0] * np.float32(both.gain), both.lights[1]
    power = both.mean(first**2 + second**2, _PLACE)
    return _largest(both.mean((first - second) ** 2, _PLACE), power, both.core(_PLACE))


def _largest_of_mixtures(both: _Overlap) -> tuple[float, float]:
    """Return the same of what no mixture of the other image's channels explains, at each place the best one."""
    # Places are wider than two pixels.
    some = np.s_[::2, ::2]
    powers = [both.mean(light**2, _PLACE)[some] for light in both.lights]
    rests = []
    for light, power, others in zip(both.lights, powers, reversed(both.planes), strict=True):
        channels = [both.structure(plane) for plane in others]
        products = np.empty((*power.shape, 3, 4))
        for row in range(3):
            for column in range(row, 3):
                product = both.mean(channels[row] * channels[column], _PLACE)[some]
                products[..., row, column] = products[..., column, row] = product
            products[..., row, 3] = both.mean(channels[row] * light, _PLACE)[some]
            # A gray image has no more than one channel: its mixtures are not unique.
            products[..., row, row] += 1.0
        mixture = np.linalg.solve(products[..., :3], products[..., 3:])[..., 0]
        rests.append(power - (mixture * products[..., 3]).sum(axis=-1))
    return _largest(np.maximum(*rests), powers[0] + powers[1], both.core(_PLACE)[some])


def _largest(
    different: NDArray[np.floating], power: NDArray[np.floating], core: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the largest difference over the power and the noise, and the usual one of places with details."""
    noise = 2 * _NOISE**2
    difference, detailed = (different / (power + noise))[core], power[core] > noise
    usual = float(np.quantile(difference[detailed], _USUAL)) if detailed.any() else 0.0
    return float(difference.max(initial=0)), usual


def _zoomed(matrix: NDArray[np.float64], zoom: float) -> NDArray[np.float64]:
    """Return a map between squares as one between squares `zoom` times as large."""
    larger = np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2], [0, 0, 1]])
    return np.asarray(larger @ matrix @ np.linalg.inv(larger))


def _to_ycc(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.cvtColor(from_gray(image), cv2.COLOR_RGB2YCrCb), np.uint8)


def _planes(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return brightness and two differences of colour, around 0."""
    light, red, blue = (np.asarray(image[..., channel], np.float32) for channel in range(3))
    return [light, red - 128, blue - 128]
