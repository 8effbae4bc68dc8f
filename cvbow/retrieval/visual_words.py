"""Images as visual words, for an inverted index.

J. Sivic and A. Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003; J. Philbin
et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_int, check_real
from cvbow.backends import ImageLike
from cvbow.backends.fitting import LEARNING, draw_sample
from cvbow.backends.loading import check_images
from cvbow.dictionary import ApproximateKMeans
from cvbow.dictionary.base import check_dictionary, ranks_words
from cvbow.features import SIFT, Extractor, Features, make_extractor
from cvbow.images import check_background, reading_as
from cvbow.parallel import default_jobs, single_threaded
from cvbow.progress import stages
from cvbow.retrieval.describer import ArraySpec, Box, Describer, Segment, check_box
from cvbow.retrieval.hamming_embedding import N_BITS, HammingEmbedding, hamming_weights
from cvbow.retrieval.inverted import IDF, TF, InvertedScorer
from cvbow.retrieval.postings import check_postings, derive_postings, is_outdated
from cvbow.retrieval.quantized import local_words_layout, quantize
from cvbow.storage import Learned, Number, Part

#: Points of an image by default: a photograph of 1024 pixels has some 2,500, and a thousand of them are too few to find
#: a building again from elsewhere; detecting takes the same time for any number, describing a fifth more.
MAX_POINTS = 3000
#: Words by default, and descriptors of the sample that there must be for each.
_N_WORDS = 50_000
_PER_WORD = 10
#: Words of a query's feature where there are signatures, and words of the dictionary for each after the first.
_ASSIGNED = 5
_PER_ASSIGNMENT = 1000


class VisualWords(Describer):
    """Keypoints, each with its visual word, its place and a signature of 64 bits; searched by inverted file.

    ``fit`` learns the dictionary and the signatures from a sample of descriptors. What the weights of words need is
    counted from the images that are in an index.

    Parameters
    ----------
    extractor : Extractor, callable or None, default None
        Finds and describes points, as in ``BagEncoder``. None is ``SIFT(max_points=3000)``, with RootSIFT descriptors.
    dictionary : dictionary or None, default None
        ``ApproximateKMeans``, ``VocabularyTree``, ``KMeansDictionary``, or ``BinaryDictionary`` for an extractor of
        binary descriptors. None is ``ApproximateKMeans(n_words=n_words)``.
    n_words : int or None, default None
        Words of the default dictionary; one that is given has its own number. None is 50,000, or a tenth of the
        descriptors drawn where that is less: words with fewer tell more only of the images that they come from.
    embedding_bits : {64, 0}, default 64
        Whether features have signatures (Hamming embedding), which tell the descriptors of one word apart: better
        rankings, for 20 bytes more per feature, two thirds of what the rest takes, and a slower search.
    multiple_assignment : int or None, default None
        Words of each feature of a query, the nearest ones; a feature of the index has one. What a blur or another light
        has pushed over the border to the next word is found again, for a search that takes some times as long
        (H. Jegou, M. Douze and C. Schmid, "Improving bag-of-features for large scale image search", IJCV 2010). None is
        5 with signatures, and 1 without them: then what more words bring is mostly chance. Fewer where there are few
        words, which are wide: no more than one and another for every thousand of them; one with a dictionary that knows
        the nearest word alone (``VocabularyTree``).
    max_hamming : int, default 20
        Features of one word match where their signatures differ in at most so many bits.
    hamming_sigma : float, default 16.0
        The weight of a match of distance h is ``exp(-h^2 / hamming_sigma^2)``.
    tf : {"sqrt", "log", "raw"}, default "sqrt"
        The weight of a word's n occurrences in an image: ``sqrt(n)``, ``log2(1 + n)`` or n. The first two are against
        burstiness: repeated patterns, which would outweigh the rest.
    idf : {"smooth", "plain", "none"}, default "smooth"
        The weight of a word that df of N images have: ``ln(1 + N / df)``, ``ln(N / df)``, or 1.
    stop_most, stop_least : float, default 0.0
        Share of the words in an index that are left out of scores: those that the most, and the fewest, images have.
    sample : int, default 500000
        Descriptors to learn from, at most.
    sample_images : int, default 5000
        Images to draw them from, at most.
    n_jobs, memory : see ``Describer``
        Nothing is cached.
    random_state : int, default 0
        Seed of the sample, of the default dictionary and of the signatures' projection.
    background : str, default "white"
        What transparent images are laid onto, those of the index and queries alike: a colour as ``Reading`` takes it.

    Attributes
    ----------
    extractor_, dictionary_ : the extractor and the fitted dictionary
    embedding_ : HammingEmbedding or None
    n_sampled_ : int
        Descriptors drawn.
    seconds_ : dict
        Time taken to ``extract`` the sample and to learn the ``dictionary`` and the ``embedding``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.retrieval import VisualWords
    >>> random = np.random.default_rng(0)
    >>> images = [random.integers(0, 256, (24, 24), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(3)]
    >>> describer = VisualWords(n_words=50).fit(images)
    >>> sorted(describer.describe(images[0]))
    ['image_size', 'places', 'shapes', 'signatures', 'words']
    """

    kind: ClassVar[str] = "inverted"

    learned: ClassVar[Mapping[str, Learned]] = {
        "extractor_": Part(Extractor),
        "n_sampled_": Number(integer=True, minimum=0, optional=True),
        "dictionary_": Part(BaseEstimator, method="predict"),
        "embedding_": Part(HammingEmbedding, only_if="embedding_bits"),
    }

    def __init__(
        self,
        extractor: Extractor | Callable[[NDArray[np.uint8]], object] | None = None,
        *,
        dictionary: Any = None,
        n_words: int | None = None,
        embedding_bits: int = N_BITS,
        multiple_assignment: int | None = None,
        max_hamming: int = 20,
        hamming_sigma: float = 16.0,
        tf: str = "sqrt",
        idf: str = "smooth",
        stop_most: float = 0.0,
        stop_least: float = 0.0,
        sample: int = 500_000,
        sample_images: int = 5000,
        n_jobs: int | None = None,
        memory: Any = None,
        random_state: int = 0,
        background: str = "white",
    ) -> None:
        self.extractor = extractor
        self.dictionary = dictionary
        self.n_words = n_words
        self.embedding_bits = embedding_bits
        self.multiple_assignment = multiple_assignment
        self.max_hamming = max_hamming
        self.hamming_sigma = hamming_sigma
        self.tf = tf
        self.idf = idf
        self.stop_most = stop_most
        self.stop_least = stop_least
        self.sample = sample
        self.sample_images = sample_images
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.background = background

    @property
    def gray_only(self) -> bool:
        """Whether the extractor uses gray values only."""
        return bool(self._extractor().gray_only)

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        self.check_params()
        images = check_images(images, minimum=1)
        with stages({"sample": min(len(images), self.sample_images), "dictionary": LEARNING}) as begin:
            begin("sample")
            with reading_as(background=self.background):
                sample = draw_sample(
                    self._extractor(),
                    images,
                    sample=self.sample,
                    sample_images=self.sample_images,
                    seed=self.random_state,
                    n_jobs=self.n_jobs,
                )
            self.n_sampled_, self.skipped_ = sample.n_descriptors, sample.skipped
            descriptors = sample.descriptors()
            begin("dictionary")
            drawn = time.perf_counter()
            n_words = max(1, min(_N_WORDS, len(descriptors) // _PER_WORD)) if self.n_words is None else self.n_words
            dictionary = ApproximateKMeans(n_words=n_words, random_state=self.random_state)
            with single_threaded(), default_jobs(self.n_jobs):
                self.dictionary_ = clone(dictionary if self.dictionary is None else self.dictionary).fit(descriptors)
                learned = time.perf_counter()
                self.embedding_ = None
                if self.embedding_bits:
                    words = self.dictionary_.predict(descriptors)
                    embedding = HammingEmbedding(random_state=self.random_state)
                    self.embedding_ = embedding.fit(descriptors, words, len(self.dictionary_.words_))
        self.extractor_ = sample.extractor
        ended = time.perf_counter()
        self.seconds_ = {"extract": sample.seconds, "dictionary": learned - drawn, "embedding": ended - learned}
        return self

    def layout(self) -> dict[str, ArraySpec]:
        """Return the arrays that every image has: see ``quantize``."""
        check_is_fitted(self, "dictionary_")
        return local_words_layout(signatures=self.embedding_ is not None)

    def describe(self, image: NDArray[np.uint8], *, box: Box | None = None) -> dict[str, NDArray[Any]]:
        """Return the words of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
        box : tuple of float, optional
            x, y, width, height in pixels: of the image's features only those with their centres inside. Their size and
            place are those in the whole image.

        Returns
        -------
        dict of ndarray
            See ``quantize``; without any features the arrays are empty.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the image breaks its rule, or the box has no area or lies outside the image.
        """
        return self._described(image, box, 1)

    def describe_query(self, image: NDArray[np.uint8], *, box: Box | None = None) -> dict[str, NDArray[Any]]:
        """Return the words of an image that is asked about, ``multiple_assignment`` for each feature.

        As `describe`, every feature as often as it has words; with more than one, there is also ``nearest`` (n,) bool:
        whether a word is its feature's nearest.
        """
        return self._described(image, box, self._n_assigned)

    @property
    def queries_differ(self) -> bool:
        """Whether a query's features have several words."""
        return self._n_assigned > 1

    @property
    def _n_assigned(self) -> int:
        check_is_fitted(self, "dictionary_")
        wanted = self.multiple_assignment
        if wanted is None:
            wanted = 1 if self.embedding_ is None else _ASSIGNED
        if not ranks_words(self.dictionary_):
            return 1
        return min(wanted, 1 + len(self.dictionary_.words_) // _PER_ASSIGNMENT)

    def _described(self, image: NDArray[np.uint8], box: Box | None, n_assigned: int) -> dict[str, NDArray[Any]]:
        check_is_fitted(self, "dictionary_")
        if box is not None:
            height, width = image.shape[:2]
            box = check_box(box, (width, height))
        with single_threaded():
            features = self.extractor_.extract(image)
            if box is not None:
                features = features.take(_inside(features, box))
            words = self._words(features, n_assigned)
            if n_assigned > 1:
                features = features.take(np.repeat(np.arange(len(features)), n_assigned))
            signatures = None
            if self.embedding_ is not None:
                signatures = self.embedding_.signatures(features.descriptors, words.ravel())
        arrays = quantize(features, words.ravel(), signatures)
        if n_assigned > 1:
            nearest = np.zeros(words.shape, bool)
            nearest[:, :1] = True
            arrays["nearest"] = nearest.ravel()[np.argsort(words, axis=None, kind="stable")]
        return arrays

    def derive(
        self, arrays: Mapping[str, NDArray[Any]], feature_start: NDArray[np.int64], n_images: int
    ) -> dict[str, NDArray[Any]]:
        """Return the postings of a segment: see ``derive_postings``."""
        return derive_postings(arrays["words"], feature_start, arrays.get("signatures"))

    def is_outdated(self, names: Collection[str]) -> bool:
        """Tell whether the postings are those of an index of format 1, which are worked out anew at every opening."""
        return is_outdated(names)

    def check_segment(self, segment: Segment) -> None:
        """Raise ValueError where stored words or postings are out of range: see ``check_postings``."""
        signatures = self.embedding_ is not None
        check_postings(segment.arrays, segment.n_images, len(self.dictionary_.words_), signatures=signatures)

    def scorer(self, segments: Sequence[Segment], alive: Sequence[NDArray[np.bool_]]) -> InvertedScorer:
        """Prepare to score the images of opened segments: see ``InvertedScorer``."""
        check_is_fitted(self, "dictionary_")
        self.check_params()
        return InvertedScorer(
            segments,
            alive,
            n_words=len(self.dictionary_.words_),
            tf=self.tf,
            idf=self.idf,
            stop_most=self.stop_most,
            stop_least=self.stop_least,
            weights=None if self.embedding_ is None else hamming_weights(self.max_hamming, self.hamming_sigma),
            n_jobs=self.n_jobs,
        )

    def _extractor(self) -> Extractor:
        return SIFT(max_points=MAX_POINTS) if self.extractor is None else make_extractor(self.extractor)

    def _words(self, features: Features, n_assigned: int) -> NDArray[np.int32]:
        """Return the nearest words of each feature, shape (n, n_assigned)."""
        if not len(features):
            return np.zeros((0, n_assigned), np.int32)
        if n_assigned > 1:
            words: NDArray[np.int32] = self.dictionary_.nearest_words(features.descriptors, n_assigned)[0]
            return words
        return np.asarray(self.dictionary_.predict(features.descriptors)[:, None])

    def fingerprint(self) -> str:
        check_is_fitted(self, "dictionary_")
        state = (self.extractor_.fingerprint(), self.dictionary_, self.embedding_)
        return str(joblib.hash(state, hash_name="sha1"))

    def query_fingerprint(self) -> str:
        return f"{self.fingerprint()} {self._n_assigned}"

    def check_params(self) -> None:
        self._extractor().check_params()
        check_dictionary(self.dictionary)
        check_int("n_words", self.n_words, minimum=1, none=True)
        if isinstance(self.embedding_bits, bool) or self.embedding_bits not in (0, N_BITS):
            raise ValueError(f"embedding_bits must be 0 or {N_BITS}, got {self.embedding_bits!r}")
        check_int("multiple_assignment", self.multiple_assignment, minimum=1, none=True)
        check_int("max_hamming", self.max_hamming, minimum=0)
        check_real("hamming_sigma", self.hamming_sigma, minimum=0, open_minimum=True)
        check_choice("tf", self.tf, TF)
        check_choice("idf", self.idf, IDF)
        check_real("stop_most", self.stop_most, minimum=0, maximum=1)
        check_real("stop_least", self.stop_least, minimum=0, maximum=1)
        if self.stop_most + self.stop_least > 1:
            raise ValueError(
                f"stop_most and stop_least must not exceed 1 together, got {self.stop_most!r} and {self.stop_least!r}"
            )
        check_int("sample", self.sample, minimum=1)
        check_int("sample_images", self.sample_images, minimum=1)
        check_int("random_state", self.random_state, minimum=0)
        check_background(self.background)

    def check_state(self) -> None:
        self.check_params()
        if "dictionary_" not in vars(self):
            return
        words, embedding = self.dictionary_.words_, vars(self).get("embedding_")
        if embedding is not None and len(embedding.medians_) != len(words):
            raise ValueError("embedding_ must be a HammingEmbedding with medians for each word, or None")


def _inside(features: Features, box: Box) -> NDArray[np.intp]:
    x, y, width, height = box
    places = features.points[:, :2].astype(np.float64) + 0.5
    inside = (places[:, 0] >= x) & (places[:, 0] < x + width) & (places[:, 1] >= y) & (places[:, 1] < y + height)
    return np.flatnonzero(inside)
