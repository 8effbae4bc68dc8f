"""A detector of objects that learns from boxes."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int
from cvbow.annotations import Objects, suppress
from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images, path_of, tag_images, try_image
from cvbow.detection._candidates import LEARNED_FROM, MOST, Finder, Gather
from cvbow.detection._learning import Marked, Sizes, assign, learn_windows, read_working
from cvbow.detection._second_look import SecondLook, n_values
from cvbow.detection._windows import Window
from cvbow.detection._words import BoxWords
from cvbow.errors import CvbowError, ImageError, none_read
from cvbow.model_files import ModelFile
from cvbow.parallel import run
from cvbow.progress import note, stages
from cvbow.storage import ClassNames, Learned, Part, storable
from cvbow.tables import counted

#: Vectors that the second look learns a class from, at most.
_VECTORS = 12_000
#: A class whose objects are mostly smaller than this, in pixels at the working size, is hard to see.
_SMALL = 16


@storable
class ObjectDetector(ModelFile, BaseEstimator):  # type: ignore[misc]
    """Finds objects of one or more classes, of any size and several shapes, having learned from boxes.

    Windows of histograms of oriented gradients and colour see where something may be an object: of each class several
    in the proportions of its boxes, each with its mirror, over the image at many sizes, with a linear SVM that learns
    in rounds from what it wrongly took for objects. The best of what they see gets a second look: the visual words and
    the colours in the box, in its quarters and around it tell, with another linear SVM, how probable an object is, and
    by how much the box should move.

    Parameters
    ----------
    n_shapes : int, default 2
        Windows of a class, at most; boxes are grouped by their proportions.
    n_cells : int, default 48
        Cells of a window, of 8 x 8 pixels each: what it can tell of an object's form.
    n_levels : int, default 4
        Sizes of an image that are looked at, for each halving of it.
    n_rounds : int, default 2
        How often windows learn from what they wrongly took for objects.
    n_words : int, default 256
        Visual words of the second look; it has half as many colours.
    max_side : int, default 1024
        Images whose longer side is above this are shrunk to it first. Raise it where objects are small in large images;
        time and memory for an image grow with its square.
    n_jobs : int or None, default None
        Workers, by joblib's convention. What is learned and found does not depend on it.
    random_state : int, default 0

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
    windows_ : list of Window
    words_ : BoxWords
    looks_ : list of SecondLook
        One for each class.
    n_images_, n_objects_ : int
        What was learned from.
    skipped_ : list of ImageError
        Images that could not be read.
    seconds_ : dict
        Time taken for the ``windows``, the ``words``, the ``second look`` and in ``total``.

    Notes
    -----
    Windows: N. Dalal and B. Triggs, CVPR 2005, with the cells of P. Felzenszwalb and others, PAMI 2010. Objects that
    nobody has marked do harm where they are learned from as what is no object; a place is one to learn from if it
    overlaps every marked box of the class by less than 0.3.

    Memory holds an image for each worker, at most half a gigabyte of cells to learn windows from, and as much of
    vectors for the second look: of many images, a part in even steps has a second look at.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ObjectDetector, Objects
    >>> random = np.random.default_rng(0)
    >>> images = random.integers(100, 140, (6, 96, 128, 3), np.uint8)
    >>> corners = random.integers(0, 60, (6, 2))
    >>> for image, (x, y) in zip(images, corners):
    ...     image[y : y + 32, x : x + 32] = (200, 30, 30)
    >>> marked = [Objects.of([[x, y, x + 32, y + 32]], "red square") for x, y in corners]
    >>> detector = ObjectDetector(n_cells=16, n_words=16).fit(images[:5], marked[:5])
    >>> found = detector.detect([images[5]])[0]
    >>> str(found.classes[0]), bool(np.abs(found.boxes[0] - marked[5].boxes[0]).max() < 8)
    ('red square', True)
    """

    file_kind: ClassVar[str] = "detector"
    called: ClassVar[str] = "detector"
    learned_last: ClassVar[str] = "looks_"
    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "skipped_": None, "seconds_": None}
    learned: ClassVar[Mapping[str, Learned]] = {
        "classes_": ClassNames(),
        "words_": Part(BoxWords),
        "windows_": Part(list),
        "looks_": Part(list),
    }

    classes_: NDArray[np.str_]
    windows_: list[Window]
    words_: BoxWords
    looks_: list[SecondLook]

    def __init__(
        self,
        *,
        n_shapes: int = 2,
        n_cells: int = 48,
        n_levels: int = 4,
        n_rounds: int = 2,
        n_words: int = 256,
        max_side: int = 1024,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_shapes = n_shapes
        self.n_cells = n_cells
        self.n_levels = n_levels
        self.n_rounds = n_rounds
        self.n_words = n_words
        self.max_side = max_side
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, images: Sequence[ImageLike], objects: Sequence[Objects], *, strict: bool = False) -> Self:
        """Learn from images and what is marked on them.

        Parameters
        ----------
        images : sequence of paths or arrays
        objects : sequence of Objects
            Of each image. Boxes that reach out of their image are cut to it; an image may have none.
        strict : bool, default False
            Raise the error of an image that cannot be read, instead of leaving the image out.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, images and objects differ in number, or a box lies wholly outside of its
            image.
        CvbowError
            If no image could be read, or no object is marked on any.
        """
        started = time.perf_counter()
        self.check_params()
        images = check_images(images, minimum=1)
        _check_objects(objects, len(images))
        with stages({"read": 1, "windows": 20, "words": 5, "second look": 20}) as begin:
            begin("read")
            sizes = list(run(Sizes(), images, n_jobs=self.n_jobs, task="read", total=len(images)))
            self.skipped_: list[ImageError] = [size for size in sizes if isinstance(size, ImageError)]
            if strict and self.skipped_:
                raise self.skipped_[0]
            rows = [row for row, size in enumerate(sizes) if not isinstance(size, ImageError)]
            if not rows:
                raise none_read(self.skipped_)
            marked = self._mark(images, objects, rows, sizes)
            images = [images[row] for row in rows]
            begin("windows")
            self.windows_, folds = learn_windows(
                images,
                marked,
                n_cells=int(self.n_cells),
                n_levels=int(self.n_levels),
                n_rounds=int(self.n_rounds),
                max_side=int(self.max_side),
                seed=int(self.random_state),
                n_jobs=self.n_jobs,
            )
            begin("words")
            seen = time.perf_counter()
            self.words_ = BoxWords(int(self.n_words)).fit(images, seed=int(self.random_state), n_jobs=self.n_jobs)
            begin("second look")
            worded = time.perf_counter()
            step = -(-len(images) * LEARNED_FROM // _VECTORS)
            items = [(number, images[number], marked[number]) for number in range(0, len(images), step)]
            gather = Gather([self._finder(windows) for windows in folds])
            candidates = list(run(gather, items, n_jobs=self.n_jobs, task="second look", total=len(items)))
            of_fold = np.array([number % len(folds) for number, _, _ in items])
            self.looks_ = [
                SecondLook(number).fit([each[number] for each in candidates], of_fold)
                for number in range(len(self.classes_))
            ]
        ended = time.perf_counter()
        self.seconds_ = {
            "windows": seen - started,
            "words": worded - seen,
            "second look": ended - worded,
            "total": ended - started,
        }
        return self

    def _mark(
        self, images: Sequence[ImageLike], objects: Sequence[Objects], rows: Sequence[int], sizes: Sequence[Any]
    ) -> list[Marked]:
        """Return what is marked on the images at ``rows``, at their working sizes, and set what is counted."""
        cut, n_cut = [], 0
        for row in rows:
            try:
                cut.append(objects[row].within(*sizes[row]))
            except ValueError as error:
                raise ValueError(f"{path_of(images[row]) or f'image {row}'}: {error}") from None
            n_cut += int((cut[-1].boxes != objects[row].boxes).any(axis=1).sum())
        if n_cut:
            note(f"{counted(n_cut, 'box')} cut at the border of the image")
        names = {name for each in cut for name in each.classes[~each.ignored].tolist()}
        if not names:
            raise CvbowError(f"no object is marked on any of the {len(rows)} images")
        self.classes_ = np.array(sorted(names))
        factors = [max(1.0, max(sizes[row]) / self.max_side) for row in rows]
        marked = assign(cut, factors, self.classes_.tolist(), int(self.n_shapes))
        self.n_images_, self.n_objects_ = len(rows), sum(int((~each.ignored).sum()) for each in cut)
        for number, name in enumerate(self.classes_.tolist()):
            boxes = np.concatenate([each.boxes[each.classes == number] for each in marked])
            side = float(np.median(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))))
            if side < _SMALL and max(factors) > 1:
                note(f"class {name}: half of the objects are below {side:.0f} pixels; a larger max_side would help")
        return marked

    def _finder(self, windows: Sequence[Window]) -> Finder:
        return Finder(windows, self.words_, len(self.classes_), int(self.n_levels), int(self.max_side))

    def detect(self, images: Sequence[ImageLike]) -> list[Objects]:
        """Return the objects of each image, by falling score; ImageError for the first image that cannot be read.

        A score is the probability that a box is an object of its class. All that is worth a second look is returned,
        however small its score.
        """
        found = []
        for each in self.stream(check_images(images)):
            if isinstance(each, ImageError):
                raise each
            found.append(each)
        return found

    def stream(self, images: Sequence[ImageLike]) -> Generator[Objects | ImageError, None, None]:
        """Yield the objects of each image, in order, or the error of one that cannot be read."""
        check_is_fitted(self, "looks_")
        images = check_images(images)
        yield from run(_Detect(self), images, n_jobs=self.n_jobs, task="detect", total=len(images))

    def detect_image(self, image: ImageLike) -> Objects:
        """Return the objects of one image, as ``detect`` does."""
        check_is_fitted(self, "looks_")
        read = read_working(image, int(self.max_side))
        height, width = read.pixels.shape[:2]
        parts: list[Objects] = []
        for (boxes, vectors), look in zip(
            self._finder(self.windows_).propose(read.pixels, MOST), self.looks_, strict=True
        ):
            if len(boxes):
                moved = np.clip(look.move(vectors, boxes), 0, [width, height, width, height])
                # One that would be moved out of the image stays where it is.
                moved = np.where((moved[:, 2:] > moved[:, :2]).all(axis=1, keepdims=True), moved, boxes)
                scores = look.decide(vectors)
                kept = suppress(moved, scores, look.overlap_)
                name = str(self.classes_[look.class_index])
                parts.append(Objects.of(np.clip(moved[kept] * read.factor, 0, [*read.size] * 2), name, scores[kept]))
        if not parts:
            return Objects.of()
        boxes, classes, scores = (
            np.concatenate([getattr(part, field) for part in parts]) for field in ("boxes", "classes", "scores")
        )
        order = np.argsort(-scores, kind="stable")
        return Objects.of(boxes[order], classes[order], scores[order])

    def summary(self) -> dict[str, Any]:
        """Return what a model file says of the detector to whoever does not build it."""
        classes = self.classes_.tolist()
        return {
            "classes": classes,
            "n_images": int(self.n_images_),
            "n_objects": int(self.n_objects_),
            "windows": {
                name: ", ".join(
                    f"{rows} x {columns} cells"
                    for rows, columns in (window.shape for window in self.windows_ if window.class_index == number)
                )
                for number, name in enumerate(classes)
            },
            "n_words": self.words_.n_values,
            "max_side": int(self.max_side),
        }

    def work_with(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        for name, minimum in (("n_shapes", 1), ("n_cells", 4), ("n_levels", 1), ("n_rounds", 0), ("n_words", 2)):
            check_int(name, getattr(self, name), minimum=minimum)
        check_int("max_side", self.max_side, minimum=64)
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "looks_" not in vars(self):
            return
        if self.classes_.dtype.kind != "U":
            raise ValueError("classes_ must be texts")
        for name in ("n_images_", "n_objects_"):
            check_int(name, vars(self).get(name), minimum=1)
        if not self.windows_ or not all(isinstance(window, Window) for window in self.windows_):
            raise ValueError("windows_ must be windows, at least one")
        if not all(isinstance(look, SecondLook) for look in self.looks_):
            raise ValueError("looks_ must be second looks")
        n_classes = len(self.classes_)
        if [look.class_index for look in self.looks_] != list(range(n_classes)):
            raise ValueError("looks_ must be one for each of classes_")
        if {window.class_index for window in self.windows_} != set(range(n_classes)):
            raise ValueError("windows_ must be of classes_, one or more for each")
        n = n_values(self.words_.n_values)
        if any(len(look.weights_) != n for look in self.looks_):
            raise ValueError(f"looks_ must have {n} weights each, as there are words")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tag_images(tags.input_tags)
        return tags


@dataclass(frozen=True)
class _Detect:
    """Detects in one image; picklable."""

    detector: ObjectDetector

    def __call__(self, image: ImageLike) -> Objects | ImageError:
        found: Objects | ImageError = try_image(image, lambda: self.detector.detect_image(image))
        return found


def _check_objects(objects: Sequence[Objects], n_images: int) -> None:
    if isinstance(objects, Objects) or not isinstance(objects, Sequence):
        raise ValueError(f"objects must be a sequence of Objects, one for each image, got {type(objects).__name__}")
    if len(objects) != n_images:
        raise ValueError(f"objects must be as many as images, {n_images}, got {len(objects)}")
    for place, each in enumerate(objects):
        if not isinstance(each, Objects):
            raise ValueError(f"objects must be Objects, got {type(each).__name__} at position {place}")
