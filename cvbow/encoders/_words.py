"""Which word each point of an image is, and in which cells it counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WordTable:
    """The visual words of one image: a row for each point, in the order of its features.

    Attributes
    ----------
    points : ndarray of shape (n, 4), float32
        x, y, size and angle in the image, as ``Features.points``.
    word : ndarray of shape (n,), int32
        The nearest word, of Gaussians the most probable one. Of words in mirrored pairs the second half are the mirrors
        of the first, in the same order. Of ``NearWords``, and of ``SoftThreshold`` with ``split_sign``, those from its
        ``n_words`` on are the opposite directions.
    cell : ndarray of shape (n, n_grids), intp
        The point's cell in each grid of a spatial pyramid. Grids number their cells on from one another, row by row, as
        they follow one another in the vector; all 0 without a pyramid. Where cells overlap, a grid has up to four
        columns, and -1 stands for no cell.
    distance : ndarray of shape (n,), float32
        Of the descriptor from its word: Euclidean; of binary words in bits; of a Gaussian in its standard deviations,
        from its mean; of a direction 1 less the cosine.
    n_words, n_cells : int
        Words and cells that there are: ``word`` and ``cell`` are below them.
    n_pooled : int or None
        Of words in mirrored pairs, how many pairs there are: a pair shares its values in a vector. None of others.
    gray_only : bool
        Whether the points are known to be described by gray values alone.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagOfWords, Features, KMeansDictionary, SpatialPyramid
    >>> points = np.array([[10, 10, 8, -1], [50, 50, 8, -1]], np.float32)  # upper left and lower right
    >>> features = Features(points, np.zeros((2, 8), np.float32), image_size=(64, 64))
    >>> pyramid = SpatialPyramid(BagOfWords(KMeansDictionary(n_words=1)), grids=["1x1", "2x2"]).fit([features])
    >>> table = pyramid.words(features)
    >>> table.word.tolist(), table.cell.tolist()
    ([0, 0], [[0, 1], [0, 4]])
    """

    points: NDArray[np.float32]
    word: NDArray[np.int32]
    cell: NDArray[np.intp]
    distance: NDArray[np.float32]
    n_words: int
    n_cells: int = 1
    gray_only: bool = False
    n_pooled: int | None = None

    @property
    def n_uses(self) -> int:
        """How many words there are, a pair counted once."""
        return self.n_words if self.n_pooled is None else self.n_pooled

    def __len__(self) -> int:
        return len(self.points)
