"""What recipes have in common is computed once: features of an image, and words of a sample.

A backend that is ``shared`` does the same as before, and looks first whether another recipe has done it. Only what
threads of one process do is kept; processes and other machines compute for themselves.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray

from cvbow.backends import BagEncoder, ImageEncoder
from cvbow.dictionary import Dictionary
from cvbow.encoders import Encoder, SpatialPyramid
from cvbow.features import Extractor, Features, Mirror, make_extractor
from cvbow.storage import size_of


class Kept:
    """Results by a key, of which those that were not asked for the longest are dropped.

    Parameters
    ----------
    limit : int
        Bytes of arrays that are kept at most.

    Attributes
    ----------
    found, made : int
        Results that were there, and that had to be made.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.tuning.sharing import Kept
    >>> kept = Kept(100)
    >>> for key in ("a", "b", "a"):
    ...     _ = kept.get(key, lambda: np.zeros(5), size=lambda values: values.nbytes)
    >>> kept.found, kept.made
    (1, 2)
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.found = self.made = 0
        self.results: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], Any], *, size: Callable[[Any], int]) -> Any:
        """Return the result of a key, or make it."""
        with self.lock:
            if key in self.results:
                self.results.move_to_end(key)
                self.found += 1
                return self.results[key][0]
        result = make()
        n_bytes = size(result)
        with self.lock:
            self.made += 1
            if key not in self.results and n_bytes <= self.limit:
                self.results[key] = result, n_bytes
                self.held += n_bytes
                while self.held > self.limit:
                    self.held -= self.results.popitem(last=False)[1][1]
        return result

    def __deepcopy__(self, memo: object) -> Self:
        # scikit-learn's clone copies parameters: all copies of an estimator share one.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, (0,)


class SharedFeatures(Extractor):
    """An extractor whose features of an image are kept.

    Parameters
    ----------
    extractor : Extractor
    kept : Kept
    """

    def __init__(self, extractor: Extractor, kept: Kept) -> None:
        self.extractor = extractor
        self.kept = kept

    @property
    def gray_only(self) -> bool:  # type: ignore[override]
        """Whether the extractor inside uses gray values only."""
        return self.extractor.gray_only

    @property
    def max_side(self) -> int | None:  # type: ignore[override]
        """That of the extractor inside."""
        return self.extractor.max_side

    @property
    def descriptor_size(self) -> int:
        """Number of values in a descriptor."""
        return self.extractor.descriptor_size

    @property
    def mirror(self) -> Mirror | None:
        """What mirroring the image does to the descriptors."""
        return self.extractor.mirror

    def compute(self, image: NDArray[np.uint8]) -> Features:
        return self.extractor.compute(image)

    def check_params(self) -> None:
        self.extractor.check_params()

    def extract(self, image: NDArray[np.uint8]) -> Features:
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=20).digest()
        key = repr(self.extractor), image.shape, digest
        found: Features = self.kept.get(
            key, lambda: self.extractor.extract(image), size=lambda made: made.descriptors.nbytes + made.points.nbytes
        )
        return found

    def mirrored(self, features: Features) -> Features:
        return self.extractor.mirrored(features)

    def fingerprint(self) -> object:
        return self.extractor.fingerprint()


def sharing_words(dictionary: Dictionary, kept: Kept) -> Dictionary:
    """Return a dictionary of the same kind that, where another like it has learned from the same descriptors, is that.

    Its ``fit`` returns a dictionary of the plain kind, fitted, and not itself.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import KMeansDictionary
    >>> from cvbow.tuning.sharing import Kept, sharing_words
    >>> kept, descriptors = Kept(1_000_000), np.random.default_rng(0).random((50, 4), np.float32)
    >>> first, second = (sharing_words(KMeansDictionary(n_words=5), kept).fit(descriptors) for _ in range(2))
    >>> first is second, type(first).__name__
    (True, 'KMeansDictionary')
    """
    kind: Any = type(dictionary)

    class Shared(kind):  # type: ignore[misc]
        """Encoders ask for dictionaries of a kind."""

        def fit(self, descriptors: NDArray[Any], y: object = None, *, mirror: Mirror | None = None) -> Any:
            plain = kind(**self.get_params(deep=False))
            pairs = None if mirror is None else (mirror.order, mirror.signs)
            key = joblib.hash((repr(plain), descriptors, pairs))
            return kept.get(key, lambda: plain.fit(descriptors, y, mirror=mirror), size=size_of)

    shared: Dictionary = Shared(**dictionary.get_params(deep=False))
    return shared


def share(backend: ImageEncoder, features: Kept, words: Kept) -> None:
    """Let all parts of an unfitted backend that are bags of features share these, and the words learned from them."""
    for part in bags(backend):
        part.extractor = SharedFeatures(make_extractor(part.extractor), features)
        encoder: Encoder = part.encoder
        while isinstance(encoder, SpatialPyramid):
            encoder = encoder.encoder
        dictionary = encoder.get_params(deep=False).get("dictionary")
        if isinstance(dictionary, Dictionary):
            encoder.set_params(dictionary=sharing_words(dictionary, words))


def unshare(backend: ImageEncoder) -> None:
    """Let a fitted backend extract the features of every image itself again."""
    for part in bags(backend):
        if isinstance(part.extractor_, SharedFeatures):
            part.extractor_ = part.extractor_.extractor


def bags(backend: ImageEncoder) -> list[BagEncoder]:
    """Return the bags of features in a backend, the fitted ones where it is fitted."""
    return [part for part in (backend, *backend.parts()) if isinstance(part, BagEncoder)]
