"""From images and labels to a classifier that answers, is judged, saved and loaded."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from cvbow._checks import check_choice, check_int, check_part
from cvbow.augmentation import ImageAugmenter
from cvbow.backends import EncodedImages, ImageEncoder, ImageLike
from cvbow.backends.fitting import LEARNING
from cvbow.backends.loading import check_images, load_source, try_image
from cvbow.classify._any_classifier import (
    classifier_name,
    fit_parameters,
    has_method,
    last_step,
    learns_from_files,
    limit_neighbors,
    linear_weights,
    plain_arrays,
    weights_at,
)
from cvbow.classify._augmented import check_augmentation, with_copies
from cvbow.classify._labels import HeldOut
from cvbow.classify._seen import NO_DIGEST, digests
from cvbow.classify._taught import Taught, labelled, take, take_for
from cvbow.classify._temperature import softmax
from cvbow.classify._training_vectors import check_folder, part_of, room
from cvbow.classify.answers import Answers
from cvbow.classify.chooser import Chosen, ModelChooser
from cvbow.classify.kept_images import KeptImages, NearImage
from cvbow.classify.label_sets import LabelSets
from cvbow.classify.multi_label import MultiLabelClassifier
from cvbow.classify.one_against_rest import OneAgainstRestClassifier
from cvbow.classify.prediction_sets import COVERAGE, PredictionSets
from cvbow.classify.registry import make_classifier
from cvbow.classify.strangers import FALSE_ALARMS, Strangers
from cvbow.encoders import WordTable
from cvbow.errors import CvbowError, ImageError, none_read
from cvbow.images import ImageList, check_background, reading_as
from cvbow.model_files import ModelFile
from cvbow.parallel import cut, default_jobs
from cvbow.progress import detail, note, stages, tracked
from cvbow.storage import Array, ClassNames, Learned, Part, storable
from cvbow.tables import counted, shares, some, views_used

#: Those whose decisions have probabilities of their own.
_CALIBRATED = (OneAgainstRestClassifier, MultiLabelClassifier)
#: Bytes of vectors that are held to answer.
_VECTORS_AT_ONCE = 1 << 30


@storable
class ImageClassifier(ModelFile, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A backend that turns images into vectors, and a classifier of vectors.

    Parameters
    ----------
    backend : ImageEncoder or ModelChooser
        ``BagEncoder`` or another backend; or what chooses one by the images that ``fit`` gets, as ``make_model`` gives.
    classifier : str, estimator or None, default "linear-svm"
        A name from the registry (``CLASSIFIERS``), or any scikit-learn classifier. None: the one that is chosen with
        the backend.
    recipe : mapping or None, default None
        What to say about the model's making in ``cvbow info``: plain values. The presets fill it in.
    augmenter : ImageAugmenter or None, default None
        Transforms for the copies; it may transform only, not normalise.
    n_augmented : int, default 0
        The classifier learns from each image and so many randomly transformed copies of it, made on the fly where they
        are encoded. The backend, and with it the dictionary, learns from the images as they are. How a copy comes out
        follows from the image's position among the training images, the copy's number and ``augment_seed``.
    augment_seed : int, default 0
    background : str, default "white"
        What transparent images are laid onto, in learning and in answering: a colour as ``Reading`` takes it.
    n_kept : int, default 0
        Training images that the model keeps at most, as thumbnails and short vectors, so that an explanation shows the
        nearest of them.
    vectors : path or None, default None
        A folder: the vectors that the classifier learns from go to a temporary file there, of two bytes a value
        (float16), instead of memory. The classifier has to learn in passes over a file, as the linear ones do
        (``learns_from_files``). None holds vectors of up to 2**30 values, 4 GiB, in memory; of more, such a classifier
        learns from a file in the system's folder for temporary files. A model does not tell which folder it was.

    Attributes
    ----------
    backend_, classifier_ : the fitted parts
        Without the channels of a ``ChannelUnion`` that the classifier does not use (``LinearSVM``'s ``shares``,
        ``FusionClassifier``'s ``weights``), and without the views of ``MultiCrop`` that its answers do not need.
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    recipe_ : mapping or None
        What to say of the making of a model that was chosen; None of any other, whose ``recipe`` says it.
    kept_ : KeptImages or None
    sets_ : PredictionSets or None
        What ``predict_set`` makes sets by; None where the classifier left no images out as it learned, and of models
        from before there were sets.
    strangers_ : Strangers or None
        What tells images that are like none of the training images; None of models from before there was that.
    seen_ : ndarray of shape (n,), uint64, or None
        Digests of the contents of the training images, in ascending order; None of models from before these were kept.
    skipped_ : list of ImageError
        Training images that could not be read.
    seconds_ : dict
        Time taken to ``choose`` (of a model that was chosen), by ``extract`` (drawing the sample), ``dictionary``,
        ``encode``, ``classifier`` and in ``total``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
    >>> random = np.random.default_rng(0)
    >>> fine = [random.integers(0, 256, (32, 32), np.uint8) for _ in range(6)]
    >>> coarse = [image[:8, :8].repeat(4, 0).repeat(4, 1) for image in fine]
    >>> backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=10)))
    >>> model = ImageClassifier(backend, "linear-svm").fit(fine[1:] + coarse[1:], ["fine"] * 5 + ["coarse"] * 5)
    >>> model.predict([fine[0], coarse[0]]).tolist()
    ['fine', 'coarse']
    """

    backend_: ImageEncoder
    # Models that were not chosen have no such value, and neither do their files.
    recipe_: Mapping[str, Any] | None = None
    file_kind: ClassVar[str] = "classifier"
    called: ClassVar[str] = "image classifier"
    learned_last: ClassVar[str] = "classifier_"
    transient: ClassVar[Mapping[str, Any]] = {"vectors": None, "skipped_": None, "seconds_": None}
    learned: ClassVar[Mapping[str, Learned]] = {
        "backend_": Part(ImageEncoder),
        "classifier_": Part(object, method="predict"),
        "classes_": ClassNames(optional=True),
        "kept_": Part(KeptImages, only_if="n_kept"),
        "sets_": Part(PredictionSets, optional=True),
        "strangers_": Part(Strangers, optional=True),
        "seen_": Array("uint64", "n_seen", optional=True),
    }
    # Model files from before there was augmentation have no such values.
    augmenter: ImageAugmenter | None = None
    n_augmented: int = 0
    augment_seed: int = 0
    added: ClassVar[Mapping[str, Any]] = {"background": "white", "n_kept": 0, "vectors": None}
    kept_: KeptImages | None = None
    sets_: PredictionSets | None = None
    strangers_: Strangers | None = None
    seen_: NDArray[np.uint64] | None = None

    def __init__(
        self,
        backend: ImageEncoder | ModelChooser,
        classifier: Any = "linear-svm",
        *,
        recipe: Mapping[str, Any] | None = None,
        augmenter: ImageAugmenter | None = None,
        n_augmented: int = 0,
        augment_seed: int = 0,
        background: str = "white",
        n_kept: int = 0,
        vectors: Any = None,
    ) -> None:
        self.backend = backend
        self.classifier = classifier
        self.recipe = recipe
        self.augmenter = augmenter
        self.n_augmented = n_augmented
        self.augment_seed = augment_seed
        self.background = background
        self.n_kept = n_kept
        self.vectors = vectors

    def fit(
        self,
        images: Sequence[ImageLike] | ImageList,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        strict: bool = False,
    ) -> Self:
        """Learn from labelled images.

        Parameters
        ----------
        images : sequence of paths or arrays, or ImageList
            As ``list_images`` gives it, an ImageList brings the labels along.
        y : array of shape (n_images,), or sequence of (list, tuple or set of labels), or indicator matrix
            The class of each image; or the labels that each has, of which there may be several or none: then the model
            tells for each label which images have it, see ``MultiLabelClassifier``. The columns of a matrix
            (n_images, k) are the labels 0 to k - 1, or called as those of a data frame.
        sample_weight : array of shape (n_images,) or None, default None
            How much each image counts for the classifier, which has to take such weights; its augmented copies share
            its weight. The backend learns from all images alike.
        strict : bool, default False
            Raise the error of an image that cannot be read, instead of leaving the image out.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, images, labels and weights differ in number, the labels are no classes,
            there are weights and the classifier takes none, or a folder for vectors and it learns from no file.
        CvbowError
            If fewer than two classes have an image of weight above 0 that can be read, or the disk has not enough room
            for the vectors; both before anything is encoded, as far as it is known.
        """
        self.check_params()
        images, y = labelled(images, y)
        taught = take(y, len(images))
        taught.check_names()
        _need_two_classes(taught, "the images")
        # About as long as so many images take to be encoded.
        weights = {
            "choose": 50 if isinstance(self.backend, ModelChooser) else 0,
            "words": min(len(images), 1000) + LEARNING,
            "encode": (self.n_augmented + 1) * len(images),
            "classifier": 10 + len(images) / 10,
            "note images": 1,
        }
        with stages(weights) as begin:
            return self._fit(images, taught, sample_weight, strict, begin)

    def _fit(
        self,
        images: Sequence[ImageLike],
        taught: Taught,
        sample_weight: ArrayLike | None,
        strict: bool,
        begin: Callable[[str], None],
    ) -> Self:
        started = time.perf_counter()
        if "recipe_" in vars(self):
            del self.recipe_
        backend, classifier, chosen = self.backend, self.classifier, started
        if isinstance(backend, ModelChooser):
            found = self._choose(backend, images)
            backend, self.recipe_, chosen = found.backend, dict(found.recipe), time.perf_counter()
            classifier = found.classifier if classifier is None else classifier
        classifier = make_classifier(classifier) if isinstance(classifier, str) else clone(classifier)
        check_part(classifier)
        weights = np.ones(len(taught))
        if sample_weight is not None:
            if not fit_parameters(classifier, {"sample_weight": None}):
                raise ValueError(f"sample_weight must be None: {classifier_name(classifier)} takes no weights")
            weights = _image_weights(sample_weight, len(taught))
        _need_two_classes(taught.part(weights > 0), "the images")
        classifier = taught.learner(classifier)
        check_part(classifier)
        by_passes = learns_from_files(classifier)
        if self.vectors is not None and not by_passes:
            name = classifier_name(classifier)
            raise ValueError(f"vectors must be None: {name} learns from no file; linear-svm, for one, does")
        check_folder(self.vectors)
        begin("words")
        with reading_as(background=self.background):
            self.backend_ = clone(backend).fit(images)
        if strict and self.backend_.skipped_:
            raise self.backend_.skipped_[0]
        learned = time.perf_counter()
        n_copies = self.n_augmented + 1
        begin("encode")
        out = room(n_copies * len(images), self.backend_.vector_length, self.vectors, by_passes=by_passes)
        with reading_as(background=self.background):
            encoded = with_copies(self.backend_, images, self.augmenter, n_copies, self.augment_seed, strict, out)
        self.skipped_: list[ImageError] = encoded.skipped
        taught, weights = taught.part(encoded.rows), weights[encoded.rows]
        _need_two_classes(taught.part(weights > 0), f"the {len(taught)} images that could be read")
        done = time.perf_counter()
        begin("classifier")
        for doubt in encoded.doubtful:
            note(f"{doubt}; it is kept")
        for line in taught.doubts():
            note(line)
        n_vectors, length = encoded.vectors.shape
        detail(f"classifier: {n_vectors} vectors of {length} values, {len(taught.counts)} classes")
        wanted = limit_neighbors(classifier, n_vectors)
        if wanted is not None:
            note(f"classifier: only {n_vectors} neighbours instead of {wanted}")
        told = self._told(n_copies)
        per_image = n_copies * self.backend_.n_views
        if sample_weight is not None:
            told["sample_weight"] = weights.repeat(per_image)
        told = fit_parameters(classifier, told)
        with plain_arrays(), default_jobs(self.backend_.n_jobs):
            self.classifier_ = classifier.fit(self._by_view(encoded.vectors), taught.repeated(per_image), **told)
        slices = self.backend_.channel_slices
        self._take_classifier()
        # A classifier may hold on to vectors in memory: those of a file are nobody's any more.
        is_free = out is not None
        rows = np.arange(0, n_vectors, n_copies)
        whole = part_of(encoded.vectors, rows, self._columns_of_whole(slices), in_place=is_free)
        self.kept_ = self._keep(images, encoded, whole, taught.texts) if self.n_kept else None
        counted = np.flatnonzero(weights > 0)
        whole = part_of(whole, counted, np.arange(whole.shape[1]), in_place=is_free)
        with plain_arrays():
            self.strangers_ = self._learn_strangers(whole, taught.part(counted))
        begin("note images")
        seen = np.setdiff1d(digests([images[row] for row in encoded.rows], self.backend_.n_jobs), [NO_DIGEST])
        self.seen_ = seen if len(seen) else None
        ended = time.perf_counter()
        self.seconds_ = {
            **({} if self.recipe_ is None else {"choose": chosen - started}),
            **(self.backend_.seconds_ or {"extract": 0.0, "dictionary": learned - chosen}),
            "encode": done - learned,
            "classifier": ended - done,
            "total": ended - started,
        }
        return self

    @classmethod
    def of_parts(cls, backend: ImageEncoder, classifier: Any) -> Self:
        """Return the model of a fitted backend and of a classifier that has learned vectors of this backend.

        The parts become the model's, which may drop from the classifier what it does not use: channels without a share.

        Examples
        --------
        >>> import numpy as np
        >>> from cvbow import ImageClassifier, LinearSVM
        >>> from cvbow.backends import ColorHistogram
        >>> images = [np.full((8, 8, 3), value, np.uint8) for value in (0, 250, 10, 255)]
        >>> backend = ColorHistogram().fit(images)
        >>> svm = LinearSVM().fit(backend.transform(images), ["black", "white"] * 2)
        >>> ImageClassifier.of_parts(backend, svm).predict(images[:2]).tolist()
        ['black', 'white']
        """
        model = cls(backend, classifier)
        model.check_params()
        model.backend_, model.classifier_ = backend, classifier
        model._take_classifier()
        return model

    def _take_classifier(self) -> None:
        """Take over what the classifier has learned besides its decisions."""
        self.classes_ = self.classifier_.classes_
        last = last_step(self.classifier_)[1]
        held_out: HeldOut | None = vars(last).get("held_out_") if isinstance(last, _CALIBRATED) else None
        self.sets_ = None
        if held_out is not None:
            probabilities = last.to_probabilities(held_out.decisions)
            sets = PredictionSets(several=held_out.labels.has is not None)
            has = held_out.labels.members(len(self.classes_))
            self.sets_ = sets.fit(probabilities, has, held_out.labels.counts)
        if isinstance(self.classifier_, _CALIBRATED):
            self._drop_unused(self.classifier_)

    def _keep(
        self,
        images: Sequence[ImageLike],
        encoded: EncodedImages,
        vectors: NDArray[Any],
        labels: NDArray[Any],
    ) -> KeptImages:
        """Return the images to keep, with the vectors (n, d) of the whole images."""
        read = [images[row] for row in encoded.rows]
        with reading_as(background=self.background):
            return KeptImages(self.n_kept).fit(read, vectors, labels, n_jobs=self.backend_.n_jobs)

    def _columns_of_whole(self, slices: Mapping[str, slice] | None) -> NDArray[np.intp]:
        """Return the columns of the whole images' channels that the backend still has; ``slices`` are of all it had."""
        kept = self.backend_.channel_slices
        if slices is None or kept is None:
            return np.arange(self.backend_.vector_length // self.backend_.n_views)
        return np.concatenate([np.r_[slices[name]] for name in kept])

    def _learn_strangers(self, vectors: NDArray[Any], taught: Taught) -> Strangers:
        """Return what tells strangers, by vectors of whole images."""
        slices = self.backend_.channel_slices
        learned = self.classifier_.shares_ if isinstance(self.classifier_, _CALIBRATED) else None
        weights = None if slices is None or learned is None else [learned[name] for name in slices]
        return Strangers().fit(vectors, taught.repeated(1), channels=slices, shares=weights)

    def nearest(self, vector: NDArray[np.float32]) -> list[NearImage]:
        """Return the nearest of the training images that the model keeps, for a vector (d,) of the backend.

        None are kept unless ``n_kept`` says so.
        """
        check_is_fitted(self, "classifier_")
        return [] if self.kept_ is None else self.kept_.nearest(self._of_whole(vector[None])[0])

    def _of_whole(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors (n, d) without what is of other views than the whole image."""
        return vectors[:, : vectors.shape[1] // self.backend_.n_views]

    def _drop_unused(self, classifier: OneAgainstRestClassifier | MultiLabelClassifier) -> None:
        """Say what was found to count, and have no vectors made any more of channels and views that do not."""
        if classifier.views_ is not None and self.backend_.n_views > 1:
            detail(f"views: {views_used(_views(classifier.views_))}")
            if classifier.views_[1] == 1:
                self.backend_ = self.backend_.first_view()
        if classifier.shares_ is not None:
            detail(f"channels: {', '.join(shares(classifier.shares_))}")
        used = classifier.drop_unused_channels()
        if used is not None:
            self.backend_ = self.backend_.keep(used)

    def predict(self, images: Sequence[ImageLike] | ImageList) -> NDArray[Any]:
        """Return the class of each image, (n_images,); ImageError for one that cannot be read.

        Where images have several labels, return an indicator matrix (n_images, n_classes).
        """
        return self._for_each(images, self._predict)

    def predict_proba(self, images: Sequence[ImageLike] | ImageList) -> NDArray[np.float64]:
        """Return class probabilities (n_images, n_classes), columns as ``classes_``.

        Of a classifier that has none, such as ``LinearSVC``, a softmax of its decisions, which nothing has calibrated.
        """
        return self._for_each(images, self._probabilities)

    def predict_set(self, images: Sequence[ImageLike] | ImageList, coverage: float = COVERAGE) -> list[list[Any]]:
        """Return for each image the labels of which the right one is with a probability of ``coverage``.

        The most probable first, of which there is one at least; of a model for several labels those that hold all that
        an image has, of which there may be none. See ``PredictionSets`` for what that holds for.

        CvbowError of a model that cannot tell; ImageError for an image that cannot be read; ValueError unless the
        coverage is in (0, 1).
        """
        sets = self._prediction_sets()
        probabilities = self._for_each(images, self._probabilities)
        return self._set_names(probabilities, sets.of(probabilities, coverage))

    def _prediction_sets(self) -> PredictionSets:
        check_is_fitted(self, "classifier_")
        if self.sets_ is None:
            name = classifier_name(self.classifier_)
            raise CvbowError(
                f"the model makes no sets of labels: an older cvbow trained it, or its classifier, a {name}, "
                "leaves no images out as it learns; linear-svm, for one, does"
            )
        return self.sets_

    def _set_names(self, probabilities: NDArray[np.float64], sets: NDArray[np.bool_]) -> list[list[Any]]:
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [self.classes_[row[held[row]]].tolist() for row, held in zip(order, sets, strict=True)]

    def decision_function(self, images: Sequence[ImageLike] | ImageList) -> NDArray[np.float64]:
        """Return the classifier's decisions (n_images, n_classes), or (n_images,) for a choice of two classes.

        A classifier that has none gives the logarithm of its probabilities.
        """
        return self._for_each(images, self._decisions)

    def score(
        self,
        images: Sequence[ImageLike] | ImageList,
        y: ArrayLike | None = None,
        sample_weight: NDArray[np.float64] | None = None,
    ) -> float:
        """Return the share of images that get their label, of those that can be read; a warning says how many cannot.

        So a search for parameters goes on beside a damaged file. With ``scoring`` by name it asks ``predict``, which
        must answer for every image: then take such files out first.

        The labels y (n_images,) are compared by value and errors raised as in ``evaluate``, but no image need be of a
        class that the model knows; ``sample_weight`` (n_images,) is how much each image counts.
        """
        check_is_fitted(self, "classifier_")
        images, y = labelled(images, y, minimum=1)
        taught = take_for(y, len(images), multilabel=self.multilabel)
        weights = None if sample_weight is None else _image_weights(sample_weight, len(images))
        read, predicted, skipped = [np.zeros(0, np.intp)], [], []
        for before, encoded in self._in_blocks(images, strict=False):
            skipped += encoded.skipped
            if len(encoded.rows):
                read.append(encoded.rows + before)
                predicted.append(self._predict(encoded.vectors))
        rows = _some_read(np.concatenate(read), skipped)
        if skipped:
            warnings.warn(
                f"{len(skipped)} of {len(images)} images cannot be read and are not judged; the first: {skipped[0]}",
                stacklevel=2,
            )
        right = taught.part(rows).is_right(self.classes_, np.concatenate(predicted))
        return float(np.average(right, weights=None if weights is None else weights[rows]))

    def evaluate(
        self, images: Sequence[ImageLike] | ImageList, y: ArrayLike | None = None, *, strict: bool = False
    ) -> tuple[Any, Answers]:
        """Evaluate the model on labelled images.

        Parameters
        ----------
        images : sequence of paths or arrays, or ImageList
        y : array of shape (n_images,)
            True labels, by position and value: a pandas Series counts in its order, and 1, 1.0 and True are one label.
            A text also stands for the class that is called so. Or labels as ``fit`` takes them, of images that may
            have several.
        strict : bool, default False
            As in ``fit``.

        Returns
        -------
        ClassificationReport, or LabelsReport where images have several labels
        Answers
            Image by image; those that could not be read were not judged.

        Raises
        ------
        ValueError
            If images and labels differ in number, or labels are missing or of another kind than the classes; or if
            there are several an image, and the model gives one.
        CvbowError
            If no image could be read, or none is of a class that the model knows.
        """
        images, y = labelled(images, y, minimum=1)
        taught = take_for(y, len(images), multilabel=self.multilabel)
        with stages({"encode": 50, "note images": 1}) as begin:
            predicted, answers = self._answers(images, strict)
            sets = None if self.sets_ is None else self.sets_.of(answers.probabilities, COVERAGE)
            report = taught.part(_some_read(answers.rows, answers.skipped)).report(
                self.classes_, answers.probabilities, predicted, sets
            )
            n_known, unknown = len(self.classes_), some(report.unknown_classes)
            if not report.counts[:n_known].any():
                known = some(report.classes[:n_known])
                raise CvbowError(
                    f"no image is of a class that the model knows: they are of {unknown}; it knows {known}"
                )
            begin("note images")
            self._tell_seen([images[row] for row in answers.rows])
            if unknown:
                n_wrong = int(report.counts[n_known:].sum())
                note(f"the model does not know {unknown}: {counted(n_wrong, 'image')}, each a mistake")
        return report, answers

    def has_seen(self, images: Sequence[ImageLike]) -> NDArray[np.bool_]:
        """Tell which images the model has learned from, byte for byte: (n_images,), bool.

        None of those that cannot be read, and none at all of a model from before it kept digests of them.
        """
        check_is_fitted(self, "classifier_")
        images = check_images(images)
        if self.seen_ is None:
            return np.zeros(len(images), bool)
        return np.isin(digests(images, self.backend_.n_jobs), self.seen_)

    def _tell_seen(self, images: Sequence[ImageLike]) -> None:
        """Say so where images that are to judge the model are some that it has learned from."""
        n_seen = int(self.has_seen(images).sum())
        if n_seen == len(images):
            note("warning: the model has learned from all of these images: this tells what it remembers, not more")
        elif n_seen:
            note(f"warning: the model has learned from {n_seen} of these {len(images)} images, which it may remember")

    def answer(
        self,
        images: Sequence[ImageLike] | ImageList,
        *,
        strict: bool = False,
        coverage: float | None = None,
        false_alarms: float = FALSE_ALARMS,
    ) -> Answers:
        """Classify the images that can be read, and tell which could not.

        With a ``coverage``, sets of labels are among the answers, as ``predict_set`` makes them. ``false_alarms`` is
        the share of images like the training images that are told to be perhaps none of these.
        """
        if coverage is None:
            return self._answers(images, strict, false_alarms)[1]
        sets = self._prediction_sets()
        sets.of(np.zeros((0, len(self.classes_))), coverage)
        answers = self._answers(images, strict, false_alarms)[1]
        found = self._set_names(answers.probabilities, sets.of(answers.probabilities, coverage))
        return replace(answers, sets=found)

    def _answers(
        self, images: Sequence[ImageLike] | ImageList, strict: bool, false_alarms: float = FALSE_ALARMS
    ) -> tuple[NDArray[Any], Answers]:
        """Return what ``predict`` gives for the images that can be read, and the answers."""
        check_is_fitted(self, "classifier_")
        images = check_images(images)
        none = np.zeros((0, len(self.classes_)))
        predicted, probabilities, rows, skipped = [self._chosen(none)], [none], [np.zeros(0, np.intp)], []
        limit = None if self.strangers_ is None else self.strangers_.threshold(false_alarms)
        scores = [np.zeros(0)]
        for before, encoded in self._in_blocks(images, strict=strict):
            skipped += encoded.skipped
            if len(encoded.rows):
                rows.append(encoded.rows + before)
                probabilities.append(self._probabilities(encoded.vectors))
                predicted.append(self._predict(encoded.vectors, probabilities[-1]))
                if self.strangers_ is not None:
                    with plain_arrays():
                        scores.append(self.strangers_.strangeness(self._of_whole(encoded.vectors)))
        found = np.concatenate(predicted)
        named, known = self._named(found), np.concatenate(probabilities)
        answers = Answers(named, known, np.concatenate(rows), skipped, classes=self.classes_)
        if limit is not None:
            strangers = np.concatenate(scores)
            answers = replace(answers, strangers=strangers, none_of_these=strangers > limit)
        return found, answers

    def _named(self, predicted: NDArray[Any]) -> Any:
        """Return what ``predict`` gives as the class of each image, or as lists of labels."""
        return LabelSets(self.classes_, predicted.astype(bool)).names if self.multilabel else predicted

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels, or none, rather than one class."""
        check_is_fitted(self, "classifier_")
        return isinstance(self.classifier_, MultiLabelClassifier)

    @property
    def class_weights(self) -> NDArray[np.floating] | None:
        """The coefficients of each class in the decisions, (n_classes, values of a view); None if these are not linear.

        Of two classes, the first has those of the second with the other sign.
        """
        check_is_fitted(self, "classifier_")
        return linear_weights(self.classifier_)

    def encode(self, image: ImageLike) -> NDArray[np.float32]:
        """Return the vector of one image, shape (d,), float32; ImageError for one that cannot be read."""
        check_is_fitted(self, "classifier_")
        with reading_as(background=self.background):
            return self.backend_.encode(image)

    def words(self, image: ImageLike, channel: str | None = None) -> WordTable:
        """Tell which visual words one image has, and where.

        Parameters
        ----------
        image : path or array
        channel : str or None, default None
            The channel of a ``ChannelUnion`` whose words are wanted; None where no more than one has words.

        Returns
        -------
        WordTable
            The word, the place and the cells of each point. Positions are those of the image as it was read: upright.

        Raises
        ------
        ValueError
            If the model has no words, or none under this name, or words in several channels and none is named.
        ImageError
            If the image cannot be read.
        """
        check_is_fitted(self, "classifier_")
        names = list(self.backend_.value_words)
        if not names:
            raise ValueError("the model has no visual words: its vectors are not made of any")
        if channel is not None or len(names) > 1:
            check_choice("channel", channel, names)
        with reading_as(background=self.background):
            found = try_image(image, lambda: self.backend_.words_of(self.backend_.read(*load_source(image))))
        if isinstance(found, ImageError):
            raise found
        table: WordTable = found[channel or names[0]]
        return table

    def scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the score of each class for vectors (n, d) of the backend, (n, n_classes), columns as ``classes_``.

        Decisions, or the probabilities of a classifier that makes none. Of two classes the second has the decision, and
        the first the same with the other sign.
        """
        check_is_fitted(self, "classifier_")
        if has_method(self.classifier_, "decision_function"):
            decisions = np.asarray(self._answer("decision_function", vectors), np.float64)
            return np.stack([-decisions, decisions], axis=1) if decisions.ndim == 1 else decisions
        return np.asarray(self._answer("predict_proba", vectors), np.float64)

    def given(self, vector: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the places among ``classes_`` of what ``predict`` answers for a vector (d,) of the backend."""
        check_is_fitted(self, "classifier_")
        (predicted,) = self._predict(vector[None])
        return np.flatnonzero(predicted if self.multilabel else self.classes_ == predicted)

    def weights_at(self, vector: NDArray[np.float32]) -> tuple[NDArray[np.floating], bool] | None:
        """Return the weights by which one vector's values (d,) make the ``scores`` of the classes, (n_classes, d).

        Also, whether that is exact: whether a score is a sum of what the values give, and of the score of a vector of
        zeros. Otherwise the weights are the mean of the score's gradients on the straight way from zeros to the vector,
        and weights times values sum to the score up to the accuracy of the mean. None of a classifier that has neither,
        such as trees.
        """
        check_is_fitted(self, "classifier_")
        n_views = self.backend_.n_views
        with plain_arrays():
            found = [weights_at(self.classifier_, view) for view in self._by_view(vector[None])]
        parts = [part for part in found if part is not None]
        if len(parts) < n_views:
            return None
        weights = np.concatenate([weights for weights, _ in parts], axis=1) / n_views
        return weights, all(exact for _, exact in parts)

    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "recipe": dict(self.shown_recipe),
            "classes": [str(name) for name in self.classes_],
            "n_words": self.backend_.n_words,
            "vector_length": int(self.backend_.vector_length),
        }
        if self.background != "white":
            summary["background"] = self.background
        if self.multilabel:
            summary["multilabel"] = True
        if isinstance(self.classifier_, _CALIBRATED) and self.classifier_.shares_ is not None:
            summary["channels"] = dict(self.classifier_.shares_)
        if isinstance(self.classifier_, _CALIBRATED) and self.classifier_.views_ is not None:
            summary["views"] = _views(self.classifier_.views_)
        knows = {"label sets": self.sets_, "strangers": self.strangers_}
        summary["knows"] = [name for name, part in knows.items() if part is not None]
        hashes = sorted(self.backend_.network_hashes)
        if hashes:
            summary["network_hashes"] = hashes
        return summary

    @property
    def shown_recipe(self) -> Mapping[str, Any]:
        """What to say of the model's making: ``recipe_`` of one that was chosen, else ``recipe``; empty without."""
        return self.recipe_ or self.recipe or {}

    def work_with(self, n_jobs: int | None) -> None:
        self.backend_.n_jobs = n_jobs

    def _for_each(
        self, images: Sequence[ImageLike] | ImageList, answer: Callable[[NDArray[np.float32]], Any]
    ) -> NDArray[Any]:
        """Return the answers for images, of which each must be readable; ``answer`` takes vectors of some of them."""
        check_is_fitted(self, "classifier_")
        images = check_images(images, minimum=1)
        return np.concatenate([answer(encoded.vectors) for _, encoded in self._in_blocks(images, strict=True)])

    def _in_blocks(self, images: Sequence[ImageLike], *, strict: bool) -> Iterator[tuple[int, EncodedImages]]:
        """Yield how many images come before, and the next ones encoded, of as many as a bounded memory holds.

        Long vectors of many images would fill it, and an answer is all that is wanted of them.
        """
        parts = cut(len(images), max(1, _VECTORS_AT_ONCE // (4 * self.backend_.vector_length)))
        for part in tracked("encode", parts):
            yield part.start, self._encoded(images[part], strict=strict)

    def _decisions(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        if has_method(self.classifier_, "decision_function"):
            return np.asarray(self._answer("decision_function", vectors))
        decisions = np.log(np.maximum(self._answer("predict_proba", vectors), 1e-15))
        return np.asarray(decisions[:, 1] - decisions[:, 0]) if decisions.shape[1] == 2 else decisions

    def _encoded(self, images: Sequence[ImageLike], *, strict: bool) -> EncodedImages:
        with reading_as(background=self.background):
            return self.backend_.encode_images(images, strict=strict)

    def _choose(self, chooser: ModelChooser, images: Sequence[ImageLike]) -> Chosen:
        with reading_as(background=self.background):
            return chooser.choose(images)

    def _told(self, n_copies: int) -> dict[str, Any]:
        """Return what ``fit`` may want to know: channels, for whoever weighs them, and views and copies above one."""
        told = {"channels": self.backend_.channel_slices, "views": self.backend_.n_views, "copies": n_copies}
        return {name: value for name, value in told.items() if value not in (None, 1)}

    def _by_view(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return vectors with a row for each view of an image, which the backend puts side by side (``MultiCrop``)."""
        return vectors.reshape(len(vectors) * self.backend_.n_views, -1)

    def _predict(self, vectors: NDArray[np.float32], probabilities: NDArray[np.float64] | None = None) -> NDArray[Any]:
        """Return the class of each image; of several views by their probabilities, found here where none are given."""
        if self.backend_.n_views == 1:
            return np.asarray(self._answer("predict", vectors))
        return self._chosen(self._probabilities(vectors) if probabilities is None else probabilities)

    def _chosen(self, probabilities: NDArray[np.float64]) -> NDArray[Any]:
        """Return what probabilities (n_images, n_classes) answer."""
        if isinstance(self.classifier_, MultiLabelClassifier):
            return self.classifier_.choose(probabilities)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _answer(self, method: str, vectors: NDArray[np.float32]) -> Any:
        """Return what a method of the classifier gives for images: of several views, the mean of theirs."""
        # scikit-learn's forests add their trees' votes up as the workers finish: in the last digits, another sum.
        is_own = isinstance(self.classifier_, OneAgainstRestClassifier) or (self.multilabel and self.classifier_.is_own)
        with plain_arrays(), default_jobs(self.backend_.n_jobs if is_own else None):
            answers = getattr(self.classifier_, method)(self._by_view(vectors))
        n_views = self.backend_.n_views
        return answers if n_views == 1 else answers.reshape(len(vectors), n_views, *answers.shape[1:]).mean(axis=1)

    def _probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        # Our own classifiers make probabilities of the views' mean decisions.
        by_decisions = self.backend_.n_views > 1 and isinstance(self.classifier_, _CALIBRATED)
        if has_method(self.classifier_, "predict_proba") and not by_decisions:
            return np.asarray(self._answer("predict_proba", vectors), np.float64)
        decisions = np.asarray(self._answer("decision_function", vectors), np.float64)
        if isinstance(self.classifier_, _CALIBRATED):
            return self.classifier_.to_probabilities(decisions)
        return softmax(np.stack([-decisions, decisions], axis=1) / 2 if decisions.ndim == 1 else decisions)

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        is_open = isinstance(self.backend, ModelChooser)
        if not is_open and not isinstance(self.backend, ImageEncoder):
            preset = f"; for a preset, make_model({self.backend!r})" if isinstance(self.backend, str) else ""
            raise ValueError(f"backend must be an ImageEncoder such as BagEncoder(...), got {self.backend!r}{preset}")
        is_left = is_open and self.classifier is None
        if not is_left and not isinstance(self.classifier, str) and not has_method(self.classifier, "fit"):
            raise ValueError(f"classifier must be a name or a classifier, got {self.classifier!r}")
        check_augmentation(self.augmenter, self.n_augmented, self.augment_seed)
        if self.recipe is not None and not isinstance(self.recipe, Mapping):
            raise ValueError(f"recipe must be a mapping or None, got {self.recipe!r}")
        if self.recipe_ is not None and not isinstance(self.recipe_, Mapping):
            raise ValueError(f"recipe_ must be a mapping or None, got {self.recipe_!r}")
        check_background(self.background)
        check_int("n_kept", self.n_kept, minimum=0)
        if self.vectors is not None and not isinstance(self.vectors, str | os.PathLike):
            raise ValueError(f"vectors must be the path of a folder or None, got {self.vectors!r}")

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "classifier_" not in vars(self):
            return
        if not np.array_equal(self.classes_, self.classifier_.classes_):
            raise ValueError("classes_ must be those of classifier_")
        if self.sets_ is not None and self.sets_.several != self.multilabel:
            raise ValueError("sets_ must be of as many labels an image as classifier_")
        if self.kept_ is not None and len(self.kept_.mean_) * self.backend_.n_views != self.backend_.vector_length:
            raise ValueError("kept_ must be of vectors as long as those of backend_")
        # Parts that fit together answer with a finite number for each class, also where the vector is zero.
        vectors = np.zeros((1, int(self.backend_.vector_length)), np.float32)
        if has_method(self.classifier_, "predict_proba") or has_method(self.classifier_, "decision_function"):
            found = self._probabilities(vectors)
            if found.shape != (1, len(self.classes_)) or not np.isfinite(found).all():
                raise ValueError("classifier_ must answer with a finite probability for each of classes_")
        whole = int(self.backend_.vector_length) // self.backend_.n_views
        if self.strangers_ is not None and self.strangers_.n_features_in_ != whole:
            raise ValueError("strangers_ must be of vectors as long as those of backend_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # What goes in is what the backend takes.
        tags.input_tags = get_tags(self.backend).input_tags
        tags.classifier_tags.multi_label = True
        return tags


def _views(found: NDArray[np.int64]) -> dict[str, int]:
    """Tell what is done with the views of images."""
    return dict(zip(("learned from", "answered by"), found.tolist(), strict=True))


def _some_read(rows: NDArray[np.intp], skipped: Sequence[ImageError]) -> NDArray[np.intp]:
    """Return the rows of the images that could be read; CvbowError if there are none."""
    if not len(rows):
        raise none_read(skipped)
    return rows


def _need_two_classes(taught: Taught, of: str) -> None:
    trouble = taught.trouble()
    if trouble is not None:
        raise CvbowError(
            f"a classifier needs at least two classes; {of} have {trouble}: add a class, such as other images"
        )


def _image_weights(weights: ArrayLike, n_images: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = _check_sample_weight(
        weights, np.empty((n_images, 1)), dtype=np.float64, ensure_non_negative=True
    )
    return found
