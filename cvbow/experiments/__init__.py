"""Experiments that anyone can repeat: benchmarks from a definition to a table."""

from cvbow.experiments.comparison import compare
from cvbow.experiments.comparison_benchmark import run_comparison_benchmark
from cvbow.experiments.comparison_definition import ComparisonDefinition
from cvbow.experiments.definition import (
    AnyDefinition,
    Definition,
    Published,
    Variant,
    benchmark_names,
    find_benchmark,
    read_benchmark,
)
from cvbow.experiments.matching_benchmark import MATCHING_KIND, matching_table, run_matching_benchmark
from cvbow.experiments.matching_definition import MatchingDefinition
from cvbow.experiments.protocols import PROTOCOLS, FixedSplit, HeldOut, KFold, RandomSplits, SplitProtocol
from cvbow.experiments.retrieval_benchmark import RETRIEVAL_KIND, retrieval_table, run_retrieval_benchmark
from cvbow.experiments.retrieval_definition import RetrievalDefinition
from cvbow.experiments.runner import read_result, run_benchmark, write_result
from cvbow.experiments.table import as_markdown, as_text, collect_results, result_rows, target_rows

__all__ = [
    "MATCHING_KIND",
    "PROTOCOLS",
    "RETRIEVAL_KIND",
    "AnyDefinition",
    "ComparisonDefinition",
    "Definition",
    "FixedSplit",
    "HeldOut",
    "KFold",
    "MatchingDefinition",
    "Published",
    "RandomSplits",
    "RetrievalDefinition",
    "SplitProtocol",
    "Variant",
    "as_markdown",
    "as_text",
    "benchmark_names",
    "collect_results",
    "compare",
    "find_benchmark",
    "matching_table",
    "read_benchmark",
    "read_result",
    "result_rows",
    "retrieval_table",
    "run_benchmark",
    "run_comparison_benchmark",
    "run_matching_benchmark",
    "run_retrieval_benchmark",
    "target_rows",
    "write_result",
]
