"""What a class promises of what it has learned, declared once, and held against every state that is loaded.

A class says so in ``learned``, a mapping of its learned attributes to rules. Lengths have names: all arrays of an
object agree in those of one name, and a name that is an attribute's stands for its value (``n_features_in_``).
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Learned(ABC):
    """A rule for a learned attribute.

    Parameters
    ----------
    optional : bool, default False
        Whether it may be None or missing.
    only_if : str, optional
        The parameter that decides whether it must be there, instead.

    Examples
    --------
    >>> from cvbow.storage import Learned, Number, check_learned
    >>> rules: dict[str, Learned] = {"mean_": Number(), "deviation_": Number(above=0, only_if="scaled")}
    >>> check_learned(rules, {"scaled": False, "mean_": 2.5})
    >>> check_learned(rules, {"scaled": True, "mean_": 2.5})
    Traceback (most recent call last):
    ValueError: deviation_ must be there, as other things are that were learned with it
    """

    optional: bool = False
    only_if: str | None = None

    def may_be_none(self, state: Mapping[str, Any]) -> bool:
        """Tell whether the attribute may be None or missing in a state."""
        return self.optional if self.only_if is None else not state.get(self.only_if)

    @abstractmethod
    def check(self, name: str, value: Any, lengths: dict[str, int]) -> None:
        """Raise ValueError if a value breaks the rule; ``lengths`` are those that are known, and gets those found."""


@dataclass(frozen=True, kw_only=True)
class _Range(Learned):
    """A rule for finite numbers.

    Parameters
    ----------
    minimum : float, optional
    above : float, optional
        What they must be greater than.
    """

    minimum: float | None = None
    above: float | None = None

    def check_range(self, name: str, low: float, high: float) -> None:
        """Raise ValueError unless the least and the greatest of some numbers are finite and in the range."""
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"{name} must be finite, got NaN or infinity")
        if self.minimum is not None and low < self.minimum:
            raise ValueError(f"{name} must be >= {self.minimum:g}, got {low:g}")
        if self.above is not None and low <= self.above:
            raise ValueError(f"{name} must be > {self.above:g}, got {low:g}")


@dataclass(frozen=True)
class Array(_Range):
    """An array of finite numbers.

    Parameters
    ----------
    dtype : str
        Of NumPy, such as ``"float32"``; or ``"floating"``, ``"integer"``, ``"number"`` for all of that kind.
    shape : str
        Names of the lengths, such as ``"n_words k"``, or numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.storage import Array, check_learned
    >>> rules = {"words_": Array("float32", "n_words k"), "counts_": Array("float64", "n_words", minimum=0)}
    >>> check_learned(rules, {"words_": np.zeros((5, 8), np.float32), "counts_": np.zeros(4)})
    Traceback (most recent call last):
    ValueError: counts_ must be a float64 array of shape (n_words,), with n_words = 5, got float64 of shape (4,)
    """

    dtype: str
    shape: str

    def check(self, name: str, value: Any, lengths: dict[str, int]) -> None:
        wanted = self.shape.split()
        known = {length: lengths[length] for length in wanted if length in lengths}
        fits = isinstance(value, np.ndarray) and value.ndim == len(wanted) and self._has_type(value.dtype)
        for length, found in zip(wanted, value.shape if fits else (), strict=fits):
            expected = int(length) if length.isdigit() else lengths.setdefault(length, found)
            fits = fits and found == expected and found > 0
        if not fits:
            shape = ", ".join(wanted) + "," * (len(wanted) == 1)
            told = " and ".join(f"{length} = {n}" for length, n in known.items())
            got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else _show(value)
            wanted_type = f"{'an' if self.dtype.startswith('int') else 'a'} {self.dtype} array"
            told = f", with {told}" if told else ""
            raise ValueError(f"{name} must be {wanted_type} of shape ({shape}){told}, got {got}")
        self.check_range(name, float(value.min()), float(value.max()))

    def _has_type(self, dtype: np.dtype[Any]) -> bool:
        kinds = {"floating": np.floating, "integer": np.integer, "number": np.number}
        return bool(np.issubdtype(dtype, kinds[self.dtype]) if self.dtype in kinds else dtype == np.dtype(self.dtype))


@dataclass(frozen=True)
class Number(_Range):
    """A finite number.

    Parameters
    ----------
    integer : bool, default False
        Whether it is one without a fraction; it then stands for a length of its name.

    Examples
    --------
    >>> from cvbow.storage import Number, check_learned
    >>> check_learned({"sigma_": Number(above=0)}, {"sigma_": 0.0})
    Traceback (most recent call last):
    ValueError: sigma_ must be > 0, got 0
    """

    integer: bool = False

    def check(self, name: str, value: Any, lengths: dict[str, int]) -> None:
        kind: Any = numbers.Integral if self.integer else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind) or (self.integer and abs(value) > 1 << 62):
            raise ValueError(f"{name} must be {'an integer' if self.integer else 'a number'}, got {_show(value)}")
        self.check_range(name, float(value), float(value))
        if self.integer and lengths.setdefault(name, int(value)) != int(value):
            raise ValueError(f"{name} must be {lengths[name]}, got {value}")


@dataclass(frozen=True)
class ClassNames(Learned):
    """The names of the classes, ascending and each once.

    Their number is the length ``n_classes``, and ``n_scores`` is as many, but 1 for two classes: one score tells them
    apart. Where the length ``n_labels_`` is known, they are labels of which an image may have several, each with a
    score.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.storage import ClassNames, check_learned
    >>> check_learned({"classes_": ClassNames()}, {"classes_": np.array(["cat", "cat", "dog"])})
    Traceback (most recent call last):
    ValueError: classes_ must be names of classes, ascending and each once, got ['cat' 'cat' 'dog']
    """

    def check(self, name: str, value: Any, lengths: dict[str, int]) -> None:
        fits = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biufUSMm" and len(value) > 0
        fits = fits and (value.dtype.kind != "f" or bool(np.isfinite(value).all()))
        if not fits or not bool(np.all(value[:-1] < value[1:])):
            raise ValueError(f"{name} must be names of classes, ascending and each once, got {_show(value)}")
        found = {"n_classes": len(value), "n_scores": 1 if len(value) == 2 else len(value)}
        if "n_labels_" in lengths:
            found |= {"n_scores": len(value), "n_labels_": len(value)}
        for length, n in found.items():
            if lengths.setdefault(length, n) != n:
                raise ValueError(f"{name} must have a name for each of {lengths[length]} classes, got {len(value)}")


@dataclass(frozen=True)
class Part(Learned):
    """A fitted part.

    Parameters
    ----------
    kind : type
        What it must be an instance of.
    method : str, optional
        What it must have, where its kind says little.

    Examples
    --------
    >>> from cvbow.features import Extractor
    >>> from cvbow.storage import Part, check_learned
    >>> check_learned({"extractor_": Part(Extractor)}, {"extractor_": "sift"})
    Traceback (most recent call last):
    ValueError: extractor_ must be of the kind Extractor, got 'sift'
    """

    kind: type
    method: str | None = None

    def check(self, name: str, value: Any, lengths: dict[str, int]) -> None:
        if not isinstance(value, self.kind):
            raise ValueError(f"{name} must be of the kind {self.kind.__name__}, got {_show(value)}")
        if self.method is not None and not callable(getattr(value, self.method, None)):
            raise ValueError(f"{name} must have the method {self.method}, got {_show(value)}")


def check_learned(rules: Mapping[str, Learned], state: Mapping[str, Any]) -> None:
    """Raise ValueError where a learned attribute breaks its rule; nothing is asked of what was never fitted.

    Parameters
    ----------
    rules : mapping of str to Learned
        For the learned attributes, those first whose values are lengths of others.
    state : mapping of str
        All attributes of an object.
    """
    if not rules or not any(name.endswith("_") for name in state):
        return
    lengths: dict[str, int] = {}
    for name, rule in rules.items():
        value = state.get(name)
        if value is not None:
            rule.check(name, value, lengths)
        elif not rule.may_be_none(state):
            raise ValueError(f"{name} must be there, as other things are that were learned with it")


def _show(value: object) -> str:
    # What comes from a file is shown short and in ASCII, so that it cannot steer a terminal.
    return " ".join(ascii(str(value) if isinstance(value, np.ndarray) else value).strip('"').split())[:80]
