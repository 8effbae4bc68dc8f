"""How windows are learned from images that are read again in every round, and held one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cvbow.annotations import Objects, suppress
from cvbow.backends import ImageLike
from cvbow.backends.loading import load_source, try_image
from cvbow.detection._cells import N_VALUES
from cvbow.detection._pyramid import cut_out
from cvbow.detection._shapes import group_by_aspect, window_shape
from cvbow.detection._windows import Window, beside, look, one_way
from cvbow.errors import ImageError
from cvbow.images import read_image, resize
from cvbow.parallel import run
from cvbow.progress import detail, tracked

#: Folds of images: what is learned from all but one judges that one.
N_FOLDS = 3
#: Of one image: windows anywhere at the beginning, and those of a later round that look most like objects, of which
#: none overlaps another by more.
_AT_FIRST, _IN_A_ROUND, _APART = 6, 8, 0.5
_THRESHOLD = -1.0
#: Negatives that a window no longer takes for objects, by far, are let go.
_EASY = -1.2
#: Bytes of cells that are held of all windows together, and least and most for one window.
_HELD, _FEWEST, _MOST = 512 << 20, 300, 3000
#: The sizes that objects may have, without the rarest.
_RARE = 0.02


@dataclass(frozen=True)
class Read:
    """An image at its working size.

    Attributes
    ----------
    pixels : ndarray of shape (H, W) or (H, W, 3), uint8
    factor : float
        Pixels of the file for one of these.
    size : tuple of int
        Width and height of the file's pixels.
    """

    pixels: NDArray[np.uint8]
    factor: float
    size: tuple[int, int]


def read_working(image: ImageLike, max_side: int) -> Read:
    """Read an image, shrunk so that its longer side is at most ``max_side``; ImageError if it cannot be read."""
    source, name = load_source(image)
    pixels = read_image(source, shrunk_to=max_side, name=name)
    size = (pixels.shape[1], pixels.shape[0])
    if max(size) <= max_side:
        return Read(pixels, 1.0, size)
    small = resize(pixels, longest=max_side, interpolation="area")
    return Read(small, max(size) / max(small.shape[:2]), size)


@dataclass(frozen=True)
class Sizes:
    """Tells the size of an image; picklable."""

    def __call__(self, image: ImageLike) -> tuple[int, int] | ImageError:
        def measure() -> tuple[int, int]:
            source, name = load_source(image)
            pixels = read_image(source, name=name)
            return pixels.shape[1], pixels.shape[0]

        size: tuple[int, int] | ImageError = try_image(image, measure)
        return size


@dataclass(frozen=True)
class Marked:
    """The marked objects of one image, at its working size.

    Attributes
    ----------
    boxes : ndarray of shape (n, 4), float64
    classes, windows : ndarray of shape (n,), intp
        The number of each object's class and window; a window of -1 is that of an object to ignore.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.intp]
    windows: NDArray[np.intp]


@dataclass
class Pool:
    """What one window learns from: cells of objects and of other windows, each with the number of its image."""

    objects: NDArray[np.float32]
    object_images: NDArray[np.intp]
    negatives: list[NDArray[np.float32]] = field(default_factory=list)
    negative_images: list[int] = field(default_factory=list)

    def fit(self, window: Window, without: int | None = None) -> None:
        """Let a window learn, from all images or from those that are not in one of the folds."""
        images = np.array(self.negative_images)
        keep, others = np.ones(len(self.objects), bool), np.ones(len(images), bool)
        if without is not None:
            keep, others = self.object_images % N_FOLDS != without, images % N_FOLDS != without
        # A window whose objects are all in one fold knows no better than to learn from them.
        keep = keep if keep.any() else ~keep
        others = others if others.any() else ~others
        window.fit(self.objects[keep], np.stack([self.negatives[row] for row in np.flatnonzero(others)]))

    def forget(self, window: Window, most: int) -> None:
        """Let those negatives go that the window is sure of, and all but the ``most`` that it is least sure of."""
        scores = np.array([window.scores(cells[None])[0] for cells in self.negatives])
        rows = np.argsort(-scores, kind="stable")[:most]
        rows = np.sort(rows[scores[rows] > _EASY]) if (scores > _EASY).any() else np.sort(rows[:1])
        self.negatives = [self.negatives[row] for row in rows]
        self.negative_images = [self.negative_images[row] for row in rows]


@dataclass(frozen=True)
class _Begin:
    """Cuts out the objects of an image for their windows, and other places of it; picklable."""

    max_side: int
    shapes: tuple[tuple[int, int], ...]
    class_of: tuple[int, ...]
    seed: int

    def __call__(self, item: tuple[int, ImageLike, Marked]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        number, image, marked = item
        pixels = read_working(image, self.max_side).pixels
        rng = np.random.default_rng((self.seed, number))
        size = np.array(pixels.shape[1::-1], float)
        found = []
        for window, (shape, class_index) in enumerate(zip(self.shapes, self.class_of, strict=True)):
            objects = [cut_out(pixels, box, shape) for box in marked.boxes[marked.windows == window]]
            others = marked.boxes[marked.classes == class_index]
            # Sizes of all orders alike, proportions those of the window.
            sides = np.sqrt(np.exp(rng.uniform(-4, 0, 4 * _AT_FIRST)))[:, None] * min(size)
            sides = np.minimum(np.maximum(sides, 8) * np.sqrt([shape[1] / shape[0], shape[0] / shape[1]]), size)
            corners = rng.random(sides.shape) * (size - sides)
            boxes = np.concatenate([corners, corners + sides], axis=1)
            free = np.flatnonzero(beside(boxes, others))[:_AT_FIRST]
            empty = np.zeros((0, shape[0] + 2, shape[1] + 2, N_VALUES), np.float32)
            found.append(
                (
                    np.stack(objects) if objects else empty,
                    np.stack([cut_out(pixels, boxes[row], shape) for row in free]) if len(free) else empty,
                )
            )
        return found


@dataclass(frozen=True)
class _Mine:
    """Finds what windows wrongly take for objects in an image; picklable."""

    max_side: int
    windows: Sequence[Window]
    n_levels: int

    def __call__(self, item: tuple[int, ImageLike, Marked]) -> list[list[NDArray[np.float32]]]:
        _, image, marked = item
        pixels = read_working(image, self.max_side).pixels
        seen = look(pixels, self.windows, self.n_levels, _THRESHOLD, keep_cells=True)
        found = []
        for index, window in enumerate(self.windows):
            rows = np.flatnonzero(seen.windows == index)
            rows = rows[beside(seen.boxes[rows], marked.boxes[marked.classes == window.class_index])]
            rows = rows[np.argsort(-seen.scores[rows], kind="stable")[: 20 * _IN_A_ROUND]]
            kept = suppress(seen.boxes[rows], seen.scores[rows], _APART)[:_IN_A_ROUND]
            found.append([seen.cells[row] for row in rows[kept]])
        return found


def assign(objects: Sequence[Objects], factors: Sequence[float], classes: Sequence[str], n_shapes: int) -> list[Marked]:
    """Return the objects of images at their working size, each with the window of its class that it is for."""
    numbers = {name: number for number, name in enumerate(classes)}
    counts = [len(each) for each in objects]
    boxes = np.concatenate([each.boxes / factor for each, factor in zip(objects, factors, strict=True)])
    of_class = np.array([numbers.get(name, -1) for each in objects for name in each.classes.tolist()], np.intp)
    ignored = np.concatenate([each.ignored for each in objects])
    windows = np.full(len(boxes), -1, np.intp)
    n_windows = 0
    for number in range(len(classes)):
        rows = np.flatnonzero((of_class == number) & ~ignored)
        for group in group_by_aspect(boxes[rows], n_shapes):
            windows[rows[group]] = n_windows
            n_windows += 1
    ends = np.cumsum(counts)[:-1]
    parts = zip(*(np.split(values, ends) for values in (boxes, of_class, windows)), strict=True)
    return [Marked(*part) for part in parts]


def learn_windows(
    images: Sequence[ImageLike],
    marked: Sequence[Marked],
    *,
    n_cells: int,
    n_levels: int,
    n_rounds: int,
    max_side: int,
    seed: int,
    n_jobs: int | None,
) -> tuple[list[Window], list[list[Window]]]:
    """Return windows that learned from all images, and for each fold those that learned from the others.

    The negatives of a fold are those that were found by windows that knew all images; what a window learns is solved
    again without those of the images that are left out.
    """
    boxes, classes, of_window = (
        np.concatenate([getattr(each, name) for each in marked]) for name in ("boxes", "classes", "windows")
    )
    windows, shapes = [], []
    for number in range(int(of_window.max()) + 1):
        mine = of_window == number
        window = Window(int(classes[mine][0]))
        areas = np.sqrt((boxes[mine, 2:] - boxes[mine, :2]).prod(axis=1))
        window.smallest_, window.largest_ = (float(size) for size in np.quantile(areas, (_RARE, 1 - _RARE)))
        windows.append(window)
        shapes.append(window_shape(boxes[mine], n_cells))
    items = [(number, image, each) for number, (image, each) in enumerate(zip(images, marked, strict=True))]
    size = 4 * N_VALUES * max((rows + 2) * (columns + 2) for rows, columns in shapes)
    most = int(np.clip(_HELD // (size * len(windows)), _FEWEST, _MOST))
    for number in tracked("rounds", range(n_rounds + 1)):
        if number == 0:
            pools = _begin(items, shapes, windows, max_side, seed, n_jobs)
        else:
            found = run(_Mine(max_side, windows, n_levels), items, n_jobs=n_jobs, task="windows", total=len(items))
            for image, per_window in enumerate(found):
                for pool, cells in zip(pools, per_window, strict=True):
                    pool.negatives += cells
                    pool.negative_images += [image] * len(cells)
        for window, pool in zip(windows, pools, strict=True):
            pool.fit(window)
            pool.forget(window, most)
        detail(f"windows: round {number}, {sum(len(pool.negatives) for pool in pools)} negatives")
    pairs = list(zip(windows, pools, strict=True))
    return windows, [[_without(window, pool, fold) for window, pool in pairs] for fold in range(N_FOLDS)]


def _without(window: Window, pool: Pool, fold: int) -> Window:
    other = Window(window.class_index)
    other.smallest_, other.largest_ = window.smallest_, window.largest_
    pool.fit(other, fold)
    return other


def _begin(
    items: Sequence[tuple[int, ImageLike, Marked]],
    shapes: Sequence[tuple[int, int]],
    windows: Sequence[Window],
    max_side: int,
    seed: int,
    n_jobs: int | None,
) -> list[Pool]:
    """Return what each window begins with."""
    begin = _Begin(max_side, tuple(shapes), tuple(window.class_index for window in windows), seed)
    found = list(run(begin, items, n_jobs=n_jobs, task="objects", total=len(items)))
    pools = []
    for number, (rows, columns) in enumerate(shapes):
        objects = np.concatenate([each[number][0] for each in found])
        images = np.repeat(np.arange(len(found)), [len(each[number][0]) for each in found])
        pool = Pool(one_way(objects), images)
        for image, each in enumerate(found):
            pool.negatives += list(each[number][1])
            pool.negative_images += [image] * len(each[number][1])
        if not pool.negatives:
            # Objects that fill all images: what is no object is unknown, and a plain window stands for it.
            pool.negatives, pool.negative_images = [np.zeros((rows + 2, columns + 2, N_VALUES), np.float32)], [0]
        pools.append(pool)
    return pools
