"""The images of an audit that could be read, as its parts look at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.audit.appearance import Appearance

#: Between the labels of an image that has several.
BETWEEN = " | "


@dataclass(eq=False)
class LookedAt:
    """Images that could be read, with their labels; n of them.

    Attributes
    ----------
    paths : list of str
        Each once.
    labels : list of (str or tuple of str)
    splits : list of (str or None)
    looks : list of Appearance
    vectors : ndarray of shape (n, d), float32
    """

    paths: list[str]
    labels: list[Any]
    splits: list[str | None]
    looks: list[Appearance]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return not all(isinstance(label, str) for label in self.labels)

    @cached_property
    def sets(self) -> list[tuple[str, ...]]:
        """The labels of each image."""
        return [(label,) if isinstance(label, str) else tuple(label) for label in self.labels]

    @cached_property
    def classes(self) -> list[str]:
        """The labels that there are, sorted."""
        return sorted({name for names in self.sets for name in names})

    @property
    def n_classes(self) -> int:
        """How many these are."""
        return len(self.classes)

    @cached_property
    def has(self) -> NDArray[np.bool_]:
        """Which of ``classes`` each image has, (n, n_classes)."""
        at = {name: column for column, name in enumerate(self.classes)}
        found = np.zeros((len(self), self.n_classes), bool)
        for row, names in enumerate(self.sets):
            found[row, [at[name] for name in names]] = True
        return found

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """The class of each image, (n,), where it has one."""
        return np.asarray(self.has.argmax(axis=1), np.intp)

    def label_text(self, row: int) -> str:
        """Return the label of an image as a text."""
        return BETWEEN.join(self.sets[row])

    def some_paths(self, rows: NDArray[np.intp], most: int) -> tuple[str, ...]:
        """Return the first paths of some rows."""
        return tuple(self.paths[row] for row in rows[:most])
