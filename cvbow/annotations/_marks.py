"""What the readers of all formats have in common: numbers from texts, and objects gathered by image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvbow.annotations.objects import ObjectList, Objects

SIDES = ("xmin", "ymin", "xmax", "ymax")


def to_number(name: str, value: object) -> float:
    """Return a finite number; ValueError that names it for what is none."""
    found = math.nan
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{name} must be a number, got {short(value)}")
    return found


def check_sides(box: Sequence[float]) -> None:
    """Raise ValueError for a box that has no area."""
    for low, high, name in ((box[0], box[2], "x"), (box[1], box[3], "y")):
        if not high > low:
            raise ValueError(f"{name}max must be above {name}min, got {high:g} and {low:g}")


class Gathered:
    """Objects by image, in the order in which images first occur."""

    def __init__(self) -> None:
        self._rows: dict[Path, list[tuple[Sequence[float], str, float, bool]]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def image(self, path: Path) -> None:
        """Add an image, which may have no objects."""
        self._rows.setdefault(path, [])

    def add(self, path: Path, box: Sequence[float], name: str, *, score: float = 1.0, ignored: bool = False) -> None:
        """Add an object; ValueError if its box has no area."""
        check_sides(box)
        self._rows.setdefault(path, []).append((box, name, score, ignored))

    def listed(self) -> ObjectList:
        """Return all of them."""
        return ObjectList(tuple(self._rows), tuple(map(_objects, self._rows.values())))


def rows_of(objects: Objects) -> Iterator[tuple[str, list[float], float, bool]]:
    """Yield the class, box, score of each object, and whether it is ignored, as Python's own values."""
    columns = (objects.classes, objects.boxes, objects.scores, objects.ignored)
    yield from zip(*(column.tolist() for column in columns), strict=True)


def short(value: object) -> str:
    """Return a value as it is told in a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _objects(rows: list[Any]) -> Objects:
    boxes, names, scores, ignored = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Objects.of(np.array(boxes, np.float64), names, np.array(scores, np.float64), np.array(ignored, np.bool_))
