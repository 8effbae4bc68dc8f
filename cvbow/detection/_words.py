"""The words and colours of an image, to be counted in boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.backends.fitting import draw_sample
from cvbow.detection._regions import WordCounts
from cvbow.dictionary import KMeansDictionary
from cvbow.features import ColorStatistics, DenseSIFT, Extractor
from cvbow.progress import tracked
from cvbow.storage import Learned, Part, storable

#: Descriptors that each dictionary is learned from, of so many images at most.
_SAMPLE, _SAMPLE_IMAGES = 50_000, 200
#: Images are enlarged until every one has points.
_MIN_SIDE = 64
_STEP = 4
#: Sides of SIFT's bins, and of the cells whose colour is described: smaller than what is looked for.
_BINS, _COLOR_BINS = (4, 6, 8), (4,)


@storable
class BoxWords:
    """Two dictionaries, one of dense SIFT and one of half as many colours.

    Parameters
    ----------
    n_words : int
        Of SIFT, at least 2.

    Attributes
    ----------
    shapes_, colors_ : KMeansDictionary
    """

    learned: ClassVar[Mapping[str, Learned]] = {"shapes_": Part(KMeansDictionary), "colors_": Part(KMeansDictionary)}

    shapes_: KMeansDictionary
    colors_: KMeansDictionary

    def __init__(self, n_words: int) -> None:
        self.n_words = n_words

    def fit(self, images: Sequence[ImageLike], *, seed: int, n_jobs: int | None) -> Self:
        """Learn from images."""
        counts = (self.n_words, max(1, self.n_words // 2))
        found = []
        for extractor, n_words in tracked("words", list(zip(_extractors(), counts, strict=True))):
            drawn = draw_sample(
                extractor, images, sample=_SAMPLE, sample_images=_SAMPLE_IMAGES, seed=seed, n_jobs=n_jobs
            )
            descriptors = drawn.descriptors()
            # Images without contrast have few descriptors: fewer words then say all.
            n_different = len(np.unique(descriptors[:: max(1, len(descriptors) // 10_000)], axis=0))
            dictionary = KMeansDictionary(n_words=min(n_words, n_different), random_state=seed, n_jobs=n_jobs)
            found.append(dictionary.fit(descriptors))
        self.shapes_, self.colors_ = found
        return self

    @property
    def n_values(self) -> int:
        """Number of words and colours."""
        return len(self.shapes_.words_) + len(self.colors_.words_)

    def counts(self, image: NDArray[np.uint8]) -> list[WordCounts]:
        """Return what counts the words, and what counts the colours, of an image."""
        size = (image.shape[1], image.shape[0])
        found = []
        for extractor, dictionary in zip(_extractors(), (self.shapes_, self.colors_), strict=True):
            features = extractor.extract(image)
            words = dictionary.predict(features.descriptors)
            found.append(WordCounts(features.points[:, :2], words, len(dictionary.words_), size))
        return found

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        if "shapes_" in vars(self):
            for extractor, dictionary in zip(_extractors(), (self.shapes_, self.colors_), strict=True):
                if dictionary.words_.shape[1] != extractor.descriptor_size:
                    raise ValueError(f"words must have {extractor.descriptor_size} values")


def _extractors() -> tuple[Extractor, Extractor]:
    return (
        DenseSIFT(step=_STEP, bin_sizes=_BINS, min_side=_MIN_SIDE),
        ColorStatistics(step=_STEP, bin_sizes=_COLOR_BINS, min_side=_MIN_SIDE),
    )
