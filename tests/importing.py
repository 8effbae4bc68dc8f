"""Modules of a folder that is no package, as the scripts in it find them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let modules below a folder be imported, and forget them afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        try:
            yield
        finally:
            for name in set(sys.modules) - before:
                # A folder of modules has no file, but a path; a module that a test hid is None.
                known = getattr(sys.modules[name], "__dict__", {})
                places = [known.get("__file__"), *known.get("__path__", ())]
                if any(place and Path(place).is_relative_to(folder) for place in places):
                    del sys.modules[name]
