"""A child process that is told and answers in lines."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence

__all__ = ["Answering"]


class Answering:
    """A child process: a line on its stdin is a question, a line on its stdout an answer; its stderr is kept.

    Parameters
    ----------
    command : sequence of str
        What to start.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = [*command]
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self.start()

    def start(self) -> None:
        """Start the process, also in the place of one that has ended."""
        self.unread = b""
        self.child = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, bufsize=0
        )

    def tell(self, line: str) -> None:
        """Write a line."""
        self.child.stdin.write(f"{line}\n".encode())

    def line(self, seconds: float) -> bytes:
        """Return the next line without its end; nothing where it does not come in time, or the process has ended."""
        end = time.monotonic() + seconds
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.child.stdout], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self.child.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:
                return b""
            self.unread += piece
        found, _, self.unread = self.unread.partition(b"\n")
        return found

    def answered(self) -> bool:
        """Return whether a part of a line is there to be read, or the process has ended."""
        return bool(self.unread or select.select([self.child.stdout], [], [], 0)[0])

    def last_words(self) -> str:
        """Return the end of what the process has said on stderr."""
        self.errors.seek(0)
        return self.errors.read()[-2000:].decode(errors="replace")

    def stop(self) -> None:
        """End the process; it can be started again."""
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def close(self) -> None:
        """End the process for good."""
        self.stop()
        self.errors.close()
