"""The figures of a page, as many as it may hold."""

from __future__ import annotations

import itertools


class FigureGroups:
    """Figures in groups, up to a number of bytes: where they would be more, the largest group has one less."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self.groups: dict[str, list[str]] = {}

    def add(self, group: str, figure: str) -> None:
        self.groups.setdefault(group, []).append(figure)
        self.size += len(figure.encode())
        self.shrink(self.limit)

    def shrink(self, limit: int) -> None:
        self.limit = limit
        while self.size > limit:
            # Of groups that are as large the last, so that what came first stays.
            group = max(reversed(self.groups), key=lambda name: len(self.groups[name]))
            self.size -= len(self.groups[group].pop().encode())
            if not self.groups[group]:
                del self.groups[group]

    def all(self) -> list[str]:
        return list(itertools.chain(*self.groups.values()))
