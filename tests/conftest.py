"""Fixtures that any test may ask for."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tiny_images import write_dataset

if TYPE_CHECKING:
    from headless_browser import Browser

    from cvbow.index import ImageIndex

ROOT = Path(__file__).resolve().parents[1]

# Each worker of pytest has a core of its own: threads of BLAS and OpenMP beside it would wait for one another. What is
# imported already, without workers (`-n 0`), has the threads that it has.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is not a failure: the time of an example is never asserted.
settings.register_profile("cvbow", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("cvbow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a package that is not there."""
    if item.get_closest_marker("pandas"):
        pytest.importorskip("pandas", reason="needs pandas")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector look no more at what stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: CVBOW_SHARED_DATA, or shared/data beside the checkout."""
    named = os.environ.get("CVBOW_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data sets: no folder {folder} (CVBOW_SHARED_DATA names another)")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module, each of which gives it a size and a page."""
    from headless_browser import Browser

    with Browser(width=1280) as browser:
        yield browser


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Path:
    """A folder of 3 classes (checker, horizontal, vertical) with 6 gray 48x48 PNG files each, the test's own."""
    return write_dataset(tmp_path / "tiny")


# Of an index: a module may have fixtures of these names of its own.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """The ten images of index_images.py."""
    from index_images import ten_images

    return ten_images(tmp_path / "images")


@pytest.fixture
def index(tmp_path: Path, quick: None) -> Iterator[ImageIndex]:
    """An empty index of words that are quick to find."""
    from fake_describer import BlockWords

    from cvbow.index import ImageIndex

    with ImageIndex.build(tmp_path / "x.index", BlockWords()) as index:
        yield index
