"""Probabilities for labelled vectors by classifiers that have not learned from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from cvbow._checks import check_int
from cvbow.classify._any_classifier import (
    classifier_name,
    fit_parameters,
    has_method,
    last_step,
    limit_neighbors,
    plain_arrays,
)
from cvbow.classify._labels import Groups, HeldOut, Labels, check_class_names, fold_of_each, take_labels
from cvbow.classify._temperature import fit_temperature, softmax
from cvbow.classify.label_sets import LabelSets, are_sets
from cvbow.classify.multi_label import MultiLabelClassifier
from cvbow.classify.one_against_rest import N_FOLDS, OneAgainstRestClassifier

#: The least probability whose logarithm counts as a decision: trees that all vote alike are not infinitely sure.
_LEAST = 1e-3


def cross_probabilities(
    classifier: Any,
    X: ArrayLike,
    y: Any,
    *,
    channels: Any = None,
    groups: ArrayLike | None = None,
    views: int = 1,
) -> NDArray[np.float64]:
    """Return for each image what a classifier that has not learned from it gives its classes, calibrated.

    A class that is far less probable than another may be a label that is wrong, and images whose classes are all as
    probable are hard. A fifth of the images is left out at a time, classes as even as can be.

    Parameters
    ----------
    classifier : estimator
        Any of scikit-learn's kind, or a pipeline; it is cloned. For cvbow's own the work is little more than one
        ``fit``: of a linear one there is one Gram matrix, channels have the shares that all vectors taught, and a
        pipeline's other steps learn from all vectors, too. Of any other, a clone learns each four fifths.
    X : array of shape (n, d)
        Vectors.
    y : array of shape (n,), or labels as ``MultiLabelClassifier`` takes them
    channels : mapping of str to int or slice, sequence of int, or None, default None
        As for ``LinearSVM``; told to a classifier that takes it.
    groups : array of shape (n,), int, or None, default None
        Vectors of one group are left out together: such as are of images that show the same.
    views : int, default 1
        So many vectors that follow one another are of one image, whose label they share.

    Returns
    -------
    ndarray of shape (n / views, n_classes), float64
        In [0, 1], the classes in sorted order; the rows add up to 1, but for images that may have several labels. The
        temperature, or the labels' logistic curves, are learned of these same decisions.

    Raises
    ------
    ValueError
        If a parameter breaks its rule, there are fewer than two classes or two groups, and what the classifier raises.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import LinearSVM
    >>> from cvbow.classify import cross_probabilities
    >>> X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    >>> y = np.where(X[:, 0] > 0, "high", "low")
    >>> y[7] = "low" if y[7] == "high" else "high"
    >>> found = cross_probabilities(LinearSVM(), X, y)
    >>> own = found[np.arange(60), (y == "low").astype(int)]
    >>> found.shape, int(own.argmin())
    ((60, 2), 7)
    """
    check_int("views", views, minimum=1)
    vectors = np.asarray(X)
    taught: Any
    if are_sets(y):
        taught = LabelSets.of(y)
        index, classes = taught.rarest, taught.classes
        if not isinstance(last_step(classifier)[1], MultiLabelClassifier):
            classifier = MultiLabelClassifier(classifier)
    else:
        taught = take_labels(y, len(vectors))
        check_class_names(taught)
        classes, index = np.unique(taught, return_inverse=True)
    if len(index) != len(vectors):
        raise ValueError(f"y must hold labels for each of {len(vectors)} vectors, got {len(index)}")
    folds = _folds(index, groups, views)
    learner, own = clone(classifier), last_step(classifier)[1]
    if not any(has_method(learner, name) for name in ("decision_function", "predict_proba")):
        raise ValueError(
            f"classifier must give decisions or probabilities, and {classifier_name(learner)} gives neither"
        )
    told = fit_parameters(learner, {"folds": folds, **_given(channels=channels, views=views)})
    with plain_arrays():
        if isinstance(own, OneAgainstRestClassifier | MultiLabelClassifier):
            fitted = last_step(learner.fit(vectors, taught, **told))[1]
            held_out: HeldOut = fitted.held_out_
            if len(held_out.decisions) * views != len(vectors):
                raise ValueError("groups must leave some of the vectors that the classifier keeps in each part")
            return np.asarray(fitted.to_probabilities(held_out.decisions))
        labels = Labels(index, np.ones(len(index)), groups=Groups(views, 1, folds))
        decisions = np.empty((len(vectors), len(classes)))
        for out in labels.parts(N_FOLDS, 0):
            part = clone(classifier)
            limit_neighbors(part, int((~out).sum()))
            part.fit(vectors[~out], index[~out], **fit_parameters(part, _given(channels=channels)))
            decisions[out] = _decisions(part, vectors[out], len(classes))
    decisions = labels.of_images(decisions)
    return softmax(decisions * fit_temperature(decisions, labels.images.index))


def _given(**told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None and not (name == "views" and value == 1)}


def _folds(index: NDArray[np.intp], groups: ArrayLike | None, views: int) -> NDArray[np.intp]:
    """Return a fold for each vector, by its image's group; a group is counted to the class of its first vector."""
    if groups is None:
        numbers = np.arange(len(index)) // views
    else:
        numbers = np.asarray(groups)
        if numbers.shape != index.shape or numbers.dtype.kind not in "iu":
            raise ValueError(f"groups must be an integer for each of {len(index)} vectors, got shape {numbers.shape}")
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    if len(first) < 2:
        raise ValueError(f"groups must be two at least, got {len(first)}")
    return fold_of_each(index[first], min(N_FOLDS, len(first)), 0)[group]


def _decisions(part: Any, vectors: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    """Return a column for each class; one that a part of the vectors has not taught gets the least of all."""
    if has_method(part, "decision_function"):
        found = np.asarray(part.decision_function(vectors), np.float64)
        found = np.stack([-found, found], axis=1) / 2 if found.ndim == 1 else found
    elif has_method(part, "predict_joint_log_proba"):
        # Probabilities of many values are 0 and 1 up to rounding, where these still tell vectors apart.
        found = np.asarray(part.predict_joint_log_proba(vectors), np.float64)
    else:
        found = np.log(np.maximum(np.asarray(part.predict_proba(vectors), np.float64), _LEAST))
    decisions = np.full((len(vectors), n_classes), found.min())
    decisions[:, part.classes_] = found
    return decisions
