"""The classical backend: local features, a dictionary, and an encoding."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_flag, check_int, check_real
from cvbow.backends._image_encoder import Call, ImageEncoder
from cvbow.backends._mirror import halves, mean_direction
from cvbow.backends.fitting import LEARNING, Sample, draw_sample
from cvbow.backends.loading import ImageLike, check_images, load_source
from cvbow.backends.shares import ImageShares
from cvbow.dictionary import MirrorPCA
from cvbow.encoders import Cells, Encoder, WordTable
from cvbow.errors import ImageError
from cvbow.features import Extractor, Features, Mirror, make_extractor
from cvbow.parallel import default_jobs, single_threaded
from cvbow.progress import stages
from cvbow.storage import Learned, Number, Part

#: The position of a point behind its descriptor: mirrored, x has the other sign.
_PLACE = Mirror.of_signs(np.array([-1, 1], np.int8))


class BagEncoder(ImageEncoder):
    """Images to vectors by an extractor and an encoder.

    ``fit`` draws a bounded sample of descriptors from the images, fits ``reduce`` and the encoder on it;
    ``transform`` extracts and encodes one image after another and keeps only the vectors.

    Parameters
    ----------
    extractor : Extractor or callable
        Finds and describes points. A function takes an RGB image (H, W, 3), uint8, and returns ``Features``, or points
        (n, 2), (n, 3) or (n, 4) and descriptors (n, k); see ``cvbow.features.Detections.of``.
    encoder : Encoder
        Owns the dictionary.
    reduce : transformer or None, default None
        Any scikit-learn transformer of descriptors, such as ``PCA(64)``, applied before the encoder.
    position_weight : float, default 0.0
        If positive, ``position_weight * ((x + 1/2) / width - 1/2)`` and the same for y are appended to each descriptor
        after ``reduce``, so that words know their place (Sanchez, Perronnin and de Campos, PRL 2012).
    mirror : bool or "pairs", default False
        Let left and right count alike. True averages an image's vector with that of its mirror: the extractor tells the
        mirror's features from those of the image, so the image is described once and encoded twice. "pairs" learns
        words in mirrored pairs, and encodes once: see ``Encoder.fit_pairs``. It takes an encoder with ``pools_pairs``,
        such as ``FisherVector``, and ``MirrorPCA`` or None as ``reduce``.
    sample : int, default 200000
        Descriptors to learn from, at most.
    sample_images : int, default 1000
        Images to draw them from, at most; the more images, the fewer from each.
    n_jobs, memory : see ``ImageEncoder``
        The drawn samples, and the words that images have (for tf-idf), are cached as well.
    random_state : int, default 0
        Seed of the sample. The estimators inside have their own.

    Attributes
    ----------
    extractor_ : Extractor
        The extractor, holding what its parameters left to files, such as the SHA-256 of a network.
    encoder_, reduce_ : the fitted encoder and transformer
    n_sampled_ : int
        Descriptors drawn.
    skipped_, seconds_ : see ``ImageEncoder``
        The steps are to ``extract`` the sample and to learn the ``dictionary``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, KMeansDictionary
    >>> images = list(np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8))
    >>> backend = BagEncoder(DenseSIFT(step=8), BagOfWords(KMeansDictionary(n_words=20))).fit(images)
    >>> backend.transform(images).shape
    (4, 20)
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "extractor_": Part(Extractor, optional=True),
        "n_sampled_": Number(integer=True, minimum=0, optional=True),
        "reduce_": Part(BaseEstimator, method="transform", only_if="reduce"),
        "encoder_": Part(Encoder),
    }

    def __init__(
        self,
        extractor: Extractor | Callable[[NDArray[np.uint8]], object],
        encoder: Encoder,
        *,
        reduce: Any = None,
        position_weight: float = 0.0,
        mirror: bool | str = False,
        sample: int = 200_000,
        sample_images: int = 1000,
        n_jobs: int | None = None,
        memory: Any = None,
        random_state: int = 0,
    ) -> None:
        self.extractor = extractor
        self.encoder = encoder
        self.reduce = reduce
        self.position_weight = position_weight
        self.mirror = mirror
        self.sample = sample
        self.sample_images = sample_images
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state

    @property
    def vector_length(self) -> int:
        """Length of a vector: the encoder's."""
        check_is_fitted(self, "encoder_")
        return int(self.encoder_.vector_length)

    @property
    def gray_only(self) -> bool:
        """Whether the extractor uses gray values only."""
        return bool(self._fitted_extractor.gray_only)

    @property
    def shrinks_to(self) -> int | None:
        """The extractor's ``max_side``."""
        return self._fitted_extractor.max_side

    @property
    def n_words(self) -> int | None:
        """Number of words of the encoder's dictionary; NotFittedError before ``fit``."""
        check_is_fitted(self, "encoder_")
        words: int | None = self.encoder_.n_words
        return words

    @property
    def network_hashes(self) -> frozenset[str]:
        """SHA-256 of the extractor's network, where it has one."""
        digest = self._fitted_extractor.network_hash
        return frozenset() if digest is None else frozenset([digest])

    @property
    def _fitted_extractor(self) -> Extractor:
        found: Extractor | None = vars(self).get("extractor_")
        return make_extractor(self.extractor) if found is None else found

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        self.check_params()
        images = check_images(images, minimum=1)
        with stages({"sample": min(len(images), self.sample_images), "dictionary": LEARNING, "count": 0}) as begin:
            begin("sample")
            sample = draw_sample(
                make_extractor(self.extractor),
                images,
                sample=self.sample,
                sample_images=self.sample_images,
                seed=self.random_state,
                n_jobs=self.n_jobs,
                memory=self.memory,
            )
            self.extractor_ = sample.extractor
            self.n_sampled_, self.skipped_ = sample.n_descriptors, sample.skipped
            begin("dictionary")
            drawn = time.perf_counter()
            with single_threaded(), default_jobs(self.n_jobs):
                self._learn(images, sample, begin)
        self.seconds_ = {"extract": sample.seconds, "dictionary": time.perf_counter() - drawn}
        return self

    def _learn(self, images: Sequence[ImageLike], sample: Sample, begin: Callable[[str], None]) -> None:
        self.reduce_ = None
        mirror = self._fitted_extractor.mirror if self.mirror == "pairs" else None
        if self.reduce is not None:
            self.reduce_ = _fit_reduce(self.reduce, sample.descriptors(), mirror)
        bags = [self._prepare(bag) for bag in sample.bags]
        encoder = clone(self.encoder)
        if mirror is None:
            self.encoder_ = encoder.fit(bags)
        else:
            mirror = mirror if self.reduce_ is None else self.reduce_.mirror
            self.encoder_ = encoder.fit_pairs(bags, mirror.joined(_PLACE) if self.position_weight else mirror)
        if self.encoder_.wants_documents:
            begin("count")
            counts = np.zeros(1, np.int64)
            n_read = 0
            documents = Call(self, self._through_cache(_documents_of))
            for present in self._map(documents, images, "document frequencies"):
                if not isinstance(present, ImageError):
                    counts = counts + present
                    n_read += 1
            self.encoder_.set_documents(counts, n_read)

    def features(self, image: ImageLike) -> Features:
        """Return the features of one image as the encoder gets them: reduced, with their positions."""
        check_is_fitted(self, "encoder_")
        source, name = load_source(image)
        with single_threaded():
            return self._prepare(self._fitted_extractor.extract(self.read(source, name)))

    def words_of(self, image: NDArray[np.uint8]) -> dict[str, WordTable]:
        if self.n_words is None:
            return {}
        table = self.encoder_.words(self._prepare(self._fitted_extractor.extract(image)))
        return {"all": replace(table, gray_only=self.gray_only, n_pooled=int(self.encoder_.value_words.max()) + 1)}

    @property
    def value_words(self) -> dict[str, NDArray[np.intp]]:
        return {} if self.n_words is None else {"all": self.encoder_.value_words}

    def _prepare(self, features: Features) -> Features:
        descriptors: NDArray[Any] = features.descriptors
        if self.reduce_ is not None and len(features):
            descriptors = np.asarray(self.reduce_.transform(descriptors), np.float32)
        elif self.reduce_ is not None:
            width = self.reduce_.transform(np.zeros((1, descriptors.shape[1]), np.float32)).shape[1]
            descriptors = np.zeros((0, width), np.float32)
        if self.position_weight:
            places = (features.points[:, :2] + 0.5) / np.array(features.image_size, np.float32) - 0.5
            descriptors = np.hstack([descriptors, np.float32(self.position_weight) * places]).astype(np.float32)
        return features if descriptors is features.descriptors else features.with_descriptors(descriptors)

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._encode(self._fitted_extractor.extract(image))

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        if not self.encoder_.has_shares:
            return super().shares_of(image, weights)
        features = self._fitted_extractor.extract(image)
        bags = [self._prepare(features)]
        vectors = [self.encoder_.encode(bags[0])]
        if self.mirror and self.mirror != "pairs":
            bags.append(self._prepare(self._fitted_extractor.mirrored(features)))
            vectors = list(halves(vectors[0], self.encoder_.encode(bags[1]), self.encoder_.n_blocks))
        whole = Cells.whole(len(features))
        shares = np.zeros((len(weights), len(features)))
        for row, weight in enumerate(weights):
            for bag, vector in zip(bags, vectors, strict=True):
                shares[row] += self.encoder_.share_out(bag, whole, (vector.astype(np.float64) * weight)[None])
        words = None
        if self.n_words is not None:
            words = self.encoder_.words(bags[0]).word % (int(self.encoder_.value_words.max()) + 1)
        found = ImageShares.of_points(features.points, shares, words)
        return replace(found, pools_gradients=np.full(len(features), self._fitted_extractor.pools_gradients))

    def without(self, image: NDArray[np.uint8], boxes: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the vectors of the image without the points that lie in each of some boxes."""
        features = self._fitted_extractor.extract(image)
        vectors = np.empty((len(boxes), self.vector_length), np.float32)
        for vector, box in zip(vectors, boxes, strict=True):
            # The image's first pixel spans -1/2 to 1/2.
            place = features.points[:, :2] + 0.5
            inside = ((place >= box[:2]) & (place < box[2:])).all(axis=1)
            vector[:] = self._encode(features.take(np.flatnonzero(~inside)))
        return vectors

    def _encode(self, features: Features) -> NDArray[np.float32]:
        """Return the vector of an image by its features as they were extracted."""
        vector: NDArray[np.float32] = self.encoder_.encode(self._prepare(features))
        if vector.shape != (self.vector_length,):
            name = type(self.encoder_).__name__
            raise ValueError(f"{name}.encode must return shape ({self.vector_length},), got {vector.shape}")
        if not self.mirror or self.mirror == "pairs":
            return vector
        # Descriptors as they were extracted are mirrored, not reduced ones, whose values have no places any more.
        mirrored = self.encoder_.encode(self._prepare(self._fitted_extractor.mirrored(features)))
        return mean_direction(vector, mirrored, self.encoder_.n_blocks)

    def fingerprint(self) -> str:
        check_is_fitted(self, "encoder_")
        extractor = self._fitted_extractor.fingerprint()
        state = (extractor, self.reduce_, self.position_weight, self.mirror, self.encoder_)
        return str(joblib.hash(state, hash_name="sha1"))

    def check_params(self) -> None:
        extractor = make_extractor(self.extractor)
        if not isinstance(self.encoder, Encoder):
            raise ValueError(f"encoder must be an Encoder such as BagOfWords(), got {self.encoder!r}")
        extractor.check_params()
        self.encoder.check_params()
        check_real("position_weight", self.position_weight, minimum=0)
        if self.mirror != "pairs":
            check_flag("mirror", self.mirror)
        if self.mirror and extractor.mirror is None:
            raise ValueError(
                f"mirror={self.mirror!r} needs an extractor that can mirror features, such as "
                f"DenseSIFT(); got {type(extractor).__name__}"
            )
        if self.mirror == "pairs" and not self.encoder.pools_pairs:
            raise ValueError(f"mirror='pairs' needs an encoder that pools words in pairs, got {self.encoder!r}")
        if self.mirror == "pairs" and not (self.reduce is None or isinstance(self.reduce, MirrorPCA)):
            raise ValueError(f"mirror='pairs' needs MirrorPCA or None as reduce, got {self.reduce!r}")
        check_int("sample", self.sample, minimum=1)
        check_int("sample_images", self.sample_images, minimum=1)
        check_int("random_state", self.random_state, minimum=0)


def _documents_of(encoder: BagEncoder, source: Any, name: str | None) -> NDArray[np.int64]:
    """Return 1 for each word that an image has."""
    image = encoder.read(source, name)
    counts: NDArray[np.int64] = encoder.encoder_.count_documents(
        encoder._prepare(encoder._fitted_extractor.extract(image))
    )
    return counts


def _fit_reduce(reduce: Any, descriptors: NDArray[Any], mirror: Mirror | None) -> Any:
    """Fit a clone of ``reduce``, with the mirror of the descriptors if there is one.

    Where it wants more components than there are descriptors, it gets fewer.
    """
    reduce = clone(reduce)
    wanted = reduce.get_params().get("n_components")
    if isinstance(wanted, int) and wanted > len(descriptors):
        warnings.warn(
            f"reduce wants {wanted} dimensions, but the sample has {len(descriptors)} descriptors: "
            f"it gets {len(descriptors)}",
            UserWarning,
            stacklevel=4,
        )
        reduce.set_params(n_components=len(descriptors))
    return reduce.fit(descriptors) if mirror is None else reduce.fit(descriptors, mirror=mirror)
