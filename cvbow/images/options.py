"""What holds of every image that is read, wherever in the program that is: a limit, and a background."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from cvbow._checks import check_int
from cvbow.parallel import inherited

#: Above so many pixels an image is refused, unless more are allowed.
MAX_PIXELS = 100_000_000

_COLORS = {"white": (255, 255, 255), "gray": (128, 128, 128), "black": (0, 0, 0)}
_HEXADECIMAL = re.compile(r"#[0-9a-fA-F]{6}")


def check_background(background: object) -> None:
    """Raise ValueError unless it is a background as `Reading` takes it."""
    if not isinstance(background, str) or not (background in _COLORS or _HEXADECIMAL.fullmatch(background)):
        raise ValueError(f"background must be {', '.join(_COLORS)} or a colour such as #ff8000, got {background!r}")


@dataclass(frozen=True)
class Reading:
    """How images are read: see `reading_as`.

    Parameters
    ----------
    max_pixels : int, default=100_000_000
        Larger images are refused, as soon as their header is read.
    background : str, default="white"
        What transparent images are laid onto: "white", "gray" (128), "black", or a colour as "#rrggbb".

    Examples
    --------
    >>> from cvbow.images import Reading
    >>> Reading(background="#ff8000").color
    (255, 128, 0)
    """

    max_pixels: int = MAX_PIXELS
    background: str = "white"

    def __post_init__(self) -> None:
        """Check the two."""
        check_int("max_pixels", self.max_pixels, minimum=1)
        check_background(self.background)

    @property
    def color(self) -> tuple[int, int, int]:
        """The background in RGB."""
        if self.background in _COLORS:
            return _COLORS[self.background]
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue


_in_force: ContextVar[Reading] = ContextVar("reading", default=Reading())  # noqa: B039 - it is frozen


def reading_now() -> Reading:
    """Return how images are read where this is called."""
    return _in_force.get()


def reading_as(**changes: Any) -> AbstractContextManager[Reading]:
    """Read images otherwise inside the block, in this thread and in the workers that cvbow starts for it.

    Parameters
    ----------
    **changes
        Parameters of `Reading`; what is not given stays as it is outside.

    Raises
    ------
    ValueError
        If one breaks its rule.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import read_image, reading_as
    >>> transparent = np.zeros((2, 2, 4), np.uint8)
    >>> with reading_as(background="gray"):
    ...     read_image(transparent)[0, 0].tolist()
    [128, 128, 128]
    """
    return _reading(replace(_in_force.get(), **changes))


@contextlib.contextmanager
def _reading(reading: Reading) -> Iterator[Reading]:
    token = _in_force.set(reading)
    try:
        yield reading
    finally:
        _in_force.reset(token)


@inherited
def _as_here() -> Callable[[], AbstractContextManager[Any]]:
    return functools.partial(_reading, _in_force.get())
