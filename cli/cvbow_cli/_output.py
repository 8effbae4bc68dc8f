"""What a command may write over: a file of the kind that it writes itself, any other with --force, its input never."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from cvbow import storage
from cvbow_cli._common import printable

F = TypeVar("F", bound=Callable[..., Any])

#: What a command writes under a suffix, and what `storage.kind_of` says of such a file.
_KINDS = {
    ".cvbow": ("a model", "classifier"),
    ".png": ("a picture of cvbow's", "picture"),
    ".html": ("a page of cvbow's", "page"),
    ".htm": ("a page of cvbow's", "page"),
    ".npz": ("heat maps of cvbow's", "heat"),
    ".json": ("a result of cvbow's", "result"),
    ".csv": ("known to be of cvbow's", "objects"),
    ".toml": ("recipes of cvbow's", "recipes"),
    ".xml": ("boxes of cvbow's", "objects"),
    ".onnx": ("a model exported by cvbow", "onnx"),
    ".txt": ("known to be of cvbow's", "objects"),
}
_FORCE = "cvbow.force"


class OutputFile(click.Path):
    """A file to write, whose suffix says its format."""

    def __init__(self, suffixes: tuple[str, ...]) -> None:
        super().__init__(dir_okay=False)
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = os.fsdecode(super().convert(value, param, ctx))
        try:
            storage.check_suffix(path, *self.suffixes)
        except ValueError as error:
            self.fail(printable(str(error)), param, ctx)
        return path


def output_option(*names: str, suffixes: tuple[str, ...] = (), **options: Any) -> Callable[[F], F]:
    """Add an option that names a file to write, in a format that its suffix says, or a folder, and ``--force``."""
    kind = OutputFile(suffixes) if suffixes else click.Path(file_okay=False)
    of_file = click.option(*names, type=kind, **options)
    force = click.option(
        "--force",
        is_flag=True,
        expose_value=False,
        callback=lambda ctx, option, value: ctx.meta.update({_FORCE: value}),
        help="Replace a file that cvbow has not written.",
    )
    return lambda command: of_file(force(command))


def check_output(path: str | None, inputs: Iterable[Any] = (), *, kind: str | None = None) -> None:
    """Refuse, before the work, to write where something would be lost; the one rule of all commands.

    Parameters
    ----------
    path : str or None
        Of the file to write; nothing is checked for None.
    inputs : iterable of paths
        What the command reads: none of these is ever replaced. What is not a path is passed over.
    kind : str, optional
        What `storage.kind_of` says of a file that may be replaced; by default, what the suffix stands for.

    Raises
    ------
    UsageError
        If `path` is an input, or another kind of file and ``--force`` is not given.
    OSError
        If nothing can be written there.
    """
    if path is None:
        return
    target = storage.check_writable(path)
    if not os.path.lexists(target):
        return
    there = os.stat(target)
    for source in inputs:
        if isinstance(source, str | os.PathLike) and _is_same(source, there):
            raise click.UsageError(f"{printable(path)} is an input of this command, and will not be replaced")
    name, own = _KINDS[os.path.splitext(path)[1].casefold()]
    if storage.kind_of(target) != (kind or own) and not click.get_current_context().meta.get(_FORCE):
        raise click.UsageError(f"{printable(path)} is there, and is not {name}: --force replaces it")


def check_output_folder(folder: str | None, names: Sequence[str], inputs: Sequence[Any]) -> None:
    """Do what `check_output` does for each file that is to be written into a folder, which need not exist."""
    if folder is not None and os.path.lexists(folder):
        for name in names:
            check_output(os.path.join(folder, name), inputs, kind="summary" if name.endswith(".json") else None)


def _is_same(path: str | os.PathLike[str], there: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), there)
    except (OSError, ValueError):
        return False
