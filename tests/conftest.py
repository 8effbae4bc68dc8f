"""Fixtures that any test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from tiny_images import write_dataset

ROOT = Path(__file__).resolve().parents[1]

# A slow machine is not a failure: the time of an example is never asserted.
settings.register_profile("cvbow", deadline=None)
settings.load_profile("cvbow")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: CVBOW_SHARED_DATA, or shared/data beside the checkout."""
    named = os.environ.get("CVBOW_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data sets: no folder {folder} (CVBOW_SHARED_DATA names another)")
    return folder


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Path:
    """A folder of 3 classes (checker, horizontal, vertical) with 6 gray 48x48 PNG files each, the test's own."""
    return write_dataset(tmp_path / "tiny")
