"""The search for the same picture, whatever proposes candidates: files, thumbnails, comparison, closer look."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_flag, check_real
from cvbow.duplicates._candidates import alike
from cvbow.duplicates.closer_look import largest_difference
from cvbow.duplicates.found import DuplicatePair, Duplicates, Pair, groups_of
from cvbow.duplicates.thumbnails import SIDE, agreement, gray_thumbnail, window_map
from cvbow.duplicates.turning import TURNS, turn_map, turned, undone
from cvbow.duplicates.windows import PLACES, likely_windows, whole_vectors
from cvbow.errors import ImageError
from cvbow.images import content_hash, read_image
from cvbow.parallel import prefetched, run, single_threaded
from cvbow.progress import progress

#: What a pair must have, by default: the agreement of its details, the share of each image that the other one shows.
MIN_SCORE: float = 0.75
MIN_OVERLAP: float = 0.45
#: A part, which may lie anywhere, must agree by more than a whole picture: two photographs that were taken one after
#: the other reach 0.93, and 99 of 100 copies 0.95.
MIN_PART_SCORE = 0.94
#: Where two images differ most, they may differ by so much. Copies that were resized, cropped, recompressed or slightly
#: brightened differ by less than 0.25 in 99 of 100 cases; those with a hue turned by 30 degrees, and forms of which one
#: field or one check mark is another, by more than 0.5 in as many.
MAX_DIFFERENCE = 0.45
#: Whether a picture in other colours, or in gray, is another picture.
COLORS = ("strict", "any")
#: The gray values of a pair correlate by at least this, whatever its details say, unless any colours will do.
_MIN_SIMILARITY = 0.95
#: Two images that show at least this much of each other show the same, but for a rim.
_WHOLE = 0.97
#: Pairs that a task of a worker looks at.
_TASK = 256


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What makes two images the same picture; ValueError names what breaks its rule."""

    min_score: float = MIN_SCORE
    min_part_score: float = MIN_PART_SCORE
    min_overlap: float = MIN_OVERLAP
    max_difference: float = MAX_DIFFERENCE
    turned: bool = False
    colors: str = "strict"

    def __post_init__(self) -> None:
        """Check them."""
        check_real("min_score", self.min_score, minimum=0, maximum=1)
        check_real("min_part_score", self.min_part_score, minimum=0, maximum=1)
        check_real("min_overlap", self.min_overlap, minimum=0, maximum=1)
        check_real("max_difference", self.max_difference, minimum=0, maximum=2)
        check_flag("turned", self.turned)
        check_choice("colors", self.colors, COLORS)

    @property
    def turns(self) -> range:
        """The ways in which the first image of a pair may be laid to lie as the second."""
        return range(len(TURNS) if self.turned else 1)

    def least(self, reason: str) -> float:
        """Return the smallest agreement of the details of a copy or a part."""
        return self.min_score if reason == "copy" else max(self.min_score, self.min_part_score)


class Found(NamedTuple):
    """A pair, how its first image is turned, and the map from the thumbnail of that to the one of the second."""

    pair: DuplicatePair
    turn: int
    matrix: NDArray[np.float64]


class Search:
    """The different files among images, and the last word on pairs of them.

    Parameters
    ----------
    names : sequence of str
        Of the images.
    files : sequence of str or None
        Their files, None for an image without one.
    rules : Rules
    hashes : sequence of str, optional
        What identifies their content; by default that of the files is compared.
    n_jobs : int or None
    """

    def __init__(
        self,
        names: Sequence[str],
        files: Sequence[str | None],
        rules: Rules,
        *,
        hashes: Sequence[str] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.names, self.files, self.rules, self.n_jobs = names, files, rules, n_jobs
        #: For each image the one that stands for it: another name of its file, or the first of the same bytes.
        self.stands = np.arange(len(names))
        self.links = _links(files)
        for several in self.links:
            self.stands[list(several[1:])] = several[0]
        distinct = np.flatnonzero(self.stands == np.arange(len(names))).tolist()
        self.identical = _identical(distinct, files, hashes)
        for first, second in self.identical:
            self.stands[second] = first
        self.stands = self.stands[self.stands]
        distinct = np.flatnonzero(self.stands == np.arange(len(names))).tolist()
        #: The images that have thumbnails, as positions in `names`; pairs are positions in this.
        self.seen, self.thumbnails, self.unseen = _thumbnails(names, files, distinct, n_jobs)

    def positions(self, images: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the positions in `seen` of what stands for images, -1 where it has no thumbnail, or is -1 itself."""
        place = np.full(len(self.names) + 1, -1)
        place[self.seen] = np.arange(len(self.seen))
        return np.asarray(place[np.append(self.stands, -1)][images], np.intp)

    def as_a_whole(self) -> dict[Pair, Found]:
        """Return the pairs whose thumbnails are alike as they are, laid in any way that the rules allow."""
        found: dict[Pair, Found] = {}
        for a, b, turn in alike(self.thumbnails, self.rules.turns, self.n_jobs):
            # Upright before turned: of a symmetric picture both agree.
            if (a, b) not in found:
                judged = self.judged((a, b), turn, np.eye(3), refine=False)
                if judged is not None and judged.pair.reason == "copy":
                    found[a, b] = judged
        return found

    def in_part(self, wanted: Mapping[Pair, Collection[int]]) -> dict[Pair, Found]:
        """Look for images in windows of others: (whole, part), and the turns in which the part is looked for."""
        parts_of: dict[int, list[int]] = {}
        for whole, part in sorted(wanted):
            parts_of.setdefault(whole, []).append(part)
        vectors = {
            at: whole_vectors(np.stack([turned(self.thumbnails[at], turn) for turn in self.rules.turns]))
            for at in sorted({part for _, part in wanted})
        }

        def compare(whole: int) -> list[tuple[Pair, Found]]:
            windows = PLACES.vectors(self.thumbnails[whole])
            found = []
            for part in parts_of[whole]:
                turns = sorted(wanted[whole, part])
                for number, window in likely_windows(self.thumbnails[whole], windows, vectors[part][turns]):
                    pair, turn, matrix = _map_of(whole, part, turns[number], window)
                    judged = self.judged(pair, turn, matrix)
                    if judged is not None:
                        found.append((pair, judged))
            return found

        best: dict[Pair, Found] = {}
        with single_threaded(), progress("comparing", len(parts_of)) as tell:
            for number, found in enumerate(prefetched(compare, parts_of, n_jobs=self.n_jobs), 1):
                for pair, one in found:
                    if pair not in best or one.pair.score > best[pair].pair.score:
                        best[pair] = one
                tell(number)
        return best

    def compared(
        self, compare: Callable[[Sequence[Pair]], dict[Pair, Found]], pairs: Sequence[Pair]
    ) -> dict[Pair, Found]:
        """Compare pairs in threads of this process: an index is sent to no other."""
        tasks = [pairs[start : start + _TASK] for start in range(0, len(pairs), _TASK)]
        found: dict[Pair, Found] = {}
        with single_threaded(), progress("comparing", len(pairs)) as tell:
            for number, part in enumerate(prefetched(compare, tasks, n_jobs=self.n_jobs), 1):
                found |= part
                tell(min(number * _TASK, len(pairs)))
        return found

    def judged(
        self,
        pair: Pair,
        turn: int,
        matrix: NDArray[np.float64],
        *,
        n_inliers: int | None = None,
        refine: bool = True,
    ) -> Found | None:
        """Return the pair if its thumbnails agree under a map from the first, turned, to the second."""
        first, second = (self.thumbnails[at] for at in pair)
        judged = agreement(turned(first, turn), second, matrix, refine=refine)
        if judged is None or min(judged.overlap) < self.rules.min_overlap:
            return None
        if judged.similarity < _MIN_SIMILARITY and self.rules.colors == "strict":
            return None
        reason = "copy" if min(judged.overlap) >= _WHOLE else "part"
        if judged.detail < self.rules.least(reason):
            return None
        names = [self.names[self.seen[at]] for at in pair]
        score = min(judged.detail, 1.0)
        found = DuplicatePair(names[0], names[1], reason, score, judged.overlap, n_inliers, turned=TURNS[turn])
        return Found(found, turn, judged.matrix)

    def result(self, found: Mapping[Pair, Found]) -> Duplicates:
        """Take a closer look at pairs, and return the groups of those that remain and of the same bytes."""
        pairs, gone = self._looked_at_closer(found)
        for first, second in self.identical:
            pairs[first, second] = DuplicatePair(
                self.names[first], self.names[second], "identical", 1.0, (1.0, 1.0), None
            )
        links = [tuple(self.names[at] for at in several) for several in self.links]
        return Duplicates(groups_of(self.names, pairs), len(self.names), links, self.unseen + gone)

    def _looked_at_closer(self, found: Mapping[Pair, Found]) -> tuple[dict[Pair, DuplicatePair], list[ImageError]]:
        """Return the pairs whose files do not differ too much anywhere, and the errors of those that are gone."""
        partners: dict[int, list[int]] = {}
        for a, b in sorted(found):
            partners.setdefault(a, []).append(b)
        tasks = [
            _Closer(
                self._file(a),
                tuple(self._file(b) for b in others),
                tuple(found[a, b].turn for b in others),
                tuple(found[a, b].matrix for b in others),
                self.rules.colors,
            )
            for a, others in partners.items()
        ]
        results = run(_differences, tasks, n_jobs=self.n_jobs, task="closer look", total=len(tasks))
        pairs: dict[Pair, DuplicatePair] = {}
        errors: dict[str, ImageError] = {}
        for (a, others), differences in zip(partners.items(), results, strict=True):
            for b, difference in zip(others, differences, strict=True):
                if isinstance(difference, ImageError):
                    errors[difference.path] = difference
                elif difference <= self.rules.max_difference:
                    pairs[self.seen[a], self.seen[b]] = replace(found[a, b].pair, difference=difference)
        return pairs, list(errors.values())

    def _file(self, at: int) -> str:
        return str(self.files[self.seen[at]])


class _Closer(NamedTuple):
    """An image, and others that it is compared with: turned, and under a map."""

    file: str
    others: tuple[str, ...]
    turns: tuple[int, ...]
    matrices: tuple[NDArray[np.float64], ...]
    colors: str


def _differences(task: _Closer) -> list[float | ImageError]:
    """Return by how much an image differs from each of others."""
    first = _image(task.file)
    if isinstance(first, ImageError):
        return [first] * len(task.others)
    results: list[float | ImageError] = []
    for other, turn, matrix in zip(task.others, task.turns, task.matrices, strict=True):
        second = _image(other)
        results.append(
            second
            if isinstance(second, ImageError)
            else largest_difference(turned(first, turn), second, matrix, colors=task.colors)
        )
    return results


def _map_of(whole: int, part: int, turn: int, window: NDArray[np.float64]) -> tuple[Pair, int, NDArray[np.float64]]:
    """Return a pair, how its first image is turned, and the map from that to the second, of a window of the whole.

    The part was turned to look like the window.
    """
    matrix = window_map(window)
    if part < whole:
        return (part, whole), turn, matrix
    around = turn_map(undone(turn))
    return (whole, part), undone(turn), np.asarray(np.linalg.inv(around @ matrix @ np.linalg.inv(around)), np.float64)


def _links(files: Sequence[str | None]) -> list[tuple[int, ...]]:
    """Return the positions of each file that has several names; one that is no symbolic link comes first."""
    names: dict[tuple[int, int], list[int]] = {}
    for at, file in enumerate(files):
        facts = _facts(file)
        if facts is not None and facts.st_ino:
            names.setdefault((facts.st_dev, facts.st_ino), []).append(at)

    def is_link(at: int) -> bool:
        return os.path.islink(files[at] or "")

    return [tuple(sorted(several, key=is_link)) for several in names.values() if len(several) > 1]


def _identical(images: Sequence[int], files: Sequence[str | None], hashes: Sequence[str] | None) -> list[Pair]:
    """Return pairs of the same bytes: the first of each content with all others."""
    known: dict[int, str | None] = {}
    if hashes is None:
        # Only files of one size may be of the same bytes, so that few are read twice.
        sizes: dict[int, list[int]] = {}
        for at in images:
            if (facts := _facts(files[at])) is not None:
                sizes.setdefault(facts.st_size, []).append(at)
        known = {at: _hash(str(files[at])) for same in sizes.values() if len(same) > 1 for at in same}
    else:
        known = {at: hashes[at] for at in images}
    first: dict[str, int] = {}
    return [(kept, at) for at in images if (key := known.get(at)) and (kept := first.setdefault(key, at)) != at]


def _facts(file: str | None) -> os.stat_result | None:
    try:
        return None if file is None else os.stat(file)
    except (OSError, ValueError):
        return None


def _hash(file: str) -> str | None:
    try:
        return content_hash(file)
    except (OSError, ImageError):
        return None


def _thumbnails(
    names: Sequence[str], files: Sequence[str | None], images: Sequence[int], n_jobs: int | None
) -> tuple[list[int], NDArray[np.uint8], list[ImageError]]:
    """Return the images that have thumbnails, these, and the errors of those that have none."""
    stack = np.empty((len(images), SIDE, SIDE), np.uint8)
    seen: list[int] = []
    unseen: list[ImageError] = []
    tasks = [(names[at], files[at]) for at in images]
    for at, result in zip(images, run(_read, tasks, n_jobs=n_jobs, task="thumbnails", total=len(tasks)), strict=True):
        if isinstance(result, ImageError):
            unseen.append(result)
        else:
            stack[len(seen)] = result
            seen.append(at)
    return seen, stack[: len(seen)], unseen


def _read(image: tuple[str, str | None]) -> NDArray[np.uint8] | ImageError:
    name, file = image
    if file is None:
        return ImageError(name, "has no file to make a thumbnail from")
    found = _image(file, gray=True)
    return found if isinstance(found, ImageError) else gray_thumbnail(found)


def _image(file: str, **options: Any) -> NDArray[np.uint8] | ImageError:
    try:
        return read_image(file, **options)
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(file, error.strerror or str(error))
