"""Reporters that keep what they are told."""

from __future__ import annotations

import itertools
import re


class Notes:
    """Takes notes, the shares and stages that are shown, and what each bar began with that came to its end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown: list[tuple[float, str]] = []
        self._start = 0
        self.bars: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    def show(self, share: float, stage: str) -> None:
        self.shown.append((share, stage))

    def finish(self) -> None:
        self._start, start = len(self.shown), self._start
        self.bars.append(_name(self.shown[start][1]))

    @property
    def n_finished(self) -> int:
        return len(self.bars)

    @property
    def stages(self) -> list[str]:
        """What was under way, one after another, without the numbers of what was done."""
        return [name for name, _ in itertools.groupby(_name(stage) for _, stage in self.shown)]


def _name(stage: str) -> str:
    """A stage without the numbers of what was done."""
    return re.sub(r" \d+/\d+$", "", stage)
