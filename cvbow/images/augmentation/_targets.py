"""What goes with the images of a batch: classes in one of Keras's modes, or values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice

__all__ = ["CLASS_MODES", "Targets", "class_targets"]

CLASS_MODES = ("categorical", "binary", "sparse", "input", "raw")


class Targets:
    """The targets of images by position.

    Parameters
    ----------
    mode : str or None
        One of ``CLASS_MODES``: one-hot rows, 0.0 or 1.0, class numbers, the images themselves, values as they are.
        None: no targets.
    values : ndarray or sequence
        A class number of each image, or several; for "raw" an array.
    n_classes : int
    """

    def __init__(self, mode: str | None, values: Any = None, n_classes: int = 0) -> None:
        self.mode = mode
        self.values = values
        self.n_classes = n_classes

    def __call__(self, positions: Sequence[int], images: NDArray[np.float32]) -> Any:
        """Return the targets of a batch."""
        if self.mode == "input":
            return images.copy()
        if self.mode == "categorical":
            rows = np.zeros((len(positions), self.n_classes), np.float32)
            for row, position in enumerate(positions):
                rows[row, self.values[position]] = 1
            return rows
        kinds = {"binary": np.float32, "sparse": np.int64}
        chosen = self.values[np.asarray(positions, np.intp)]
        return chosen.astype(kinds[self.mode]) if self.mode in kinds else chosen


def class_targets(mode: str | None, labels: Sequence[Any], classes: Sequence[str]) -> Targets:
    """Return the targets for labels, each of them among the classes; "categorical" also takes lists of labels."""
    if mode is not None:
        check_choice("class_mode", mode, CLASS_MODES)
    if mode is None or mode == "input":
        return Targets(mode)
    if mode == "binary" and len(classes) != 2:
        raise ValueError(f"class_mode binary needs exactly two classes, got {len(classes)}")
    index = {name: number for number, name in enumerate(classes)}
    if mode == "categorical":
        several = [[index[one] for one in (name if isinstance(name, (list, tuple)) else [name])] for name in labels]
        return Targets(mode, several, len(classes))
    return Targets(mode, np.array([index[name] for name in labels], np.int64), len(classes))
