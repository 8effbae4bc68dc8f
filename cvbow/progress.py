"""What long work says of itself: notes, and one share of the whole that is done, however many stages it has.

The library says nothing unless it is asked to, by :func:`reporting`. Work that is done inside other work fills a part
of it: an image that is encoded is a part of the stage "encode", which is a part of learning a model.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeVar

from cvbow.tables import printable

__all__ = [
    "Reporter",
    "TerminalReporter",
    "TqdmReporter",
    "detail",
    "note",
    "progress",
    "reporting",
    "stages",
    "tracked",
]

T = TypeVar("T")


class Reporter(Protocol):
    """Receives cvbow's notes and progress: the command line shows them, a script may collect them.

    Examples
    --------
    >>> from cvbow.parallel import run
    >>> from cvbow.progress import reporting
    >>> class Printer:
    ...     def note(self, line):
    ...         print(line)
    ...     def show(self, share, stage):
    ...         print(f"{share:.0%} {stage}")
    ...     def finish(self):
    ...         print("done")
    >>> with reporting(Printer()):
    ...     squares = list(run(lambda number: number**2, [1, 2], task="square", total=2))
    0% square 0/2
    50% square 1/2
    100% square 2/2
    done
    """

    def note(self, line: str) -> None:
        """Take one line of text, said before or after a step."""

    def show(self, share: float, stage: str) -> None:
        """Tell what share of the whole is done, from 0 to 1 and never less than before, and what is being done."""

    def finish(self) -> None:
        """Tell that the whole is done, or was given up."""


class _Task:
    """Work in units, which lies between two shares of the whole: ``place`` tells what share of it ``n`` units are."""

    def __init__(self, place: Callable[[int], float], text: Callable[[int], str], low: float, high: float) -> None:
        self.place = place
        self.text = text
        self.low = low
        self.high = high
        self.done = 0
        self.at = low

    def share(self, done: int) -> float:
        return self.low + (self.high - self.low) * min(self.place(done), 1.0)


class _Shown:
    """The tasks under way that one reporter hears of; each but the first fills a unit of the one before it."""

    def __init__(self, reporter: Reporter | None, details: bool = False) -> None:
        self.reporter = reporter
        self.details = details
        self.tasks: list[_Task] = []
        self.thread = 0
        self.said = 0.0, ""

    @contextlib.contextmanager
    def task(self, place: Callable[[int], float], text: Callable[[int], str]) -> Iterator[Callable[[int], None]]:
        # What workers do is told by whoever takes their results.
        if self.reporter is None or (self.tasks and self.thread != threading.get_ident()):
            yield lambda done: None
            return
        self.thread = threading.get_ident()
        around = self.tasks[-1] if self.tasks else None
        low, high = (0.0, 1.0) if around is None else (around.at, around.share(around.done + 1))
        task = _Task(place, text, low, high)
        self.tasks.append(task)

        def update(done: int) -> None:
            task.done, task.at = done, max(task.at, task.share(done))
            self._show(task)

        try:
            self._show(task)
            yield update
            if around is None and self.said[0] < 1:
                self.reporter.show(1.0, self.said[1])
        finally:
            # A generator that was dropped may end after work that has begun later.
            self.tasks.remove(task)
            if around is not None:
                around.at = max(around.at, high)
            if not self.tasks:
                self.said = 0.0, ""
                self.reporter.finish()

    def _show(self, task: _Task) -> None:
        if self.reporter is not None and task in self.tasks:
            self.said = max(task.at, self.said[0]), task.text(task.done)
            self.reporter.show(*self.said)


_shown = _Shown(None)


@contextlib.contextmanager
def reporting(reporter: Reporter | Literal["bar"] | None = "bar", *, details: bool = False) -> Iterator[None]:
    """Show notes and progress of the work inside the ``with`` block; without it the library is silent.

    Parameters
    ----------
    reporter : Reporter, "bar" or None, default "bar"
        Who is told. "bar": the bar of tqdm, in a notebook and on a terminal, where tqdm is installed; else a bar of
        cvbow's own, on a terminal only. None: nobody.
    details : bool, default False
        Whether to tell the details as well: how large a sample is, how long words may take to learn.

    Raises
    ------
    ValueError
        If `reporter` is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, reporting
    >>> from cvbow.backends import ColorHistogram
    >>> images = [np.full((8, 8, 3), value, np.uint8) for value in (0, 250, 10, 255)]
    >>> with reporting():
    ...     model = ImageClassifier(ColorHistogram()).fit(images, ["black", "white"] * 2)
    """
    global _shown
    told = ("note", "show", "finish")
    if reporter not in ("bar", None) and not all(callable(getattr(reporter, name, None)) for name in told):
        raise ValueError(f"reporter must be 'bar', None, or have the methods {', '.join(told)}, got {reporter!r}")
    if reporter == "bar":
        reporter = TqdmReporter() if importlib.util.find_spec("tqdm") else TerminalReporter()
    before, _shown = _shown, _Shown(reporter, details)
    try:
        yield
    finally:
        _shown = before


def note(line: str) -> None:
    """Send one line to the current reporter."""
    if _shown.reporter is not None:
        _shown.reporter.note(line)


def detail(line: str) -> None:
    """Send one line to the current reporter, if details are wanted."""
    if _shown.details:
        note(line)


def progress(task: str, total: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
    """Report a task of ``total`` units; the block calls the function that it gets with the units done so far.

    What is reported inside the block fills the unit that is being done.

    Examples
    --------
    >>> from cvbow.progress import progress
    >>> with progress("squares", 2) as done:
    ...     for number in range(2):
    ...         square = number**2
    ...         done(number + 1)
    """
    return _shown.task(
        lambda done: done / total if total else 1.0, lambda done: f"{task} {done}/{total}" if total > 1 else task
    )


@contextlib.contextmanager
def stages(weights: Mapping[str, float]) -> Iterator[Callable[[str], None]]:
    """Report work that has stages; the block calls the function that it gets with the name of the stage that begins.

    What is reported inside the block fills the stage that is under way.

    Parameters
    ----------
    weights : mapping of str to float
        The stages in their order, and about how long each of them takes, in any unit. One that takes no time, or is
        never begun, is passed over.

    Examples
    --------
    >>> from cvbow.progress import stages
    >>> with stages({"read": 1, "learn": 3}) as begin:
    ...     begin("read")
    ...     begin("learn")
    """
    names = list(weights)
    ends = [0.0, *itertools.accumulate(weights.values())]
    whole = ends[-1] or 1.0
    first = next((at for at, end in enumerate(ends[1:]) if end > 0), 0)
    with _shown.task(
        lambda done: ends[min(done, len(names))] / whole, lambda done: names[max(first, min(done, len(names) - 1))]
    ) as update:
        yield lambda name: update(names.index(name))


def tracked(task: str, items: Collection[T]) -> Iterator[T]:
    """Yield the items of a task, of which each is a unit; what is done with an item fills its unit.

    Examples
    --------
    >>> from cvbow.progress import tracked
    >>> [number**2 for number in tracked("squares", [1, 2, 3])]
    [1, 4, 9]
    """
    with progress(task, len(items)) as done:
        for number, item in enumerate(items, 1):
            yield item
            done(number)


class TerminalReporter:
    """Writes notes as lines on stderr; progress as one line that is drawn over, on a terminal only.

    Examples
    --------
    >>> from cvbow.progress import TerminalReporter, note, reporting
    >>> with reporting(TerminalReporter()):
    ...     note("written on stderr")
    """

    #: Seconds between two drawings, and before the time that is left is guessed.
    PAUSE, SETTLED = 0.1, 2.0

    def __init__(self) -> None:
        self.stream = sys.stderr
        self.shown = self.stream.isatty()
        self.started: float | None = None
        self.drawn = 0.0
        self.line = ""

    def note(self, line: str) -> None:
        """Write a line above the bar; on a terminal it is broken between words."""
        line = printable(line)
        if self.shown:
            width = shutil.get_terminal_size().columns
            line = textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        with self.hidden():
            self.stream.write(f"{line}\n")
            # Before what is printed next: not every stream that stands in for stderr does so at the end of a line.
            self.stream.flush()

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away while something else is written on the terminal."""
        bar = self.line
        self._draw("")
        try:
            yield
        finally:
            self._draw(bar)

    def show(self, share: float, stage: str) -> None:
        """Draw the bar, unless it was drawn a moment ago."""
        now = time.monotonic()
        if self.started is None:
            self.started = now
        if not self.shown or now - self.drawn < self.PAUSE:
            return
        self.drawn = now
        elapsed, filled = now - self.started, round(24 * share)
        seconds = elapsed * (1 - share) / share if elapsed > self.SETTLED and share > 0.01 else 0.0
        left = f", {_duration(seconds)} left" if seconds >= 0.5 else ""
        line = f"[{'#' * filled}{'.' * (24 - filled)}] {100 * share:3.0f} %  {stage}{left}"
        self._draw(line[: shutil.get_terminal_size().columns - 1])

    def finish(self) -> None:
        """Wipe the bar."""
        self.started, self.drawn = None, 0.0
        self._draw("")

    def _draw(self, line: str) -> None:
        if self.shown and line != self.line:
            self.stream.write(f"\r{line}\x1b[K")
            self.stream.flush()
        self.line = line


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class TqdmReporter:
    """Shows progress by tqdm, which must be installed: in a notebook as its widget, on a terminal as its bar.

    Examples
    --------
    >>> from cvbow.progress import TqdmReporter, progress, reporting
    >>> with reporting(TqdmReporter()), progress("squares", 2) as done:
    ...     done(1)
    """

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self.make = tqdm
        self.bar: Any = None

    def note(self, line: str) -> None:
        """Write a line above the bar."""
        self.make.write(printable(line), file=sys.stderr)

    def show(self, share: float, stage: str) -> None:
        """Move the bar on."""
        if self.bar is None:
            # None: shown on terminals and in notebooks alone.
            shape = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}]"
            self.bar = self.make(total=1.0, disable=None, bar_format=shape)
        self.bar.set_description_str(stage, refresh=False)
        self.bar.update(share - self.bar.n)

    def finish(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
