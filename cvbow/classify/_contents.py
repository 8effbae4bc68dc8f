"""What a fitted backend is made of, for the description of a model."""

from __future__ import annotations

from collections.abc import Iterator

from cvbow.backends import ImageEncoder

__all__ = ["n_words", "network_hashes"]


def n_words(backend: ImageEncoder) -> int | None:
    """Return the number of words of a backend, or of the first in it that has words; None where there are none."""
    found = (getattr(getattr(part, "encoder_", None), "n_words", None) for part in _parts(backend))
    return next((words for words in found if words is not None), None)


def network_hashes(backend: ImageEncoder) -> list[str]:
    """Return the SHA-256 of each network without which a backend does not answer, in order of the alphabet."""
    owners = (owner for part in _parts(backend) for owner in (part, getattr(part, "extractor_", None)))
    found = {getattr(owner, "network_hash_", None) or getattr(owner, "network_hash", None) for owner in owners}
    return sorted(digest for digest in found if digest is not None)


def _parts(backend: ImageEncoder) -> Iterator[ImageEncoder]:
    """Yield a backend and all those in it."""
    yield backend
    for part in (getattr(backend, "backend_", None), *(part for _, part in getattr(backend, "channels_", ()))):
        if part is not None:
            yield from _parts(part)
