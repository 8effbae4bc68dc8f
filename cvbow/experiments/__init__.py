"""Experiments that anyone can repeat: benchmarks from a definition to a table, and the demonstration."""

from cvbow.experiments.definition import Definition, Published, Variant, benchmark_names, find_benchmark, read_benchmark
from cvbow.experiments.digits import DIGIT_SETTINGS, DigitsResult, run_digits
from cvbow.experiments.protocols import PROTOCOLS, FixedSplit, HeldOut, KFold, RandomSplits
from cvbow.experiments.runner import read_result, run_benchmark, write_result
from cvbow.experiments.table import as_markdown, as_text, collect_results, result_rows, target_rows

__all__ = [
    "DIGIT_SETTINGS",
    "PROTOCOLS",
    "Definition",
    "DigitsResult",
    "FixedSplit",
    "HeldOut",
    "KFold",
    "Published",
    "RandomSplits",
    "Variant",
    "as_markdown",
    "as_text",
    "benchmark_names",
    "collect_results",
    "find_benchmark",
    "read_benchmark",
    "read_result",
    "result_rows",
    "run_benchmark",
    "run_digits",
    "target_rows",
    "write_result",
]
