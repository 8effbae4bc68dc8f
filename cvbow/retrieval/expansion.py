"""Query expansion by geometry: what verified results show of the query, brought into its frame.

O. Chum, J. Philbin, J. Sivic, M. Isard and A. Zisserman, "Total recall: automatic query expansion with a generative
feature model for object retrieval", ICCV 2007.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.features import Features
from cvbow.matching import transform_points
from cvbow.retrieval.quantized import quantize, stored_points

#: What a feature has.
_OF_A_FEATURE = ("words", "places", "shapes", "signatures")


def carried(
    result: Mapping[str, NDArray[Any]], matrix: ArrayLike, query: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Bring the features of a verified result to where they are in the query.

    Those outside the part in which the query has features (the image, or the box that is looked for) are left out.

    Parameters
    ----------
    result : mapping
        Local words, as ``quantize`` makes them; what else it has stays.
    matrix : array of shape (3, 3)
        The map from pixels of the query to pixels of the result: ``Verification.matrix``.
    query : mapping
        Local words.

    Returns
    -------
    dict of ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import Features
    >>> from cvbow.retrieval import quantize
    >>> from cvbow.retrieval.expansion import carried
    >>> from cvbow.retrieval.quantized import stored_points
    >>> def image(places):
    ...     points = np.column_stack([places, np.full(3, 8), np.zeros(3)]).astype(np.float32)
    ...     return quantize(Features(points, np.zeros((3, 1), np.float32), (400, 300)), np.arange(3, dtype=np.int32))
    >>> query, result = image([[10, 10], [20, 90], [80, 30]]), image([[60, 40], [300, 200], [90, 80]])
    >>> brought = carried(result, [[2, 0, 0], [0, 2, 0], [0, 0, 1]], query)
    >>> brought["words"].tolist(), stored_points(brought).round().tolist()
    ([0, 2], [[30.0, 20.0, 4.0, 0.0], [45.0, 40.0, 4.0, 0.0]])
    """
    points = stored_points(result).astype(np.float64)
    back = np.linalg.inv(np.asarray(matrix, np.float64))
    middles = transform_points(back, points[:, :2])
    # A feature's size and angle are where a point goes that lies so far from it in that direction.
    angles = np.deg2rad(points[:, 3])
    reach = points[:, 2:3] / 2 * np.column_stack([np.cos(angles), np.sin(angles)])
    with np.errstate(invalid="ignore"):
        across = transform_points(back, points[:, :2] + reach) - middles
        aside = transform_points(back, points[:, :2] + reach[:, ::-1] * (-1, 1)) - middles
        area = across[:, 0] * aside[:, 1] - across[:, 1] * aside[:, 0]
        own = stored_points(query)[:, :2]
        within = (middles >= own.min(axis=0)) & (middles <= own.max(axis=0))
        inside = np.isfinite(area) & (area > 0) & within.all(axis=1)
    across, middles = across[inside], middles[inside]
    sizes, turns = 2 * np.sqrt(area[inside]), np.rad2deg(np.arctan2(across[:, 1], across[:, 0])) % 360
    width, height = query["image_size"].tolist()
    features = Features(
        np.column_stack([middles, sizes, turns]).astype(np.float32),
        np.zeros((len(middles), 1), np.float32),
        (width, height),
    )
    signatures = result["signatures"][inside] if "signatures" in result else None
    return {**result, **quantize(features, result["words"][inside], signatures)}


def joined(query: Mapping[str, NDArray[Any]], results: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return the query with the features of what was `carried` into its frame; each of these has its nearest word."""
    names = [name for name in _OF_A_FEATURE if name in query]
    arrays = {name: np.concatenate([query[name], *(result[name] for result in results)]) for name in names}
    if "nearest" in query:
        own = query["nearest"]
        arrays["nearest"] = np.concatenate([own, np.ones(len(arrays["words"]) - len(own), bool)])
    order = np.argsort(arrays["words"], kind="stable")
    return {**query, **{name: array[order] for name, array in arrays.items()}}
