"""Checks of parameters; each failure names the parameter, the rule and the value received."""

from __future__ import annotations

import numbers
from collections.abc import Collection, Sequence
from typing import Any

from cvbow.errors import did_you_mean

#: Characters of a list of choices that is told even where it is clear what was meant.
_SHORT = 80


def check_int(name: str, value: object, *, minimum: int, none: bool = False) -> None:
    """Raise ValueError unless ``value`` is an integer >= ``minimum`` (or None, where that is allowed)."""
    if none and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        allowed = "None or an integer" if none else "an integer"
        raise ValueError(f"{name} must be {allowed} >= {minimum}, got {value!r}")


def check_ints(name: str, values: object, *, minimum: int) -> None:
    """Raise ValueError unless ``values`` is a sequence of at least one integer, each >= ``minimum``."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"{name} must be a sequence of at least one integer, got {values!r}")
    for value in values:
        check_int(name, value, minimum=minimum)


def check_real(
    name: str,
    value: object,
    *,
    minimum: float,
    maximum: float = float("inf"),
    open_minimum: bool = False,
    none: bool = False,
) -> None:
    """Raise ValueError unless ``value`` is a finite number in [minimum, maximum], or (minimum, maximum], or None."""
    if none and value is None:
        return
    fits = False
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        fits = (minimum < number if open_minimum else minimum <= number) and number <= maximum and number < float("inf")
    if not fits:
        low = f"> {minimum:g}" if open_minimum else f">= {minimum:g}"
        high = "" if maximum == float("inf") else f" and <= {maximum:g}"
        raise ValueError(f"{name} must be a number {low}{high}, got {value!r}")


def check_choice(name: str, value: object, choices: Collection[str], *, hint: str = "") -> None:
    """Raise ValueError unless ``value`` is one of ``choices``; ``hint`` is said where it is like none of them."""
    if not isinstance(value, str) or value not in choices:
        meant, names = did_you_mean(value, choices), ", ".join(choices)
        if meant and len(names) > _SHORT:
            raise ValueError(f"{name} {value!r} is unknown{meant}")
        raise ValueError(f"{name} must be one of {names}, got {value!r}{meant or '; ' * bool(hint) + hint}")


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_labels(name: str, labels: Any) -> Any:
    """Return labels as an array, by position whatever index they carry; they must all be of one kind.

    Texts, or numbers with truth values among them, or objects of one other kind; NumPy alone would turn numbers among
    texts, and what stands for a missing label, into texts.

    Raises
    ------
    ValueError
        That names the first label that is missing, or is of another kind than the first.
    """
    import numpy as np

    found = np.asarray(labels)
    listed = isinstance(labels, list | tuple)
    if found.dtype.kind in "biu" or (found.dtype.kind in "US" and not listed):
        return found
    kinds: dict[type, Any] = {}
    for position, label in enumerate(labels if listed else found.ravel()):
        if _is_missing(label):
            raise ValueError(f"{name} must have no missing labels, got {label!r} at position {position}")
        kinds.setdefault(_kind(label), label)
        if len(kinds) > 1:
            first = next(iter(kinds.values()))
            raise ValueError(
                f"{name} must hold labels of one kind, got {first!r} at first and {label!r} at position {position}"
            )
    # scikit-learn's classifiers take no numbers that are objects.
    return np.asarray(found.tolist()) if numbers.Number in kinds else found


def _kind(label: Any) -> type:
    import numpy as np

    kinds = (str, bytes, numbers.Number, np.bool_)
    found = next((kind for kind in kinds if isinstance(label, kind)), type(label))
    return numbers.Number if found is np.bool_ else found


def _is_missing(label: Any) -> bool:
    """Tell whether a label is None, or not even equal to itself: NaN, NaT, pandas' NA."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True
    except ValueError:  # an array
        return False


def check_part(part: object) -> None:
    """Check the parameters of a part of cvbow; parts of other making check theirs in ``fit``."""
    check_params = getattr(part, "check_params", None)
    if callable(check_params):
        check_params()


def check_matrix(
    estimator: Any,
    X: Any,
    *labels: Any,
    fitting: bool,
    name: str = "X",
    dtype: str | None = "float32",
    narrow: bool = False,
    may_be_empty: bool = False,
    non_negative: bool = False,
) -> Any:
    """Return X as a finite array (n, d), in rows and not a copy where it is one already; with labels, both.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_``, and of a data frame ``feature_names_in_``, or is asked for them.
    X : array-like of shape (n, d)
    *labels : array-like of shape (n,)
        y, if there is one.
    fitting : bool
        Whether X is what the estimator learns from.
    name : str, default "X"
        What X is called where it is not finite.
    dtype : str or None, default "float32"
        What X is turned into; None keeps what it is.
    narrow : bool, default False
        Whether X in float16 stays as it is, be it in memory or the map of a file, of which no copy is made.
    may_be_empty : bool, default False
        Whether X may have no rows.
    non_negative : bool, default False
        Whether X must have no negative values.

    Raises
    ------
    ValueError, TypeError
        Where scikit-learn's checks refuse X or y: X is sparse, complex, without columns, not of two dimensions, or has
        other columns than in training; y is missing, not finite, or of another length. And if X is not finite.
    """
    import numpy as np
    from sklearn.utils.validation import check_non_negative, validate_data

    if narrow and isinstance(X, np.ndarray) and X.dtype == np.float16:
        dtype = "float16"
    # scikit-learn's checks would change nothing about such an array, and take a tenth of a millisecond to say so.
    is_right = (
        not fitting
        and isinstance(X, np.ndarray)
        and dtype is not None
        and X.dtype == dtype
        and X.flags.c_contiguous
        and X.shape[1:] == (estimator.n_features_in_,)
        and (may_be_empty or len(X) > 0)
        and "feature_names_in_" not in vars(estimator)
    )
    # Values that come from a float64 beyond float32 are infinite.
    with np.errstate(all="ignore"):
        if is_right:
            checked, matrix = X, X
        else:
            checked = validate_data(
                estimator,
                X,
                *labels,
                reset=fitting,
                dtype=dtype,
                order="C",
                ensure_min_samples=0 if may_be_empty else 1,
                ensure_all_finite=False,
            )
            matrix = checked[0] if labels else checked
        finite = matrix.dtype.kind not in "fc" or _is_finite(matrix)
    if not finite:
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    if non_negative:
        check_non_negative(matrix, f"{name} in {type(estimator).__name__}")
    return checked


def _is_finite(matrix: Any) -> bool:
    import numpy as np

    if matrix.dtype == np.float16:
        # The exponent of what is not finite has all its bits set.
        bits, size = matrix.view(np.uint16), max(1, (1 << 20) // matrix.shape[1])
        return all((bits[top : top + size] & 0x7C00).max(initial=0) < 0x7C00 for top in range(0, len(bits), size))
    # A finite sum has no NaN or infinity in it. Sums of large values may leave float32, but not float64.
    return bool(np.isfinite(matrix.sum()) or np.isfinite(matrix.sum(dtype=np.float64)))
