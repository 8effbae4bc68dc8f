"""Notes and progress, for whoever listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol


class Reporter(Protocol):
    """Receives cvbow's notes and progress: the command line shows them, a script may collect them.

    Examples
    --------
    >>> from cvbow.parallel import reporting, run
    >>> class Printer:
    ...     def note(self, line):
    ...         print(line)
    ...     def start(self, task, total):
    ...         print(f"{task}: {total}")
    ...     def update(self, done):
    ...         print(done)
    ...     def finish(self):
    ...         print("done")
    >>> with reporting(Printer()):
    ...     squares = list(run(lambda number: number**2, [1, 2], task="square", total=2))
    square: 2
    1
    2
    done
    """

    def note(self, line: str) -> None:
        """Take one line of text, said before or after a step."""

    def start(self, task: str, total: int) -> None:
        """Begin a task of ``total`` units."""

    def update(self, done: int) -> None:
        """Tell that ``done`` units of the current task are done."""

    def finish(self) -> None:
        """End the current task."""


class _Silent:
    def note(self, line: str) -> None:
        pass

    def start(self, task: str, total: int) -> None:
        pass

    def update(self, done: int) -> None:
        pass

    def finish(self) -> None:
        pass


_reporter: Reporter = _Silent()


@contextlib.contextmanager
def reporting(reporter: Reporter | None) -> Iterator[None]:
    """Send notes and progress to ``reporter`` inside the ``with`` block; None: to nobody."""
    global _reporter
    before, _reporter = _reporter, reporter or _Silent()
    try:
        yield
    finally:
        _reporter = before


def note(line: str) -> None:
    """Send one line to the current reporter."""
    _reporter.note(line)


@contextlib.contextmanager
def progress(task: str, total: int) -> Iterator[Callable[[int], None]]:
    """Report a task of ``total`` units; the block calls the yielded function with the units done so far."""
    reporter = _reporter
    reporter.start(task, total)
    try:
        yield reporter.update
    finally:
        reporter.finish()
