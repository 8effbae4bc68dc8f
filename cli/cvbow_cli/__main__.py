"""The ``cvbow`` command as a process of its own: ``cvbow``, or ``python -m cvbow_cli``."""

from __future__ import annotations

from cvbow_cli._interrupts import interruptible


def run() -> None:
    """Run the command that the process was started with; a signal ends it in one line from here on."""
    with interruptible(to_the_end=True):
        from cvbow_cli.main import cli

        cli(prog_name="cvbow")


if __name__ == "__main__":
    run()
