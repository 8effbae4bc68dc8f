"""A model's answers for many images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.tables import Table, Tabular, counted, some

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

#: Answers that a notebook shows, and labels that a line does.
_SHOWN, _NAMED = 20, 5


@dataclass(frozen=True, eq=False)
class Answers(Tabular):
    """Answers for the images that could be read.

    Attributes
    ----------
    labels : ndarray of shape (n_read,), or list of lists where images have several labels
    probabilities : ndarray of shape (n_read, n_classes), float64
    rows : ndarray of shape (n_read,), intp
        Position of each in the sequence of images that was given.
    skipped : list of ImageError
    strangers : ndarray of shape (n_read,), float64, or None
        How strange each image is to the model, see ``Strangers``; None of a model that cannot tell.
    none_of_these : ndarray of shape (n_read,), bool, or None
        Whether it is stranger than nearly all images of the model's classes, and so perhaps of none of them. Labels
        and sets are what is most likely if it is of one after all.
    sets : list of lists, or None
        The labels of which the right one is with the probability that was asked for, the most probable first; None
        where none was asked for.
    classes : ndarray of shape (n_classes,), or None
        What the columns of ``probabilities`` stand for, where that is known.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier
    >>> from cvbow.backends import ColorHistogram
    >>> white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> model = ImageClassifier(ColorHistogram(), "naive-bayes").fit([white, black] * 3, ["white", "black"] * 3)
    >>> answers = model.answer([black, "missing.png", white])
    >>> answers.labels.tolist(), answers.rows.tolist(), len(answers.skipped)
    (['black', 'white'], [0, 2], 1)
    >>> answers.to_frame()["label"].to_dict()
    {0: 'black', 2: 'white'}
    """

    labels: Any
    probabilities: NDArray[np.float64]
    rows: NDArray[np.intp]
    skipped: list[ImageError]
    strangers: NDArray[np.float64] | None = None
    none_of_these: NDArray[np.bool_] | None = None
    sets: list[list[Any]] | None = None
    classes: NDArray[Any] | None = None

    def __repr__(self) -> str:
        several = isinstance(self.labels, list)
        counts = Counter(str(name) for label in self.labels for name in (label if several else [label]))
        told = some([f"{name} {count}" for name, count in counts.most_common()], _NAMED)
        more = " labels" if len(counts) > _NAMED else ""
        skipped = f"; {len(self.skipped)} skipped" if self.skipped else ""
        return f"Answers({counted(len(self.rows), 'image')}{': ' * bool(told)}{told}{more}{skipped})"

    def to_frame(self) -> pandas.DataFrame:
        """Return the answers as a data frame of pandas, a row for each image that could be read.

        Its index is ``rows``. The columns are ``label``, then what there is of ``stranger``, ``none_of_these`` and
        ``set``, and last the probabilities, in columns called as the classes are: ``probability of cat``.

        Raises
        ------
        ImportError
            Without pandas, which cvbow does not need elsewhere.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install pandas") from error
        columns: dict[str, Any] = {"label": self.labels if isinstance(self.labels, list) else self.labels.tolist()}
        known = {"stranger": self.strangers, "none_of_these": self.none_of_these, "set": self.sets}
        columns |= {name: values for name, values in known.items() if values is not None}
        index = pandas.Index(self.rows, name="image")
        # Two classes of a network may have one name: a data frame can have such columns, a dict cannot.
        probabilities = pandas.DataFrame(self.probabilities, index=index, columns=self._columns())
        return pandas.concat([pandas.DataFrame(columns, index=index), probabilities], axis=1)

    def tables(self) -> list[Table]:
        """Return the first answers, the most probable class with its probability, and what could not be read."""
        several = isinstance(self.labels, list)
        heads = ["image", "labels" if several else "label", *([] if several else ["probability"])]
        if self.none_of_these is not None:
            heads.append("none of these")
        rows = []
        for place, (row, label) in enumerate(zip(self.rows[:_SHOWN], self.labels[:_SHOWN], strict=True)):
            told = [str(row), ", ".join(map(str, label)) if several else str(label)]
            if not several:
                told.append(f"{self.probabilities[place].max():.3f}")
            if self.none_of_these is not None:
                told.append("perhaps" if self.none_of_these[place] else "")
            rows.append(told)
        more = f"{len(self.rows) - _SHOWN} more. " if len(self.rows) > _SHOWN else ""
        skipped = f"{len(self.skipped)} could not be read." if self.skipped else ""
        return [Table(heads, rows, notes=f"{more}{skipped}".strip())]

    def _columns(self) -> list[str]:
        n = self.probabilities.shape[1]
        return [f"probability of {name}" for name in (range(n) if self.classes is None else self.classes)]
