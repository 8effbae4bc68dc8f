"""cleanlab's label issues: the opponent of `cvbow audit` where labels are wrong.

    python benchmarks/peers/cleanlab_labels.py VECTORS.npz [--json FILE]

VECTORS.npz has `vectors` (n, d) and `labels` (n,). As cleanlab's documentation has it: probabilities of a classifier
for images that it was not trained on (scikit-learn's logistic regression, five folds), then `find_label_issues` and
`get_label_quality_scores` with their defaults. The regularization is the one, of three, whose probabilities have the
least log loss for the labels of the first fold.

Logistic regression with the square penalty sees vectors by their inner products alone: the vectors are turned so that
all but n of their values are zero, which are left out. That changes no answer, and saves most of the time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cleanlab
import numpy as np
import sklearn
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict

REGULARIZATIONS = (1.0, 10.0, 100.0)


def run(vectors: NDArray[np.floating], labels: ArrayLike, *, seed: int = 0) -> dict[str, Any]:
    """The rows whose labels are in question, and of each row how likely it is that its label is wrong, 0 to 1."""
    started, spent = time.perf_counter(), time.process_time()
    names, given = np.unique(np.asarray(labels), return_inverse=True)
    turned = _turned(vectors)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(turned, given))
    with warnings.catch_warnings():
        # Where the iterations end before the optimum, the log loss is the judge.
        warnings.simplefilter("ignore")
        losses = {C: _loss(C, turned, given, *folds[0]) for C in REGULARIZATIONS}
        C = min(losses, key=lambda value: losses[value])
        probabilities = cross_val_predict(LogisticRegression(C=C), turned, given, cv=folds, method="predict_proba")
    issues = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence")
    quality = get_label_quality_scores(given, probabilities)
    return {
        "rows": [int(row) for row in issues],
        "scores": [round(1 - float(score), 5) for score in quality],
        "C": C,
        "log_loss": round(float(log_loss(given, probabilities, labels=range(len(names)))), 4),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
        "versions": {"cleanlab": cleanlab.__version__, "scikit-learn": sklearn.__version__},
    }


def _loss(
    C: float,
    vectors: NDArray[np.float64],
    labels: NDArray[np.intp],
    learned: NDArray[np.intp],
    left_out: NDArray[np.intp],
) -> float:
    model = LogisticRegression(C=C).fit(vectors[learned], labels[learned])
    return float(log_loss(labels[left_out], model.predict_proba(vectors[left_out]), labels=model.classes_))


def _turned(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return vectors (n, at most n) whose inner products are those of the vectors (n, d)."""
    if vectors.shape[1] <= len(vectors):
        return np.asarray(vectors, np.float64)
    # The products of float32 are known to seven digits or so, and not what is below that.
    values, axes = np.linalg.eigh((vectors @ vectors.T).astype(np.float64))
    kept = values > values.max() * 1e-7
    return np.asarray(axes[:, kept] * np.sqrt(values[kept]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, judge, print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, metavar="VECTORS.npz")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(arguments)
    with np.load(options.vectors, allow_pickle=False) as file:
        found = run(file["vectors"], file["labels"])
    text = json.dumps(found)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
