"""The command line among hostile files: whatever it is given, it does its work or says in a line why not.

    python benchmarks/fuzz_commands.py [--count N] [--seed N] [--json FILE]
    python benchmarks/fuzz_commands.py --case N [--seed N]
    python benchmarks/fuzz_commands.py --smoke

Each case is a folder of small pictures, a model, an index and results, with hostile things scattered over it, and one
command over it: of any kind, with arguments that are mostly sensible, with outputs that are new, or of its own kind, or
foreign, or links to its inputs, or folders; now and then with a signal at a random moment, another locale, closed or
full standard streams. Case number i of a seed is always the same one, but for the moment within the work at which a
signal arrives. ``--case`` runs one and leaves its folder to look at.

What must hold: no traceback and no control characters on the terminal; exit code 0, 1, 2 or 130, and 130 only after a
signal; an end within a minute; JSON that is JSON; files that were there before are there as they were, but for an
output of the command's own kind, or with ``--force``; no process and no temporary file stays behind; an index that was
whole can still be opened. The exit code of the script is 1 unless it held for every case.

Most commands run in a fork of a process that has imported everything, which saves the second that imports take; one in
seven is a new interpreter, half of these in another locale. A fork is a process of its own session that ends as any
interpreter does, and signals find it as they find a new one, but never among imports. As root, the commands run without
the rights to read and write everything, so that the modes of files count.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _answering import Answering
from _broken_images import seed_images
from _hostile_commands import SMALL, Case, Maker
from _hostile_trees import remove, scatter, snapshot, write_pictures
from _measure import environment

SECONDS = 60.0
_CODES = (0, 1, 2, 130)
#: What every tree begins with; by the commands themselves, which must succeed.
_STOCK = (
    ("train", "photos", "-o", "m.cvbow", *SMALL),
    ("evaluate", "m.cvbow", "photos", "--report", "page.html"),
    ("index", "build", "photos", "-o", "x.index", "--words", "8"),
    ("features", "photos/dots/0.png", "-o", "picture.png"),
    ("export", "m.cvbow", "-o", "m.onnx"),
    ("stats", "photos", "-o", "summary"),
    ("bench", "run", "digits-fast", "--quick", "-o", "result.json"),
    ("tune", "photos", "-o", "recipes.toml", "--evaluations", "1"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make trees, run commands, look at what is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="commands to run (default %(default)s)")
    parser.add_argument("--case", type=int, metavar="N", help="run case number N only, and leave its folder")
    parser.add_argument("--jobs", type=int, default=2, help="commands at a time (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the outcomes")
    parser.add_argument("--smoke", action="store_true", help="6 commands, one at a time")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        question = _serve()
        return 0 if question is None else _become(question)
    if os.name != "posix":
        print("names of any bytes, signals and forks are those of POSIX: nothing is run here")
        return 0
    if options.smoke:
        options.count, options.jobs = min(options.count, 6), 1
    numbers = range(options.count) if options.case is None else [options.case]
    with tempfile.TemporaryDirectory(prefix="cvbow-") as stock:
        rows = _run_all(Path(stock), numbers, options)
    failures = [row for row in rows if row["faults"]]
    document = {
        "fuzz": "commands",
        "count": len(rows),
        "seed": options.seed,
        "commands": dict(sorted(Counter(row["name"] for row in rows).items())),
        "exit_codes": dict(sorted(Counter(str(row["exit"]) for row in rows).items())),
        "signals": sum(row["signal"] is not None for row in rows),
        "interrupted": sum(row["exit"] == 130 for row in rows),
        "new_interpreters": sum(row["fresh"] for row in rows),
        "slowest": sorted(((row["seconds"], row["number"]) for row in rows), reverse=True)[:5],
        "failures": failures,
        "environment": environment(threads=options.jobs, seed=options.seed, smoke=options.smoke),
    }
    print(
        f"{document['count']} commands, {document['signals']} with a signal: exit codes {document['exit_codes']}, "
        f"{len(failures)} failures"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


def _run_all(stock: Path, numbers: Sequence[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    write_pictures(stock / "photos")
    seeds = seed_images(None)
    with contextlib.ExitStack() as stack:
        runners = [stack.enter_context(contextlib.closing(_Runner())) for _ in range(min(options.jobs, len(numbers)))]
        for words in _STOCK:
            code, _, errors = runners[0].run(Case(words[0], [*words]), stock)
            if code != 0:
                raise RuntimeError(f"cvbow {shlex.join(words)}: exit code {code}: {errors.decode(errors='replace')}")
        left = iter(numbers)
        pool = stack.enter_context(ThreadPoolExecutor(len(runners)))
        # Each takes the next number that nobody has taken.
        found = pool.map(lambda runner: [_run_case(runner, stock, seeds, number, options) for number in left], runners)
        return sorted((row for rows in found for row in rows), key=lambda row: row["number"])


def _run_case(runner: _Runner, stock: Path, seeds: Any, number: int, options: argparse.Namespace) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="cvbow-"))
    row = {"number": number, "seed": options.seed, **_judge(runner, stock, folder, seeds, number, options.seed)}
    if options.case is None:
        remove(folder)
    else:
        print(f"left to look at: {folder}", file=sys.stderr)
    if row["faults"] or options.case is not None:
        print(json.dumps(row, indent=1), file=sys.stderr)
    elif (number + 1) % 50 == 0:
        print(f"  {number + 1} of {options.count}", file=sys.stderr)
    return row


def _judge(runner: _Runner, stock: Path, folder: Path, seeds: Any, number: int, seed: int) -> dict[str, Any]:
    """Make the tree and the command, run it, and return what there is to say."""
    rng = np.random.default_rng((seed, number))
    root = folder / "tree"
    shutil.copytree(stock, root, ignore=shutil.ignore_patterns(".*"))
    case = Maker(root, rng, scatter(root, rng, seeds, int(rng.integers(12)))).case()
    before = snapshot(root)
    usable = case.index is not None and _opens(root / case.index)
    started = time.perf_counter()
    code, out, errors = runner.run(case, root)
    seconds = time.perf_counter() - started
    found = faults(case, code, out, errors, before, snapshot(root), left=runner.left)
    if usable and not _opens(root / str(case.index)):
        found.append("the index can no longer be opened")
    return {
        "name": case.name,
        "command": "cvbow " + shlex.join(case.arguments),
        "environment": case.environment,
        "fresh": case.fresh,
        "signal": case.signal,
        "exit": code,
        "seconds": round(seconds, 2),
        "faults": found,
        "stderr": errors[-2000:].decode("utf-8", "backslashreplace"),
    }


def faults(
    case: Case,
    code: int | None,
    out: bytes,
    errors: bytes,
    before: dict[str, tuple[Any, ...]],
    after: dict[str, tuple[Any, ...]],
    *,
    left: Sequence[str] = (),
) -> list[str]:
    """Return what a command did that it must not do.

    Parameters
    ----------
    case : Case
    code : int or None
        Its exit code; None if it was killed after a minute.
    out, errors : bytes
        What it wrote on stdout and stderr.
    before, after : dict
        The tree, as `snapshot` returns it.
    left : sequence of str
        What it left elsewhere: processes, temporary files.
    """
    found = [*left]
    if code is None:
        found.append(f"no end after {SECONDS:g} seconds")
    elif code not in _CODES:
        found.append(f"exit code {code}")
    elif code == 130 and case.signal is None:
        found.append("interrupted by nobody")
    for mark in (b"Traceback (most recent call last)", b"Exception ignored in", b"Fatal Python error", b"Warning:"):
        if mark in errors and "--debug" not in case.arguments:
            found.append(f"{mark.decode()} on stderr")
    text = errors if "--json" in case.arguments else errors + out
    if any(byte < 32 and byte not in b"\n\t\b" for byte in text):
        found.append("control characters on the terminal")
    if "--json" in case.arguments and (code == 0 or (code in (1, 2) and out)) and case.stdout == "":
        try:
            json.loads(out.decode("utf-8"), parse_constant=lambda name: _refuse(name))
        except ValueError as error:
            if not {"--help", "-h", "--version"} & {*case.arguments}:
                found.append(f"stdout is no JSON: {error}")
    if code == 0 and case.outputs and next(iter(case.outputs)) not in after:
        found.append(f"{next(iter(case.outputs))!a} is not written")
    return found + _tree_faults(case, before, after)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _tree_faults(case: Case, before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]]) -> list[str]:
    found = []
    for path, what in before.items():
        may = case.outputs.get(path, False) or (case.index is not None and _is_below(path, case.index))
        if not may and after.get(path) != what:
            found.append(f"{path!a} is {'changed' if path in after else 'gone'}")
    places = [*case.outputs, *([case.index] if case.index else [])]
    for path in after.keys() - before.keys():
        if not any(_is_below(path, place) or _is_below(place, path) for place in places):
            found.append(f"{path!a} is new")
        elif path.endswith(".tmp"):
            found.append(f"{path!a} is left behind")
    return found


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _opens(index: Path) -> bool:
    from cvbow.errors import CvbowError
    from cvbow.index import ImageIndex

    try:
        with ImageIndex.open(index):
            return True
    except (CvbowError, OSError):
        return False


class _Runner(Answering):
    """A process that has imported everything, and runs one command after the other in forks of itself."""

    def __init__(self) -> None:
        self.left: list[str] = []
        super().__init__([sys.executable, str(Path(__file__).resolve()), "--child"])

    def start(self) -> None:
        """Start the process, which is ready some seconds later."""
        super().start()
        self.ready = False

    def run(self, case: Case, root: Path) -> tuple[int | None, bytes, bytes]:
        """Run a command in a tree; return its exit code, None if it had to be killed, and what it wrote."""
        self.left = []
        if not self.ready and not self.line(120):
            raise RuntimeError(f"the runner did not start: {self.last_words()}")
        self.ready = True
        with tempfile.TemporaryDirectory(prefix="cvbow-") as folder:
            aside = Path(folder)
            for name in ("tmp", "home"):
                (aside / name).mkdir()
            question = {
                "arguments": case.arguments,
                "root": str(root),
                "fresh": case.fresh,
                "environment": {"TMPDIR": f"{folder}/tmp", "HOME": f"{folder}/home", **case.environment},
                "streams": [case.stdin, case.stdout or f"{folder}/stdout", f"{folder}/stderr"],
            }
            self.tell(json.dumps(question))
            group = int(self.line(30))
            if case.signal is not None:
                number, seconds, to_group = case.signal
                self._signal(group, number, seconds, to_group=to_group)
            line = self.line(SECONDS)
            if not line:
                os.killpg(group, signal.SIGKILL)
                self.line(10)
            self._look_for_others(group)
            self.left += [f"{name!a} is left in the folder of temporary files" for name in os.listdir(aside / "tmp")]
            out = b"" if case.stdout else (aside / "stdout").read_bytes()
            return (int(line) if line else None), out, (aside / "stderr").read_bytes()

    def _signal(self, group: int, number: int, seconds: float, *, to_group: bool) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.answered():
                return  # it has ended by itself
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if to_group else os.kill)(group, number)

    def _look_for_others(self, group: int) -> None:
        for _ in range(50):
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)
        self.left.append("processes live on")


def _serve() -> dict[str, Any] | None:
    """Fork for each command that is told on stdin, and tell its process and exit code; in the fork, return it."""
    _as_any_user()
    from cvbow_cli.main import COMMANDS

    for module, _ in COMMANDS.values():
        importlib.import_module(module)
    for module in ("sklearn.svm", "sklearn.preprocessing", "cvbow.report.retrieval"):
        importlib.import_module(module)
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: BLAS's, which know of forks
    # What is imported here no fork has to look through when it ends: that took longer than most commands.
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        ready, begun = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(ready)
            return {**json.loads(line), "begun": begun}
        os.close(begun)
        os.read(ready, 1)
        os.close(ready)
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(question: dict[str, Any]) -> int:
    """Be the command that is told, in a session of its own."""
    os.setsid()
    os.chdir(question["root"])
    for number, path in enumerate(question["streams"]):
        if path == "closed":
            os.close(number)
            continue
        handle = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o666)
        os.dup2(handle, number)
        os.close(handle)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for name in [name for name in os.environ if name.startswith(("CVBOW_", "LC_", "PYTHONUTF8", "PYTHONIO"))]:
        del os.environ[name]
    os.environ.update(question["environment"])
    begun = question["begun"]
    if question["fresh"]:
        os.set_inheritable(begun, True)
        start = f"import os, sys; from cvbow_cli.__main__ import run; os.write({begun}, b'.'); os.close({begun}); run()"
        os.execv(sys.executable, [sys.executable, "-c", start, *map(os.fsencode, question["arguments"])])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from cvbow_cli.__main__ import run

    warnings.resetwarnings()
    sys.argv = ["cvbow", *question["arguments"]]
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    os.write(begun, b".")
    os.close(begun)
    run()
    return 0


def _as_any_user() -> None:
    """As root on Linux, give up for good what lets it read and write whatever the modes of files say."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    override, search = 1, 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    for capability in (override, search):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: not to be had again by executing a program
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for position in range(3):
        sets[position] &= ~(1 << override | 1 << search)
    libc.capset(header, sets)


if __name__ == "__main__":
    sys.exit(main())
