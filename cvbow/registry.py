"""Registries: parts by name, which settings, help texts, model files and tests read."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from cvbow._checks import check_choice
from cvbow.storage import storable

__all__ = ["Registry"]

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?!_))*")


class Registry(dict[str, T]):
    """The parts of one kind by name: a dict that checks what is put into it.

    ``DETECTORS["mine"] = MyDetector`` makes a detector known to settings and to the command line, and lets model files
    hold it. A name that is not there is a ValueError that lists those that are.

    Parameters
    ----------
    kind : str
        What a part is called in messages: ``"detector"``.
    base : type
        What a part must be a subclass of.
    parts : mapping
        cvbow's own parts.
    defines : sequence of str, default ()
        What a part must define, a method or a property; ``"detect or compute"`` asks for one of the two.

    Examples
    --------
    >>> from cvbow.features import DETECTORS, Detector
    >>> from cvbow.registry import Registry
    >>> detectors = Registry("detector", Detector, {"harris": DETECTORS["harris"]})
    >>> detectors["harris"].__name__
    'HarrisDetector'
    >>> try:
    ...     detectors["haris"]
    ... except ValueError as error:
    ...     print(error)
    detector must be one of harris, got 'haris'; did you mean harris?
    """

    def __init__(self, kind: str, base: type, parts: Mapping[str, T], *, defines: Sequence[str] = ()) -> None:
        super().__init__()
        self.kind = kind
        self.base = base
        self.defines = defines
        for name, part in parts.items():
            self[name] = part

    def __getitem__(self, name: str) -> T:
        hint = "if it is your own, import the module that registers it (on the command line, --import MODULE)"
        check_choice(self.kind, name, self, hint=hint)
        return super().__getitem__(name)

    def __setitem__(self, name: str, part: T) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"the name of a {self.kind} must be letters, digits, -, . and single _, got {name!r}")
        super().__setitem__(name, self.checked(name, part))

    def checked(self, name: str, part: T) -> T:
        """Check a part, make its class storable, and return it as it is kept; ValueError if it is no such part."""
        if not isinstance(part, type) or not issubclass(part, self.base):
            raise ValueError(f"the {self.kind} {name} must be a subclass of {self.base.__name__}, got {part!r}")
        for needed in self.defines:
            if not any(_defines(part, self.base, method) for method in needed.split(" or ")):
                raise ValueError(f"the {self.kind} {name} must define {needed}, which {part.__name__} does not")
        storable(part)
        return part

    def taking(self, parameter: str) -> tuple[str, ...]:
        """Return the names of the parts that have a parameter."""
        return tuple(name for name, part in self.items() if parameter in parameters_of(part))


@functools.cache
def parameters_of(part: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class's constructor; recipes ask for those of the same few all the time."""
    return inspect.signature(part).parameters


def _defines(part: type, base: type, method: str) -> bool:
    own = inspect.getattr_static(part, method, None)
    return own is not None and own is not inspect.getattr_static(base, method, None)
