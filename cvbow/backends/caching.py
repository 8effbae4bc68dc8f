"""What is computed from an image, kept on disk by joblib under the image's content and all else that it depends on."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any

from cvbow.images import content_hash, reading_now


class CachedFunction:
    """A function of an estimator and an image, behind ``joblib.Memory``.

    It is called as ``function(estimator, source, name, *arguments)``, with source and name from ``load_source``.
    ``key`` is what the result depends on beside the image's content and the arguments: the estimator's
    ``fingerprint()``. The version of cvbow counts as well, and what transparent images are laid onto.
    """

    def __init__(self, memory: Any, function: Callable[..., Any], *key: object) -> None:
        from joblib import Memory

        from cvbow import __version__

        self.memory = memory if isinstance(memory, Memory) else Memory(os.fspath(memory), verbose=0)
        self.function = function
        self.key = hashlib.sha256(repr((__version__, *key)).encode()).hexdigest()

    def __call__(self, estimator: Any, source: Any, name: str | None, *arguments: object) -> Any:
        """Return the result that is kept, or compute and keep it."""
        given = (estimator, source, name, *arguments)
        return self._memorized()(*self.key_of(source, *arguments), function=self.function, given=given)

    def key_of(self, source: Any, *arguments: object) -> tuple[object, ...]:
        """Return what the result for an image is kept under."""
        background = reading_now().background
        key = self.key if background == "white" else f"{self.key} on {background}"
        return self.function.__qualname__, content_hash(source), key, arguments

    def has(self, key: tuple[object, ...]) -> bool:
        """Whether there is a result under a key."""
        return bool(self._memorized().check_call_in_cache(*key, function=_same, given=()))

    def keep(self, key: tuple[object, ...], result: Any) -> None:
        """Keep a result that was computed elsewhere."""
        self._memorized().call(*key, function=_same, given=(result,))

    def _memorized(self) -> Any:
        with _memory_lock:
            return self.memory.cache(_keyed, ignore=["function", "given"])


# joblib writes the source of a cached function when it first wraps it, which two threads should not do at once.
_memory_lock = threading.Lock()


def _keyed(
    what: str, content: str, key: str, arguments: object, function: Callable[..., Any], given: tuple[Any, ...]
) -> Any:
    return function(*given)


def _same(result: Any) -> Any:
    return result
