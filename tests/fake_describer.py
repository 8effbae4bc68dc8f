"""A describer that is quick and plain enough to check an index by: blocks of an image are its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cvbow.retrieval import ArraySpec, Describer, Scorer, Segment, check_box
from cvbow.storage import storable

N_WORDS = 32


@storable
class BlockWords(Describer):
    """Words are the mean grays of 8 x 8 blocks that are not of one colour; scores are shared words, counted."""

    kind: ClassVar[str] = "inverted"
    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "memory": None}

    def __init__(self, step: int = 8, n_jobs: int | None = None, memory: Any = None) -> None:
        self.step = step
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def gray_only(self) -> bool:
        return True

    def fit(self, images: Sequence[Any] = (), y: object = None) -> Self:
        return self

    def check_params(self) -> None:
        pass

    def fingerprint(self) -> str:
        return str(self.step)

    def layout(self) -> dict[str, ArraySpec]:
        return {
            "words": ArraySpec("<i4", (), "feature"),
            "places": ArraySpec("<u2", (2,), "feature"),
            "shapes": ArraySpec("|u1", (2,), "feature"),
            "image_size": ArraySpec("<i4", (2,), "image"),
        }

    def describe(self, image: NDArray[np.uint8], *, box: Any = None) -> dict[str, NDArray[Any]]:
        height, width = image.shape[:2]
        left, top, across, down = (0, 0, width, height) if box is None else check_box(box, (width, height))
        words, places = [], []
        for y in range(0, height - self.step + 1, self.step):
            for x in range(0, width - self.step + 1, self.step):
                block = image[y : y + self.step, x : x + self.step]
                inside = left <= x < left + across and top <= y < top + down
                if inside and block.std() > 0:
                    words.append(int(block.mean()) * N_WORDS // 256)
                    places.append((x, y))
        order = np.argsort(np.array(words, "<i4"), kind="stable")
        return {
            "words": np.array(words, "<i4")[order],
            "places": np.array(places, "<u2").reshape(-1, 2)[order],
            "shapes": np.zeros((len(words), 2), np.uint8),
            "image_size": np.array([width, height], "<i4"),
        }

    def derive(
        self, arrays: Mapping[str, NDArray[Any]], feature_start: NDArray[np.int64], n_images: int
    ) -> dict[str, NDArray[Any]]:
        counts = np.zeros((n_images, N_WORDS), "<i4")
        np.add.at(counts, (np.repeat(np.arange(n_images), np.diff(feature_start)), arrays["words"]), 1)
        return {"counts": counts}

    def check_segment(self, segment: Segment) -> None:
        counts, words = segment.arrays["counts"], segment.arrays["words"]
        if counts.shape != (segment.n_images, N_WORDS) or np.any((words < 0) | (words >= N_WORDS)):
            raise ValueError("words or counts are out of range")

    def scorer(self, segments: Sequence[Segment], alive: Sequence[NDArray[np.bool_]]) -> Scorer:
        return Shared([segment.arrays["counts"] for segment in segments])


class Shared(Scorer):
    """Histogram intersection."""

    def __init__(self, counts: list[NDArray[Any]]) -> None:
        self.counts = counts

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        own = query["histogram"] if "histogram" in query else np.bincount(query["words"], minlength=N_WORDS)
        return np.concatenate([np.minimum(one, own).sum(axis=1) for one in self.counts]).astype(np.float32)

    def expanded(
        self, query: Mapping[str, NDArray[Any]], results: Sequence[Mapping[str, NDArray[Any]]]
    ) -> Mapping[str, NDArray[Any]]:
        counts = [np.bincount(one["words"], minlength=N_WORDS) for one in (query, *results)]
        return {**query, "histogram": np.mean(counts, axis=0)}


@storable
class PlainVectors(Describer):
    """Exact, without features: the means of the image's four quarters."""

    kind: ClassVar[str] = "exact"

    def __init__(self, n_jobs: int | None = None, memory: Any = None) -> None:
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def gray_only(self) -> bool:
        return True

    def fit(self, images: Sequence[Any] = (), y: object = None) -> Self:
        return self

    def check_params(self) -> None:
        pass

    def fingerprint(self) -> str:
        return ""

    def layout(self) -> dict[str, ArraySpec]:
        return {"vectors": ArraySpec("<f4", (4,), "image")}

    def describe(self, image: NDArray[np.uint8], *, box: Any = None) -> dict[str, NDArray[Any]]:
        y, x = image.shape[0] // 2, image.shape[1] // 2
        quarters = (image[:y, :x], image[:y, x:], image[y:, :x], image[y:, x:])
        vector = np.array([quarter.mean() for quarter in quarters], np.float32)
        vector -= vector.mean()
        return {"vectors": vector / max(float(np.linalg.norm(vector)), 1e-9)}

    def scorer(self, segments: Sequence[Segment], alive: Sequence[NDArray[np.bool_]]) -> Scorer:
        return Cosine([segment.arrays["vectors"] for segment in segments])


class Cosine(Scorer):
    def __init__(self, vectors: list[NDArray[Any]]) -> None:
        self.vectors = vectors

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        return np.concatenate([(one * query["vectors"]).sum(axis=1) for one in self.vectors])

    def expanded(
        self, query: Mapping[str, NDArray[Any]], results: Sequence[Mapping[str, NDArray[Any]]]
    ) -> Mapping[str, NDArray[Any]]:
        return query
