"""Python code in a process of its own that need not wait for its imports: a fork of one that has imported, no more.

An interpreter that imports cvbow's rooms takes two seconds. Tests of the start itself (what is imported and when,
signals among imports, options of the interpreter) start a real one; those that only need to be by themselves come here.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
_CONTEXT.set_forkserver_preload(
    ["cvbow.classify", "cvbow.explanation", "cvbow.index", "cvbow.presets", "cvbow.report", "cvbow_cli.main"]
)


def run_code(
    code: str, *arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Do what ``python -W error -c CODE ARGUMENTS`` does, in a folder, with more in the environment than is here."""
    with tempfile.TemporaryDirectory() as home:
        whole = {**os.environ, **(environment or {})}
        process = _CONTEXT.Process(target=_run, args=(code, arguments, str(folder or Path.cwd()), whole, home))
        process.start()
        process.join(timeout=300)
        if process.exitcode is None:
            process.kill()
            process.join()
        printed = [Path(home, stream).read_text(encoding="utf-8") for stream in ("stdout", "stderr")]
        return subprocess.CompletedProcess(["-c", *arguments], process.exitcode, *printed)


def run_script(path: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Do what ``python -W error PATH ARGUMENTS`` does, in a folder."""
    code = (
        f"import runpy, sys; sys.argv[0], sys.path[0] = {str(path)!r}, {str(path.parent)!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return run_code(code, *arguments, folder=folder)


def _run(code: str, arguments: Sequence[str], folder: str, environment: Mapping[str, str], home: str) -> None:
    for handle, stream in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(os.path.join(home, stream), os.O_WRONLY | os.O_CREAT), handle)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["-c", *arguments]
    sys.path.insert(0, "")
    warnings.simplefilter("error")
    multiprocessing.set_start_method(None, force=True)  # which a fork has from whoever made it
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(compile(code, "<string>", "exec"), main.__dict__)
    finally:
        # As an interpreter ends: pools of workers are told to stop before anyone waits for them.
        threading._shutdown()
        atexit._run_exitfuncs()
