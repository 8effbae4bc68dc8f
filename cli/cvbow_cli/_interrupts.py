"""Ctrl-C, SIGTERM and SIGHUP: one line that says what was written, and exit code 130."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["interruptible"]


@contextlib.contextmanager
def interruptible(written: Sequence[str] = (), *, to_the_end: bool = False) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP alike end the block, and the process, in one line on stderr.

    They raise KeyboardInterrupt in the block, whose message is that line, if it has one. Signals that are ignored, as
    by nohup, stay so; blocks nest.

    Parameters
    ----------
    written : sequence of str
        The files that the block has written so far.
    to_the_end : bool
        Nothing but the end of the process comes after the block: there, too, a signal ends it with 130.

    Raises
    ------
    SystemExit
        With the exit code 130, after the line.
    """
    first: list[float] = []

    def interrupt(number: int, frame: object) -> None:
        if not first:
            first.append(time.monotonic())
            threading.excepthook = lambda failed: None  # what threads of others say of work that was cut off
            raise KeyboardInterrupt
        # One signal may come twice, to the process and to its group; a person who repeats it does not want to wait.
        if time.monotonic() - first[0] > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before, hook = {}, threading.excepthook
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = signal.Signals.__members__.get(name)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupt)
    if to_the_end:
        atexit.register(_ignore, before)  # the first to be registered is the last to be called
    try:
        yield
    except KeyboardInterrupt as error:
        _tell(str(error), written)
        sys.exit(130)
    finally:
        threading.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, _leave if to_the_end else handler)


def _tell(said: str, written: Sequence[str]) -> None:
    from click import echo

    from cvbow.tables import printable

    files = f"written: {', '.join(written[:3])}" + (f" and {len(written) - 3} more" if written[3:] else "")
    echo(f"cvbow: interrupted; {printable(said or (files if written else 'nothing was written'))}", err=True)


def _leave(number: int, frame: object) -> None:
    os._exit(130)


def _ignore(numbers: Iterable[int]) -> None:
    # Python takes its handlers back before it takes down its modules: a signal then would end it with another code.
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
