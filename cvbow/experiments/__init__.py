"""Experiments that anyone can repeat: benchmarks from a definition to a table."""

from cvbow.experiments.classification import ClassificationDefinition, ClassificationResult, Variant
from cvbow.experiments.comparison import ComparisonDefinition, ComparisonResult, compare
from cvbow.experiments.coverage import CoverageDefinition, CoverageResult
from cvbow.experiments.definition import Definition
from cvbow.experiments.detection import DetectionDefinition, DetectionResult
from cvbow.experiments.explanation import ExplanationDefinition, ExplanationResult
from cvbow.experiments.kinds import (
    KINDS,
    Kind,
    benchmark_names,
    collect_results,
    find_benchmark,
    read_benchmark,
    read_result,
    result_rows,
    result_tables,
    run_benchmark,
    target_rows,
)
from cvbow.experiments.labels import LabelsDefinition, LabelsResult
from cvbow.experiments.localization import LocalizationDefinition, LocalizationResult
from cvbow.experiments.matching import MatchingDefinition, MatchingResult, MatchingVariant
from cvbow.experiments.protocols import PROTOCOLS, FixedSplit, HeldOut, KFold, RandomSplits, SplitProtocol
from cvbow.experiments.published import Published, Row, rows_table
from cvbow.experiments.results import facts_table, write_result
from cvbow.experiments.retrieval import RetrievalDefinition, RetrievalResult, RetrievalVariant
from cvbow.experiments.segmentation import SegmentationDefinition, SegmentationResult, Trial

__all__ = [
    "KINDS",
    "PROTOCOLS",
    "ClassificationDefinition",
    "ClassificationResult",
    "ComparisonDefinition",
    "ComparisonResult",
    "CoverageDefinition",
    "CoverageResult",
    "Definition",
    "DetectionDefinition",
    "DetectionResult",
    "ExplanationDefinition",
    "ExplanationResult",
    "FixedSplit",
    "HeldOut",
    "KFold",
    "Kind",
    "LabelsDefinition",
    "LabelsResult",
    "LocalizationDefinition",
    "LocalizationResult",
    "MatchingDefinition",
    "MatchingResult",
    "MatchingVariant",
    "Published",
    "RandomSplits",
    "RetrievalDefinition",
    "RetrievalResult",
    "RetrievalVariant",
    "Row",
    "SegmentationDefinition",
    "SegmentationResult",
    "SplitProtocol",
    "Trial",
    "Variant",
    "benchmark_names",
    "collect_results",
    "compare",
    "facts_table",
    "find_benchmark",
    "read_benchmark",
    "read_result",
    "result_rows",
    "result_tables",
    "rows_table",
    "run_benchmark",
    "target_rows",
    "write_result",
]
