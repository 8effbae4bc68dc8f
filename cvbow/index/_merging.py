"""Which segments to write anew as one: few segments to search, and each image written few times over.

A log-structured merge (P. O'Neil, E. Cheng, D. Gawlick and E. O'Neil, "The log-structured merge-tree", 1996): segments
of about one size become one of the next size, so an image is written anew once for each of the sizes, a logarithm of
the number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cvbow.index._manifest import SegmentEntry

#: So many segments of one size become one.
FANOUT = 8
#: Bytes of a segment that grows no further: what a describer derives of it must fit into memory.
MAX_BYTES = 1 << 29


def next_merge(segments: Sequence[SegmentEntry], *, max_bytes: int = MAX_BYTES) -> slice | None:
    """Return the neighbouring segments that should be written anew as one now; None where all is well.

    That is a segment of which more than half is removed, or the last segments, where there are `FANOUT` of one size
    or smaller.
    """
    for number, segment in enumerate(segments):
        if 2 * segment.n_living < segment.n_images:
            return slice(number, number + 1)
    levels = []
    for segment in reversed(segments):
        if 2 * living_bytes(segment) > max_bytes:
            break
        levels.append(_level(segment.n_living))
    # The smallest level at which the last segments, all of it or below, are enough.
    for level in sorted(set(levels)):
        count = next((n for n, found in enumerate(levels) if found > level), len(levels))
        if count >= FANOUT:
            first = len(segments) - count
            while sum(map(living_bytes, segments[first:])) > max_bytes:
                first += 1
            return slice(first, len(segments)) if len(segments) - first > 1 else None
    return None


def compaction(
    segments: Sequence[SegmentEntry], is_outdated: Callable[[SegmentEntry], bool], *, max_bytes: int = MAX_BYTES
) -> list[slice]:
    """Return the groups of neighbouring segments that make the fewest segments without removed images.

    Groups that are one whole segment as it is are left out, unless it is outdated; the last group comes first, so that
    the numbers of the others stay true when one is done.
    """
    groups: list[slice] = []
    first, size = 0, 0
    for number, segment in enumerate(segments):
        more = living_bytes(segment)
        if number > first and size + more > max_bytes:
            groups.append(slice(first, number))
            first, size = number, 0
        size += more
    if segments:
        groups.append(slice(first, len(segments)))
    return [
        group
        for group in reversed(groups)
        if group.stop - group.start > 1 or segments[group.start].removed or is_outdated(segments[group.start])
    ]


def living_bytes(segment: SegmentEntry) -> int:
    """Estimate the bytes of a segment's images that were not removed."""
    return segment.n_bytes * segment.n_living // max(segment.n_images, 1)


def _level(n_images: int) -> int:
    level = 0
    while n_images >= FANOUT:
        n_images //= FANOUT
        level += 1
    return level
