"""Reporters that keep what they are told."""

from __future__ import annotations

from typing import Any


class Events:
    """Takes all that it is told, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def note(self, line: str) -> None:
        self.events.append(("note", line))

    def start(self, task: str, total: int) -> None:
        self.events.append(("start", task, total))

    def update(self, done: int) -> None:
        self.events.append(("update", done))

    def finish(self) -> None:
        self.events.append(("finish",))


class Notes:
    """Takes what is said alone."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    def start(self, task: str, total: int) -> None:
        pass

    def update(self, done: int) -> None:
        pass

    def finish(self) -> None:
        pass
