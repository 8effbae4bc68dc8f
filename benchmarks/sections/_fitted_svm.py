"""A process of its own that fits a linear SVM, to see what memory that takes.

    python -m sections._fitted_svm CONTENDER C VECTORS.npy LABELS.npy

prints JSON: megabytes at the peak, and before the fit, when the vectors lay in memory.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from cvbow.classify import LinearSVM
from cvbow.parallel import single_threaded
from sections._memory import memory

CONTENDERS = {"cvbow": LinearSVM, "linear-svc": LinearSVC}


def fit(name: str, C: float, vectors: Any, labels: Any) -> Any:
    """Return a contender that was fitted; liblinear's warning that it did not converge is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return CONTENDERS[name](C=C).fit(vectors, labels)


def main() -> None:
    """Load, fit, tell."""
    name, C, vectors_file, labels_file = sys.argv[1:]
    vectors, labels = np.load(vectors_file), np.load(labels_file)
    with single_threaded():
        # What is loaded at the first fit is not its memory.
        fit(name, float(C), vectors[:, :4][[0, -1]], np.arange(2))
        before = memory()["VmHWM"]
        fit(name, float(C), vectors, labels)
    print(json.dumps({"before_mb": before, "peak_mb": memory()["VmHWM"]}))


if __name__ == "__main__":
    main()
