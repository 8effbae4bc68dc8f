"""The demonstration that ``cvbow demo`` runs: handwritten digits that come with scikit-learn, so nothing is downloaded.

1,797 gray images of 8 x 8 pixels from the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, 1998).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cvbow.classify import ClassificationReport, ImageClassifier
from cvbow.datasets import load_dataset, locate
from cvbow.explanation import Explanation, explain
from cvbow.presets import make_model
from cvbow.progress import stages

__all__ = ["DIGIT_SETTINGS", "DigitsResult", "run_digits"]

#: Changes to the preset "bow" for images this small: enlarged, fewer and smaller patches, fewer words.
DIGIT_SETTINGS = {"min_side": 40, "bin_sizes": (4, 6, 8), "n_words": 300, "sample": 40_000}


@dataclass(frozen=True, eq=False)
class DigitsResult:
    """What the demonstration found.

    Attributes
    ----------
    model : the trained model
    n_train : int
    report : ClassificationReport
        On images that the model was not trained on.
    seconds : dict
        Time to ``train`` and to ``evaluate``.
    mistake : tuple of ndarray and Explanation, or None
        Of the surest mistake, the image, (8, 8) uint8, and why the model took the one class and not the true one. None
        if there was no mistake.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ClassificationReport, make_model
    >>> from cvbow.demo import DigitsResult
    >>> report = ClassificationReport(["0", "1"], np.array([[9, 1], [0, 10]]), top5_accuracy=1.0, log_loss=0.1)
    >>> result = DigitsResult(make_model("fast"), n_train=80, report=report, seconds={"train": 1.2, "evaluate": 0.3})
    >>> result.report.accuracy
    0.95
    """

    model: ImageClassifier
    n_train: int
    report: ClassificationReport
    seconds: dict[str, float]
    mistake: tuple[NDArray[np.uint8], Explanation] | None = None


def run_digits(*, n_jobs: int | None = -1) -> DigitsResult:
    """Train on 70 % of the digits, drawn at random by class with a fixed seed, and evaluate on the rest."""
    from sklearn.model_selection import train_test_split

    digits = load_dataset(locate("digits"))
    images, labels = list(digits.images), np.array(digits.labels)
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.3, random_state=0, stratify=labels
    )
    with stages({"train": len(train), "evaluate": len(test)}) as begin:
        started = time.perf_counter()
        model = make_model("bow", settings=DIGIT_SETTINGS, n_jobs=n_jobs).fit(train, train_labels)
        trained = time.perf_counter()
        begin("evaluate")
        report, answers = model.evaluate(test, list(test_labels))
    seconds = {"train": trained - started, "evaluate": time.perf_counter() - trained}
    probabilities = np.where(answers.labels == test_labels, -1, answers.probabilities.max(axis=1))
    place = int(probabilities.argmax())
    mistake = None
    if probabilities[place] >= 0:
        why = explain(model, test[place], answers.labels[place], against=test_labels[place])
        mistake = test[place], cast(Explanation, why)
    return DigitsResult(model, len(train), report, seconds, mistake)
