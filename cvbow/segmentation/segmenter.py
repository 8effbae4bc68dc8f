"""From images and masks to a model that tells the class of every pixel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int, check_part, check_real
from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images, path_of, try_image
from cvbow.classify import make_classifier
from cvbow.errors import CvbowError, ImageError
from cvbow.model_files import ModelFile
from cvbow.parallel import run, single_threaded
from cvbow.progress import note, stages
from cvbow.segmentation._context import context
from cvbow.segmentation._known import Known, LearnMask, name_of, read_pair
from cvbow.segmentation._rounds import Rounds, class_probabilities
from cvbow.segmentation._smoothing import smooth, to_pixels
from cvbow.segmentation.describer import SuperPixelDescriber, read_color
from cvbow.segmentation.masks import UNKNOWN, MaskLike, check_class_names
from cvbow.segmentation.measures import SegmentationReport, boundary_f, count_pixels, ious, mean_of
from cvbow.segmentation.segmented import Segmented
from cvbow.storage import Array, ClassNames, Learned, Number, Part, storable


@storable
class Segmenter(ModelFile, BaseEstimator):  # type: ignore[misc]
    """Tells the class of every pixel, learned from masks or from scribbles.

    An image is cut into super-pixels. Each is described by colour, texture, place and the visual words of its
    neighbourhood; a classifier gives it probabilities. Further classifiers, one after the other, also see what the last
    one thinks of its surroundings: of the neighbours, of all that has the same colour in this image, and of places in
    eight directions around it. So what a thing looks like as a whole counts. All learn from what others, which have not
    seen the image, say of it. At last neighbours that are alike are drawn to each other, and borders to edges.

    Parameters
    ----------
    classifier : str or estimator, default "boosted-trees"
        A name from ``CLASSIFIERS``, or a classifier of scikit-learn's kind with ``predict_proba``; values are not
        scaled, so of the linear ones "standardized-svm" fits.
    superpixel_size : int, default 10
        Side of a super-pixel in pixels.
    max_side : int, default 480
        Images whose longer side is above this are shrunk to it to be described; answers are as large as the image.
    n_words : int, default 128
        Visual words.
    n_directions : int, default 48
        Main directions of the words' shares, which stand for them.
    n_rounds : int, default 3
        Classifiers one after the other; 1 is without context.
    n_folds : int, default 3
        Parts of the images; each round has a classifier for each, which learns from the others, and their mean answers.
    sample : int, default 50,000
        Super-pixels that a classifier learns from, at most.
    smoothing : float, default 1.0
        How much neighbours are drawn to each other; 0 for not at all.
    unknown : int or None, default 255
        The value of mask pixels that nobody has said anything about; None where every pixel is of a class.
    n_jobs : int or None, default None
        Workers; they change no bit of the result.
    random_state : int, default 0

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), int64
        Values of the masks.
    class_names_ : list of str
    describer_ : SuperPixelDescriber
    rounds_ : list of list
        The classifiers of each round, one for each part.
    factors_ : ndarray of shape (n_classes,), float64
        Of the probabilities, where the largest decides: those that gave the best mean intersection over union on images
        that classifiers had not seen; 1 where most pixels are unknown, which says nothing of how large classes are.
    n_images_ : int
    skipped_ : list of ImageError
        What could not be read of images and masks.
    seconds_ : float

    Notes
    -----
    Learning holds the descriptions of all images, half a megabyte for an image of 320 x 240 pixels; answering holds one
    image for each worker.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Segmenter
    >>> random = np.random.default_rng(0)
    >>> images, masks = [], []
    >>> for left in (10, 20, 30, 40):
    ...     image, mask = random.integers(0, 99, (60, 80, 3), np.uint8), np.zeros((60, 80), np.uint8)
    ...     image[15:45, left : left + 30, 0], mask[15:45, left : left + 30] = 255, 1
    ...     images.append(image)
    ...     masks.append(mask)
    >>> model = Segmenter(n_rounds=2).fit(images[1:], masks[1:], classes=["rest", "red"])
    >>> found = model.predict(images[0])
    >>> found.dtype, bool((found == masks[0]).mean() > 0.95), model.class_names_
    (dtype('uint8'), True, ['rest', 'red'])
    """

    file_kind: ClassVar[str] = "segmenter"
    called: ClassVar[str] = "segmenter"
    learned_last: ClassVar[str] = "rounds_"
    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "skipped_": None, "seconds_": None}
    learned: ClassVar[Mapping[str, Learned]] = {
        "classes_": ClassNames(),
        "describer_": Part(SuperPixelDescriber),
        "factors_": Array("float64", "n_classes", above=0),
        "n_images_": Number(integer=True, minimum=1),
    }

    def __init__(
        self,
        classifier: Any = "boosted-trees",
        *,
        superpixel_size: int = 10,
        max_side: int = 480,
        n_words: int = 128,
        n_directions: int = 48,
        n_rounds: int = 3,
        n_folds: int = 3,
        sample: int = 50_000,
        smoothing: float = 1.0,
        unknown: int | None = UNKNOWN,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.classifier = classifier
        self.superpixel_size = superpixel_size
        self.max_side = max_side
        self.n_words = n_words
        self.n_directions = n_directions
        self.n_rounds = n_rounds
        self.n_folds = n_folds
        self.sample = sample
        self.smoothing = smoothing
        self.unknown = unknown
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self,
        images: Sequence[ImageLike],
        masks: Sequence[MaskLike],
        *,
        classes: Sequence[str] | None = None,
        strict: bool = False,
    ) -> Self:
        """Learn from images and their masks.

        Parameters
        ----------
        images : sequence of paths or arrays
        masks : sequence of paths or arrays of shape (H, W)
            One for each image, of its size: the values are the classes, and ``unknown`` is what nobody has said
            anything about. Scribbles are masks of which most is unknown.
        classes : sequence of str, optional
            Names of the values 0, 1, 2 and so on; by default they are called by their values.
        strict : bool, default False
            Raise the error of an image or mask that cannot be read, instead of leaving both out.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or there are not as many masks as images.
        CvbowError
            If nothing can be read, or all that is known is of one class.
        """
        started = time.perf_counter()
        self.check_params()
        images, masks = check_images(images, minimum=1), list(masks)
        if len(images) != len(masks):
            raise ValueError(f"images and masks must be as many, got {len(images)} and {len(masks)}")
        names = None if classes is None else check_class_names(classes)
        with stages({"words": 2, "describe": 2, "rounds": 3}) as begin:
            begin("words")
            self.describer_ = self._describer().fit(images)
            begin("describe")
            learn = LearnMask(self.describer_, self.unknown, None if names is None else len(names))
            pairs = list(zip(images, masks, strict=True))
            found = list(run(learn, pairs, n_jobs=self.n_jobs, task="describe", total=len(pairs)))
            self.skipped_: list[ImageError] = [one for one in found if isinstance(one, ImageError)]
            if strict and self.skipped_:
                raise self.skipped_[0]
            known = [one for one in found if isinstance(one, Known)]
            if not known:
                raise CvbowError(f"none of the {len(images)} images could be used; the first: {self.skipped_[0]}")
            self._take_classes(known, names)
            self.n_images_ = len(known)
            begin("rounds")
            rounds = Rounds(
                self._make_classifier(),
                self.n_rounds,
                self.n_folds,
                self.sample,
                self.smoothing,
                self.n_jobs,
                self.random_state,
            )
            self.rounds_, self.factors_ = rounds.learn(known, self.classes_)
        self.seconds_ = time.perf_counter() - started
        return self

    def _describer(self) -> SuperPixelDescriber:
        return SuperPixelDescriber(
            superpixel_size=self.superpixel_size,
            max_side=self.max_side,
            n_words=self.n_words,
            n_directions=self.n_directions,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        )

    def _take_classes(self, known: Sequence[Known], names: Sequence[str] | None) -> None:
        """Set the classes, from names or from what the masks have."""
        present = np.flatnonzero(np.sum([np.asarray(one.counts.sum(axis=0)).ravel() for one in known], axis=0))
        if len(present) < 2:
            have = f"all are of the value {present[0]}" if len(present) else "there are none"
            told = "" if self.unknown is None else f"; {self.unknown} stands for what is unknown"
            raise CvbowError(f"masks must have pixels of at least two classes, and {have}{told}")
        self.classes_ = np.arange(len(names)) if names is not None else present.astype(np.int64)
        self.class_names_ = list(names) if names is not None else [str(value) for value in present]
        for value in np.setdiff1d(self.classes_, present):
            note(f"class {self.class_names_[value]}: no pixel has its value, {value}")

    def _make_classifier(self) -> Any:
        return make_classifier(self.classifier) if isinstance(self.classifier, str) else clone(self.classifier)

    def predict(self, image: ImageLike) -> NDArray[np.uint8]:
        """Return the mask of an image: the class value of each pixel, (H, W).

        ImageError if it cannot be read.
        """
        return self.segment(image).mask()

    def predict_proba(self, image: ImageLike) -> NDArray[np.float32]:
        """Return the probability of each class at each pixel, (n_classes, H, W), in the order of ``classes_``."""
        return self.segment(image).probabilities()

    def segment(self, image: ImageLike) -> Segmented:
        """Return what is found on an image, from which mask, probabilities and uncertainty follow.

        ImageError if it cannot be read.
        """
        check_is_fitted(self, "rounds_")
        found = try_image(image, lambda: self._segment(image))
        if isinstance(found, ImageError):
            raise found
        return found  # type: ignore[no-any-return]

    def segment_images(self, images: Sequence[ImageLike]) -> Iterator[Segmented | ImageError]:
        """Yield what is found on each image, or the error that says why it could not be read.

        No more than a few images for each worker are held at a time.
        """
        check_is_fitted(self, "rounds_")
        yield from run(_Segment(self), images, n_jobs=self.n_jobs, task="segment", total=len(images))

    def _segment(self, image: ImageLike) -> Segmented:
        pixels = read_color(image)
        n_classes = len(self.classes_)
        with single_threaded():
            described, own = self.describer_.describe(pixels)
            values, probabilities = own, np.zeros((len(own), n_classes), np.float32)
            for number, classifiers in enumerate(self.rounds_):
                if number:
                    values = np.hstack([own, context(described, described.near, probabilities)])
                answers = [class_probabilities(one, values, n_classes) for one in classifiers]
                probabilities = np.mean(answers, axis=0, dtype=np.float32)
            smoothed = smooth(described, probabilities, self.smoothing)
            planes = to_pixels(self.describer_.shrunk(pixels), described, smoothed)
        return Segmented(planes, (pixels.shape[0], pixels.shape[1]), self.classes_, self.factors_)

    def evaluate(
        self, images: Sequence[ImageLike], masks: Sequence[MaskLike], *, strict: bool = False
    ) -> SegmentationReport:
        """Judge the masks that are found by the true ones.

        Images, masks and errors are as for ``fit``; a mask with a value that is no class of the model cannot be used.
        What was left out is in the report's ``skipped``.
        """
        check_is_fitted(self, "rounds_")
        images, masks = check_images(images, minimum=1), list(masks)
        if len(images) != len(masks):
            raise ValueError(f"images and masks must be as many, got {len(images)} and {len(masks)}")
        tasks = list(zip(images, masks, strict=True))
        judged: list[dict[str, Any]] = []
        skipped: list[ImageError] = []
        confusion = np.zeros((len(self.classes_),) * 2, np.int64)
        for one in run(_Judge(self), tasks, n_jobs=self.n_jobs, task="evaluate", total=len(tasks)):
            if isinstance(one, ImageError):
                if strict:
                    raise one
                skipped.append(one)
                continue
            confusion += one.pop("confusion")
            judged.append(one)
        if not judged:
            raise CvbowError(f"none of the {len(images)} images could be judged; the first: {skipped[0]}")
        borders = float(np.mean([one["boundary_f"] for one in judged]))
        return SegmentationReport(tuple(self.class_names_), confusion, borders, tuple(judged), tuple(skipped))

    def summary(self) -> dict[str, Any]:
        classifier = self.classifier if isinstance(self.classifier, str) else type(self.classifier).__name__
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name != "n_jobs"}
        return {
            "recipe": {**parameters, "classifier": classifier},
            "classes": list(self.class_names_),
            "n_images": int(self.n_images_),
            "n_words": len(self.describer_.dictionary_.words_),
        }

    def work_with(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        classifier = self._make_classifier() if isinstance(self.classifier, str) else self.classifier
        if not (hasattr(classifier, "fit") and hasattr(classifier, "predict_proba")):
            raise ValueError(f"classifier must be one with predict_proba, got {self.classifier!r}")
        check_part(classifier)
        self._describer().check_params()
        check_int("n_rounds", self.n_rounds, minimum=1)
        check_int("n_folds", self.n_folds, minimum=2)
        check_int("sample", self.sample, minimum=100)
        check_real("smoothing", self.smoothing, minimum=0)
        check_int("unknown", self.unknown, minimum=0, none=True)
        if self.unknown is not None and self.unknown > 255:
            raise ValueError(f"unknown must be None or an integer in 0 to 255, got {self.unknown!r}")

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "rounds_" not in vars(self):
            return
        if self.classes_.dtype != np.int64 or self.classes_.min() < 0 or self.classes_.max() > 255:
            raise ValueError("classes_ must be values in 0 to 255")
        names: Any = vars(self).get("class_names_")
        if not isinstance(names, list) or len(names) != len(self.classes_):
            raise ValueError("class_names_ must be a list with a name for each of classes_")
        check_class_names(names)
        rounds: Any = self.rounds_
        if not isinstance(rounds, list) or not rounds or not all(isinstance(one, list) and one for one in rounds):
            raise ValueError("rounds_ must be a list of lists of classifiers")
        # Parts that fit together answer for an image.
        self._segment(np.zeros((8, 8, 3), np.uint8))


@dataclass(frozen=True, eq=False)
class _Segment:
    """Segments an image, or tells why it cannot be read."""

    model: Segmenter

    def __call__(self, image: ImageLike) -> Segmented | ImageError:
        found: Segmented | ImageError = try_image(image, lambda: self.model._segment(image))
        return found


@dataclass(frozen=True, eq=False)
class _Judge:
    """Compares what is found on an image with its mask."""

    model: Segmenter

    def __call__(self, task: tuple[ImageLike, MaskLike]) -> dict[str, Any] | ImageError:
        image, mask = task
        found: dict[str, Any] | ImageError = try_image(image, lambda: self._judged(image, mask))
        return found

    def _judged(self, image: ImageLike, mask: MaskLike) -> dict[str, Any]:
        model = self.model
        pixels, values = read_pair(image, mask)
        place = np.full(256, -2, np.int16)  # small, as there may be many pixels
        place[model.classes_] = np.arange(len(model.classes_))
        if model.unknown is not None:
            place[model.unknown] = -1
        truth = place[values]
        if (truth == -2).any():
            value = int(values[truth == -2][0])
            told = ", ".join(f"{one} ({name})" for one, name in zip(model.classes_, model.class_names_, strict=True))
            raise ImageError(name_of(mask, image), f"the mask has the value {value}, and the classes are {told}")
        found = place[model._segment(pixels).mask()]
        confusion = count_pixels(truth, found, len(model.classes_))
        each = ious(confusion)
        return {
            "path": path_of(image),
            "iou": dict(zip(model.class_names_, each, strict=True)),
            "mean_iou": mean_of(each),
            "pixel_accuracy": float(confusion.trace() / max(confusion.sum(), 1)),
            "boundary_f": boundary_f(truth, found),
            "confusion": confusion,
        }
