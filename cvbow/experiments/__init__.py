"""Experiments that anyone can repeat: benchmarks from a definition to a table, and the demonstration."""

from cvbow.experiments.comparison import compare
from cvbow.experiments.comparison_benchmark import run_comparison_benchmark
from cvbow.experiments.comparison_definition import ComparisonDefinition
from cvbow.experiments.contenders import Contender, parse_contender
from cvbow.experiments.definition import (
    AnyDefinition,
    Definition,
    Published,
    Variant,
    benchmark_names,
    find_benchmark,
    read_benchmark,
)
from cvbow.experiments.digits import DIGIT_SETTINGS, DigitsResult, run_digits
from cvbow.experiments.matching_benchmark import MATCHING_KIND, matching_table, run_matching_benchmark
from cvbow.experiments.matching_definition import MatchingDefinition
from cvbow.experiments.protocols import PROTOCOLS, FixedSplit, HeldOut, KFold, RandomSplits, SplitProtocol
from cvbow.experiments.runner import read_result, run_benchmark, write_result
from cvbow.experiments.table import as_markdown, as_text, collect_results, result_rows, target_rows

__all__ = [
    "DIGIT_SETTINGS",
    "MATCHING_KIND",
    "PROTOCOLS",
    "AnyDefinition",
    "ComparisonDefinition",
    "Contender",
    "Definition",
    "DigitsResult",
    "FixedSplit",
    "HeldOut",
    "KFold",
    "MatchingDefinition",
    "Published",
    "RandomSplits",
    "SplitProtocol",
    "Variant",
    "as_markdown",
    "as_text",
    "benchmark_names",
    "collect_results",
    "compare",
    "find_benchmark",
    "matching_table",
    "parse_contender",
    "read_benchmark",
    "read_result",
    "result_rows",
    "run_benchmark",
    "run_comparison_benchmark",
    "run_digits",
    "run_matching_benchmark",
    "target_rows",
    "write_result",
]
