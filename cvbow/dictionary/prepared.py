"""What is worked out once from learned arrays, such as a search, and anew when they are others."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, is_
from typing import Any, Generic, Self, TypeVar, overload
from weakref import WeakKeyDictionary

import numpy as np

T = TypeVar("T")


def prepared_from(*names: str) -> Callable[[Callable[[Any], T]], Prepared[T]]:
    """Make a method a property that is computed once for the arrays that it is made from.

    Another array in one of the attributes is noticed. A change in place would not be, at the cost of a comparison; so
    the arrays become read-only, and NumPy refuses it: assign a changed copy instead. What was prepared is kept beside
    the object, not in it: pickles, clones, hashes and model files do not have it.

    Parameters
    ----------
    *names : str
        Attributes with the arrays, such as ``"words_"`` or ``"dictionary_.words_"``.
    """
    return lambda make: Prepared(names, make)


class Prepared(Generic[T]):
    """The property that ``prepared_from`` makes."""

    def __init__(self, names: tuple[str, ...], make: Callable[[Any], T]) -> None:
        self._getters = [attrgetter(name) for name in names]
        self._make = make
        self._kept: WeakKeyDictionary[Any, tuple[list[Any], T]] = WeakKeyDictionary()
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type | None = None) -> T: ...

    def __get__(self, owner: object | None, kind: type | None = None) -> Self | T:
        if owner is None:
            return self
        arrays = [get(owner) for get in self._getters]
        kept = self._kept.get(owner)
        if kept is None or not all(map(is_, kept[0], arrays)):
            for array in arrays:
                _make_read_only(array)
            kept = arrays, self._make(owner)
            self._kept[owner] = kept
        return kept[1]


def _make_read_only(array: object) -> None:
    """Make an array read-only, and those that it is a part of."""
    while isinstance(array, np.ndarray):
        array.setflags(write=False)
        array = array.base
