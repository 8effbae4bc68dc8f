"""Vectors that are of one image: its views, and those of its augmented copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int

__all__ = ["Groups"]


@dataclass(frozen=True)
class Groups:
    """How vectors that follow one another belong to images: for each image its copies, for each copy its views.

    Attributes
    ----------
    views : int
        Vectors of one picture, whose decisions are averaged.
    copies : int
        Pictures of one image: the image itself, then what augmentation made of it.
    """

    views: int = 1
    copies: int = 1

    @property
    def size(self) -> int:
        """Vectors of an image. All or none of them are left out: copies tell of the image that they were made from."""
        return self.views * self.copies

    def check(self, labels: NDArray[np.intp]) -> None:
        """Raise ValueError unless the labels of an image's vectors are one."""
        check_int("views", self.views, minimum=1)
        check_int("copies", self.copies, minimum=1)
        if len(labels) % self.size or (labels.reshape(-1, self.size) != labels[:: self.size, None]).any():
            raise ValueError(
                f"y must give the same label to the {self.size} views and copies of an image, which follow one another"
            )

    def of_images(self, decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decision for each image (n_images, k): the mean of its views, as it is and without its copies.

        What is to be classified later comes without copies too, so these are the decisions to learn a temperature from.
        """
        own = decisions.reshape(-1, self.size, decisions.shape[1])[:, : self.views]
        return np.asarray(own.mean(axis=1))
