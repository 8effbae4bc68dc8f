"""Reporters that keep what they are told."""

from __future__ import annotations

import itertools
import re


class Notes:
    """Takes notes, the shares and stages that are shown, and how often work came to its end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown: list[tuple[float, str]] = []
        self.n_finished = 0

    def note(self, line: str) -> None:
        self.lines.append(line)

    def show(self, share: float, stage: str) -> None:
        self.shown.append((share, stage))

    def finish(self) -> None:
        self.n_finished += 1

    @property
    def stages(self) -> list[str]:
        """What was under way, one after another, without the numbers of what was done."""
        return [name for name, _ in itertools.groupby(re.sub(r" \d+/\d+$", "", stage) for _, stage in self.shown)]
