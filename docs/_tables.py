"""The tables of the pages: each of benchmarks/tables.py in a file that pages include."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from cvbow.experiments import result_tables


def write_tables(benchmarks: Path, folder: Path) -> None:
    """Write every table that can be made of the project's results to ``NAME.md``."""
    spec = importlib.util.spec_from_file_location("benchmark_tables", benchmarks / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tables
    spec.loader.exec_module(tables)
    results = tables.load(benchmarks / "results")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: make(results) for name, make in tables.EVERY.items()}
    texts["fuzz"] = result_tables(results["fuzz"])["figures"].markdown()
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
