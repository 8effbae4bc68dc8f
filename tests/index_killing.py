"""Ends the writer of an index at any moment and looks at what is left.

    python tests/index_killing.py N SEED [N_IMAGES]   N kills (SIGKILL) at random moments of adds and compactions
    python tests/index_killing.py every               an end before each single operation on the file system

Prints one JSON document; the index is checked after every end, and an exception says what was wrong with it.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_describer
import numpy as np
from PIL import Image

import cvbow.index._merging as merging
from cvbow.index import ImageIndex

# Merges come early, so that few images are enough for several.
merging.FANOUT = 3

N_BEFORE, N_REMOVED = 12, 2


def write_images(folder: Path, n_images: int, seed: int = 0) -> list[str]:
    """Write noise of random brightness and contrast, one of five a copy of an earlier one."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    paths: list[str] = []
    for number in range(n_images):
        path = folder / f"{number:03d}.png"
        if number % 5 == 4:
            shutil.copyfile(paths[-3], path)
        else:
            low = int(rng.integers(0, 100))
            Image.fromarray(rng.integers(low, low + 120, (32, 40), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


def prepare(folder: Path, n_images: int) -> tuple[Path, list[str]]:
    """Build an index of the first images in several segments, with removed images in them."""
    paths = write_images(folder / "images", n_images)
    with ImageIndex.build(folder / "base", fake_describer.BlockWords(), root=folder) as index:
        index.add(paths[:N_BEFORE], batch=5)
        index.remove(paths[:N_REMOVED])
    return folder / "base", paths


def change(index: str | Path, paths: list[str], batch: int) -> None:
    """What is killed: an add with merges, then a compaction."""
    add(index, paths, batch)
    compact(index)


def add(index: str | Path, paths: list[str], batch: int) -> None:
    with ImageIndex.open(index, write=True) as opened:
        opened.add(paths[N_BEFORE:], batch=batch)


def compact(index: str | Path) -> None:
    with ImageIndex.open(index, write=True) as opened:
        opened.compact()


def content(index: ImageIndex) -> dict[str, Any]:
    """All that an index has of each image."""
    return {
        index.record(row).path: (index.record(row), {name: a.tolist() for name, a in index.describe(row).items()})
        for row in index.rows.tolist()
    }


def rankings(index: ImageIndex, paths: list[str]) -> list[Any]:
    return [[(r.path, r.score) for r in index.search(path, k=None)] for path in paths[::7]]


class Judge:
    """Knows what the index held before, and what it must hold when all is done."""

    def __init__(self, base: Path, paths: list[str], batch: int) -> None:
        self.paths, self.batch = paths, batch
        with ImageIndex.open(base) as index:
            self.before = content(index)
        whole = base.parent / "whole"
        shutil.copytree(base, whole)
        change(whole, paths, batch)
        with ImageIndex.open(whole) as index:
            self.after, self.rankings = content(index), rankings(index, paths)
        assert len(self.before) == N_BEFORE - N_REMOVED
        assert len(self.after) == len(paths) - N_REMOVED

    def judge(self, folder: Path) -> tuple[int, bool]:
        """Check an index whose writer was ended; return how many images it had, and whether there was waste."""
        with unittest.mock.patch.object(os, "fsync", return_value=None):
            return self._judge(folder)

    def _judge(self, folder: Path) -> tuple[int, bool]:
        with ImageIndex.open(folder) as index:
            found = content(index)
            listed = index.n_segments
        assert self.before.items() <= found.items(), "an image that was there before is lost or changed"
        assert found.items() <= self.after.items(), "an image is there that nobody added"
        assert (len(found) - len(self.before)) % self.batch == 0 or len(found) == len(self.after), "half a step"
        waste = len(os.listdir(folder / "segments")) > listed or any(
            name.endswith(".tmp") for name in os.listdir(folder)
        )
        with ImageIndex.open(folder, write=True) as index:
            assert len(os.listdir(folder / "segments")) == listed, "waste was not swept away"
            report = index.add(self.paths[N_BEFORE:], batch=self.batch)
            assert len(report.added) == len(self.after) - len(found)
            assert len(report.unchanged) == len(found) - len(self.before)
            index.compact()
            assert content(index) == self.after
            assert rankings(index, self.paths) == self.rankings
        with ImageIndex.open(folder) as index:
            assert content(index) == self.after
        return len(found), waste


def kill_at_random(n_kills: int, seed: int, *, n_images: int, batch: int = 4) -> dict[str, Any]:
    """Kill writers after random times, drawn from the time that an add takes; every third one while it compacts.

    One that has ended before its time is looked at too, but does not count.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as home:
        base, paths = prepare(Path(home), n_images)
        judge = Judge(base, paths, batch)
        grown = Path(home) / "grown"
        shutil.copytree(base, grown)
        add(grown, paths, batch)
        tasks: list[tuple[Path, Callable[[Path], None]]]
        tasks = [(base, lambda folder: add(folder, paths, batch)), (grown, compact)]
        found = []
        while sum(killed for _, killed, _, _ in found) < n_kills:
            start, function = tasks[len(found) % 3 == 2]
            folder = Path(home) / "killed"
            shutil.copytree(start, folder)
            # Timed anew each time: the machine may be busier now than it was.
            seconds = _one(folder, function, None)[0]
            shutil.rmtree(folder)
            shutil.copytree(start, folder)
            killed = _one(folder, function, rng.uniform(0, seconds))[1]
            found.append((start == grown, killed, *judge.judge(folder)))
            shutil.rmtree(folder)
    return {
        "seed": seed,
        "killed_while_adding": sum(killed and not compacting for compacting, killed, _, _ in found),
        "killed_while_compacting": sum(killed and compacting for compacting, killed, _, _ in found),
        "ended_before": sum(not killed for _, killed, _, _ in found),
        "with_waste": sum(waste for _, _, _, waste in found),
        "images_before": len(judge.before),
        "images_after": len(judge.after),
        "images_found": [n for _, _, n, _ in found],
    }


def _one(folder: Path, function: Callable[[Path], None], delay: float | None) -> tuple[float, bool]:
    """Change an index in a process of its own, to its end or until that is killed after `delay` seconds.

    Returns its time, and whether it was killed before it had ended.
    """
    started = time.monotonic()
    child = _forked(functools.partial(function, folder))
    if delay is not None:
        time.sleep(max(0.0, started + delay - time.monotonic()))
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in ((0,) if delay is None else (0, -signal.SIGKILL)), f"the writer failed by itself: {code}"
    return time.monotonic() - started, code != 0


def _forked(function: Callable[[], None]) -> int:
    """Call a function in a child that ends with it; no time is lost with imports."""
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child


def end_everywhere(*, n_images: int = 15, batch: int = 3) -> dict[str, Any]:
    """End a writer before its 1st, 2nd, 3rd, ... operation that changes the file system, until it comes through."""
    with tempfile.TemporaryDirectory() as home:
        base, paths = prepare(Path(home), n_images)
        judge = Judge(base, paths, batch)
        found = []
        while True:
            folder = Path(home) / "ended"
            shutil.copytree(base, folder)
            child = _forked(functools.partial(_end_before, folder, len(found) + 1, paths, batch))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert code in (0, 9), f"the writer failed by itself: {code}"
            found.append(judge.judge(folder))
            shutil.rmtree(folder)
            if code == 0:
                break
    return {"ends": len(found) - 1, "images_found": [n for n, _ in found], "with_waste": sum(w for _, w in found)}


def _end_before(folder: Path, number: int, paths: list[str], batch: int) -> None:
    """Change an index, but end this process before its operation of this number; nothing is cleaned up."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == number:
            os._exit(9)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir"):
            # Below `rmtree` names are relative to an open folder.
            step()
        elif event == "open" and isinstance(args[0], str) and args[0].startswith(str(folder)) and args[2] & 3:
            step()

    # This is about the order of operations, which a flush to the disk does not change.
    os.fsync = lambda handle: step()
    sys.addaudithook(hook)
    change(folder, paths, batch)


if __name__ == "__main__":
    if sys.argv[1] == "every":
        print(json.dumps(end_everywhere()))
    else:
        n_images = int(sys.argv[3]) if len(sys.argv) > 3 else 60
        print(json.dumps(kill_at_random(int(sys.argv[1]), int(sys.argv[2]), n_images=n_images)))
